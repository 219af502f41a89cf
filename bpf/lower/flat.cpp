// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
#include "bpf/lower/flat.h"

#include <algorithm>
#include <array>
#include <bit>
#include <map>
#include <optional>
#include <utility>

#include "bpf/lower/liveness.h"

namespace xdplane {
namespace {

using Value = Flat::Value;
using Step = Flat::Step;
using Outcome = Flat::Outcome;
using Kind = Flat::Kind;

constexpr u32 kMostInsns = 96;
/// Each takes about a cycle, a jump that goes another way than expected 13 and more. 21 decisions gained much
/// on mixed packets, and 23 comparisons of addresses nothing.
constexpr u32 kMostSteps = 24;
/// Packets are seldom shorter than the headers of Ethernet, IPv4 and TCP; loads beyond have a step.
constexpr u32 kNear = 54;
constexpr u32 kMostOffset = 0xffff;
/// Paths that come together with different values are walked on apart.
constexpr u32 kMostWork = 4096;
constexpr u32 kAny = ~0U;

/// What a register holds: an index into Flat::values, or one of these.
constexpr i32 kUnknown = -1;
constexpr i32 kPacket = -2; ///< the context

/// All ones up to the highest bit of `most`.
constexpr u32 bits_of(u32 most) { return most == 0 ? 0 : kAny >> static_cast<u32>(std::countl_zero(most)); }

u32 compute(Code code, u32 a, u32 b) {
    switch (code) {
    case Code::add: return a + b;
    case Code::sub: return a - b;
    case Code::mul: return a * b;
    case Code::or_: return a | b;
    case Code::and_: return a & b;
    case Code::lsh: return a << (b & 31);
    case Code::rsh: return a >> (b & 31);
    default: return a ^ b;
    }
}

/// The greatest result of an operation on numbers up to a and b, which for shifts is the count; nothing if it
/// may not fit into 32 bits.
std::optional<u32> most_of(Code code, u64 a, u64 b) {
    u64 most = kAny;
    switch (code) {
    case Code::add: most = a + b; break;
    case Code::mul: most = a * b; break;
    case Code::or_:
    case Code::xor_: most = bits_of(static_cast<u32>(a | b)); break;
    case Code::and_: most = std::min(a, b); break;
    case Code::lsh: most = a << b; break;
    case Code::rsh: most = a >> b; break;
    default: return std::nullopt; // a difference
    }
    if (most > kAny) return std::nullopt;
    return static_cast<u32>(most);
}

/// What a comparison of numbers up to `most` with a constant always comes to, if it does.
std::optional<bool> always(Code code, u32 most, u32 imm) {
    switch (code) {
    case Code::jeq: return imm > most ? std::optional(false) : std::nullopt;
    case Code::jne: return imm > most ? std::optional(true) : std::nullopt;
    case Code::jgt: return imm >= most ? std::optional(false) : std::nullopt;
    case Code::jge: return imm > most ? std::optional(false) : imm == 0 ? std::optional(true) : std::nullopt;
    case Code::jlt: return imm > most ? std::optional(true) : imm == 0 ? std::optional(false) : std::nullopt;
    case Code::jle: return imm >= most ? std::optional(true) : std::nullopt;
    default: return imm == 0 ? std::optional(false) : std::nullopt;
    }
}

bool holds(Code code, u32 a, u32 b) {
    switch (code) {
    case Code::jeq: return a == b;
    case Code::jne: return a != b;
    case Code::jgt: return a > b;
    case Code::jge: return a >= b;
    case Code::jlt: return a < b;
    case Code::jle: return a <= b;
    default: return (a & b) != 0;
    }
}

class Flattener {
public:
    explicit Flattener(const LoweredProgram& program)
        : program_(program), live_(program, register_uses(program)) {}

    std::shared_ptr<const Flat> run() {
        State state;
        state.fill(kUnknown);
        state[R1] = kPacket;
        const std::optional<Outcome> result = from(0, state);
        if (!result || result->step < 0) return nullptr;
        return std::make_shared<const Flat>(std::move(flat_));
    }

private:
    using State = std::array<i32, kRegisters>;
    using Key = std::pair<u32, State>;     ///< an insn, and what is read there or behind it
    using Result = std::optional<Outcome>; ///< nothing: not to be had

