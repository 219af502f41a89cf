// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
//
// Random programs of the kind that people write, for every packet program type: both verdicts, and how many
// insns each verifier simulates for it. What is accepted here and refused by the kernel for safety is a
// fault.
//
// XDPLANE_RANDOM_ROUNDS and XDPLANE_RANDOM_SEED ask for more or other programs, XDPLANE_NIGHTLY=1 for 30,000,
// XDPLANE_RANDOM_REPORT=1 for the counts.
#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <gtest/gtest.h>
#include <linux/bpf.h>
#include <map>

#include "bpf/base/unique_fd.h"
#include "bpf/btf/btf.h"
#include "bpf/isa/assembler.h"
#include "bpf/verifier/cfg.h"
#include "bpf/verifier/simulation.h"
#include "tests/support/kernel_bpf.h"
#include "tests/support/kernel_oracle.h"
#include "tests/support/plausible_program.h"

namespace xdplane::test {
namespace {

u64 number_from(const char* variable, u64 otherwise) {
    const char* text = std::getenv(variable);
    return text == nullptr ? otherwise : std::strtoull(text, nullptr, 10);
}

/// Refusals of the kernel that are not about safety.
constexpr const char* kKernelOnly[] = {
    "BPF program is too large", // it simulates more
    "No program to jit",        // a fault of its own: a callback that only dead code names
};

/// Programs that it refuses for a fault of its own: a byte of a spilled number that is loaded with its sign
/// extended keeps the number's id, so that the bounds of one become bounds of the other.
constexpr u64 kKernelFaults[] = {23105};

/// A message without its numbers.
std::string shape_of(const std::string& message) {
    std::string shape;
    for (const char c : message)
        if (std::isdigit(static_cast<unsigned char>(c)) == 0)
            shape += c;
        else if (shape.empty() || shape.back() != 'N')
            shape += 'N';
    return shape;
}

/// Programs that take more are for other tests: a million insns take seconds.
constexpr u64 kMostInsns = 20'000;
struct TooSlow {};

class Plausible : public testing::Test {
protected:
    Plausible() {
        for (const PlausibleMap& map : plausible_maps()) {
            MapSpec spec;
            spec.type = map.type;
            spec.key_size = map.key_size;
            spec.value_size = map.value_size;
            spec.max_entries = map.max_entries;
            spec.flags = map.flags;
            ours_.push_back(create_map(spec).value());
        }
    }

    void make_kernel_maps() {
        for (const PlausibleMap& map : plausible_maps()) {
            bpf_attr attr{};
            attr.map_type = map.type;
            attr.key_size = map.key_size;
            attr.value_size = map.value_size;
            attr.max_entries = map.max_entries;
            attr.map_flags = map.flags;
            kernels_.emplace_back(static_cast<int>(kernel_bpf(BPF_MAP_CREATE, &attr, sizeof attr)));
            ASSERT_GE(kernels_.back().get(), 0) << "map type " << map.type;
        }
    }

    void one(u64 seed);
    void report();

