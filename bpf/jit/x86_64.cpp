// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
#include "bpf/jit/x86_64.h"

#include <cerrno>
#include <linux/bpf.h>

#include "bpf/jit/x86_64_emitter.h"
#include "bpf/maps/prog_array.h"
#include "bpf/run/run_context.h"

/// Layout of the code of a program: scalar entry, burst entry, main body, sub-programs.
///
/// An entry saves the callee-saved registers once, for the main body and for every program that it may
/// tail-call, and calls the body for each packet. A body takes the context in rdi and the RunContext in r12,
/// makes its own stack, and returns r0 in rax; it changes r6-r10 freely. So a tail call out of a main body
/// takes the stack down and jumps into the target's body. A sub-program preserves r6-r10 for its caller; a
/// tail call out of one therefore calls the target's body, and returns what it returned.
namespace xdplane::x86_64 {
namespace {

using asmjit::Imm;
namespace x86 = asmjit::x86;

/// Registers that C functions preserve and BPF code changes, by BPF register number.
constexpr u8 kSavedRegisters[] = {R6, R7, R8, R9};

const Entry* prog_array_entry(const Map* map, u32 index) noexcept {
    return static_cast<const ProgArray*>(map)->entry(index);
}

x86::Mem context_u32(std::size_t offset) { return x86::dword_ptr(kContext, static_cast<i32>(offset)); }

/// What a function needs around its insns.
struct Frame {
    bool main = false;
    bool frame_pointer = false; ///< sets up rbp
    std::vector<Gp> pushed;     ///< in this order, sub-programs only
    u32 bytes = 0;              ///< taken from rsp behind the pushed ones
};

/// Bytes, at least `wanted`, that bring rsp to a multiple of 16 when `words` words lie on the stack since it
/// last was one.
u32 aligned_frame(u32 wanted, std::size_t words) {
    const u32 above = static_cast<u32>(words * 8);
    return (above + wanted + 15) / 16 * 16 - above;
}

class FirstError final : public asmjit::ErrorHandler {
public:
    void handleError(asmjit::Error, const char* message, asmjit::BaseEmitter*) override {
        if (message_.empty()) message_ = message;
    }
    [[nodiscard]] const std::string& message() const { return message_; }

private:
    std::string message_;
};

class Compiler {
public:
    Compiler(const LoweredProgram& program, Features features)
        : program_(program), emit_(a_, features), used_(program.functions().size()) {}

    Result<MachineCode> run() {
        code_.init(asmjit::Environment(asmjit::Arch::kX64));
        code_.setErrorHandler(&errors_);
        code_.attach(&a_);
        for (std::size_t i = 0; i < program_.functions().size(); ++i)
            used_[i] = scan(program_.functions()[i]);
        make_labels();

        scalar_entry();
        burst_entry();
        result_.offsets.resize(program_.insns().size());
        for (std::size_t i = 0; i < program_.functions().size(); ++i)
            if (Result<> done = function(i); !done) return fail(done.error());
        return finish();
    }

private:
    /// What the insns of a function mention.
    struct Use {
        u32 registers = 0; ///< a bit for each BPF register
        bool calls = false;

        [[nodiscard]] bool has(u8 reg) const { return (registers >> reg & 1) != 0; }
    };

    [[nodiscard]] Use scan(const LoweredFunction& function) const {
        Use use;
        for (u32 i = function.begin; i < function.end; ++i) {
            const LoweredInsn& insn = program_.insns()[i];
            use.registers |= 1U << insn.dst | 1U << insn.src;
            const OpKind kind = info(insn.op).kind;
            const bool legacy = kind == OpKind::ld_abs || kind == OpKind::ld_ind;
            if (legacy) use.registers |= 1U << R6;
            use.calls |=
                legacy || insn.op == Op::call_helper || insn.op == Op::call_local || insn.op == Op::tail_call;
        }
        if (function.stack_depth > 0) use.registers |= 1U << R10;
        return use;
    }

