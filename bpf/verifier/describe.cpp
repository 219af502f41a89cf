// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
#include "bpf/verifier/describe.h"

#include <algorithm>
#include <array>
#include <fmt/format.h>
#include <limits>

#include "bpf/maps/map.h"

namespace xdplane {
namespace {

/// Small numbers are printed in decimal, others in hex.
bool is_small_unsigned(u64 v) { return v <= std::numeric_limits<u16>::max(); }
bool is_small_signed(i64 v) {
    return v >= std::numeric_limits<i16>::min() && v <= std::numeric_limits<i16>::max();
}
std::string unsigned_number(u64 v) {
    return is_small_unsigned(v) ? fmt::format("{}", v) : fmt::format("{:#x}", v);
}
std::string signed_number(i64 v) {
    return is_small_signed(v) ? fmt::format("{}", v) : fmt::format("{:#x}", static_cast<u64>(v));
}

/// One of the eight bounds. Signed 32-bit ones that are printed in hex are not sign-extended.
struct Bound {
    const char* name;
    u64 value;
    bool is_signed;
    bool omit;

    [[nodiscard]] bool is_negative() const { return is_signed && static_cast<i64>(value) < 0; }
};

template<class T>
Bound bound(const char* name, T value, T widest) {
    constexpr bool kSigned = std::is_signed_v<T>;
    u64 shown = static_cast<u64>(value);
    if (sizeof(T) == 4 && !(kSigned && is_small_signed(static_cast<i64>(value))))
        shown = static_cast<u32>(value);
    return {name, shown, kSigned, value == widest};
}

/// Puts fields between commas.
class Fields {
public:
    explicit Fields(std::string& out) : out_(out) {}
    template<class... Args>
    void add(fmt::format_string<Args...> text, Args&&... args) {
        if (!out_.empty() && out_.back() != '(') out_ += ',';
        out_ += fmt::format(text, std::forward<Args>(args)...);
    }

private:
    std::string& out_;
};

void describe_fields(const RegView& reg, std::string& out) {
    Fields fields(out);
    const bool scalar = reg.shape == RegView::Shape::scalar;
    if (reg.id != 0) fields.add("id={}", reg.id);
    if (reg.id != 0 && reg.linked) out += fmt::format("{:+}", reg.off);
    if (reg.ref_obj_id != 0) fields.add("ref_obj_id={}", reg.ref_obj_id);
    if (reg.map != nullptr) {
        if (!reg.map->name.empty()) fields.add("map={}", reg.map->name);
        fields.add("ks={},vs={}", reg.map->key_size, reg.map->value_size);
    }
    if (!scalar && reg.off != 0) fields.add("off={}", signed_number(reg.off));
    if (reg.has_range) fields.add("r={}", unsigned_number(static_cast<u64>(reg.range)));
    if (reg.has_size) fields.add("sz={}", unsigned_number(reg.size));
    if (!reg.dynptr.empty()) fields.add("type={}", reg.dynptr);
    if (reg.var == nullptr) return;
    if (!reg.var->is_const())
        describe_range(*reg.var, out);
    else if (reg.var->value() != 0)
        fields.add("imm={}", signed_number(static_cast<i64>(reg.var->value())));
}

/// Linux's letters of a slot's bytes.
char byte_letter(Byte byte) {
    switch (byte) {
    case Byte::invalid: return '?';
    case Byte::misc: return 'm';
    case Byte::zero: return '0';
    case Byte::spill: return 'r';
    case Byte::dynptr: return 'd';
    case Byte::iter: return 'i';
    }
    return '?';
}

const char* base_name(RegKind kind) {
    switch (kind) {
    case RegKind::not_init: return "?";
    case RegKind::scalar: return "scalar";
    case RegKind::ctx: return "ctx";
    case RegKind::map_ptr: return "map_ptr";
    case RegKind::map_value: return "map_value";
    case RegKind::stack: return "fp";
    case RegKind::packet: return "pkt";
    case RegKind::packet_meta: return "pkt_meta";
    case RegKind::packet_end: return "pkt_end";
    case RegKind::mem: return "mem";
    case RegKind::map_key: return "map_key";
    case RegKind::sock: return "sock";
    case RegKind::sock_common: return "sock_common";
    case RegKind::tcp_sock: return "tcp_sock";
    case RegKind::xdp_sock: return "xdp_sock";
    case RegKind::func: return "func";
    case RegKind::dynptr: return "dynptr_ptr";
    case RegKind::iter: return "iter";
    }
    return "?";
}

const char* dynptr_name(DynptrKind kind) {
    switch (kind) {
    case DynptrKind::none: return "";
    case DynptrKind::local: return "local";
    case DynptrKind::ringbuf: return "ringbuf";
    case DynptrKind::skb: return "skb";
    case DynptrKind::xdp: return "xdp";
    }
    return "";
}

/// A dynptr or an iterator: "fp-16=dynptr_ringbuf(ref_id=2)". Slots but the first say nothing.
std::string describe_object(const StackSlot& slot, u32 index) {
    const RegState& state = slot.spilled;
    if (!state.first_slot) return {};
    std::string out = fmt::format("fp-{}=", (index + 1) * 8);
    const bool dynptr = slot.bytes[0] == Byte::dynptr;
    out += dynptr ? fmt::format("dynptr_{}(", dynptr_name(state.dynptr)) : "iter_num(";
    Fields fields(out);
    if (dynptr && state.uid != 0) fields.add("id={}", state.uid);
    if (state.ref != 0) fields.add("ref_id={}", state.ref);
    if (dynptr && state.uid != 0) fields.add("dynptr_id={}", state.uid);
    if (!dynptr)
        fields.add("state={},depth={}", state.iter == IterState::active ? "active" : "drained", state.uid);
    return out + ')';
}

RegView::Shape shape_of(const RegState& reg) {
    if (reg.is_scalar()) return RegView::Shape::scalar;
    return reg.kind == RegKind::stack ? RegView::Shape::stack : RegView::Shape::pointer;
}

} // namespace

void describe_range(const Range& range, std::string& out) {
    const auto& w = range.wide;
    const auto& n = range.narrow;
    constexpr Bounds<u64> kWide;
    constexpr Bounds<u32> kNarrow;
    // Lower and upper bounds alternate: only those of a kind are put together.
    std::array bounds = {
        bound("smin", w.smin, kWide.smin),     bound("smax", w.smax, kWide.smax),
        bound("umin", w.umin, kWide.umin),     bound("umax", w.umax, kWide.umax),
        bound("smin32", n.smin, kNarrow.smin), bound("smax32", n.smax, kNarrow.smax),
        bound("umin32", n.umin, kNarrow.umin), bound("umax32", n.umax, kNarrow.umax),
    };
    Fields fields(out);
    for (std::size_t i = 0; i < bounds.size(); ++i) {
        const Bound& first = bounds[i];
        if (first.omit) continue;
        fields.add("{}=", first.name);
        for (std::size_t j = i + 2; j < bounds.size(); j += 2) {
            Bound& other = bounds[j];
            if (other.omit || other.value != first.value || other.is_negative() != first.is_negative())
                continue;
            other.omit = true;
            out += fmt::format("{}=", other.name);
        }
        out += first.is_signed ? signed_number(static_cast<i64>(first.value)) : unsigned_number(first.value);
    }
    if (range.bits != Tnum::unknown())
        fields.add("var_off=({:#x}; {:#x})", range.bits.value, range.bits.mask);
}

std::string describe(const RegView& reg) {
    const bool scalar = reg.shape == RegView::Shape::scalar;
    const bool fixed = reg.var == nullptr || reg.var->is_const();
    const i64 value = fixed && reg.var != nullptr ? static_cast<i64>(reg.var->value()) : 0;
    std::string out;
    if (scalar && reg.precise) out += 'P';
    if (scalar && fixed) return out + signed_number(value);
    out += reg.type;
    if (reg.shape == RegView::Shape::stack) {
        if (reg.frame >= 0) out += fmt::format("[{}]", reg.frame);
        if (fixed) return out + signed_number(value + reg.off);
    }
    out += '(';
    describe_fields(reg, out);
    return out + ')';
}

std::string tnum_text(const Tnum& bits) {
    if (!bits.is_const()) return fmt::format("({:#x}; {:#x})", bits.value, bits.mask);
    return unsigned_number(bits.value);
}

std::string kind_name(const RegState& reg) {
    std::string name = reg.read_only && reg.kind == RegKind::mem ? "rdonly_" : "";
    if (reg.ringbuf) name += "ringbuf_";
    name += base_name(reg.kind);
    if (reg.or_null) name += "_or_null";
    return name;
}

std::string describe(const RegState& reg, u32 frame, bool precise) {
    const std::string type = kind_name(reg);
    RegView view;
    RegView::MapView map;
    view.type = type;
    view.shape = shape_of(reg);
    view.precise = precise;
    view.id = reg.id;
    view.linked = reg.is_scalar() && reg.added != 0;
    view.off = reg.off;
    view.ref_obj_id = reg.ref;
    if (reg.kind == RegKind::dynptr) view.dynptr = dynptr_name(reg.dynptr);
    if (reg.map != nullptr) {
        const MapSpec& spec = reg.map->spec();
        map = {spec.name, spec.key_size, spec.value_size};
        view.map = &map;
    }
    view.has_range = reg.in_packet();
    view.range = reg.range;
    view.has_size = reg.kind == RegKind::mem;
    view.size = reg.mem_size;
    if (reg.kind == RegKind::stack && reg.frame != frame) view.frame = reg.frame;
    view.var = &reg.var;
    return describe(view);
}

std::string describe_slot(const StackSlot& slot, u32 index, u32 frame, bool precise) {
    if (std::all_of(slot.bytes.begin(), slot.bytes.end(), [](Byte b) { return b == Byte::invalid; }))
        return {};
    if (slot.is_object()) return describe_object(slot, index);
    // Linux's last byte is the first one spilled; what lies above a short spill is printed before it.
    std::string out = fmt::format("fp-{}=", (index + 1) * 8);
    const bool spill = slot.bytes[0] == Byte::spill;
    for (std::size_t i = slot.bytes.size(); i-- > 0;) {
        if (spill && slot.bytes[i] == Byte::spill) break;
        out += byte_letter(slot.bytes[i]);
    }
    if (spill) out += describe(slot.spilled, frame, precise);
    return out;
}

std::string describe_dynptr(u32 index, std::string_view type, u32 id, u32 ref_id, u32 dynptr_id) {
    std::string out = fmt::format("fp-{}=dynptr_{}(", (index + 2) * 8, type);
    Fields fields(out);
    if (id != 0) fields.add("id={}", id);
    if (ref_id != 0) fields.add("ref_id={}", ref_id);
    if (dynptr_id != 0) fields.add("dynptr_id={}", dynptr_id);
    return out + ')';
}

std::string describe_frame(const Frame& frame, u32 index, const FrameParts& parts, const FrameNotes& notes) {
    std::string out;
    for (u32 r = 0; r < kRegisters; ++r) {
        if ((parts.regs >> r & 1) == 0 || frame.regs[r].kind == RegKind::not_init) continue;
        const bool precise = (frame.regs_precise >> r & 1) != 0;
        out += fmt::format(" R{}={}", r, describe(frame.regs[r], index, precise));
    }
    for (u32 s = 0; s < frame.slots.size(); ++s) {
        if ((parts.slots >> s & 1) == 0) continue;
        const bool precise = (frame.slots_precise >> s & 1) != 0;
        const std::string text = describe_slot(frame.slots[s], s, index, precise);
        if (!text.empty()) out += " " + text;
    }
    for (std::size_t i = 0; i < notes.refs.size(); ++i)
        out += fmt::format("{}{}", i == 0 ? " refs=" : ",", notes.refs[i]);
    if (notes.in_callback) out += " cb";
    if (notes.in_async_callback) out += " async_cb";
    if (index > 0) out = fmt::format(" frame{}:", index) + out;
    return out;
}

std::size_t state_padding(std::size_t length) {
    constexpr std::size_t kColumn = 40;
    constexpr std::size_t kStep = 8;
    const std::size_t end = length + 1; // with its newline, as Linux counts
    return (std::max(end + kStep / 2, kColumn) + kStep - 1) / kStep * kStep - end - 1;
}

} // namespace xdplane
