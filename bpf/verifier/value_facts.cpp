// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
#include "bpf/verifier/value_facts.h"

#include <algorithm>
#include <array>
#include <functional>
#include <queue>
#include <utility>

#include "bpf/verifier/cfg.h"
#include "bpf/verifier/range.h"
#include "bpf/verifier/verifier.h"

namespace xdplane {
namespace {

/// A block is walked so often before its bounds jump to wider ones.
constexpr u32 kExactWalks = 3;
constexpr u64 kWiderMax[] = {0xff, 0xffff, 0x7fffffff, 0xffffffff};

/// A number on the stack of the function, written at r10 + off.
struct Spill {
    i32 off;
    u32 size; ///< bytes; the number is zero-extended
    NumberBounds bounds;
};

/// What is known where a block begins.
struct BlockEntry {
    std::array<NumberBounds, R10> regs;
    std::vector<Spill> spills; ///< ordered by off, not overlapping; what is not here is anything
    u32 walks = 0;
    bool reached = false;
    bool waiting = false;
};

/// The same within a block.
struct Now {
    std::array<Range, kRegisters> regs;
    std::vector<Spill> spills;
};

Range range_of(const NumberBounds& bounds) {
    if (bounds.is_const()) return Range::constant(bounds.min);
    if (bounds == NumberBounds{}) return Range::unknown();
    Range range;
    range.wide.umin = bounds.min;
    range.wide.umax = bounds.max;
    return range.sync() ? range : Range::unknown();
}

NumberBounds bounds_of(const Range& range) {
    const NumberBounds bounds{std::max(range.wide.umin, range.bits.min()),
                              std::min(range.wide.umax, range.bits.max())};
    // Contradictions are those of paths that never run.
    return bounds.min <= bounds.max ? bounds : NumberBounds{};
}

/// Returns whether `into` changed.
bool join(NumberBounds& into, const NumberBounds& other, bool widen) {
    if (into.contains(other)) return false;
    if (other.min < into.min) into.min = widen ? 0 : other.min;
    if (other.max > into.max) {
        into.max = other.max;
        if (widen) {
            const auto* wider = std::ranges::lower_bound(kWiderMax, other.max);
            into.max = wider != std::end(kWiderMax) ? *wider : NumberBounds{}.max;
        }
    }
    return true;
}

bool join_spills(std::vector<Spill>& into, const std::vector<Spill>& other, bool widen) {
    bool changed = false;
    std::erase_if(into, [&](Spill& spill) {
        const auto found = std::ranges::lower_bound(other, spill.off, {}, &Spill::off);
        if (found == other.end() || found->off != spill.off || found->size != spill.size) {
            changed = true;
            return true;
        }
        changed |= join(spill.bounds, found->bounds, widen);
        return false;
    });
    return changed;
}

Range divided(Code code, const Range& a, const Range& b) {
    NumberBounds result{0, bounds_of(a).max}; // also by 0: 0, or a itself
    const NumberBounds by = bounds_of(b);
    if (by.is_const() && by.min != 0 && code == Code::div)
        result = {bounds_of(a).min / by.min, result.max / by.min};
    if (code == Code::mod && by.min != 0) result.max = std::min(result.max, by.max - 1);
    return range_of(result);
}

Range computed(const OpcodeInfo& row, Range a, Range b) {
    const bool narrow = row.width == 32;
    Range result;
    switch (row.code) {
    case Code::mov: result = b; break;
    case Code::movsx8: result = range_sign_extend(b, 8); break;
    case Code::movsx16: result = range_sign_extend(b, 16); break;
    case Code::movsx32: result = range_sign_extend(b, 32); break;
    case Code::div:
    case Code::mod:
        if (narrow) {
            a = range_truncate(a, 32);
            b = range_truncate(b, 32);
        }
        result = divided(row.code, a, b);
        break;
    case Code::sdiv:
    case Code::smod: break;
    default: result = range_alu(row.code, row.width, a, b); break;
    }
    return narrow ? range_truncate(result, 32) : result;
}

void forget_spills(std::vector<Spill>& spills, i32 off, u32 size) {
    const i32 end = off + static_cast<i32>(size);
    std::erase_if(spills, [&](const Spill& spill) {
        return spill.off < end && off < spill.off + static_cast<i32>(spill.size);
    });
}

} // namespace

class ValueAnalysis {
public:
    ValueAnalysis(std::span<const Insn> insns, std::span<const InsnFacts> facts)
        : insns_(insns), facts_(facts), entry_at_(insns.size(), -1) {}

