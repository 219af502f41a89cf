// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
#pragma once
#include <atomic>
#include <memory>

#include "bpf/base/mapping.h"
#include "bpf/base/result.h"
#include "bpf/maps/spin_lock.h"

namespace xdplane {

/// Hands out the element numbers [0, total) of a map and takes them back once no reader can still look at
/// them. It knows numbers only; the elements are the map's. One bin per CPU, each with its lock, so that
/// workers meet only when a bin runs dry.
///
/// An element that is given back goes fresh -> pending -> free. Fresh ones are stamped together when the
/// pending ones have passed their own stamp, so that the Reclaimer's epoch moves once per batch and not per
/// element.
///
/// Elements that have their place in the map, slots, are only taken back: what becomes free is their state,
/// which then is 0, for the map to see.
///
/// Data path, any thread; no allocation. 4 bytes per element, committed as elements are first given back.
class ElementPool {
public:
    static constexpr u32 kNone = ~0U;

    /// The map's elements.
    struct Elements {
        u8* first;          ///< where they are, to poison the free ones (poison.h)
        u64 size;           ///< of each
        u32 total;          ///< of them
        u32 slots = 0;      ///< the first ones, which are slots
        u32 slot_state = 0; ///< offset of a slot's state, an atomic u32
        u32 slot_body = 0;  ///< from here on nobody looks at a free slot
    };
    static Result<ElementPool> create(const Elements& elements, bool sparse);

    /// A free element that is no slot, or kNone. `early` allows the last resort: an element that was given
    /// back and that readers may still be looking at (what Linux's preallocated maps do all the time).
    [[nodiscard]] u32 take(bool early) noexcept;
    /// After unlinking.
    void give_back(u32 element) noexcept;
    /// Frees what readers have passed, of what this CPU has given back.
    void look() noexcept;

    [[nodiscard]] u64 memory_bytes() const { return links_.size(); }
    /// How often the last resort was needed. Any thread.
    [[nodiscard]] u64 reused_early() const {
        return state_ ? state_->reused_early.load(std::memory_order_relaxed) : 0;
    }
    /// The map had another one: it wrote where readers may be looking.
    void note_early() noexcept { state_->reused_early.fetch_add(1, std::memory_order_relaxed); }

private:
    /// A chain through links_, taken at the head.
    struct List {
        u32 head = kNone;
        u32 tail = kNone;
        [[nodiscard]] bool empty() const { return head == kNone; }
    };
    struct alignas(kCacheLine) Bin {
        SpinLock lock; ///< guards the rest, and the links of its elements
        List free;
        List pending; ///< may be reused when `stamp` has passed
        List fresh;   ///< unlinked, not stamped yet
        List pending_slots;
        List fresh_slots;
        u64 stamp = 0;
        u32 given_back = 0; ///< since slots became pending
        [[nodiscard]] bool waits() const { return !pending.empty() || !pending_slots.empty(); }
    };
    /// Looking whether readers have passed costs a cache line of each: for slots once in so many.
    static constexpr u32 kLookAfter = 16;

    struct State {
        alignas(kCacheLine) std::atomic<u32> untouched{0}; ///< elements from here on were never handed out
        std::atomic<u64> reused_early{0};
    };

    [[nodiscard]] u32* links() const { return reinterpret_cast<u32*>(links_.data()); }
    void push(List& list, u32 element) noexcept;
    [[nodiscard]] u32 pop(List& list) noexcept;
    void append(List& to, List& from) noexcept;
    [[nodiscard]] Bin& own_bin() noexcept;
    void advance(Bin& bin) noexcept;
    void set_free(Bin& bin) noexcept;
    [[nodiscard]] u32 take_untouched() noexcept;
    [[nodiscard]] u32 take_from(Bin& bin, bool early) noexcept;

    Elements elements_{};
    u32 bins_ = 0;
    Mapping links_;
    std::unique_ptr<Bin[]> bin_;
    std::unique_ptr<State> state_;
};

} // namespace xdplane
