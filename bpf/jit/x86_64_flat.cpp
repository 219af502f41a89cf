// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
//
// The burst entry of a small filter: all its decisions (lower/flat.h) for every packet, the last ones first,
// each a comparison and a conditional move between two results. The loop has a jump for packets that are too
// short, which is foreseen where packets are alike in that, and none for what they hold.
#include <bit>
#include <optional>
#include <utility>

#include "bpf/jit/x86_64_compiler.h"
#include "bpf/jit/x86_64_flat.h"
#include "bpf/run/packet.h"

namespace xdplane::x86_64 {
namespace {

using asmjit::Imm;
using asmjit::x86::CondCode;
namespace x86 = asmjit::x86;
using Kind = Flat::Kind;
using Value = Flat::Value;
using Step = Flat::Step;

constexpr Gp kPacket = FlatValues::kPacket;
constexpr Gp kData = FlatValues::kData;
constexpr Gp kLength = FlatValues::kLength;
constexpr Gp kZero = FlatValues::kZero;

/// A number of `size` bytes, in the order that it has in packets.
u32 as_in_packet(u32 number, u32 size) {
    switch (size) {
    case 1: return number;
    case 2: return std::byteswap(static_cast<u16>(number));
    default: return std::byteswap(number);
    }
}

CondCode condition_of(Code code) {
    switch (code) {
    case Code::jeq: return CondCode::kE;
    case Code::jne:
    case Code::jset: return CondCode::kNE;
    case Code::jgt: return CondCode::kA;
    case Code::jge: return CondCode::kAE;
    case Code::jlt: return CondCode::kB;
    default: return CondCode::kBE;
    }
}

/// Emits the steps.
class FlatEmitter {
public:
    FlatEmitter(x86::Assembler& assembler, const Flat& flat)
        : a_(assembler),
          flat_(flat),
          values_(assembler, flat),
          step_uses_(flat.steps.size()),
          results_(flat.steps.size()) {
        count_uses();
        choose_constants();
    }

    /// What stays in registers from packet to packet.
    void constants() {
        a_.xor_(kZero.r32(), kZero.r32());
        for (const auto& [number, reg] : constants_) a_.mov(reg.r32(), Imm(number));
    }

    /// The register of the result.
    Gp steps() {
        for (std::size_t i = 0; i < flat_.steps.size(); ++i) results_[i] = step(flat_.steps[i]);
        return results_.back();
    }

    /// Registers did not suffice: the code is no good.
    [[nodiscard]] bool failed() const { return values_.failed(); }

private:
    void count_uses() {
        for (const Step& step : flat_.steps) {
            // Whether a load is in range depends on its index.
            values_.use(step.code == Code::none ? values_.at(step.value).a : step.value);
            values_.use(step.other);
            for (const Flat::Outcome& outcome : {step.yes, step.no})
                if (outcome.step >= 0) ++step_uses_[static_cast<u32>(outcome.step)];
        }
        values_.use_operands();
    }

    void choose_constants() {
        for (const Step& step : flat_.steps)
            for (const Flat::Outcome& outcome : {step.yes, step.no})
                if (outcome.step < 0 && outcome.constant != 0 && !find_constant(outcome.constant)) {
                    const std::optional<Gp> reg = values_.take_for_good();
                    if (!reg) return;
                    constants_.emplace_back(outcome.constant, *reg);
                }
    }
    [[nodiscard]] std::optional<Gp> find_constant(u32 number) const {
        for (const auto& [constant, reg] : constants_)
            if (constant == number) return reg;
        return {};
    }

    /// Compares the end of a load with the length: below or equal if it is in range.
    void compare_with_length(const Value& load) {
        const i32 end = static_cast<i32>(load.imm + load.size);
        const Gp index = values_.get(load.a);
        const Gp reg = values_.take();
        a_.lea(reg, x86::ptr(index, end));
        a_.cmp(reg, kLength);
        values_.give_back(reg);
        values_.release(load.a, index);
    }

    CondCode compare(const Step& step) {
        const Value& first = values_.at(step.value);
        if (step.code == Code::none && first.a < 0) {
            a_.cmp(kLength, Imm(static_cast<i32>(first.imm + first.size)));
            return CondCode::kAE;
        }
        if (step.code == Code::none) {
            compare_with_length(first);
            return CondCode::kBE;
        }
        const bool in_any_order = step.code == Code::jeq || step.code == Code::jne || step.code == Code::jset;
        if (!in_any_order || step.other >= 0 || !compare_in_packet(step, first)) compare_values(step);
        return condition_of(step.code);
    }

    void compare_values(const Step& step) {
        const Gp first = values_.get(step.value);
        const Gp dst = first.r32();
        if (step.other >= 0) {
            const Gp second = values_.get(step.other);
            if (step.code == Code::jset) {
                a_.test(dst, second.r32());
            } else {
                a_.cmp(dst, second.r32());
            }
            values_.release(step.other, second);
        } else {
            against(step.code, dst, step.imm, 4);
        }
        values_.release(step.value, first);
    }

    template<class Operand>
    void against(Code code, const Operand& what, u32 number, u32 size) {
        const Imm imm(size == 2   ? i64{static_cast<i16>(number)}
                      : size == 1 ? i64{static_cast<i8>(number)}
                                  : i64{static_cast<i32>(number)});
        if (code == Code::jset) {
            a_.test(what, imm);
        } else {
            a_.cmp(what, imm);
        }
    }

