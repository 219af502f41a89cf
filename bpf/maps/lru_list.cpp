// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
#include "bpf/maps/lru_list.h"

#include <algorithm>
#include <mutex>

#include "bpf/maps/memory.h"
#include "bpf/run/run_context.h"

namespace xdplane {
namespace {

// Linux's numbers: they decide who is evicted.
constexpr u32 kCommonBatch = 128;
constexpr u32 kCommonScans = 128;
constexpr u32 kPercpuBatch = 4;
constexpr u32 kPercpuScans = 4;

} // namespace

Result<std::unique_ptr<LruList>> LruList::create(const Options& options) {
    std::unique_ptr<LruList> lru(new LruList(options));
    const u32 cpus = lru->cpus_ = num_possible_cpus();
    const u32 pairs = options.per_cpu ? cpus : 1;
    const u32 heads = options.per_cpu ? 3 * cpus : 3 + 2 * cpus;
    auto memory = map_memory((u64{options.count} + heads) * sizeof(Node));
    if (!memory) return fail(memory.error());
    lru->memory_ = std::move(*memory);
    lru->scans_ = options.per_cpu ? kPercpuScans : kCommonScans;
    lru->batch_ = options.per_cpu ? kPercpuBatch : std::clamp(options.count / cpus / 2, 1U, kCommonBatch);

    u32 head = options.count;
    const auto new_list = [&] {
        lru->make_empty(head);
        return head++;
    };
    lru->lists_ = std::make_unique<Lists[]>(pairs);
    for (u32 i = 0; i < pairs; ++i) {
        Lists& lists = lru->lists_[i];
        lists.active = new_list();
        lists.inactive = lists.rotation = new_list();
        lists.free = new_list();
        lists.untouched = static_cast<u32>(u64{options.count} * i / pairs);
        lists.untouched_end = static_cast<u32>(u64{options.count} * (i + 1) / pairs);
    }
    if (options.per_cpu) return lru;
    lru->locals_ = std::make_unique<Local[]>(cpus);
    for (u32 cpu = 0; cpu < cpus; ++cpu) {
        Local& local = lru->locals_[cpu];
        local.free = new_list();
        local.pending = new_list();
        local.next_victim = cpu;
    }
    return lru;
}

bool LruList::referenced(const Node& node) const noexcept {
    const u32 element = node.element.load(std::memory_order_acquire);
    if (element == kNone) return false;
    const auto* word = reinterpret_cast<const u32*>(options_.refs + element * options_.ref_stride);
    return __atomic_load_n(word, __ATOMIC_RELAXED) != 0;
}

void LruList::clear_reference(const Node& node) const noexcept {
    const u32 element = node.element.load(std::memory_order_acquire);
    if (element == kNone) return;
    auto* word = reinterpret_cast<u32*>(options_.refs + element * options_.ref_stride);
    // Most are clear already: leave their cache lines alone.
    if (__atomic_load_n(word, __ATOMIC_RELAXED) != 0) __atomic_store_n(word, 0, __ATOMIC_RELAXED);
}

bool LruList::evict(u32 node) noexcept {
    std::atomic<u32>& element = nodes()[node].element;
    const u32 number = element.load(std::memory_order_acquire);
    if (number == kNone) return false;
    if (!options_.evict(options_.owner, node, number)) return false;
    element.store(kNone, std::memory_order_relaxed);
    return true;
}

void LruList::make_empty(u32 head) noexcept { nodes()[head].prev = nodes()[head].next = head; }

void LruList::remove(u32 node) noexcept {
    Node* all = nodes();
    all[all[node].prev].next = all[node].next;
    all[all[node].next].prev = all[node].prev;
}

void LruList::push_front(u32 head, u32 node) noexcept {
    Node* all = nodes();
    const u32 first = all[head].next;
    all[node].prev = head;
    all[node].next = first;
    all[first].prev = node;
    all[head].next = node;
}

/// To the front of another (or the same) of the lists.
void LruList::move(Lists& lists, u32 node, Kind to) noexcept {
    clear_reference(nodes()[node]);
    const u32 head = to == kActive ? lists.active : to == kInactive ? lists.inactive : lists.free;
    move_out(lists, node, head, to);
    lists.active_count += to == kActive;
    lists.inactive_count += to == kInactive;
}

/// From the lists to one that they do not count.
void LruList::move_out(Lists& lists, u32 node, u32 head, Kind to) noexcept {
    Node& moved = nodes()[node];
    const u8 from = moved.kind.load(std::memory_order_relaxed);
    if (node == lists.rotation) lists.rotation = moved.prev;
    lists.active_count -= from == kActive;
    lists.inactive_count -= from == kInactive;
    moved.kind.store(to, std::memory_order_relaxed);
    remove(node);
    push_front(head, node);
}

/// Off its list; kind stays kFree.
u32 LruList::pop_free(Lists& lists) noexcept {
    if (!empty(lists.free)) {
        const u32 node = nodes()[lists.free].next;
        remove(node);
        return node;
    }
    if (lists.untouched == lists.untouched_end) return kNone;
    const u32 node = lists.untouched++;
    nodes()[node].element.store(kNone, std::memory_order_relaxed);
    nodes()[node].kind.store(kFree, std::memory_order_relaxed);
    return node;
}

/// From the tail: who was referenced stays active, at the front; who was not becomes inactive.
void LruList::rotate_active(Lists& lists) noexcept {
    const u32 first = nodes()[lists.active].next;
    u32 node = nodes()[lists.active].prev;
    for (u32 seen = 0; node != lists.active; ++seen) {
        const u32 before = nodes()[node].prev;
        move(lists, node, referenced(nodes()[node]) ? kActive : kInactive);
        if (seen + 1 == scans_ || node == first) break;
        node = before;
    }
}

/// From where the last walk ended: who was referenced becomes active.
void LruList::rotate_inactive(Lists& lists) noexcept {
    const u32 head = lists.inactive;
    if (empty(head)) return;
    u32 last = nodes()[lists.rotation].next;
    if (last == head) last = nodes()[head].next;
    u32 node = lists.rotation;
    u32 next = head;
    for (u32 seen = 0; seen < scans_; ++seen) {
        if (node == head) node = nodes()[head].prev;
        next = nodes()[node].prev;
        if (referenced(nodes()[node])) move(lists, node, kActive);
        if (node == last) break;
        node = next;
    }
    lists.rotation = next;
}

void LruList::rotate(Lists& lists) noexcept {
    if (lists.inactive_count < lists.active_count) rotate_active(lists);
    rotate_inactive(lists);
}

u32 LruList::shrink_inactive(Lists& lists, u32 wanted, u32 head, Kind to) noexcept {
    u32 evicted = 0;
    u32 node = nodes()[lists.inactive].prev;
    for (u32 seen = 0; node != lists.inactive && seen < scans_; ++seen) {
        const u32 before = nodes()[node].prev;
        if (referenced(nodes()[node]))
            move(lists, node, kActive);
        else if (evict(node)) {
            move_out(lists, node, head, to);
            if (++evicted == wanted) break;
        }
        node = before;
    }
    return evicted;
}

/// Evicts up to `wanted` that were not referenced; if there is none, any one.
u32 LruList::shrink(Lists& lists, u32 wanted, u32 head, Kind to) noexcept {
    if (const u32 evicted = shrink_inactive(lists, wanted, head, to)) return evicted;
    const u32 list = empty(lists.inactive) ? lists.active : lists.inactive;
    for (u32 node = nodes()[list].prev; node != list; node = nodes()[node].prev) {
        if (!evict(node)) continue;
        move_out(lists, node, head, to);
        return 1;
    }
    return 0;
}

/// With the local lock: what this CPU added goes to the common lists, and a batch of free nodes comes back.
void LruList::refill(Local& local) noexcept {
    Lists& lists = lists_[0];
    const std::lock_guard guard(lists.lock);
    while (!empty(local.pending)) {
        const u32 node = nodes()[local.pending].prev;
        move(lists, node, referenced(nodes()[node]) ? kActive : kInactive);
    }
    rotate(lists);
    u32 taken = 0;
    for (u32 node; taken < batch_ && (node = pop_free(lists)) != kNone; ++taken) {
        nodes()[node].kind.store(kLocalFree, std::memory_order_relaxed);
        push_front(local.free, node);
    }
    if (taken < batch_) shrink(lists, batch_ - taken, local.free, kLocalFree);
}

u32 LruList::take_local(Local& local) noexcept {
    if (empty(local.free)) return kNone;
    const u32 node = nodes()[local.free].next;
    remove(node);
    return node;
}

/// The oldest of a CPU's latest entries that was not referenced, or the oldest.
u32 LruList::take_pending(Local& local) noexcept {
    for (const bool any : {false, true})
        for (u32 node = nodes()[local.pending].prev; node != local.pending; node = nodes()[node].prev)
            if ((any || !referenced(nodes()[node])) && evict(node)) {
                remove(node);
                return node;
            }
    return kNone;
}

void LruList::add_pending(Local& local, u32 cpu, u32 node) noexcept {
    nodes()[node].cpu.store(static_cast<u16>(cpu), std::memory_order_relaxed);
    nodes()[node].kind.store(kPending, std::memory_order_relaxed);
    push_front(local.pending, node);
}

/// From any CPU, one after the other.
u32 LruList::steal(Local& own) noexcept {
    // Two threads with one CPU number may meet here: where they begin does not matter.
    const u32 start = std::atomic_ref(own.next_victim).load(std::memory_order_relaxed);
    u32 cpu = start;
    u32 node = kNone;
    do {
        Local& victim = locals_[cpu];
        {
            const std::lock_guard guard(victim.lock);
            node = take_local(victim);
            if (node == kNone) node = take_pending(victim);
        }
        cpu = cpu + 1 == cpus_ ? 0 : cpu + 1;
    } while (node == kNone && cpu != start);
    std::atomic_ref(own.next_victim).store(cpu, std::memory_order_relaxed);
    return node;
}

u32 LruList::take_common(u32 cpu) noexcept {
    Local& local = locals_[cpu];
    {
        const std::lock_guard guard(local.lock);
        u32 node = take_local(local);
        if (node == kNone) {
            refill(local);
            node = take_local(local);
        }
        if (node != kNone) {
            add_pending(local, cpu, node);
            return node;
        }
    }
    const u32 node = steal(local);
    if (node == kNone) return kNone;
    const std::lock_guard guard(local.lock);
    add_pending(local, cpu, node);
    return node;
}

u32 LruList::take_per_cpu(u32 cpu) noexcept {
    Lists& lists = lists_[cpu];
    const std::lock_guard guard(lists.lock);
    rotate(lists);
    if (empty(lists.free) && lists.untouched == lists.untouched_end)
        shrink(lists, kPercpuBatch, lists.free, kFree);
    const u32 node = pop_free(lists);
    if (node == kNone) return kNone;
    nodes()[node].cpu.store(static_cast<u16>(cpu), std::memory_order_relaxed);
    nodes()[node].kind.store(kInactive, std::memory_order_relaxed);
    push_front(lists.inactive, node);
    ++lists.inactive_count;
    return node;
}

u32 LruList::take(u32 cpu) noexcept {
    if (cpu >= cpus_) cpu = 0;
    return options_.per_cpu ? take_per_cpu(cpu) : take_common(cpu);
}

void LruList::release(u32 node) noexcept {
    Node& freed = nodes()[node];
    clear_reference(freed);
    freed.element.store(kNone, std::memory_order_release);
    const u32 cpu = freed.cpu.load(std::memory_order_relaxed);
    if (freed.kind.load(std::memory_order_relaxed) == kPending) {
        Local& local = locals_[cpu];
        const std::lock_guard guard(local.lock);
        // Another thread may have moved it to the common lists meanwhile.
        if (freed.kind.load(std::memory_order_relaxed) == kPending) {
            freed.kind.store(kLocalFree, std::memory_order_relaxed);
            remove(node);
            push_front(local.free, node);
            return;
        }
    }
    Lists& lists = lists_[options_.per_cpu ? cpu : 0];
    const std::lock_guard guard(lists.lock);
    move(lists, node, kFree);
}

} // namespace xdplane
