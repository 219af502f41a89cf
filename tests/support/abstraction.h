// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
#pragma once
#include <map>
#include <string>
#include <vector>

#include "bpf/interp/watcher.h"
#include "bpf/lower/liveness.h"
#include "bpf/verifier/cfg.h"
#include "bpf/verifier/state.h"
#include "bpf/verifier/verifier.h"

/// Is what really happens within what was proved? The states of a verification are kept, and while the
/// program runs, registers and stack of every frame are looked up among them at each insn.
namespace xdplane::test {

/// The states before each insn, by the calls that led there.
class RecordedStates {
public:
    using Verify = Result<VerifiedProgram> (*)(VerifyRequest request, VerifierLog& log);

    /// Keeps at most `limit` states. With more, or if the verifier gives up, complete() is false and there is
    /// nothing to check.
    explicit RecordedStates(std::size_t limit = 30'000) : limit_(limit) {}

    /// Verifies, with all numbers compared, a program that is accepted otherwise.
    void record(VerifyRequest request, Verify verifier = &verify);

    /// The function where the simulation began, and the insns of the calls since.
    using Chain = std::vector<i32>;
    [[nodiscard]] const std::vector<State>& at(u32 insn, const Chain& chain) const;
    [[nodiscard]] bool complete() const { return complete_; }

private:
    void add(u32 insn, const State& state);

    std::size_t limit_;
    std::size_t count_ = 0;
    bool complete_ = false;
    std::vector<std::map<Chain, std::vector<State>>> states_; ///< by insn
};

/// Watches runs of one program. Both the program as verified and as lowered, and the states, must outlive it.
class AbstractionCheck final : public Watcher {
public:
    AbstractionCheck(const VerifiedProgram& verified, const LoweredProgram& lowered,
                     const RecordedStates& states);

    void enter(u32 function, u64 stack) noexcept override;
    void leave() noexcept override;
    void before(u32 insn, const u64* registers) noexcept override;

    /// The first thing that is not as proved; empty if all was.
    [[nodiscard]] const std::string& violation() const { return violation_; }
    [[nodiscard]] u64 insns_checked() const { return checked_; }
    [[nodiscard]] u64 bounds_checked() const { return bounds_checked_; }

private:
    struct Run {
        u32 function; ///< index in VerifiedProgram::functions()
        u32 root;     ///< index of the frame where the simulation began that covers this one
        u64 stack;
        const u64* r = nullptr;
        i32 last = -1; ///< verified insn that ran last
    };
    /// Where an object began that a register came to point at, by kind and map.
    using Bases = std::map<std::pair<RegKind, const Map*>, std::vector<u64>>;

    void check_values(u32 insn, const u64* registers);
    void check_result(u32 insn, const u64* registers);
    [[nodiscard]] bool within(const State& state, u16 live, Bases& fresh);
    [[nodiscard]] bool frame_within(const Frame& frame, const Run& run, u16 live, bool top, Bases& fresh);
    [[nodiscard]] bool register_within(const RegState& reg, u64 value, bool new_base, Bases& fresh);
    [[nodiscard]] bool pointer_within(const RegState& reg, u64 value, bool new_base, Bases& fresh);
    [[nodiscard]] bool object_within(const RegState& reg, u64 value, bool new_base, Bases& fresh);
    [[nodiscard]] bool slot_within(const StackSlot& slot, u64 address, Bases& fresh);
    [[nodiscard]] bool comes_new(const Run& run, u32 reg) const;
    [[nodiscard]] std::string describe_registers(const u64* registers) const;
    void fail_at(u32 insn, std::string text);

    const VerifiedProgram& verified_;
    const LoweredProgram& lowered_;
    const RecordedStates& states_;
    std::vector<u16> live_;      ///< by verified insn
    Liveness lowered_live_;      ///< registers that nobody reads may have been left out
    std::vector<u32> functions_; ///< of lowered functions: index of the verified one
    std::vector<Run> frames_;
    Bases bases_;
    const struct XdpBuff* packet_ = nullptr;
    std::string why_; ///< why the state looked at last does not match
    std::string violation_;
    u64 checked_ = 0;
    u64 bounds_checked_ = 0;
};

} // namespace xdplane::test
