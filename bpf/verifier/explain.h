// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
#pragma once
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "bpf/base/types.h"
#include "bpf/isa/insn.h"

/// Why a program was rejected, for people: which check is missing, where the value came from, and what
/// usually fixes it. Worked out once, after a rejection, from the path that led there: what is accepted pays
/// nothing. bpf(2)'s log stays Linux's.
namespace xdplane {

class Btf;
struct ControlFlow;
struct InsnFacts;
struct LineInfo;
struct State;

/// A line of source by the BTF; line 0: the program has no line information.
struct SourceLine {
    std::string file; ///< as clang was given it
    u32 line = 0;
    u32 column = 0;
    std::string text; ///< without its indentation
};

struct ExplainedInsn {
    u32 insn = 0;
    std::string what; ///< "r1 was loaded from ctx->data"
    std::string code; ///< "r1 = *(u32 *)(r1 +0)"
    SourceLine source;
};

struct Explanation {
    std::string_view kind;               ///< "packet-bounds": stable, for tools
    std::string_view missing;            ///< which check is missing, or which rule is broken
    std::string_view fix;                ///< what usually helps
    std::string detail;                  ///< the numbers of this case; may be empty
    std::optional<ExplainedInsn> at;     ///< empty where the whole program is meant
    std::vector<ExplainedInsn> origin;   ///< where the value came from, the nearest first
    std::vector<ExplainedInsn> branches; ///< the last conditional jumps of the path, in its order
    u64 branches_before = 0;             ///< how many more there were before those
};

/// What is known of a rejection.
struct Rejection {
    std::string_view message; ///< the last line of the log, in Linux's words
    std::span<const Insn> insns;
    const ControlFlow& flow;          ///< empty if the first pass rejected
    std::span<const InsnFacts> facts; ///< as far as known
    const Btf* btf = nullptr;         ///< null without BTF
    std::span<const LineInfo> lines;  ///< ordered by insn
    const State* state = nullptr;     ///< null before the simulation
    u32 insn = 0;                     ///< simulated last
    bool simulated = false;           ///< the path ended at insn: otherwise the message says where, if at all
};
[[nodiscard]] Explanation explain_rejection(const Rejection& rejection);

/// The rows of the table of kinds, for tests and documentation.
[[nodiscard]] std::vector<std::string_view> explanation_kinds();

/// An explanation as lines to print.
struct ExplanationLine {
    enum class Role : u8 { missing, detail, place, code, origin, branch, fix } role;
    std::string text;
};
[[nodiscard]] std::vector<ExplanationLine> explanation_lines(const Explanation& explanation);

} // namespace xdplane
