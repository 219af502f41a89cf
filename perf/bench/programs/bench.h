/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026, the xdplane authors
 *
 * What the programs of the benchmark are written with. Each is one header that defines
 *
 *     static ALWAYS_INLINE int judge(void* data, void* data_end)
 *
 * with maps declared by MAP() and used by LOOKUP() and UPDATE(). A flavor, one small source each, compiles it
 * to an XDP program (xdp.bpf.c), a loop over packets in a map of the running kernel (loop.bpf.c), a program
 * for DPDK's rte_bpf (rte.bpf.c), or native code (native.c).
 */
#ifndef XDPLANE_BENCH_H
#define XDPLANE_BENCH_H

typedef unsigned char u8;
typedef unsigned short u16;
typedef unsigned int u32;
typedef unsigned long long u64;

#define ALWAYS_INLINE inline __attribute__((always_inline))
#define NET16(x) __builtin_bswap16(x)
#define NET32(x) __builtin_bswap32(x)

enum { ABORTED, DROP, PASS, TX };

#if defined(BENCH_NATIVE)
#include "perf/bench/native_maps.h"

#define MAP(map, map_kind, key_type, value_type, most)                                                       \
    typedef key_type map##_key;                                                                              \
    typedef value_type map##_value;                                                                          \
    enum { map##_kind = NATIVE_##map_kind };                                                                 \
    static void* map##_find(const void* key);                                                                \
    static struct native_map map                                                                             \
        __attribute__((section("native_maps"), used)) = {.program = PROGRAM_NAME,                            \
                                                         .name = #map,                                       \
                                                         .kind = NATIVE_##map_kind,                          \
                                                         .key_size = sizeof(key_type),                       \
                                                         .value_size = sizeof(value_type),                   \
                                                         .entries = most,                                    \
                                                         .find = map##_find};                                \
    static void* map##_find(const void* key) { return LOOKUP(map, key); }                                    \
    typedef int map##_is_declared
#define LOOKUP(name, key)                                                                                    \
    ((name##_value*)native_lookup(&name, (enum native_kind)name##_kind, key, sizeof(name##_key),             \
                                  sizeof(name##_value)))
#define UPDATE(name, key, value)                                                                             \
    native_update(&name, (enum native_kind)name##_kind, key, value, sizeof(name##_key), sizeof(name##_value))

#elif defined(BENCH_RTE)
/* One function of ours per map, which DPDK's code calls: it has no maps. */
#define MAP(name, kind, key_type, value_type, most)                                                          \
    typedef value_type name##_value;                                                                         \
    extern void* rte_lookup_##name(const void* key)
#define LOOKUP(name, key) ((name##_value*)rte_lookup_##name(key))

#else
/* clang-format off */
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>
/* clang-format on */

#define BPF_KIND_ARRAY BPF_MAP_TYPE_ARRAY
#define BPF_KIND_PERCPU_ARRAY BPF_MAP_TYPE_PERCPU_ARRAY
#define BPF_KIND_HASH BPF_MAP_TYPE_HASH
#define BPF_KIND_PERCPU_HASH BPF_MAP_TYPE_PERCPU_HASH
#define BPF_KIND_LRU_HASH BPF_MAP_TYPE_LRU_HASH
#define BPF_KIND_LPM_TRIE BPF_MAP_TYPE_LPM_TRIE
#define BPF_FLAGS_ARRAY 0
#define BPF_FLAGS_PERCPU_ARRAY 0
#define BPF_FLAGS_HASH 0
#define BPF_FLAGS_PERCPU_HASH 0
#define BPF_FLAGS_LRU_HASH 0
#define BPF_FLAGS_LPM_TRIE BPF_F_NO_PREALLOC

#define MAP(name, kind, key_type, value_type, most)                                                          \
    struct {                                                                                                 \
        __uint(type, BPF_KIND_##kind);                                                                       \
        __uint(max_entries, most);                                                                           \
        __uint(map_flags, BPF_FLAGS_##kind);                                                                 \
        __type(key, key_type);                                                                               \
        __type(value, value_type);                                                                           \
    } name SEC(".maps")
#define LOOKUP(name, key) bpf_map_lookup_elem(&name, key)
#define UPDATE(name, key, value) bpf_map_update_elem(&name, key, value, BPF_ANY)
#endif

#endif
