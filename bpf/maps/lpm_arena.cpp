// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
#include "bpf/maps/lpm_arena.h"

#include <algorithm>

#include "bpf/base/reclaimer.h"
#include "bpf/maps/memory.h"
#include "bpf/maps/poison.h"

namespace xdplane {

Result<LpmArena> LpmArena::create(u64 units, u32 reserve) {
    constexpr u64 kMost = ~u32{0};
    units = std::min(units + reserve, kMost);
    auto memory = map_memory(units * kUnit, true);
    if (!memory) return fail(memory.error());
    auto links = map_memory(units * sizeof(Link), true);
    if (!links) return fail(links.error());
    LpmArena arena;
    arena.memory_ = std::move(*memory);
    arena.links_ = std::move(*links);
    arena.state_ = std::make_unique<State>();
    arena.state_->units = static_cast<u32>(units);
    arena.state_->reserve = reserve;
    return arena;
}

// Only what was in use: the range may be larger than the machine.
LpmArena::~LpmArena() {
    if (state_) unpoison(memory_.data(), u64{state_->most_touched} * kUnit);
}

void LpmArena::insert_free(u32 block, u32 units) noexcept {
    u32& head = state_->free[std::min(units, kBins - 1)];
    link(block).next = head;
    link(block).prev = kNone;
    if (head != kNone) link(head).prev = block;
    head = block;
    link(block).free = link(block + units - 1).free = units;
}

/// Returns its units.
u32 LpmArena::remove_free(u32 block) noexcept {
    const Link removed = link(block);
    if (removed.prev == kNone)
        state_->free[std::min(removed.free, kBins - 1)] = removed.next;
    else
        link(removed.prev).next = removed.next;
    if (removed.next != kNone) link(removed.next).prev = removed.prev;
    link(block).free = link(block + removed.free - 1).free = 0;
    return removed.free;
}

void LpmArena::give_back(u32 block, u32 units) noexcept {
    poison(at(block), u64{units} * kUnit);
    if (const u32 before = link(block - 1).free; before != 0) {
        block -= before;
        units += remove_free(block);
    }
    const u32 end = block + units;
    if (end < state_->untouched && link(end).free != 0) units += remove_free(end);
    if (block + units == state_->untouched)
        state_->untouched = block;
    else
        insert_free(block, units);
}

/// What was retired before the readers' last quiescent points becomes free.
void LpmArena::advance() noexcept {
    Reclaimer& reclaimer = Reclaimer::instance();
    State& s = *state_;
    if (s.pending.head != kNone && !reclaimer.passed(s.stamp)) return;
    for (u32 block = s.pending.head; block != kNone;) {
        const Link freed = link(block);
        give_back(block, freed.retired);
        block = freed.next;
    }
    s.pending = std::exchange(s.fresh, {});
    if (s.pending.head != kNone) s.stamp = reclaimer.stamp();
}

void LpmArena::retire(u32 block, u32 units) noexcept {
    State& s = *state_;
    link(block) = {.next = kNone, .retired = units, .free = 0};
    if (s.fresh.head == kNone)
        s.fresh.head = block;
    else
        link(s.fresh.tail).next = block;
    s.fresh.tail = block;
    if (s.pending.head == kNone) advance();
}

/// Of this size, or cut from a larger one.
u32 LpmArena::take_free(u32 units) noexcept {
    for (u32 bin = units; bin < kBins; ++bin) {
        const u32 block = state_->free[bin];
        if (block == kNone) continue;
        const u32 had = remove_free(block);
        if (had != units) insert_free(block + units, had - units);
        return block;
    }
    return kNone;
}

u32 LpmArena::take(u32 units, bool last) noexcept {
    State& s = *state_;
    u32 block = take_free(units);
    if (block == kNone) {
        advance();
        block = take_free(units);
    }
    if (block == kNone) {
        const u32 limit = s.units - (last ? 0 : s.reserve);
        if (s.untouched >= limit || limit - s.untouched < units) return kNone;
        block = s.untouched;
        s.untouched += units;
        s.most_touched = std::max(s.most_touched, s.untouched);
    }
    unpoison(at(block), u64{units} * kUnit);
    return block;
}

} // namespace xdplane
