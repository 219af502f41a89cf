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
/// Data path, any thread; no allocation. 4 bytes per element, committed as elements are first given back.
class ElementPool {
public:
    static constexpr u32 kNone = ~0U;

    /// `elements` and `element_size`: where the map keeps them, to poison the free ones (poison.h).
    static Result<ElementPool> create(u32 total, bool sparse, const u8* elements, u64 element_size);

    /// A free element, or kNone. `early` allows the last resort: an element that was given back and that
    /// readers may still be looking at (what Linux's preallocated maps do all the time).
    [[nodiscard]] u32 take(bool early) noexcept;
    /// After unlinking.
    void give_back(u32 element) noexcept;

    [[nodiscard]] u64 memory_bytes() const { return links_.size(); }

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
        u64 stamp = 0;
    };
    struct State {
        alignas(kCacheLine) std::atomic<u32> untouched{0}; ///< elements from here on were never handed out
    };

    [[nodiscard]] u32* links() const { return reinterpret_cast<u32*>(links_.data()); }
    void push(List& list, u32 element) noexcept;
    [[nodiscard]] u32 pop(List& list) noexcept;
    void append(List& to, List& from) noexcept;
    void advance(Bin& bin) noexcept;
    void set_free(Bin& bin) noexcept;
    [[nodiscard]] u32 take_untouched() noexcept;
    [[nodiscard]] u32 take_from(Bin& bin, bool early) noexcept;

    u32 total_ = 0;
    u32 bins_ = 0;
    const u8* elements_ = nullptr;
    u64 element_size_ = 0;
    Mapping links_;
    std::unique_ptr<Bin[]> bin_;
    std::unique_ptr<State> state_;
};

} // namespace xdplane