    /// Compares the bytes where they lie, or masked, with those of the constant. False: it cannot.
    bool compare_in_packet(const Step& step, const Value& first) {
        if (flat_.is_near(first)) {
            against(step.code, values_.near(first), as_in_packet(step.imm, first.size), first.size);
            return true;
        }
        if (first.kind == Kind::load && values_.is_needed_once(step.value)) {
            const Gp offset = values_.safe_offset(first);
            against(step.code, x86::ptr(kData, offset, 0, 0, first.size), as_in_packet(step.imm, first.size),
                    first.size);
            values_.used(step.value);
            values_.give_back(offset);
            return true;
        }
        if (!values_.is_masked_load(first)) return false;
        const Value& load = values_.at(first.a);
        const u32 mask = as_in_packet(first.imm & load.most, load.size);
        const Gp reg = values_.take();
        values_.read(reg, values_.near(load));
        a_.and_(reg.r32(), Imm(static_cast<i32>(mask)));
        against(step.code, reg.r32(), as_in_packet(step.imm, load.size), 4);
        values_.give_back(reg);
        return true;
    }

    /// yes or no, by the flags of a comparison.
    Gp step(const Step& step) {
        CondCode condition = compare(step);
        Flat::Outcome base = step.no;
        Flat::Outcome other = step.yes;
        if (!ends_here(base) && ends_here(other)) {
            std::swap(base, other);
            condition = x86::negateCond(condition);
        }
        Gp result;
        if (ends_here(base)) {
            result = of(base);
        } else {
            result = values_.take();
            a_.mov(result.r32(), of(base).r32());
        }
        a_.cmov(condition, result.r32(), of(other).r32());
        for (const Flat::Outcome& outcome : {base, other})
            if (outcome.step >= 0 && --step_uses_[static_cast<u32>(outcome.step)] == 0 &&
                of(outcome) != result)
                values_.give_back(of(outcome));
        return result;
    }
    /// It is the result of a step that nobody else needs.
    [[nodiscard]] bool ends_here(const Flat::Outcome& outcome) const {
        return outcome.step >= 0 && step_uses_[static_cast<u32>(outcome.step)] == 1;
    }
    [[nodiscard]] Gp of(const Flat::Outcome& outcome) const {
        if (outcome.step >= 0) return results_[static_cast<u32>(outcome.step)];
        return outcome.constant == 0 ? kZero : find_constant(outcome.constant).value_or(kZero);
    }

    x86::Assembler& a_;
    const Flat& flat_;
    FlatValues values_;
    std::vector<std::pair<u32, Gp>> constants_;
    std::vector<u32> step_uses_;
    std::vector<Gp> results_; ///< of steps
};

/// Whether there are registers enough.
bool fits(const Flat& flat) {
    asmjit::CodeHolder code;
    x86::Assembler assembler;
    code.init(asmjit::Environment(asmjit::Arch::kX64));
    code.attach(&assembler);
    FlatEmitter emitter(assembler, flat);
    if (!emitter.failed()) static_cast<void>(emitter.steps());
    return !emitter.failed();
}

} // namespace

/// False, and nothing emitted, if the program has no flat form.
bool Compiler::flat_entry() {
    const Flat* const flat = program_.flat();
    if (flat == nullptr || uses_context() || !fits(*flat)) return false;
    const std::vector<Gp> saved{x86::rbx, x86::rbp, x86::r12, x86::r13, x86::r14, x86::r15};
    const u32 bytes = aligned_frame(8, saved.size() + 1);
    const x86::Mem end = x86::qword_ptr(x86::rsp);
    const Label nothing = a_.newLabel();
    const Label from_anew = a_.newLabel();
    const Label again = a_.newLabel();
    const Label too_short = a_.newLabel();
    const Label done = a_.newLabel();
    FlatEmitter emitter(a_, *flat);

    a_.test(x86::edx, x86::edx);
    a_.jz(nothing);
    save(saved, bytes);
    load_burst_end();
    a_.mov(end, x86::rax);
    a_.mov(kPacket, x86::rsi);
    a_.bind(from_anew);
    emitter.constants();

    a_.align(asmjit::AlignMode::kCode, 16);
    a_.bind(again);
    if (flat->shortest > 0) {
        a_.mov(kData, x86::qword_ptr(kPacket, offsetof(XdpBuff, data)));
        a_.mov(kLength, x86::qword_ptr(kPacket, offsetof(XdpBuff, data_end)));
        a_.sub(kLength, kData);
        a_.cmp(kLength, Imm(flat->shortest));
        a_.jb(too_short);
    }
    const Gp result = emitter.steps();
    a_.mov(x86::dword_ptr(kPacket, offsetof(XdpBuff, verdict)), result.r32());
    a_.add(kPacket, Imm(sizeof(XdpBuff)));
    a_.cmp(kPacket, end);
    a_.jne(again);
    a_.bind(done);
    restore(saved, bytes);
    a_.bind(nothing);
    a_.ret();
    if (flat->shortest == 0) return true;

    a_.bind(too_short);
    a_.mov(x86::rdi, kPacket);
    a_.call(body_);
    a_.mov(x86::dword_ptr(kPacket, offsetof(XdpBuff, verdict)), x86::eax);
    a_.add(kPacket, Imm(sizeof(XdpBuff)));
    a_.cmp(kPacket, end);
    a_.jne(from_anew);
    a_.jmp(done);
    return true;
}

} // namespace xdplane::x86_64
