// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
#include <algorithm>
#include <cerrno>

#include "bpf/verifier/links.h"
#include "bpf/verifier/simulation.h"

namespace xdplane {
namespace {

/// A packet pointer that went further than this from its base proves nothing (Linux's MAX_PACKET_OFF):
/// offsets stay so small that base + offset cannot wrap.
constexpr u64 kMaxPacketOffset = 0xffff;

/// "pointer `code` end" of the area that the pointer walks.
struct EndComparison {
    bool of_dst;          ///< the pointer is the jump's dst, else its src
    bool within_if_taken; ///< the jump goes where pointer <= end; else that is where it does not go
    bool strictly;        ///< where pointer < end: one more byte
};

/// Exactly data: what metadata ends at.
bool is_data(const RegState& r) { return r.kind == RegKind::packet && r.id == 0 && r.unmodified(); }

bool any_packet(const RegState& r) { return r.in_packet() || r.kind == RegKind::packet_end; }

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

std::optional<EndComparison> end_comparison(Code code, const RegState& dst, const RegState& src) {
    const bool of_dst = bounds_packet(dst, src);
    if (!of_dst && !bounds_packet(src, dst)) return std::nullopt;
    switch (of_dst ? code : mirrored(code)) {
    case Code::jgt: return EndComparison{of_dst, false, false};
    case Code::jge: return EndComparison{of_dst, false, true};
    case Code::jlt: return EndComparison{of_dst, true, true};
    case Code::jle: return EndComparison{of_dst, true, false};
    default: return std::nullopt;
    }
}

/// A pointer that is not null whatever happened before.
bool never_null(const RegState& r) {
    if (r.or_null) return false;
    switch (r.kind) {
    case RegKind::sock:
    case RegKind::tcp_sock:
    case RegKind::sock_common:
    case RegKind::map_value:
    case RegKind::map_key:
    case RegKind::map_ptr:
    case RegKind::mem: return true;
    default: return false;
    }
}

void settle(RegState& r, bool is_null) {
    if (is_null) {
        r = RegState::constant(0);
        return;
    }
    r.or_null = false;
    if (r.kind == RegKind::map_value && r.map != nullptr) {
        const u32 type = r.map->spec().type;
        if (r.map->spec().inner) {
            // What an outer map holds is a map; its id tells it from others of the same shape.
            const u32 uid = r.id;
            Map* inner = r.map->spec().inner.get();
            r = RegState::pointer(RegKind::map_ptr);
            r.map = inner;
            r.inner = true;
            if (inner->spec().record.timer >= 0) r.uid = uid;
            return;
        }
        if (type == BPF_MAP_TYPE_XSKMAP || type == BPF_MAP_TYPE_SOCKMAP || type == BPF_MAP_TYPE_SOCKHASH) {
            r.kind = type == BPF_MAP_TYPE_XSKMAP ? RegKind::xdp_sock : RegKind::sock;
            r.map = nullptr;
        }
    }
    const bool locks =
        r.kind == RegKind::map_value && r.map != nullptr && r.map->spec().record.spin_lock >= 0;
    if (!locks) r.id = 0;
}

} // namespace

/// Keeps who is linked at this jump, because refinement makes their bounds depend on each other.
std::vector<Link> Verifier::record_links(u32 id_a, u32 id_b) {
    std::vector<Link> links;
    collect_links(*cur_, id_a, flow_.live_registers, insn_, links);
    collect_links(*cur_, id_b, flow_.live_registers, insn_, links);
    Step& step = cur_->steps.back();
    step.links = static_cast<u32>(cur_->links.size());
    if (links.size() > 1) cur_->links.insert(cur_->links.end(), links.begin(), links.end());
    step.links_end = static_cast<u32>(cur_->links.size());
    if (links.size() > 1) note_history();
    return links;
}

/// Register `index` was compared with null: it and those of its id are null, or are not.
void Verifier::settle_null(State& state, u32 index, bool is_null) {
    const RegState known = state.top().regs[index];
    // Nothing can have been released before the check: a null has no reference to give back.
    if (is_null && known.ref != 0 && known.ref == known.id)
        std::erase_if(state.refs, [&](const Reference& r) { return r.id == known.ref; });
    for_each_reg(state, [&](RegState& r) {
        if (r.or_null && r.id == known.id) settle(r, is_null);
    });
}

/// Comparisons of a packet pointer with the end of its area: where it is within, so many bytes are there;
/// where it is not, the same comparison again can have no other outcome.
bool Verifier::learn_packet_ends(const OpcodeInfo& row, const Insn& insn, State& other, const RegState& dst,
                                 const RegState& src) {
    const auto comparison = end_comparison(row.code, dst, src);
    if (!comparison) return false;
    const auto [of_dst, within_if_taken, strictly] = *comparison;
    const u32 index = of_dst ? insn.dst : insn.src;
    State& inside = within_if_taken ? other : *cur_;
    State& outside = within_if_taken ? *cur_ : other;
    const RegState p = of_dst ? dst : src;
    RegState& beyond = outside.top().regs[index];
    if (p.kind == RegKind::packet) beyond.range = strictly ? RegState::kAtEnd : RegState::kBeyondEnd;

    if (p.off < 0 || (p.off == 0 && strictly)) return true; // also data < data_end, which Linux does not use
    if (p.var.wide.umax > kMaxPacketOffset || p.var.wide.umax + static_cast<u32>(p.off) > kMaxPacketOffset)
        return true;
    const i32 range = p.off + (strictly ? 1 : 0);
    for_each_reg(inside, [&](RegState& r) {
        if (r.kind == p.kind && r.id == p.id) r.range = std::max(r.range, range);
    });
    return true;
}

/// What a comparison of a packet pointer with the end of its area comes to where so many bytes were proved to
/// be there already. Linux walks both ways, and so does the simulation; engines go the one.
Verifier::Outcome Verifier::proved_outcome(const OpcodeInfo& row, const RegState& dst,
                                           const RegState& src) const {
    if (row.width != 64 || row.operand != Operand::reg) return Outcome::unknown;
    const auto comparison = end_comparison(row.code, dst, src);
    if (!comparison) return Outcome::unknown;
    const RegState& p = comparison->of_dst ? dst : src;
    // A range of 0 says nothing of a pointer that was moved by a number.
    if (p.range <= 0 || p.off < 0 || p.off + (comparison->strictly ? 1 : 0) > p.range)
        return Outcome::unknown;
    return comparison->within_if_taken ? Outcome::taken : Outcome::not_taken;
}

Verifier::Outcome Verifier::pointer_outcome(const OpcodeInfo& row, const RegState& dst,
                                            const RegState& src) const {
    const bool equality = row.code == Code::jeq || row.code == Code::jne;
    if (row.width == 64 && (dst.kind == RegKind::packet_end || src.kind == RegKind::packet_end)) {
        const bool forward = src.kind == RegKind::packet_end;
        const RegState& p = forward ? dst : src;
        const Code code = forward ? row.code : mirrored(row.code);
        if (p.kind != RegKind::packet || p.range >= 0) return Outcome::unknown;
        const bool beyond = p.range == RegState::kBeyondEnd;
        if (beyond && (code == Code::jle || code == Code::jgt))
            return code == Code::jgt ? Outcome::taken : Outcome::not_taken;
        if (code == Code::jlt || code == Code::jge)
            return code == Code::jge ? Outcome::taken : Outcome::not_taken;
        return Outcome::unknown;
    }
    const RegState& pointer = dst.is_pointer() ? dst : src;
    const RegState& number = dst.is_pointer() ? src : dst;
    if (!equality || !number.is_null() || !never_null(pointer)) return Outcome::unknown;
    return row.code == Code::jeq ? Outcome::not_taken : Outcome::taken;
}

/// Comparisons in which a pointer takes part. `other` is the state in which the jump was taken.
bool Verifier::learn_pointers(const OpcodeInfo& row, const Insn& insn, State& other, const RegState& dst,
                              const RegState& src) {
    const bool with_reg = row.operand == Operand::reg;
    const bool equality = row.code == Code::jeq || row.code == Code::jne;
    if (row.width == 64 && with_reg && equality && dst.is_pointer() && src.is_pointer() &&
        dst.or_null != src.or_null) {
        // Equal to a pointer that is not null.
        State& equal = row.code == Code::jeq ? other : *cur_;
        RegState& settled = equal.top().regs[dst.or_null ? insn.dst : insn.src];
        const u32 id = settled.id;
        settle(settled, false);
        settled.id = id;
    }
    if (row.width == 64 && !with_reg && equality && insn.imm == 0 && dst.or_null) {
        settle_null(other, insn.dst, row.code == Code::jeq);
        settle_null(*cur_, insn.dst, row.code == Code::jne);
        touched_ |= 1U << insn.dst;
        return true;
    }
    if (row.width == 64 && with_reg && learn_packet_ends(row, insn, other, dst, src)) return true;
    if (leaks(dst)) return reject(EACCES, "R{} pointer comparison prohibited", insn.dst);
    return true;
}

bool Verifier::simulate_jump(const OpcodeInfo& row, const Insn& insn) {
    const bool with_reg = row.operand == Operand::reg;
    if (with_reg && !check_read(insn.src)) return false;
    if (!check_read(insn.dst)) return false;
    const RegState immediate = RegState::constant(static_cast<u64>(i64{insn.imm}));
    RegState dst = reg(insn.dst);
    RegState src = with_reg ? reg(insn.src) : immediate;
    if (with_reg && leaks(src) && !(any_packet(dst) && any_packet(src)))
        return reject(EACCES, "R{} pointer comparison prohibited", insn.src);
    const u32 target = static_cast<u32>(flow_.targets[insn_]);
    const bool scalars = dst.is_scalar() && src.is_scalar();

    RegState dst_taken = dst, src_taken = src, dst_not = dst, src_not = src;
    Outcome outcome = Outcome::unknown;
    if (scalars) {
        // A register compared with itself is one number.
        const bool same = with_reg && insn.dst == insn.src;
        const bool can_take =
            range_refine(row.code, true, row.width, dst_taken.var, same ? dst_taken.var : src_taken.var);
        const bool can_pass =
            range_refine(row.code, false, row.width, dst_not.var, same ? dst_not.var : src_not.var);
        if (same) {
            src_taken = dst_taken;
            src_not = dst_not;
        }
        if (can_take != can_pass) outcome = can_take ? Outcome::taken : Outcome::not_taken;
    } else {
        outcome = pointer_outcome(row, dst, src);
    }
    InsnFacts& f = facts();
    if (outcome != Outcome::unknown) {
        if (dst.is_scalar()) mark_precise(insn.dst);
        if (with_reg && src.is_scalar()) mark_precise(insn.src);
    }
    const Outcome of_runs = outcome == Outcome::unknown ? proved_outcome(row, dst, src) : outcome;
    if (of_runs != Outcome::not_taken) f.never_taken = false;
    if (of_runs != Outcome::taken) f.always_taken = false;
    if (outcome == Outcome::taken) next_insn_ = target;
    if (outcome != Outcome::unknown) return true;

    const auto links = scalars ? record_links(with_reg ? src.id : 0, dst.id) : std::vector<Link>();
    State* other = push_pending(target, State(*cur_));
    if (other == nullptr) return false;
    if (!scalars) return learn_pointers(row, insn, *other, dst, src);
    const auto apply = [&](State& state, const RegState& d, const RegState& s) {
        Frame& top = state.top();
        if (with_reg) top.regs[insn.src].var = s.var;
        top.regs[insn.dst].var = d.var;
        if (with_reg) tell_links(state, top.regs[insn.src], links);
        tell_links(state, top.regs[insn.dst], links);
    };
    apply(*other, dst_taken, src_taken);
    apply(*cur_, dst_not, src_not);
    touched_ |= 1U << insn.dst | (with_reg ? 1U << insn.src : 0);
    return true;
}

/// Whether the frame's budget of rounds is used up is not known here: the round goes on as another path.
bool Verifier::simulate_may_goto() {
    State* other = push_pending(insn_ + 1, State(*cur_));
    if (other == nullptr) return false;
    ++other->may_goto_depth;
    if (cur_->parent != nullptr)
        if (const State* before = previous_round(*cur_->parent, insn_)) widen_imprecise(*before, *other);
    next_insn_ = static_cast<u32>(flow_.targets[insn_]);
    facts().always_taken = facts().never_taken = false;
    return true;
}

} // namespace xdplane