    struct Seen {
        u64 count = 0;
        u64 seed = 0; ///< of the last
    };
    std::vector<std::shared_ptr<Map>> ours_;
    std::vector<UniqueFd> kernels_;
    u64 programs_ = 0;
    u64 too_slow_ = 0;
    u64 both_accept_ = 0;
    u64 both_refuse_ = 0;
    std::map<std::string, Seen> here_only_;      ///< refused here, by message
    std::map<std::string, Seen> there_only_;     ///< refused by the kernel
    std::vector<std::pair<double, u64>> ratios_; ///< insns simulated here by the kernel's, and the seed
};

void Plausible::one(u64 seed) {
    const PlausibleProgram program(seed);
    SCOPED_TRACE(fmt::format("seed {}\n{}", seed, program.text()));
    auto insns = assemble(program.text());
    ASSERT_TRUE(insns) << insns.error().message;
    ++programs_;
    std::vector<u32> begins;
    if (const auto flow = analyse_control_flow(*insns, {.loops = true, .traits = call_traits}))
        for (const Subprogram& function : flow->functions) begins.push_back(function.begin);

    VerifyRequest request;
    request.type = find_program_type(program.type());
    request.insns = *insns;
    request.gpl_compatible = true;
    if (begins.size() > 1) {
        std::vector<u32> ids;
        const std::string blob = kernel::function_btf(static_cast<u32>(begins.size()), ids);
        auto btf = Btf::parse({reinterpret_cast<const u8*>(blob.data()), blob.size()});
        ASSERT_TRUE(btf) << btf.error().message;
        request.btf = *btf;
        for (std::size_t i = 0; i < begins.size(); ++i) request.functions.push_back({begins[i], ids[i]});
    }
    request.map_by_fd = [this](i32 fd) -> Result<std::shared_ptr<Map>> {
        return ours_.at(static_cast<u32>(fd - 1));
    };
    u64 simulated = 0;
    request.observer = [&simulated](u32, const State&) {
        if (++simulated > kMostInsns) throw TooSlow();
    };
    VerifierLog log;
    Result<VerifiedProgram> verified = fail(E2BIG, "not verified");
    try {
        verified = verify(std::move(request), log);
    } catch (const TooSlow&) {
        ++too_slow_;
        return;
    }

    for (std::size_t i = 0; i < insns->size(); ++i) {
        Insn& insn = (*insns)[i];
        if (insn.opcode != 0x18) continue;
        if (insn.src == kMapFd) insn.imm = kernels_[static_cast<u32>(insn.imm - 1)].get();
        ++i;
    }
    const kernel::Verdict theirs = kernel::judge(program.type(), *insns, begins);
    if (verified && theirs.error == 0) {
        ++both_accept_;
        const u64 most = std::max<u64>(theirs.processed, 1);
        ratios_.emplace_back(static_cast<double>(log.insns_processed) / static_cast<double>(most), seed);
    } else if (!verified && theirs.error != 0) {
        ++both_refuse_;
    } else if (!verified) {
        auto& seen = here_only_[shape_of(log.reason)];
        ++seen.count;
        seen.seed = seed;
    } else {
        auto& seen = there_only_[shape_of(theirs.reason)];
        ++seen.count;
        seen.seed = seed;
        const bool listed = std::ranges::any_of(
            kKernelOnly, [&](const char* known) { return theirs.reason.find(known) != std::string::npos; });
        EXPECT_TRUE(listed || std::ranges::count(kKernelFaults, seed) != 0)
            << "accepted here, refused by the kernel: " << theirs.reason;
    }
}

void Plausible::report() {
    fmt::print("{} programs: {} too slow, {} accepted by both, {} refused by both\n", programs_, too_slow_,
               both_accept_, both_refuse_);
    for (const auto& [message, seen] : here_only_)
        fmt::print("  refused here only {:5}: {} (seed {})\n", seen.count, message, seen.seed);
    for (const auto& [message, seen] : there_only_)
        fmt::print("  refused there only {:5}: {} (seed {})\n", seen.count, message, seen.seed);
    std::ranges::sort(ratios_);
    if (ratios_.empty()) return;
    const auto at = [&](double part) {
        return ratios_[static_cast<std::size_t>(part * static_cast<double>(ratios_.size() - 1))];
    };
    fmt::print("insns simulated here by the kernel's:");
    for (const double part : {0.0, 0.01, 0.1, 0.5, 0.9, 0.99, 1.0})
        fmt::print(" {}%: {:.3f} (seed {})", part * 100, at(part).first, at(part).second);
    const auto same = std::ranges::count_if(ratios_, [](const auto& r) { return r.first == 1.0; });
    fmt::print("; the same: {} of {}\n", same, ratios_.size());
}

TEST_F(Plausible, VerdictsAreTheKernels) {
    if (const std::string refused = kernel::why_unavailable(); !refused.empty()) GTEST_SKIP() << refused;
    make_kernel_maps();
    const u64 first = number_from("XDPLANE_RANDOM_SEED", 1);
    const u64 rounds =
        number_from("XDPLANE_RANDOM_ROUNDS", number_from("XDPLANE_NIGHTLY", 0) != 0 ? 30'000 : 400);
    const bool whole = std::getenv("XDPLANE_RANDOM_REPORT") != nullptr;
    for (u64 seed = first; seed < first + rounds && !HasFatalFailure() && (whole || !HasFailure()); ++seed)
        one(seed);
    if (whole) report();
    if (HasFailure()) return;
    EXPECT_GT(both_accept_ * 5, rounds) << "most programs are refused: nothing is compared";
    u64 refused_here = 0;
    for (const auto& [message, seen] : here_only_) refused_here += seen.count;
    EXPECT_LE(refused_here * 100, rounds) << "too many of those that the kernel accepts are refused";
}

} // namespace
} // namespace xdplane::test
