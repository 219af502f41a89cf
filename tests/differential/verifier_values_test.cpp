// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
#include <cstdlib>
#include <gtest/gtest.h>
#include <linux/bpf.h>

#include "bpf/isa/disassembler.h"
#include "tests/differential/scalar_program.h"
#include "tests/differential/step_predictor.h"
#include "tests/support/kernel_oracle.h"
#include "tests/support/verifier_cases.h"
#include "tests/support/verifier_text.h"

/// What is known of numbers, word for word as the running kernel knows it: random programs of arithmetic and
/// jumps are loaded there, and what its log says after each insn is compared with what this verifier makes of
/// what the log said before it.
///
///   XDPLANE_RANDOM_PROGRAMS=N   how many (default 3000)
///   XDPLANE_RANDOM_SEED=S       of the first; the next have S+1, S+2, ... A failure prints its own.
namespace xdplane::test {
namespace {

constexpr u64 kDefaultSeed = 20260618;
constexpr u64 kPrograms = 3000;

u64 from_environment(const char* name, u64 otherwise) {
    const char* text = std::getenv(name);
    return text != nullptr ? std::strtoull(text, nullptr, 0) : otherwise;
}

struct Outcome {
    std::string difference;
    u64 compared = 0;
};

std::string our_log(const std::vector<Insn>& insns) {
    static const std::shared_ptr<Map> kMap =
        *make_map({.kind = "array", .key_size = 4, .value_size = 64, .entries = 1});
    VerifyRequest request;
    request.type = find_program_type(BPF_PROG_TYPE_XDP);
    request.insns = insns;
    request.gpl_compatible = true;
    request.map_by_fd = [](i32) -> Result<std::shared_ptr<Map>> { return kMap; };
    VerifierLog log;
    log.level = kLogVerbose;
    (void)verify(std::move(request), log);
    return log.text;
}

/// The steps of both logs, as long as neither takes a path for verified that the other walks.
std::string same_steps(std::vector<LogStep> kernel, std::vector<LogStep> ours) {
    for (auto* steps : {&kernel, &ours})
        if (!steps->empty() && steps->front().kind == LogStep::Kind::branch) steps->erase(steps->begin());
    for (std::size_t i = 0; i < std::min(kernel.size(), ours.size()); ++i) {
        const LogStep& k = kernel[i];
        const LogStep& o = ours[i];
        if (k.kind != o.kind || k.insn != o.insn || k.to != o.to) {
            const bool both = k.kind == LogStep::Kind::insn && o.kind == LogStep::Kind::insn;
            return both ? fmt::format("the kernel goes to {}, ours to {}", k.insn, o.insn) : "";
        }
        for (const auto& [name, text] : o.state) {
            const auto it = k.state.find(name);
            if (it != k.state.end() && it->second != text &&
                (k.kind == LogStep::Kind::insn || name[0] == 'R'))
                return fmt::format("step {}, insn {}:\nkernel: {}={}\nours:   {}={}", i, k.insn, name,
                                   it->second, name, text);
        }
    }
    return {};
}

Outcome try_program(const ScalarProgram& program, int map) {
    const std::vector<Insn> insns = program.insns(map);
    const std::string log = kernel::verifier_log(BPF_PROG_TYPE_XDP, insns);
    // Refused programs come from minimising only.
    for (const char* message : {"!read_ok", " prohibited"})
        if (log.find(message) != std::string::npos) return {};
    if (log.find("\nprocessed ") == std::string::npos) return {"no log: " + log, 0};
    const auto steps = read_verifier_log(log);
    Outcome out;
    out.difference = same_steps(steps, read_verifier_log(our_log(insns)));
    // Then constants are printed whose bounds were forgotten: the text does not say all.
    if (log.find("REG INVARIANTS VIOLATION") != std::string::npos) return out;
    StepPredictor predictor(insns);
    const std::string mispredicted = predictor.follow(steps);
    if (out.difference.empty()) out.difference = mispredicted;
    out.compared = predictor.compared();
    return out;
}

/// Leaves out insns as long as there is a difference.
ScalarProgram minimised(ScalarProgram program, int map) {
    for (bool smaller = true; smaller;) {
        smaller = false;
        for (std::size_t i = program.size(); i-- > 0;) {
            const ScalarProgram less = program.without(i);
            if (less.size() == program.size() || try_program(less, map).difference.empty()) continue;
            program = less;
            smaller = true;
            break;
        }
    }
    return program;
}

std::string listing(std::span<const Insn> insns) {
    DisasmOptions options;
    options.opcode = true;
    std::string out;
    for (u32 i = 0; i < insns.size(); ++i) {
        out += fmt::format("{}: {}\n", i, disassemble(insns, i, options));
        if (insns[i].opcode == info(Op::ld_imm64).opcode) ++i;
    }
    return out;
}

TEST(VerifierValues, AreTheKernels) {
    if (const std::string why = kernel::why_unavailable(); !why.empty()) GTEST_SKIP() << why;
    auto map = kernel::create_array(64, "array");
    ASSERT_TRUE(map) << map.error().message;
    const u64 seed = from_environment("XDPLANE_RANDOM_SEED", kDefaultSeed);
    const u64 count = from_environment("XDPLANE_RANDOM_PROGRAMS", kPrograms);
    u64 compared = 0;
    u32 failures = 0;
    for (u64 i = 0; i < count && failures < 5; ++i) {
        const ScalarProgram program(seed + i);
        const Outcome outcome = try_program(program, map->get());
        compared += outcome.compared;
        if (outcome.difference.empty()) continue;
        ++failures;
        const ScalarProgram least = minimised(program, map->get());
        ADD_FAILURE() << "seed " << seed + i << "\n"
                      << listing(least.insns(map->get())) << try_program(least, map->get()).difference << "\n"
                      << kernel::verifier_log(BPF_PROG_TYPE_XDP, least.insns(map->get())) << "ours:\n"
                      << our_log(least.insns(map->get()));
    }
    EXPECT_GT(compared, count * 5);
    RecordProperty("compared", std::to_string(compared));
}

} // namespace
} // namespace xdplane::test
