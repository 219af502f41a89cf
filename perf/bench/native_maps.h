/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026, the xdplane authors
 *
 * The maps of the native engine: what a C programmer would write who knows sizes and types beforehand and
 * needs neither updates while others read nor bpf(2). They are not the product's own, so they are also an
 * oracle for it, and they stay as they are when those change. C, because clang inlines them into the native
 * programs; filled and read by C++ through native_put() and native_get().
 *
 * Hashes: lines of 64 bytes, open addressing by lines, CRC-32C. Small entries (key, value and 8 bytes in
 * half a line): two per line, at most half full. Others: keys in lines, up to three of them, values apart.
 * LRU: the same without probing; a full line gives up its oldest entry. Tries: DIR-24-8 (Gupta, Lin and
 * McKeown 1998), with more levels of 8 bits for longer keys.
 */
#ifndef XDPLANE_NATIVE_MAPS_H
#define XDPLANE_NATIVE_MAPS_H
#include <stdint.h>
#include <string.h>

#ifdef __cplusplus
extern "C" {
#endif

enum native_kind {
    NATIVE_ARRAY,
    NATIVE_PERCPU_ARRAY,
    NATIVE_HASH,
    NATIVE_PERCPU_HASH,
    NATIVE_LRU_HASH,
    NATIVE_LPM_TRIE
};

struct native_map {
    const char* program;
    const char* name;
    uint32_t kind; /* enum native_kind */
    uint32_t key_size;
    uint32_t value_size;
    uint32_t entries;
    void* (*find)(const void* key); /* not inlined: for who calls it from elsewhere */
    /* Filled in by native_prepare(). */
    uint32_t lines; /* of a hash */
    uint32_t used;  /* trie: values; and groups, below */
    uint32_t groups;
    uint32_t group_room;
    uint8_t* table;   /* lines, or the first level of a trie */
    uint8_t* values;  /* apart from the keys */
    uint32_t* level8; /* trie: groups of 256 */
} __attribute__((aligned(128)));

/* What the native programs get for a packet. */
struct native_context {
    uint64_t data;
    uint64_t data_end;
};

/* What their loops over a burst see of an XdpBuff; engine_native.cpp compares the two. */
struct native_packet {
    uint64_t data;
    uint64_t data_end;
    char between[36];
    uint32_t verdict;
    char behind[136];
};

#ifndef __cplusplus
#define NATIVE_INLINE static inline __attribute__((always_inline))

NATIVE_INLINE uint32_t native_hash(const void* key, uint32_t size) {
    uint64_t hash = 0x9e3779b9;
    for (uint32_t i = 0; i + 8 <= size; i += 8) {
        uint64_t word;
        memcpy(&word, (const uint8_t*)key + i, 8);
#ifdef __SSE4_2__
        hash = __builtin_ia32_crc32di(hash, word);
#else
        hash = (hash ^ word) * 0x9e3779b97f4a7c15ULL;
        hash ^= hash >> 32;
#endif
    }
    if (size % 8 != 0) {
        uint64_t word = 0;
        memcpy(&word, (const uint8_t*)key + size / 8 * 8, size % 8);
#ifdef __SSE4_2__
        hash = __builtin_ia32_crc32di(hash, word);
#else
        hash = (hash ^ word) * 0x9e3779b97f4a7c15ULL;
        hash ^= hash >> 32;
#endif
    }
    return (uint32_t)hash;
}
NATIVE_INLINE uint32_t native_line(const struct native_map* map, const void* key, uint32_t key_size) {
    return (uint32_t)(((uint64_t)native_hash(key, key_size) * map->lines) >> 32);
}
NATIVE_INLINE uint64_t native_differs(const uint8_t* a, const void* b, uint32_t size) {
    uint64_t difference = 0;
    for (uint32_t i = 0; i + 8 <= size; i += 8) {
        uint64_t x;
        uint64_t y;
        memcpy(&x, a + i, 8);
        memcpy(&y, (const uint8_t*)b + i, 8);
        difference |= x ^ y;
    }
    if (size % 8 != 0) {
        uint64_t x = 0;
        uint64_t y = 0;
        memcpy(&x, a + size / 8 * 8, size % 8);
        memcpy(&y, (const uint8_t*)b + size / 8 * 8, size % 8);
        difference |= x ^ y;
    }
    return difference;
}

/* An entry in half a line: key, value from the next multiple of 8 on, and at 24 whether it is there. */
NATIVE_INLINE int native_is_small(uint32_t kind, uint32_t key_size, uint32_t value_size) {
    return kind == NATIVE_HASH && (key_size + 7) / 8 * 8 + value_size <= 24;
}
NATIVE_INLINE void* native_find_small(const struct native_map* map, const void* key, uint32_t key_size) {
    const uint32_t value = (key_size + 7) / 8 * 8;
    for (uint32_t line = native_line(map, key, key_size);;) {
        uint8_t* at = map->table + (uint64_t)line * 64;
        const uint64_t first = native_differs(at, key, key_size) | !*(uint64_t*)(at + 24);
        const uint64_t second = native_differs(at + 32, key, key_size) | !*(uint64_t*)(at + 56);
        uint8_t* found = at + (first ? 32 : 0);
        if (__builtin_expect(!first || !second, 1)) return found + value;
        if (!*(uint64_t*)(at + 56)) return 0;
        if (++line == map->lines) line = 0;
    }
}

/* Keys in a line: 16 bytes of header (how many; the next to go), then the keys. */
NATIVE_INLINE uint32_t native_keys_per_line(uint32_t key_size) { return 48 / ((key_size + 7) / 8 * 8); }
NATIVE_INLINE void* native_find_apart(const struct native_map* map, uint32_t kind, const void* key,
                                      uint32_t key_size, uint32_t value_size) {
    const uint32_t stride = (key_size + 7) / 8 * 8;
    const uint32_t most = native_keys_per_line(key_size);
    for (uint32_t line = native_line(map, key, key_size);;) {
        const uint8_t* at = map->table + (uint64_t)line * 64;
        const uint32_t count = *(const uint32_t*)at;
        for (uint32_t i = 0; i < most; i++)
            if (i < count && !native_differs(at + 16 + i * stride, key, key_size))
                return map->values + ((uint64_t)line * most + i) * value_size;
        if (count < most || kind == NATIVE_LRU_HASH) return 0;
        if (++line == map->lines) line = 0;
    }
}

#define NATIVE_GROUP 0x80000000U
NATIVE_INLINE void* native_find_prefix(const struct native_map* map, const uint8_t* key, uint32_t key_size) {
    const uint8_t* bits = key + 4;
    uint32_t entry = ((const uint32_t*)map->table)[bits[0] << 16 | bits[1] << 8 | bits[2]];
    for (uint32_t at = 3; (entry & NATIVE_GROUP) && at < key_size - 4; at++)
        entry = map->level8[(uint64_t)(entry & ~NATIVE_GROUP) * 256 + bits[at]];
    return entry ? map->values + (uint64_t)entry * 8 : 0;
}

NATIVE_INLINE void* native_lookup(const struct native_map* map, enum native_kind kind, const void* key,
                                  uint32_t key_size, uint32_t value_size) {
    if (kind == NATIVE_ARRAY || kind == NATIVE_PERCPU_ARRAY) {
        uint32_t index;
        memcpy(&index, key, 4);
        return index < map->entries ? map->values + (uint64_t)index * ((value_size + 7) / 8 * 8) : 0;
    }
    if (kind == NATIVE_LPM_TRIE) return native_find_prefix(map, key, key_size);
    if (native_is_small(kind, key_size, value_size)) return native_find_small(map, key, key_size);
    return native_find_apart(map, kind, key, key_size, value_size);
}

/* Inserts or overwrites. Not for tries, which native_put() fills. */
NATIVE_INLINE void native_update(struct native_map* map, enum native_kind kind, const void* key,
                                 const void* value, uint32_t key_size, uint32_t value_size) {
    void* found = native_lookup(map, kind, key, key_size, value_size);
    if (found) {
        memcpy(found, value, value_size);
        return;
    }
    uint32_t line = native_line(map, key, key_size);
    if (native_is_small(kind, key_size, value_size)) {
        for (;; line = line + 1 == map->lines ? 0 : line + 1)
            for (uint32_t half = 0; half < 64; half += 32) {
                uint8_t* at = map->table + (uint64_t)line * 64 + half;
                if (*(uint64_t*)(at + 24)) continue;
                memcpy(at, key, key_size);
                memcpy(at + (key_size + 7) / 8 * 8, value, value_size);
                *(uint64_t*)(at + 24) = 1;
                return;
            }
    }
    const uint32_t most = native_keys_per_line(key_size);
    uint32_t* header = (uint32_t*)(map->table + (uint64_t)line * 64);
    while (kind != NATIVE_LRU_HASH && header[0] == most) {
        line = line + 1 == map->lines ? 0 : line + 1;
        header = (uint32_t*)(map->table + (uint64_t)line * 64);
    }
    uint32_t slot = header[0];
    if (slot < most) {
        header[0]++;
    } else {
        slot = header[1];
        header[1] = slot + 1 == most ? 0 : slot + 1;
    }
    memcpy((uint8_t*)header + 16 + slot * ((key_size + 7) / 8 * 8), key, key_size);
    memcpy(map->values + ((uint64_t)line * most + slot) * value_size, value, value_size);
}
#endif

/* For C++, compiled as the programs are. */

/* How much memory `table` and `values` need for `entries`; sets the sizes. Both are to be zero. */
void native_prepare(struct native_map* map, uint32_t entries, uint64_t* table_bytes, uint64_t* values_bytes);
/* Tries: shorter prefixes first; -1 if the groups are used up. */
int native_put(struct native_map* map, const void* key, const void* value);
void* native_get(struct native_map* map, const void* key);
/* The name of an instruction set that this code was compiled for and that the CPU has not; null if it has
 * all. */
const char* native_missing(void);
/* The compiler's name, and what it was told to optimize for. */
const char* native_compiler(void);

#ifdef __cplusplus
}
#endif
#endif
