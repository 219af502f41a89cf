// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <linux/bpf.h>

#include "bpf/verifier/simulation.h"

/// The arguments of helpers, as their HelperProto asks.
namespace xdplane {
namespace {

constexpr u64 kMaxSize = 1 << 29; // Linux's BPF_MAX_VAR_SIZ

/// Helpers that may be handed pointers into the packet: those that do not look at the packet by themselves.
constexpr std::array<u32, 10> kTakePacketPointers = {
    BPF_FUNC_map_lookup_elem, BPF_FUNC_map_update_elem, BPF_FUNC_map_delete_elem, BPF_FUNC_csum_diff,
    BPF_FUNC_map_push_elem,   BPF_FUNC_map_peek_elem,   BPF_FUNC_map_pop_elem,    BPF_FUNC_l3_csum_replace,
    BPF_FUNC_l4_csum_replace, BPF_FUNC_skb_store_bytes,
};

bool takes_packet_pointers(const HelperProto& helper) {
    return !helper.moves_packet && std::find(kTakePacketPointers.begin(), kTakePacketPointers.end(),
                                             helper.id) != kTakePacketPointers.end();
}

bool is_size(Arg arg) { return arg == Arg::size || arg == Arg::size_or_zero; }

/// Map types that only their own helpers may be called with; and helpers that only take some map types.
bool fits(u32 helper, u32 map_type) {
    switch (helper) {
    case BPF_FUNC_tail_call: return map_type == BPF_MAP_TYPE_PROG_ARRAY;
    case BPF_FUNC_perf_event_read:
    case BPF_FUNC_perf_event_output:
    case BPF_FUNC_perf_event_read_value: return map_type == BPF_MAP_TYPE_PERF_EVENT_ARRAY;
    case BPF_FUNC_redirect_map:
        return map_type == BPF_MAP_TYPE_DEVMAP || map_type == BPF_MAP_TYPE_DEVMAP_HASH ||
               map_type == BPF_MAP_TYPE_CPUMAP || map_type == BPF_MAP_TYPE_XSKMAP;
    case BPF_FUNC_ringbuf_output:
    case BPF_FUNC_ringbuf_reserve:
    case BPF_FUNC_ringbuf_query: return map_type == BPF_MAP_TYPE_RINGBUF;
    case BPF_FUNC_map_push_elem:
    case BPF_FUNC_map_peek_elem:
        return map_type == BPF_MAP_TYPE_QUEUE || map_type == BPF_MAP_TYPE_STACK ||
               map_type == BPF_MAP_TYPE_BLOOM_FILTER;
    case BPF_FUNC_map_pop_elem: return map_type == BPF_MAP_TYPE_QUEUE || map_type == BPF_MAP_TYPE_STACK;
    default: break;
    }
    switch (map_type) {
    case BPF_MAP_TYPE_PROG_ARRAY:
    case BPF_MAP_TYPE_PERF_EVENT_ARRAY:
    case BPF_MAP_TYPE_RINGBUF:
    case BPF_MAP_TYPE_QUEUE:
    case BPF_MAP_TYPE_STACK:
    case BPF_MAP_TYPE_BLOOM_FILTER: return false;
    default: return true;
    }
}

} // namespace

bool Verifier::check_map_use(const HelperProto& helper, const Map& map) {
    const MapOps& ops = map.ops();
    bool possible = fits(helper.id, map.spec().type);
    if (helper.id == BPF_FUNC_map_lookup_elem) possible &= ops.lookup != nullptr;
    if (helper.id == BPF_FUNC_map_update_elem) possible &= ops.update != nullptr;
    if (helper.id == BPF_FUNC_map_delete_elem) possible &= ops.erase != nullptr;
    if (!possible)
        return reject(EINVAL, "cannot pass map_type {} into func bpf_{}#{}", map.spec().type, helper.name,
                      helper.id);
    const bool writes = helper.id == BPF_FUNC_map_update_elem || helper.id == BPF_FUNC_map_delete_elem ||
                        helper.id == BPF_FUNC_map_push_elem || helper.id == BPF_FUNC_map_pop_elem;
    if (writes && (map.spec().flags & BPF_F_RDONLY_PROG) != 0)
        return reject(EACCES, "write into map forbidden");
    const bool reads = helper.id == BPF_FUNC_map_lookup_elem || helper.id == BPF_FUNC_map_peek_elem;
    if (reads && (map.spec().flags & BPF_F_WRONLY_PROG) != 0)
        return reject(EACCES, "read from map forbidden");
    return true;
}

bool Verifier::check_memory_argument(const HelperProto& helper, u32 index, u32 size, Use use) {
    const RegState& r = reg(index);
    const Access access{index, 0, size, use != Use::read};
    if (r.or_null)
        return reject(EACCES, "R{} type={} expected=fp, pkt, pkt_meta, map_key, map_value", index,
                      kind_name(r));
    switch (r.kind) {
    case RegKind::stack: return size == 0 || check_helper_stack(access, use);
    case RegKind::packet:
    case RegKind::packet_meta:
        if (!takes_packet_pointers(helper))
            return reject(EACCES, "helper access to the packet is not allowed");
        if (access.write && !request_.type->packet_write) return reject(EACCES, "cannot write into packet");
        writes_packet_ |= access.write;
        return check_packet_bounds(access);
    case RegKind::map_value: return check_map_access(access);
    case RegKind::mem: return check_region(access, r.mem_size);
    default:
        return reject(EACCES, "R{} type={} expected=fp, pkt, pkt_meta, map_key, map_value", index,
                      kind_name(r));
    }
}

/// Argument `index` is memory, the next its size.
bool Verifier::check_size_pair(const HelperProto& helper, u32 index, Use use) {
    const u32 memory_reg = R1 + index;
    const u32 size_reg = memory_reg + 1;
    const bool sized = index + 1 < helper.args.size() && is_size(helper.args[index + 1]);
    if (!sized) return reject(EFAULT, "verifier bug: bpf_{} has memory without a size", helper.name);
    const bool zero_allowed = helper.args[index + 1] == Arg::size_or_zero;
    if (!check_read(size_reg)) return false;
    const RegState size = reg(size_reg);
    if (!size.is_scalar()) return reject(EACCES, "R{} type={} expected=scalar", size_reg, kind_name(size));
    const Bounds<u64>& bounds = size.var.wide;
    if (bounds.smin < 0)
        return reject(EACCES, "R{} min value is negative, either use unsigned or 'var &= const'", size_reg);
    if (bounds.umin == 0 && !zero_allowed)
        return reject(EACCES, "R{} invalid zero-sized read: u64=[{},{}]", size_reg, bounds.umin, bounds.umax);
    if (bounds.umax >= kMaxSize)
        return reject(EACCES, "R{} unbounded memory access, use 'var &= const' or 'if (var < const)'",
                      size_reg);
    mark_precise(size_reg);
    if (reg(memory_reg).is_null()) {
        // Without memory there is nothing to read: the size must be 0.
        const bool null_allowed = helper.args[index] == Arg::mem_or_null;
        if (!null_allowed || bounds.umax != 0)
            return reject(EACCES, "R{} type=scalar expected=fp, pkt, pkt_meta, map_key, map_value",
                          memory_reg);
        mark_precise(memory_reg);
        return true;
    }
    if (use == Use::write_uninit && bounds.umin != bounds.umax) {
        // How much is filled is not known: all of it must hold something already.
        use = Use::write;
    }
    return check_memory_argument(helper, memory_reg, static_cast<u32>(bounds.umax), use);
}

bool Verifier::check_const_string(u32 index) {
    const RegState& r = reg(index);
    if (r.kind != RegKind::map_value || r.or_null)
        return reject(EACCES, "R{} type={} expected=map_value", index, kind_name(r));
    Map& map = *r.map;
    if ((map.spec().flags & BPF_F_RDONLY_PROG) == 0 || !map.frozen())
        return reject(EACCES, "R{} does not point to a readonly map'", index);
    if (!r.var.is_const()) return reject(EACCES, "R{} is not a constant address'", index);
    if (map.ops().direct_value == nullptr || map.spec().max_entries != 1)
        return reject(EACCES, "no direct value access support for this map type");
    const Access first{index, 0, 1, false};
    if (!check_map_access(first)) return false;
    const u8* bytes = map.ops().direct_value(map);
    const u64 off = static_cast<u64>(r.off) + r.var.value();
    if (bytes == nullptr || std::memchr(bytes + off, 0, map.spec().value_size - off) == nullptr)
        return reject(EINVAL, "string is not zero-terminated");
    return true;
}

bool Verifier::check_argument(const HelperProto& helper, u32 index, CallArguments& args) {
    const u32 number = R1 + index;
    if (!check_read(number)) return false;
    const RegState& r = reg(number);
    switch (helper.args[index]) {
    case Arg::none:
    case Arg::anything: return true;
    case Arg::ctx:
        if (r.kind != RegKind::ctx) return reject(EACCES, "R{} type={} expected=ctx", number, kind_name(r));
        if (r.off != 0 || !r.var.is_const() || r.var.value() != 0)
            return reject(EACCES, "dereference of modified ctx ptr R{} off={} disallowed", number, r.off);
        return true;
    case Arg::const_map:
        if (r.kind != RegKind::map_ptr || r.map == nullptr)
            return reject(EACCES, "R{} type={} expected=map_ptr", number, kind_name(r));
        args.map = r.map;
        return check_map_use(helper, *r.map);
    case Arg::map_key:
        if (args.map == nullptr) return reject(EACCES, "invalid map_ptr to access map->key");
        return check_memory_argument(helper, number, args.map->spec().key_size, Use::read);
    case Arg::map_value:
        if (args.map == nullptr) return reject(EACCES, "invalid map_ptr to access map->value");
        return check_memory_argument(helper, number, args.map->spec().value_size, Use::read);
    case Arg::mem:
    case Arg::mem_or_null: return check_size_pair(helper, index, Use::read);
    case Arg::uninit_mem: return check_size_pair(helper, index, Use::write_uninit);
    case Arg::size:
    case Arg::size_or_zero:
        if (!r.is_scalar()) return reject(EACCES, "R{} type={} expected=scalar", number, kind_name(r));
        return true; // checked with its memory
    case Arg::const_string: return check_const_string(number);
    case Arg::callback:
        return reject(EINVAL, "callbacks are not supported yet: bpf_{}#{}", helper.name, helper.id);
    case Arg::stack_or_null:
        if (r.is_null()) {
            mark_precise(number);
            return true;
        }
        if (r.kind != RegKind::stack) return reject(EACCES, "R{} type={} expected=fp", number, kind_name(r));
        return true;
    }
    return reject(EFAULT, "verifier bug: unknown argument of a helper");
}

} // namespace xdplane
