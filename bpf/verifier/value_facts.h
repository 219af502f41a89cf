// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
#pragma once
#include <limits>
#include <span>
#include <vector>

#include "bpf/base/types.h"

/// What registers can hold, insn by insn, on every execution.
///
/// The states of the simulation do not tell that: where a path is pruned, numbers that nobody relied on may
/// be others than those of the older path. So this is a pass of its own over the insns that the simulation
/// reached: unsigned bounds, joined where paths meet and widened in loops; per function, with anything in
/// r1-r5 at its begin and in what calls return.
namespace xdplane {

struct InsnFacts;
struct FunctionFacts;
struct Insn;

/// min <= number <= max.
struct NumberBounds {
    u64 min = 0;
    u64 max = std::numeric_limits<u64>::max();

    [[nodiscard]] bool is_const() const { return min == max; }
    [[nodiscard]] bool upper_zero() const { return max <= std::numeric_limits<u32>::max(); }
    [[nodiscard]] bool contains(u64 n) const { return min <= n && n <= max; }
    [[nodiscard]] bool contains(const NumberBounds& n) const { return min <= n.min && n.max <= max; }
    friend bool operator==(const NumberBounds&, const NumberBounds&) = default;
};

/// 8 bytes per insn, and 16 per distinct run of bounds. Immutable; any thread may read it. Without any facts
/// (raw programs of tests) everything is unknown.
class ValueFacts {
public:
    /// Of the register that the insn writes (dst; src of fetching atomics; r0 of cmpxchg, calls and ld_abs),
    /// after it. Pointers are any number.
    [[nodiscard]] NumberBounds result(u32 insn) const {
        return insn < insns_.size() ? bounds_[insns_[insn].bounds] : NumberBounds{};
    }
    /// The upper 32 bits of the register that the dst or src field names are 0 before the insn.
    [[nodiscard]] bool dst_upper_zero(u32 insn) const {
        return insn < insns_.size() && insns_[insn].dst_upper_zero;
    }
    [[nodiscard]] bool src_upper_zero(u32 insn) const {
        return insn < insns_.size() && insns_[insn].src_upper_zero;
    }

private:
    friend class ValueAnalysis;
    struct PerInsn {
        u32 bounds : 30 = 0; ///< index
        bool dst_upper_zero : 1 = false;
        bool src_upper_zero : 1 = false;
    };
    static_assert(sizeof(PerInsn) <= 8);
    std::vector<PerInsn> insns_;
    std::vector<NumberBounds> bounds_; ///< the first is that of any number
};

/// `facts` are those of the simulation: which insns it reached, which ways jumps go, what memory is accessed.
/// Linear in time: blocks of a loop are walked a few times, and a bounded number of times at worst.
[[nodiscard]] ValueFacts find_values(std::span<const Insn> insns, std::span<const InsnFacts> facts,
                                     std::span<const FunctionFacts> functions);

} // namespace xdplane
