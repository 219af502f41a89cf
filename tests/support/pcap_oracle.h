// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
#pragma once
#include <span>

#include "bpf/prog/classic.h"

/// libpcap's own machine for classic BPF, behind a header of our types: pcap.h and linux/bpf.h do not agree
/// about the names of opcodes.
namespace xdplane {

/// bpf_validate().
[[nodiscard]] bool libpcap_accepts(std::span<const ClassicInsn> program);
/// bpf_filter() on the captured bytes of a packet that had wire_len bytes on the wire.
[[nodiscard]] u32 libpcap_run(std::span<const ClassicInsn> program, std::span<const u8> packet, u32 wire_len);

} // namespace xdplane
