// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
#pragma once
#include <random>
#include <vector>

#include "bpf/isa/opcodes.h"

namespace xdplane::test {

/// Maps that random programs use: ld_imm64 names them by these numbers instead of fds.
enum RandomMap : i32 {
    kRandomArray,  ///< array, 4 elements of 16 bytes
    kRandomHash,   ///< hash, keys of 4 and values of 24 bytes, 8 elements
    kRandomData,   ///< array of one element of 40 bytes, also addressed directly
    kRandomRodata, ///< the same, 32 bytes, BPF_F_RDONLY_PROG and frozen
    kRandomMaps,
};
inline constexpr u32 kRandomValueSizes[kRandomMaps] = {16, 24, 40, 32};

/// Random XDP programs of the kind that people write and that attackers write: packet, map and stack accesses
/// at offsets that were bounded in one of many ways, null checks, spills, sub-programs, loops, helpers. Most
/// are right, many nearly: bounds off by one, checks of the wrong register or forgotten, single fields of
/// insns changed; some hold a pattern that is never safe, which must be found. The same seed gives the same
/// program in every run of one binary (compilers may draw the arguments of a call in another order).
class RandomProgram {
public:
    explicit RandomProgram(u64 seed) : random_(seed * 0x9e3779b97f4a7c15ULL + 1) {}

    [[nodiscard]] std::vector<Insn> make();
    /// A packet to run it on, of 14 to 120 bytes.
    [[nodiscard]] std::vector<u8> packet();
    [[nodiscard]] u32 pick(u32 low, u32 high) { return low + static_cast<u32>(random_() % (high - low + 1)); }

private:
    using Label = std::vector<std::size_t>; ///< jumps that wait for their target

    bool one_in(u32 n) { return pick(1, n) == 1; }
    /// n, or now and then a neighbour: the mistakes of people.
    i32 about(i32 n);

    void emit(Op op, u8 dst = 0, u8 src = 0, i32 off = 0, i32 imm = 0);
    void jump(Label& label, Op op, u8 dst = 0, u8 src = 0, i32 imm = 0);
    void bind(Label& label);
    void mov(u8 dst, u8 src) { emit(Op::mov64_reg, dst, src); }
    void set(u8 dst, i32 imm) { emit(Op::mov64_imm, dst, 0, 0, imm); }
    void add(u8 dst, i32 imm) { emit(Op::add64_imm, dst, 0, 0, imm); }
    void helper(i32 id) { emit(Op::call, 0, kCallHelper, 0, id); }
    void map_address(u8 dst, i32 map);
    void value_address(u8 dst, i32 map, i32 off);

    void prologue();
    void reload_packet();
    void some_template(u32 depth);
    void mutate();

    // random_program_numbers.cpp
    void scalar(u8 reg);
    void mix(u8 reg, bool wide);
    void bounded(u8 reg, i32 most, Label& skip, u32 depth = 0);
    void bounded_by_mask(u8 reg, i32 most);
    void bounded_by_jumps(u8 reg, i32 most, Label& skip);
    void bounded_by_copy(u8 reg, i32 most, Label& skip);
    void bounded_by_arithmetic(u8 reg, i32 most, Label& skip, u32 depth);

    // random_program_memory.cpp
    void touch(u8 base, i32 from, i32 size, bool stack = false);
    void packet_check(u8 pointer, u8 end, Label& skip);
    void packet_fixed();
    void packet_variable();
    void packet_meta();
    void map_lookup();
    void map_direct();
    void map_change();
    void stack_variable();
    void spills();
    void helper_on_memory();
    void adjust();

    // random_program_paths.cpp
    void arithmetic();
    void loop();
    void two_ways();
    void keep_pointer();
    void use_pointer();
    void call_function();
    void function_body(u32 kind);
    void functions();

    // random_program_attacks.cpp
    void padding();
    void use_as_offset(u8 reg, i32 most);
    void attack_numbers(u32 kind);
    void attack_pointers(u32 kind);
    void attack();

    std::mt19937_64 random_;
    std::vector<Insn> insns_;
    std::vector<std::pair<std::size_t, u32>> calls_; ///< of functions, by kind
    Label out_;
    bool in_function_ = false;
    i32 known_ = 0;    ///< bytes of packet behind r7 that were checked at the start
    i32 r9_most_ = -1; ///< what r9 is at most on every path, if the generator knows
    int kept_ = 0;     ///< what slot -48 holds: 0 nothing, 1 packet pointer, 2 value, 3 value or null
    i32 kept_size_ = 0;
};

} // namespace xdplane::test
