// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
#pragma once
#include <map>
#include <mutex>
#include <optional>

#include "bpf/base/mapping.h"
#include "bpf/maps/map.h"

namespace xdplane {

class Program;

/// BPF_MAP_TYPE_PROG_ARRAY: the targets of bpf_tail_call. Slots are read by workers without a lock and
/// swapped by the control thread; the program that was there is retired through the Reclaimer. 24 bytes a
/// slot, committed as they are touched.
class ProgArray final : public Map {
public:
    static Result<std::shared_ptr<Map>> create(MapSpec spec);
    ~ProgArray() override;

    /// What all programs of one array share, as Linux asks; the first program loaded with the map, or stored
    /// into it, sets it.
    struct Owner {
        u32 prog_type;
        bool jited;
        friend bool operator==(const Owner&, const Owner&) = default;
    };
    /// False if another kind of program owns the array already.
    [[nodiscard]] bool compatible(const Owner& owner);
    /// Control thread.
    [[nodiscard]] std::optional<Owner> owner() {
        const std::lock_guard guard(lock_);
        return owner_;
    }

    /// Control thread. -E2BIG out of range, -ENOENT if erase finds nothing. set() is defined in prog/.
    int set(u32 index, std::shared_ptr<const Program> program);
    int erase(u32 index);
    [[nodiscard]] std::shared_ptr<const Program> get(u32 index);
    /// Drops all programs, as when the last user-space reference to the array goes: breaks reference cycles.
    void clear();
    void last_fd_closed() override { clear(); }

    /// Data path: the entry to jump to, or null.
    [[nodiscard]] const Entry* entry(u64 index) const noexcept {
        return index < count_ ? slots_[index].load(std::memory_order_acquire) : nullptr;
    }
    /// The same program's Entry::tail_entry, or null.
    [[nodiscard]] const void* door(u64 index) const noexcept {
        return index < count_ ? doors_[index].load(std::memory_order_acquire) : nullptr;
    }
    /// For slices that run ahead: Entry::ahead_entry, or null.
    [[nodiscard]] const std::atomic<const void*>* ahead_doors() const { return ahead_doors_; }
    /// For the JIT: doors_ and count_ never change, and a door is where tail calls jump to.
    [[nodiscard]] const std::atomic<const void*>* doors() const { return doors_; }
    [[nodiscard]] u32 count() const { return count_; }

private:
    ProgArray(MapSpec spec, Mapping memory);
    int put(u32 index, std::shared_ptr<const Program> program, const Entry* entry);
    /// What workers find in the slot; null: nothing. With the lock.
    void publish(u32 index, const Entry* entry) noexcept;

    u32 count_;
    Mapping memory_;                        ///< of the three arrays
    std::atomic<const Entry*>* slots_;      ///< written under lock_, read by workers
    std::atomic<const void*>* doors_;       ///< the same; an engine reads one of the two
    std::atomic<const void*>* ahead_doors_; ///< the same
    std::mutex lock_;                       ///< guards programs_, owner_
    std::map<u32, std::shared_ptr<const Program>> programs_;
    std::optional<Owner> owner_;
};

} // namespace xdplane