    ValueFacts run(std::span<const FunctionFacts> functions) {
        find_blocks(functions);
        for (const FunctionFacts& function : functions)
            if (facts_[function.begin].reached) flow_to(function.begin, Now{});
        while (!waiting_.empty()) {
            const u32 begin = waiting_.top();
            waiting_.pop();
            BlockEntry& entry = entry_of(begin);
            entry.waiting = false;
            ++entry.walks;
            walk(begin);
        }
        result_.insns_.resize(insns_.size());
        result_.bounds_.assign(1, NumberBounds{});
        recording_ = true;
        for (u32 begin = 0; begin < insns_.size(); ++begin)
            if (entry_at_[begin] >= 0 && entry_of(begin).reached) walk(begin);
        return std::move(result_);
    }

private:
    BlockEntry& entry_of(u32 insn) { return entries_[static_cast<u32>(entry_at_[insn])]; }

    void begin_block(u32 insn) {
        if (insn >= insns_.size() || entry_at_[insn] >= 0) return;
        entry_at_[insn] = static_cast<i32>(entries_.size());
        entries_.emplace_back();
    }

    void find_blocks(std::span<const FunctionFacts> functions) {
        for (const FunctionFacts& function : functions) begin_block(function.begin);
        for (u32 i = 0; i < insns_.size(); ++i) {
            if (facts_[i].op == Op::invalid || !facts_[i].reached) continue;
            const OpKind kind = info(facts_[i].op).kind;
            if (kind != OpKind::jump && kind != OpKind::may_goto && kind != OpKind::ja) continue;
            begin_block(static_cast<u32>(facts_[i].target));
            if (kind != OpKind::ja) begin_block(i + 1);
        }
    }

    /// What is known now holds at `insn` too, which begins a block.
    void flow_to(u32 insn, const Now& now) {
        if (recording_ || !facts_[insn].reached) return;
        BlockEntry& entry = entry_of(insn);
        bool changed = false;
        if (!entry.reached) {
            for (u32 r = 0; r < R10; ++r) entry.regs[r] = bounds_of(now.regs[r]);
            entry.spills = now.spills;
            entry.reached = changed = true;
        } else {
            const bool widen = entry.walks >= kExactWalks;
            for (u32 r = 0; r < R10; ++r) changed |= join(entry.regs[r], bounds_of(now.regs[r]), widen);
            changed |= join_spills(entry.spills, now.spills, widen);
        }
        if (!changed || entry.waiting) return;
        entry.waiting = true;
        waiting_.push(insn);
    }

    void walk(u32 begin) {
        const BlockEntry& entry = entry_of(begin);
        Now now;
        for (u32 r = 0; r < R10; ++r) now.regs[r] = range_of(entry.regs[r]);
        now.spills = entry.spills;
        for (u32 i = begin; facts_[i].reached;) {
            const OpcodeInfo& row = info(facts_[i].op);
            if (recording_) record_before(i, now);
            switch (row.kind) {
            case OpKind::exit: return;
            case OpKind::ja: return flow_to(static_cast<u32>(facts_[i].target), now);
            case OpKind::may_goto:
                flow_to(static_cast<u32>(facts_[i].target), now);
                return flow_to(i + 1, now);
            case OpKind::jump: return branch(i, row, now);
            default: break;
            }
            step(i, row, now);
            if (recording_) record_after(i, row, now);
            i += row.kind == OpKind::ld_imm64 ? 2 : 1;
            if (i >= insns_.size()) return;
            if (entry_at_[i] >= 0) return flow_to(i, now);
        }
    }

    void branch(u32 i, const OpcodeInfo& row, const Now& now) {
        const Insn& insn = insns_[i];
        for (const bool taken : {true, false}) {
            if (taken ? facts_[i].never_taken : facts_[i].always_taken) continue;
            Now then = now;
            Range constant = Range::constant(static_cast<u64>(i64{insn.imm}));
            Range& a = then.regs[insn.dst];
            Range& b = row.operand == Operand::reg ? then.regs[insn.src] : constant;
            if (!range_refine(row.code, taken, row.width, a, b)) continue;
            flow_to(taken ? static_cast<u32>(facts_[i].target) : i + 1, then);
        }
    }

    void step(u32 i, const OpcodeInfo& row, Now& now) {
        const Insn& insn = insns_[i];
        Range& dst = now.regs[insn.dst];
        switch (row.kind) {
        case OpKind::alu:
            dst = computed(row, dst,
                           row.operand == Operand::imm   ? Range::constant(static_cast<u64>(i64{insn.imm}))
                           : row.operand == Operand::reg ? now.regs[insn.src]
                                                         : Range::unknown());
            break;
        case OpKind::endian: dst = range_swap(row.code, row.width, dst); break;
        case OpKind::ld_imm64:
            dst =
                insn.src != kImm64
                    ? Range::unknown()
                    : Range::constant(static_cast<u64>(insns_[i + 1].imm) << 32 | static_cast<u32>(insn.imm));
            break;
        case OpKind::ldx:
        case OpKind::load_acquire: dst = loaded(i, row, now); break;
        case OpKind::st:
        case OpKind::stx:
        case OpKind::store_release: stored(i, row, now); break;
        case OpKind::atomic: atomic(i, row, now); break;
        case OpKind::ld_abs:
        case OpKind::ld_ind:
            for (u32 r = R1; r <= R5; ++r) now.regs[r] = Range::unknown();
            now.regs[R0] = Range::of_width(row.width);
            break;
        case OpKind::call:
            for (u32 r = R0; r <= R5; ++r) now.regs[r] = Range::unknown();
            if (insn.src == kCallLocal || !leaves_stack(facts_[i].helper)) now.spills.clear();
            break;
        default: break;
        }
        now.regs[R10] = Range::unknown();
    }

