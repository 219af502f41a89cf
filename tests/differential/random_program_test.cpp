// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
#include <algorithm>
#include <array>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <gtest/gtest.h>
#include <linux/bpf.h>

#include "bpf/isa/disassembler.h"
#include "tests/differential/program_generator.h"
#include "tests/support/abstraction.h"
#include "tests/support/engines.h"
#include "tests/support/hex.h"
#include "tests/support/kernel_oracle.h"
#include "tests/support/unverified_program.h"

/// Random programs on every engine and on the running kernel: the same verdicts, packets and map value. Each
/// program runs on a few packets in a row, one by one and as a burst.
///
///   XDPLANE_RANDOM_PROGRAMS=N   how many (default 300)
///   XDPLANE_RANDOM_SEED=S       of the first; the next have S+1, S+2, ... A failure prints its own.
namespace xdplane {
namespace {

using Bytes = std::vector<u8>;

struct Outcome {
    std::vector<u32> verdicts;
    std::vector<Bytes> packets;
    Bytes value;
};

constexpr u64 kDefaultSeed = 20260101;
constexpr u32 kPrograms = 300;
constexpr u32 kProgramsPerCase = 10;

u64 from_environment(const char* name, u64 otherwise) {
    const char* text = std::getenv(name);
    return text != nullptr ? std::strtoull(text, nullptr, 0) : otherwise;
}

/// Packets and the map value that a seed's program starts with. One packet in four is too short for it.
Outcome make_input(u64 seed) {
    std::minstd_rand random(static_cast<u32>(seed * 2654435761U + 1));
    const auto fill = [&random](Bytes& bytes) {
        for (u8& byte : bytes) byte = static_cast<u8>(random() >> 8);
    };
    Outcome input;
    input.value.resize(RandomProgram::kMapBytes);
    fill(input.value);
    for (u32 i = 0; i < 4; ++i) {
        Bytes& packet = input.packets.emplace_back(i == 2 ? 14 + random() % 50 : 64 + random() % 64);
        fill(packet);
    }
    return input;
}

Outcome run_engine(const Entry& entry, std::span<u8> value, const Outcome& input, bool burst) {
    Outcome outcome = input;
    std::ranges::copy(input.value, value.begin());
    std::vector<XdpBuff> packets(input.packets.size());
    for (u32 i = 0; i < packets.size(); ++i) {
        packets[i] = {};
        packets[i].data = packets[i].data_meta = packets[i].hard_start = outcome.packets[i].data();
        packets[i].data_end = packets[i].frame_end = outcome.packets[i].data() + outcome.packets[i].size();
    }
    if (burst)
        entry.run_burst(&entry, packets.data(), static_cast<u32>(packets.size()), &t_run);
    else
        for (XdpBuff& packet : packets) packet.verdict = entry.run(&entry, &packet, &t_run);
    for (const XdpBuff& packet : packets) outcome.verdicts.push_back(packet.verdict);
    outcome.value.assign(value.begin(), value.end());
    return outcome;
}

Result<Outcome> run_kernel(const RandomProgram& program, const Outcome& input) {
    const Result<UniqueFd> map = kernel::create_array(RandomProgram::kMapBytes);
    if (!map) return fail(map.error());
    if (Result<> done = kernel::write_array(map->get(), input.value); !done) return fail(done.error());
    const Result<UniqueFd> fd = kernel::load(BPF_PROG_TYPE_XDP, program.for_bpf(map->get()));
    if (!fd) return fail(fd.error());
    Outcome outcome;
    for (const Bytes& packet : input.packets) {
        Result<kernel::Run> run = kernel::run(fd->get(), packet);
        if (!run) return fail(run.error());
        outcome.verdicts.push_back(run->result);
        outcome.packets.push_back(std::move(run->packet));
    }
    Result<Bytes> value = kernel::read_array(map->get(), RandomProgram::kMapBytes);
    if (!value) return fail(value.error());
    outcome.value = std::move(*value);
    return outcome;
}

std::string listing(const RandomProgram& program) {
    std::string text;
    for (u32 i = 0; i < program.insns.size(); i += slots(program.insns[i]))
        text += fmt::format("{:4}: {}\n", i, disassemble(program.insns, i));
    return text;
}

void expect_same(const Outcome& outcome, const Outcome& expected, const std::string& who) {
    EXPECT_EQ(outcome.verdicts, expected.verdicts) << who;
    EXPECT_EQ(to_hex(outcome.value), to_hex(expected.value)) << who << ": map value";
    for (u32 i = 0; i < expected.packets.size(); ++i)
        EXPECT_EQ(to_hex(outcome.packets[i]), to_hex(expected.packets[i])) << who << ": packet " << i;
}

/// The first engine, one packet at a time, is what all others are compared with.
void compare_engines(const RandomProgram& program, const Outcome& input, Outcome& reference) {
    alignas(8) std::array<u8, RandomProgram::kMapBytes> value; // atomics ask for it
    bool first = true;
    for (const TestEngine& engine : test_engines()) {
        const Result<VerifiedProgram> verified = UnverifiedProgram::make(program.raw(value.data()));
        ASSERT_TRUE(verified) << verified.error().message;
        Result<LoweredProgram> lowered = lower(*verified);
        ASSERT_TRUE(lowered) << lowered.error().message;
        const auto executable = engine.make(std::move(*lowered));
        ASSERT_TRUE(executable) << executable.error().message;
        for (const bool burst : {false, true}) {
            const Outcome outcome = run_engine((*executable)->entry, value, input, burst);
            if (first) reference = outcome;
            first = false;
            expect_same(outcome, reference, fmt::format("{} {}", engine.name, burst ? "burst" : "scalar"));
        }
    }
}

/// Registers and stack are within what was proved.
void check_states(VerifyRequest request, const VerifiedProgram& verified, std::span<u8> value,
                  const Outcome& input) {
    test::RecordedStates states;
    states.record(std::move(request));
    const Result<LoweredProgram> lowered = lower(verified);
    ASSERT_TRUE(lowered) << lowered.error().message;
    test::AbstractionCheck check(verified, *lowered, states);
    const auto executable = interpret_watched(*lowered, check);
    (void)run_engine(executable->entry, value, input, false);
    EXPECT_EQ(check.violation(), "");
}

/// The way that programs really take: verified, with a map of ours, and lowered by what was proved.
void check_verified(u64 seed) {
    const RandomProgram program = generate_program(seed);
    SCOPED_TRACE(fmt::format("XDPLANE_RANDOM_SEED={} XDPLANE_RANDOM_PROGRAMS=1\n{}", seed, listing(program)));
    const Outcome input = make_input(seed);
    Outcome reference;
    compare_engines(program, input, reference);

    MapSpec spec;
    spec.type = BPF_MAP_TYPE_ARRAY;
    spec.key_size = 4;
    spec.value_size = RandomProgram::kMapBytes;
    spec.max_entries = 1;
    const Result<std::shared_ptr<Map>> map = create_map(spec);
    ASSERT_TRUE(map) << map.error().message;
    VerifyRequest request;
    request.type = find_program_type(BPF_PROG_TYPE_XDP);
    request.insns = program.for_bpf(0);
    request.map_by_fd = [&map](i32) -> Result<std::shared_ptr<Map>> { return *map; };
    VerifierLog log;
    log.level = kLogBasic;
    const Result<VerifiedProgram> verified = verify(request, log);
    ASSERT_TRUE(verified) << verified.error().message << "\n"
                          << log.text.substr(log.text.size() - std::min<std::size_t>(log.text.size(), 3000));
    const std::span<u8> value((*map)->ops().direct_value(**map), RandomProgram::kMapBytes);
    for (const TestEngine& engine : test_engines()) {
        Result<LoweredProgram> lowered = lower(*verified);
        ASSERT_TRUE(lowered) << lowered.error().message;
        const auto executable = engine.make(std::move(*lowered));
        ASSERT_TRUE(executable) << executable.error().message;
        for (const bool burst : {false, true})
            expect_same(run_engine((*executable)->entry, value, input, burst), reference,
                        fmt::format("verified, {} {}", engine.name, burst ? "burst" : "scalar"));
    }
    check_states(request, *verified, value, input);
}

void check_engines(u64 seed) {
    const RandomProgram program = generate_program(seed);
    SCOPED_TRACE(fmt::format("XDPLANE_RANDOM_SEED={} XDPLANE_RANDOM_PROGRAMS=1\n{}", seed, listing(program)));
    Outcome reference;
    compare_engines(program, make_input(seed), reference);
}

void check_kernel(u64 seed) {
    const RandomProgram program = generate_program(seed);
    SCOPED_TRACE(fmt::format("XDPLANE_RANDOM_SEED={} XDPLANE_RANDOM_PROGRAMS=1\n{}", seed, listing(program)));
    const Outcome input = make_input(seed);
    Outcome reference;
    compare_engines(program, input, reference);
    const Result<Outcome> kernel = run_kernel(program, input);
    ASSERT_TRUE(kernel) << kernel.error().message;
    expect_same(*kernel, reference, "kernel");
}

class Slice : public testing::Test {
public:
    explicit Slice(std::function<void()> body) : body_(std::move(body)) {}
    void TestBody() override { body_(); }

private:
    std::function<void()> body_;
};

void add_slice(const char* suite, u64 seed, u64 count, bool needs_kernel, void (*check)(u64)) {
    static const std::string refused = kernel::why_unavailable();
    const auto body = [=] {
        if (needs_kernel && !refused.empty()) GTEST_SKIP() << refused;
        for (u64 i = 0; i < count && !testing::Test::HasFailure(); ++i) check(seed + i);
    };
    testing::RegisterTest(suite, fmt::format("Seeds{}To{}", seed, seed + count - 1).c_str(), nullptr, nullptr,
                          __FILE__, __LINE__, [body]() -> testing::Test* { return new Slice(body); });
}

} // namespace
} // namespace xdplane

int main(int argc, char** argv) {
    using namespace xdplane;
    testing::InitGoogleTest(&argc, argv);
    const u64 seed = from_environment("XDPLANE_RANDOM_SEED", kDefaultSeed);
    const u64 programs = from_environment("XDPLANE_RANDOM_PROGRAMS", kPrograms);
    for (u64 i = 0; i < programs; i += kProgramsPerCase) {
        const u64 count = std::min<u64>(kProgramsPerCase, programs - i);
        add_slice("RandomProgramsEngines", seed + i, count, false, check_engines);
        add_slice("RandomProgramsVerified", seed + i, count, false, check_verified);
        add_slice("RandomProgramsKernel", seed + i, count, true, check_kernel);
    }
    return RUN_ALL_TESTS();
}
