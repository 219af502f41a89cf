// SPDX-License-Identifier: (GPL-2.0-only OR BSD-3-Clause)
// Copyright (c) 2026, the xdplane authors
//
// Looks into the first line of HTTP requests: method, path against patterns of
// a table (prefix match by hash of its first bytes), and the Host header found
// by scanning for line ends in a bounded window.
//
// Style: character classes by table, state machine with switch in a loop.
#include "include/corpus.h"
#include <linux/if_ether.h>
#include <linux/in.h>
#include <linux/ip.h>
#include <linux/tcp.h>

#define WINDOW 32
#define PATH_PREFIX 8

enum char_class { C_OTHER, C_SPACE, C_CR, C_LF, C_COLON, C_SLASH };
enum scan_state { S_METHOD, S_PATH, S_REST, S_LINE_START, S_HEADER, S_DONE };

static const __u8 classes[256] = {
    [' '] = C_SPACE, ['\r'] = C_CR, ['\n'] = C_LF, [':'] = C_COLON, ['/'] = C_SLASH,
};

struct path_key {
    char prefix[PATH_PREFIX];
};

struct {
    __uint(type, BPF_MAP_TYPE_HASH);
    __uint(max_entries, 512);
    __type(key, struct path_key);
    __type(value, __u64);
} blocked_paths SEC(".maps");

__u64 methods[8];
__u64 malformed;

static __always_inline int method_of(const __u8* p) {
    switch (p[0]) {
    case 'G': return p[1] == 'E' && p[2] == 'T' && p[3] == ' ' ? 1 : 0;
    case 'P':
        if (p[1] == 'O' && p[2] == 'S' && p[3] == 'T') return 2;
        if (p[1] == 'U' && p[2] == 'T' && p[3] == ' ') return 3;
        return p[1] == 'A' && p[2] == 'T' && p[3] == 'C' ? 4 : 0;
    case 'H': return p[1] == 'E' && p[2] == 'A' && p[3] == 'D' ? 5 : 0;
    case 'D': return p[1] == 'E' && p[2] == 'L' && p[3] == 'E' ? 6 : 0;
    case 'O': return p[1] == 'P' && p[2] == 'T' && p[3] == 'I' ? 7 : 0;
    }
    return 0;
}

struct found {
    struct path_key path;
    __u32 path_length;
    __u32 headers;
    __u8 has_host;
};

static __always_inline int scan(__u8* at, void* end, struct found* f) {
    int state = S_METHOD;
    __u32 path = 0;
    LOOP for (int i = 0; i < WINDOW; i++) {
#if BREAK == 1
        if ((void*)at + i > end) break;
#else
        if ((void*)at + i + 1 > end) break;
#endif
        __u8 c = at[i];
        __u8 class = classes[c];
        switch (state) {
        case S_METHOD:
            if (class == C_SPACE) state = S_PATH;
            break;
        case S_PATH:
            if (class == C_SPACE) {
                state = S_REST;
            } else {
#if BREAK == 2
                f->path.prefix[path + 128] = c;
#else
                if (path < PATH_PREFIX) f->path.prefix[path & (PATH_PREFIX - 1)] = c;
#endif
                path++;
            }
            break;
        case S_REST:
        case S_HEADER:
            if (class == C_LF) state = S_LINE_START;
            break;
        case S_LINE_START:
            f->headers++;
            state = class == C_CR ? S_DONE : S_HEADER;
            break;
        }
        if (state == S_DONE) break;
    }
    f->path_length = path;
    return state >= S_REST;
}

SEC("xdp")
BROKEN(1, "invalid access to packet")
BROKEN(2, "invalid write to stack")
int http(struct xdp_md* ctx) {
    void* data = (void*)(long)ctx->data;
    void* end = (void*)(long)ctx->data_end;
    struct ethhdr* eth = data;
    struct iphdr* ip = (void*)(eth + 1);
    struct tcphdr* tcp = (void*)(ip + 1);
    if ((void*)(tcp + 1) > end || eth->h_proto != bpf_htons(ETH_P_IP)) return XDP_PASS;
    if (ip->ihl != 5 || ip->protocol != IPPROTO_TCP || tcp->dest != bpf_htons(80)) return XDP_PASS;
    __u8* payload = (void*)tcp + tcp->doff * 4;
    if ((void*)(payload + 8) > end) return XDP_PASS;
    int method = method_of(payload);
    if (!method) return XDP_PASS;
    methods[method & 7]++;
    struct found f = {};
    if (!scan(payload, end, &f)) {
        __sync_fetch_and_add(&malformed, 1);
        return XDP_PASS;
    }
    __u64* hits = bpf_map_lookup_elem(&blocked_paths, &f.path);
    if (!hits) return XDP_PASS;
    __sync_fetch_and_add(hits, 1);
    return XDP_DROP;
}

LICENSED;