    void make_labels() {
        labels_.resize(program_.insns().size());
        for (const LoweredInsn& insn : program_.insns()) {
            const OpKind kind = info(insn.op).kind;
            if (kind == OpKind::jump || kind == OpKind::ja || insn.op == Op::call_local ||
                (insn.op == Op::ld_imm64 && (insn.flags & kCodePointer) != 0))
                label(static_cast<u32>(insn.target));
        }
        body_ = a_.newLabel();
    }

    Label label(u32 insn) {
        if (!labels_[insn].isValid()) labels_[insn] = a_.newLabel();
        return labels_[insn];
    }

    // --- entries ---

    [[nodiscard]] bool uses_context() const { return program_.needs_context() || program_.tail_calls(); }

    /// What an entry saves on behalf of the bodies.
    [[nodiscard]] std::vector<Gp> saved_by_entry() const {
        std::vector<Gp> saved;
        for (const u8 reg : kSavedRegisters)
            if (program_.tail_calls() || used_[0].has(reg)) saved.push_back(machine_reg(reg, 64));
        if (program_.tail_calls() || used_[0].has(R10)) saved.push_back(x86::rbp);
        if (uses_context()) saved.push_back(kContext);
        return saved;
    }

    void save(const std::vector<Gp>& registers, u32 bytes) {
        for (const Gp& reg : registers) a_.push(reg);
        if (bytes > 0) a_.sub(x86::rsp, Imm(bytes));
    }
    void restore(const std::vector<Gp>& registers, u32 bytes) {
        if (bytes > 0) a_.add(x86::rsp, Imm(bytes));
        for (auto reg = registers.rbegin(); reg != registers.rend(); ++reg) a_.pop(*reg);
    }

    /// The packet is in rdi.
    void begin_packet() {
        if (program_.needs_context()) {
            a_.mov(x86::qword_ptr(kContext, offsetof(RunContext, packet)), x86::rdi);
            a_.mov(context_u32(offsetof(RunContext, random_calls)), Imm(0));
        }
        if (program_.tail_calls()) a_.mov(context_u32(offsetof(RunContext, tail_calls)), Imm(0));
    }

    /// u32 run(const Entry*, XdpBuff*, RunContext*)
    void scalar_entry() {
        const std::vector<Gp> saved = saved_by_entry();
        result_.run_offset = offset();
        if (saved.empty()) {
            a_.mov(x86::rdi, x86::rsi);
            a_.jmp(body_);
            return;
        }
        const u32 bytes = aligned_frame(0, saved.size() + 1);
        save(saved, bytes);
        a_.mov(x86::rdi, x86::rsi);
        if (uses_context()) a_.mov(kContext, x86::rdx);
        begin_packet();
        a_.call(body_);
        restore(saved, bytes);
        a_.ret();
    }

    /// A register for the packet of the burst loop that no body changes; rdi if there is none.
    [[nodiscard]] Gp loop_register() const {
        if (!program_.tail_calls())
            for (const u8 reg : kSavedRegisters)
                if (!used_[0].has(reg)) return machine_reg(reg, 64);
        return x86::rdi;
    }

    /// void run_burst(const Entry*, XdpBuff*, u32 count, RunContext*)
    void burst_entry() {
        std::vector<Gp> saved = saved_by_entry();
        const Gp packet = loop_register();
        const bool in_memory = packet == x86::rdi;
        if (!in_memory) saved.push_back(packet);
        const u32 bytes = aligned_frame(16, saved.size() + 1);
        const x86::Mem packet_slot = x86::qword_ptr(x86::rsp);
        const x86::Mem end_slot = x86::qword_ptr(x86::rsp, 8);
        const Label loop = a_.newLabel();
        const Label nothing = a_.newLabel();

        a_.align(asmjit::AlignMode::kCode, 16);
        result_.run_burst_offset = offset();
        a_.test(x86::edx, x86::edx);
        a_.jz(nothing);
        save(saved, bytes);
        static_assert(sizeof(XdpBuff) == 1 << 7);
        a_.mov(x86::eax, x86::edx);
        a_.shl(x86::rax, Imm(7));
        a_.add(x86::rax, x86::rsi);
        a_.mov(end_slot, x86::rax);
        if (uses_context()) a_.mov(kContext, x86::rcx);
        a_.mov(packet, x86::rsi);

        a_.bind(loop);
        if (in_memory) {
            a_.mov(packet_slot, packet);
        } else {
            a_.mov(x86::rdi, packet);
        }
        begin_packet();
        a_.call(body_);
        if (in_memory) a_.mov(packet, packet_slot);
        a_.mov(x86::dword_ptr(packet, offsetof(XdpBuff, verdict)), x86::eax);
        a_.add(packet, Imm(sizeof(XdpBuff)));
        a_.cmp(packet, end_slot);
        a_.jne(loop);
        restore(saved, bytes);
        a_.bind(nothing);
        a_.ret();
    }

