// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
#pragma once
#include <random>
#include <vector>

#include "bpf/isa/opcodes.h"

namespace xdplane {

/// A random XDP program that Linux's verifier accepts by construction: packet bounds are checked, the stack
/// is filled before it is read, atomics are aligned, loops are bounded, pointers are never stored. It
/// computes on scalars, 64 bytes of packet, 64 bytes of stack a frame and a map value of kMapBytes, in
/// sub-programs too, and folds every register into r0 and the map value at the end.
///
/// Two places depend on who runs it, and have the same length for everyone: what the prologue loads from the
/// context, and the address of the map value.
struct RandomProgram {
    static constexpr u32 kPacketBytes = 64; ///< shorter packets leave early
    static constexpr u32 kMapBytes = 64;

    std::vector<Insn> insns;

    /// For bpf(2): the fd of an array map with one value of kMapBytes.
    [[nodiscard]] std::vector<Insn> for_bpf(int map_fd) const;
    /// For engines without verification: r1 is an XdpBuff, `value` the map value.
    [[nodiscard]] std::vector<Insn> raw(void* value) const;

    u32 load_data = 0; ///< indices of those places
    u32 load_data_end = 0;
    std::vector<u32> load_value;
};

/// The same program for the same seed, on every machine.
[[nodiscard]] RandomProgram generate_program(u64 seed);

} // namespace xdplane
