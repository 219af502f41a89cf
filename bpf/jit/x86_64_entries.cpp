// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
#include "bpf/jit/x86_64_compiler.h"
#include "bpf/run/run_context.h"

namespace xdplane::x86_64 {

using asmjit::Imm;
namespace x86 = asmjit::x86;

/// What an entry saves on behalf of the bodies.
std::vector<Gp> Compiler::saved_by_entry() const {
    std::vector<Gp> saved;
    for (const u8 reg : kSavedRegisters)
        if (program_.tail_calls() || used_[0].has(reg)) saved.push_back(machine_reg(reg, 64));
    if (program_.tail_calls() || used_[0].has(R10)) saved.push_back(x86::rbp);
    if (uses_context()) saved.push_back(kContext);
    return saved;
}

void Compiler::save(const std::vector<Gp>& registers, u32 bytes) {
    for (const Gp& reg : registers) a_.push(reg);
    if (bytes > 0) a_.sub(x86::rsp, Imm(bytes));
}
void Compiler::restore(const std::vector<Gp>& registers, u32 bytes) {
    if (bytes > 0) a_.add(x86::rsp, Imm(bytes));
    for (auto reg = registers.rbegin(); reg != registers.rend(); ++reg) a_.pop(*reg);
}

/// The packet is in rdi.
void Compiler::begin_packet() {
    if (program_.needs_context()) {
        a_.mov(x86::qword_ptr(kContext, offsetof(RunContext, packet)), x86::rdi);
        a_.mov(context_u32(offsetof(RunContext, random_calls)), Imm(0));
    }
    if (program_.tail_calls()) a_.mov(context_u32(offsetof(RunContext, tail_calls)), Imm(0));
}

/// u32 run(const Entry*, XdpBuff*, RunContext*)
void Compiler::scalar_entry() {
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
Gp Compiler::loop_register() const {
    if (!program_.tail_calls())
        for (const u8 reg : kSavedRegisters)
            if (!used_[0].has(reg)) return machine_reg(reg, 64);
    return x86::rdi;
}

/// void run_burst(const Entry*, XdpBuff*, u32 count, RunContext*)
void Compiler::burst_entry() {
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

} // namespace xdplane::x86_64