    // --- functions ---

    [[nodiscard]] Frame make_frame(std::size_t index) const {
        const LoweredFunction& function = program_.functions()[index];
        const Use& use = used_[index];
        Frame frame;
        frame.main = index == 0;
        frame.frame_pointer = use.has(R10);
        if (!frame.main) {
            if (frame.frame_pointer || function.tail_calls) frame.pushed.push_back(x86::rbp);
            for (const u8 reg : kSavedRegisters)
                if (function.tail_calls || use.has(reg)) frame.pushed.push_back(machine_reg(reg, 64));
        }
        if (use.calls || function.stack_depth > 0)
            frame.bytes = aligned_frame(function.stack_depth, frame.pushed.size() + 1);
        return frame;
    }

    Result<> function(std::size_t index) {
        const LoweredFunction& function = program_.functions()[index];
        frame_ = make_frame(index);
        epilogue_ = a_.newLabel();
        return_zero_ = Label();
        a_.align(asmjit::AlignMode::kCode, 16);
        if (frame_.main) {
            result_.tail_offset = offset();
            a_.bind(body_);
        }
        // Jumps to the first insn stay behind the prologue; calls go to it.
        const Label first = frame_.main ? body_ : entry_label(function.begin);
        if (!frame_.main) a_.bind(first);
        for (const Gp& reg : frame_.pushed) a_.push(reg);
        if (frame_.frame_pointer) a_.mov(x86::rbp, x86::rsp);
        if (frame_.bytes > 0) a_.sub(x86::rsp, Imm(frame_.bytes));

        for (u32 i = function.begin; i < function.end; ++i) {
            if (labels_[i].isValid()) a_.bind(labels_[i]);
            result_.offsets[i] = offset();
            if (Result<> done = insn(i, i + 1 == function.end); !done) return done;
        }
        if (return_zero_.isValid()) {
            a_.bind(return_zero_);
            a_.xor_(x86::eax, x86::eax);
            if (frame_.main) leave();
        }
        if (!frame_.main) {
            a_.bind(epilogue_);
            leave();
        }
        return {};
    }

    /// Where calls of the sub-program that begins at `insn` go: its prologue.
    Label entry_label(u32 insn) {
        if (entries_.empty()) entries_.resize(program_.insns().size());
        if (!entries_[insn].isValid()) entries_[insn] = a_.newLabel();
        return entries_[insn];
    }

    void take_down_stack() {
        if (frame_.bytes > 0) a_.add(x86::rsp, Imm(frame_.bytes));
    }
    void leave() {
        restore(frame_.pushed, frame_.bytes);
        a_.ret();
    }
    void exit(bool last) {
        if (frame_.main) {
            leave();
        } else if (!last || return_zero_.isValid()) {
            a_.jmp(epilogue_);
        }
    }
    Label return_zero() {
        if (!return_zero_.isValid()) return_zero_ = a_.newLabel();
        return return_zero_;
    }

