// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
#pragma once
#include <atomic>
#include <memory>
#include <mutex>
#include <type_traits>

#include "bpf/base/mapping.h"
#include "bpf/base/reclaimer.h"
#include "bpf/base/result.h"
#include "bpf/maps/memory.h"

namespace xdplane {

/// What arrays of references (perf event array, devmap, cpumap) have in common: a slot per index, null or an
/// object that never changes. Workers read slots without a lock; control threads replace what is in them, and
/// what was there goes through the Reclaimer. 8 bytes per slot, and the objects.
template<class T>
class SlotArray {
public:
    /// ENOMEM for more than the machine has.
    [[nodiscard]] static Result<SlotArray> make(u32 count) {
        auto memory = map_memory(u64{count} * sizeof(Slot));
        if (!memory) return fail(memory.error());
        return SlotArray(std::move(*memory), count);
    }
    SlotArray(SlotArray&& other) noexcept = default;
    SlotArray& operator=(SlotArray&&) = delete;
    ~SlotArray() {
        if (memory_) clear();
    }

    /// Data path: null if the slot is empty or there is none. Valid until the worker's next quiescent point.
    [[nodiscard]] T* get(u64 index) const noexcept {
        return index < count_ ? slots()[index].load(std::memory_order_acquire) : nullptr;
    }
    [[nodiscard]] u32 count() const noexcept { return count_; }
    [[nodiscard]] u64 memory_bytes() const noexcept { return memory_.size(); }

    /// Control threads, index < count(): null empties the slot. False if it was empty before.
    bool set(u32 index, std::unique_ptr<T> object) {
        T* old = nullptr;
        {
            const std::lock_guard guard(*lock_);
            if (object != nullptr) std::atomic_ref(used_).fetch_add(1, std::memory_order_relaxed);
            old = slots()[index].exchange(object.release(), std::memory_order_acq_rel);
            if (old != nullptr) std::atomic_ref(used_).fetch_sub(1, std::memory_order_relaxed);
        }
        if (old != nullptr) Reclaimer::instance().retire(old);
        return old != nullptr;
    }
    /// Control threads: calls `look` with the object at the index, which lives that long. False if there is
    /// none.
    template<class Look>
    bool with(u64 index, Look look) const {
        const std::lock_guard guard(*lock_);
        const T* object = get(index);
        if (object != nullptr) look(*object);
        return object != nullptr;
    }
    void clear() {
        // Most of a large array may never have been touched.
        for (u32 index = 0; index < count_ && std::atomic_ref(used_).load() != 0; ++index)
            if (get(index) != nullptr) set(index, nullptr);
    }

private:
    using Slot = std::atomic<T*>;
    static_assert(sizeof(Slot) == sizeof(void*) && std::is_trivially_destructible_v<Slot>);

    SlotArray(Mapping memory, u32 count) : memory_(std::move(memory)), count_(count) {}
    [[nodiscard]] Slot* slots() const noexcept { return reinterpret_cast<Slot*>(memory_.data()); }

    Mapping memory_; ///< zeroed: empty slots
    u32 count_;
    u32 used_ = 0; ///< slots that hold something; atomic, written under lock_
    std::unique_ptr<std::mutex> lock_ = std::make_unique<std::mutex>(); ///< of control threads
};

} // namespace xdplane
