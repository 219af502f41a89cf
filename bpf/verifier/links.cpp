// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
#include "bpf/verifier/links.h"

namespace xdplane {
namespace {

void collect(RegState& reg, u32 id, Link link, std::vector<Link>& out) {
    if (!reg.is_scalar() || reg.id != id) return;
    if (out.size() < kMaxLinks)
        out.push_back(link);
    else
        reg.id = 0;
}

} // namespace

void collect_links(State& state, u32 id, const std::vector<u16>& live, u32 insn, std::vector<Link>& out) {
    if (id == 0) return;
    for (std::size_t f = state.frames.size(); f-- > 0;) {
        Frame& frame = state.frames[f];
        const bool youngest = f + 1 == state.frames.size();
        const u16 read = live[youngest ? insn : static_cast<u32>(state.frames[f + 1].call_site)];
        for (u8 r = 0; r < R10; ++r)
            if ((read >> r & 1) != 0) collect(frame.regs[r], id, {static_cast<u8>(f), false, r}, out);
        for (std::size_t s = 0; s < frame.slots.size(); ++s)
            if (frame.slots[s].is_spill())
                collect(frame.slots[s].spilled, id, {static_cast<u8>(f), true, static_cast<u8>(s)}, out);
    }
}

void tell_links(State& state, const RegState& known, std::span<const Link> links) {
    const RegState source = known; // may be among them
    for (const Link& link : links) {
        Frame& frame = state.frames[link.frame];
        RegState& reg = link.is_slot ? frame.slots[link.index].spilled : frame.regs[link.index];
        if (&reg != &known) follow_link(reg, source);
    }
}

void follow_link(RegState& reg, const RegState& known) {
    if (!reg.is_scalar() || known.id == 0 || reg.id != known.id) return;
    if (reg.added != 0 && known.added != 0 && reg.added != known.added) return;
    if ((reg.added == 0 && known.added == 0) || reg.off == known.off) {
        reg = known;
        return;
    }
    const u64 distance = static_cast<u64>(i64{reg.off} - known.off);
    const unsigned width = reg.added == 32 || known.added == 32 ? 32 : 64;
    reg.var = range_alu(Code::add, width, known.var, Range::constant(distance));
}

} // namespace xdplane