    // --- insns ---

#define XDPLANE_CASES(name)                                                                                  \
    case Op::name##64_imm:                                                                                   \
    case Op::name##64_reg:                                                                                   \
    case Op::name##32_imm:                                                                                   \
    case Op::name##32_reg
    Result<> insn(u32 index, bool last) {
        const LoweredInsn& insn = program_.insns()[index];
        switch (insn.op) {
        XDPLANE_CASES(add)
            : XDPLANE_CASES(sub)
            : XDPLANE_CASES(mul)
            : XDPLANE_CASES(div)
            : XDPLANE_CASES(or)
            : XDPLANE_CASES(and)
            : XDPLANE_CASES(lsh)
            : XDPLANE_CASES(rsh)
            : XDPLANE_CASES(mod)
            : XDPLANE_CASES(xor)
            : XDPLANE_CASES(mov)
            : XDPLANE_CASES(arsh) : XDPLANE_CASES(sdiv) : XDPLANE_CASES(smod) : case Op::neg64:
        case Op::neg32:
        case Op::movsx8_64:
        case Op::movsx16_64:
        case Op::movsx32_64:
        case Op::movsx8_32:
        case Op::movsx16_32: emit_.alu(insn); return {};
        case Op::le16:
        case Op::le32:
        case Op::le64:
        case Op::be16:
        case Op::be32:
        case Op::be64:
        case Op::bswap16:
        case Op::bswap32:
        case Op::bswap64: emit_.endian(insn); return {};
        case Op::ldx8:
        case Op::ldx16:
        case Op::ldx32:
        case Op::ldx64:
        case Op::ldxs8:
        case Op::ldxs16:
        case Op::ldxs32: emit_.load(insn); return {};
        case Op::st8:
        case Op::st16:
        case Op::st32:
        case Op::st64:
        case Op::stx8:
        case Op::stx16:
        case Op::stx32:
        case Op::stx64: emit_.store(insn); return {};
        case Op::atomic_add32:
        case Op::atomic_add64:
        case Op::atomic_or32:
        case Op::atomic_or64:
        case Op::atomic_and32:
        case Op::atomic_and64:
        case Op::atomic_xor32:
        case Op::atomic_xor64:
        case Op::atomic_fetch_add32:
        case Op::atomic_fetch_add64:
        case Op::atomic_fetch_or32:
        case Op::atomic_fetch_or64:
        case Op::atomic_fetch_and32:
        case Op::atomic_fetch_and64:
        case Op::atomic_fetch_xor32:
        case Op::atomic_fetch_xor64:
        case Op::atomic_xchg32:
        case Op::atomic_xchg64:
        case Op::atomic_cmpxchg32:
        case Op::atomic_cmpxchg64:
            emit_.atomic(insn);
            return {};
            XDPLANE_CASES(jeq)
                : XDPLANE_CASES(jgt)
                : XDPLANE_CASES(jge)
                : XDPLANE_CASES(jset)
                : XDPLANE_CASES(jne)
                : XDPLANE_CASES(jsgt)
                : XDPLANE_CASES(jsge)
                : XDPLANE_CASES(jlt)
                : XDPLANE_CASES(jle)
                : XDPLANE_CASES(jslt)
                : XDPLANE_CASES(jsle) : emit_.jump(insn, label(static_cast<u32>(insn.target)));
            return {};
        case Op::ja:
        case Op::ja32: a_.jmp(label(static_cast<u32>(insn.target))); return {};
        case Op::ld_imm64: load_imm64(insn); return {};
        case Op::ld_abs8:
        case Op::ld_abs16:
        case Op::ld_abs32:
        case Op::ld_ind8:
        case Op::ld_ind16:
        case Op::ld_ind32: emit_.legacy_load(insn, return_zero()); return {};
        case Op::exit: exit(last); return {};
        case Op::call_helper:
            emit_.load_constant(x86::rax, static_cast<u64>(insn.imm));
            a_.call(x86::rax);
            return {};
        case Op::call_local: a_.call(entry_label(static_cast<u32>(insn.target))); return {};
        case Op::tail_call: return tail_call(insn);
        case Op::ctx_length: emit_.ctx_length(insn); return {};
        case Op::nop: return {};
        case Op::call: // lowering leaves none
        case Op::invalid: break;
        }
        return fail(EINVAL, "lowered insn {} has no x86-64 code", index);
    }
#undef XDPLANE_CASES

    void load_imm64(const LoweredInsn& insn) {
        const Gp dst = machine_reg(insn.dst, 64);
        if ((insn.flags & kCodePointer) != 0) {
            a_.lea(dst, x86::ptr(entry_label(static_cast<u32>(insn.target))));
        } else {
            emit_.load_constant(dst, static_cast<u64>(insn.imm));
        }
    }

