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
    std::shared_ptr<const Program> program; ///< runs on the packet on that CPU; null: none
    const Entry* entry = nullptr;           ///< of the program
};

/// BPF_MAP_TYPE_CPUMAP (Documentation/bpf/map_cpumap.rst), filled and read as on Linux. The inline data plane
/// hands packets to the worker on that CPU, which runs the entry's program.
class CpuMap final : public Map {
public:
    static Result<std::shared_ptr<Map>> create(MapSpec spec);

    /// Data path.
    [[nodiscard]] const CpuTarget* find(u64 cpu) const noexcept { return slots_->get(cpu); }
    [[nodiscard]] const SlotArray<CpuTarget>& slots() const noexcept { return *slots_; }
    /// Which cpumap this is, for Redirect::map; below kMaxMaps and in use by nobody else while it lives.
    [[nodiscard]] u16 number() const noexcept { return number_; }
    static constexpr u32 kMaxMaps = 1U << 15;
    /// Data path: the target of a CPU in the map of a number(); null if there is none, or no such map any
    /// more. Valid until the worker's next quiescent point, whoever the map belongs to.
    [[nodiscard]] static const CpuTarget* find(u16 number, u64 cpu) noexcept;
    /// Control threads: what Linux checks of an update before it looks at the program: 0 or -errno.
    [[nodiscard]] int check(u32 cpu, const bpf_cpumap_val& value, u64 flags) const;
    /// Control threads, after check(): null empties the slot.
    void set(u32 cpu, std::unique_ptr<CpuTarget> target) { slots_->set(cpu, std::move(target)); }
    [[nodiscard]] u64 memory_bytes() const override { return slots_->memory_bytes(); }

    using Slots = SlotArray<CpuTarget>;
    CpuMap(MapSpec spec, std::unique_ptr<Slots> slots, u16 number);
    ~CpuMap() override;

private:
    std::unique_ptr<Slots> slots_; ///< a worker may look into it a little longer than the map lives
    u16 number_;
};

} // namespace xdplane