    /// What the program returns that has come to insn `at` with these registers. Paths that bring different
    /// values of a register that is still read are kept apart.
    Result from(u32 at, State state) {
        for (; at < program_.insns().size() && --work_ > 0; ++at) {
            const LoweredInsn& insn = program_.insns()[at];
            switch (info(insn.op).kind) {
            case OpKind::alu: state[insn.dst] = alu(insn, state); break;
            case OpKind::ldx:
                state[insn.dst] = field(insn, state);
                if (state[insn.dst] == kUnknown) return {};
                break;
            case OpKind::ld_abs:
            case OpKind::ld_ind: {
                const i32 loaded = load(insn, state);
                if (loaded == kUnknown) return {};
                const bool near = flat_.is_near(value(loaded));
                const Key key = key_of(at, state);
                if (!near && known_.contains(key)) return known_[key];
                std::fill(state.begin() + R0, state.begin() + R6, kUnknown);
                state[R0] = loaded;
                if (near) break;
                const Result yes = from(at + 1, state);
                if (!yes) return {};
                return choose(key, {.value = loaded, .yes = *yes});
            }
            case OpKind::ja:
                if (insn.target <= static_cast<i32>(at)) return {};
                at = static_cast<u32>(insn.target) - 1;
                break;
            case OpKind::jump: return jump(at, state);
            case OpKind::exit:
                if (state[R0] < 0 || value(state[R0]).kind != Kind::constant) return {};
                return Outcome{-1, value(state[R0]).imm};
            default:
                if (insn.op != Op::nop) return {};
            }
        }
        return {};
    }

    Result jump(u32 at, const State& state) {
        const LoweredInsn& insn = program_.insns()[at];
        const OpcodeInfo& row = info(insn.op);
        Step step{.code = row.code, .value = state[insn.dst]};
        if (insn.target <= static_cast<i32>(at) || step.value < 0) return {};
        if (row.code == Code::jsgt || row.code == Code::jsge || row.code == Code::jslt ||
            row.code == Code::jsle)
            return {};
        const i32 second = operand(insn, row, state);
        if (second < 0) return {};
        const Value& a = value(step.value);
        const Value& b = value(second);
        std::optional<bool> known;
        if (b.kind == Kind::constant) {
            step.imm = row.code == Code::jset ? b.imm & bits_of(a.most) : b.imm;
            known = always(row.code, a.most, step.imm);
            if (a.kind == Kind::constant) known = holds(row.code, a.imm, b.imm);
        } else {
            step.other = second;
        }
        const u32 target = static_cast<u32>(insn.target);
        if (known) return from(*known ? target : at + 1, state);
        const Key key = key_of(at, state);
        if (const auto found = known_.find(key); found != known_.end()) return found->second;
        const Result yes = from(target, state);
        if (!yes) return {};
        const Result no = from(at + 1, state);
        if (!no) return {};
        step.yes = *yes;
        step.no = *no;
        return choose(key, step);
    }

    Result choose(const Key& key, const Step& step) {
        Outcome outcome = step.yes;
        if (step.yes != step.no) {
            auto& steps = flat_.steps;
            const auto found = std::ranges::find(steps, step);
            outcome = {.step = static_cast<i32>(found - steps.begin())};
            if (found == steps.end() && steps.size() == kMostSteps) return {};
            if (found == steps.end()) steps.push_back(step);
        }
        known_.emplace(key, outcome);
        return outcome;
    }

    [[nodiscard]] const Value& value(i32 index) const { return flat_.values[static_cast<u32>(index)]; }

    i32 add(const Value& value) {
        auto& values = flat_.values;
        const auto found = std::ranges::find(values, value);
        if (found != values.end()) return static_cast<i32>(found - values.begin());
        values.push_back(value);
        return static_cast<i32>(values.size()) - 1;
    }
    i32 constant(u32 number) { return add({.imm = number, .most = number}); }

