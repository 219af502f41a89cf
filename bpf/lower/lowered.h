// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
#pragma once
#include <memory>
#include <string>
#include <vector>

#include "bpf/base/result.h"
#include "bpf/run/context_use.h"
#include "bpf/verifier/verifier.h"

/// Lowering: from what was verified to what engines run. Context accesses become accesses of XdpBuff, map fds
/// become addresses, helper ids functions, jumps absolute, dead code nothing. Engines see only its result.
namespace xdplane {

struct AheadSite;
struct Flat;

/// LoweredInsn::flags.
enum LoweredFlags : u8 {
    kCodePointer = 1, ///< ld_imm64: the CallbackEntry of the sub-program at insn `target`, see run/callback.h
    kKernelFunction = 2, ///< call_helper: `target` is an index into kfunc_table()
    kRunsAhead = 4,      ///< in a slice: call_helper of ahead_visit(); tail_call into the slice of the target
    /// ldx: of the packet's own context, stack or data, or of an array that the program only reads; st, stx:
    /// of its own stack.
    kOwnMemory = 8,
};

/// One lowered instruction: the row's operation with wide fields.
///   off     displacement of ldx, st, stx, atomic, load_acquire, store_release
///   target  absolute index of jumps, may_goto, call_local and call_loop; enum bpf_func_id for call_helper;
///           map_lookup: index of the map in LoweredProgram::maps(); tail_call: the same of the prog array,
///           or -1 if it is not the same one on every path
///   imm     ld_imm64: the value (addresses resolved); ALU, jump and st with Operand::imm: sign-extended;
///           call_helper: address of the HelperFn; call_local, call_loop and code pointers: index of the
///           callee in functions(); may_goto: where its budget lies, from r10; map_lookup: address of the
///           Map; tail_call: the program's index if constant, else -1
/// map_lookup: bpf_map_lookup_elem in a map that is the same one on every path: r2 points at the key, r0 is
/// the value or 0. It does not read r1. As with a helper, r1-r5 are clobbered.
/// tail_call: r1 is the context, r2 the Map* of the prog array, r3 the index, of which the low 32 bits count.
/// It fails if the index is out of range, the slot is empty, or RunContext::tail_calls_left is 0;
/// only a call that succeeds is counted. After a failure execution goes on behind it, r0 and
/// r6-r10 unchanged, r1-r5 clobbered. In a sub-program the target returns to the sub-program's caller, for
/// whom r6-r10 are preserved.
/// may_goto: jumps if the frame's budget, a u64, is 0, else takes 1 from it. The engine fills the budget in
/// at entry of the function: kMaxLoops. Linux bounds the time as well (250 ms, since 6.15); here it does not
/// count, because results must not depend on the speed of the machine.
/// call_local: r1-r5 arguments, r6-r9 and r10 preserved by the engine; the callee has its own frame.
/// call_loop: bpf_loop with a callback that is known and flags that are 0: r1 count, r3 the callback's
/// context; r0 its result. As with a helper, r1-r5 are clobbered. ctx_length: dst = data_end - data, 32 bits
/// zero-extended, of the XdpBuff that src points at. ld_abs/ld_ind: the offset into the packet is the low 32
/// bits of imm (+ src), signed; r6 is the XdpBuff, as Linux asks; legacy_load() says what r0 gets. Where it
/// fails the function returns 0. r1-r5 are clobbered.
struct LoweredInsn {
    Op op = Op::nop;
    u8 dst = 0;
    u8 src = 0;
    u8 flags = 0;
    union {
        i32 off;
        i32 target;
    };
    i64 imm = 0;

    LoweredInsn() : off(0) {}
};
static_assert(sizeof(LoweredInsn) == 16);

struct LoweredFunction {
    u32 begin = 0;
    u32 end = 0;
    u32 stack_depth = 0; ///< bytes, multiple of 8
    bool tail_calls = false;
    bool is_callback = false;
    bool zero_stack = false;  ///< the engine clears stack_depth bytes at every entry
    bool loop_budget = false; ///< has may_goto: the lowest 8 bytes of the stack hold the budget
};

/// Bytes [begin, begin + size) of a lookup's key, which one store wrote: a load of any of them together finds
/// them in that store, while a load across two pieces would have to wait until both have reached the cache.
struct KeyPiece {
    enum class Kind : u8 {
        memory,      ///< only the stack holds them
        in_register, ///< the low bytes of BPF register `reg` are still the same
        constant,    ///< they are those of `constant`
    };
    u8 begin;
    u8 size; ///< 1 to 8
    Kind kind;
    u8 reg;
    u64 constant; ///< bytes beyond `size` are 0

