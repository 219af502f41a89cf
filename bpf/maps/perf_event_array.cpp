// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
#include "bpf/maps/perf_event_array.h"

#include <cerrno>
#include <cstring>

#include "bpf/maps/rows.h"
#include "bpf/run/run_context.h"

namespace xdplane {

PerfEventArray::PerfEventArray(MapSpec spec, SlotArray<Slot> slots)
    : Map(kPerfEventArrayOps, std::move(spec)), slots_(std::move(slots)) {}

Result<std::shared_ptr<Map>> PerfEventArray::create(MapSpec spec) {
    if (spec.value_size != 4) return fail(EINVAL, "value size {} is not 4", spec.value_size);
    constexpr u32 kFlags = BPF_F_RDONLY | BPF_F_WRONLY | BPF_F_NUMA_NODE | BPF_F_PRESERVE_ELEMS;
    if (auto checked = check_array_spec(spec, kFlags, false); !checked) return fail(checked.error());
    auto slots = SlotArray<Slot>::make(spec.max_entries);
    if (!slots) return fail(slots.error());
    return std::make_shared<PerfEventArray>(std::move(spec), std::move(*slots));
}

int PerfEventArray::output(std::span<const std::span<const u8>> parts, u64 flags) noexcept {
    u64 index = flags & BPF_F_INDEX_MASK;
    if (index == BPF_F_CURRENT_CPU) index = t_run.cpu;
    if (index >= slots_.count()) return -E2BIG;
    const Slot* event = slots_.get(index);
    return event != nullptr ? (*event)->output(parts, t_run.cpu) : -ENOENT;
}

int PerfEventArray::set(u32 index, std::shared_ptr<PerfEvent> event, u64 flags) {
    if (flags != BPF_ANY) return -EINVAL;
    if (index >= slots_.count()) return -E2BIG;
    slots_.set(index, std::make_unique<Slot>(std::move(event)));
    return 0;
}

int PerfEventArray::erase(u32 index) {
    if (index >= slots_.count()) return -E2BIG;
    return slots_.set(index, nullptr) ? 0 : -ENOENT;
}

void PerfEventArray::last_fd_closed() {
    if ((spec().flags & BPF_F_PRESERVE_ELEMS) == 0) slots_.clear();
}

namespace {

int erase(Map& map, const void* key) noexcept {
    u32 index;
    std::memcpy(&index, key, sizeof index);
    return static_cast<PerfEventArray&>(map).erase(index);
}

} // namespace

constinit const MapOps kPerfEventArrayOps = {.name = "perf_event_array",
                                             .create = PerfEventArray::create,
                                             .lookup = nullptr,
                                             .update = nullptr,
                                             .erase = erase,
                                             .copy_value = nullptr,
                                             .store_value = nullptr,
                                             .next_key = array_next_key,
                                             .direct_value = nullptr,
                                             .per_cpu = false,
                                             .array_like = false,
                                             .without_btf = true};

} // namespace xdplane
