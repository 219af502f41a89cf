// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
#pragma once
#include <memory>

#include "bpf/maps/map.h"
#include "bpf/maps/perf_event.h"
#include "bpf/maps/slot_array.h"

namespace xdplane {

/// BPF_MAP_TYPE_PERF_EVENT_ARRAY: the events that bpf_perf_event_output writes to, one per CPU by custom. 8
/// bytes per slot. Empty again once the last fd of the map is closed, but with BPF_F_PRESERVE_ELEMS.
class PerfEventArray final : public Map {
public:
    static Result<std::shared_ptr<Map>> create(MapSpec spec);

    /// Data path: bpf_perf_event_output of `parts` to the event that the low 32 bits of `flags` name
    /// (BPF_F_CURRENT_CPU: t_run.cpu). -E2BIG out of range, -ENOENT for an empty slot, and what
    /// PerfEvent::output() says.
    [[nodiscard]] int output(std::span<const std::span<const u8>> parts, u64 flags) noexcept;
    /// Control threads: BPF_ANY only (-EINVAL), -E2BIG.
    int set(u32 index, std::shared_ptr<PerfEvent> event, u64 flags);
    /// -E2BIG, -ENOENT.
    int erase(u32 index);
    void last_fd_closed() override;
    [[nodiscard]] u64 memory_bytes() const override { return slots_.memory_bytes(); }

    using Slot = std::shared_ptr<PerfEvent>;
    PerfEventArray(MapSpec spec, SlotArray<Slot> slots);

private:
    SlotArray<Slot> slots_;
};

} // namespace xdplane
