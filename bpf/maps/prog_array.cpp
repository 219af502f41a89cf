// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
#include "bpf/maps/prog_array.h"

#include <cerrno>

#include "bpf/base/reclaimer.h"
#include "bpf/maps/memory.h"
#include "bpf/maps/rows.h"

namespace xdplane {
namespace {

/// Workers may be running it: the array's share of it goes when they have moved on.
void retire(std::shared_ptr<const Program> program) {
    if (program) Reclaimer::instance().retire(new std::shared_ptr<const Program>(std::move(program)));
}

} // namespace

ProgArray::ProgArray(MapSpec spec)
    : Map(kProgArrayOps, std::move(spec)),
      count_(this->spec().max_entries),
      slots_(std::make_unique<std::atomic<const Entry*>[]>(count_)),
      doors_(std::make_unique<std::atomic<const void*>[]>(count_)),
      ahead_doors_(std::make_unique<std::atomic<const void*>[]>(count_)),
      programs_(count_) {}

ProgArray::~ProgArray() { clear(); }

bool ProgArray::compatible(const Owner& owner) {
    const std::lock_guard guard(lock_);
    if (!owner_) owner_ = owner;
    return *owner_ == owner;
}

int ProgArray::put(u32 index, std::shared_ptr<const Program> program, const Entry* entry) {
    if (index >= count_) return -E2BIG;
    {
        const std::lock_guard guard(lock_);
        programs_[index].swap(program);
        slots_[index].store(entry, std::memory_order_release);
        doors_[index].store(entry->tail_entry, std::memory_order_release);
        ahead_doors_[index].store(entry->ahead_entry, std::memory_order_release);
    }
    retire(std::move(program));
    return 0;
}

int ProgArray::erase(u32 index) {
    if (index >= count_) return -E2BIG;
    std::shared_ptr<const Program> old;
    {
        const std::lock_guard guard(lock_);
        programs_[index].swap(old);
        slots_[index].store(nullptr, std::memory_order_release);
        doors_[index].store(nullptr, std::memory_order_release);
        ahead_doors_[index].store(nullptr, std::memory_order_release);
    }
    if (!old) return -ENOENT;
    retire(std::move(old));
    return 0;
}

std::shared_ptr<const Program> ProgArray::get(u32 index) {
    if (index >= count_) return nullptr;
    const std::lock_guard guard(lock_);
    return programs_[index];
}

void ProgArray::clear() {
    for (u32 index = 0; index < count_; ++index) (void)erase(index);
}

namespace {

Result<std::shared_ptr<Map>> create(MapSpec spec) {
    if (spec.value_size != 4) return fail(EINVAL, "value size {} is not 4", spec.value_size);
    // Programs neither read nor write it, so flags about that are refused, as in Linux.
    if (auto checked = check_array_spec(spec, BPF_F_RDONLY | BPF_F_WRONLY | BPF_F_NUMA_NODE, false); !checked)
        return fail(checked.error());
    constexpr u64 bytes_per_slot = 3 * sizeof(void*) + sizeof(std::shared_ptr<void>);
    if (u64{spec.max_entries} * bytes_per_slot > max_map_bytes())
        return fail(ENOMEM, "{} entries need more than the machine's memory", spec.max_entries);
    try {
        return std::make_shared<ProgArray>(std::move(spec));
    } catch (const std::bad_alloc&) {
        return fail(ENOMEM, "no memory for a prog array of this size");
    }
}

int erase(Map& map, const void* key) noexcept {
    u32 index;
    std::memcpy(&index, key, 4);
    return static_cast<ProgArray&>(map).erase(index);
}

} // namespace

constinit const MapOps kProgArrayOps = {.name = "prog_array",
                                        .create = create,
                                        .lookup = nullptr,
                                        .update = nullptr,
                                        .erase = erase,
                                        .copy_value = nullptr,
                                        .store_value = nullptr,
                                        .next_key = array_next_key,
                                        .direct_value = nullptr,
                                        .per_cpu = false,
                                        .array_like = false};

} // namespace xdplane
