// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
#include "bpf/maps/queue_stack.h"

#include <cerrno>
#include <mutex>

#include "bpf/maps/memory.h"
#include "bpf/maps/rows.h"

namespace xdplane {

QueueStackMap::QueueStackMap(MapSpec spec, const MapOps& ops, Mapping memory)
    : Map(ops, std::move(spec)),
      value_size_(this->spec().value_size),
      stride_(static_cast<u32>(round_up(value_size_, 8))),
      capacity_(this->spec().max_entries),
      stack_(this->spec().type == BPF_MAP_TYPE_STACK),
      memory_(std::move(memory)) {}

Result<std::shared_ptr<Map>> QueueStackMap::create(MapSpec spec, const MapOps& ops) {
    if (spec.max_entries == 0) return fail(EINVAL, "max_entries is 0");
    if (spec.key_size != 0) return fail(EINVAL, "a {} has no keys", ops.name);
    if (spec.value_size == 0) return fail(EINVAL, "value size is 0");
    const u32 unknown = spec.flags & ~(kAccessFlags | BPF_F_NUMA_NODE);
    if (unknown != 0) return fail(EINVAL, "map flags {:#x} are not allowed", unknown);
    if (spec.value_size > kMaxAllocation)
        return fail(E2BIG, "value size {} is more than {}", spec.value_size, kMaxAllocation);
    auto memory = map_memory(u64{spec.max_entries} * round_up(spec.value_size, 8));
    if (!memory) return fail(memory.error());
    return std::make_shared<QueueStackMap>(std::move(spec), ops, std::move(*memory));
}

u64* QueueStackMap::slot(u32 order) const noexcept {
    const u64 index = u64{oldest_} + (stack_ ? count_ - 1 - order : order);
    return reinterpret_cast<u64*>(memory_.data() + (index < capacity_ ? index : index - capacity_) * stride_);
}

int QueueStackMap::push(const u8* value, u64 flags) noexcept {
    if (flags != BPF_ANY && flags != BPF_EXIST) return -EINVAL;
    const std::lock_guard guard(lock_);
    if (count_ == capacity_) {
        if (flags != BPF_EXIST) return -E2BIG;
        oldest_ = oldest_ + 1 == capacity_ ? 0 : oldest_ + 1;
        --count_;
    }
    ++count_;
    store_words(slot(stack_ ? 0 : count_ - 1), value, value_size_);
    return 0;
}

int QueueStackMap::get(u8* value, bool remove) noexcept {
    const std::lock_guard guard(lock_);
    if (count_ == 0) {
        std::memset(value, 0, value_size_);
        return -ENOENT;
    }
    copy_words(value, slot(0), value_size_);
    if (!remove) return 0;
    if (!stack_) oldest_ = oldest_ + 1 == capacity_ ? 0 : oldest_ + 1;
    --count_;
    return 0;
}

std::vector<std::vector<u8>> QueueStackMap::values() {
    std::vector<std::vector<u8>> all;
    std::vector<u8> copy(value_size_);
    u32 count = 0;
    {
        const std::lock_guard guard(lock_);
        count = count_;
    }
    // One at a time: the lock is the workers' too. What moves meanwhile may be seen twice or not at all.
    for (u32 age = 0; age < count; ++age) {
        {
            const std::lock_guard guard(lock_);
            if (age >= count_) break;
            copy_words(copy.data(), slot(stack_ ? count_ - 1 - age : age), value_size_);
        }
        all.push_back(copy);
    }
    return all;
}

namespace {

QueueStackMap& queue(Map& map) noexcept { return static_cast<QueueStackMap&>(map); }

int push(Map& map, const void* value, u64 flags) noexcept {
    return queue(map).push(static_cast<const u8*>(value), flags);
}
int pop(Map& map, void* value) noexcept { return queue(map).get(static_cast<u8*>(value), true); }
int peek(Map& map, void* value) noexcept { return queue(map).get(static_cast<u8*>(value), false); }
int erase(Map&, const void*) noexcept { return -EINVAL; }
int copy_value(Map& map, const void*, void* value, u64) { return peek(map, value); }
int store_value(Map& map, const void*, const void* value, u64 flags) { return push(map, value, flags); }
int take_value(Map& map, const void*, void* value, u64) { return pop(map, value); }
int next_key(Map&, const void*, void*) { return -EINVAL; }

template<const MapOps& ops>
Result<std::shared_ptr<Map>> create(MapSpec spec) {
    return QueueStackMap::create(std::move(spec), ops);
}

constexpr MapOps row(const char* name, decltype(MapOps::create) create) {
    return {.name = name,
            .create = create,
            .lookup = nullptr,
            .update = nullptr,
            .erase = erase,
            .copy_value = copy_value,
            .store_value = store_value,
            .next_key = next_key,
            .direct_value = nullptr,
            .per_cpu = false,
            .array_like = false,
            .push = push,
            .pop = pop,
            .peek = peek,
            .take_value = take_value};
}

} // namespace

constinit const MapOps kQueueOps = row("queue", create<kQueueOps>);
constinit const MapOps kStackOps = row("stack", create<kStackOps>);

} // namespace xdplane