    /// The second operand. Values have 32 bits, so operations on 64 do the same as long as the constant is
    /// not negative and the result fits.
    i32 operand(const LoweredInsn& insn, const OpcodeInfo& row, const State& state) {
        if (row.operand == Operand::reg) return state[insn.src];
        if (row.operand != Operand::imm || (row.width == 64 && insn.imm < 0)) return kUnknown;
        return constant(static_cast<u32>(insn.imm));
    }

    i32 alu(const LoweredInsn& insn, const State& state) {
        const OpcodeInfo& row = info(insn.op);
        if (row.code == Code::mov && row.operand == Operand::reg && row.width == 64) return state[insn.src];
        const i32 second = operand(insn, row, state);
        if (second < 0) return kUnknown;
        if (row.code == Code::mov) return second;
        const i32 first = state[insn.dst];
        if (first < 0) return kUnknown;
        const Value& a = value(first);
        const Value& b = value(second);
        const bool by_constant = b.kind == Kind::constant;
        switch (row.code) {
        case Code::add:
        case Code::sub:
        case Code::or_:
        case Code::and_:
        case Code::xor_: break;
        case Code::mul:
            if (!by_constant) return kUnknown;
            break;
        case Code::lsh:
        case Code::rsh:
            if (!by_constant || b.imm > 31) return kUnknown;
            break;
        default: return kUnknown;
        }
        const std::optional<u32> most = most_of(row.code, a.most, by_constant ? b.imm : b.most);
        if (!most && row.width == 64) return kUnknown;
        if (by_constant && a.kind == Kind::constant) return constant(compute(row.code, a.imm, b.imm));
        Value result{.kind = Kind::alu, .code = row.code, .a = first, .most = most.value_or(kAny)};
        if (by_constant) {
            result.imm = b.imm;
        } else {
            result.b = second;
        }
        return add(result);
    }

    /// Of the XdpBuff.
    i32 field(const LoweredInsn& insn, const State& state) {
        const OpcodeInfo& row = info(insn.op);
        if (state[insn.src] != kPacket || row.code != Code::none || row.width > 32 || insn.off < 0)
            return kUnknown;
        return add({.kind = Kind::field,
                    .size = static_cast<u8>(row.width / 8),
                    .imm = static_cast<u32>(insn.off),
                    .most = kAny >> (32 - row.width)});
    }

    i32 load(const LoweredInsn& insn, const State& state) {
        const OpcodeInfo& row = info(insn.op);
        const i64 offset = static_cast<i32>(insn.imm);
        if (state[R6] != kPacket || offset < 0 || offset > kMostOffset) return kUnknown;
        Value result{.kind = Kind::load,
                     .size = static_cast<u8>(row.width / 8),
                     .imm = static_cast<u32>(offset),
                     .most = kAny >> (32 - row.width)};
        if (row.kind == OpKind::ld_ind) {
            const i32 index = state[insn.src];
            if (index < 0 || value(index).most > kMostOffset) return kUnknown;
            const Value& from = value(index);
            if (from.kind == Kind::constant) {
                result.imm += from.imm;
            } else if (from.kind == Kind::alu && from.code == Code::add && from.b < 0) {
                result.a = from.a; // the sum does not wrap, or it would have no bound
                result.imm += from.imm;
            } else {
                result.a = index;
            }
        }
        const u32 end = result.imm + result.size;
        if (result.a < 0 && end <= kNear) flat_.shortest = std::max(flat_.shortest, end);
        // Whatever is loaded in place of what is out of range comes from the first bytes.
        flat_.shortest = std::max<u32>(flat_.shortest, result.size);
        return add(result);
    }

    [[nodiscard]] Key key_of(u32 at, State state) const {
        for (u8 reg = 0; reg < state.size(); ++reg)
            if (!live_.is_live_before(at, reg)) state[reg] = kUnknown;
        return {at, state};
    }

    const LoweredProgram& program_;
    Liveness live_;
    Flat flat_;
    std::map<Key, Outcome> known_;
    u32 work_ = kMostWork; ///< insns that may still be looked at
};

} // namespace

std::shared_ptr<const Flat> find_flat(const LoweredProgram& program) {
    if (program.functions().size() != 1 || !program.maps().empty() || program.tail_calls() ||
        program.needs_context() || program.insns().size() > kMostInsns)
        return nullptr;
    return Flattener(program).run();
}

} // namespace xdplane
