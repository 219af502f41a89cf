// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
#pragma once
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "bpf/jit/backend.h"
#include "bpf/jit/x86_64_emitter.h"
#include "bpf/jit/x86_64_lookup.h"
#include "bpf/lower/liveness.h"

/// Layout of the code of a program: scalar entry, burst entry, main body, sub-programs, each callback
/// followed by its CallbackEntry; each with what is rarely run behind it.
///
/// An entry saves the callee-saved registers once, for the main body and for every program that it may
/// tail-call. The burst entry has the main body a second time, inside its loop over the packets: a frame for
/// all of them, the packet and the end of the burst in registers that the body does not use, and instead of a
/// return the next packet. A small filter has its flat form there (lower/flat.h), and calls the body for
/// packets that are too short for it. Programs with tail calls, and very long ones, call the body for each
/// packet, as the scalar entry does. A program in two halves has an entry for bursts that goes through one
/// after the other. A body that is called takes the context in rdi and the RunContext in r12, makes its own
/// stack, and returns r0 in rax; it changes r6-r10 freely.
///
/// A tail call jumps through the door of its target, which takes over the frame as it is: the return address
/// at rbp, and kTailFrame bytes below it, room for any program. A body with tail calls has such a frame, so
/// its door is behind its prologue; the door of any other body gives the frame back first. A sub-program
/// preserves r6-r10 for its caller; a tail call out of one therefore makes a frame, and returns what the
/// target returned.
namespace xdplane::x86_64 {

/// Registers that C functions preserve and BPF code changes freely, by BPF register number.
inline constexpr u8 kSavedRegisters[] = {R6, R7, R8, R9};

/// Bytes, at least `wanted`, that bring rsp to a multiple of 16 when `words` words lie on the stack since it
/// last was one.
[[nodiscard]] constexpr u32 aligned_frame(u32 wanted, std::size_t words) {
    const u32 above = static_cast<u32>(words * 8);
    return (above + wanted + 15) / 16 * 16 - above;
}

/// The frame that tail calls hand on: the stack of a program, the count of its may_goto, and alignment.
inline constexpr u32 kTailFrame = aligned_frame(512 + 8, 1);

/// A number that stays in a register throughout a loop.
struct LoopConstant {
    u64 value;
    Gp reg;
};

/// The loop over the packets of a burst, with the main body inside it.
struct BurstLoop {
    asmjit::x86::Mem packet_slot; ///< on the stack, where no register is free
    asmjit::x86::Mem end_slot;
    Gp packet; ///< not valid: in its slot
    Gp end;
    bool context_in_packet = false;      ///< the body finds its context in `packet`, not in rdi
    std::vector<LoopConstant> constants; ///< of conditional moves
    Label again;
    Label done;
};

/// Where the first half of a split program ends.
struct SplitStop {
    u32 insn = 0;
    i32 list = -1;             ///< its key is noted for maps[list]; -1: it is no lookup to be fetched for
    bool key_on_stack = false; ///< at a known place
    Label resume;              ///< where the second half begins
};

/// The burst entry of a program in two halves.
struct SplitLoops {
    std::vector<SplitStop> stops; ///< in order
    std::vector<Map*> maps;       ///< that fetch
    u32 record_bytes = 0;
    Label again; ///< the loop of the half in hand
    Label fetch;
    Label done;
};

enum class Half : u8 { whole, first, second };

/// The test of a lookup's result, behind the lookup.
struct NullTest {
    bool found = false;
    bool if_null = false; ///< jumps if the result is null, else if it is not
    u32 target = 0;
    u32 between = 0; ///< insns between the lookup and the test: copies, and constants
};

/// A constant that is read only where a jump goes to: it is loaded on the way there.
struct EdgeConstant {
    u32 jump; ///< index of the jump
    u32 move; ///< of the insn that loads the constant
};

/// The code for the constants of some jump, which others with the same ones share.
struct EdgeCode {
    u32 jump;
    Label label;
};

/// A jump over a few moves, and perhaps one jump out: see x86_64_select.cpp.
struct ConditionalMoves {
    static constexpr u32 kMost = 3;
    u32 count = 0; ///< of moves; 0: nothing of the kind
    u32 moves[kMost] = {};
    u32 way_out = 0; ///< index of the jump out; 0: none
    u32 end = 0;     ///< where the jump goes
};

/// What a function needs around its insns.
struct Frame {
    bool main = false;
    bool in_loop = false;       ///< the main body inside the loop over a burst
    bool hands_on = false;      ///< has the frame that tail calls hand on
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
        : program_(program),
          emit_(a_, features),
          live_(program, uses()),
          used_(program.functions().size()),
          callbacks_(program.functions().size()) {}

    Result<MachineCode> run();

private:
    // x86_64.cpp
    Use scan(const LoweredFunction& function);
    void make_labels(const LoweredFunction& function);
    Label label(u32 insn);
    Label entry_label(u32 insn);
    [[nodiscard]] Frame make_frame(std::size_t index) const;
    Result<> function(std::size_t index);
    Result<> body(const LoweredFunction& function);
    void cold_code();
    void leave();
    void exit(bool last);
    Result<> prologue(const LoweredFunction& function);
    Label return_zero();
    void prepare_frame(const LoweredFunction& function);
    Result<> insn(u32 index, bool last);
    void load_imm64(const LoweredInsn& insn);
    Result<MachineCode> finish();

