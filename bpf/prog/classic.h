// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
#pragma once
#include <span>
#include <vector>

#include "bpf/base/result.h"
#include "bpf/isa/insn.h"

/// Classic BPF (McCanne and Jacobson, USENIX 1993; Documentation/networking/filter.rst) as a source of eBPF
/// socket filters.
namespace xdplane {

/// struct sock_filter of <linux/filter.h>, struct bpf_insn of libpcap.
struct ClassicInsn {
    u16 code;
    u8 jt;
    u8 jf;
    u32 k;
};
static_assert(sizeof(ClassicInsn) == 8);

/// Two machines share the instructions and differ at the edges.
enum class ClassicDialect : u8 {
    /// Linux's: offsets at and above 2^31 are negative: SKF_AD_OFF reads packet metadata, SKF_NET_OFF and
    /// SKF_LL_OFF count from the network and link headers; shift counts are taken modulo 32; constant shifts
    /// of 32 and more are refused.
    linux_kernel,
    /// libpcap's bpf_filter(), which tcpdump applies to a file: offsets are unsigned, whatever lies beyond
    /// the
    /// captured bytes ends the program with 0; shifts by X of 32 and more give 0. JA may go back, as libpcap
    /// makes it do for "protochain"; a packet that goes back more than kMaxClassicTurns times is not wanted.
    libpcap,
};

inline constexpr u32 kMaxClassicInsns = 4096; ///< BPF_MAXINSNS
/// Each turn of a "protochain" passes an extension header of at least 8 bytes; the verifier walks all turns.
inline constexpr u32 kMaxClassicTurns = 1024;

/// Translates a classic program to eBPF of type BPF_PROG_TYPE_SOCKET_FILTER: r6 context, r0 accumulator, r7
/// index register, scratch memory on the stack. Unreachable instructions are left out. The result still has
/// to pass the verifier.
///
/// Errors: EINVAL with the index of the instruction and the reason, for everything that Linux's
/// bpf_check_classic() refuses; EOPNOTSUPP for netlink attributes and the payload offset, which need kernel
/// state that does not exist here.
[[nodiscard]] Result<std::vector<Insn>> translate_classic(std::span<const ClassicInsn> program,
                                                          ClassicDialect dialect);

} // namespace xdplane
