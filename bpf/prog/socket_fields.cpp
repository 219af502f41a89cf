// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
#include "bpf/prog/socket_fields.h"

#include <algorithm>
#include <cstddef>
#include <linux/bpf.h>
#include <span>

namespace xdplane {
namespace {

struct Field {
    u16 begin;
    u16 size;
    u16 count;   ///< of elements of `size` bytes
    bool narrow; ///< parts may be read
    bool common; ///< of every socket, not only of full ones
};
#define FIELD(type, name, narrow, common) {offsetof(type, name), sizeof(type::name), 1, narrow, common}

constexpr Field kSock[] = {
    FIELD(bpf_sock, bound_dev_if, false, false), FIELD(bpf_sock, family, true, true),
    FIELD(bpf_sock, type, true, false),          FIELD(bpf_sock, protocol, true, false),
    FIELD(bpf_sock, mark, false, false),         FIELD(bpf_sock, priority, false, false),
    FIELD(bpf_sock, src_ip4, true, true),        {offsetof(bpf_sock, src_ip6), 4, 4, true, true},
    FIELD(bpf_sock, src_port, true, true),       FIELD(bpf_sock, dst_port, true, true),
    FIELD(bpf_sock, dst_ip4, true, true),        {offsetof(bpf_sock, dst_ip6), 4, 4, true, true},
    FIELD(bpf_sock, state, true, true),          FIELD(bpf_sock, rx_queue_mapping, true, false),
};

bool sock_valid(i64 off, u32 size, bool common_only) {
    if (off < 0 || off >= i64{sizeof(bpf_sock)} || off % size != 0) return false;
    // The old, wider way to read the port is kept.
    if (off == i64{offsetof(bpf_sock, dst_port)} && size == 4) return true;
    if (off >= i64{offsetof(bpf_sock, dst_port)} + 2 && off < i64{offsetof(bpf_sock, dst_ip4)}) return false;
    const auto* row = std::ranges::find_if(kSock, [&](const Field& f) {
        return off >= f.begin && off + i64{size} <= f.begin + i64{f.size} * f.count;
    });
    if (row == std::end(kSock) || (common_only && !row->common)) return false;
    if (size == row->size) return true;
    return row->narrow && size < row->size;
}

/// Fields of 8 bytes in struct bpf_tcp_sock; the others have 4.
bool tcp_valid(i64 off, u32 size) {
    if (off < 0 || off >= i64{sizeof(bpf_tcp_sock)} || off % size != 0) return false;
    const bool wide =
        off == i64{offsetof(bpf_tcp_sock, bytes_received)} || off == i64{offsetof(bpf_tcp_sock, bytes_acked)};
    return size == (wide ? 8U : 4U);
}

bool xdp_valid(i64 off, u32 size) { return off == i64{offsetof(bpf_xdp_sock, queue_id)} && size == 4; }

} // namespace

bool socket_field_valid(SocketView view, i64 off, u32 size) {
    switch (view) {
    case SocketView::full: return sock_valid(off, size, false);
    case SocketView::common: return sock_valid(off, size, true);
    case SocketView::tcp: return tcp_valid(off, size);
    case SocketView::xdp: return xdp_valid(off, size);
    }
    return false;
}

} // namespace xdplane
