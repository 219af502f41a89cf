// SPDX-License-Identifier: (GPL-2.0-only OR BSD-3-Clause)
// Copyright (c) 2026, the xdplane authors
//
// Reads a text protocol over UDP: "SET name value", "GET name", "DUMP": words
// cut out of the packet, numbers by bpf_strtol and bpf_strtoul, answers and
// traces by bpf_snprintf, comparison by bpf_strncmp.
//
// Style: string handling with scratch buffers in a per-CPU map.
#include "include/corpus.h"
#include <linux/if_ether.h>
#include <linux/in.h>
#include <linux/ip.h>
#include <linux/udp.h>

#define PORT 11300
#define LINE 64
#define NAME 16

struct work {
    char line[LINE];
    char name[NAME];
    char answer[LINE];
    long value;
};

struct name_key {
    char text[NAME];
};

struct {
    __uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
    __uint(max_entries, 1);
    __type(key, __u32);
    __type(value, struct work);
} work SEC(".maps");

struct {
    __uint(type, BPF_MAP_TYPE_HASH);
    __uint(max_entries, 1000);
    __type(key, struct name_key);
    __type(value, long);
} values SEC(".maps");

struct {
    __uint(type, BPF_MAP_TYPE_RINGBUF);
    __uint(max_entries, 65536);
} events SEC(".maps");

static const char word_set[] = "SET ";
#if BREAK == 6
const char open_ended[4] SEC(".rodata.open") = {'S', 'E', 'T', ' '};
#endif
static const char word_get[] = "GET ";
static const char answer_format[] = "%s = %ld (%d of %d)\n";

// Copies a word; returns the index behind it, or 0.
static __noinline __u32 take_word(const char* line, __u32 at, char* word) {
    if (!line || !word) return 0;
    for (__u32 i = 0; i < NAME - 1; i++) {
        __u32 j = at + i;
        if (j >= LINE) return 0;
        char c = line[j];
        if (c == ' ' || c == '\n' || c == 0) {
            word[i] = 0;
            return j + 1;
        }
        word[i] = c;
    }
    return 0;
}

static __noinline int copy_line(struct xdp_md* ctx, struct work* w) {
    __u8* from = (void*)(long)ctx->data + 42;
    void* end = (void*)(long)ctx->data_end;
    __builtin_memset(w, 0, sizeof(*w));
    for (int i = 0; i < LINE - 1; i++) {
        if ((void*)(from + i + 1) > end) break;
        w->line[i] = from[i];
    }
    return 0;
}

SEC("xdp")
BROKEN(1, "R3 type=")
BROKEN(2, "R3 does not point to a readonly map")
BROKEN(3, "R4 type=")
BROKEN(4, "invalid access to map value")
BROKEN(5, "R3 does not point to a readonly map")
BROKEN(6, "string is not zero-terminated")
int text_protocol(struct xdp_md* ctx) {
    void* data = (void*)(long)ctx->data;
    void* end = (void*)(long)ctx->data_end;
    struct ethhdr* eth = data;
    struct iphdr* ip = (void*)(eth + 1);
    struct udphdr* udp = (void*)(ip + 1);
    __u32 zero = 0;
    if ((void*)(udp + 1) > end || eth->h_proto != bpf_htons(ETH_P_IP)) return XDP_PASS;
    if (ip->ihl != 5 || ip->protocol != IPPROTO_UDP || udp->dest != bpf_htons(PORT)) return XDP_PASS;
    struct work* w = bpf_map_lookup_elem(&work, &zero);
    if (!w) return XDP_DROP;
    copy_line(ctx, w);
    struct name_key key = {};
#if BREAK == 2
    if (bpf_strncmp(w->line, 4, w->name) == 0) {
#elif BREAK == 6
    if (bpf_strncmp(w->line, 4, open_ended) == 0) {
#else
    if (bpf_strncmp(w->line, 4, word_set) == 0) {
#endif
        __u32 at = take_word(w->line, 4, key.text);
        if (at == 0 || at > LINE - 20) return XDP_DROP;
        long value;
#if BREAK == 3
        long n = bpf_strtol(w->line + at, 20, 10, (long*)(long)at);
#elif BREAK == 4
        long n = bpf_strtol(w->line + at, LINE * 4, 10, &value);
#else
        long n = bpf_strtol(w->line + at, 20, 10, &value);
#endif
        if (n <= 0) return XDP_DROP;
        bpf_map_update_elem(&values, &key, &value, BPF_ANY);
        return XDP_TX;
    }
    if (bpf_strncmp(w->line, 4, word_get) == 0) {
        if (!take_word(w->line, 4, key.text)) return XDP_DROP;
        long* value = bpf_map_lookup_elem(&values, &key);
        if (!value) return XDP_DROP;
        __u64 arguments[] = {(__u64)(long)key.text, *value, 1, 2};
#if BREAK == 1
        long n = bpf_snprintf(w->answer, sizeof(w->answer), (char*)(long)zero, arguments, sizeof(arguments));
#elif BREAK == 5
        long n = bpf_snprintf(w->answer, sizeof(w->answer), w->line, arguments, sizeof(arguments));
#else
        long n = bpf_snprintf(w->answer, sizeof(w->answer), answer_format, arguments, sizeof(arguments));
#endif
        if (n < 0) return XDP_ABORTED;
        bpf_ringbuf_output(&events, w->answer, sizeof(w->answer), 0);
        return XDP_DROP;
    }
    unsigned long mask;
    if (bpf_strtoul(w->line, 20, 16, &mask) > 0 && mask & 1) {
        bpf_printk("mask %lx", mask);
        return XDP_DROP;
    }
    bpf_printk("unknown: %d bytes from %x to %x", (int)(end - data), ip->saddr, ip->daddr);
    return XDP_PASS;
}

LICENSED;
