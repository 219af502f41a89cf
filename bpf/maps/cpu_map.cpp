// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
#include "bpf/maps/cpu_map.h"

#include <array>
#include <atomic>
#include <cerrno>
#include <cstddef>
#include <cstring>
#include <mutex>

#include "bpf/base/reclaimer.h"
#include "bpf/maps/redirect_action.h"
#include "bpf/maps/rows.h"
#include "bpf/run/run_context.h"

namespace xdplane {
namespace {

constexpr u32 kQueueOnly = offsetof(bpf_cpumap_val, bpf_prog);
constexpr u32 kLongestQueue = 16384;
constexpr u32 kMostCpus = 8192; // Linux's NR_CPUS of distribution kernels

/// By number. Written by control threads, read by workers.
std::array<std::atomic<const CpuMap::Slots*>, CpuMap::kMaxMaps> g_slots;
std::mutex g_slots_lock; ///< of those who look for a free number

int free_number() {
    static u32 next = 0;
    for (u32 tried = 0; tried < CpuMap::kMaxMaps; ++tried) {
        const u32 number = next++ % CpuMap::kMaxMaps;
        if (g_slots[number].load(std::memory_order_relaxed) == nullptr) return static_cast<int>(number);
    }
    return -1;
}

} // namespace

CpuMap::CpuMap(MapSpec spec, std::unique_ptr<Slots> slots, u16 number)
    : Map(kCpumapOps, std::move(spec)), slots_(std::move(slots)), number_(number) {}

CpuMap::~CpuMap() {
    g_slots[number_].store(nullptr, std::memory_order_release);
    slots_->clear();
    Reclaimer::instance().retire(slots_.release());
}

const CpuTarget* CpuMap::find(u16 number, u64 cpu) noexcept {
    const Slots* slots = number < kMaxMaps ? g_slots[number].load(std::memory_order_acquire) : nullptr;
    return slots != nullptr ? slots->get(cpu) : nullptr;
}

Result<std::shared_ptr<Map>> CpuMap::create(MapSpec spec) {
    if (spec.max_entries == 0) return fail(EINVAL, "max_entries is 0");
    if (spec.key_size != 4) return fail(EINVAL, "key size {} is not 4", spec.key_size);
    if (spec.value_size != kQueueOnly && spec.value_size != sizeof(bpf_cpumap_val))
        return fail(EINVAL, "value size {} is neither 4 nor 8", spec.value_size);
    if ((spec.flags & ~u32{BPF_F_NUMA_NODE}) != 0)
        return fail(EINVAL, "map flags {:#x} are not allowed", spec.flags & ~u32{BPF_F_NUMA_NODE});
    if (spec.max_entries > kMostCpus)
        return fail(E2BIG, "{} entries are more than there can be CPUs", spec.max_entries);
    auto slots = SlotArray<CpuTarget>::make(spec.max_entries);
    if (!slots) return fail(slots.error());
    const std::lock_guard guard(g_slots_lock);
    const int number = free_number();
    if (number < 0) return fail(ENOMEM, "there are {} CPU maps already", kMaxMaps);
    auto kept = std::make_unique<Slots>(std::move(*slots));
    const Slots* const found = kept.get();
    auto map = std::make_shared<CpuMap>(std::move(spec), std::move(kept), static_cast<u16>(number));
    g_slots[static_cast<u32>(number)].store(found, std::memory_order_release);
    return map;
}

int CpuMap::check(u32 cpu, const bpf_cpumap_val& value, u64 flags) const {
    if (flags > BPF_EXIST) return -EINVAL;
    if (cpu >= slots_->count()) return -E2BIG;
    if (flags == BPF_NOEXIST) return -EEXIST;
    if (value.qsize > kLongestQueue) return -EOVERFLOW;
    return cpu < num_possible_cpus() ? 0 : -ENODEV;
}

namespace {

CpuMap& cpu_map(Map& map) noexcept { return static_cast<CpuMap&>(map); }

u32 key_of(const void* key) noexcept {
    u32 index;
    std::memcpy(&index, key, sizeof index);
    return index;
}

u64 redirect(Map& map, u64 key, u64 flags) noexcept {
    if ((flags & ~kMissActions) != 0) return kAborted;
    const u32 cpu = static_cast<u32>(key);
    if (cpu_map(map).find(cpu) == nullptr) return redirect_missed(flags);
    return redirect_to({.kind = RedirectKind::cpu, .target = cpu, .map = cpu_map(map).number()});
}

int erase(Map& map, const void* key) noexcept {
    const u32 cpu = key_of(key);
    if (cpu >= cpu_map(map).slots().count()) return -EINVAL;
    cpu_map(map).set(cpu, nullptr);
    return 0;
}

int copy_value(Map& map, const void* key, void* value, u64 flags) {
    if (flags != 0) return -EINVAL;
    const bool found = cpu_map(map).slots().with(key_of(key), [&](const CpuTarget& target) {
        std::memcpy(value, &target.value, map.spec().value_size);
    });
    return found ? 0 : -ENOENT;
}

/// Without programs: only bpf(2) knows what an fd names.
int store_value(Map& map, const void* key, const void* value, u64 flags) {
    auto target = std::make_unique<CpuTarget>();
    std::memcpy(&target->value, value, map.spec().value_size);
    if (const int error = cpu_map(map).check(key_of(key), target->value, flags); error != 0) return error;
    if (target->value.bpf_prog.fd != 0) return -EINVAL;
    cpu_map(map).set(key_of(key), target->value.qsize != 0 ? std::move(target) : nullptr);
    return 0;
}

} // namespace

constinit const MapOps kCpumapOps = {.name = "cpumap",
                                     .create = CpuMap::create,
                                     .lookup = nullptr,
                                     .update = nullptr,
                                     .erase = erase,
                                     .copy_value = copy_value,
                                     .store_value = store_value,
                                     .next_key = array_next_key,
                                     .direct_value = nullptr,
                                     .per_cpu = false,
                                     .array_like = false,
                                     .redirect = redirect,
                                     .without_btf = true};

} // namespace xdplane