    /// Leaves the target's Entry, or null, in kScratch1; or jumps to `failed`. False if it always fails.
    Result<bool> tail_target(const LoweredInsn& insn, const Label& failed) {
        if (insn.target < 0) {
            // r1 is the target's context, and r0 survives a failure.
            a_.push(x86::rdi);
            a_.push(x86::rax);
            a_.mov(x86::rdi, x86::rsi);
            if (insn.imm >= 0) {
                emit_.load_constant(x86::rsi, static_cast<u64>(insn.imm));
            } else {
                a_.mov(x86::esi, x86::edx);
            }
            emit_.load_constant(x86::rax, reinterpret_cast<std::uintptr_t>(&prog_array_entry));
            a_.call(x86::rax);
            a_.mov(kScratch1, x86::rax);
            a_.pop(x86::rax);
            a_.pop(x86::rdi);
            return true;
        }
        const Map& map = *program_.maps()[static_cast<u32>(insn.target)];
        if (map.spec().type != BPF_MAP_TYPE_PROG_ARRAY)
            return fail(EINVAL, "tail call through a map that is no prog array");
        const ProgArray& array = static_cast<const ProgArray&>(map);
        const std::uintptr_t slots = reinterpret_cast<std::uintptr_t>(array.slots());
        if (insn.imm >= 0) {
            if (insn.imm >= array.count()) return false;
            emit_.load_constant(kScratch1, slots + static_cast<u64>(insn.imm) * 8);
            a_.mov(kScratch1, x86::qword_ptr(kScratch1));
            return true;
        }
        a_.cmp(x86::edx, Imm(static_cast<i32>(array.count())));
        a_.jae(failed);
        emit_.load_constant(kScratch1, slots);
        a_.mov(kScratch2.r32(), x86::edx);
        a_.mov(kScratch1, x86::qword_ptr(kScratch1, kScratch2, 3));
        return true;
    }

    Result<> tail_call(const LoweredInsn& insn) {
        const Label failed = a_.newLabel();
        const Result<bool> possible = tail_target(insn, failed);
        if (!possible) return fail(possible.error());
        if (*possible) {
            const x86::Mem count = context_u32(offsetof(RunContext, tail_calls));
            const x86::Mem target = x86::qword_ptr(kScratch1, offsetof(Entry, tail_entry));
            a_.test(kScratch1, kScratch1);
            a_.jz(failed);
            a_.cmp(count, Imm(kMaxTailCalls));
            a_.jae(failed);
            a_.inc(count);
            if (frame_.main) {
                take_down_stack();
                a_.jmp(target);
            } else {
                a_.call(target);
                a_.jmp(epilogue_);
            }
        }
        a_.bind(failed);
        return {};
    }

    // --- the end ---

    [[nodiscard]] u32 offset() const { return static_cast<u32>(a_.offset()); }

    Result<MachineCode> finish() {
        code_.flatten();
        code_.resolveUnresolvedLinks();
        if (errors_.message().empty() && (code_.hasUnresolvedLinks() || code_.hasRelocEntries()))
            return fail(EINVAL, "x86-64 code is not position-independent");
        if (!errors_.message().empty()) return fail(EINVAL, "x86-64 code: {}", errors_.message());
        result_.bytes.resize(code_.codeSize());
        code_.copyFlattenedData(result_.bytes.data(), result_.bytes.size());
        return std::move(result_);
    }

    const LoweredProgram& program_;
    FirstError errors_;
    asmjit::CodeHolder code_;
    x86::Assembler a_;
    Emitter emit_;
    std::vector<Use> used_;      ///< of each function
    std::vector<Label> labels_;  ///< of insns that are jumped to
    std::vector<Label> entries_; ///< of insns that sub-programs begin with
    Label body_;
    Frame frame_; ///< of the function in hand, as the next two
    Label epilogue_;
    Label return_zero_;
    MachineCode result_;
};

} // namespace

Result<MachineCode> compile(const LoweredProgram& program, Features features) {
    return Compiler(program, features).run();
}

Result<MachineCode> compile(const LoweredProgram& program) {
#if defined(__x86_64__)
    return compile(program, host_features());
#else
    return compile(program, Features{});
#endif
}

} // namespace xdplane::x86_64
