/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-3-Clause)
 * Copyright (c) 2026, the xdplane authors
 *
 * A program for DPDK's librte_bpf, which gets a struct rte_mbuf.
 */
#include PROGRAM_FILE

/* The beginning of struct rte_mbuf: its verifier knows where the packet is in one. */
struct mbuf {
    u8* buffer;
    u64 address;
    u16 offset;
    u16 references;
    u16 segments;
    u16 port;
    u64 flags;
    u32 type;
    u32 packet_length;
    u16 length;
};

__attribute__((section("rte"), used)) u64 bench(struct mbuf* mbuf) {
    u8* data = mbuf->buffer + mbuf->offset;
    return judge(data, data + mbuf->length);
}
