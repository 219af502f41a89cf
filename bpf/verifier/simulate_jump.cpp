// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
#include <algorithm>
#include <cerrno>

#include "bpf/verifier/simulation.h"

namespace xdplane {
namespace {

/// A packet pointer that went further than this from its base proves nothing (Linux's MAX_PACKET_OFF):
/// offsets stay so small that base + offset cannot wrap.
constexpr u64 kMaxPacketOffset = 0xffff;

/// Exactly data: what metadata ends at.
bool is_data(const RegState& r) {
    return r.kind == RegKind::packet && r.id == 0 && r.off == 0 && r.var.is_const() && r.var.value() == 0;
}

/// True if `end` bounds the area that `pointer` walks.
bool bounds_packet(const RegState& pointer, const RegState& end) {
    return (pointer.kind == RegKind::packet && end.kind == RegKind::packet_end) ||
           (pointer.kind == RegKind::packet_meta && is_data(end));
}

Code mirrored(Code code) {
    switch (code) {
    case Code::jgt: return Code::jlt;
    case Code::jge: return Code::jle;
    case Code::jlt: return Code::jgt;
    case Code::jle: return Code::jge;
    default: return code;
    }
}

} // namespace

/// Gives every linked number of the state what was learnt of one of them.
void Verifier::refine_linked(State& state, const RegState& known) {
    if (known.id == 0 || !known.is_scalar()) return;
    const RegState source = known; // may be among those changed
    for_each_reg(state, [&](RegState& r) {
        if (!r.is_scalar() || r.id != source.id) return;
        if (r.off == source.off) {
            r.var = source.var;
            return;
        }
        const u64 distance = static_cast<u64>(i64{r.off} - source.off);
        r.var = range_alu(Code::add, 64, source.var, Range::constant(distance));
    });
}

/// Keeps who was linked at this jump, because refinement makes their bounds depend on each other.
void Verifier::record_links(u32 id_a, u32 id_b) {
    if (id_a == 0 && id_b == 0) return;
    Step& step = cur_->steps.back();
    step.links = static_cast<u32>(cur_->links.size());
    const auto linked = [&](const RegState& r) {
        return r.is_scalar() && r.id != 0 && (r.id == id_a || r.id == id_b);
    };
    for (std::size_t f = 0; f < cur_->frames.size(); ++f) {
        const Frame& owner = cur_->frames[f];
        for (u32 r = 0; r < kRegisters; ++r)
            if (linked(owner.regs[r])) cur_->links.push_back({static_cast<u8>(f), false, static_cast<u8>(r)});
        for (u32 s = 0; s < owner.slots.size(); ++s)
            if (owner.slots[s].is_spill() && linked(owner.slots[s].spilled))
                cur_->links.push_back({static_cast<u8>(f), true, static_cast<u8>(s)});
    }
    step.links_end = static_cast<u32>(cur_->links.size());
}

void Verifier::settle_null(State& state, u32 id, bool is_null) {
    for_each_reg(state, [&](RegState& r) {
        if (!r.or_null || r.id != id) return;
        if (is_null) {
            r = RegState::constant(0);
            return;
        }
        r.or_null = false;
        r.id = 0;
    });
}

void Verifier::learn_packet_range(State& state, const OpcodeInfo& row, bool taken, const RegState& dst,
                                  const RegState& src) {
    if (row.width != 64) return;
    Code code = row.code;
    const RegState* pointer = &dst;
    if (bounds_packet(src, dst)) {
        pointer = &src;
        code = mirrored(code);
    } else if (!bounds_packet(dst, src)) {
        return;
    }
    // pointer `code` end, with the outcome `taken`. pointer <= end: off bytes are there; pointer < end: one
    // more.
    bool within = false;
    bool strictly = false;
    switch (code) {
    case Code::jgt: within = !taken; break;
    case Code::jge: within = strictly = !taken; break;
    case Code::jlt: within = strictly = taken; break;
    case Code::jle: within = taken; break;
    default: return;
    }
    if (!within) return;
    const RegState& p = *pointer;
    if (p.off <= 0) return; // also data < data_end, which Linux learns nothing from
    if (p.var.wide.umax > kMaxPacketOffset || p.var.wide.umax + static_cast<u32>(p.off) > kMaxPacketOffset)
        return;
    const u32 range = static_cast<u32>(p.off) + (strictly ? 1 : 0);
    const RegKind kind = p.kind;
    const u32 id = p.id;
    for_each_reg(state, [&](RegState& r) {
        if (r.kind == kind && r.id == id) r.range = std::max(r.range, range);
    });
}

bool Verifier::simulate_jump(const OpcodeInfo& row, const Insn& insn) {
    ++jumps_;
    const bool with_reg = row.operand == Operand::reg;
    if (with_reg && !check_read(insn.src)) return false;
    if (!check_read(insn.dst)) return false;
    const RegState dst = reg(insn.dst);
    const RegState src = with_reg ? reg(insn.src) : RegState::constant(static_cast<u64>(i64{insn.imm}));
    const u32 target = static_cast<u32>(flow_.targets[insn_]);

    RegState dst_taken = dst, src_taken = src, dst_not = dst, src_not = src;
    bool can_take = true;
    bool can_pass = true;
    const bool equality = row.code == Code::jeq || row.code == Code::jne;
    if (dst.is_scalar() && src.is_scalar()) {
        can_take = range_refine(row.code, true, row.width, dst_taken.var, src_taken.var);
        can_pass = range_refine(row.code, false, row.width, dst_not.var, src_not.var);
        if (!can_take && !can_pass) {
            // No number is left: nothing ever comes here. Go on unrefined both ways, which proves more than
            // is needed.
            can_take = can_pass = true;
            dst_taken = dst_not = dst;
            src_taken = src_not = src;
        }
    } else if (row.width == 64 && equality && !with_reg && src.is_null() && !dst.or_null &&
               (dst.kind == RegKind::map_value || dst.kind == RegKind::mem)) {
        // Such a pointer is not null; nor are others, but Linux walks both ways.
        if (row.code == Code::jeq)
            can_take = false;
        else
            can_pass = false;
    }
    InsnFacts& f = facts();
    if (can_take != can_pass) {
        if (dst.is_scalar()) mark_precise(insn.dst);
        if (with_reg && src.is_scalar()) mark_precise(insn.src);
    }
    if (can_take) f.never_taken = false;
    if (can_pass) f.always_taken = false;
    if (!can_take) return true;
    if (!can_pass) {
        next_insn_ = target;
        return true;
    }

    const bool scalars = dst.is_scalar() && src.is_scalar();
    if (scalars) record_links(dst.id, with_reg ? src.id : 0);
    State other = *cur_;
    if (scalars) {
        const auto apply = [&](State& state, const RegState& d, const RegState& s) {
            Frame& top = state.top();
            if (with_reg) {
                top.regs[insn.src].var = s.var;
                refine_linked(state, top.regs[insn.src]);
            }
            // If both are the same register or linked, the narrower is not lost: both hold, the last wins.
            top.regs[insn.dst].var = d.var;
            refine_linked(state, top.regs[insn.dst]);
        };
        apply(other, dst_taken, src_taken);
        apply(*cur_, dst_not, src_not);
        touched_ |= 1U << insn.dst | (with_reg ? 1U << insn.src : 0);
    } else if (row.width == 64 && equality && !with_reg && dst.or_null && src.is_null()) {
        settle_null(other, dst.id, row.code == Code::jeq);
        settle_null(*cur_, dst.id, row.code == Code::jne);
        touched_ |= 1U << insn.dst;
    } else if (with_reg && dst.is_pointer() && src.is_pointer()) {
        learn_packet_range(other, row, true, dst, src);
        learn_packet_range(*cur_, row, false, dst, src);
    }
    return push_pending(target, std::move(other));
}

} // namespace xdplane
