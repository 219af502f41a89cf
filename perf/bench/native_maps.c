/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026, the xdplane authors
 */
#include "perf/bench/native_maps.h"

static uint32_t at_least_one(uint32_t n) { return n == 0 ? 1 : n; }

void native_prepare(struct native_map* map, uint32_t entries, uint64_t* table_bytes, uint64_t* values_bytes) {
    map->entries = entries;
    *table_bytes = 0;
    *values_bytes = 0;
    switch ((enum native_kind)map->kind) {
    case NATIVE_ARRAY:
    case NATIVE_PERCPU_ARRAY: *values_bytes = (uint64_t)entries * ((map->value_size + 7) / 8 * 8); return;
    case NATIVE_LPM_TRIE:
        map->used = 0;
        map->groups = 0;
        *table_bytes = (uint64_t)4 << 24;
        *values_bytes = ((uint64_t)entries + 1) * 8;
        return;
    case NATIVE_HASH:
    case NATIVE_PERCPU_HASH:
    case NATIVE_LRU_HASH: break;
    }
    const uint32_t per_line = native_keys_per_line(map->key_size);
    if (native_is_small(map->kind, map->key_size, map->value_size)) {
        map->lines = at_least_one(entries);
    } else {
        /* An LRU holds what was asked for, rounded up; others are two thirds full, or half with one key. */
        const uint32_t room = map->kind == NATIVE_LRU_HASH ? entries : entries + entries / 2 + entries % 2;
        map->lines = at_least_one((room + per_line - 1) / per_line);
        if (per_line == 1 && map->kind != NATIVE_LRU_HASH) map->lines = at_least_one(2 * entries);
        *values_bytes = (uint64_t)map->lines * per_line * map->value_size;
    }
    *table_bytes = (uint64_t)map->lines * 64;
}

/* Sets the entries of one level that the prefix covers, from bit `level_bits` on the level above is done. */
static void set_range(uint32_t* entries, uint32_t first, uint32_t count, uint32_t value) {
    for (uint32_t i = 0; i < count; i++) entries[first + i] = value;
}

static int put_prefix(struct native_map* map, const uint8_t* key, const void* value) {
    uint32_t length;
    memcpy(&length, key, 4);
    const uint8_t* bits = key + 4;
    const uint32_t number = ++map->used;
    memcpy(map->values + (uint64_t)number * 8, value, 8);
    uint32_t* entry = (uint32_t*)map->table + (bits[0] << 16 | bits[1] << 8 | bits[2]);
    if (length <= 24) {
        set_range(entry, 0, 1U << (24 - length), number);
        return 0;
    }
    for (uint32_t at = 24;; at += 8) {
        if (!(*entry & NATIVE_GROUP)) {
            if (map->groups == map->group_room) return -1;
            set_range(map->level8 + (uint64_t)map->groups * 256, 0, 256, *entry);
            *entry = map->groups++ | NATIVE_GROUP;
        }
        uint32_t* group = map->level8 + (uint64_t)(*entry & ~NATIVE_GROUP) * 256;
        entry = group + bits[at / 8];
        if (length <= at + 8) {
            set_range(entry, 0, 1U << (at + 8 - length), number);
            return 0;
        }
    }
}

void* native_get(struct native_map* map, const void* key) {
    return native_lookup(map, (enum native_kind)map->kind, key, map->key_size, map->value_size);
}

int native_put(struct native_map* map, const void* key, const void* value) {
    if (map->kind == NATIVE_LPM_TRIE) return put_prefix(map, key, value);
    native_update(map, (enum native_kind)map->kind, key, value, map->key_size, map->value_size);
    return 0;
}

#if defined(__x86_64__)
#define CHECK(name)                                                                                          \
    if (!__builtin_cpu_supports(name)) return name
#endif

const char* native_missing(void) {
#if defined(__x86_64__)
    __builtin_cpu_init();
#ifdef __AVX512F__
    CHECK("avx512f");
#endif
#ifdef __AVX512VL__
    CHECK("avx512vl");
#endif
#ifdef __AVX512BW__
    CHECK("avx512bw");
#endif
#ifdef __AVX2__
    CHECK("avx2");
#endif
#ifdef __BMI2__
    CHECK("bmi2");
#endif
#ifdef __SSE4_2__
    CHECK("sse4.2");
#endif
#endif
    return 0;
}

const char* native_compiler(void) { return "clang " __clang_version__ ", -O2 -march=native"; }
