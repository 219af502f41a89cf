// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
#pragma once
#include "bpf/base/types.h"

namespace xdplane {

inline constexpr u32 kLinkEthernet = 1; ///< LINKTYPE_ETHERNET

/// One packet of a capture. Pointers are valid until the reader reads on.
struct CapturedPacket {
    const u8* data = nullptr;
    u32 captured = 0; ///< bytes at data
    u32 wire_len = 0; ///< bytes the packet had on the wire
    u64 timestamp_ns = 0;
    u32 link_type = kLinkEthernet;
    /// The bytes that CaptureWriter makes of this packet with the precision of the file, if the file holds
    /// them as they are: kRecordHeader bytes and the packet. Else null.
    const u8* record = nullptr;

    static constexpr u32 kRecordHeader = 16;
};

} // namespace xdplane
