// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
#include "bpf/verifier/simulation.h"

#include <cerrno>
#include <cstring>
#include <linux/bpf.h>

namespace xdplane {
namespace {

constexpr u64 kMaxOffset = 1 << 29; // Linux's BPF_MAX_VAR_OFF
/// Where Ethernet frames start in memory, as strict alignment assumes.
constexpr i64 kIpAlign = 2;

PtrKind fact_of(RegKind kind) {
    switch (kind) {
    case RegKind::ctx: return PtrKind::ctx;
    case RegKind::stack: return PtrKind::stack;
    case RegKind::packet: return PtrKind::packet;
    case RegKind::packet_meta: return PtrKind::packet_meta;
    case RegKind::map_value: return PtrKind::map_value;
    case RegKind::mem: return PtrKind::mem;
    default: return PtrKind::none;
    }
}

} // namespace

bool Verifier::note_base(PtrKind kind) {
    InsnFacts& f = facts();
    if (f.base == PtrKind::none) {
        f.base = kind;
        return true;
    }
    if (f.base == kind) return true;
    // Accesses of the context are rewritten, others are not: one insn cannot be both.
    if (f.base == PtrKind::ctx || kind == PtrKind::ctx)
        return reject(EINVAL, "same insn cannot be used with different pointers");
    f.base = PtrKind::mixed;
    return true;
}

bool Verifier::check_alignment(const Access& access) {
    const RegState& r = reg(access.reg);
    const bool strict = access.strict || (request_.flags & BPF_F_STRICT_ALIGNMENT) != 0;
    if (r.in_packet()) {
        if (!strict || access.size == 1) return true;
        const Tnum off =
            tnum_add(r.var.bits, Tnum::constant(static_cast<u64>(kIpAlign + r.off + access.off)));
        if (off.aligned(access.size)) return true;
        return reject(EACCES, "misaligned packet access off {}+(0x{:x}; 0x{:x})+{}+{} size {}", kIpAlign,
                      r.var.bits.value, r.var.bits.mask, r.off, access.off, access.size);
    }
    // Spills are tracked by slots, so stack accesses are always aligned.
    const bool on_stack = r.kind == RegKind::stack;
    if (access.size == 1 || (!strict && !on_stack)) return true;
    const Tnum off = tnum_add(r.var.bits, Tnum::constant(static_cast<u64>(r.off + access.off)));
    if (off.aligned(access.size)) return true;
    return reject(EACCES, "misaligned {}access off (0x{:x}; 0x{:x})+{}+{} size {}",
                  on_stack                       ? "stack "
                  : r.kind == RegKind::map_value ? "value "
                  : r.kind == RegKind::ctx       ? "context "
                                                 : "",
                  r.var.bits.value, r.var.bits.mask, r.off, access.off, access.size);
}

bool Verifier::out_of_region(const Access& access, i64 off, i64 limit) {
    const RegState& r = reg(access.reg);
    if (off >= 0 && off + i64{access.size} <= limit) return true;
    switch (r.kind) {
    case RegKind::packet:
    case RegKind::packet_meta:
        return reject(EACCES, "invalid access to packet, off={} size={}, R{}(id={},off={},r={})", off,
                      access.size, access.reg, r.id, off, limit);
    case RegKind::map_value:
        return reject(EACCES, "invalid access to map value, value_size={} off={} size={}", limit, off,
                      access.size);
    default:
        return reject(EACCES, "invalid access to memory, mem_size={} off={} size={}", limit, off,
                      access.size);
    }
}

bool Verifier::check_region(const Access& access, i64 limit) {
    const RegState& r = reg(access.reg);
    const i64 off = r.off + access.off;
    const Bounds<u64>& var = r.var.wide;
    if (var.smin < 0 && (var.smin <= -static_cast<i64>(kMaxOffset) * 4 || var.smin + off < 0))
        return reject(EACCES,
                      "R{} min value is negative, either use unsigned index or do a if (index >=0) check.",
                      access.reg);
    if (!out_of_region(access, off + var.smin, limit)) {
        if (!r.var.is_const())
            return reject(EACCES, "R{} min value is outside of the allowed memory range", access.reg);
        return false;
    }
    if (r.var.is_const()) return true;
    // With smin + off >= 0 and smax below, signed and unsigned readings of the sum agree.
    if (var.smax >= static_cast<i64>(kMaxOffset))
        return reject(EACCES, "R{} unbounded memory access, make sure to bounds check any such access",
                      access.reg);
    if (!out_of_region(access, off + var.smax, limit))
        return reject(EACCES, "R{} max value is outside of the allowed memory range", access.reg);
    return true;
}

bool Verifier::check_packet_bounds(const Access& access) {
    const RegState& r = reg(access.reg);
    if (r.var.wide.smin < 0)
        return reject(EACCES,
                      "R{} min value is negative, either use unsigned index or do a if (index >=0) check.",
                      access.reg);
    // range counts from base + var, and was only ever set where var is small (learn_packet_range).
    if (!out_of_region(access, r.off + access.off, r.range))
        return reject(EACCES, "R{} offset is outside of the packet", access.reg);
    return true;
}

bool Verifier::check_map_access(const Access& access) {
    const RegState& r = reg(access.reg);
    if (access.write && (r.map->spec().flags & BPF_F_RDONLY_PROG) != 0)
        return reject(EACCES, "write into map forbidden, value_size={} off={} size={}",
                      r.map->spec().value_size, r.off + access.off, access.size);
    if (!access.write && (r.map->spec().flags & BPF_F_WRONLY_PROG) != 0)
        return reject(EACCES, "read from map forbidden, value_size={} off={} size={}",
                      r.map->spec().value_size, r.off + access.off, access.size);
    return check_region(access, r.map->spec().value_size);
}

bool Verifier::check_ctx_access(const Access& access) {
    const RegState& r = reg(access.reg);
    if (!r.var.is_const() || r.var.value() != 0 || r.off != 0)
        return reject(EACCES, "dereference of modified ctx ptr R{} off={} disallowed", access.reg,
                      r.off + static_cast<i64>(r.var.wide.smin));
    if (const CtxField* field = request_.type->find_field(access.off, access.size, access.write)) {
        facts().field = field;
        return true;
    }
    return reject(EACCES, "invalid bpf_context access off={} size={}", access.off, access.size);
}

bool Verifier::check_access(const Access& access) {
    const RegState& r = reg(access.reg);
    if (!check_read(access.reg)) return false;
    if (r.or_null || fact_of(r.kind) == PtrKind::none)
        return reject(EACCES, "R{} invalid mem access '{}'", access.reg, kind_name(r));
    if (!check_alignment(access)) return false;
    switch (r.kind) {
    case RegKind::ctx: return check_ctx_access(access);
    case RegKind::map_value: return check_map_access(access);
    case RegKind::mem: return check_region(access, r.mem_size);
    case RegKind::packet:
    case RegKind::packet_meta:
        if (access.write && !request_.type->packet_write) return reject(EACCES, "cannot write into packet");
        if (!check_packet_bounds(access)) return false;
        writes_packet_ |= access.write;
        return true;
    case RegKind::stack: {
        i64 low = 0;
        i64 high = 0;
        return check_stack_bounds(access, low, high);
    }
    default: return reject(EACCES, "R{} invalid mem access '{}'", access.reg, kind_name(r));
    }
}

bool Verifier::load_constant(const Access& access, u64& value) const {
    const RegState& r = cur_->frames.back().regs[access.reg];
    if (r.kind != RegKind::map_value || !r.var.is_const()) return false;
    Map& map = *r.map;
    if ((map.spec().flags & BPF_F_RDONLY_PROG) == 0 || !map.frozen() || map.ops().direct_value == nullptr)
        return false;
    // Direct values are those of index 0; a pointer from a lookup may be to any element.
    if (map.spec().max_entries != 1) return false;
    const u8* bytes = map.ops().direct_value(map);
    if (bytes == nullptr) return false;
    const i64 off = r.off + static_cast<i64>(r.var.value()) + access.off;
    value = 0;
    std::memcpy(&value, bytes + off, access.size);
    return true;
}

bool Verifier::simulate_load(const OpcodeInfo& row, const Insn& insn) {
    const Access access{insn.src, insn.off, row.width / 8U, false};
    if (!check_access(access)) return false;
    const RegState base = reg(insn.src);
    if (!note_base(fact_of(base.kind))) return false;
    RegState result = RegState::scalar(Range::of_width(row.width));
    u64 constant = 0;
    if (base.kind == RegKind::stack) {
        if (!read_stack(access, result)) return false;
    } else if (base.kind == RegKind::ctx) {
        switch (facts().field->value) {
        case CtxValue::scalar: break;
        case CtxValue::packet: result = RegState::pointer(RegKind::packet); break;
        case CtxValue::packet_meta: result = RegState::pointer(RegKind::packet_meta); break;
        case CtxValue::packet_end: result = RegState::pointer(RegKind::packet_end); break;
        }
        if (result.is_pointer() && !request_.type->packet_access)
            return reject(EACCES, "invalid bpf_context access off={} size={}", insn.off, access.size);
        if (result.is_pointer() && row.code != Code::none)
            return reject(EACCES, "invalid bpf_context access off={} size={}", insn.off, access.size);
    } else if (load_constant(access, constant)) {
        result = RegState::constant(constant);
    }
    if (row.code != Code::none) {
        if (!result.is_scalar()) return reject(EACCES, "R{} sign-extension part of pointer", insn.src);
        result = RegState::scalar(range_sign_extend(result.var, row.width));
    }
    set_reg(insn.dst, result);
    return true;
}

bool Verifier::simulate_store(const OpcodeInfo& row, const Insn& insn) {
    const bool immediate = row.kind == OpKind::st;
    if (!immediate && !check_read(insn.src)) return false;
    const Access access{insn.dst, insn.off, row.width / 8U, true};
    if (!check_access(access)) return false;
    const RegKind kind = reg(insn.dst).kind;
    if (!note_base(fact_of(kind))) return false;
    if (kind != RegKind::stack) return true;
    const RegState value = immediate ? RegState::constant(static_cast<u64>(i64{insn.imm})) : reg(insn.src);
    return write_stack(access, &value, immediate ? -1 : i32{insn.src}, immediate);
}

bool Verifier::simulate_atomic(const OpcodeInfo& row, const Insn& insn) {
    if (!check_read(insn.src) || !check_read(insn.dst)) return false;
    const bool compares = row.code == Code::cmpxchg;
    if (compares && !check_read(R0)) return false;
    const RegKind kind = reg(insn.dst).kind;
    if (kind == RegKind::ctx || kind == RegKind::packet || kind == RegKind::packet_meta)
        return reject(EACCES, "BPF_ATOMIC stores into R{} {} is not allowed", insn.dst,
                      kind_name(reg(insn.dst)));
    const u32 size = row.width / 8U;
    const Access load{insn.dst, insn.off, size, false, true};
    const Access store{insn.dst, insn.off, size, true, true};
    if (!check_access(load) || !check_access(store)) return false;
    if (!note_base(fact_of(kind))) return false;
    if (kind == RegKind::stack) {
        RegState old;
        if (!read_stack(load, old)) return false;
        const RegState anything = RegState::scalar(Range::unknown());
        if (!write_stack(store, &anything, -1, false)) return false;
        // The steps back must not take what was there for where the new number came from.
        cur_->steps.back().slot = Step::kNoSlot;
    }
    if (row.operand == Operand::fetch)
        set_reg(compares ? u32{R0} : u32{insn.src}, RegState::scalar(Range::of_width(row.width)));
    return true;
}

} // namespace xdplane
