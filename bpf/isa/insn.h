// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
#pragma once
#include "bpf/base/types.h"

/// The instruction as it is encoded in object files and crosses bpf(2): RFC 9669 section 3, little-endian.
namespace xdplane {

struct Insn {
    u8 opcode;
    u8 dst : 4;
    u8 src : 4;
    i16 off;
    i32 imm;

    friend bool operator==(const Insn&, const Insn&) = default;
};
static_assert(sizeof(Insn) == 8);

/// Register numbers: r0 return value, r1-r5 arguments, r6-r9 callee saved, r10 frame pointer.
enum Reg : u8 { R0, R1, R2, R3, R4, R5, R6, R7, R8, R9, R10 };
inline constexpr u32 kRegisters = 11;

/// Limits of Linux (include/linux/filter.h, include/linux/bpf_verifier.h).
inline constexpr u32 kStackSize = 512;      ///< bytes per frame, and for a whole call chain
inline constexpr u32 kMaxCallFrames = 8;    ///< main program and 7 nested calls
inline constexpr u32 kMaxTailCalls = 33;    ///< per run of a program
inline constexpr u32 kMaxLoops = 1U << 23;  ///< of a bpf_loop, a number iterator, and a frame's may_goto
inline constexpr u32 kMaxInsns = 1'000'000; ///< in a program, and simulated by the verifier
inline constexpr u32 kMaxInsnsUnprivileged = 4096;

/// src field of ld_imm64 (RFC 9669 section 5.4) and of call (section 4.3.2).
enum PseudoLoad : u8 {
    kImm64 = 0,
    kMapFd = 1,    ///< imm: fd of a map
    kMapValue = 2, ///< imm: fd of a map, next_imm: offset into its value at index 0
    kVarAddr = 3,  ///< imm: BTF id of a kernel variable
    kCodeAddr = 4, ///< imm: distance in insns to a sub-program, for callbacks
    kMapIndex = 5, ///< imm: index into fd_array
    kMapIndexValue = 6,
};
enum PseudoCall : u8 { kCallHelper = 0, kCallLocal = 1, kCallKfunc = 2 };

/// imm of an atomic (RFC 9669 section 5.3; BPF_LOAD_ACQ and BPF_STORE_REL of linux/bpf.h).
enum AtomicOp : u32 {
    kAtomicAdd = 0x00,
    kAtomicOr = 0x40,
    kAtomicAnd = 0x50,
    kAtomicXor = 0xa0,
    kFetch = 0x01,
    kAtomicXchg = 0xe1,
    kAtomicCmpxchg = 0xf1,
    kLoadAcquire = 0x100,
    kStoreRelease = 0x110,
};

/// The cast between an arena and its view in user space: it has no row, because there are no arenas here.
[[nodiscard]] inline bool is_addr_space_cast(const Insn& insn) {
    return insn.opcode == 0xbf && insn.off == 1;
}

} // namespace xdplane
