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

Result<ElementPool> ElementPool::create(u32 total, bool sparse, const u8* elements, u64 element_size) {
    auto links = map_memory(u64{total} * sizeof(u32), sparse);
    if (!links) return fail(links.error());
    ElementPool pool;
    pool.total_ = total;
    pool.bins_ = num_possible_cpus();
    pool.elements_ = elements;
    pool.element_size_ = element_size;
    pool.links_ = std::move(*links);
    pool.bin_ = std::make_unique<Bin[]>(pool.bins_);
    pool.state_ = std::make_unique<State>();
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
            poison(elements_ + element * element_size_, element_size_);
    }
    append(bin.free, bin.pending);
}

void ElementPool::advance(Bin& bin) noexcept {
    Reclaimer& reclaimer = Reclaimer::instance();
    if (!bin.pending.empty() && reclaimer.passed(bin.stamp)) set_free(bin);
    if (bin.pending.empty() && !bin.fresh.empty()) {
        bin.stamp = reclaimer.stamp();
        append(bin.pending, bin.fresh);
        // Without readers it has passed at once.
        if (reclaimer.passed(bin.stamp)) set_free(bin);
    }
}

u32 ElementPool::take_untouched() noexcept {
    std::atomic<u32>& untouched = state_->untouched;
    u32 element = untouched.load(std::memory_order_relaxed);
    while (element < total_ &&
           !untouched.compare_exchange_weak(element, element + 1, std::memory_order_relaxed)) {
    }
    return element < total_ ? element : kNone;
}

u32 ElementPool::take_from(Bin& bin, bool early) noexcept {
    const std::lock_guard guard(bin.lock);
    if (bin.free.empty()) advance(bin);
    u32 element = pop(bin.free);
    if (element == kNone && early) element = pop(bin.pending);
    if (element == kNone && early) element = pop(bin.fresh);
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

void ElementPool::give_back(u32 element) noexcept {
    Bin& bin = bin_[t_run.cpu < bins_ ? t_run.cpu : 0];
    const std::lock_guard guard(bin.lock);
    push(bin.fresh, element);
    if (bin.pending.empty()) advance(bin);
}

} // namespace xdplane
