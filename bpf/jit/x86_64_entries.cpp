// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
#include <algorithm>

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
    if (program_.tail_calls()) a_.mov(context_u32(offsetof(RunContext, tail_calls_left)), Imm(kMaxTailCalls));
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
///
/// Programs with tail calls have the frame that tail calls hand on, per packet; and a body is not worth
/// having twice if it is so long that the call does not count.
Result<> Compiler::burst_entry() {
    a_.align(asmjit::AlignMode::kCode, 16);
    result_.run_burst_offset = offset();
    if (flat_entry()) return {};
    if (!program_.tail_calls() && has_short_body()) return burst_of_bodies();
    burst_of_calls();
    return {};
}

/// rax = the end of the burst. Its packets are in rsi, their number in edx.
void Compiler::load_burst_end() {
    a_.mov(x86::eax, x86::edx);
    a_.imul(x86::rax, x86::rax, Imm(sizeof(XdpBuff)));
    a_.add(x86::rax, x86::rsi);
}

/// Its code may be there once more, inside a loop over packets.
bool Compiler::has_short_body() const {
    constexpr u32 kLongBody = 4096;
    const LoweredFunction& main = program_.functions().front();
    return main.end - main.begin <= kLongBody;
}

void Compiler::burst_of_calls() {
    std::vector<Gp> saved = saved_by_entry();
    const Gp packet = loop_register();
    const bool in_memory = packet == x86::rdi;
    if (!in_memory) saved.push_back(packet);
    const u32 bytes = aligned_frame(16, saved.size() + 1);
    const x86::Mem packet_slot = x86::qword_ptr(x86::rsp);
    const x86::Mem end_slot = x86::qword_ptr(x86::rsp, 8);
    const Label loop = a_.newLabel();
    const Label nothing = a_.newLabel();

    a_.test(x86::edx, x86::edx);
    a_.jz(nothing);
    save(saved, bytes);
    load_burst_end();
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

/// Registers that the body leaves alone, as long as there are some: for the packet, the end of the burst, and
/// constants of the body.
void Compiler::choose_loop_registers(std::vector<Gp>& saved) {
    std::vector<Gp> unused;
    for (const u8 reg : kSavedRegisters)
        if (!used_[0].has(reg)) unused.push_back(machine_reg(reg, 64));
    if (!uses_context()) unused.push_back(kContext);
    if (!used_[0].has(R10)) unused.push_back(x86::rbp);
    auto next = unused.begin();
    if (next != unused.end()) loop_.packet = *next++;
    if (next != unused.end()) loop_.end = *next++;
    for (const u64 value : moved_constants()) {
        if (next == unused.end()) break;
        loop_.constants.push_back({value, *next++});
    }
    saved.insert(saved.end(), unused.begin(), next);
    loop_.context_in_packet = loop_.packet.isValid() && context_end_ > 0 && !program_.needs_context();
    loop_.packet_slot = x86::qword_ptr(x86::rsp);
    loop_.end_slot = x86::qword_ptr(x86::rsp, 8);
}

/// The body inside the loop: one frame for all packets, below it the two slots.
Result<> Compiler::burst_of_bodies() {
    constexpr u32 kSlots = 16;
    const LoweredFunction& main = program_.functions().front();
    std::vector<Gp> saved = saved_by_entry();
    loop_ = {};
    choose_loop_registers(saved);
    frame_ = {};
    frame_.main = true;
    frame_.in_loop = true;
    const u32 bytes = aligned_frame(main.stack_depth + kSlots, saved.size() + 1);
    const Label nothing = a_.newLabel();
    loop_.again = a_.newLabel();
    loop_.done = a_.newLabel();
    return_zero_ = Label();

    a_.test(x86::edx, x86::edx);
    a_.jz(nothing);
    save(saved, bytes);
    if (used_[0].has(R10)) a_.lea(x86::rbp, x86::ptr(x86::rsp, static_cast<i32>(kSlots + main.stack_depth)));
    load_burst_end();
    if (loop_.end.isValid()) {
        a_.mov(loop_.end, x86::rax);
    } else {
        a_.mov(loop_.end_slot, x86::rax);
    }
    if (uses_context()) a_.mov(kContext, x86::rcx);
    for (const LoopConstant& constant : loop_.constants) emit_.load_constant(constant.reg, constant.value);
    a_.mov(loop_.context_in_packet ? loop_.packet : Gp(x86::rdi), x86::rsi);

    a_.align(asmjit::AlignMode::kCode, 16);
    a_.bind(loop_.again); // the packet is in rdi, or where the body finds it
    if (!loop_.packet.isValid()) {
        a_.mov(loop_.packet_slot, x86::rdi);
    } else if (!loop_.context_in_packet) {
        a_.mov(loop_.packet, x86::rdi);
    }
    begin_packet();
    prepare_frame(main);
    if (Result<> done = body(main); !done) return done;
    if (return_zero_.isValid()) {
        a_.bind(return_zero_);
        a_.xor_(x86::eax, x86::eax);
        next_packet();
    }
    a_.bind(loop_.done);
    restore(saved, bytes);
    a_.bind(nothing);
    a_.ret();
    cold_code();
    return {};
}

/// Instead of a return: the verdict is in eax.
void Compiler::next_packet() {
    Gp next = x86::rdi;
    if (!loop_.packet.isValid()) {
        a_.mov(next, loop_.packet_slot);
        a_.mov(x86::dword_ptr(next, offsetof(XdpBuff, verdict)), x86::eax);
        a_.add(next, Imm(sizeof(XdpBuff)));
    } else {
        a_.mov(x86::dword_ptr(loop_.packet, offsetof(XdpBuff, verdict)), x86::eax);
        if (loop_.context_in_packet) {
            next = loop_.packet;
            a_.add(next, Imm(sizeof(XdpBuff)));
        } else {
            a_.lea(next, x86::ptr(loop_.packet, sizeof(XdpBuff)));
        }
    }
    if (loop_.end.isValid()) {
        a_.cmp(next, loop_.end);
    } else {
        a_.cmp(next, loop_.end_slot);
    }
    a_.jne(loop_.again);
    a_.jmp(loop_.done);
}

} // namespace xdplane::x86_64
