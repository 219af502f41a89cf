// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
#include <array>
#include <bit>
#include <vector>

#include "bpf/lower/draft.h"

namespace xdplane {
namespace {

/// The bits that a number of at most `max` may have.
u64 possible_bits(u64 max) { return max == 0 ? 0 : ~u64{0} >> std::countl_zero(max); }

/// A walk over the insns that knows what registers hold at most, since they were written in the same block.
class IdleFinder {
public:
    explicit IdleFinder(const Draft& draft) : draft_(draft), targets_(jump_targets(draft)) { forget(); }

    [[nodiscard]] std::vector<bool> run() {
        std::vector<bool> idle(draft_.insns.size());
        for (u32 i = 0; i < draft_.insns.size(); ++i) {
            if (targets_[i]) forget();
            idle[i] = is_idle(i);
            if (!idle[i]) step(i);
        }
        return idle;
    }

private:
    void forget() { bounds_.fill({}); }

    [[nodiscard]] bool is_idle(u32 i) const {
        const LoweredInsn& insn = draft_.insns[i].insn;
        switch (insn.op) {
        case Op::mov64_reg: return insn.dst == insn.src;
        case Op::mov32_reg: return insn.dst == insn.src && bounds_[insn.dst].upper_zero();
        case Op::and64_imm: return masks_nothing(bounds_[insn.dst].max, static_cast<u64>(insn.imm));
        case Op::and32_imm: return masks_nothing(bounds_[insn.dst].max, static_cast<u32>(insn.imm));
        default: return false;
        }
    }
    static bool masks_nothing(u64 max, u64 mask) { return (possible_bits(max) & ~mask) == 0; }

    void step(u32 i) {
        const DraftInsn& entry = draft_.insns[i];
        const OpKind kind = info(entry.insn.op).kind;
        switch (kind) {
        case OpKind::alu:
        case OpKind::endian:
        case OpKind::ld_imm64:
        case OpKind::ldx: bounds_[entry.insn.dst] = bounds_after(i); return;
        case OpKind::jump:
        case OpKind::st:
        case OpKind::stx: return;
        default: forget();
        }
    }

    /// What was proved is true of the last insn that the verified one became.
    [[nodiscard]] NumberBounds bounds_after(u32 i) const {
        const u32 origin = draft_.insns[i].origin;
        const bool last = i + 1 == draft_.insns.size() || draft_.insns[i + 1].origin != origin;
        return last ? draft_.program.values().result(origin) : NumberBounds{};
    }

    const Draft& draft_;
    std::vector<bool> targets_;
    std::array<NumberBounds, kRegisters> bounds_;
};

} // namespace

void drop_idle(Draft& draft) {
    const std::vector<bool> idle = IdleFinder(draft).run();
    draft.erase_if([&](u32 i) { return idle[i]; });
}

} // namespace xdplane
