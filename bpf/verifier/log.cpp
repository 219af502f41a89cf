// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
#include <array>
#include <limits>

#include "bpf/isa/disassembler.h"
#include "bpf/verifier/simulation.h"

/// The log, in Linux's words.
namespace xdplane {
namespace {

constexpr std::size_t kStateColumn = 40;

std::string number(i64 v, bool is_unsigned) {
    const bool small = is_unsigned ? static_cast<u64>(v) <= 0xffff : v >= -0x8000 && v <= 0x7fff;
    if (small) return fmt::format("{}", v);
    return fmt::format("0x{:x}", static_cast<u64>(v));
}

/// "smin=0,smax=umax=255,var_off=(0x0; 0xff)": only what is not the widest.
void describe_range(const Range& range, std::string& out) {
    struct Bound {
        const char* name;
        i64 value;
        bool is_unsigned;
        bool omit;
    };
    const auto bound = [](const char* name, auto value, auto widest) {
        return Bound{name, static_cast<i64>(value), std::is_unsigned_v<decltype(value)>, value == widest};
    };
    const auto& w = range.wide;
    const auto& n = range.narrow;
    constexpr Bounds<u64> kWide;
    constexpr Bounds<u32> kNarrow;
    std::array bounds = {
        bound("smin", w.smin, kWide.smin),     bound("smax", w.smax, kWide.smax),
        bound("umin", w.umin, kWide.umin),     bound("umax", w.umax, kWide.umax),
        bound("smin32", n.smin, kNarrow.smin), bound("smax32", n.smax, kNarrow.smax),
        bound("umin32", n.umin, kNarrow.umin), bound("umax32", n.umax, kNarrow.umax),
    };
    const auto separate = [&] {
        if (!out.empty() && out.back() != '(') out += ',';
    };
    for (std::size_t i = 0; i < bounds.size(); ++i) {
        if (bounds[i].omit) continue;
        separate();
        out += bounds[i].name;
        for (std::size_t j = i + 1; j < bounds.size(); ++j) {
            if (bounds[j].omit || bounds[j].value != bounds[i].value) continue;
            out += fmt::format("={}", bounds[j].name);
            bounds[j].omit = true;
        }
        out += fmt::format("={}", number(bounds[i].value, bounds[i].is_unsigned));
    }
    if (range.bits != Tnum::unknown()) {
        separate();
        out += fmt::format("var_off=(0x{:x}; 0x{:x})", range.bits.value, range.bits.mask);
    }
}

} // namespace

std::string kind_name(const RegState& reg) {
    const std::string suffix = reg.or_null ? "_or_null" : "";
    switch (reg.kind) {
    case RegKind::not_init: return "?";
    case RegKind::scalar: return "scalar";
    case RegKind::ctx: return "ctx" + suffix;
    case RegKind::map_ptr: return "map_ptr" + suffix;
    case RegKind::map_value: return "map_value" + suffix;
    case RegKind::stack: return "fp" + suffix;
    case RegKind::packet: return "pkt" + suffix;
    case RegKind::packet_meta: return "pkt_meta" + suffix;
    case RegKind::packet_end: return "pkt_end" + suffix;
    case RegKind::mem: return "mem" + suffix;
    }
    return "?";
}

std::string describe(const RegState& reg) {
    if (reg.is_const()) return number(static_cast<i64>(reg.var.value()), false);
    std::string out = kind_name(reg);
    if (reg.kind == RegKind::stack && reg.var.is_const())
        return fmt::format("fp{}", reg.off + static_cast<i64>(reg.var.value()));
    out += '(';
    const auto field = [&](std::string text) {
        if (out.back() != '(') out += ',';
        out += text;
    };
    if (reg.id != 0) field(fmt::format("id={}", reg.id));
    if (reg.is_scalar()) {
        if (reg.off != 0) field(fmt::format("off={}", reg.off));
        describe_range(reg.var, out);
        return out + ')';
    }
    if (reg.map != nullptr) {
        const MapSpec& spec = reg.map->spec();
        field(fmt::format("map={},ks={},vs={}", spec.name, spec.key_size, spec.value_size));
    }
    if (reg.off != 0) field(fmt::format("off={}", reg.off));
    if (reg.in_packet()) field(fmt::format("r={}", reg.range));
    if (!reg.var.is_const())
        describe_range(reg.var, out);
    else if (reg.var.value() != 0)
        field(fmt::format("imm={}", static_cast<i64>(reg.var.value())));
    return out + ')';
}

bool Verifier::reject_with(int code, std::string message) {
    if (log_.level != kLogOff) log_.text += message + "\n";
    error_ = {code, message};
    log_.reason = std::move(message);
    return false;
}

void Verifier::log_insn() {
    if ((log_.level & (kLogBasic | kLogVerbose)) == 0) return;
    DisasmOptions options;
    options.opcode = true;
    options.helper_name = [](u32 id) {
        const HelperProto* helper = find_helper(id);
        return helper == nullptr ? std::string() : fmt::format("bpf_{}", helper->name);
    };
    line_start_ = log_.text.size();
    log_.text += fmt::format("{}: {}\n", insn_, disassemble(request_.insns, insn_, options));
}

/// Puts what the insn changed behind its line.
void Verifier::log_state() {
    if ((log_.level & (kLogBasic | kLogVerbose)) == 0 || touched_ == 0) return;
    std::string state;
    for (u32 r = 0; r < kRegisters; ++r)
        if ((touched_ >> r & 1) != 0 && reg(r).kind != RegKind::not_init)
            state += fmt::format(" R{}_w={}", r, describe(reg(r)));
    if (state.empty()) return;
    if (cur_->depth() > 0) state = fmt::format(" frame{}:", cur_->depth()) + state;
    log_.text.pop_back();
    const std::size_t length = log_.text.size() - line_start_;
    log_.text.append(length < kStateColumn ? kStateColumn - length : 1, ' ');
    log_.text += ";" + state + "\n";
}

void Verifier::log_all_registers() {
    if ((log_.level & (kLogBasic | kLogVerbose)) == 0) return;
    if (cur_->depth() > 0) log_.text += fmt::format("frame{}: ", cur_->depth());
    const char* space = "";
    for (u32 r = 0; r < kRegisters; ++r) {
        if (reg(r).kind == RegKind::not_init) continue;
        log_.text += fmt::format("{}R{}={}", space, r, describe(reg(r)));
        space = " ";
    }
    log_.text += "\n";
}

void Verifier::log_stats() {
    log_.insns_processed = processed_;
    if (log_.level == kLogOff) return;
    log_.text +=
        fmt::format("processed {} insns (limit {}) max_states_per_insn {} total_states {} peak_states {} "
                    "mark_read 0\n",
                    processed_, kMaxInsns, max_states_per_insn_, total_states_, peak_states_);
}

} // namespace xdplane