    friend bool operator==(const KeyPiece&, const KeyPiece&) = default;
};

/// The key of a map_lookup that lies in the frame of the function, at r10 + stack_offset on every path. What
/// is known of its bytes, in order; nothing is known of those in between. The stack holds all of them.
struct LookupKey {
    u32 insn; ///< lowered index of the map_lookup
    i32 stack_offset;
    std::vector<KeyPiece> pieces;
};

/// The main program in two halves (lower/split.h).
struct Split {
    enum Half : u8 {
        kFirst = 1,  ///< the first half
        kSecond = 2, ///< the second half
        kStop = 4,   ///< where the first half ends and the second begins
        kReached = 8 ///< in the second half not only as a stop
    };
    std::vector<u8> halves;       ///< of each insn of the main program: a set of Half
    std::vector<u32> stops;       ///< insns that are stops, in order
    std::vector<const Map*> maps; ///< that stops look something up in, worth fetching for ahead
};

class LoweredProgram {
public:
    [[nodiscard]] const std::vector<LoweredInsn>& insns() const { return insns_; }
    [[nodiscard]] const std::vector<LoweredFunction>& functions() const { return functions_; }
    /// For each lowered insn the index of the verified insn it came from.
    [[nodiscard]] const std::vector<u32>& origins() const { return origins_; }
    /// Every map that the program refers to. Insns hold addresses of these and of their values: whoever keeps
    /// code made of them keeps the maps too.
    [[nodiscard]] const std::vector<std::shared_ptr<Map>>& maps() const { return maps_; }
    /// Of the map_lookup at this lowered index; null if its key is anywhere.
    [[nodiscard]] const LookupKey* key_of(u32 insn) const;
    [[nodiscard]] const ProgramType& type() const { return *type_; }
    /// Helpers, which may read RunContext, are called here or in a program that is tail-called: the engine
    /// sets RunContext::packet and clears the counts before each packet.
    [[nodiscard]] bool needs_context() const { return needs_context_; }
    [[nodiscard]] bool tail_calls() const { return tail_calls_; }
    [[nodiscard]] bool writes_packet() const { return writes_packet_; }
    [[nodiscard]] const ContextUse& context_use() const { return context_use_; }
    /// The program that runs ahead of this one over a burst, or null: its results mean nothing, it changes
    /// nothing, and it is run with t_run.ahead set (maps/run_ahead.h).
    [[nodiscard]] const LoweredProgram* slice() const { return slice_.get(); }
    /// Of a slice: the lookups it visits. Its insns hold their addresses.
    [[nodiscard]] const std::shared_ptr<const std::vector<AheadSite>>& ahead_sites() const { return sites_; }
    /// Null if the main program is not worth cutting, or cannot be.
    [[nodiscard]] const Split* split() const { return split_.get(); }
    /// The program without jumps (lower/flat.h); null if it is too long for that, or does too much.
    [[nodiscard]] const Flat* flat() const { return flat_.get(); }
    /// One line per insn, for `xdplane dump --lowered`; stops are marked.
    [[nodiscard]] std::string disassemble() const;

private:
    friend class Lowering;
    LoweredProgram() = default;

    std::vector<LoweredInsn> insns_;
    std::vector<LoweredFunction> functions_;
    std::vector<u32> origins_;
    std::vector<std::shared_ptr<Map>> maps_;
    std::shared_ptr<const LoweredProgram> slice_;
    std::shared_ptr<const std::vector<AheadSite>> sites_;
    std::vector<LookupKey> keys_; ///< by insn
    std::shared_ptr<const Split> split_;
    std::shared_ptr<const Flat> flat_;
    const ProgramType* type_ = nullptr;
    bool needs_context_ = false;
    bool tail_calls_ = false;
    bool writes_packet_ = false;
    ContextUse context_use_;
};

/// Any thread. Fails only for what no engine can do, with the reason.
[[nodiscard]] Result<LoweredProgram> lower(const VerifiedProgram& program);

} // namespace xdplane
