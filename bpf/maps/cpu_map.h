// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
#pragma once
#include <linux/bpf.h>
#include <memory>

#include "bpf/maps/map.h"
#include "bpf/maps/slot_array.h"

namespace xdplane {

class Program;

/// What a cpumap holds for a CPU: struct bpf_cpumap_val with the id of the program. Immutable.
struct CpuTarget {
    bpf_cpumap_val value;
    std::shared_ptr<const Program> program; ///< null: none
};

/// BPF_MAP_TYPE_CPUMAP (Documentation/bpf/map_cpumap.rst), filled and read as on Linux. Packets that are sent
/// to a CPU are dropped by the data plane under a reason of their own: it has no network stack on any CPU.
class CpuMap final : public Map {
public:
    static Result<std::shared_ptr<Map>> create(MapSpec spec);

    /// Data path.
    [[nodiscard]] const CpuTarget* find(u64 cpu) const noexcept { return slots_.get(cpu); }
    [[nodiscard]] const SlotArray<CpuTarget>& slots() const noexcept { return slots_; }
    /// Control threads: what Linux checks of an update before it looks at the program: 0 or -errno.
    [[nodiscard]] int check(u32 cpu, const bpf_cpumap_val& value, u64 flags) const;
    /// Control threads, after check(): null empties the slot.
    void set(u32 cpu, std::unique_ptr<CpuTarget> target) { slots_.set(cpu, std::move(target)); }
    [[nodiscard]] u64 memory_bytes() const override { return slots_.memory_bytes(); }

    CpuMap(MapSpec spec, SlotArray<CpuTarget> slots);

private:
    SlotArray<CpuTarget> slots_;
};

} // namespace xdplane
