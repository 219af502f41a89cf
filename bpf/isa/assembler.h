// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
#pragma once
#include <string_view>
#include <vector>

#include "bpf/base/result.h"
#include "bpf/isa/insn.h"

namespace xdplane {

/// Text to instructions: the C-like syntax of clang's BPF assembly and of Linux's disassembly, which
/// disassemble() prints; made for tests. One instruction or label a line; "#", ";" and "//" start comments
/// (";" at the end of a line, as clang writes it, is one).
///
///   r1 = 5; w1 = -1; r1 = r2; r1 s/= r2; r1 = (s8)r2; w3 = -w3; r1 = be16 r1; r1 = bswap64 r1
///   r1 = 0x1122334455667788 ll; r1 = map[fd:3]; r1 = map[fd:3][0]+8; r1 = map[idx:0]; r1 = subprog[f]
///   r1 = *(u32 *)(r2 + 16); r1 = *(s8 *)(r2 - 1); *(u64 *)(r10 -8) = r1; *(u8 *)(r1 +0) = 7
///   lock *(u64 *)(r10 -8) += r1; r1 = atomic64_fetch_add((u64 *)(r10 -8), r1)
///   r0 = atomic_cmpxchg((u32 *)(r10 -8), r0, r1); r1 = atomic64_xchg((u64 *)(r10 -8), r1)
///   r1 = load_acquire((u64 *)(r2 +8)); store_release((u8 *)(r1 +0), r2); may_goto pc+3
///   if w1 s> 0x5 goto pc+3; if r1 & r2 goto done; goto pc-2; gotol done; done:
///   call bpf_map_lookup_elem#1; call #1; call pc+5; call function; exit
///   r0 = *(u16 *)skb[12]; r0 = *(u8 *)skb[r1 + 23]
///   .insn 0x07 1 2 0 5             raw fields: opcode dst src off imm, for what has no row
///
/// "r1 = NUMBER" is a 32-bit immediate, sign-extended; one that does not fit needs "ll". Immediates may be
/// written as unsigned 32-bit hex. Errors are EINVAL and name the line, counted from 1.
[[nodiscard]] Result<std::vector<Insn>> assemble(std::string_view text);

} // namespace xdplane
