// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
#pragma once
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "bpf/base/result.h"
#include "bpf/helpers/helper.h"
#include "bpf/isa/opcodes.h"
#include "bpf/maps/map.h"
#include "bpf/prog/program_type.h"
#include "bpf/verifier/explain.h"
#include "bpf/verifier/value_facts.h"

/// The verifier proves that a program can do no harm, and keeps what it proved. verify() is the only maker of
/// VerifiedProgram, only a VerifiedProgram can be lowered, and only a lowered program can be run: unverified
/// code cannot run by construction.
namespace xdplane {

class Btf;

/// struct bpf_func_info and struct bpf_line_info of the UAPI, as PROG_LOAD hands them over.
struct FuncInfo {
    u32 insn_off;
    u32 type_id;
};
struct LineInfo {
    u32 insn_off;
    u32 file_name_off;
    u32 line_off;
    u32 line_col;
};

struct VerifyRequest {
    const ProgramType* type = nullptr;
    u32 expected_attach_type = 0;
    u32 flags = 0; ///< BPF_F_STRICT_ALIGNMENT...
    std::vector<Insn> insns;
    bool gpl_compatible = false;
    bool privileged = true;
    std::shared_ptr<const Btf> btf;  ///< null without BTF
    std::vector<FuncInfo> functions; ///< needed for global functions; may be empty
    std::vector<LineInfo> lines;
    /// Resolves an fd, or an index into fd_array, to its map; errors are EBADF or EINVAL.
    std::function<Result<std::shared_ptr<Map>>(i32 fd)> map_by_fd;
    std::function<Result<std::shared_ptr<Map>>(i32 index)> map_by_index;
    /// Debugging: is told of every simulated insn, with what is known before it.
    std::function<void(u32 insn, const struct State& before)> observer;
    /// Debugging: a path is pruned only where every number is within that of the older path, whether anything
    /// relies on it or not. Then whatever registers and stack hold when the program runs is within some state
    /// that `observer` is told. More insns are simulated.
    bool compare_all_numbers = false;
    bool jit = true; ///< the engine that will run it, for the owner of prog arrays
};

/// BPF_LOG_LEVEL1, LEVEL2 and STATS.
enum LogLevel : u32 { kLogOff = 0, kLogBasic = 1, kLogVerbose = 2, kLogStats = 4 };

/// What a verification cost.
struct VerifierStats {
    u64 insns_processed = 0; ///< simulated
    u64 max_states_per_insn = 0;
    u64 total_states = 0;
    u64 peak_states = 0;
    std::vector<u32> stack_depths; ///< by function
};

/// What the verifier says, in Linux's words. Kept in full here; syscall/ applies the ENOSPC rules.
struct VerifierLog {
    u32 level = kLogOff;
    std::string text;
    /// The last line that explains a rejection; never empty after one, at every level.
    std::string reason;
    u64 insns_processed = 0;
    VerifierStats stats;
    /// What bpf(2)'s buffer can take, its NUL included, and what became of that: what was said of paths that
    /// turned out to be safe is forgotten, but it took room.
    u64 room = 0;  ///< 0: any
    u64 peak = 0;  ///< the longest that the text was
    u64 begin = 0; ///< from here on the text is in a buffer that keeps the last of it
    /// After a rejection: what went wrong and where it came from, for people. Not part of bpf(2)'s log.
    std::optional<Explanation> explanation;
};

/// What a register pointed to at a memory access or call, on every path that reaches it.
enum class PtrKind : u8 { none, ctx, stack, packet, packet_meta, map_value, mem, socket, mixed };

/// What was proved of one instruction.
struct InsnFacts {
    Op op = Op::invalid;                 ///< its row; invalid in the second slot of ld_imm64
    bool reached = false;                ///< false: dead code
    PtrKind base = PtrKind::none;        ///< kinds ldx, st, stx, atomic: what the address points into
    bool always_taken = false;           ///< conditional jumps: every execution takes the branch
    bool never_taken = false;            ///< none takes it
    const CtxField* field = nullptr;     ///< base ctx: the field accessed
    const HelperProto* helper = nullptr; ///< calls of helpers and kernel functions
    /// ld_imm64 of a map or map value; calls: the map argument if one map on every path.
    Map* map = nullptr;
    u64 loads = 0;        ///< ldx of a map value: a bit for each of maps() that it may be of; kAnyMap: of any
    u64 value_offset = 0; ///< ld_imm64 of kMapValue: offset into the value
    /// The same on every path: tail_call, its index; ldx, the number it loads, from a value that never
    /// changes.
    std::optional<u64> constant;
    /// bpf_loop: the first insn of the callback, if it is the same and the flags are 0 on every path; else
    /// -1.
    i32 callback = -1;
    i32 target = -1; ///< jumps, may_goto, calls of sub-programs, kCodeAddr: absolute index of the insn
};

inline constexpr u64 kAnyMap = ~u64{0}; ///< InsnFacts::loads

/// A main program or sub-program: insns [begin, end).
struct FunctionFacts {
    u32 begin = 0;
    u32 end = 0;
    u32 stack_depth = 0; ///< bytes below r10 that it may touch, a multiple of 8
    bool tail_calls = false;
    bool is_callback = false;
    bool is_global = false;
    /// It may read stack that it has not written: engines give it a frame of zeros.
    bool reads_uninit_stack = false;
};

class VerifiedProgram {
public:
    [[nodiscard]] const ProgramType& type() const { return *type_; }
    [[nodiscard]] const std::vector<Insn>& insns() const { return insns_; }
    [[nodiscard]] const std::vector<InsnFacts>& facts() const { return facts_; }
    /// Bounds of numbers at every insn, on every execution.
    [[nodiscard]] const ValueFacts& values() const { return values_; }
    /// The main program first, then by address.
    [[nodiscard]] const std::vector<FunctionFacts>& functions() const { return functions_; }
    /// Every map it refers to, each once; keeps them alive.
    [[nodiscard]] const std::vector<std::shared_ptr<Map>>& maps() const { return maps_; }
    /// Bytes or bounds of the packet may change: by this program, or by one that it may tail-call.
    [[nodiscard]] bool writes_packet() const { return writes_packet_; }
    /// It may change entries of the map, or what their values hold; programs that it tail-calls aside.
    [[nodiscard]] bool writes_map(const Map& map) const;
    [[nodiscard]] bool tail_calls() const { return tail_calls_; }
    [[nodiscard]] u64 insns_processed() const { return insns_processed_; }

private:
    friend class Verifier;
    friend struct UnverifiedProgram; ///< tests/support: raw programs of the conformance suite and of ISA
                                     ///< cases
    VerifiedProgram() = default;

    const ProgramType* type_ = nullptr;
    std::vector<Insn> insns_;
    std::vector<InsnFacts> facts_; ///< as many as insns_
    std::vector<FunctionFacts> functions_;
    ValueFacts values_;
    std::vector<std::shared_ptr<Map>> maps_;
    std::vector<const Map*> written_; ///< null: any
    bool writes_packet_ = false;
    bool tail_calls_ = false;
    u64 insns_processed_ = 0;
};

/// Verifies a program. Any thread; no shared state. On rejection the error is Linux's errno (EACCES, EINVAL,
/// E2BIG, EPERM, ...) with log.reason as its message, and the log holds the rest.
[[nodiscard]] Result<VerifiedProgram> verify(VerifyRequest request, VerifierLog& log);

} // namespace xdplane
