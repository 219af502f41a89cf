// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
#include "bpf/maps/element_pool.h"

#include <mutex>
#include <utility>

#include "bpf/base/reclaimer.h"
#include "bpf/maps/memory.h"
#include "bpf/maps/poison.h"
#include "bpf/run/run_context.h"

namespace xdplane {

Result<ElementPool> ElementPool::create(const Elements& elements, bool sparse) {
    auto links = map_memory(u64{elements.total} * sizeof(u32), sparse);
    if (!links) return fail(links.error());
    ElementPool pool;
    pool.elements_ = elements;
    pool.bins_ = num_possible_cpus();
    pool.links_ = std::move(*links);
    pool.bin_ = std::make_unique<Bin[]>(pool.bins_);
    pool.state_ = std::make_unique<State>();
    pool.state_->untouched.store(elements.slots, std::memory_order_relaxed);
    return pool;
}

void ElementPool::push(List& list, u32 element) noexcept {
    links()[element] = kNone;
    if (list.empty())
        list.head = element;
    else
        links()[list.tail] = element;
    list.tail = element;
}

u32 ElementPool::pop(List& list) noexcept {
    const u32 element = list.head;
    if (element != kNone) list.head = links()[element];
    return element;
}

void ElementPool::append(List& to, List& from) noexcept {
    if (from.empty()) return;
    if (to.empty())
        to = from;
    else {
        links()[to.tail] = from.head;
        to.tail = from.tail;
    }
    from = {};
}

void ElementPool::set_free(Bin& bin) noexcept {
    if constexpr (kPoisons) {
        for (u32 element = bin.pending.head; element != kNone; element = links()[element])
            poison(elements_.first + element * elements_.size, elements_.size);
    }
    append(bin.free, bin.pending);
    for (u32 slot = bin.pending_slots.head; slot != kNone;) {
        const u32 next = links()[slot];
        u8* const at = elements_.first + slot * elements_.size;
        poison(at + elements_.slot_body, elements_.size - elements_.slot_body);
        // The last access here: the map may have it taken and given back to another bin at once.
        reinterpret_cast<std::atomic<u32>*>(at + elements_.slot_state)->store(0, std::memory_order_release);
        slot = next;
    }
    bin.pending_slots = {};
}

void ElementPool::advance(Bin& bin) noexcept {
    Reclaimer& reclaimer = Reclaimer::instance();
    bin.given_back = 0;
    if (bin.waits() && reclaimer.passed(bin.stamp)) set_free(bin);
    if (!bin.waits() && !(bin.fresh.empty() && bin.fresh_slots.empty())) {
        bin.stamp = reclaimer.stamp();
        append(bin.pending, bin.fresh);
        append(bin.pending_slots, bin.fresh_slots);
        // Without readers it has passed at once.
        if (reclaimer.passed(bin.stamp)) set_free(bin);
    }
}

ElementPool::Bin& ElementPool::own_bin() noexcept { return bin_[t_run.cpu < bins_ ? t_run.cpu : 0]; }

u32 ElementPool::take_untouched() noexcept {
    std::atomic<u32>& untouched = state_->untouched;
    u32 element = untouched.load(std::memory_order_relaxed);
    while (element < elements_.total &&
           !untouched.compare_exchange_weak(element, element + 1, std::memory_order_relaxed)) {
    }
    return element < elements_.total ? element : kNone;
}

u32 ElementPool::take_from(Bin& bin, bool early) noexcept {
    const std::lock_guard guard(bin.lock);
    if (bin.free.empty()) advance(bin);
    u32 element = pop(bin.free);
    if (element != kNone || !early) return element;
    element = pop(bin.pending);
    if (element == kNone) element = pop(bin.fresh);
    if (element != kNone) note_early();
    return element;
}

u32 ElementPool::take(bool early) noexcept {
    const u32 own = t_run.cpu < bins_ ? t_run.cpu : 0;
    u32 element = take_from(bin_[own], false);
    if (element == kNone) element = take_untouched();
    for (u32 i = 1; element == kNone && i < bins_; ++i) element = take_from(bin_[(own + i) % bins_], false);
    if (!early) return element;
    for (u32 i = 0; element == kNone && i < bins_; ++i) element = take_from(bin_[(own + i) % bins_], true);
    return element;
}

void ElementPool::look() noexcept {
    Bin& bin = own_bin();
    const std::lock_guard guard(bin.lock);
    advance(bin);
}

void ElementPool::give_back(u32 element) noexcept {
    Bin& bin = own_bin();
    const std::lock_guard guard(bin.lock);
    push(element < elements_.slots ? bin.fresh_slots : bin.fresh, element);
    if (!bin.waits() || (!bin.pending_slots.empty() && ++bin.given_back >= kLookAfter)) advance(bin);
}

} // namespace xdplane
