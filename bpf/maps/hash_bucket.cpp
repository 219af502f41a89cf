// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
//
// Where the elements of a hash are: in the slots of lines, and in chains.
#include "bpf/maps/hash.h"

namespace xdplane {
namespace {

constexpr u32 kNone = ElementPool::kNone;
constexpr u32 kWaits = kNone - 1;

} // namespace

u32 HashMap::first_of_chain(u32 index) const noexcept {
    // Acquire: pairs with the release store that published the element.
    const u32 number = head(index).load(std::memory_order_acquire);
    return number == 0 ? kEnd | index : number - 1;
}

u32 HashMap::first(u32 index) const noexcept {
    if (slots_ == 0) return first_of_chain(index);
    const u32 slot = index * Layout::kSlots;
    return is_used(slot) ? slot : following(slot);
}

u32 HashMap::following(u32 number) const noexcept {
    if (!is_slot(number)) {
        // Behind the loads of what the caller has compared.
        std::atomic_thread_fence(std::memory_order_acquire);
        return element(number).next.load(std::memory_order_acquire);
    }
    if (number % Layout::kSlots == 0 && is_used(number + 1)) return number + 1;
    return first_of_chain(number / Layout::kSlots);
}

HashMap::Snapshot HashMap::snapshot(u32 index) const noexcept {
    if (slots_ == 0) return {.count = 0, .slots = {}, .chain = first_of_chain(index)};
    while (true) {
        Snapshot now{};
        const u32 before = gone(index).load(std::memory_order_acquire);
        for (u32 i = 0; i < Layout::kSlots; ++i) {
            now.slots[now.count] = index * Layout::kSlots + i;
            now.count += is_used(now.slots[now.count]);
        }
        now.chain = first_of_chain(index);
        // Else an entry may have gone from one place to another, and was seen twice or not at all.
        if (gone(index).load(std::memory_order_relaxed) == before) return now;
    }
}

u32 HashMap::find_unlocked(const u8* key) const noexcept {
    const u32 hash = hash_of(key);
    const u32 index = hash & mask_;
    u32 before = 0;
    if (slots_ != 0) {
        before = gone(index).load(std::memory_order_acquire);
        // The slot that it is in, if it is in one; without a jump that nobody could foresee.
        u32 slot = index * Layout::kSlots;
        slot += element(slot).hash.load(std::memory_order_acquire) != hash;
        const Element& found = element(slot);
        if (found.hash.load(std::memory_order_acquire) == hash && has_key(found, key)) return slot;
    }
    while (true) {
        u32 number = first(index);
        while ((number & kEnd) == 0) {
            const Element& found = element(number);
            if (found.hash.load(std::memory_order_acquire) == hash && has_key(found, key)) return number;
            number = following(number);
        }
        // An element that was reused early led into another bucket's chain: look again.
        if (number != (kEnd | index)) continue;
        if (slots_ == 0) return kNone;
        const u32 after = gone(index).load(std::memory_order_acquire);
        if (after == before) return kNone;
        before = after;
    }
}

bool HashMap::precedes(const Element& a, const Element& b) const noexcept {
    const u32 words = static_cast<u32>(round_up(key_size_, 8) / 8);
    for (u32 i = 0; i < words; ++i) {
        const u64 x = load_word(a.key + i);
        const u64 y = load_word(b.key + i);
        if (x != y) return x < y;
    }
    return false;
}

u32 HashMap::first_behind(u32 index, u32 last) const noexcept {
    u32 least = kNone;
    for (u32 number = first(index); (number & kEnd) == 0; number = following(number))
        if ((last == kNone || precedes(element(last), element(number))) &&
            (least == kNone || precedes(element(number), element(least))))
            least = number;
    return least;
}

u32 HashMap::find(u32 hash, const u8* key) const noexcept {
    for (u32 number = first(hash & mask_); (number & kEnd) == 0; number = following(number)) {
        const Element& found = element(number);
        if (found.hash.load(std::memory_order_relaxed) == hash && has_key(found, key)) return number;
    }
    return kNone;
}

u32 HashMap::free_slot(u32 index) const noexcept {
    const u32 first = index * Layout::kSlots;
    u32 found = kNone;
    for (u32 slot = first; slot < first + Layout::kSlots; ++slot) {
        // Acquire: pairs with the pool, which has seen the last reader go.
        const u32 hash = element(slot).hash.load(std::memory_order_acquire);
        if (hash == kFree) return slot;
        if (hash == kWaiting) found = kWaits;
    }
    return found;
}

u32 HashMap::take_slot(u32 index) noexcept {
    if (slots_ == 0) return kNone;
    u32 slot = free_slot(index);
    if (slot == kWaits) {
        pool_.look();
        slot = free_slot(index);
    }
    if ((slot & kEnd) != 0) return kNone;
    make_usable(slot);
    return slot;
}

void HashMap::insert(u32 number, u32 hash) noexcept {
    if (is_slot(number)) return; // fill() has done it
    const u32 index = hash & mask_;
    element(number).next.store(first_of_chain(index), std::memory_order_release);
    head(index).store(number + 1, std::memory_order_release);
}

void HashMap::replace(u32 old, u32 number, u32 hash) noexcept {
    if (is_slot(old) || is_slot(number)) {
        insert(number, hash);
        unlink(old, hash);
        return;
    }
    // In the old one's place, by one store: a reader anywhere in the chain meets one of the two.
    element(number).next.store(element(old).next.load(std::memory_order_relaxed), std::memory_order_relaxed);
    point_past(old, hash, number);
}

void HashMap::unlink(u32 number, u32 hash) noexcept {
    if (slots_ != 0) {
        // Before it goes: who misses it has the count to see, and that of before if it also missed what
        // came in its place.
        std::atomic<u32>& count = gone(hash & mask_);
        count.store(count.load(std::memory_order_relaxed) + 1, std::memory_order_release);
    }
    if (is_slot(number))
        element(number).hash.store(kWaiting, std::memory_order_release);
    else
        point_past(number, hash, element(number).next.load(std::memory_order_relaxed));
}

void HashMap::unlink_all(u32 index) noexcept {
    for (u32 number = first(index); is_slot(number); number = following(number)) unlink(number, index);
    head(index).store(0, std::memory_order_release);
}

void HashMap::point_past(u32 number, u32 hash, u32 to) noexcept {
    const u32 index = hash & mask_;
    u32 before = first_of_chain(index);
    if (before == number) {
        head(index).store((to & kEnd) != 0 ? 0 : to + 1, std::memory_order_release);
        return;
    }
    for (u32 next; (next = element(before).next.load(std::memory_order_relaxed)) != number;) before = next;
    element(before).next.store(to, std::memory_order_release);
}

} // namespace xdplane
