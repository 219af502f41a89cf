// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
#include "tests/support/abstraction.h"

#include <algorithm>
#include <bit>
#include <cstring>
#include <fmt/format.h>

#include "bpf/isa/register_use.h"
#include "bpf/run/packet.h"
#include "bpf/verifier/simulation.h"

namespace xdplane::test {

namespace {

struct TooManyStates {};

/// Without what keys are made of: a register of a key that is also an argument of the lookup, as r1 may be,
/// holds one of the two.
std::vector<RegisterUse> uses_of(const LoweredProgram& lowered) {
    std::vector<RegisterUse> uses;
    for (const LoweredInsn& insn : lowered.insns()) uses.push_back(register_use(insn));
    return uses;
}

} // namespace

void RecordedStates::record(VerifyRequest request, Verify verifier) {
    states_.clear();
    states_.resize(request.insns.size());
    count_ = 0;
    request.compare_all_numbers = true;
    request.observer = [this](u32 insn, const State& state) { add(insn, state); };
    VerifierLog log;
    try {
        complete_ = verifier(std::move(request), log).has_value();
    } catch (const TooManyStates&) {
        complete_ = false;
    }
    if (!complete_) states_.clear();
}

void RecordedStates::add(u32 insn, const State& state) {
    if (++count_ > limit_) throw TooManyStates();
    Chain chain{static_cast<i32>(state.frames[0].function)};
    for (std::size_t i = 1; i < state.frames.size(); ++i) chain.push_back(state.frames[i].call_site);
    states_[insn][chain].emplace_back(state, State::Marks{});
}

const std::vector<State>& RecordedStates::at(u32 insn, const Chain& chain) const {
    static const std::vector<State> kNone;
    const auto found = states_[insn].find(chain);
    return found == states_[insn].end() ? kNone : found->second;
}

AbstractionCheck::AbstractionCheck(const VerifiedProgram& verified, const LoweredProgram& lowered,
                                   const RecordedStates& states)
    : verified_(verified), lowered_(lowered), states_(states), lowered_live_(lowered, uses_of(lowered)) {
    const auto flow = analyse_control_flow(verified.insns(), {.loops = true, .traits = call_traits});
    if (flow)
        live_ = flow->live_registers;
    else
        violation_ = flow.error().message;
    for (const LoweredFunction& function : lowered.functions()) {
        const u32 origin = lowered.origins()[function.begin];
        u32 index = 0;
        while (index + 1 < verified.functions().size() && verified.functions()[index].end <= origin) ++index;
        functions_.push_back(index);
    }
    for (const auto& map : verified.maps())
        if (map->ops().direct_value != nullptr)
            if (const u8* value = map->ops().direct_value(*map))
                bases_[{RegKind::map_value, map.get()}].push_back(reinterpret_cast<u64>(value));
}

void AbstractionCheck::enter(u32 function, u64 stack) noexcept {
    Run run{functions_[function], 0, stack};
    const auto depth = static_cast<u32>(frames_.size());
    // Global functions are verified by themselves.
    const bool own = depth == 0 || verified_.functions()[run.function].is_global;
    run.root = own ? depth : frames_.back().root;
    frames_.push_back(run);
}

void AbstractionCheck::leave() noexcept { frames_.pop_back(); }

void AbstractionCheck::fail_at(u32 insn, std::string text) {
    if (violation_.empty()) violation_ = fmt::format("insn {}: {}", insn, text);
}

std::string AbstractionCheck::describe_registers(const u64* registers) const {
    std::string text;
    for (u32 i = 0; i < kRegisters; ++i) text += fmt::format(" r{}={:#x}", i, registers[i]);
    return text;
}

void AbstractionCheck::check_result(u32 insn, const u64* registers) {
    const Insn& code = verified_.insns()[insn];
    const u16 writes = register_use(info(verified_.facts()[insn].op), code.dst, code.src).writes;
    if (writes == 0) return;
    const NumberBounds bounds = verified_.values().result(insn);
    bounds_checked_ += bounds != NumberBounds{};
    const u64 value = registers[std::countr_zero(writes)];
    if (!bounds.contains(value))
        fail_at(insn,
                fmt::format("the result {:#x} is not within {:#x}..{:#x}", value, bounds.min, bounds.max));
}

void AbstractionCheck::check_values(u32 insn, const u64* registers) {
    const Insn& code = verified_.insns()[insn];
    const ValueFacts& values = verified_.values();
    const u16 reads = register_use(info(verified_.facts()[insn].op), code.dst, code.src).reads;
    const auto wrong = [&](u32 reg, bool zero) {
        return zero && (reads >> reg & 1) != 0 && registers[reg] >> 32 != 0;
    };
    if (wrong(code.dst, values.dst_upper_zero(insn)) || wrong(code.src, values.src_upper_zero(insn)))
        fail_at(insn, "upper halves are not 0:" + describe_registers(registers));
}

void AbstractionCheck::before(u32 insn, const u64* registers) noexcept {
    if (!violation_.empty()) return;
    const u32 origin = lowered_.origins()[insn];
    if (insn > 0 && lowered_.origins()[insn - 1] == origin) return; // in the midst of what was one insn
    Run& run = frames_.back();
    run.r = registers;
    if (frames_.size() == 1 && run.last < 0) packet_ = reinterpret_cast<const XdpBuff*>(registers[R1]);
    if (run.last >= 0) check_result(static_cast<u32>(run.last), registers);
    // A load in place of several insns, the last of which was this one: what the others made is not there.
    const bool several = info(lowered_.insns()[insn].op).kind == OpKind::ldx &&
                         info(verified_.facts()[origin].op).kind == OpKind::alu;
    if (!several) check_values(origin, registers);
    if (!verified_.facts()[origin].reached) fail_at(origin, "dead code is reached");
    if (states_.complete() && violation_.empty() && !several) {
        RecordedStates::Chain chain{static_cast<i32>(frames_[run.root].function)};
        for (std::size_t i = run.root + 1; i < frames_.size(); ++i) chain.push_back(frames_[i - 1].last);
        const auto& states = states_.at(origin, chain);
        const u16 live = live_[origin] & lowered_live_.before(insn);
        Bases fresh;
        why_ = "no state at all";
        const bool found = std::ranges::any_of(states, [&](const State& state) {
            fresh.clear();
            return within(state, live, fresh);
        });
        if (!found)
            fail_at(origin, fmt::format("not within any of {} states; the last: {};{}", states.size(), why_,
                                        describe_registers(registers)));
        for (auto& [key, values] : fresh)
            for (const u64 value : values)
                if (std::ranges::find(bases_[key], value) == bases_[key].end()) bases_[key].push_back(value);
        ++checked_;
    }
    run.last = static_cast<i32>(origin);
}

bool AbstractionCheck::within(const State& state, u16 live, Bases& fresh) {
    const Run& top = frames_.back();
    for (std::size_t f = 0; f < state.frames.size(); ++f) {
        const Run& run = frames_[top.root + f];
        const bool is_top = f + 1 == state.frames.size();
        const u16 there = is_top ? live : live_[static_cast<u32>(state.frames[f + 1].call_site)];
        if (!frame_within(state.frames[f], run, there, is_top, fresh)) {
            why_ = fmt::format("frame {} {}", f, why_);
            return false;
        }
    }
    return true;
}

/// What the register holds may be an object that was not seen before.
bool AbstractionCheck::comes_new(const Run& run, u32 reg) const {
    if (run.last < 0) return reg >= R1 && reg <= R5;
    const Op op = verified_.facts()[static_cast<u32>(run.last)].op;
    return op == Op::call && reg == R0;
}

bool AbstractionCheck::frame_within(const Frame& frame, const Run& run, u16 live, bool top, Bases& fresh) {
    for (u32 i = 0; i < kRegisters; ++i) {
        // Callers' r0 to r5 are not theirs any more.
        if ((live >> i & 1) == 0 || (!top && i <= R5)) continue;
        if (register_within(frame.regs[i], run.r[i], top && comes_new(run, i), fresh)) continue;
        why_ = fmt::format("r{}: {}", i, why_);
        return false;
    }
    for (u32 s = 0; s < frame.slots.size(); ++s) {
        if (slot_within(frame.slots[s], run.stack - 8 * u64{s + 1}, fresh)) continue;
        why_ = fmt::format("stack at -{}: {}", 8 * (s + 1), why_);
        return false;
    }
    return true;
}

bool AbstractionCheck::slot_within(const StackSlot& slot, u64 address, Bases& fresh) {
    u8 bytes[8];
    std::memcpy(bytes, reinterpret_cast<const void*>(address), sizeof bytes);
    for (u32 i = 0; i < 8; ++i)
        if (slot.bytes[i] == Byte::zero && bytes[i] != 0) {
            why_ = fmt::format("byte {} is {:#x}, not 0", i, bytes[i]);
            return false;
        }
    if (!slot.is_spill()) return true;
    u64 value = 0;
    std::memcpy(&value, bytes, slot.spill_size());
    return register_within(slot.spilled, value, false, fresh);
}

bool AbstractionCheck::register_within(const RegState& reg, u64 value, bool new_base, Bases& fresh) {
    if (reg.kind == RegKind::not_init) return true;
    if (reg.is_scalar()) {
        if (reg.var.contains(value)) return true;
        why_ = fmt::format("{:#x} is not in {:#x}..{:#x}, bits {:#x}/{:#x}", value, reg.var.wide.umin,
                           reg.var.wide.umax, reg.var.bits.value, reg.var.bits.mask);
        return false;
    }
    if ((value == 0 && reg.or_null) || pointer_within(reg, value, new_base, fresh)) return true;
    why_ = fmt::format("{:#x} is no pointer of kind {} with offset {} and {:#x}..{:#x}", value,
                       static_cast<int>(reg.kind), reg.off, reg.var.wide.umin, reg.var.wide.umax);
    return false;
}

bool AbstractionCheck::pointer_within(const RegState& reg, u64 value, bool new_base, Bases& fresh) {
    const u64 start = value - static_cast<u64>(i64{reg.off});
    const auto from = [&](const void* base) { return reg.var.contains(start - reinterpret_cast<u64>(base)); };
    // A range counts from where the variable part ends.
    const auto before_end = [&](const u8* end) {
        return reg.range <= 0 || start + static_cast<u64>(reg.range) <= reinterpret_cast<u64>(end);
    };
    switch (reg.kind) {
    case RegKind::ctx: return from(packet_);
    case RegKind::stack: return reg.var.contains(start - frames_[frames_.back().root + reg.frame].stack);
    case RegKind::packet: return from(packet_->data) && before_end(packet_->data_end);
    case RegKind::packet_meta: return from(packet_->data_meta) && before_end(packet_->data);
    case RegKind::packet_end: return from(packet_->data_end);
    case RegKind::map_ptr: return reg.inner || from(reg.map);
    case RegKind::map_value:
    case RegKind::map_key:
    case RegKind::mem: return object_within(reg, value, new_base, fresh);
    default: return value != 0;
    }
}

/// Inner maps and slices of packets have no place of their own.
bool AbstractionCheck::object_within(const RegState& reg, u64 value, bool new_base, Bases& fresh) {
    if (value == 0) return false;
    const auto key = std::pair{reg.kind, reg.kind == RegKind::mem ? nullptr : reg.map};
    if (new_base && reg.unmodified()) {
        fresh[key].push_back(value);
        return true;
    }
    const u64 start = value - static_cast<u64>(i64{reg.off});
    for (const Bases* bases : {&bases_, &fresh}) {
        const auto found = bases->find(key);
        if (found != bases->end() &&
            std::ranges::any_of(found->second, [&](u64 base) { return reg.var.contains(start - base); }))
            return true;
    }
    return reg.inner || reg.of_packet;
}

} // namespace xdplane::test
