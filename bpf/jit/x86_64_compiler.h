// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
#pragma once
#include <string>
#include <vector>

#include "bpf/jit/backend.h"
#include "bpf/jit/x86_64_emitter.h"

/// Layout of the code of a program: scalar entry, burst entry, main body, sub-programs.
///
/// An entry saves the callee-saved registers once, for the main body and for every program that it may
/// tail-call, and calls the body for each packet. A body takes the context in rdi and the RunContext in r12,
/// makes its own stack, and returns r0 in rax; it changes r6-r10 freely. So a tail call out of a main body
/// takes the stack down and jumps into the target's body. A sub-program preserves r6-r10 for its caller; a
/// tail call out of one therefore calls the target's body, and returns what it returned.
namespace xdplane::x86_64 {

/// Registers that C functions preserve and BPF code changes freely, by BPF register number.
inline constexpr u8 kSavedRegisters[] = {R6, R7, R8, R9};

/// Bytes, at least `wanted`, that bring rsp to a multiple of 16 when `words` words lie on the stack since it
/// last was one.
[[nodiscard]] constexpr u32 aligned_frame(u32 wanted, std::size_t words) {
    const u32 above = static_cast<u32>(words * 8);
    return (above + wanted + 15) / 16 * 16 - above;
}

/// What a function needs around its insns.
struct Frame {
    bool main = false;
    bool frame_pointer = false; ///< sets up rbp
    std::vector<Gp> pushed;     ///< in this order, sub-programs only
    u32 bytes = 0;              ///< taken from rsp behind the pushed ones
};

/// What the insns of a function mention.
struct Use {
    u32 registers = 0; ///< a bit for each BPF register
    bool calls = false;

    [[nodiscard]] bool has(u8 reg) const { return (registers >> reg & 1) != 0; }
};

/// Keeps the first error of asmjit, which goes on after errors without emitting anything.
class FirstError final : public asmjit::ErrorHandler {
public:
    void handleError(asmjit::Error, const char* message, asmjit::BaseEmitter*) override {
        if (message_.empty()) message_ = message;
    }
    [[nodiscard]] const std::string& message() const { return message_; }

private:
    std::string message_;
};

/// Compiles one program, once.
class Compiler {
public:
    Compiler(const LoweredProgram& program, Features features)
        : program_(program), emit_(a_, features), used_(program.functions().size()) {}

    Result<MachineCode> run();

private:
    // x86_64.cpp
    [[nodiscard]] Use scan(const LoweredFunction& function) const;
    void make_labels();
    Label label(u32 insn);
    Label entry_label(u32 insn);
    [[nodiscard]] Frame make_frame(std::size_t index) const;
    Result<> function(std::size_t index);
    void leave();
    void exit(bool last);
    Label return_zero();
    Result<> insn(u32 index, bool last);
    void load_imm64(const LoweredInsn& insn);
    Result<MachineCode> finish();

    // x86_64_entries.cpp
    void scalar_entry();
    void burst_entry();
    [[nodiscard]] std::vector<Gp> saved_by_entry() const;
    [[nodiscard]] Gp loop_register() const;
    void begin_packet();
    void save(const std::vector<Gp>& registers, u32 bytes);
    void restore(const std::vector<Gp>& registers, u32 bytes);

    // x86_64_tail_call.cpp
    Result<bool> tail_target(const LoweredInsn& insn, const Label& failed);
    Result<> tail_call(const LoweredInsn& insn);

    [[nodiscard]] u32 offset() const { return static_cast<u32>(a_.offset()); }
    [[nodiscard]] bool uses_context() const { return program_.needs_context() || program_.tail_calls(); }
    /// A field of the RunContext.
    [[nodiscard]] static asmjit::x86::Mem context_u32(std::size_t offset) {
        return asmjit::x86::dword_ptr(kContext, static_cast<i32>(offset));
    }

    const LoweredProgram& program_;
    FirstError errors_;
    asmjit::CodeHolder code_;
    asmjit::x86::Assembler a_;
    Emitter emit_;
    std::vector<Use> used_;      ///< of each function
    std::vector<Label> labels_;  ///< of insns that are jumped to
    std::vector<Label> entries_; ///< of insns that sub-programs begin with: their prologues
    Label body_;
    Frame frame_; ///< of the function in hand, as the next two
    Label epilogue_;
    Label return_zero_;
    MachineCode result_;
};

} // namespace xdplane::x86_64