    // x86_64_entries.cpp
    void scalar_entry();
    Result<> burst_entry();
    void load_burst_end();
    [[nodiscard]] bool has_short_body() const;
    void burst_of_calls();
    Result<> burst_of_bodies();
    void choose_loop_registers(std::vector<Gp>& saved);
    void next_packet();
    [[nodiscard]] std::vector<Gp> saved_by_entry() const;
    [[nodiscard]] Gp loop_register() const;
    void begin_packet();
    void save(const std::vector<Gp>& registers, u32 bytes);
    void restore(const std::vector<Gp>& registers, u32 bytes);

    // x86_64_flat.cpp
    [[nodiscard]] bool flat_entry();

    // x86_64_split.cpp
    Result<> split_entry();
    bool plan_split();
    [[nodiscard]] const SplitStop* stop_at(u32 insn) const;
    [[nodiscard]] bool is_left_out(u32 insn) const;
    [[nodiscard]] bool calls_in_first_half() const;
    [[nodiscard]] std::optional<asmjit::x86::Mem> noted_hash(u32 insn) const;
    [[nodiscard]] static asmjit::x86::Mem note_count(std::size_t list);
    template<class Visit>
    void for_kept_registers(const SplitStop& stop, Visit visit) const;
    void fetch_notes();
    void between_halves();
    void park(const SplitStop& stop);
    void resume(const SplitStop& stop);
    void next_of_burst();
    void next_in_half();

    // x86_64_fusion.cpp
    [[nodiscard]] u32 several(u32 index);
    [[nodiscard]] bool falls_into_next(u32 index) const;
    [[nodiscard]] u32 move_and_add(u32 index);
    [[nodiscard]] NullTest null_test(u32 index) const;
    void copies_of_result(u32 index, const NullTest& test, bool with_idle);
    [[nodiscard]] bool is_short_way_out(u32 begin, u32 end) const;
    void way_out(u32 begin, u32 end);
    [[nodiscard]] u32 context_read(u32 index);
    [[nodiscard]] u32 map_lookup(u32 index);

    [[nodiscard]] u32 mask_and_jump(u32 index);

    // x86_64_edges.cpp
    void plan();
    [[nodiscard]] std::vector<RegisterUse> uses() const;
    [[nodiscard]] bool finds_key(u32 lookup) const;
    void leave_out_unread_frames();
    [[nodiscard]] bool reads_frame(u32 index) const;
    void find_context_reads();
    void move_to_edges(u32 index);
    [[nodiscard]] std::span<const EdgeConstant> edge_constants(u32 jump) const;
    [[nodiscard]] bool same_edge(u32 jump, u32 other) const;
    Label taken(u32 jump);
    void go_to_insn(u32 target);

    // x86_64_select.cpp
    [[nodiscard]] ConditionalMoves find_conditional_moves(u32 index) const;
    [[nodiscard]] bool is_entered(u32 insn) const;
    [[nodiscard]] bool compares_a_value(const ConditionalMoves& found) const;
    [[nodiscard]] std::vector<u64> moved_constants() const;
    [[nodiscard]] Gp constant(u64 value, const Gp& scratch);
    [[nodiscard]] u32 conditional_moves(u32 index);

    // x86_64_update.cpp
    [[nodiscard]] u32 next_in_block(u32 index) const;
    [[nodiscard]] u32 update_in_memory(u32 index);

    // x86_64_callback.cpp
    void callback_entry(std::size_t index);
    void call_loop(const LoweredInsn& insn);

    // x86_64_tail_call.cpp
    Result<bool> tail_target(const LoweredInsn& insn, const Label& failed);
    Result<> tail_call(const LoweredInsn& insn);

    [[nodiscard]] u32 offset() const { return static_cast<u32>(a_.offset()); }
    [[nodiscard]] bool uses_context() const {
        return program_.needs_context() || program_.tail_calls() || reads_cpu_;
    }
    /// A field of the RunContext.
    [[nodiscard]] static asmjit::x86::Mem context_u32(std::size_t offset) {
        return asmjit::x86::dword_ptr(kContext, static_cast<i32>(offset));
    }

    const LoweredProgram& program_;
    FirstError errors_;
    asmjit::CodeHolder code_;
    asmjit::x86::Assembler a_;
    Emitter emit_;
    Liveness live_;
    std::vector<bool> targets_;       ///< insns that a jump goes to
    std::vector<bool> idle_;          ///< insns that are nothing, where they stand
    std::vector<EdgeConstant> edges_; ///< by jump
    /// All reads of the context from r1 come before it, loads and copies; 0: not so.
    u32 context_end_ = 0;
    std::vector<EdgeCode> edge_codes_; ///< of the body in hand
    std::vector<Use> used_;            ///< of each function
    std::vector<Label> labels_;        ///< of insns that are jumped to
    std::vector<Label> entries_;       ///< of insns that sub-programs begin with: their prologues
    std::vector<Label> callbacks_;     ///< of functions that are pointed at: their CallbackEntry
    Label body_;
    bool reads_cpu_ = false;
    ColdCode cold_; ///< of the function in hand, as the next ones
    Frame frame_;
    BurstLoop loop_;
    SplitLoops split_;
    Half half_ = Half::whole; ///< of the main body, that is compiled
    Label epilogue_;
    Label return_zero_;
    MachineCode result_;
};

} // namespace xdplane::x86_64
