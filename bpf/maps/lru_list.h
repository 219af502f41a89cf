// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
#pragma once
#include <atomic>
#include <memory>

#include "bpf/base/mapping.h"
#include "bpf/base/result.h"
#include "bpf/maps/spin_lock.h"

namespace xdplane {

/// Decides which entry of an LRU hash goes when a new one comes, as Linux does (what programs see of it is in
/// Documentation/bpf/map_lru_hash_update.dot): entries are nodes on an active and an inactive list; a
/// reference bit, set by lookups, moves a node to the active list when it is looked at next. It is the second
/// chance scheme, not an exact order of use.
///
/// Common (without BPF_F_NO_COMMON_LRU): one pair of lists, and per CPU a stock of free nodes and a list of
/// its latest entries (pending), so that CPUs meet at the common lock once in `batch()` entries. Per CPU: a
/// pair of lists and a share of the nodes for each CPU, which never takes from another.
///
/// The list knows nodes, [0, count). Which element a node stands for the map says with attach(); nodes
/// without one are never evicted. The reference bit is in the element, where a lookup has its cache line
/// already.
///
/// Data path, any thread; no allocation; spin locks in the order local, common, and then whatever evict()
/// takes. Never call take() or release() with a lock that evict() takes. 16 bytes per node, committed as
/// nodes are first used.
class LruList {
public:
    static constexpr u32 kNone = ~0U;

    struct Options {
        u32 count = 0;
        bool per_cpu = false; ///< then count is a multiple of num_possible_cpus()
        /// Takes the node's element out of the map; false if it is not (or not yet, or no more) in there.
        bool (*evict)(void* owner, u32 node, u32 element) noexcept = nullptr;
        void* owner = nullptr;
        /// Reference words of the elements: of element n at refs + n * ref_stride. Non-zero: referenced.
        u8* refs = nullptr;
        u64 ref_stride = 0;
    };
    static Result<std::unique_ptr<LruList>> create(const Options& options);

    /// A node for a new entry, which counts as the CPU's latest; others are evicted if there is no free one.
    /// kNone if nothing could be evicted.
    [[nodiscard]] u32 take(u32 cpu) noexcept;
    void attach(u32 node, u32 element) noexcept {
        nodes()[node].element.store(element, std::memory_order_release);
    }
    /// The entry is gone from the map: the node is free. Not for nodes that evict() took out.
    void release(u32 node) noexcept;

    /// Common: how many nodes a CPU takes from the common list at once.
    [[nodiscard]] u32 batch() const { return batch_; }
    [[nodiscard]] u64 memory_bytes() const { return memory_.size(); }

private:
    enum Kind : u8 { kActive, kInactive, kFree, kLocalFree, kPending };

    /// Lists are circles through a head, which is a node behind the last.
    struct Node {
        u32 prev;
        u32 next;
        std::atomic<u32> element; ///< written by the node's taker and by whoever evicts; read by all
        std::atomic<u16> cpu;     ///< whose pending list, or (per CPU) whose share
        std::atomic<u8> kind;     ///< written under the list's lock
    };
    static_assert(sizeof(Node) == 16);

    /// An active, an inactive and a free list.
    struct alignas(kCacheLine) Lists {
        SpinLock lock; ///< guards the rest, and the nodes on the lists
        u32 active = 0;
        u32 inactive = 0;
        u32 free = 0;
        u32 active_count = 0;
        u32 inactive_count = 0;
        u32 rotation = 0;  ///< where the next walk over the inactive list begins
        u32 untouched = 0; ///< nodes from here to untouched_end were never used
        u32 untouched_end = 0;
    };
    struct alignas(kCacheLine) Local {
        SpinLock lock; ///< guards the rest, and the nodes on the lists
        u32 free = 0;
        u32 pending = 0;
        u32 next_victim = 0; ///< CPU whose nodes are taken next when all else fails
    };

    explicit LruList(const Options& options) : options_(options) {}
    [[nodiscard]] Node* nodes() const { return reinterpret_cast<Node*>(memory_.data()); }

    [[nodiscard]] bool referenced(const Node& node) const noexcept;
    void clear_reference(const Node& node) const noexcept;
    [[nodiscard]] bool evict(u32 node) noexcept;

    void make_empty(u32 head) noexcept;
    [[nodiscard]] bool empty(u32 head) const noexcept { return nodes()[head].next == head; }
    void remove(u32 node) noexcept;
    void push_front(u32 head, u32 node) noexcept;
    void move(Lists& lists, u32 node, Kind to) noexcept;
    void move_out(Lists& lists, u32 node, u32 head, Kind to) noexcept;
    [[nodiscard]] u32 pop_free(Lists& lists) noexcept;

    void rotate(Lists& lists) noexcept;
    void rotate_active(Lists& lists) noexcept;
    void rotate_inactive(Lists& lists) noexcept;
    u32 shrink(Lists& lists, u32 wanted, u32 head, Kind to) noexcept;
    u32 shrink_inactive(Lists& lists, u32 wanted, u32 head, Kind to) noexcept;

    void refill(Local& local) noexcept;
    [[nodiscard]] u32 take_local(Local& local) noexcept;
    [[nodiscard]] u32 take_pending(Local& local) noexcept;
    void add_pending(Local& local, u32 cpu, u32 node) noexcept;
    [[nodiscard]] u32 steal(Local& own) noexcept;
    [[nodiscard]] u32 take_common(u32 cpu) noexcept;
    [[nodiscard]] u32 take_per_cpu(u32 cpu) noexcept;

    Options options_;
    u32 cpus_ = 0;
    u32 scans_ = 0; ///< nodes that one walk looks at
    u32 batch_ = 0;
    Mapping memory_;
    std::unique_ptr<Lists[]> lists_; ///< one, or one per CPU
    std::unique_ptr<Local[]> locals_;
};

} // namespace xdplane
