// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
#include "bpf/maps/map.h"

#include <cerrno>

#include "bpf/helpers/rows.h"

namespace xdplane {
namespace {

Map& map_of(u64 argument) noexcept { return *reinterpret_cast<Map*>(argument); }
const void* memory(u64 argument) noexcept { return reinterpret_cast<const void*>(argument); }
u64 result(int error) noexcept { return static_cast<u64>(static_cast<i64>(error)); }

u64 map_lookup_elem(u64 map, u64 key, u64, u64, u64) noexcept {
    return reinterpret_cast<u64>(map_of(map).ops().lookup(map_of(map), memory(key)));
}

u64 map_update_elem(u64 map, u64 key, u64 value, u64 flags, u64) noexcept {
    const MapOps& ops = map_of(map).ops();
    return result(ops.update ? ops.update(map_of(map), memory(key), memory(value), flags) : -EOPNOTSUPP);
}

u64 map_delete_elem(u64 map, u64 key, u64, u64, u64) noexcept {
    const MapOps& ops = map_of(map).ops();
    return result(ops.erase ? ops.erase(map_of(map), memory(key)) : -EOPNOTSUPP);
}

u64 map_lookup_percpu_elem(u64 map, u64 key, u64 cpu, u64, u64) noexcept {
    const MapOps& ops = map_of(map).ops();
    if (!ops.lookup_cpu) return 0;
    return reinterpret_cast<u64>(ops.lookup_cpu(map_of(map), memory(key), static_cast<u32>(cpu)));
}

u64 get_local_storage(u64 map, u64, u64, u64, u64) noexcept {
    return reinterpret_cast<u64>(map_of(map).ops().lookup(map_of(map), nullptr));
}

u64 map_push_elem(u64 map, u64 value, u64 flags, u64, u64) noexcept {
    const MapOps& ops = map_of(map).ops();
    return result(ops.push ? ops.push(map_of(map), memory(value), flags) : -EOPNOTSUPP);
}

u64 map_pop_elem(u64 map, u64 value, u64, u64, u64) noexcept {
    const MapOps& ops = map_of(map).ops();
    return result(ops.pop ? ops.pop(map_of(map), reinterpret_cast<void*>(value)) : -EOPNOTSUPP);
}

u64 map_peek_elem(u64 map, u64 value, u64, u64, u64) noexcept {
    const MapOps& ops = map_of(map).ops();
    return result(ops.peek ? ops.peek(map_of(map), reinterpret_cast<void*>(value)) : -EOPNOTSUPP);
}

} // namespace

const HelperProto kHelperMapLookupElem = {.id = BPF_FUNC_map_lookup_elem,
                                          .name = "map_lookup_elem",
                                          .fn = map_lookup_elem,
                                          .ret = Ret::map_value_or_null,
                                          .args = {Arg::const_map, Arg::map_key},
                                          .packet_args = true};
const HelperProto kHelperMapUpdateElem = {
    .id = BPF_FUNC_map_update_elem,
    .name = "map_update_elem",
    .fn = map_update_elem,
    .ret = Ret::integer,
    .args = {Arg::const_map, Arg::map_key, Arg::map_value, Arg::anything},
    .packet_args = true};
const HelperProto kHelperMapDeleteElem = {.id = BPF_FUNC_map_delete_elem,
                                          .name = "map_delete_elem",
                                          .fn = map_delete_elem,
                                          .ret = Ret::integer,
                                          .args = {Arg::const_map, Arg::map_key},
                                          .packet_args = true};
const HelperProto kHelperMapPushElem = {.id = BPF_FUNC_map_push_elem,
                                        .name = "map_push_elem",
                                        .fn = map_push_elem,
                                        .ret = Ret::integer,
                                        .args = {Arg::const_map, Arg::map_value, Arg::anything},
                                        .packet_args = true};
const HelperProto kHelperMapPopElem = {.id = BPF_FUNC_map_pop_elem,
                                       .name = "map_pop_elem",
                                       .fn = map_pop_elem,
                                       .ret = Ret::integer,
                                       .args = {Arg::const_map, Arg::uninit_map_value}};
const HelperProto kHelperMapPeekElem = {.id = BPF_FUNC_map_peek_elem,
                                        .name = "map_peek_elem",
                                        .fn = map_peek_elem,
                                        .ret = Ret::integer,
                                        .args = {Arg::const_map, Arg::uninit_map_value}};
const HelperProto kHelperGetLocalStorage = {.id = BPF_FUNC_get_local_storage,
                                            .name = "get_local_storage",
                                            .fn = get_local_storage,
                                            .ret = Ret::map_value_or_null, // never null
                                            .args = {Arg::const_map, Arg::anything},
                                            .use = kUseCgroupSkb};
const HelperProto kHelperMapLookupPercpuElem = {.id = BPF_FUNC_map_lookup_percpu_elem,
                                                .name = "map_lookup_percpu_elem",
                                                .fn = map_lookup_percpu_elem,
                                                .ret = Ret::map_value_or_null,
                                                .args = {Arg::const_map, Arg::map_key, Arg::anything},
                                                .packet_args = true};

// Lowering replaces the call. A call that fails moves nothing; but one that succeeds in a sub-program returns
// to the sub-program's caller with any r0 and with the packet perhaps moved: the verifier knows that of tail
// calls.
const HelperProto kHelperTailCall = {.id = BPF_FUNC_tail_call,
                                     .name = "tail_call",
                                     .fn = nullptr,
                                     .ret = Ret::nothing,
                                     .args = {Arg::ctx, Arg::const_map, Arg::anything},
                                     .needs_context = true};

} // namespace xdplane
