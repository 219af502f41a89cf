// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
#pragma once
#include <memory>
#include <string>
#include <vector>

#include "bpf/verifier/cfg.h"
#include "bpf/verifier/state.h"
#include "bpf/verifier/verifier.h"

/// The second pass: every path simulated. One object verifies one program.
///
/// Paths are walked depth first. Where paths meet, the state is kept as a checkpoint; a later path that comes
/// there with a state covered by a finished checkpoint's is not walked again (prune.cpp). Functions return
/// false after reject(), which keeps the error; callers hand the false up.
namespace xdplane {

class Verifier {
public:
    Verifier(VerifyRequest request, VerifierLog& log) : request_(std::move(request)), log_(log) {}
    ~Verifier();
    Verifier(const Verifier&) = delete;
    Verifier& operator=(const Verifier&) = delete;

    [[nodiscard]] Result<VerifiedProgram> run();

private:
    struct Checkpoint {
        State state;
        u32 hits = 0;
        u32 misses = 0;
    };
    /// The other side of a branch, to be walked later.
    struct Pending {
        std::unique_ptr<State> state;
        std::size_t log_size;
    };
    struct FunctionUse {
        u32 stack_depth = 0;
        bool tail_calls = false;
        std::vector<u32> callees;
    };
    /// A memory access: `size` bytes at register reg + off.
    struct Access {
        u32 reg;
        i64 off;
        u32 size;
        bool write;
        bool strict = false; ///< must be aligned whatever it points to (atomics)
    };
    /// What a helper does with memory.
    enum class Use : u8 { read, write, write_uninit };
    enum class Visit : u8 { go_on, pruned, failed };

    // verifier.cpp: around the simulation.
    bool check_request();
    bool resolve_maps();
    bool resolve_map(u32 insn);
    bool check_call_graph();
    bool check_prog_arrays();
    VerifiedProgram finish();

    // simulate.cpp: the walk.
    bool simulate();
    bool step(bool& path_ends);
    bool simulate_exit(bool& path_ends);
    bool simulate_ld_imm64(const Insn& insn);
    bool simulate_legacy_load(const OpcodeInfo& row, const Insn& insn);
    void finish_path();
    bool push_pending(u32 insn, State state);

    // simulate_alu.cpp
    bool simulate_alu(const OpcodeInfo& row, const Insn& insn);
    bool simulate_mov(const OpcodeInfo& row, const Insn& insn);
    bool add_to_pointer(const OpcodeInfo& row, const Insn& insn, u32 pointer_reg, u32 scalar_reg);
    bool check_offset_sane(const RegState& pointer, const RegState& scalar);
    void simulate_endian(const OpcodeInfo& row, const Insn& insn);

    // simulate_memory.cpp
    bool simulate_load(const OpcodeInfo& row, const Insn& insn);
    bool simulate_store(const OpcodeInfo& row, const Insn& insn);
    bool simulate_atomic(const OpcodeInfo& row, const Insn& insn);
    /// Proves the access, whatever the register points to; stack contents are the caller's.
    bool check_access(const Access& access);
    bool check_bounds(const Access& access, i64 limit, const char* what);
    bool check_region(const Access& access, i64 limit);
    bool out_of_region(const Access& access, i64 off, i64 limit);
    bool check_packet_bounds(const Access& access);
    bool check_alignment(const Access& access);
    bool check_ctx_access(const Access& access);
    bool check_map_access(const Access& access);
    bool note_base(PtrKind kind);
    /// The loaded number, if it is from a map whose values never change.
    bool load_constant(const Access& access, u64& value) const;

    // simulate_stack.cpp
    bool check_stack_bounds(const Access& access, i64& low, i64& high);
    bool read_stack(const Access& access, RegState& out);
    bool write_stack(const Access& access, const RegState* value, i32 value_reg, bool immediate);
    bool read_stack_bytes(u32 frame, i64 low, i64 high, const Access& access);
    void note_stack_use(u32 frame, i64 low);
    bool check_helper_stack(const Access& access, Use use);

