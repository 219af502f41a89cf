// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
#include <vector>

#include "bpf/lower/draft.h"

namespace xdplane {
namespace {

bool is_shift(const LoweredInsn& insn) { return insn.op == Op::lsh64_imm || insn.op == Op::lsh32_imm; }
bool is_or(const LoweredInsn& insn) { return insn.op == Op::or64_reg || insn.op == Op::or32_reg; }

bool is_load(const LoweredInsn& insn) {
    const OpcodeInfo& row = info(insn.op);
    return row.kind == OpKind::ldx && row.code == Code::none;
}

/// It neither writes memory nor goes anywhere, and leaves these registers alone.
bool leaves_alone(const LoweredInsn& insn, u8 a, u8 b) {
    const OpKind kind = info(insn.op).kind;
    if (kind != OpKind::alu && kind != OpKind::endian && kind != OpKind::ldx) return false;
    return insn.dst != a && insn.dst != b;
}

class Combiner {
public:
    explicit Combiner(Draft& draft)
        : insns_(draft.insns), targets_(jump_targets(draft)), dropped_(draft.insns.size()) {}

    std::vector<bool> run() {
        for (u32 i = 0; i < insns_.size(); ++i)
            if (is_or(insns_[i].insn)) combine(i);
        return std::move(dropped_);
    }

private:
    /// How far apart the lower half's load may be.
    static constexpr u32 kWindow = 8;

    /// The insn before that is still there, in the same block; size() if there is none.
    [[nodiscard]] u32 before(u32 i) const {
        while (i > 0 && !targets_[i]) {
            --i;
            if (!dropped_[i]) return i;
        }
        return static_cast<u32>(insns_.size());
    }

    void combine(u32 at) {
        const u32 none = static_cast<u32>(insns_.size());
        const u32 shift = before(at);
        if (shift == none) return;
        const u32 high = before(shift);
        if (high == none) return;
        LoweredInsn& both = insns_[at].insn;
        const LoweredInsn& moved = insns_[shift].insn;
        const LoweredInsn& upper = insns_[high].insn;
        if (!is_shift(moved) || !is_load(upper) || moved.dst != both.dst || upper.dst != both.dst) return;
        const u32 bits = info(upper.op).width;
        const bool wide = info(both.op).width == 64 && info(moved.op).width == 64;
        if (moved.imm != bits || bits == 64 || (bits == 32 && !wide)) return;
        if (!lower_half_before(high, both.src, upper, bits)) return;
        const u8 flags = upper.flags;
        both = make_insn(load_op(bits * 2), both.dst, upper.src, upper.off - static_cast<i32>(bits / 8), 0);
        both.flags = flags;
        dropped_[shift] = dropped_[high] = true;
    }

    /// `reg` was loaded from right below what `upper` loads, and nothing has changed either since.
    [[nodiscard]] bool lower_half_before(u32 high, u8 reg, const LoweredInsn& upper, u32 bits) const {
        if (reg == upper.dst || reg == upper.src) return false;
        u32 at = before(high);
        for (u32 seen = 0; at < insns_.size() && seen < kWindow; ++seen, at = before(at)) {
            const LoweredInsn& insn = insns_[at].insn;
            if (insn.dst == reg && is_load(insn))
                return insn.src == upper.src && info(insn.op).width == bits &&
                       i64{insn.off} + bits / 8 == upper.off;
            if (!leaves_alone(insn, reg, upper.src)) return false;
        }
        return false;
    }

    std::vector<DraftInsn>& insns_;
    std::vector<bool> targets_;
    std::vector<bool> dropped_;
};

} // namespace

void combine_loads(Draft& draft) {
    const std::vector<bool> dropped = Combiner(draft).run();
    draft.erase_if([&](u32 i) { return dropped[i]; });
}

} // namespace xdplane
