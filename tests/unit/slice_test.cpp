// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
#include <sstream>

#include "bpf/maps/run_ahead.h"
#include "tests/support/lookup_program.h"

/// What runs ahead of a program: which instructions, and where it ends.
namespace xdplane {
namespace {

class SliceTest : public test::LookupProgramTest {
protected:
    /// The slice's insns, separated by "; ", addresses as "address"; "none" if there is no slice.
    std::string sliced(const std::string& text) {
        const auto program = lowered(text);
        if (!program) return program.error().message;
        if (program->slice() == nullptr) return "none";
        std::string out;
        std::istringstream lines(program->slice()->disassemble());
        for (std::string line; std::getline(lines, line);) {
            if (line[0] != ' ') continue;
            if (!out.empty()) out += "; ";
            // Addresses differ from run to run.
            const auto constant = line.find("0x");
            out += constant != std::string::npos ? line.substr(7, constant - 7) + "address" : line.substr(7);
        }
        return out;
    }
};

using test::kKey;
using test::kOrOut;
using test::kOut;
using test::lookup;

u32 count(const std::string& text, std::string_view part) {
    u32 found = 0;
    for (auto at = text.find(part); at != std::string::npos; at = text.find(part, at + 1)) ++found;
    return found;
}

struct SliceCase {
    const char* name;
    std::string program;
    u32 visits;                      ///< 0: no slice
    std::vector<const char*> kept;   ///< are in the slice; passes of lowering may change the rest
    std::vector<const char*> absent; ///< are not
};

/// Blocks laid out in the opposite order of how they run: a jump back after each. A lookup at the end.
std::string backwards(u32 blocks) {
    std::string text = kKey + "r8 = 0\ngoto b0\n";
    text += fmt::format("b{}:\n", blocks) + lookup(1) + kOut;
    for (u32 i = blocks; i-- > 0;) text += fmt::format("b{}:\nr8 += 1\ngoto b{}\n", i, i + 1);
    return text;
}

const SliceCase kCases[] = {
    {"ten thousand jumps back", backwards(10'000), 1, {"r8 += 1"}, {"r0 = 2"}},
    {"ends at the lookup",
     kKey + lookup(1) + kOrOut + "r1 = 1\n*(u64 *)(r0 + 0) = r1\n" + kOut,
     1,
     {"if r4 > r3 goto", "r7 = *(u32 *)(r2 + 0)"},
     {"if r0 == 0", "*(u64 *)(r0 + 0)", "r0 = 2"}},
    {"no lookup", kKey + kOut, 0, {}, {}},
    {"an array's lookup is cheap", kKey + lookup(2) + kOut, 0, {}, {}},
    {"a trie",
     "*(u64 *)(r10 - 8) = 8\nr2 = r10\nr2 += -8\nr1 = map[fd:3]\ncall bpf_map_lookup_elem#1\n" + kOut,
     1,
     {},
     {}},
    {"an array's lookup on the way",
     kKey + lookup(2) + kOrOut + "r7 = *(u64 *)(r0 + 0)\n*(u32 *)(r10 - 4) = r7\n" + lookup(1) + kOut,
     1,
     {"lookup in", "if r0 == 0 goto", "r7 = *(u64 *)(r0 + 0)"},
     {}},
    {"map values are not written",
     kKey + lookup(2) + kOrOut +
         "r8 = *(u64 *)(r0 + 0)\n*(u64 *)(r0 + 0) = 5\nlock *(u64 *)(r0 + 0) += r8\n" +
         "*(u32 *)(r10 - 4) = r8\n" + lookup(1) + kOut,
     1,
     {"r8 = *(u64 *)(r0 + 0)"},
     {"*(u64 *)(r0 + 0) = 5", "lock"}},
    {"what an atomic fetches is 0",
     kKey + lookup(2) + kOrOut + "r8 = 3\nr8 = atomic64_fetch_add((u64 *)(r0 + 0), r8)\n" +
         "*(u32 *)(r10 - 4) = r8\n" + lookup(1) + kOut,
     1,
     {"w8 = 0"},
     {"atomic"}},
    {"packets are not written",
     kKey + "*(u8 *)(r2 + 0) = 1\n" + lookup(1) + kOut,
     1,
     {"r7 = *(u32 *)(r2 + 0)"},
     {"*(u8 *)(r2 + 0) = 1"}},
    {"a second lookup behind the first",
     kKey + lookup(1) + kOrOut + "r7 = *(u32 *)(r0 + 0)\n*(u32 *)(r10 - 4) = r7\n" + lookup(5) + kOut,
     2,
     {"if r0 != 1 goto", "r7 = *(u32 *)(r0 + 0)"},
     {}},
    {"other helpers end it", kKey + "call bpf_ktime_get_ns#5\n" + lookup(1) + kOut, 0, {}, {}},
    {"so do those that move the packet",
     kKey + "r1 = r6\nr2 = 4\ncall bpf_xdp_adjust_head#44\n" + lookup(1) + kOut,
     0,
     {},
     {}},
    {"and sub-programs", kKey + "r1 = 1\ncall f\n" + lookup(1) + kOut + "f:\nr0 = r1\nexit\n", 0, {}, {}},
    {"on one path only",
     kKey + "if r7 == 5 goto calls\n" + lookup(1) + "goto out\ncalls:\ncall bpf_ktime_get_ns#5\n" +
         lookup(5) + kOut,
     1,
     {"if r7 == 5 goto"},
     {"ktime"}},
    {"it leaves by a tail call",
     kKey + "r1 = r6\nr2 = map[fd:4]\nr3 = 1\ncall bpf_tail_call#12\n" + kOut,
     0,
     {"tail call"},
     {}},
};

TEST_F(SliceTest, HoldsWhatLeadsToLookups) {
    for (const SliceCase& c : kCases) {
        const std::string slice = sliced(c.program);
        SCOPED_TRACE(std::string(c.name) + ": " + slice);
        EXPECT_EQ(count(slice, "ahead_visit"), c.visits);
        EXPECT_EQ(slice == "none", c.visits == 0 && c.kept.empty());
        for (const char* part : c.kept) EXPECT_EQ(count(slice, part) > 0, true) << part;
        for (const char* part : c.absent) EXPECT_EQ(count(slice, part), 0U) << part;
    }
}

TEST_F(SliceTest, SitesAreNumberedByWhatComesBefore) {
    const auto program =
        lowered(kKey + lookup(1) + kOrOut + "if r7 == 3 goto out\n" + lookup(1) + kOrOut + lookup(5) + kOut);
    ASSERT_TRUE(program) << program.error().message;
    const auto& sites = *program->slice()->ahead_sites();
    ASSERT_EQ(sites.size(), 3U);
    for (u32 i = 0; i < 3; ++i) {
        EXPECT_EQ(sites[i].map, maps_[i < 2 ? 0 : 4].get());
        EXPECT_EQ(sites[i].depth, i);
        EXPECT_EQ(sites[i].followed, i < 2);
        EXPECT_TRUE(sites[i].in_words);
    }
}

TEST_F(SliceTest, LookupsFarBehindAreLeftOut) {
    std::string text = kKey;
    for (u32 i = 0; i < kAheadPasses + 2; ++i) text += lookup(1) + kOrOut;
    const auto program = lowered(text + kOut);
    ASSERT_TRUE(program) << program.error().message;
    EXPECT_EQ(program->slice()->ahead_sites()->size(), kAheadPasses);
}

/// What the map is told of a key by slices of all kinds of stores.
TEST_F(SliceTest, KeysOfPiecesAreReadInPieces) {
    const char* const stores[] = {
        "*(u32 *)(r10 - 4) = r7\n",
        "*(u16 *)(r10 - 4) = r7\nr7 >>= 16\n*(u16 *)(r10 - 2) = r7\n",
        "*(u8 *)(r10 - 4) = r7\nr7 >>= 8\n*(u8 *)(r10 - 3) = r7\nr7 >>= 8\n*(u16 *)(r10 - 2) = r7\n",
        "*(u64 *)(r10 - 8) = r7\nr7 >>= 3\n*(u32 *)(r10 - 4) = r7\n",
    };
    const u32 loads[] = {1, 2, 3, 1};
    for (u32 i = 0; i < std::size(stores); ++i) {
        const std::string slice =
            sliced("r7 = *(u32 *)(r1 + 12)\n" + std::string(stores[i]) + lookup(1) + "r0 = 2\nexit\n");
        EXPECT_EQ(count(slice, "= *(u"), 1 + loads[i]) << slice;
    }
}

} // namespace
} // namespace xdplane
