// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
#include "bpf/jit/x86_64.h"

#include <algorithm>
#include <cerrno>

#include "bpf/jit/x86_64_compiler.h"

namespace xdplane::x86_64 {

using asmjit::Imm;
namespace x86 = asmjit::x86;

Result<MachineCode> Compiler::run() {
    code_.init(asmjit::Environment(asmjit::Arch::kX64));
    code_.setErrorHandler(&errors_);
    code_.attach(&a_);
    for (std::size_t i = 0; i < program_.functions().size(); ++i) used_[i] = scan(program_.functions()[i]);
    plan();
    labels_.resize(program_.insns().size());
    result_.offsets.resize(program_.insns().size());
    body_ = a_.newLabel();
    for (const LoweredInsn& insn : program_.insns()) {
        if (insn.op != Op::ld_imm64 || (insn.flags & kCodePointer) == 0) continue;
        Label& callback = callbacks_[static_cast<std::size_t>(insn.imm)];
        if (!callback.isValid()) callback = a_.newLabel();
    }

    scalar_entry();
    if (Result<> done = burst_entry(); !done) return fail(done.error());
    if (Result<> done = split_entry(); !done) return fail(done.error());
    for (std::size_t i = 0; i < program_.functions().size(); ++i)
        if (Result<> done = function(i); !done) return fail(done.error());
    return finish();
}

Use Compiler::scan(const LoweredFunction& function) {
    Use use;
    for (u32 i = function.begin; i < function.end; ++i) {
        const LoweredInsn& insn = program_.insns()[i];
        use.registers |= 1U << insn.dst | 1U << insn.src;
        const OpKind kind = info(insn.op).kind;
        const bool legacy = kind == OpKind::ld_abs || kind == OpKind::ld_ind;
        if (legacy) use.registers |= 1U << R6;
        if (insn.op == Op::map_lookup)
            reads_cpu_ |= program_.maps()[static_cast<u32>(insn.target)]->ops().per_cpu;
        use.calls |= legacy || insn.op == Op::call_helper || insn.op == Op::map_lookup ||
                     insn.op == Op::call_local || insn.op == Op::call_loop || insn.op == Op::tail_call;
    }
    if (function.stack_depth > 0) use.registers |= 1U << R10;
    return use;
}

void Compiler::make_labels(const LoweredFunction& function) {
    for (u32 i = function.begin; i < function.end; ++i) labels_[i] = Label();
    for (u32 i = function.begin; i < function.end; ++i) {
        const LoweredInsn& insn = program_.insns()[i];
        const OpKind kind = info(insn.op).kind;
        if (kind == OpKind::jump || kind == OpKind::may_goto || kind == OpKind::ja)
            label(static_cast<u32>(insn.target));
    }
    // No insn is emitted together with a stop behind it. Lookups never are.
    if (half_ == Half::whole) return;
    for (const SplitStop& stop : split_.stops)
        if (program_.insns()[stop.insn].op != Op::map_lookup) label(stop.insn);
}

Label Compiler::label(u32 insn) {
    if (!labels_[insn].isValid()) labels_[insn] = a_.newLabel();
    return labels_[insn];
}

Frame Compiler::make_frame(std::size_t index) const {
    const LoweredFunction& function = program_.functions()[index];
    const Use& use = used_[index];
    Frame frame;
    frame.main = index == 0;
    frame.hands_on = frame.main && function.tail_calls;
    frame.frame_pointer = use.has(R10) || frame.hands_on;
    if (!frame.main) {
        if (frame.frame_pointer || function.tail_calls) frame.pushed.push_back(x86::rbp);
        for (const u8 reg : kSavedRegisters)
            if (function.tail_calls || use.has(reg)) frame.pushed.push_back(machine_reg(reg, 64));
    }
    if (frame.hands_on)
        frame.bytes = kTailFrame;
    else if (use.calls || function.stack_depth > 0)
        frame.bytes = aligned_frame(function.stack_depth, frame.pushed.size() + 1);
    return frame;
}

Result<> Compiler::function(std::size_t index) {
    const LoweredFunction& function = program_.functions()[index];
    frame_ = make_frame(index);
    epilogue_ = a_.newLabel();
    return_zero_ = Label();
    a_.align(asmjit::AlignMode::kCode, 16);
    if (Result<> done = prologue(function); !done) return done;

    if (Result<> done = body(function); !done) return done;
    if (return_zero_.isValid()) {
        a_.bind(return_zero_);
        a_.xor_(x86::eax, x86::eax);
        if (frame_.main) exit(false);
    }
    if (!frame_.main) {
        a_.bind(epilogue_);
        leave();
    }
    cold_code();
    if (callbacks_[index].isValid()) callback_entry(index);
    return {};
}

Result<> Compiler::body(const LoweredFunction& function) {
    make_labels(function);
    edge_codes_.clear();
    for (u32 i = function.begin; i < function.end;) {
        const SplitStop* const stop = half_ == Half::whole ? nullptr : stop_at(i);
        if (stop == nullptr && is_left_out(i)) {
            ++i;
            continue;
        }
        if (labels_[i].isValid()) a_.bind(labels_[i]);
        if (stop != nullptr && half_ == Half::first) {
            park(*stop);
            ++i;
            continue;
        }
        if (stop != nullptr) resume(*stop);
        result_.offsets[i] = offset();
        u32 done = several(i);
        if (done == 0) {
            if (Result<> emitted = insn(i, i + 1 == function.end); !emitted) return emitted;
            done = 1;
        }
        for (++i; --done > 0; ++i) result_.offsets[i] = offset();
    }
    return {};
}

void Compiler::cold_code() {
    for (const auto& code : cold_) code();
    cold_.clear();
}

/// Calls go to the prologue; jumps to the first insn stay behind it.
Result<> Compiler::prologue(const LoweredFunction& function) {
    if (frame_.main && !frame_.hands_on) {
        result_.tail_offset = offset();
        a_.add(x86::rsp, Imm(kTailFrame));
    }
    a_.bind(frame_.main ? body_ : entry_label(function.begin));
    for (const Gp& reg : frame_.pushed) a_.push(reg);
    if (frame_.frame_pointer) a_.mov(x86::rbp, x86::rsp);
    if (frame_.bytes > 0) a_.sub(x86::rsp, Imm(frame_.bytes));
    if (frame_.hands_on) {
        if (function.stack_depth > kTailFrame)
            return fail(E2BIG, "a stack of {} bytes in a program with tail calls", function.stack_depth);
        result_.tail_offset = offset();
    }
    prepare_frame(function);
    return {};
}

/// What a function's frame holds before its first insn.
void Compiler::prepare_frame(const LoweredFunction& function) {
    const i32 depth = static_cast<i32>(function.stack_depth);
    if (function.zero_stack) {
        a_.xorps(x86::xmm0, x86::xmm0); // no BPF register lives there
        i32 at = -depth;
        for (; at <= -16; at += 16) a_.movups(x86::xmmword_ptr(x86::rbp, at), x86::xmm0);
        if (at < 0) a_.mov(x86::qword_ptr(x86::rbp, at), Imm(0));
    }
    if (function.loop_budget) a_.mov(x86::qword_ptr(x86::rbp, -depth), Imm(kMaxLoops));
}

/// Where calls of the sub-program that begins at `insn` go: its prologue.
Label Compiler::entry_label(u32 insn) {
    if (entries_.empty()) entries_.resize(program_.insns().size());
    if (!entries_[insn].isValid()) entries_[insn] = a_.newLabel();
    return entries_[insn];
}

void Compiler::leave() {
    restore(frame_.pushed, frame_.bytes);
    a_.ret();
}
void Compiler::exit(bool last) {
    if (half_ != Half::whole) {
        next_in_half();
    } else if (frame_.in_loop) {
        next_packet();
    } else if (frame_.main) {
        leave();
    } else if (!last || return_zero_.isValid()) {
        a_.jmp(epilogue_);
    }
}
Label Compiler::return_zero() {
    if (!return_zero_.isValid()) return_zero_ = a_.newLabel();
    return return_zero_;
}

#define XDPLANE_CASES(name)                                                                                  \
    case Op::name##64_imm:                                                                                   \
    case Op::name##64_reg:                                                                                   \
    case Op::name##32_imm:                                                                                   \
    case Op::name##32_reg
Result<> Compiler::insn(u32 index, bool last) {
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
    case Op::ldxs32:
    case Op::load_acquire8:
    case Op::load_acquire16:
    case Op::load_acquire32:
    case Op::load_acquire64: emit_.load(insn); return {};
    case Op::st8:
    case Op::st16:
    case Op::st32:
    case Op::st64:
    case Op::stx8:
    case Op::stx16:
    case Op::stx32:
    case Op::stx64:
    case Op::store_release8:
    case Op::store_release16:
    case Op::store_release32:
    case Op::store_release64: emit_.store(insn); return {};
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
            : XDPLANE_CASES(jle) : XDPLANE_CASES(jslt) : XDPLANE_CASES(jsle) : emit_.jump(insn, taken(index));
        return {};
    case Op::may_goto: emit_.may_goto(insn, label(static_cast<u32>(insn.target))); return {};
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
    case Op::map_lookup: break; // several() does
    case Op::call_local: a_.call(entry_label(static_cast<u32>(insn.target))); return {};
    case Op::call_loop: call_loop(insn); return {};
    case Op::tail_call: return tail_call(insn);
    case Op::ctx_length: emit_.ctx_length(insn); return {};
    case Op::nop: return {};
    case Op::call: // lowering leaves none
    case Op::invalid: break;
    }
    return fail(EINVAL, "lowered insn {} has no x86-64 code", index);
}
#undef XDPLANE_CASES

void Compiler::load_imm64(const LoweredInsn& insn) {
    const Gp dst = machine_reg(insn.dst, 64);
    if ((insn.flags & kCodePointer) != 0) {
        a_.lea(dst, x86::ptr(callbacks_[static_cast<std::size_t>(insn.imm)]));
    } else {
        emit_.load_constant(dst, static_cast<u64>(insn.imm));
    }
}

Result<MachineCode> Compiler::finish() {
    code_.flatten();
    code_.resolveUnresolvedLinks();
    if (errors_.message().empty() && (code_.hasUnresolvedLinks() || code_.hasRelocEntries()))
        return fail(EINVAL, "x86-64 code is not position-independent");
    if (!errors_.message().empty()) return fail(EINVAL, "x86-64 code: {}", errors_.message());
    result_.bytes.resize(code_.codeSize());
    code_.copyFlattenedData(result_.bytes.data(), result_.bytes.size());
    return std::move(result_);
}

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
