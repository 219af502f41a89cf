// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
#include <algorithm>
#include <array>
#include <cerrno>
#include <linux/bpf.h>

#include "bpf/helpers/format.h"
#include "bpf/verifier/simulation.h"

/// What single helpers ask for once each argument is known to be what it must be: in Linux's order, so that
/// of several faults the same one is told.
namespace xdplane {
namespace {

/// Map types that only these helpers may be called with (Linux's check_map_func_compatibility).
struct MapUse {
    u32 map_type;
    std::array<u32, 8> helpers; ///< the rest is 0, which is no helper
};
constexpr std::array kMapUses = {
    MapUse{BPF_MAP_TYPE_PROG_ARRAY, {BPF_FUNC_tail_call}},
    MapUse{BPF_MAP_TYPE_PERF_EVENT_ARRAY,
           {BPF_FUNC_perf_event_read, BPF_FUNC_perf_event_output, BPF_FUNC_skb_output,
            BPF_FUNC_perf_event_read_value, BPF_FUNC_xdp_output}},
    MapUse{BPF_MAP_TYPE_RINGBUF,
           {BPF_FUNC_ringbuf_output, BPF_FUNC_ringbuf_reserve, BPF_FUNC_ringbuf_query,
            BPF_FUNC_ringbuf_reserve_dynptr, BPF_FUNC_ringbuf_submit_dynptr,
            BPF_FUNC_ringbuf_discard_dynptr}},
    MapUse{BPF_MAP_TYPE_USER_RINGBUF, {BPF_FUNC_user_ringbuf_drain}},
    MapUse{BPF_MAP_TYPE_STACK_TRACE, {BPF_FUNC_get_stackid}},
    MapUse{BPF_MAP_TYPE_CGROUP_ARRAY, {BPF_FUNC_skb_under_cgroup, BPF_FUNC_current_task_under_cgroup}},
    MapUse{BPF_MAP_TYPE_CGROUP_STORAGE, {BPF_FUNC_get_local_storage}},
    MapUse{BPF_MAP_TYPE_PERCPU_CGROUP_STORAGE, {BPF_FUNC_get_local_storage}},
    MapUse{BPF_MAP_TYPE_DEVMAP, {BPF_FUNC_redirect_map, BPF_FUNC_map_lookup_elem}},
    MapUse{BPF_MAP_TYPE_DEVMAP_HASH, {BPF_FUNC_redirect_map, BPF_FUNC_map_lookup_elem}},
    MapUse{BPF_MAP_TYPE_CPUMAP, {BPF_FUNC_redirect_map}},
    MapUse{BPF_MAP_TYPE_XSKMAP, {BPF_FUNC_redirect_map, BPF_FUNC_map_lookup_elem}},
    MapUse{BPF_MAP_TYPE_ARRAY_OF_MAPS, {BPF_FUNC_map_lookup_elem}},
    MapUse{BPF_MAP_TYPE_HASH_OF_MAPS, {BPF_FUNC_map_lookup_elem}},
    MapUse{BPF_MAP_TYPE_SOCKMAP,
           {BPF_FUNC_sk_redirect_map, BPF_FUNC_sock_map_update, BPF_FUNC_map_delete_elem,
            BPF_FUNC_msg_redirect_map, BPF_FUNC_sk_select_reuseport, BPF_FUNC_map_lookup_elem,
            BPF_FUNC_map_update_elem}},
    MapUse{BPF_MAP_TYPE_SOCKHASH,
           {BPF_FUNC_sk_redirect_hash, BPF_FUNC_sock_hash_update, BPF_FUNC_map_delete_elem,
            BPF_FUNC_msg_redirect_hash, BPF_FUNC_sk_select_reuseport, BPF_FUNC_map_lookup_elem,
            BPF_FUNC_map_update_elem}},
    MapUse{BPF_MAP_TYPE_REUSEPORT_SOCKARRAY, {BPF_FUNC_sk_select_reuseport}},
    MapUse{BPF_MAP_TYPE_QUEUE, {BPF_FUNC_map_peek_elem, BPF_FUNC_map_pop_elem, BPF_FUNC_map_push_elem}},
    MapUse{BPF_MAP_TYPE_STACK, {BPF_FUNC_map_peek_elem, BPF_FUNC_map_pop_elem, BPF_FUNC_map_push_elem}},
    MapUse{BPF_MAP_TYPE_BLOOM_FILTER, {BPF_FUNC_map_peek_elem, BPF_FUNC_map_push_elem}},
    MapUse{BPF_MAP_TYPE_SK_STORAGE, {BPF_FUNC_sk_storage_get, BPF_FUNC_sk_storage_delete}},
};

/// Helpers that take no map but those whose rows above name them.
constexpr std::array kOwnMaps = {
    BPF_FUNC_tail_call,          BPF_FUNC_perf_event_read,   BPF_FUNC_perf_event_output,
    BPF_FUNC_skb_output,         BPF_FUNC_xdp_output,        BPF_FUNC_perf_event_read_value,
    BPF_FUNC_ringbuf_output,     BPF_FUNC_ringbuf_reserve,   BPF_FUNC_ringbuf_query,
    BPF_FUNC_get_stackid,        BPF_FUNC_skb_under_cgroup,  BPF_FUNC_current_task_under_cgroup,
    BPF_FUNC_redirect_map,       BPF_FUNC_sk_redirect_map,   BPF_FUNC_sock_map_update,
    BPF_FUNC_msg_redirect_map,   BPF_FUNC_get_local_storage, BPF_FUNC_sk_redirect_hash,
    BPF_FUNC_sock_hash_update,   BPF_FUNC_msg_redirect_hash, BPF_FUNC_sk_select_reuseport,
    BPF_FUNC_map_peek_elem,      BPF_FUNC_map_pop_elem,      BPF_FUNC_map_push_elem,
    BPF_FUNC_sk_storage_get,     BPF_FUNC_sk_storage_delete, BPF_FUNC_ringbuf_reserve_dynptr,
    BPF_FUNC_user_ringbuf_drain,
};
/// Of all map types only per-CPU ones.
constexpr std::array kPercpuTypes = {BPF_MAP_TYPE_PERCPU_ARRAY, BPF_MAP_TYPE_PERCPU_HASH,
                                     BPF_MAP_TYPE_LRU_PERCPU_HASH};

template<class List>
bool has(const List& list, u32 value) {
    return std::any_of(list.begin(), list.end(), [&](auto x) { return static_cast<u32>(x) == value; });
}

constexpr std::array kWriters = {BPF_FUNC_map_update_elem, BPF_FUNC_map_delete_elem, BPF_FUNC_map_push_elem,
                                 BPF_FUNC_map_pop_elem};

bool fits(u32 helper, u32 map_type) {
    if (helper == BPF_FUNC_map_lookup_percpu_elem) return has(kPercpuTypes, map_type);
    const auto row = std::ranges::find(kMapUses, map_type, &MapUse::map_type);
    if (row == kMapUses.end()) return !has(kOwnMaps, helper);
    return has(row->helpers, helper);
}

} // namespace

/// bpf_snprintf: what the format asks for, the program passes.
bool Verifier::check_format() {
    const RegState& text = reg(R3);
    const RegState& length = reg(R5);
    const u64 bytes = length.var.bits.value;
    if (bytes % 8 != 0) return reject(EINVAL, "bpf_snprintf takes whole numbers, not {} bytes", bytes);
    const u64 off = static_cast<u64>(text.off) + text.var.value();
    const auto* format = reinterpret_cast<const char*>(text.map->ops().direct_value(*text.map)) + off;
    const std::vector<u64> numbers(bytes / 8);
    if (format_text(format, numbers, nullptr, 0) < 0) return reject(EINVAL, "Invalid format string");
    return true;
}

bool Verifier::check_helper_rules(const HelperProto& helper, const CallArguments& args) {
    if (helper.is_kfunc) return true;
    if (args.map != nullptr && (args.map->spec().flags & BPF_F_RDONLY_PROG) != 0 && has(kWriters, helper.id))
        return reject(EACCES, "write into map forbidden");
    if (has(kWriters, helper.id)) note_written(args.inner_map ? nullptr : args.map);
    switch (helper.id) {
    case BPF_FUNC_tail_call:
        if (args.map->spec().type != BPF_MAP_TYPE_PROG_ARRAY)
            return reject(EINVAL, "expected prog array map for tail call");
        break;
    case BPF_FUNC_for_each_map_elem:
        if (args.map->ops().for_each == nullptr)
            return reject(kNotSupported, "callback function not allowed for map");
        break;
    case BPF_FUNC_get_local_storage:
        if (!reg(R2).is_null()) return reject(EINVAL, "get_local_storage() doesn't support non-zero flags");
        break;
    case BPF_FUNC_snprintf:
        if (!check_format()) return false;
        break;
    case BPF_FUNC_dynptr_from_mem:
        if (reg(R1).kind != RegKind::map_value)
            return reject(EACCES, "Unsupported reg type {} for bpf_dynptr_from_mem data", kind_name(reg(R1)));
        break;
    default: break;
    }
    if (args.map == nullptr || fits(helper.id, args.map->spec().type)) return true;
    return reject(EINVAL, "cannot pass map_type {} into func bpf_{}#{}", args.map->spec().type, helper.name,
                  helper.id);
}

} // namespace xdplane
