// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
#pragma once
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "bpf/isa/opcodes.h"
#include "tests/support/verifier_text.h"

namespace xdplane::test {

/// Follows the running kernel's log and predicts what it says of numbers after each insn from what it said
/// before: every step of arithmetic and every comparison by itself, whatever the rest of a verifier does.
class StepPredictor {
public:
    explicit StepPredictor(std::span<const Insn> insns) : insns_(insns) {}

    /// Empty if all was as predicted, else the first difference, to be read by people.
    [[nodiscard]] std::string follow(const std::vector<LogStep>& steps);
    /// How many numbers and outcomes of jumps were predicted.
    [[nodiscard]] u64 compared() const { return compared_; }

private:
    struct Pending {
        u32 insn;
        StateText before;
    };
    struct Operands {
        std::optional<ScalarText> dst;
        std::optional<ScalarText> src;
    };

    void differ(u32 insn, const std::string& what);
    void expect(const LogStep& step, u32 reg, const Range& range);
    [[nodiscard]] Operands operands_of(const Insn& insn, const StateText& state) const;
    [[nodiscard]] std::optional<Range> predict(const Insn& insn) const;
    void follow_insn(const LogStep& step, const LogStep* next);
    void follow_fork(const LogStep& step);
    void follow_jump(const LogStep& step, const LogStep* next);
    void follow_branch(const LogStep& step);
    void compare_refined(const LogStep& step, bool outcome, const StateText& before);
    void forget_linked(u32 id);
    void forget_all_linked();

    std::span<const Insn> insns_;
    StateText before_; ///< an empty text: not known here, because the kernel changed it and did not print it
    std::vector<Pending> pending_;
    std::vector<u32> unsure_; ///< jumps and forks of what was not known: the kernel may have gone both ways
    std::string difference_;
    bool started_ = false;
    u64 compared_ = 0;
};

} // namespace xdplane::test
