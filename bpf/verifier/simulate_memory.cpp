// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
#include "bpf/verifier/simulation.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <linux/bpf.h>
#include <utility>

#include "bpf/prog/socket_fields.h"

namespace xdplane {
namespace {

constexpr i64 kMaxOffset = 1 << 29; // Linux's BPF_MAX_VAR_OFF
/// Where Ethernet frames start in memory, as strict alignment assumes.
constexpr i64 kIpAlign = 2;

PtrKind fact_of(RegKind kind) {
    switch (kind) {
    case RegKind::ctx: return PtrKind::ctx;
    case RegKind::stack: return PtrKind::stack;
    case RegKind::packet: return PtrKind::packet;
    case RegKind::packet_meta: return PtrKind::packet_meta;
    case RegKind::map_value:
    case RegKind::map_key: return PtrKind::map_value;
    case RegKind::mem: return PtrKind::mem;
    case RegKind::sock:
    case RegKind::sock_common:
    case RegKind::tcp_sock:
    case RegKind::xdp_sock: return PtrKind::socket;
    default: return PtrKind::none;
    }
}

const char* alignment_name(RegKind kind) {
    switch (kind) {
    case RegKind::stack: return "stack ";
    case RegKind::map_value: return "value ";
    case RegKind::map_key: return "key ";
    case RegKind::ctx: return "context ";
    case RegKind::sock: return "sock ";
    case RegKind::sock_common: return "sock_common ";
    case RegKind::tcp_sock: return "tcp_sock ";
    case RegKind::xdp_sock: return "xdp_sock ";
    default: return "";
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
    // Accesses of the context and of sockets are rewritten, others are not: one insn cannot be both.
    const auto rewritten = [](PtrKind k) { return k == PtrKind::ctx || k == PtrKind::socket; };
    if (rewritten(f.base) || rewritten(kind))
        return reject(EINVAL, "same insn cannot be used with different pointers");
    f.base = PtrKind::mixed;
    return true;
}

bool Verifier::check_alignment(const Access& access) {
    const RegState& r = reg(access.reg);
    const bool strict = access.strict || (request_.flags & BPF_F_STRICT_ALIGNMENT) != 0;
    if (access.size == 1) return true;
    if (r.in_packet()) {
        if (!strict) return true;
        const Tnum off =
            tnum_add(r.var.bits, Tnum::constant(static_cast<u64>(kIpAlign + r.off + access.off)));
        if (off.aligned(access.size)) return true;
        return reject(EACCES, "misaligned packet access off {}+{}+{}+{} size {}", kIpAlign,
                      tnum_text(r.var.bits), r.off, access.off, access.size);
    }
    // Spills are tracked by slots, so stack accesses are always aligned.
    if (!strict && r.kind != RegKind::stack) return true;
    const Tnum off = tnum_add(r.var.bits, Tnum::constant(static_cast<u64>(r.off + access.off)));
    if (off.aligned(access.size)) return true;
    return reject(EACCES, "misaligned {}access off {}+{}+{} size {}", alignment_name(r.kind),
                  tnum_text(r.var.bits), r.off, access.off, access.size);
}

/// Bytes [off, off + size) lie within [0, limit); says in Linux's words if not.
bool Verifier::check_bytes(const Access& access, i64 off, i64 limit) {
    const RegState& r = reg(access.reg);
    const bool size_ok = access.size > 0 || access.zero_ok;
    if (off >= 0 && size_ok && off + i64{access.size} <= limit) return true;
    switch (r.kind) {
    case RegKind::packet:
    case RegKind::packet_meta:
        explain("invalid access to packet, off={} size={}, R{}(id={},off={},r={})", off, access.size,
                access.reg, r.id, off, limit);
        break;
    case RegKind::map_key:
        explain("invalid access to map key, key_size={} off={} size={}", limit, off, access.size);
        break;
    case RegKind::map_value:
        explain("invalid access to map value, value_size={} off={} size={}", limit, off, access.size);
        break;
    default: explain("invalid access to memory, mem_size={} off={} size={}", limit, off, access.size); break;
    }
    return false;
}

bool Verifier::check_region(const Access& access, i64 limit) {
    const RegState& r = reg(access.reg);
    const i64 off = r.off + access.off;
    const Bounds<u64>& var = r.var.wide;
    if (var.smin < 0 && (var.smin == std::numeric_limits<i64>::min() ||
                         off + var.smin != static_cast<i32>(off + var.smin) || var.smin + off < 0))
        return reject(EACCES,
                      "R{} min value is negative, either use unsigned index or do a if (index >=0) check.",
                      access.reg);
    if (!check_bytes(access, off + var.smin, limit))
        return reject(EACCES, "R{} min value is outside of the allowed memory range", access.reg);
    if (var.umax >= static_cast<u64>(kMaxOffset))
        return reject(EACCES, "R{} unbounded memory access, make sure to bounds check any such access",
                      access.reg);
    if (!check_bytes(access, off + static_cast<i64>(var.umax), limit))
        return reject(EACCES, "R{} max value is outside of the allowed memory range", access.reg);
    return true;
}

bool Verifier::check_packet_bounds(const Access& access) {
    const RegState& r = reg(access.reg);
    if (r.var.wide.smin < 0)
        return reject(EACCES,
                      "R{} min value is negative, either use unsigned index or do a if (index >=0) check.",
                      access.reg);
    // range counts from base + var, and was only ever set where var is small (learn_packet_ends).
    if (r.range < 0) return reject(EINVAL, "R{} offset is outside of the packet", access.reg);
    if (!check_bytes(access, r.off + access.off, r.range))
        return reject(EACCES, "R{} offset is outside of the packet", access.reg);
    return true;
}

/// Null: of which map the value is, is not known.
void Verifier::note_written(const Map* map) {
    if (std::ranges::find(written_, map) == written_.end()) written_.push_back(map);
}

void Verifier::note_loaded(const RegState& value) {
    const auto found = std::ranges::find(maps_, value.map, [](const auto& map) { return map.get(); });
    const std::ptrdiff_t index = found - maps_.begin();
    facts().loads |=
        value.inner || index >= std::min<std::ptrdiff_t>(64, std::ssize(maps_)) ? kAnyMap : u64{1} << index;
}

bool Verifier::check_map_access(const Access& access) {
    const RegState& r = reg(access.reg);
    const MapSpec& spec = r.map->spec();
    if (access.write && (spec.flags & BPF_F_RDONLY_PROG) != 0)
        return reject(EACCES, "write into map forbidden, value_size={} off={} size={}", spec.value_size,
                      r.off + access.off, access.size);
    if (!access.write && (spec.flags & BPF_F_WRONLY_PROG) != 0)
        return reject(EACCES, "read from map forbidden, value_size={} off={} size={}", spec.value_size,
                      r.off + access.off, access.size);
    if (!check_region(access, spec.value_size)) return false;
    if (access.write) note_written(r.inner ? nullptr : r.map);
    if (!spec.record.any()) return true;
    const i64 off = r.off + access.off;
    const i64 begin = off + r.var.wide.smin;
    const i64 end = off + static_cast<i64>(r.var.wide.umax) + access.size;
    if (!spec.record.overlaps(begin, end)) return true;
    const i64 lock = spec.record.spin_lock;
    const bool is_lock = lock >= 0 && begin < lock + i64{MapRecord::kSpinLockSize} && lock < end;
    return reject(EACCES, "{} cannot be accessed directly by load/store",
                  is_lock ? "bpf_spin_lock" : "bpf_timer");
}

/// The pointer is as it was handed out: no offset, fixed or variable.
bool Verifier::check_unmodified(u32 index) {
    const RegState& r = reg(index);
    const std::string kind = kind_name(r);
    if (r.off < 0) return reject(EACCES, "negative offset {} ptr R{} off={} disallowed", kind, index, r.off);
    if (r.off != 0)
        return reject(EACCES, "dereference of modified {} ptr R{} off={} disallowed", kind, index, r.off);
    if (!r.unmodified())
        return reject(EACCES, "variable {} access var_off={} disallowed", kind, tnum_text(r.var.bits));
    return true;
}

bool Verifier::check_ctx_access(const Access& access) {
    if (!check_unmodified(access.reg)) return false;
    const CtxField* field = request_.type->find_field(access.off, access.size, access.write);
    const bool withheld =
        field != nullptr && !privileged() && (field->privileged || (access.write && field->write_privileged));
    if (field != nullptr && !withheld) {
        facts().field = field;
        return true;
    }
    return reject(EACCES, "invalid bpf_context access off={} size={}", access.off, access.size);
}

bool Verifier::check_mem_access(const Access& access) {
    const RegState& r = reg(access.reg);
    if (access.write && r.read_only)
        return reject(EACCES, "R{} cannot write into {}", access.reg, kind_name(r));
    return check_region(access, r.mem_size);
}

bool Verifier::check_sock_access(const Access& access) {
    const RegState& r = reg(access.reg);
    if (access.write) return reject(EACCES, "R{} cannot write into {}", access.reg, kind_name(r));
    if (r.var.wide.smin < 0)
        return reject(EACCES,
                      "R{} min value is negative, either use unsigned index or do a if (index >=0) check.",
                      access.reg);
    const SocketView view = r.kind == RegKind::sock          ? SocketView::full
                            : r.kind == RegKind::sock_common ? SocketView::common
                            : r.kind == RegKind::tcp_sock    ? SocketView::tcp
                                                             : SocketView::xdp;
    if (r.var.is_const() &&
        socket_field_valid(view, r.off + access.off + static_cast<i64>(r.var.value()), access.size))
        return true;
    return reject(EACCES, "R{} invalid {} access off={} size={}", access.reg, kind_name(r),
                  r.off + access.off, access.size);
}

bool Verifier::check_access(const Access& access) {
    if (!check_read(access.reg)) return false;
    const RegState& r = reg(access.reg);
    if (!check_alignment(access)) return false;
    if (r.kind == RegKind::map_ptr && !r.or_null) return reject_map_pointer(access);
    if (r.or_null || fact_of(r.kind) == PtrKind::none)
        return reject(EACCES, "R{} invalid mem access '{}'", access.reg, kind_name(r));
    switch (r.kind) {
    case RegKind::ctx: return check_ctx_access(access);
    case RegKind::map_key:
        if (access.write) return reject(EACCES, "write to change key R{} not allowed", access.reg);
        return check_region(access, r.map->spec().key_size);
    case RegKind::map_value: return check_map_access(access);
    case RegKind::mem: return check_mem_access(access);
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
    default: return check_sock_access(access);
    }
}

bool Verifier::load_constant(const Access& access, u64& value) const {
    const RegState& r = cur_->frames.back().regs[access.reg];
    if (r.kind != RegKind::map_value || r.inner || !r.var.is_const()) return false;
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

bool Verifier::load_ctx_field(const OpcodeInfo& row, const Access& access, RegState& result) {
    switch (facts().field->value) {
    case CtxValue::scalar: return true;
    case CtxValue::packet: result = RegState::pointer(RegKind::packet); break;
    case CtxValue::packet_meta: result = RegState::pointer(RegKind::packet_meta); break;
    case CtxValue::packet_end: result = RegState::pointer(RegKind::packet_end); break;
    case CtxValue::sock_common_or_null:
        result = RegState::pointer(RegKind::sock_common);
        result.or_null = true;
        result.id = new_id();
        break;
    }
    if (row.code != Code::none)
        return reject(EACCES, "invalid bpf_context access off={} size={}", access.off, access.size);
    return true;
}

bool Verifier::simulate_load(const OpcodeInfo& row, const Insn& insn) {
    const Access access{insn.src, insn.off, row.width / 8U, false};
    if (!check_access(access)) return false;
    const RegState base = reg(insn.src);
    if (!note_base(fact_of(base.kind))) return false;
    RegState result = RegState::scalar(Range::of_width(row.width));
    u64 constant = 0;
    bool known = false;
    if (base.kind == RegKind::stack) {
        if (!read_stack(access, result)) return false;
    } else if (base.kind == RegKind::ctx) {
        if (!load_ctx_field(row, access, result)) return false;
    } else if (known = load_constant(access, constant); known) {
        result = RegState::constant(constant);
    }
    if (row.code != Code::none && result.is_scalar()) {
        result = RegState::scalar(range_sign_extend(result.var, row.width));
    } else if (row.code != Code::none) {
        return reject(EACCES, "R{} sign-extension part of pointer", insn.src);
    }
    const bool first = std::exchange(seen_[insn_], u8{1}) == 0;
    const std::optional<u64> number = known ? std::optional(result.var.value()) : std::nullopt;
    if (first || facts().constant != number) facts().constant = first ? number : std::nullopt;
    if (base.kind == RegKind::map_value) note_loaded(base);
    set_reg(insn.dst, result);
    return true;
}

bool Verifier::simulate_store(const OpcodeInfo& row, const Insn& insn) {
    const bool immediate = row.kind == OpKind::st;
    if (!immediate && !check_read(insn.src)) return false;
    const Access access{insn.dst, insn.off, row.width / 8U, true};
    if (!check_read(insn.dst)) return false;
    const RegKind kind = reg(insn.dst).kind;
    if (!immediate && leaks(reg(insn.src)) && kind != RegKind::stack) {
        const char* where = kind == RegKind::map_value  ? "map"
                            : kind == RegKind::ctx      ? "ctx"
                            : reg(insn.dst).in_packet() ? "packet"
                                                        : "mem";
        if (!check_alignment(access)) return false;
        return reject(EACCES, "R{} leaks addr into {}", insn.src, where);
    }
    if (!check_access(access)) return false;
    if (!note_base(fact_of(kind))) return false;
    if (kind != RegKind::stack) return true;
    const RegState value = immediate ? RegState::constant(static_cast<u64>(i64{insn.imm})) : reg(insn.src);
    return write_stack(access, &value, immediate ? -1 : i32{insn.src}, immediate);
}

/// Loads and stores that are ordered with others: only where an atomic may be.
bool Verifier::simulate_ordered(const OpcodeInfo& row, const Insn& insn, bool store) {
    if (!check_read(insn.src) || (store && !check_read(insn.dst))) return false;
    const u32 pointer = store ? insn.dst : insn.src;
    const RegState& base = reg(pointer);
    if (base.kind == RegKind::ctx || base.in_packet() || base.is_socket())
        return reject(EACCES, "BPF_ATOMIC {} R{} {} is not allowed", store ? "stores into" : "loads from",
                      pointer, kind_name(base));
    return store ? simulate_store(row, insn) : simulate_load(row, insn);
}

bool Verifier::simulate_atomic(const OpcodeInfo& row, const Insn& insn) {
    if (!check_read(insn.src) || !check_read(insn.dst)) return false;
    const bool compares = row.code == Code::cmpxchg;
    if (compares && !check_read(R0)) return false;
    if (compares && leaks(reg(R0))) return reject(EACCES, "R0 leaks addr into mem");
    if (leaks(reg(insn.src))) return reject(EACCES, "R{} leaks addr into mem", insn.src);
    const RegState base = reg(insn.dst);
    if (base.kind == RegKind::ctx || base.in_packet() || base.is_socket())
        return reject(EACCES, "BPF_ATOMIC stores into R{} {} is not allowed", insn.dst, kind_name(base));
    const u32 size = row.width / 8U;
    const Access load{insn.dst, insn.off, size, false, true};
    const Access store{insn.dst, insn.off, size, true, true};
    if (!check_access(load) || !check_access(store)) return false;
    if (!note_base(fact_of(base.kind))) return false;
    RegState old = RegState::scalar(Range::of_width(row.width));
    if (base.kind == RegKind::stack && !base.var.is_const())
        return reject(EACCES,
                      "variable offset stack pointer cannot be passed into helper function; "
                      "var_off={} off={} size={}",
                      tnum_text(base.var.bits), base.off + insn.off, size);
    if (base.kind == RegKind::stack) {
        if (!read_stack(load, old)) return false;
        if (leaks(old)) return reject(EACCES, "leaking pointer from stack off {}", insn.off);
        // On the way back the insn is a fill: what is stored is any number.
        const Step fill = cur_->steps.back();
        const RegState anything = RegState::unknown();
        if (!write_stack(store, &anything, -1, false)) return false;
        cur_->steps.back() = fill;
    }
    if (row.operand == Operand::fetch) set_reg(compares ? u32{R0} : u32{insn.src}, old);
    return true;
}

} // namespace xdplane
