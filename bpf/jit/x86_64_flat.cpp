// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
//
// The burst entry of a small filter: all its decisions (lower/flat.h) for every packet, the last ones first,
// each a comparison and a conditional move between two results. The loop has a jump for packets that are too
// short, which is foreseen where packets are alike in that, and none for what they hold.
#include <array>
#include <bit>
#include <optional>
#include <utility>

#include "bpf/jit/x86_64_compiler.h"
#include "bpf/lower/flat.h"
#include "bpf/run/packet.h"

namespace xdplane::x86_64 {
namespace {

using asmjit::Imm;
using asmjit::x86::CondCode;
namespace x86 = asmjit::x86;
using Kind = Flat::Kind;
using Value = Flat::Value;
using Step = Flat::Step;

constexpr Gp kPacket = x86::r12; ///< the body of the program leaves it alone
constexpr Gp kData = x86::rdi;
constexpr Gp kLength = x86::rsi;
constexpr Gp kZero = x86::rdx;
/// For values, results and constants; the first ones have the shortest code.
constexpr std::array kFree{x86::rbp, x86::r15, x86::r14, x86::r13, x86::r11, x86::r10,
                           x86::r9,  x86::r8,  x86::rbx, x86::rcx, x86::rax};

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

/// Emits the steps. The packet is in kPacket, its bytes at kData, their number in kLength, and 0 in kZero.
class FlatEmitter {
public:
    FlatEmitter(x86::Assembler& assembler, const Flat& flat)
        : a_(assembler),
          flat_(flat),
          free_(kFree.begin(), kFree.end()),
          uses_(flat.values.size()),
          kept_(flat.values.size()),
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
    [[nodiscard]] bool failed() const { return failed_; }

private:
    void count_uses() {
        const auto use = [&](i32 value) {
            if (value >= 0) ++uses_[static_cast<u32>(value)];
        };
        for (const Step& step : flat_.steps) {
            // Whether a load is in range depends on its index.
            use(step.code == Code::none ? value(step.value).a : step.value);
            use(step.other);
            for (const Flat::Outcome& outcome : {step.yes, step.no})
                if (outcome.step >= 0) ++step_uses_[static_cast<u32>(outcome.step)];
        }
        for (std::size_t i = flat_.values.size(); i-- > 0;) {
            if (uses_[i] == 0) continue;
            use(flat_.values[i].a);
            use(flat_.values[i].b);
        }
    }

    void choose_constants() {
        for (const Step& step : flat_.steps)
            for (const Flat::Outcome& outcome : {step.yes, step.no})
                if (outcome.step < 0 && outcome.constant != 0 && !find_constant(outcome.constant)) {
                    if (free_.size() <= 1) failed_ = true;
                    if (failed_) return;
                    constants_.emplace_back(outcome.constant, free_.front());
                    free_.erase(free_.begin());
                }
    }
    [[nodiscard]] std::optional<Gp> find_constant(u32 number) const {
        for (const auto& [constant, reg] : constants_)
            if (constant == number) return reg;
        return {};
    }

    [[nodiscard]] const Value& value(i32 index) const { return flat_.values[static_cast<u32>(index)]; }

    Gp take() {
        if (free_.empty()) {
            failed_ = true;
            return x86::rax;
        }
        const Gp reg = free_.back();
        free_.pop_back();
        return reg;
    }
    void give_back(const Gp& reg) { free_.push_back(reg); }

    /// As cheap to load again as to keep.
    [[nodiscard]] bool is_cheap(const Value& value) const {
        return value.kind == Kind::constant || value.kind == Kind::field || flat_.is_near(value) ||
               is_masked_load(value);
    }
    [[nodiscard]] bool is_masked_load(const Value& masked) const {
        return masked.kind == Kind::alu && masked.code == Code::and_ && masked.b < 0 &&
               flat_.is_near(value(masked.a));
    }

    /// The register of a value for one of its uses, which is over at the next release() of it.
    Gp get(i32 index) {
        const auto i = static_cast<u32>(index);
        if (kept_[i]) return *kept_[i];
        const Value& wanted = flat_.values[i];
        const Gp reg = compute(wanted);
        if (uses_[i] > 1 && !is_cheap(wanted)) kept_[i] = reg;
        return reg;
    }
    void release(i32 index, const Gp& reg) {
        const auto i = static_cast<u32>(index);
        if (!is_cheap(flat_.values[i])) --uses_[i];
        if (kept_[i] && uses_[i] > 0) return;
        kept_[i].reset();
        give_back(reg);
    }
    /// The same, and the register is the caller's, to change it.
    Gp get_own(i32 index) {
        const Gp reg = get(index);
        const auto i = static_cast<u32>(index);
        if (!kept_[i] || uses_[i] == 1) {
            if (!is_cheap(flat_.values[i])) --uses_[i];
            kept_[i].reset();
            return reg;
        }
        const Gp own = take();
        a_.mov(own.r32(), reg.r32());
        release(index, reg);
        return own;
    }

    Gp compute(const Value& wanted) {
        switch (wanted.kind) {
        case Kind::constant: {
            const Gp reg = take();
            a_.mov(reg.r32(), Imm(wanted.imm));
            return reg;
        }
        case Kind::field: {
            const Gp reg = take();
            read(reg, x86::ptr(kPacket, static_cast<i32>(wanted.imm), wanted.size));
            return reg;
        }
        case Kind::load: {
            if (!flat_.is_near(wanted)) {
                const Gp reg = safe_offset(wanted);
                read(reg, x86::ptr(kData, reg, 0, 0, wanted.size));
                to_host_order(reg, wanted.size);
                return reg;
            }
            const Gp reg = take();
            read(reg, near(wanted));
            to_host_order(reg, wanted.size);
            return reg;
        }
        case Kind::alu: break;
        }
        return operate(wanted);
    }

