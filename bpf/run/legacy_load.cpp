// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
#include "bpf/run/legacy_load.h"

#include <cerrno>
#include <linux/filter.h>
#include <linux/if_ether.h>

#include "bpf/run/skb.h"

namespace xdplane {

i64 legacy_load(const XdpBuff* packet, i32 offset, u32 size) noexcept {
    i64 from = offset;
    if (offset < 0) {
        if (offset >= SKF_NET_OFF) {
            from = i64{offset} - SKF_NET_OFF + (packet->skb_ready ? network_offset(*packet) : ETH_HLEN);
        } else if (offset >= SKF_LL_OFF) {
            from = i64{offset} - SKF_LL_OFF + (packet->skb_ready ? mac_offset(*packet) : 0);
        } else {
            return -EFAULT;
        }
    }
    // The link-layer header may lie in front of data: Linux lets programs read it there.
    if (from < packet->hard_start - packet->data || from + size > packet->data_end - packet->data)
        return -EFAULT;
    u32 value = 0;
    for (u32 i = 0; i < size; ++i) value = value << 8 | packet->data[from + i];
    return value;
}

} // namespace xdplane
