// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
#include "tests/support/pcap_oracle.h"

#include <pcap/pcap.h>

namespace xdplane {

static_assert(sizeof(bpf_insn) == sizeof(ClassicInsn));

bool libpcap_accepts(std::span<const ClassicInsn> program) {
    return bpf_validate(reinterpret_cast<const bpf_insn*>(program.data()),
                        static_cast<int>(program.size())) != 0;
}

u32 libpcap_run(std::span<const ClassicInsn> program, std::span<const u8> packet, u32 wire_len) {
    static constexpr u8 kNothing = 0;
    return bpf_filter(reinterpret_cast<const bpf_insn*>(program.data()),
                      packet.empty() ? &kNothing : packet.data(), wire_len,
                      static_cast<u_int>(packet.size()));
}

} // namespace xdplane
