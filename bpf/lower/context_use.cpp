// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
#include "bpf/lower/draft.h"

namespace xdplane {
namespace {

void read_bounds(ContextUse& use) {
    use.read(offsetof(XdpBuff, data), sizeof(u8*));
    use.read(offsetof(XdpBuff, data_end), sizeof(u8*));
}

} // namespace

ContextUse find_context_use(const Draft& draft) {
    ContextUse use = ContextUse::none();
    if (draft.program.type().skb_state) return {};
    for (const auto& [insn, origin] : draft.insns) {
        const OpcodeInfo& row = info(insn.op);
        const bool of_context = draft.program.facts()[origin].base == PtrKind::ctx;
        switch (row.kind) {
        case OpKind::ldx:
            // Later insns of the same origin load from what the first one found: too much is no harm.
            if (!of_context) break;
            if (insn.off < 0) return {};
            use.read(static_cast<u32>(insn.off), row.width / 8U);
            break;
        case OpKind::st:
        case OpKind::stx:
        case OpKind::atomic:
        case OpKind::store_release:
        case OpKind::load_acquire:
            if (of_context) return {};
            break;
        case OpKind::lowered:
            if (insn.op == Op::ctx_length) {
                read_bounds(use);
            } else if (insn.op != Op::map_lookup && insn.op != Op::nop && insn.op != Op::call_local) {
                return {};
            }
            break;
        case OpKind::ld_abs:
        case OpKind::ld_ind:
            read_bounds(use);
            // legacy_load(): also skb_ready, a bit behind redirect_ifindex.
            use.read(offsetof(XdpBuff, hard_start), sizeof(u8*));
            use.read(offsetof(XdpBuff, redirect_ifindex) + sizeof(u32), sizeof(u32));
            break;
        case OpKind::call: return {};
        default: break;
        }
    }
    return use;
}

} // namespace xdplane