    // simulate_jump.cpp
    bool simulate_jump(const OpcodeInfo& row, const Insn& insn);
    void refine_linked(State& state, const RegState& known);
    void record_links(u32 id_a, u32 id_b);
    void settle_null(State& state, u32 id, bool is_null);
    void learn_packet_range(State& state, const OpcodeInfo& row, bool taken, const RegState& dst,
                            const RegState& src);

    // simulate_call.cpp
    bool simulate_call(const Insn& insn);
    bool enter_function();
    bool return_from_tail_call();
    bool call_helper(const Insn& insn);
    bool set_helper_result(const HelperProto& helper, const struct CallArguments& args);
    void forget_packet_pointers(State& state);

    // helpers_check.cpp
    bool check_argument(const HelperProto& helper, u32 index, struct CallArguments& args);
    bool check_map_use(const HelperProto& helper, const Map& map);
    bool check_memory_argument(const HelperProto& helper, u32 reg, u32 size, Use use);
    bool check_size_pair(const HelperProto& helper, u32 index, Use use);
    bool check_const_string(u32 reg);

    // prune.cpp, backtrack.cpp
    Visit visit(u32 insn);
    void take_over_marks(const State& old);
    void mark_stack_read(u32 frame, u32 slot);
    /// The bounds that the register has before the current insn decided something: the checkpoints that they
    /// came from must keep them when they are compared.
    void mark_precise(u32 reg);
    void backtrack(struct Wanted& wanted, bool skip_last);

    // log.cpp
    template<class... Args>
    bool reject(int code, fmt::format_string<Args...> text, Args&&... args) {
        return reject_with(code, fmt::format(text, std::forward<Args>(args)...));
    }
    bool reject_with(int code, std::string message);
    void log_insn();
    void log_state();
    void log_all_registers();
    void log_stats();

    // Shorthand.
    [[nodiscard]] Frame& frame() { return cur_->frames.back(); }
    [[nodiscard]] RegState& reg(u32 index) { return frame().regs[index]; }
    [[nodiscard]] InsnFacts& facts() { return facts_[insn_]; }
    [[nodiscard]] const Insn& insn_at(u32 index) const { return request_.insns[index]; }
    bool check_read(u32 index);
    void set_reg(u32 index, const RegState& value) {
        reg(index) = value;
        touched_ |= 1U << index;
    }
    [[nodiscard]] u32 new_id() { return ++last_id_; }

    VerifyRequest request_;
    VerifierLog& log_;
    Error error_;
    ControlFlow flow_;
    std::vector<InsnFacts> facts_;
    std::vector<u8> helper_seen_; ///< facts: 1 after the first visit of a call
    std::vector<std::shared_ptr<Map>> maps_;
    std::vector<FunctionUse> functions_;
    bool writes_packet_ = false;

    std::unique_ptr<State> cur_;
    u32 insn_ = 0;      ///< being simulated
    u32 next_insn_ = 0; ///< after it
    u32 last_id_ = 0;
    std::vector<Pending> pending_;
    std::vector<std::vector<std::unique_ptr<Checkpoint>>> checkpoints_; ///< by insn

    u64 processed_ = 0;
    u64 jumps_ = 0;
    u64 processed_at_checkpoint_ = 0; ///< when the last one was made
    u64 jumps_at_checkpoint_ = 0;
    u64 total_states_ = 0;
    u64 live_states_ = 0;
    u64 peak_states_ = 0;
    u64 max_states_per_insn_ = 0;
    u32 touched_ = 0; ///< registers that the insn wrote, for the log
    std::size_t line_start_ = 0;
};

/// What the arguments of a helper's call are, for its later arguments and its result.
struct CallArguments {
    Map* map = nullptr;
};

/// "pkt", "map_value_or_null": Linux's name of a register's kind.
[[nodiscard]] std::string kind_name(const RegState& reg);
/// "scalar(umax=255,var_off=(0x0; 0xff))"
[[nodiscard]] std::string describe(const RegState& reg);

} // namespace xdplane
