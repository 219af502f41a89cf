// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
#include "bpf/lower/liveness.h"

#include <gtest/gtest.h>

#include "bpf/isa/assembler.h"
#include "tests/support/unverified_program.h"

namespace xdplane {
namespace {

LoweredProgram lowered(std::string_view text) {
    Result<std::vector<Insn>> insns = assemble(text);
    if (!insns) throw std::runtime_error(insns.error().message);
    Result<VerifiedProgram> program = UnverifiedProgram::make(std::move(*insns), {});
    if (!program) throw std::runtime_error(program.error().message);
    Result<LoweredProgram> result = lower(*program);
    if (!result) throw std::runtime_error(result.error().message);
    return std::move(*result);
}

/// "0 1 6 dead": the registers that are live before an insn, by number, and whether it is dead.
std::string text_of(const Liveness& liveness, u32 insn) {
    std::string out;
    for (u8 reg = R0; reg <= R10; ++reg)
        if (liveness.is_live_before(insn, reg)) out += fmt::format("{}{}", out.empty() ? "" : " ", +reg);
    if (liveness.is_dead(insn)) out += out.empty() ? "dead" : " dead";
    return out;
}

struct Case {
    const char* text;
    std::vector<const char*> before; ///< of each insn
};

const Case kCases[] = {
    {"exit", {"0"}},
    {"r0 = r1\nr0 += r2\nexit", {"1 2", "0 2", "0"}},
    {"r0 = 1\nr3 = r4\nr3 += r5\nexit", {"", "0 dead", "0 dead", "0"}},
    {"w0 = (s8)w1\nr0 = -r0\nr0 = be16 r0\nexit", {"1", "0", "0", "0"}},
    {"*(u32 *)(r1 +0) = 1\n*(u32 *)(r1 +4) = r2\nr0 = *(u8 *)(r1 +0)\nexit", {"1 2", "1 2", "1", "0"}},
    {"lock *(u64 *)(r1 +0) += r2\nr0 = 0\nexit", {"1 2", "", "0"}},
    {"r2 = atomic64_fetch_add((u64 *)(r1 +0), r2)\nr0 = r2\nexit", {"1 2", "2", "0"}},
    {"r0 = atomic64_cmpxchg((u64 *)(r1 +0), r0, r2)\nexit", {"0 1 2", "0"}},
    // Both ways of a jump count, and what comes round in a loop.
    {"if r1 == r2 goto out\nr0 = r3\nexit\nout:\nr0 = r4\nexit", {"1 2 3 4", "3", "0", "4", "0"}},
    {"r0 = 0\nagain:\nr0 += r2\nr1 -= 1\nif r1 != 0 goto again\nexit",
     {"1 2", "0 1 2", "0 1 2", "0 1 2", "0"}},
    {"r6 = 1\nagain:\nr6 += 1\nr1 -= 1\nif r1 != 0 goto again\nr0 = 0\nexit",
     {"1 dead", "1 dead", "1", "1", "", "0"}},
    // Calls read arguments and write what callers do not find again.
    {"r6 = r1\ncall f\nr0 += r6\nexit\nf:\nr0 = r1\nexit",
     {"1 2 3 4 5", "1 2 3 4 5 6", "0 6", "0", "1", "0"}},
    {"r0 = 1\nr1 = 5\ncall f\nexit\nf:\nr0 = 1\nexit",
     {"2 3 4 5 dead", "2 3 4 5", "1 2 3 4 5", "0", "", "0"}},
};

TEST(Liveness, OfEachInsn) {
    for (const Case& c : kCases) {
        const LoweredProgram program = lowered(c.text);
        const Liveness liveness(program, register_uses(program));
        ASSERT_EQ(program.insns().size(), c.before.size()) << c.text;
        for (u32 i = 0; i < c.before.size(); ++i)
            EXPECT_EQ(text_of(liveness, i), c.before[i]) << c.text << "\ninsn " << i;
    }
}

} // namespace
} // namespace xdplane
