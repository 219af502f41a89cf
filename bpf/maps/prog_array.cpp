// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
#include "bpf/maps/prog_array.h"

#include <cerrno>
#include <utility>

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

ProgArray::ProgArray(MapSpec spec, Mapping memory)
    : Map(kProgArrayOps, std::move(spec)),
      count_(this->spec().max_entries),
      memory_(std::move(memory)),
      slots_(reinterpret_cast<std::atomic<const Entry*>*>(memory_.data())),
      doors_(reinterpret_cast<std::atomic<const void*>*>(slots_ + count_)),
      ahead_doors_(doors_ + count_) {}

ProgArray::~ProgArray() { clear(); }

bool ProgArray::compatible(const Owner& owner) {
    const std::lock_guard guard(lock_);
    if (!owner_) owner_ = owner;
    return *owner_ == owner;
}

void ProgArray::publish(u32 index, const Entry* entry) noexcept {
    slots_[index].store(entry, std::memory_order_release);
    doors_[index].store(entry != nullptr ? entry->tail_entry : nullptr, std::memory_order_release);
    ahead_doors_[index].store(entry != nullptr ? entry->ahead_entry : nullptr, std::memory_order_release);
}

int ProgArray::put(u32 index, std::shared_ptr<const Program> program, const Entry* entry) {
    if (index >= count_) return -E2BIG;
    {
        const std::lock_guard guard(lock_);
        programs_[index].swap(program);
        publish(index, entry);
    }
    retire(std::move(program));
    return 0;
}

int ProgArray::erase(u32 index) {
    if (index >= count_) return -E2BIG;
    std::shared_ptr<const Program> old;
    {
        const std::lock_guard guard(lock_);
        const auto found = programs_.find(index);
        if (found == programs_.end()) return -ENOENT;
        old = std::move(found->second);
        programs_.erase(found);
        publish(index, nullptr);
    }
    retire(std::move(old));
    return 0;
}

std::shared_ptr<const Program> ProgArray::get(u32 index) {
    if (index >= count_) return nullptr;
    const std::lock_guard guard(lock_);
    const auto found = programs_.find(index);
    return found != programs_.end() ? found->second : nullptr;
}

void ProgArray::clear() {
    std::map<u32, std::shared_ptr<const Program>> programs;
    {
        const std::lock_guard guard(lock_);
        programs = std::exchange(programs_, {});
        for (const auto& [index, program] : programs) publish(index, nullptr);
    }
    for (auto& [index, program] : programs) retire(std::move(program));
}

Result<std::shared_ptr<Map>> ProgArray::create(MapSpec spec) {
    if (spec.value_size != 4) return fail(EINVAL, "value size {} is not 4", spec.value_size);
    // Programs neither read nor write it, so flags about that are refused, as in Linux.
    if (auto checked = check_array_spec(spec, BPF_F_RDONLY | BPF_F_WRONLY | BPF_F_NUMA_NODE, false); !checked)
        return fail(checked.error());
    auto memory = map_memory(u64{spec.max_entries} * 3 * sizeof(void*));
    if (!memory) return fail(memory.error());
    return std::shared_ptr<Map>(new ProgArray(std::move(spec), std::move(*memory)));
}

namespace {

int erase(Map& map, const void* key) noexcept {
    u32 index;
    std::memcpy(&index, key, 4);
    return static_cast<ProgArray&>(map).erase(index);
}

} // namespace

constinit const MapOps kProgArrayOps = {.name = "prog_array",
                                        .create = ProgArray::create,
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
