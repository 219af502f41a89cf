// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
#include "bpf/lower/draft.h"
#include "bpf/lower/liveness.h"

namespace xdplane {
namespace {

/// The register that insn `i` loads is not read before it is lost to a map_lookup of the same block.
bool only_a_lookup_follows(const Draft& draft, const std::vector<bool>& targets, u32 i) {
    const RegisterSet loaded = register_bit(draft.insns[i].insn.dst);
    for (u32 next = i + 1; next < draft.insns.size() && !targets[next]; ++next) {
        const LoweredInsn& insn = draft.insns[next].insn;
        const RegisterUse use = register_use(insn);
        if (has_insn_target(insn) || ends_block(insn.op) || (use.reads & loaded) != 0) return false;
        if (insn.op == Op::map_lookup) return true;
        if ((use.writes & loaded) != 0) return false;
    }
    return false;
}

} // namespace

void drop_map_addresses(Draft& draft) {
    const std::vector<bool> targets = jump_targets(draft);
    std::vector<bool> idle(draft.insns.size());
    for (u32 i = 0; i < draft.insns.size(); ++i)
        idle[i] = draft.insns[i].insn.op == Op::ld_imm64 && draft.insns[i].insn.dst == R1 &&
                  only_a_lookup_follows(draft, targets, i);
    draft.erase_if([&](u32 i) { return idle[i]; });
}

} // namespace xdplane
