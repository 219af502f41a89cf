// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
#include "bpf/maps/dev_map.h"

#include <array>
#include <bit>
#include <cerrno>
#include <cstddef>
#include <cstring>

#include "bpf/base/reclaimer.h"
#include "bpf/maps/memory.h"
#include "bpf/maps/redirect_action.h"
#include "bpf/maps/rows.h"
#include "bpf/run/run_context.h"

namespace xdplane {
namespace {

/// By number. Written by control threads, read by workers.
std::array<std::atomic<const DevMap*>, DevMap::kMaxMaps> g_maps;
std::mutex g_maps_lock; ///< of those who look for a free number

int free_number() {
    static u32 next = 0;
    for (u32 tried = 0; tried < DevMap::kMaxMaps; ++tried) {
        const u32 number = next++ % DevMap::kMaxMaps;
        if (g_maps[number].load(std::memory_order_relaxed) == nullptr) return static_cast<int>(number);
    }
    return -1;
}

constexpr u32 kIfindexOnly = offsetof(bpf_devmap_val, bpf_prog);

} // namespace

DevMap::DevMap(MapSpec spec, const MapOps& ops, Mapping memory, u32 buckets, u16 number)
    : Map(ops, std::move(spec)), memory_(std::move(memory)), buckets_(buckets), number_(number) {}

DevMap::~DevMap() {
    g_maps[number_].store(nullptr, std::memory_order_release);
    // Most of a large map may never have been touched.
    for (u32 bucket = 0; bucket < buckets_ && count_ != 0; ++bucket)
        for (DevTarget* t = load(slots()[bucket]); t != nullptr; --count_) {
            DevTarget* next = load(t->next);
            Reclaimer::instance().retire(t);
            t = next;
        }
}

Result<std::shared_ptr<Map>> DevMap::create(MapSpec spec, const MapOps& ops) {
    constexpr u32 kFlags = BPF_F_NUMA_NODE | BPF_F_RDONLY | BPF_F_WRONLY;
    if (spec.max_entries == 0) return fail(EINVAL, "max_entries is 0");
    if (spec.key_size != 4) return fail(EINVAL, "key size {} is not 4", spec.key_size);
    if (spec.value_size != kIfindexOnly && spec.value_size != sizeof(bpf_devmap_val))
        return fail(EINVAL, "value size {} is neither 4 nor 8", spec.value_size);
    if ((spec.flags & ~kFlags) != 0)
        return fail(EINVAL, "map flags {:#x} are not allowed", spec.flags & ~kFlags);
    const bool hashed = spec.type == BPF_MAP_TYPE_DEVMAP_HASH;
    if (hashed && spec.max_entries > 1U << 31)
        return fail(EINVAL, "{} entries are more than 2^31", spec.max_entries);
    // What programs look up is what packets are sent by: theirs to read only.
    spec.flags |= BPF_F_RDONLY_PROG;

    const u32 buckets = hashed ? std::bit_ceil(spec.max_entries) : spec.max_entries;
    auto memory = map_memory(u64{buckets} * sizeof(Link));
    if (!memory) return fail(memory.error());
    const std::lock_guard guard(g_maps_lock);
    const int number = free_number();
    if (number < 0) return fail(ENOMEM, "there are {} device maps already", kMaxMaps);
    auto map =
        std::make_shared<DevMap>(std::move(spec), ops, std::move(*memory), buckets, static_cast<u16>(number));
    g_maps[static_cast<u32>(number)].store(map.get(), std::memory_order_release);
    return map;
}

const DevMap* DevMap::by_number(u16 number) noexcept {
    return g_maps[number].load(std::memory_order_acquire);
}

u32 DevMap::bucket_of(u32 key) const noexcept {
    if (!hashed()) return key;
    const u64 mixed = u64{key} * 0x9e3779b97f4a7c15;
    return static_cast<u32>(mixed >> 32) & (buckets_ - 1);
}

const DevTarget* DevMap::find(u32 key) const noexcept {
    const u32 bucket = bucket_of(key);
    if (bucket >= buckets_) return nullptr;
    const DevTarget* target = load(slots()[bucket]);
    while (target != nullptr && target->key != key) target = load(target->next);
    return target;
}

/// The link that leads to the key's target, or where one would be put. Holds lock_; the key is in range.
DevMap::Link* DevMap::link_of(u32 key) const noexcept {
    Link* link = &slots()[bucket_of(key)];
    while (load(*link) != nullptr && load(*link)->key != key) link = &load(*link)->next;
    return link;
}

int DevMap::set(u32 key, std::unique_ptr<DevTarget> target, u64 flags) {
    if (flags > BPF_EXIST) return -EINVAL;
    if (hashed() && target == nullptr) return -EINVAL;
    if (!hashed()) {
        if (key >= buckets_) return -E2BIG;
        if (flags == BPF_NOEXIST) return -EEXIST;
    }
    DevTarget* old = nullptr;
    {
        const std::lock_guard guard(lock_);
        Link* link = link_of(key);
        old = load(*link);
        if (hashed() && old != nullptr && flags == BPF_NOEXIST) return -EEXIST;
        if (hashed() && old == nullptr && count_ >= spec().max_entries) return -E2BIG;
        if (old == nullptr && target != nullptr) ++count_;
        if (old != nullptr && target == nullptr) --count_;
        DevTarget* rest = old != nullptr ? load(old->next) : nullptr;
        if (target != nullptr) target->next.store(rest, std::memory_order_relaxed);
        link->store(target != nullptr ? target.release() : rest, std::memory_order_release);
    }
    if (old != nullptr) Reclaimer::instance().retire(old);
    return 0;
}

int DevMap::erase(u32 key) {
    if (!hashed() && key >= buckets_) return -EINVAL;
    DevTarget* old = nullptr;
    {
        const std::lock_guard guard(lock_);
        Link* link = link_of(key);
        old = load(*link);
        if (old != nullptr) {
            --count_;
            link->store(load(old->next), std::memory_order_release);
        }
    }
    if (old != nullptr) Reclaimer::instance().retire(old);
    return old != nullptr || !hashed() ? 0 : -ENOENT;
}

int DevMap::copy(u32 key, void* value) const {
    const std::lock_guard guard(lock_);
    const DevTarget* target = find(key);
    if (target == nullptr) return -ENOENT;
    std::memcpy(value, &target->value, spec().value_size);
    return 0;
}

int DevMap::next(const void* key, void* out) const {
    if (!hashed()) return array_next_key(const_cast<DevMap&>(*this), key, out);
    const std::lock_guard guard(lock_);
    u32 bucket = 0;
    const DevTarget* target = nullptr;
    if (key != nullptr) {
        u32 wanted;
        std::memcpy(&wanted, key, sizeof wanted);
        target = find(wanted);
        if (target != nullptr) {
            bucket = bucket_of(wanted) + 1;
            target = load(target->next);
        }
    }
    for (; target == nullptr && bucket < buckets_; ++bucket) target = load(slots()[bucket]);
    if (target == nullptr) return -ENOENT;
    std::memcpy(out, &target->key, sizeof target->key);
    return 0;
}

namespace {

DevMap& dev_map(Map& map) noexcept { return static_cast<DevMap&>(map); }

u32 key_of(const void* key) noexcept {
    u32 index;
    std::memcpy(&index, key, sizeof index);
    return index;
}

void* lookup(Map& map, const void* key) noexcept {
    const DevTarget* target = dev_map(map).find(key_of(key));
    return target != nullptr ? const_cast<bpf_devmap_val*>(&target->value) : nullptr;
}

u64 redirect(Map& map, u64 key, u64 flags) noexcept {
    if ((flags & ~(kMissActions | BPF_F_BROADCAST | BPF_F_EXCLUDE_INGRESS)) != 0) return kAborted;
    const DevMap& devices = dev_map(map);
    Redirect to{.flags = static_cast<u8>(flags & BPF_F_EXCLUDE_INGRESS), .map = devices.number()};
    if ((flags & BPF_F_BROADCAST) != 0) {
        to.kind = RedirectKind::broadcast;
        return redirect_to(to);
    }
    const DevTarget* target = devices.find(static_cast<u32>(key));
    if (target == nullptr) return redirect_missed(flags);
    if (target->entry == nullptr) return redirect_to({.target = target->value.ifindex});
    return redirect_to({.kind = RedirectKind::entry, .target = target->key, .map = devices.number()});
}

int erase(Map& map, const void* key) noexcept { return dev_map(map).erase(key_of(key)); }
int copy_value(Map& map, const void* key, void* value, u64 flags) {
    return flags != 0 ? -EINVAL : dev_map(map).copy(key_of(key), value);
}
int next_key(Map& map, const void* key, void* next) { return dev_map(map).next(key, next); }

/// Without programs: only bpf(2) knows what an fd names.
int store_value(Map& map, const void* key, const void* value, u64 flags) {
    bpf_devmap_val asked{};
    std::memcpy(&asked, value, map.spec().value_size);
    if (asked.bpf_prog.fd != 0) return -EINVAL;
    const u32 index = key_of(key);
    return dev_map(map).set(
        index, asked.ifindex != 0 ? std::make_unique<DevTarget>(index, asked.ifindex) : nullptr, flags);
}

Result<std::shared_ptr<Map>> create_array(MapSpec spec) {
    return DevMap::create(std::move(spec), kDevmapOps);
}
Result<std::shared_ptr<Map>> create_hash(MapSpec spec) {
    return DevMap::create(std::move(spec), kDevmapHashOps);
}

constexpr MapOps row(const char* name, Result<std::shared_ptr<Map>> (*create)(MapSpec)) {
    return {.name = name,
            .create = create,
            .lookup = lookup,
            .update = nullptr,
            .erase = erase,
            .copy_value = copy_value,
            .store_value = store_value,
            .next_key = next_key,
            .direct_value = nullptr,
            .per_cpu = false,
            .array_like = false,
            .redirect = redirect,
            .without_btf = true};
}

} // namespace

constinit const MapOps kDevmapOps = row("devmap", create_array);
constinit const MapOps kDevmapHashOps = row("devmap_hash", create_hash);

} // namespace xdplane
