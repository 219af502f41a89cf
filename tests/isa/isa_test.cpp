// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
#include <algorithm>
#include <cstdio>
#include <cstring>
#include <functional>
#include <gtest/gtest.h>
#include <linux/bpf.h>

#include "bpf/isa/disassembler.h"
#include "tests/isa/isa_case.h"
#include "tests/support/engines.h"
#include "tests/support/hex.h"
#include "tests/support/kernel_oracle.h"
#include "tests/support/places.h"
#include "tests/support/unverified_program.h"

/// Every case of tests/isa/*.data as a GoogleTest case of each engine, and of the running kernel.
namespace xdplane {
namespace {

struct Outcome {
    u64 result = 0;
    std::vector<u8> memory;
};

// Engines.

Result<std::unique_ptr<Executable>> build(const TestEngine& engine, std::vector<Insn> insns) {
    Result<VerifiedProgram> program = UnverifiedProgram::make(std::move(insns));
    if (!program) return fail(program.error());
    Result<LoweredProgram> lowered = lower(*program);
    if (!lowered) return fail(lowered.error());
    return engine.make(std::move(*lowered));
}

/// Runs through both entries, which must agree.
Result<Outcome> run_packet(const TestEngine& engine, const IsaCase& c) {
    Result<std::unique_ptr<Executable>> executable = build(engine, c.insns);
    if (!executable) return fail(executable.error());
    const Entry& entry = (*executable)->entry;
    Outcome outcome;
    outcome.memory = c.memory;
    std::vector<XdpBuff> packets(2);
    for (XdpBuff& packet : packets) {
        packet = {};
        packet.data = packet.data_meta = packet.hard_start = outcome.memory.data();
        packet.data_end = packet.frame_end = outcome.memory.data() + outcome.memory.size();
    }
    outcome.result = entry.run(&entry, &packets[0], &t_run);
    entry.run_burst(&entry, packets.data(), 2, &t_run);
    for (const XdpBuff& packet : packets) EXPECT_EQ(packet.verdict, outcome.result);
    return outcome;
}

Result<Outcome> run_memory(const TestEngine& engine, const IsaCase& c) {
    Outcome outcome;
    // Atomics need alignment, and tools that find accesses out of bounds an exact size.
    struct Free {
        void operator()(void* p) const { std::free(p); }
    };
    const std::unique_ptr<void, Free> memory(std::aligned_alloc(16, (c.memory.size() + 15) / 16 * 16 + 16));
    u8* const bytes = static_cast<u8*>(memory.get());
    const auto reset = [&] { std::ranges::copy(c.memory, bytes); };
    Result<std::unique_ptr<Executable>> executable =
        build(engine, UnverifiedProgram::with_memory(c.insns, bytes, static_cast<u32>(c.memory.size()),
                                                     &outcome.result));
    if (!executable) return fail(executable.error());
    const Entry& entry = (*executable)->entry;
    XdpBuff packet{};
    reset();
    const u32 low = entry.run(&entry, &packet, &t_run);
    EXPECT_EQ(low, static_cast<u32>(outcome.result));
    outcome.memory.assign(bytes, bytes + c.memory.size());
    reset();
    entry.run_burst(&entry, &packet, 1, &t_run);
    EXPECT_EQ(packet.verdict, low) << "run_burst differs from run";
    EXPECT_TRUE(std::equal(outcome.memory.begin(), outcome.memory.end(), bytes))
        << "run_burst differs from run";
    return outcome;
}

Result<Outcome> run_engine(const TestEngine& engine, const IsaCase& c) {
    return c.packet ? run_packet(engine, c) : run_memory(engine, c);
}

// The kernel.

void append_wide(std::vector<Insn>& insns, u8 dst, u8 kind, i32 low, i32 high) {
    insns.push_back(encode(Op::ld_imm64, dst, kind, 0, low));
    insns.push_back({0, 0, 0, 0, high});
}

/// As UnverifiedProgram::with_memory, with a map value for memory: 8 bytes for r0, then the case's bytes.
Result<Outcome> run_kernel_memory(const IsaCase& c) {
    std::vector<u8> value(8 + c.memory.size());
    std::ranges::copy(c.memory, value.begin() + 8);
    const u32 size = static_cast<u32>(value.size());
    const Result<UniqueFd> map = kernel::create_array(size);
    if (!map) return fail(map.error());
    if (Result<> done = kernel::write_array(map->get(), value); !done) return fail(done.error());

    std::vector<Insn> insns;
    // An empty memory still gives a pointer, to the last byte of the result: nothing may be read there.
    append_wide(insns, R1, kMapValue, map->get(), c.memory.empty() ? 7 : 8);
    insns.push_back(encode(Op::mov64_imm, R2, 0, 0, static_cast<i32>(c.memory.size())));
    insns.push_back(encode(Op::call, 0, kCallLocal, 0, 5));
    append_wide(insns, R1, kMapValue, map->get(), 0);
    insns.push_back(encode(Op::stx64, R1, R0, 0, 0));
    insns.push_back(encode(Op::mov64_imm, R0, 0, 0, 0));
    insns.push_back(encode(Op::exit, 0, 0, 0, 0));
    insns.insert(insns.end(), c.insns.begin(), c.insns.end());

    const Result<UniqueFd> program = kernel::load(BPF_PROG_TYPE_XDP, insns);
    if (!program) return fail(program.error());
    const Result<kernel::Run> run = kernel::run(program->get(), std::vector<u8>(64));
    if (!run) return fail(run.error());
    Result<std::vector<u8>> after = kernel::read_array(map->get(), size);
    if (!after) return fail(after.error());
    Outcome outcome;
    std::memcpy(&outcome.result, after->data(), 8);
    outcome.memory.assign(after->begin() + 8, after->end());
    return outcome;
}

/// A classifier sees the packet from its first byte, as programs here do; a socket filter's run would not.
Result<Outcome> run_kernel(const IsaCase& c) {
    if (!c.packet) return run_kernel_memory(c);
    const Result<UniqueFd> program = kernel::load(BPF_PROG_TYPE_SCHED_CLS, c.insns);
    if (!program) return fail(program.error());
    const Result<kernel::Run> run = kernel::run(program->get(), c.memory);
    if (!run) return fail(run.error());
    return Outcome{run->result, run->packet};
}

// Cases.

void check(const IsaCase& c, const Result<Outcome>& outcome) {
    const std::string where = fmt::format("{}:{}\n{}", c.file, c.line, c.text);
    if (!c.error.empty()) {
        ASSERT_FALSE(outcome) << where << "ran to " << outcome->result;
        EXPECT_NE(outcome.error().message.find(c.error), std::string::npos)
            << where << outcome.error().message;
        return;
    }
    ASSERT_TRUE(outcome) << where << outcome.error().message;
    EXPECT_EQ(outcome->result, c.result)
        << where << fmt::format("{:#x}, not {:#x}", outcome->result, c.result);
    if (c.after) {
        EXPECT_EQ(to_hex(outcome->memory), to_hex(*c.after)) << where;
    }
}

class Case : public testing::Test {
public:
    explicit Case(std::function<void()> body) : body_(std::move(body)) {}
    void TestBody() override { body_(); }

private:
    std::function<void()> body_;
};

void add_case(const std::string& suite, const IsaCase& c, std::function<void()> body) {
    testing::RegisterTest(suite.c_str(), c.name.c_str(), nullptr, nullptr, __FILE__, __LINE__,
                          [body = std::move(body)]() -> testing::Test* { return new Case(body); });
}

/// Every row of the table is in some case that runs.
void check_coverage(const std::vector<IsaCase>& cases) {
    std::vector<bool> covered(kOps);
    for (const IsaCase& c : cases) {
        if (!c.error.empty()) continue;
        for (u32 i = 0; i < c.insns.size(); i += slots(c.insns[i])) {
            const Op op = decode(c.insns[i]);
            if (op != Op::invalid) covered[static_cast<u32>(op)] = true;
        }
    }
    for (const OpcodeInfo& row : kOpcodes) {
        if (row.version == 0) continue;
        EXPECT_TRUE(covered[static_cast<u32>(row.op)]) << "no case has " << row.name;
    }
}

} // namespace
} // namespace xdplane

int main(int argc, char** argv) {
    using namespace xdplane;
    testing::InitGoogleTest(&argc, argv);
    static Result<std::vector<IsaCase>> cases = read_isa_cases(source_path("tests/isa"));
    if (!cases || cases->empty()) {
        std::fprintf(stderr, "%s\n", cases ? "no cases" : cases.error().message.c_str());
        return 1;
    }
    static const std::string kernel_refuses = kernel::why_unavailable();
    for (const IsaCase& c : *cases) {
        for (const TestEngine& engine : test_engines())
            add_case(std::string("Isa") + engine.name, c, [&] { check(c, run_engine(engine, c)); });
        // What the kernel cannot judge is no case of its own; it is listed in the data file, with its reason.
        if (!c.error.empty() || !c.kernel_skip.empty()) continue;
        add_case("IsaKernel", c, [&] {
            if (!kernel_refuses.empty()) GTEST_SKIP() << kernel_refuses;
            check(c, run_kernel(c));
        });
    }
    testing::RegisterTest("IsaCoverage", "EveryRowHasACase", nullptr, nullptr, __FILE__, __LINE__,
                          []() -> testing::Test* { return new Case([] { check_coverage(*cases); }); });
    return RUN_ALL_TESTS();
}
