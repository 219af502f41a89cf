// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
#pragma once
#include <random>
#include <vector>

#include "bpf/isa/opcodes.h"

namespace xdplane {

/// A random program of arithmetic and comparisons of scalars, which Linux accepts: r0 points to a map value
/// of 64 bytes, r1 to r9 are numbers loaded from it or constants. Jumps lead forward.
class ScalarProgram {
public:
    /// The same program for the same seed, on every machine.
    explicit ScalarProgram(u64 seed);

    /// r0 is the value of the array map `map_fd`. Insn n of the program is insn kPrologue + n of these.
    [[nodiscard]] std::vector<Insn> insns(int map_fd) const;
    static constexpr u32 kPrologue = 2;

    /// How many insns could be left out, and the program without one of them: for making failures readable.
    [[nodiscard]] std::size_t size() const { return items_.size(); }
    [[nodiscard]] ScalarProgram without(std::size_t item) const;

private:
    struct Item {
        Insn insn;
        std::size_t target = 0; ///< jumps: index of an item, or size(): the end
    };
    ScalarProgram() = default;

    void add(Op op, u8 dst, u8 src, i32 imm, i16 off = 0);
    void add_start(u8 reg);
    void add_load(u8 reg);
    void add_alu();
    void add_move();
    void add_jump();
    u64 random(u64 below) { return random_() % below; }
    u8 random_reg() { return static_cast<u8>(1 + random(kRegs)); }
    i32 random_number();

    static constexpr u32 kRegs = 5; ///< r1 to r5: few, so that they meet often
    std::mt19937_64 random_;
    std::vector<Item> items_;
    u32 jumps_ = 0;
};

} // namespace xdplane
