// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
#pragma once
#include <memory>
#include <string>
#include <vector>

#include "bpf/verifier/cfg.h"
#include "bpf/verifier/describe.h"
#include "bpf/verifier/explain.h"
#include "bpf/verifier/state.h"
#include "bpf/verifier/verifier.h"

/// The second pass: every path simulated. One object verifies one program.
///
/// Paths are walked depth first. Where paths meet, the state is kept as a checkpoint; a later path that comes
/// there with a state covered by a checkpoint's is not walked again (prune.cpp). Functions return
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
        i32 from = -1;
    };
    struct FunctionUse {
        u32 stack_depth = 0;
        bool tail_calls = false;
        bool is_callback = false;
        bool is_async_callback = false;
        bool reads_uninit_stack = false;
        bool called = false;   ///< global functions: to be verified on their own
        bool verified = false; ///< and that was done
        std::vector<u32> callees;
    };
    /// A path that came back to a checkpoint whose marks were not complete: they are handed over later.
    struct LoopEnd {
        std::unique_ptr<State> state;
        State* hit;
    };
    /// A memory access: `size` bytes at register reg + off.
    struct Access {
        u32 reg;
        i64 off;
        u32 size;
        bool write;
        bool strict = false;  ///< must be aligned whatever it points to (atomics)
        bool helper = false;  ///< by a helper: the words of the messages differ
        bool zero_ok = false; ///< no bytes at all are fine
    };
    /// What a helper does with memory.
    enum class Use : u8 { read, write, write_uninit };
    enum class Visit : u8 { go_on, pruned, failed };

    // verifier.cpp: around the simulation.
    bool run_passes();
    void explain_error();
    bool check_request();
    bool resolve_maps();
    bool resolve_map(u32 insn);
    bool check_function_info();
    bool check_functions_allowed();
    bool check_call_graph();
    bool check_call_graph_from(u32 root);
    bool check_prog_arrays();
    bool check_abnormal_returns();
    VerifiedProgram finish();

    // simulate.cpp: the walk.
    bool simulate_all();
    bool simulate_function(u32 function);
    bool simulate();
    void start_path(Pending pending);
    bool step(bool& path_ends);
    bool simulate_exit(bool& path_ends);
    bool check_return_value(const char* where, i64 min, i64 max, bool narrow);
    bool simulate_ld_imm64(const Insn& insn);
    bool simulate_legacy_load(const OpcodeInfo& row, const Insn& insn);
    void finish_path();
    bool count_bytes(const State& state);
    State* push_pending(u32 insn, State state);

    // simulate_alu.cpp
    bool simulate_alu(const OpcodeInfo& row, const Insn& insn);
    bool simulate_scalar_alu(const OpcodeInfo& row, const Insn& insn, const Range& n);
    bool simulate_mov(const OpcodeInfo& row, const Insn& insn);
    void link_source(RegState& src);
    bool check_pointer_moves(const OpcodeInfo& row, const Insn& insn, const RegState& pointer,
                             const Range& n);
    bool check_pointer_operation(const OpcodeInfo& row, const Insn& insn, const RegState& pointer,
                                 bool from_scalar);
    bool add_to_pointer(const OpcodeInfo& row, const Insn& insn, u32 pointer_reg, u32 scalar_reg);
    bool check_masked_offset(const OpcodeInfo& row, const Insn& insn, const RegState& pointer,
                             const Range& n);
    bool check_within(u32 reg);
    bool check_offset_sane(const RegState& pointer, const RegState& r);
    bool simulate_endian(const OpcodeInfo& row, const Insn& insn);

    // simulate_memory.cpp
    bool simulate_load(const OpcodeInfo& row, const Insn& insn);
    bool simulate_store(const OpcodeInfo& row, const Insn& insn);
    bool simulate_ordered(const OpcodeInfo& row, const Insn& insn, bool store);
    bool simulate_atomic(const OpcodeInfo& row, const Insn& insn);
    /// Proves the access, whatever the register points to; stack contents are the caller's.
    bool check_access(const Access& access);
    bool check_bytes(const Access& access, i64 off, i64 limit);
    bool check_region(const Access& access, i64 limit);
    bool check_packet_bounds(const Access& access);
    bool check_alignment(const Access& access);
    bool check_unmodified(u32 index);
    bool check_ctx_access(const Access& access);
    bool check_map_access(const Access& access);
    void note_written(const Map* map);
    void note_loaded(const RegState& value);
    bool reject_map_pointer(const Access& access); // map_pointer.cpp
    bool check_mem_access(const Access& access);
    bool check_sock_access(const Access& access);
    bool note_base(PtrKind kind);
    /// The loaded number, if it is from a map whose values never change.
    bool load_constant(const Access& access, u64& value) const;
    bool load_ctx_field(const OpcodeInfo& row, const Access& access, RegState& result);

    // simulate_stack.cpp
    bool check_stack_bounds(const Access& access, i64& low, i64& high);
    bool read_stack(const Access& access, RegState& out);
    bool read_spill(const Access& access, u32 frame, u32 slot, RegState& out);
    bool write_stack(const Access& access, const RegState* value, i32 value_reg, bool immediate);
    bool write_stack_somewhere(const Access& access, const RegState& value, i32 value_reg, i64 low, i64 high);
    bool check_initialised(const Access& access, u32 frame, i64 low, i64 high, bool scalars_only);
    void note_stack_use(u32 frame, i64 low);
    void note_uninit_read(u32 frame);
    bool check_helper_stack(const Access& access, Use use);

    // simulate_jump.cpp
    bool simulate_jump(const OpcodeInfo& row, const Insn& insn);
    bool simulate_may_goto();
    enum class Outcome : u8 { unknown, taken, not_taken };
    Outcome pointer_outcome(const OpcodeInfo& row, const RegState& dst, const RegState& src) const;
    Outcome proved_outcome(const OpcodeInfo& row, const RegState& dst, const RegState& src) const;
    std::vector<Link> record_links(u32 id_a, u32 id_b);
    void settle_null(State& state, u32 index, bool is_null);
    bool learn_pointers(const OpcodeInfo& row, const Insn& insn, State& other, const RegState& dst,
                        const RegState& src);
    bool learn_packet_ends(const OpcodeInfo& row, const Insn& insn, State& other, const RegState& dst,
                           const RegState& src);

    // simulate_call.cpp
    bool simulate_call(const Insn& insn);
    bool enter_function();
    bool call_global(u32 function);
    Frame make_callee(u32 function) const;
    bool leave_function();
    bool leave_abnormally(const RegState& result);
    void note_loop_callback(u32 function);
    bool enter_callback(const HelperProto& helper, const struct CallArguments& args);
    bool push_callback(const HelperProto& helper, const struct CallArguments& args);
    void set_callback_arguments(const HelperProto& helper, const struct CallArguments& args, Frame& callee);

    // simulate_helper.cpp
    bool call_helper(const Insn& insn);
    bool call_prototype(const HelperProto& helper);
    bool check_helper_allowed(const HelperProto* helper, i32 id);
    bool release_argument(const HelperProto& helper, const struct CallArguments& args);
    bool apply_effects(const HelperProto& helper, struct CallArguments& args);
    bool note_tail_call(const struct CallArguments& args, bool first);
    bool set_helper_result(const HelperProto& helper, const struct CallArguments& args);
    void forget_packet_pointers(State& state);
    void clear_caller_saved();

    // kfuncs.cpp
    bool call_kfunc(const Insn& insn);
    bool check_section(const HelperProto& helper);

    // helpers_check.cpp, arguments.cpp
    bool check_argument(const HelperProto& helper, u32 index, struct CallArguments& args);
    bool check_argument_kind(const HelperProto& helper, u32 index);
    bool check_argument_value(const HelperProto& helper, u32 index, struct CallArguments& args);
    bool check_map_argument(u32 number, struct CallArguments& args);
    bool check_memory_argument(const HelperProto& helper, u32 reg, u32 size, Use use, bool zero_ok = false);
    bool check_size_pair(const HelperProto& helper, u32 index, Use use);
    bool check_fixed_result(const HelperProto& helper, u32 reg, u32 size, Use use);
    bool check_const_string(u32 reg);
    // helper_rules.cpp
    bool check_helper_rules(const HelperProto& helper, const struct CallArguments& args);
    bool check_format();
    std::optional<u64> constant_key(u32 reg, u32 key_size);

    // references.cpp
    u32 acquire(Reference::Kind kind, const void* of = nullptr);
    bool release_object(u32 reg);
    void forget_reference(State& state, u32 ref, bool keep_reference = false);
    bool check_nothing_held(const char* what, bool locks);
    bool lock_argument(u32 reg, bool lock);
    bool timer_argument(u32 reg, struct CallArguments& args);

    // objects.cpp: dynptrs and iterators on the stack
    bool check_object_stack(u32 reg, u32 slots, u32& frame, u32& first, const char* what);
    bool make_dynptr(u32 reg, DynptrKind kind, u32 ref, bool read_only);
    bool check_dynptr(u32 reg, bool ringbuf_only, struct CallArguments& args);
    bool check_new_dynptr(u32 reg);
    bool release_dynptr(u32 reg);
    bool check_iterator(const HelperProto& helper, u32 reg, struct CallArguments& args);
    bool step_iterator(const struct CallArguments& args, const RegState& element);
    void invalidate_dynptr(u32 frame, u32 slot);
    /// A plain write to [low, high) of a frame: objects there are gone; those with a reference stay.
    bool destroy_objects(u32 frame, i64 low, i64 high);

    // global_functions.cpp
    struct GlobalArgument {
        enum class Kind : u8 { scalar, ctx, mem, dynptr } kind = Kind::scalar;
        bool or_null = false;
        u32 size = 0;
    };
    struct GlobalPrototype {
        std::string name;
        std::vector<GlobalArgument> args;
    };
    [[nodiscard]] bool is_global(u32 function) const;
    [[nodiscard]] std::string function_name(u32 function) const;
    bool read_global_prototype(u32 function, GlobalPrototype& out);
    bool check_global_arguments(const GlobalPrototype& prototype);
    bool check_global_memory(u32 reg, const GlobalArgument& want);
    bool set_global_arguments(u32 function);
    bool read_global_argument(u32 function, u32 index, u32 type, GlobalArgument& out);
    [[nodiscard]] bool is_context_type(u32 type) const;
    [[nodiscard]] bool has_argument_tag(u32 func_type, u32 index, std::string_view tag) const;
    [[nodiscard]] bool returns_scalar(u32 function) const;

    // prune.cpp, backtrack.cpp
    Visit visit(u32 insn);
    enum class Look : u8 { miss, loop_miss, hit, loop_hit, failed };
    Look look_at_unfinished(Checkpoint& old, u32 insn);
    Visit hit(Checkpoint& old, bool loop);
    bool keep_checkpoint(u32 insn);
    [[nodiscard]] static const State* previous_round(const State& from, u32 insn);
    [[nodiscard]] bool is_may_goto(u32 insn) const;
    [[nodiscard]] bool iterator_active(const RegState& pointer) const;
    [[nodiscard]] static bool iterator_depths_differ(const State& old, const State& cur);
    void note_loop(State& hit);
    void settle_loops();
    bool take_over_marks(const State& old, State& path);
    void mark_stack_read(u32 frame, u32 slot);
    static bool mark_stack_read(State& path, u32 frame, u32 slot);
    /// The bounds that the register has before the current insn decided something: the checkpoints that they
    /// came from must keep them when they are compared.
    void mark_precise(u32 reg);
    void mark_slot_precise(u32 frame, u32 slot);
    bool backtrack(State& path, struct Wanted& wanted, bool skip_last);
    void note_history();

    // log.cpp
    template<class... Args>
    bool reject(int code, fmt::format_string<Args...> text, Args&&... args) {
        return reject_with(code, fmt::format(text, std::forward<Args>(args)...));
    }
    bool reject_with(int code, std::string message);
    /// A line of the log before the one that rejects.
    template<class... Args>
    void explain(fmt::format_string<Args...> text, Args&&... args) {
        say(fmt::format(text, std::forward<Args>(args)...) + "\n");
    }
    void say(std::string_view text);
    [[nodiscard]] bool logging() const { return (log_.level & (kLogBasic | kLogVerbose)) != 0; }
    [[nodiscard]] bool logging_all() const { return (log_.level & kLogVerbose) != 0; }
    void start_clock();
    void log_functions();
    void log_live_registers();
    void log_insn();
    void log_source_line(u32 insn);
    void log_touched();
    void log_safe();
    /// What the log said of paths that turned out to be safe is forgotten, unless it is to be kept.
    void forget_log(std::size_t size);
    [[nodiscard]] std::string insn_text(u32 insn) const;
    [[nodiscard]] static std::string state_text(const State& state, u32 frame, const FrameParts& parts = {});
    void log_frames(std::string_view first, u32 first_frame, std::string_view second, u32 second_frame);
    void log_return();
    void measure_log();
    /// Where Linux says something of its own (how it marks what must be precise), states go on a new line.
    void end_log_line() {
        if (logging_all()) line_end_ = 0;
    }
    void log_stats();
    void touch(u32 reg) { touched_ |= 1U << reg; }
    void touch_slots(i64 low, i64 high);
    void touch_all() {
        touched_ = (1U << kRegisters) - 1;
        touched_slots_ = ~u64{0};
    }

    // Shorthand.
    [[nodiscard]] bool privileged() const { return request_.privileged; }
    /// True for pointers where the program must not learn their value.
    [[nodiscard]] bool leaks(const RegState& r) const { return !privileged() && r.is_pointer(); }
    [[nodiscard]] Frame& frame() { return cur_->frames.back(); }
    [[nodiscard]] RegState& reg(u32 index) { return frame().regs[index]; }
    [[nodiscard]] InsnFacts& facts() { return facts_[insn_]; }
    [[nodiscard]] const Insn& insn_at(u32 index) const { return request_.insns[index]; }
    [[nodiscard]] FunctionUse& function_in(u32 frame) { return functions_[cur_->frames[frame].function]; }
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
    std::vector<u8> seen_;             ///< facts: 1 after the first visit of a call or load
    std::vector<bool> other_callback_; ///< facts: a call of bpf_loop that has more than one
    std::vector<std::shared_ptr<Map>> maps_;
    std::vector<FunctionUse> functions_;
    bool writes_packet_ = false;
    std::vector<const Map*> written_; ///< by the program; null: maps that are not known
    bool simulated_ = false;          ///< all paths were walked

    std::unique_ptr<State> cur_;
    u32 insn_ = 0;      ///< being simulated
    u32 next_insn_ = 0; ///< after it
    u32 last_id_ = 0;
    std::vector<Pending> pending_;
    std::vector<std::vector<std::unique_ptr<Checkpoint>>> checkpoints_; ///< by insn
    std::vector<std::unique_ptr<Checkpoint>> evicted_;                  ///< still parents of others, perhaps
    std::vector<LoopEnd> loop_ends_;
    bool has_loops_ = false; ///< through callbacks or iterators: the ways to checkpoints are kept

    u64 processed_ = 0;
    u64 jumps_ = 0;
    u64 processed_at_checkpoint_ = 0; ///< when the last one was made
    u64 jumps_at_checkpoint_ = 0;
    u64 total_states_ = 0;
    u64 live_states_ = 0;
    u64 peak_states_ = 0;
    u64 max_states_per_insn_ = 0;
    u32 touched_ = 0;       ///< registers that were used since the log showed any
    u64 touched_slots_ = 0; ///< and stack slots of the top frame
    i32 previous_insn_ = 0; ///< simulated before this one, or the jump that this path was left at
    bool new_path_ = false; ///< the log did not say yet where this path comes from
    u64 started_ns_ = 0;
    i64 logged_line_ = -1;       ///< the source line that the log showed last
    u64 state_bytes_ = 0;        ///< of checkpoints and pending states
    std::size_t line_start_ = 0; ///< of the insn's line in the log
    std::size_t line_end_ = 0;
};

/// What the arguments of a helper's call are, for its later arguments and its result.
struct CallArguments {
    Map* map = nullptr;
    bool inner_map = false; ///< map is a template
    bool timer = false;     ///< map is that of the timer before
    u32 map_uid = 0;
    std::optional<u64> key; ///< known on this path, for arrays
    u32 ref = 0;            ///< of the argument that has one
    u32 release = 0;        ///< register number of what is released; 0: none
    u64 alloc_size = 0;     ///< of const_alloc_size
    u32 function = 0;       ///< of callback
    u32 dynptr_id = 0;
    u32 dynptr_ref = 0;
    DynptrKind dynptr = DynptrKind::none;
    bool dynptr_read_only = false;
    u32 iterator_frame = 0; ///< where the iterator's slots are; the one with the lowest address
    u32 iterator_slot = 0;
    u32 new_dynptr = 0; ///< register number of uninit_dynptr
};

/// What a call of a helper or kernel function may do; nothing for what is not known.
[[nodiscard]] CallTraits call_traits(const Insn& insn);

} // namespace xdplane
