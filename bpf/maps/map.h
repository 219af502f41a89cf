// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
#pragma once
#include <atomic>
#include <cerrno>
#include <linux/bpf.h>
#include <memory>
#include <span>
#include <string>

#include "bpf/base/result.h"
#include "bpf/base/types.h"
#include "bpf/base/unique_fd.h"
#include "bpf/maps/map_record.h"
#include "bpf/run/entry.h"

/// Maps: a row per type in map_types.h, a file per type or family. Semantics and errno values are Linux's
/// (Documentation/bpf/map_*.rst, and the running kernel where in doubt).
namespace xdplane {

class Btf;

/// Linux's internal "not supported", which bpf(2) lets escape.
inline constexpr int kNotSupported = 524;

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
    u64 map_extra = 0;              ///< bloom filter: number of hash functions, in the low 4 bits
    u32 numa_node = 0;              ///< with BPF_F_NUMA_NODE
    /// Maps of maps: a map as every inner one must be.
    std::shared_ptr<class Map> inner;
    int inner_error = EBADF; ///< why there is no inner one
    MapRecord record;        ///< filled in by create_map()
};

class Map;
struct AheadOps;

/// Entries on their way to the caller of a batch command: `count` of `room` are there. Keys of key_size and
/// values of syscall_value_size() bytes, one after the other; null pointers are -EFAULT once there is an
/// entry.
struct MapBatch {
    u8* keys;
    u8* values;
    u32 room;
    u32 count = 0;
};

/// The batch commands of bpf(2) that a type has.
enum BatchCommands : u8 { kBatchLookup = 1, kBatchUpdate = 2, kBatchDelete = 4 };

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
    /// Data path, queue, stack and bloom filter: bpf_map_push_elem, _pop_elem and _peek_elem.
    int (*push)(Map&, const void* value, u64 flags) noexcept = nullptr;
    int (*pop)(Map&, void* value) noexcept = nullptr;
    int (*peek)(Map&, void* value) noexcept = nullptr;
    /// Control thread: copy_value() and erase() (or, without keys, pop()) in one.
    int (*take_value)(Map&, const void* key, void* value, u64 flags) = nullptr;
    /// Control thread, hashes: copies whole buckets, from `cursor` on, and with `take` deletes what it
    /// copied. 0: no room for the next bucket, which the cursor is at; -ENOSPC: not even for the first one;
    /// -ENOENT: that was the last. Null: batches go by next_key.
    int (*copy_batch)(Map&, u32& cursor, MapBatch& batch, bool take) = nullptr;
    u8 batch = 0; ///< BatchCommands; LOOKUP_AND_DELETE_BATCH is there with copy_batch
    /// Data path: what bpf_redirect_map returns for the key (XDP_REDIRECT, or the low bits of flags).
    u64 (*redirect)(Map&, u64 key, u64 flags) noexcept = nullptr;
    /// Data path: calls `each` for every element until it returns non-zero; returns how many were visited.
    /// Elements inserted or updated meanwhile may be missed; none is visited twice.
    i64 (*for_each)(Map&, u64 (*each)(void* context, const void* key, void* value) noexcept,
                    void* context) noexcept = nullptr;
    /// MAP_CREATE refuses BTF types of key and value (524).
    bool without_btf = false;
    /// Data path: how a lookup's cache lines are fetched ahead of it (run_ahead.h); null where it is cheap.
    const AheadOps* ahead = nullptr;
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
    /// How often, for want of spare elements, a value was overwritten that readers may have been looking at.
    /// Any thread.
    [[nodiscard]] virtual u64 reused_early() const { return 0; }
    /// The storage as mapped by the map itself; empty for maps whose fd cannot be mmap'ed.
    [[nodiscard]] virtual std::span<const u8> own_pages() const { return {}; }
    /// Control thread: no fd names the map any more, nor does a pin. Programs may still use it.
    virtual void last_fd_closed() {}

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
