// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
#include "bpf/run/callback.h"

#include <cerrno>

#include "bpf/jit/x86_64_compiler.h"

namespace xdplane::x86_64 {

using asmjit::Imm;
namespace x86 = asmjit::x86;

/// The entry that code pointers to the function point at, and the CallbackFn behind it. r1-r4 are where they
/// have to be; the fifth argument is the RunContext, which the function keeps as its callees do.
void Compiler::callback_entry(std::size_t index) {
    a_.align(asmjit::AlignMode::kData, 8);
    a_.bind(callbacks_[index]);
    const CallbackEntry entry{sizeof(CallbackEntry)};
    a_.embed(&entry, sizeof entry);
    a_.push(kContext); // aligns the stack, too
    a_.mov(kContext, x86::r8);
    a_.call(entry_label(program_.functions()[index].begin));
    a_.pop(kContext);
    a_.ret();
}

/// The loop of bpf_loop here, with a direct call. Its three numbers lie on the stack, which stays aligned:
/// the callback preserves r6-r10 only, and they hold the caller's.
void Compiler::call_loop(const LoweredInsn& insn) {
    constexpr u32 kBytes = 32;
    const x86::Mem count = x86::qword_ptr(x86::rsp);
    const x86::Mem callback_context = x86::qword_ptr(x86::rsp, 8);
    const x86::Mem index = x86::qword_ptr(x86::rsp, 16);
    const Label again = a_.newLabel();
    const Label done = a_.newLabel();
    const Label end = a_.newLabel();

    a_.mov(x86::rax, Imm(-E2BIG));
    a_.cmp(x86::rdi, Imm(kMaxLoops));
    a_.ja(end);
    a_.sub(x86::rsp, Imm(kBytes));
    a_.mov(count, x86::rdi);
    a_.mov(callback_context, x86::rdx);
    a_.xor_(x86::eax, x86::eax);
    a_.bind(again);
    a_.cmp(x86::rax, count);
    a_.jae(done);
    a_.mov(index, x86::rax);
    a_.mov(x86::rdi, x86::rax);
    a_.mov(x86::rsi, callback_context);
    a_.call(entry_label(static_cast<u32>(insn.target)));
    a_.test(x86::rax, x86::rax);
    a_.mov(x86::rax, index); // keeps the flags
    a_.lea(x86::rax, x86::ptr(x86::rax, 1));
    a_.jz(again);
    a_.bind(done);
    a_.add(x86::rsp, Imm(kBytes));
    a_.bind(end);
}

} // namespace xdplane::x86_64
