// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <linux/bpf.h>

#include "bpf/verifier/simulation.h"

/// The arguments of helpers, as their HelperProto asks: what kind of register each may be (a row per kind),
/// and what more is asked of it.
namespace xdplane {
namespace {

constexpr u64 kMaxSize = 1 << 29; // Linux's BPF_MAX_VAR_SIZ

constexpr u32 bit(RegKind kind) { return 1U << static_cast<u32>(kind); }
constexpr u32 kMemory = bit(RegKind::stack) | bit(RegKind::packet) | bit(RegKind::packet_meta) |
                        bit(RegKind::map_key) | bit(RegKind::map_value) | bit(RegKind::mem);
constexpr u32 kSockets =
    bit(RegKind::sock_common) | bit(RegKind::sock) | bit(RegKind::tcp_sock) | bit(RegKind::xdp_sock);

/// Which registers an argument may be.
struct ArgKind {
    Arg arg;
    u32 kinds;
    bool null_ok;
    const char* expected; ///< in Linux's words
};
constexpr const char* kMemoryWords =
    "fp, pkt, pkt_meta, map_key, map_value, mem, ringbuf_mem, buf, trusted_ptr_";
constexpr const char* kSocketWords = "sock_common, sock, tcp_sock, xdp_sock, ptr_, trusted_ptr_";
constexpr std::array kArgKinds = {
    ArgKind{Arg::ctx, bit(RegKind::ctx), false, "ctx"},
    ArgKind{Arg::ctx_or_null, bit(RegKind::ctx), true, "ctx"},
    ArgKind{Arg::const_map, bit(RegKind::map_ptr), false, "map_ptr"},
    ArgKind{Arg::map_key, kMemory, false, kMemoryWords},
    ArgKind{Arg::map_value, kMemory, false, kMemoryWords},
    ArgKind{Arg::map_value_or_null, kMemory, true, kMemoryWords},
    ArgKind{Arg::uninit_map_value, kMemory, false, kMemoryWords},
    ArgKind{Arg::mem, kMemory, false, kMemoryWords},
    ArgKind{Arg::mem_or_null, kMemory, true, kMemoryWords},
    ArgKind{Arg::uninit_mem, kMemory, false, kMemoryWords},
    ArgKind{Arg::inout_mem, kMemory, false, kMemoryWords},
    ArgKind{Arg::inout_mem_or_null, kMemory, true, kMemoryWords},
    ArgKind{Arg::fixed_mem, kMemory, false, kMemoryWords},
    ArgKind{Arg::inout_fixed_mem, kMemory, false, kMemoryWords},
    ArgKind{Arg::uninit_fixed_mem, kMemory, false, kMemoryWords},
    ArgKind{Arg::buffer_or_null, kMemory, true, kMemoryWords},
    ArgKind{Arg::size, bit(RegKind::scalar), false, "scalar"},
    ArgKind{Arg::size_or_zero, bit(RegKind::scalar), false, "scalar"},
    ArgKind{Arg::const_alloc_size, bit(RegKind::scalar), false, "scalar"},
    ArgKind{Arg::const_string, bit(RegKind::map_value), false, "map_value"},
    ArgKind{Arg::callback, bit(RegKind::func), false, "func"},
    ArgKind{Arg::stack_or_null, bit(RegKind::stack), true, "fp"},
    ArgKind{Arg::ringbuf_record, bit(RegKind::mem), false, "ringbuf_mem"},
    ArgKind{Arg::spin_lock, bit(RegKind::map_value), false, "map_value, ptr_"},
    ArgKind{Arg::timer, bit(RegKind::map_value), false, "map_value"},
    ArgKind{Arg::kptr, bit(RegKind::map_value), false, "map_value"},
    ArgKind{Arg::btf_object_or_null, 0, true, "ptr_"},
    ArgKind{Arg::socket, bit(RegKind::sock), false, "sock"},
    ArgKind{Arg::sock_common, kSockets, false, kSocketWords},
    ArgKind{Arg::sock_common_or_null, kSockets, true, kSocketWords},
    ArgKind{Arg::dynptr, bit(RegKind::stack) | bit(RegKind::dynptr), false, "fp, dynptr_ptr"},
    ArgKind{Arg::ringbuf_dynptr, bit(RegKind::stack) | bit(RegKind::dynptr), false, "fp, dynptr_ptr"},
    ArgKind{Arg::uninit_dynptr, bit(RegKind::stack), false, "fp, dynptr_ptr"},
    ArgKind{Arg::iterator, bit(RegKind::stack), false, "fp"},
};

bool is_size(Arg arg) { return arg == Arg::size || arg == Arg::size_or_zero; }
bool is_nullable(Arg arg) {
    const auto row = std::ranges::find(kArgKinds, arg, &ArgKind::arg);
    return row != kArgKinds.end() && row->null_ok;
}

} // namespace

bool Verifier::check_memory_argument(const HelperProto& helper, u32 index, u32 size, Use use, bool zero_ok) {
    const RegState& r = reg(index);
    Access access{index, 0, size, use != Use::read};
    access.helper = true;
    access.zero_ok = zero_ok;
    switch (r.kind) {
    case RegKind::stack: return check_helper_stack(access, use);
    case RegKind::packet:
    case RegKind::packet_meta:
        if (access.write && (!request_.type->packet_write || !helper.packet_args))
            return reject(EACCES, "cannot write into packet");
        writes_packet_ |= access.write;
        return check_packet_bounds(access);
    case RegKind::map_key:
        if (access.write) return reject(EACCES, "R{} cannot write into {}", index, kind_name(r));
        return check_region(access, r.map->spec().key_size);
    case RegKind::map_value: return check_map_access(access);
    case RegKind::mem: return check_mem_access(access);
    default:
        if (zero_ok && size == 0 && r.is_null()) return true;
        return reject(EACCES, "R{} type={} expected=fp", index, kind_name(r));
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
    // How much is filled is not known: all of it must hold something already.
    if (use == Use::write_uninit && !size.var.is_const()) use = Use::write;
    if (!check_memory_argument(helper, memory_reg, static_cast<u32>(bounds.umax), use, zero_allowed))
        return false;
    mark_precise(size_reg);
    return true;
}

bool Verifier::check_const_string(u32 index) {
    const RegState& r = reg(index);
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

/// The register is of a kind that the argument may be, with no offset where none is allowed.
bool Verifier::check_argument_kind(const HelperProto& helper, u32 index) {
    const u32 number = R1 + index;
    const RegState& r = reg(number);
    const Arg arg = helper.args[index];
    const auto row = std::ranges::find(kArgKinds, arg, &ArgKind::arg);
    if (row == kArgKinds.end()) return reject(EFAULT, "verifier bug: unknown argument of a helper");
    if (r.is_null() && row->null_ok) return true;
    if (arg == Arg::iterator && r.kind != RegKind::stack)
        return reject(EINVAL, "arg#{} expected pointer to an iterator on stack", index);
    const bool is_record = arg == Arg::ringbuf_record;
    const bool possible = !r.or_null && (row->kinds & bit(r.kind)) != 0 && (!is_record || r.ringbuf);
    if (!possible) return reject(EACCES, "R{} type={} expected={}", number, kind_name(r), row->expected);
    const bool releases = helper.releases == index + 1 && arg != Arg::ringbuf_dynptr;
    const bool offset_ok = !releases && (row->kinds & (kMemory | bit(RegKind::scalar))) != 0 && !is_record;
    if (releases && r.off != 0)
        return reject(EINVAL, "R{} must have zero offset when passed to release func or trusted arg to kfunc",
                      number);
    if (!offset_ok && !check_unmodified(number)) return false;
    return true;
}

bool Verifier::check_map_argument(u32 number, CallArguments& args) {
    const RegState& r = reg(number);
    if (args.timer && (args.map != r.map || args.map_uid != r.uid))
        return reject(EINVAL, "timer pointer in R1 map_uid={} doesn't match map pointer in R{} map_uid={}",
                      args.map_uid, number, r.uid);
    args.map = r.map;
    args.inner_map = r.inner;
    args.map_uid = r.uid;
    return true;
}

/// The number that a key on the stack is known to be.
std::optional<u64> Verifier::constant_key(u32 number, u32 key_size) {
    const RegState& r = reg(number);
    if (r.kind != RegKind::stack || !r.var.is_const()) return std::nullopt;
    const i64 off = r.off + static_cast<i64>(r.var.value());
    const Frame& owner = cur_->frames[r.frame];
    const u32 s = slot_of(off);
    if (s >= owner.slots.size()) return std::nullopt;
    const StackSlot& slot = owner.slots[s];
    const u32 first = byte_of(off);
    if (first + key_size > 8) return std::nullopt;
    u32 zeros = 0;
    for (u32 b = first; b < first + key_size; ++b) zeros += slot.bytes[b] == Byte::zero ? 1 : 0;
    if (zeros == key_size) return 0;
    if (first != 0 || !slot.holds_scalar() || slot.spill_size() != key_size || !slot.spilled.is_const())
        return std::nullopt;
    mark_slot_precise(r.frame, s);
    return slot.spilled.var.value();
}

bool Verifier::check_argument(const HelperProto& helper, u32 index, CallArguments& args) {
    const u32 number = R1 + index;
    if (!check_read(number)) return false;
    const RegState& r = reg(number);
    const Arg arg = helper.args[index];
    if (arg == Arg::anything) {
        if (leaks(r)) return reject(EACCES, "R{} leaks addr into helper function", number);
        return true;
    }
    if (r.in_packet() && !helper.packet_args)
        return reject(EACCES, "helper access to the packet is not allowed");
    if (!check_argument_kind(helper, index)) return false;
    if (helper.releases == index + 1 && arg != Arg::ringbuf_dynptr) {
        if (r.ref == 0 && !r.is_null())
            return reject(EINVAL, "R{} must be referenced when passed to release function", number);
    }
    if (helper.releases == index + 1) args.release = number;
    if (r.ref != 0) {
        if (args.ref != 0)
            return reject(EACCES, "more than one arg with ref_obj_id R{} {} {}", number, r.ref, args.ref);
        args.ref = r.ref;
    }
    if (r.is_null() && is_nullable(arg) && arg != Arg::mem_or_null && arg != Arg::inout_mem_or_null) {
        mark_precise(number);
        return true;
    }
    return check_argument_value(helper, index, args);
}

bool Verifier::check_argument_value(const HelperProto& helper, u32 index, CallArguments& args) {
    const u32 number = R1 + index;
    const RegState& r = reg(number);
    switch (helper.args[index]) {
    case Arg::const_map: return check_map_argument(number, args);
    case Arg::map_key: {
        if (args.map == nullptr) return reject(EACCES, "invalid map_ptr to access map->key");
        const u32 size = args.map->spec().key_size;
        if (!check_memory_argument(helper, number, size, Use::read)) return false;
        const u32 type = args.map->spec().type;
        if (type == BPF_MAP_TYPE_ARRAY || type == BPF_MAP_TYPE_PERCPU_ARRAY)
            args.key = constant_key(number, size);
        return true;
    }
    case Arg::map_value:
    case Arg::map_value_or_null:
        if (args.map == nullptr) return reject(EACCES, "invalid map_ptr to access map->value");
        return check_memory_argument(helper, number, args.map->spec().value_size, Use::read);
    case Arg::uninit_map_value:
        if (args.map == nullptr) return reject(EACCES, "invalid map_ptr to access map->value");
        return check_memory_argument(helper, number, args.map->spec().value_size,
                                     args.map->spec().type == BPF_MAP_TYPE_BLOOM_FILTER ? Use::read
                                                                                        : Use::write_uninit);
    case Arg::mem:
    case Arg::mem_or_null: return check_size_pair(helper, index, Use::read);
    case Arg::inout_mem:
    case Arg::inout_mem_or_null: return check_size_pair(helper, index, Use::write);
    case Arg::uninit_mem: return check_size_pair(helper, index, Use::write_uninit);
    case Arg::fixed_mem: return check_memory_argument(helper, number, helper.fixed_sizes[index], Use::read);
    case Arg::inout_fixed_mem:
        return check_fixed_result(helper, number, helper.fixed_sizes[index], Use::write);
    case Arg::uninit_fixed_mem:
        return check_fixed_result(helper, number, helper.fixed_sizes[index], Use::write_uninit);
    case Arg::buffer_or_null:
        if (!reg(number + 1).is_const()) return reject(EINVAL, "R{} must be a known constant", number + 1);
        return check_memory_argument(helper, number, static_cast<u32>(reg(number + 1).var.value()),
                                     Use::write, true);
    case Arg::const_alloc_size:
        if (!r.is_const() && helper.is_kfunc) return reject(EINVAL, "R{} must be a known constant", number);
        if (!r.is_const()) return reject(EACCES, "R{} is not a known constant'", number);
        args.alloc_size = r.var.value();
        mark_precise(number);
        return true;
    case Arg::const_string: return check_const_string(number);
    case Arg::callback: args.function = r.uid; return true;
    case Arg::spin_lock: return lock_argument(number, helper.id == BPF_FUNC_spin_lock);
    case Arg::timer: return timer_argument(number, args);
    case Arg::dynptr: return check_dynptr(number, false, args);
    case Arg::ringbuf_dynptr: return check_dynptr(number, true, args);
    case Arg::uninit_dynptr: args.new_dynptr = number; return check_new_dynptr(number);
    case Arg::iterator: return check_iterator(helper, number, args);
    case Arg::kptr:
    case Arg::btf_object_or_null: return reject(EINVAL, "kernel pointers are not supported");
    default: return true; // sizes are checked with their memory; of the others the kind is all
    }
}

/// Memory of a fixed size that the helper writes: aligned, because it is written as one number.
bool Verifier::check_fixed_result(const HelperProto& helper, u32 number, u32 size, Use use) {
    Access access{number, 0, size, true, true};
    access.helper = true;
    return check_alignment(access) && check_memory_argument(helper, number, size, use);
}

} // namespace xdplane