    Gp operate(const Value& wanted) {
        // The second one first, so that the copy of the first is not there while it is made.
        const std::optional<Gp> second = wanted.b < 0 ? std::nullopt : std::optional(get(wanted.b));
        const Gp reg = get_own(wanted.a);
        const Gp dst = reg.r32();
        const auto with = [&](auto emit) {
            if (second) {
                emit(second->r32());
            } else {
                emit(Imm(static_cast<i32>(wanted.imm)));
            }
        };
        switch (wanted.code) {
        case Code::add: with([&](const auto& by) { a_.add(dst, by); }); break;
        case Code::sub: with([&](const auto& by) { a_.sub(dst, by); }); break;
        case Code::or_: with([&](const auto& by) { a_.or_(dst, by); }); break;
        case Code::and_: with([&](const auto& by) { a_.and_(dst, by); }); break;
        case Code::xor_: with([&](const auto& by) { a_.xor_(dst, by); }); break;
        case Code::mul: a_.imul(dst, dst, Imm(static_cast<i32>(wanted.imm))); break;
        case Code::lsh: a_.shl(dst, Imm(wanted.imm)); break;
        default: a_.shr(dst, Imm(wanted.imm)); break;
        }
        if (second) release(wanted.b, *second);
        return reg;
    }

    [[nodiscard]] static x86::Mem near(const Value& load) {
        return x86::ptr(kData, static_cast<i32>(load.imm), load.size);
    }
    void read(const Gp& reg, const x86::Mem& from) {
        if (from.size() == 4) {
            a_.mov(reg.r32(), from);
        } else {
            a_.movzx(reg.r32(), from);
        }
    }
    void to_host_order(const Gp& reg, u32 size) {
        if (size == 4) a_.bswap(reg.r32());
        if (size == 2) a_.rol(reg.r16(), Imm(8));
    }

    /// Compares the end of a load with the length: below or equal if it is in range.
    void compare_with_length(const Value& load) {
        const i32 end = static_cast<i32>(load.imm + load.size);
        const Gp index = get(load.a);
        const Gp reg = take();
        a_.lea(reg, x86::ptr(index, end));
        a_.cmp(reg, kLength);
        give_back(reg);
        release(load.a, index);
    }

    /// The offset of a load that may be out of range, a new register: 0 if it is.
    Gp safe_offset(const Value& load) {
        const Gp reg = take();
        const i32 offset = static_cast<i32>(load.imm);
        if (load.a < 0) {
            a_.mov(reg.r32(), Imm(offset));
            a_.cmp(kLength, Imm(offset + load.size));
            a_.cmovb(reg.r32(), kZero.r32());
            return reg;
        }
        const Gp index = get(load.a);
        const Gp end = take();
        a_.lea(end, x86::ptr(index, offset + load.size));
        a_.lea(reg, x86::ptr(index, offset));
        a_.cmp(end, kLength);
        a_.cmova(reg.r32(), kZero.r32());
        give_back(end);
        release(load.a, index);
        return reg;
    }

    CondCode compare(const Step& step) {
        const Value& first = value(step.value);
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
        const Gp first = get(step.value);
        const Gp dst = first.r32();
        if (step.other >= 0) {
            const Gp second = get(step.other);
            if (step.code == Code::jset) {
                a_.test(dst, second.r32());
            } else {
                a_.cmp(dst, second.r32());
            }
            release(step.other, second);
        } else {
            against(step.code, dst, step.imm, 4);
        }
        release(step.value, first);
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
            against(step.code, near(first), as_in_packet(step.imm, first.size), first.size);
            return true;
        }
        const auto i = static_cast<u32>(step.value);
        if (first.kind == Kind::load && uses_[i] == 1 && !kept_[i]) {
            const Gp offset = safe_offset(first);
            against(step.code, x86::ptr(kData, offset, 0, 0, first.size), as_in_packet(step.imm, first.size),
                    first.size);
            --uses_[i];
            give_back(offset);
            return true;
        }
        if (!is_masked_load(first)) return false;
        const Value& load = value(first.a);
        const u32 mask = as_in_packet(first.imm & load.most, load.size);
        const Gp reg = take();
        read(reg, near(load));
        a_.and_(reg.r32(), Imm(static_cast<i32>(mask)));
        against(step.code, reg.r32(), as_in_packet(step.imm, load.size), 4);
        give_back(reg);
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
            result = take();
            a_.mov(result.r32(), of(base).r32());
        }
        a_.cmov(condition, result.r32(), of(other).r32());
        for (const Flat::Outcome& outcome : {base, other})
            if (outcome.step >= 0 && --step_uses_[static_cast<u32>(outcome.step)] == 0 &&
                of(outcome) != result)
                give_back(of(outcome));
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
    std::vector<Gp> free_;
    std::vector<std::pair<u32, Gp>> constants_;
    std::vector<u32> uses_;               ///< of each value, that are still to come
    std::vector<std::optional<Gp>> kept_; ///< where values are that somebody still needs
    std::vector<u32> step_uses_;
    std::vector<Gp> results_; ///< of steps
    bool failed_ = false;
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
