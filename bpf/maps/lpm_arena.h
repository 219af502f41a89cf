// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
#pragma once
#include <array>
#include <memory>

#include "bpf/base/mapping.h"
#include "bpf/base/result.h"

namespace xdplane {

/// Memory for the nodes of a trie, in blocks of 1 to 64 units of 32 bytes. A block that readers may be
/// looking at is retired, and reused once they have passed a quiescent point (the Reclaimer's epoch moves
/// once per batch of them).
///
/// Writers only, under the trie's lock; no allocation: the address range is reserved when the arena is made,
/// and pages are committed as they are touched. 8 bytes more per unit that was ever freed.
class LpmArena {
public:
    static constexpr u32 kUnit = 32;
    static constexpr u32 kMaxUnits = 64;
    static constexpr u32 kNone = 0; ///< unit 0 is never given out

    /// Room for about that many units; `reserve` of them are for take() with `last`.
    static Result<LpmArena> create(u64 units, u32 reserve);
    LpmArena() = default;
    LpmArena(LpmArena&&) = default;
    LpmArena& operator=(LpmArena&&) = default;
    ~LpmArena();

    /// The number of the block's first unit, or kNone. `last`: for deletes, which must not fail for lack of
    /// memory.
    [[nodiscard]] u32 take(u32 units, bool last) noexcept;
    /// No reader has seen it.
    void give_back(u32 block, u32 units) noexcept;
    /// After unlinking.
    void retire(u32 block, u32 units) noexcept;

    [[nodiscard]] u8* at(u32 unit) const noexcept { return memory_.data() + u64{unit} * kUnit; }
    /// Blocks are below this number.
    [[nodiscard]] u32 units() const { return state_ ? state_->units : 0; }
    /// Bytes up to the last one in use.
    [[nodiscard]] u64 used_bytes() const { return state_ ? u64{state_->untouched} * kUnit : 0; }

private:
    struct Link {
        u32 next; ///< block, or kNone
        union {
            u32 prev;    ///< of a free block
            u32 retired; ///< units, of one that waits
        };
        u32 free; ///< units, at the first and the last unit of a free block; else 0
    };
    static constexpr u32 kBins = kMaxUnits + 2; ///< by size; the last is for everything larger
    struct List {
        u32 head = kNone;
        u32 tail = kNone;
    };
    struct State {
        std::array<u32, kBins> free{};
        List pending; ///< may be reused when `stamp` has passed
        List fresh;   ///< unlinked, not stamped yet
        u64 stamp = 0;
        u32 untouched = 1; ///< units from here on are not given out
        u32 most_touched = 1;
        u32 units = 0;
        u32 reserve = 0;
    };

    [[nodiscard]] Link& link(u32 block) const noexcept {
        return reinterpret_cast<Link*>(links_.data())[block];
    }
    void advance() noexcept;
    void insert_free(u32 block, u32 units) noexcept;
    u32 remove_free(u32 block) noexcept;
    [[nodiscard]] u32 take_free(u32 units) noexcept;

    Mapping memory_;
    Mapping links_;
    std::unique_ptr<State> state_;
};

} // namespace xdplane
