// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
#include "bpf/maps/bloom_filter.h"

#include <bit>
#include <cerrno>
#include <limits>

#include "bpf/maps/hash_mix.h"
#include "bpf/maps/memory.h"
#include "bpf/maps/rows.h"

namespace xdplane {
namespace {

constexpr u64 kMaxFunctions = 15;
constexpr u32 kDefaultFunctions = 5;

u64 table_bits(u32 max_entries, u32 functions) {
    constexpr u64 kMost = u64{1} << 32;
    const u64 bits = u64{max_entries} * functions;
    // Where Linux's 32-bit numbers overflow it takes the largest table.
    if (bits > std::numeric_limits<u32>::max() || bits / 5 * 7 > u64{1} << 31) return kMost;
    return std::max<u64>(64, std::bit_ceil(bits / 5 * 7));
}

} // namespace

BloomFilter::BloomFilter(MapSpec spec, u64 bits, u32 functions, Mapping memory)
    : Map(kBloomFilterOps, std::move(spec)),
      value_size_(this->spec().value_size),
      functions_(functions),
      mask_(bits - 1),
      seed_((this->spec().flags & BPF_F_ZERO_SEED) != 0 ? 0 : hash_secret()),
      memory_(std::move(memory)) {}

Result<std::shared_ptr<Map>> BloomFilter::create(MapSpec spec) {
    if (spec.key_size != 0) return fail(EINVAL, "a bloom filter has no keys");
    if (spec.value_size == 0) return fail(EINVAL, "value size is 0");
    if (spec.max_entries == 0) return fail(EINVAL, "max_entries is 0");
    const u32 unknown = spec.flags & ~(kAccessFlags | BPF_F_NUMA_NODE | BPF_F_ZERO_SEED);
    if (unknown != 0) return fail(EINVAL, "map flags {:#x} are not allowed", unknown);
    if (spec.map_extra > kMaxFunctions)
        return fail(EINVAL, "map_extra asks for {} hash functions, and {} are the most", spec.map_extra,
                    kMaxFunctions);
    if (spec.value_size > kMaxAllocation)
        return fail(E2BIG, "value size {} is more than {}", spec.value_size, kMaxAllocation);
    const u32 functions = spec.map_extra == 0 ? kDefaultFunctions : static_cast<u32>(spec.map_extra);
    const u64 bits = table_bits(spec.max_entries, functions);
    auto memory = map_memory(bits / 8);
    if (!memory) return fail(memory.error());
    return std::make_shared<BloomFilter>(std::move(spec), bits, functions, std::move(*memory));
}

BloomFilter::Hashes BloomFilter::hashes(const u8* value) const noexcept {
    const u64 start = mix_bytes(value, value_size_, seed_);
    // Odd, so that it leads to every bit.
    return {start, mix_words(start, kMixMultiplier) | 1};
}

void BloomFilter::add(const u8* value) noexcept {
    Hashes hash = hashes(value);
    u64* table = reinterpret_cast<u64*>(memory_.data());
    for (u32 i = 0; i < functions_; ++i, hash.start += hash.step) {
        const u64 bit = (hash.start ^ hash.start >> 32) & mask_;
        const u64 one = u64{1} << (bit % 64);
        u64* word = table + bit / 64;
        // Most are set already where it matters: a full, shared filter.
        if ((__atomic_load_n(word, __ATOMIC_RELAXED) & one) == 0)
            __atomic_fetch_or(word, one, __ATOMIC_RELAXED);
    }
}

bool BloomFilter::has(const u8* value) const noexcept {
    Hashes hash = hashes(value);
    const u64* table = reinterpret_cast<const u64*>(memory_.data());
    for (u32 i = 0; i < functions_; ++i, hash.start += hash.step) {
        const u64 bit = (hash.start ^ hash.start >> 32) & mask_;
        if ((__atomic_load_n(table + bit / 64, __ATOMIC_RELAXED) >> (bit % 64) & 1) == 0) return false;
    }
    return true;
}

namespace {

BloomFilter& filter(Map& map) noexcept { return static_cast<BloomFilter&>(map); }

int push(Map& map, const void* value, u64 flags) noexcept {
    if (flags != BPF_ANY) return -EINVAL;
    filter(map).add(static_cast<const u8*>(value));
    return 0;
}
int peek(Map& map, void* value) noexcept {
    return filter(map).has(static_cast<const u8*>(value)) ? 0 : -ENOENT;
}
int erase(Map&, const void*) noexcept { return -EOPNOTSUPP; }
/// The value is what is asked for.
int copy_value(Map& map, const void*, void* value, u64) { return peek(map, value); }
int store_value(Map& map, const void*, const void* value, u64 flags) { return push(map, value, flags); }
int next_key(Map&, const void*, void*) { return -EOPNOTSUPP; }

} // namespace

constinit const MapOps kBloomFilterOps = {.name = "bloom_filter",
                                          .create = BloomFilter::create,
                                          .lookup = nullptr,
                                          .update = nullptr,
                                          .erase = erase,
                                          .copy_value = copy_value,
                                          .store_value = store_value,
                                          .next_key = next_key,
                                          .direct_value = nullptr,
                                          .per_cpu = false,
                                          .array_like = false,
                                          .push = push,
                                          .peek = peek};

} // namespace xdplane
