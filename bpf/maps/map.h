// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
#pragma once
#include <atomic>
#include <linux/bpf.h>
#include <memory>
#include <string>

#include "bpf/base/result.h"
#include "bpf/base/types.h"
#include "bpf/base/unique_fd.h"
#include "bpf/run/entry.h"

/// Maps: a row per type in map_types.h, a file per type or family. Semantics and errno values are Linux's
/// (Documentation/bpf/map_*.rst, and the running kernel where in doubt).
namespace xdplane {

class Btf;

/// What MAP_CREATE asks for.
struct MapSpec {
    u32 type = 0; ///< enum bpf_map_type
    u32 key_size = 0;
    u32 value_size = 0;
    u32 max_entries = 0;
    u32 flags = 0;    ///< BPF_F_*
    std::string name; ///< at most 15 characters
    u32 btf_key_type_id = 0;
    u32 btf_value_type_id = 0;
    std::shared_ptr<const Btf> btf; ///< null without BTF
};

class Map;

/// What a map type can do. Functions return 0 or -errno; a null function is -EOPNOTSUPP (-EINVAL where Linux
/// says so). "Data path" ones are called by programs: noexcept, lock-free for lookups, no allocation.
struct MapOps {
    const char* name; ///< "hash": as bpftool prints it
    /// Checks sizes and flags as Linux does and makes the map.
    Result<std::shared_ptr<Map>> (*create)(MapSpec spec);

    /// Data path: the value, or null. Valid until the worker's next quiescent point. Per-CPU types: of
    /// t_run.cpu. Null function: programs may not look up (prog array).
    void* (*lookup)(Map&, const void* key) noexcept;
    /// Data path: BPF_ANY, BPF_NOEXIST, BPF_EXIST. Per-CPU types: writes the value of t_run.cpu.
    int (*update)(Map&, const void* key, const void* value, u64 flags) noexcept;
    int (*erase)(Map&, const void* key) noexcept;

    /// Control thread, for bpf(2): values in the syscall's layout (per-CPU types:
    /// round_up(value_size, 8) * num_possible_cpus()); prog arrays: values are prog fds, resolved by
    /// syscall/, which calls ProgArray directly.
    int (*copy_value)(Map&, const void* key, void* value, u64 flags);
    int (*store_value)(Map&, const void* key, const void* value, u64 flags);
    /// key null: the first key. -ENOENT after the last.
    int (*next_key)(Map&, const void* key, void* next);

    /// The address of the value at index 0 that ld_imm64 of kind kMapValue embeds (array maps only).
    u8* (*direct_value)(Map&);
    /// True for types whose values are per CPU in the syscall's layout.
    bool per_cpu;
    /// True if a lookup can not fail for an in-range constant key (arrays): the verifier and lowering use it.
    bool array_like;
    /// Data path, per-CPU types only: the value of any CPU; null if there is none or cpu is out of range.
    void* (*lookup_cpu)(Map&, const void* key, u32 cpu) noexcept = nullptr;
};

/// A map of any type. The type's file derives from it; data path code reaches it through ops only.
/// Shared ownership on the control side: fds, programs and prog arrays keep it alive.
class Map {
public:
    Map(const MapOps& ops, MapSpec spec) : ops_(&ops), spec_(std::move(spec)) {}
    virtual ~Map() = default;
    Map(const Map&) = delete;
    Map& operator=(const Map&) = delete;

    [[nodiscard]] const MapOps& ops() const { return *ops_; }
    [[nodiscard]] const MapSpec& spec() const { return spec_; }
    /// Bytes of a value as it crosses bpf(2).
    [[nodiscard]] u32 syscall_value_size() const;
    /// BPF_MAP_FREEZE: no more writes through bpf(2). The verifier may read frozen BPF_F_RDONLY_PROG values.
    [[nodiscard]] bool frozen() const { return frozen_.load(std::memory_order_acquire); }
    void freeze() { frozen_.store(true, std::memory_order_release); }
    /// The memfd whose pages are the storage of a BPF_F_MMAPABLE array; -1 for others. Owned by the map.
    [[nodiscard]] int storage_fd() const { return storage_.get(); }
    /// Bytes the map holds in memory, about: what fdinfo calls memlock.
    [[nodiscard]] virtual u64 memory_bytes() const { return 0; }

    u32 id = 0; ///< of *_GET_NEXT_ID; set once by syscall/ before anyone else sees the map

protected:
    UniqueFd storage_;

private:
    const MapOps* ops_;
    MapSpec spec_;
    std::atomic<bool> frozen_{false};
};

/// The row of an enum bpf_map_type; null if there is none. map_types.cpp has the table.
[[nodiscard]] const MapOps* find_map_ops(u32 type);
/// MAP_CREATE without the fd.
[[nodiscard]] Result<std::shared_ptr<Map>> create_map(MapSpec spec);

} // namespace xdplane