    Range loaded(u32 i, const OpcodeInfo& row, const Now& now) const {
        const Insn& insn = insns_[i];
        const InsnFacts& f = facts_[i];
        if (f.constant) return Range::constant(*f.constant);
        // Addresses come out of narrow fields.
        if (f.base == PtrKind::ctx && (f.field == nullptr || f.field->value != CtxValue::scalar))
            return Range::unknown();
        if (f.base == PtrKind::mixed || f.base == PtrKind::none) return Range::unknown();
        Range value = Range::of_width(row.width);
        if (insn.src == R10)
            for (const Spill& spill : now.spills)
                if (spill.off == insn.off && spill.size * 8 >= row.width)
                    value = range_truncate(range_of(spill.bounds), row.width);
        return row.code == Code::none ? value : range_sign_extend(value, row.width);
    }

    /// What is on the stack at [r10 + off, ...) is anything, or more where the pointer may point anywhere.
    void overwritten(u32 i, u32 size, Now& now) const {
        const Insn& insn = insns_[i];
        if (insn.dst == R10) {
            forget_spills(now.spills, insn.off, size);
            return;
        }
        const PtrKind base = facts_[i].base;
        if (base == PtrKind::stack || base == PtrKind::mixed || base == PtrKind::none) now.spills.clear();
    }

    void stored(u32 i, const OpcodeInfo& row, Now& now) const {
        const Insn& insn = insns_[i];
        overwritten(i, row.width / 8U, now);
        if (insn.dst != R10) return;
        const Range whole =
            row.kind == OpKind::st ? Range::constant(static_cast<u64>(i64{insn.imm})) : now.regs[insn.src];
        const NumberBounds bounds = bounds_of(range_truncate(whole, row.width));
        if (bounds.contains(bounds_of(Range::of_width(row.width)))) return;
        const auto at = std::ranges::lower_bound(now.spills, i32{insn.off}, {}, &Spill::off);
        now.spills.insert(at, {insn.off, row.width / 8U, bounds});
    }

    void atomic(u32 i, const OpcodeInfo& row, Now& now) const {
        overwritten(i, row.width / 8U, now);
        if (row.operand != Operand::fetch) return;
        now.regs[row.code == Code::cmpxchg ? u32{R0} : u32{insns_[i].src}] = Range::of_width(row.width);
    }

    void record_before(u32 i, const Now& now) {
        auto& out = result_.insns_[i];
        out.dst_upper_zero = bounds_of(now.regs[insns_[i].dst]).upper_zero();
        out.src_upper_zero = bounds_of(now.regs[insns_[i].src]).upper_zero();
    }

    void record_after(u32 i, const OpcodeInfo& row, const Now& now) {
        u32 written = insns_[i].dst;
        switch (row.kind) {
        case OpKind::st:
        case OpKind::stx:
        case OpKind::store_release: return;
        case OpKind::call:
        case OpKind::ld_abs:
        case OpKind::ld_ind: written = R0; break;
        case OpKind::atomic:
            if (row.operand != Operand::fetch) return;
            written = row.code == Code::cmpxchg ? u32{R0} : u32{insns_[i].src};
            break;
        default: break;
        }
        const NumberBounds bounds = bounds_of(now.regs[written]);
        auto& all = result_.bounds_;
        if (bounds == NumberBounds{}) return;
        if (all.size() == 1 || all.back() != bounds) all.push_back(bounds);
        result_.insns_[i].bounds = static_cast<u32>(all.size() - 1);
    }

    std::span<const Insn> insns_;
    std::span<const InsnFacts> facts_;
    std::vector<i32> entry_at_; ///< by insn: index into entries_ where a block begins, else -1
    std::vector<BlockEntry> entries_;
    /// In the order of the program, so that most blocks are walked once.
    std::priority_queue<u32, std::vector<u32>, std::greater<>> waiting_;
    bool recording_ = false;
    ValueFacts result_;
};

ValueFacts find_values(std::span<const Insn> insns, std::span<const InsnFacts> facts,
                       std::span<const FunctionFacts> functions) {
    return ValueAnalysis(insns, facts).run(functions);
}

} // namespace xdplane
