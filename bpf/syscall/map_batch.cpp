// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
//
// The batch commands. What is left when one ends early is in batch.count: the entries that were done.
#include "bpf/syscall/command.h"
#include "bpf/syscall/map_values.h"

namespace xdplane {
namespace {

void put_count(const Call& call, u32 count) { call.put(offsetof(bpf_attr, batch.count), count); }

bool bad_element_flags(const Map& map, u64 flags) {
    return (flags & ~u64{BPF_F_LOCK}) != 0 || lacks_lock(map, flags);
}

/// By GET_NEXT_KEY: the cursor is a key.
long lookup_by_key(Call& call, Map& map) {
    const auto& batch = call.attr.batch;
    if (bad_element_flags(map, batch.elem_flags)) return -EINVAL;
    if (batch.count == 0) return 0;
    put_count(call, 0);
    const u32 key_size = map.spec().key_size;
    const u32 value_size = map.syscall_value_size();
    std::vector<u8> last(key_size);
    std::vector<u8> key(key_size);
    std::vector<u8> value(value_size);
    const u8* after = nullptr;
    if (batch.in_batch != 0) {
        std::memcpy(last.data(), user_pointer(batch.in_batch), key_size);
        after = last.data();
    }
    int error = 0;
    u32 done = 0;
    while (done < batch.count) {
        error = next_key(map, after, key.data());
        if (error != 0) break;
        const int missing = load_value(map, key.data(), value.data(), batch.elem_flags);
        if (missing != 0 && missing != -ENOENT) return missing;
        if (missing == 0) {
            if (batch.keys == 0 || batch.values == 0) return -EFAULT;
            std::memcpy(user_pointer(batch.keys) + std::size_t{done} * key_size, key.data(), key_size);
            std::memcpy(user_pointer(batch.values) + std::size_t{done} * value_size, value.data(),
                        value_size);
            ++done;
        }
        last.swap(key);
        after = last.data();
    }
    put_count(call, done);
    if (done == 0) return error;
    if (batch.out_batch == 0) return -EFAULT;
    std::memcpy(user_pointer(batch.out_batch), last.data(), key_size);
    return error;
}

/// By bucket: the cursor is a number.
long copy_buckets(Call& call, Map& map, bool take) {
    const auto& batch = call.attr.batch;
    if (bad_element_flags(map, batch.elem_flags) || batch.flags != 0) return -EINVAL;
    if (batch.count == 0) return 0;
    put_count(call, 0);
    u32 cursor = 0;
    if (batch.in_batch != 0) std::memcpy(&cursor, user_pointer(batch.in_batch), sizeof cursor);
    MapBatch out{.keys = user_pointer(batch.keys), .values = user_pointer(batch.values), .room = batch.count};
    const u32 start = cursor;
    const int error = map.ops().copy_batch(map, cursor, out, take);
    // A cursor that was behind the end leaves everything as it is.
    if (error == -EFAULT || (error == -ENOENT && cursor == start)) return error;
    if (batch.out_batch == 0) return -EFAULT;
    std::memcpy(user_pointer(batch.out_batch), &cursor, sizeof cursor);
    put_count(call, out.count);
    return error;
}

/// Runs `each` for every entry of the caller's lists.
template<class Each>
long for_each_entry(Call& call, const Map& map, Each each) {
    const auto& batch = call.attr.batch;
    if (bad_element_flags(map, batch.elem_flags)) return -EINVAL;
    if (batch.count == 0) return 0;
    put_count(call, 0);
    const u32 key_size = map.spec().key_size;
    long error = 0;
    u32 done = 0;
    for (; done < batch.count && error == 0; done += error == 0) {
        const auto key = copy_in(batch.keys == 0 ? 0 : batch.keys + u64{done} * key_size, key_size);
        error = key ? each(done, *key) : -key.error().code;
    }
    put_count(call, done);
    return error;
}

} // namespace

long map_lookup_batch(Call& call) {
    const auto t = map_access(call.attr.batch.map_fd);
    if (!t) return -t.error().code;
    if (!t->read) return -EPERM;
    const MapOps& ops = t->map->ops();
    if ((ops.batch & kBatchLookup) == 0) return -kNotSupported;
    return ops.copy_batch != nullptr ? copy_buckets(call, *t->map, false) : lookup_by_key(call, *t->map);
}

long map_lookup_and_delete_batch(Call& call) {
    const auto t = map_access(call.attr.batch.map_fd);
    if (!t) return -t.error().code;
    if (!t->read || !t->write) return -EPERM;
    return t->map->ops().copy_batch != nullptr ? copy_buckets(call, *t->map, true) : -kNotSupported;
}

long map_update_batch(Call& call) {
    const auto t = map_access(call.attr.batch.map_fd);
    if (!t) return -t.error().code;
    if (!t->write) return -EPERM;
    Map& map = *t->map;
    if ((map.ops().batch & kBatchUpdate) == 0) return -kNotSupported;
    const auto& batch = call.attr.batch;
    return for_each_entry(call, map, [&](u32 i, const std::vector<u8>& key) -> long {
        const u32 size = map.syscall_value_size();
        const auto value = copy_in(batch.values == 0 ? 0 : batch.values + u64{i} * size, size);
        if (!value) return -value.error().code;
        return store_value(map, key.data(), value->data(), batch.elem_flags);
    });
}

long map_delete_batch(Call& call) {
    const auto t = map_access(call.attr.batch.map_fd);
    if (!t) return -t.error().code;
    if (!t->write) return -EPERM;
    Map& map = *t->map;
    if ((map.ops().batch & kBatchDelete) == 0) return -kNotSupported;
    return for_each_entry(
        call, map, [&](u32, const std::vector<u8>& key) -> long { return erase_value(map, key.data()); });
}

} // namespace xdplane
