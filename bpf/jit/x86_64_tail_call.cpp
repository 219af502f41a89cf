// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
#include <cerrno>
#include <linux/bpf.h>

#include "bpf/jit/x86_64_compiler.h"
#include "bpf/maps/prog_array.h"
#include "bpf/run/run_context.h"

namespace xdplane::x86_64 {

using asmjit::Imm;
namespace x86 = asmjit::x86;

namespace {

const void* prog_array_door(const Map* map, u32 index) noexcept {
    return static_cast<const ProgArray*>(map)->door(index);
}

} // namespace

/// Leaves the target's door, or null, in kScratch1; or jumps to `failed`. False if it always fails.
Result<bool> Compiler::tail_target(const LoweredInsn& insn, const Label& failed) {
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
        emit_.load_constant(x86::rax, reinterpret_cast<std::uintptr_t>(&prog_array_door));
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
    const std::uintptr_t doors = reinterpret_cast<std::uintptr_t>(
        (insn.flags & kRunsAhead) != 0 ? array.ahead_doors() : array.doors());
    if (insn.imm >= 0) {
        if (insn.imm >= array.count()) return false;
        emit_.load_constant(kScratch1, doors + static_cast<u64>(insn.imm) * 8);
        a_.mov(kScratch1, x86::qword_ptr(kScratch1));
        return true;
    }
    a_.cmp(x86::edx, Imm(static_cast<i32>(array.count())));
    a_.jae(failed);
    emit_.load_constant(kScratch1, doors);
    a_.mov(kScratch2.r32(), x86::edx);
    a_.mov(kScratch1, x86::qword_ptr(kScratch1, kScratch2, 3));
    return true;
}

/// An indirect jump through the door: docs/tail-calls.md says why it is not a direct one. What fails is
/// rare and pays for the count, which a call that succeeds takes by one insn.
Result<> Compiler::tail_call(const LoweredInsn& insn) {
    const Label failed = a_.newLabel();
    const Result<bool> possible = tail_target(insn, failed);
    if (!possible) return fail(possible.error());
    if (!*possible) return {};
    const x86::Mem left = context_u32(offsetof(RunContext, tail_calls_left));
    const Label enter = a_.newLabel();
    const Label none_left = a_.newLabel();
    a_.test(kScratch1, kScratch1);
    a_.jz(failed);
    a_.sub(left, Imm(1));
    a_.jb(none_left);
    if (!frame_.main) {
        a_.call(enter);
        a_.jmp(epilogue_);
        a_.bind(enter);
        a_.mov(x86::rbp, x86::rsp);
        a_.sub(x86::rsp, Imm(kTailFrame));
    }
    a_.jmp(kScratch1);
    a_.bind(none_left);
    a_.mov(left, Imm(0));
    a_.bind(failed);
    return {};
}

} // namespace xdplane::x86_64
