// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
//
// Programs in two halves: where they are cut, and that a burst cannot tell.
#include <algorithm>
#include <array>
#include <sstream>

#include "bpf/jit/jit.h"
#include "bpf/maps/run_ahead.h"
#include "bpf/prog/program.h"
#include "tests/support/lookup_program.h"

namespace xdplane {
namespace {

using test::kKey;
using test::kOrOut;
using test::kOut;
using test::lookup;

/// Adds to the value that was found, so that later packets see it.
const std::string kCount = "r1 = *(u64 *)(r0 + 0)\nr1 += r7\n*(u64 *)(r0 + 0) = r1\n";
std::string update(u32 fd, const std::string& value) {
    return "r1 = " + value + "\n*(u64 *)(r10 - 16) = r1\n" +
           fmt::format("r1 = map[fd:{}]\nr2 = r10\nr2 += -4\nr3 = r10\nr3 += -16\nr4 = 0\n"
                       "call bpf_map_update_elem#2\n",
                       fd);
}

struct SplitCase {
    const char* name;
    std::string program;
    std::string stops; ///< the insns, separated by "; ", up to the first comma or address; "none": not cut
};

/// The prefix's length and the data, 8 bytes on the stack.
const std::string kTrie = kKey + "*(u32 *)(r10 - 4) = r7\n*(u32 *)(r10 - 8) = 32\nr2 = r10\nr2 += -8\n"
                                 "r1 = map[fd:3]\ncall bpf_map_lookup_elem#1\n";

/// r8 is what an array holds, r9 where.
const std::string kConfig = kKey + "*(u32 *)(r10 - 4) = 3\n" + lookup(2) + kOrOut +
                            "r9 = r0\nr8 = *(u64 *)(r0 + 0)\n*(u32 *)(r10 - 4) = r7\n";

/// r1 to r5 and r6 to r9 have numbers of the packet's.
const std::string kAllRegisters = "r1 = r7\nr1 += 1\nr3 = r7\nr3 += 3\nr4 = r7\nr4 += 4\nr5 = r7\nr5 += 5\n"
                                  "r8 = r7\nr8 += 8\nr9 = r7\nr9 += 9\nr0 = r7\n";
const std::string kSumOfAll = "r0 += r1\nr0 += r3\nr0 += r4\nr0 += r5\nr0 += r7\nr0 += r8\nr0 += r9\n";

const SplitCase kCases[] = {
    {"at the lookup", kKey + lookup(1) + kOrOut + kCount + "r0 = r1\nexit\n" + kOut, "r0 = lookup in map 0"},
    {"loads that were joined",
     kKey + "r7 = *(u8 *)(r2 + 4)\nr8 = *(u8 *)(r2 + 5)\nr8 <<= 8\nr8 |= r7\nr7 = r8\n" + lookup(1) + kOrOut +
         kCount + "r0 = r1\nexit\n" + kOut,
     "r0 = lookup in map 0"},
    {"no lookup", kKey + kOut, "none"},
    {"an array's only", kKey + lookup(2) + kOrOut + kCount + kOut, "none"},
    {"an array's address does not change",
     kKey + "*(u32 *)(r10 - 4) = 3\n" + lookup(2) + kOrOut + "r8 = r0\n*(u32 *)(r10 - 4) = r7\n" + lookup(1) +
         kOrOut + kCount + "r9 = *(u64 *)(r8 + 0)\nr9 += r7\n*(u64 *)(r8 + 0) = r9\nr0 = r9\nexit\n" + kOut,
     "r0 = lookup in map 1"},
    {"an array that is only read", kConfig + lookup(1) + kOrOut + kCount + "r0 = r8\nr0 += r1\nexit\n" + kOut,
     "r0 = lookup in map 1"},
    {"an array that is written as well",
     kConfig + lookup(1) + kOrOut + "*(u64 *)(r9 + 0) = r7\nr0 = r8\nexit\n" + kOut, "none"},
    {"by an atomic", kConfig + lookup(1) + kOrOut + "lock *(u64 *)(r9 + 0) += r7\nr0 = r8\nexit\n" + kOut,
     "none"},
    {"by a helper", kConfig + lookup(1) + kOrOut + update(2, "r7") + "r0 = r8\nexit\n" + kOut, "none"},
    {"by a helper's result",
     kConfig + lookup(1) + kOrOut +
         "r1 = r6\nr2 = 0\nr3 = r9\nr4 = 8\ncall bpf_xdp_load_bytes#189\nr0 = r8\nexit\n" + kOut,
     "none"},
    {"by a sub-program",
     kConfig + lookup(1) + kOrOut + "r1 = r9\nr2 = r7\ncall f\nr0 = r8\nexit\n" + kOut +
         "f:\n*(u64 *)(r1 + 0) = r2\nr0 = 0\nexit\n",
     "none"},
    {"a clock",
     kKey + "call bpf_ktime_get_ns#5\nr8 = r0\nr8 >>= 63\n" + lookup(1) + kOrOut + kCount +
         "r0 = r8\nr0 += r1\nexit\n" + kOut,
     "r0 = lookup in map 0"},
    {"clocks in both halves",
     kKey + "call bpf_ktime_get_ns#5\nr8 = r0\n" + lookup(1) + kOrOut +
         "call bpf_ktime_get_ns#5\nr0 -= r8\n" + "r0 s>>= 63\nexit\n" + kOut,
     "none"},
    {"a clock in a sub-program",
     kKey + "call bpf_ktime_get_ns#5\nr8 = r0\n" + lookup(1) + kOrOut + "r1 = r8\ncall f\nexit\n" + kOut +
         "f:\nr6 = r1\ncall bpf_ktime_get_ns#5\nr0 -= r6\nr0 s>>= 63\nexit\n",
     "none"},
    {"the CPU's number",
     kKey + "call bpf_get_smp_processor_id#8\nr8 = r0\n" + lookup(1) + kOrOut + kCount + "r0 = r8\nexit\n" +
         kOut,
     "r0 = lookup in map 0"},
    {"a random number",
     kKey + "call bpf_get_prandom_u32#7\nr8 = r0\n" + lookup(1) + kOrOut + "r0 = 4\nexit\n" + kOut, "none"},
    {"a hash that is only read",
     kKey + "*(u32 *)(r10 - 4) = 3\n" + lookup(1) + kOrOut +
         "r8 = *(u64 *)(r0 + 0)\n*(u32 *)(r10 - 4) = r7\n" + lookup(5) + kOrOut + "r0 = r8\nexit\n" + kOut,
     "r0 = lookup in map 0"},
    {"a trie", kTrie + kOrOut + kCount + "r0 = r1\nexit\n" + kOut, "r0 = lookup in map 0"},
    {"an entry that an earlier packet made",
     kKey + lookup(1) + "if r0 != 0 goto found\n" + update(1, "r7") + "r0 = 5\nexit\nfound:\n" + kCount +
         "r0 = r1\nexit\n" + kOut,
     "r0 = lookup in map 0"},
    {"or took away",
     kKey + lookup(1) + "if r0 == 0 goto make\n" + "r1 = map[fd:1]\nr2 = r10\nr2 += -4\n" +
         "call bpf_map_delete_elem#3\nr0 = 6\nexit\nmake:\n" + update(1, "r7") + kOut,
     "r0 = lookup in map 0"},
    {"an LRU hash evicts in the order of packets",
     kKey + lookup(5) + "if r0 != 0 goto found\n" + update(5, "r7") + "r0 = 5\nexit\nfound:\n" + kCount +
         "r0 = r1\nexit\n" + kOut,
     "r0 = lookup in map 0"},
    {"either of two maps",
     kKey + "r8 = r7\nr8 &= 1\nif r8 == 0 goto other\n" + lookup(1) + kOrOut + kCount +
         "r0 = r1\nexit\nother:\n" + lookup(5) + kOrOut + kCount + "r0 = r1\nexit\n" + kOut,
     "r0 = lookup in map 0; r0 = lookup in map 1"},
    {"some paths change something else first",
     kKey + "r8 = r7\nr8 &= 1\nif r8 == 0 goto other\n" + lookup(1) + kOrOut + kCount +
         "r0 = r1\nexit\nother:\n*(u8 *)(r2 + 0) = 9\nr0 = 4\nexit\n" + kOut,
     "r0 = lookup in map 0; *(u8 *)(r2 + 0) = 9"},
    {"with all registers in use",
     kKey + kAllRegisters + "r0 &= 1\nif r0 == 0 goto other\n" + lookup(1) + kOrOut +
         "r0 = r7\nr0 += r8\nr0 += r9\nexit\nother:\n*(u8 *)(r2 + 0) = 9\n" + kSumOfAll + "exit\n" + kOut,
     "r0 = lookup in map 0; *(u8 *)(r2 + 0) = 9"},
    {"a key in the packet",
     kKey + "r1 = map[fd:1]\nr2 += 2\ncall bpf_map_lookup_elem#1\n" + kOrOut + kCount + "r0 = r1\nexit\n" +
         kOut,
     "r0 = lookup in map 0"},
    {"the stop again, in a loop",
     kKey + "r8 = 3\nagain:\n*(u32 *)(r10 - 4) = r7\n" + lookup(1) + "if r0 == 0 goto next\n" + kCount +
         "next:\nr7 += 1\nr7 &= 7\nr8 -= 1\nif r8 != 0 goto again\nr0 = r7\nexit\n" + kOut,
     "r0 = lookup in map 0"},
    {"a loop in front of it",
     kKey + "r8 = 4\nagain:\nr7 *= 3\nr8 -= 1\nif r8 != 0 goto again\nr7 &= 15\n*(u32 *)(r10 - 4) = r7\n" +
         lookup(1) + kOrOut + kCount + "r0 = r1\nexit\n" + kOut,
     "r0 = lookup in map 0"},
    {"may_goto's count",
     kKey + "r8 = 0\nagain:\nmay_goto done\nr8 += 1\nif r8 < r7 goto again\ndone:\n" + lookup(1) + kOrOut +
         kCount + "may_goto out\nr0 = r8\nr0 += r1\nexit\n" + kOut,
     "r0 = lookup in map 0"},
    {"stack that nobody wrote",
     kKey + "r8 = *(u64 *)(r10 - 24)\nr8 += r7\n*(u64 *)(r10 - 24) = r8\n" + lookup(1) + kOrOut + kCount +
         "r0 = *(u64 *)(r10 - 24)\nexit\n" + kOut,
     "r0 = lookup in map 0"},
    {"the first lookup behind other changes",
     kKey + "*(u8 *)(r2 + 0) = 9\n" + lookup(1) + kOrOut + kCount + kOut, "none"},
    {"a second lookup of what the first found",
     kKey + lookup(1) + kOrOut + "r7 = *(u64 *)(r0 + 0)\nr7 &= 7\n*(u32 *)(r10 - 4) = r7\n" + lookup(5) +
         "if r0 == 0 goto make\n" + kCount + "r0 = r1\nexit\nmake:\n" + update(5, "r7") + kOut,
     "r0 = lookup in map 0"},
    {"tail calls",
     kKey + lookup(1) + kOrOut + "r1 = r6\nr2 = map[fd:4]\nr3 = 1\ncall bpf_tail_call#12\n" + kOut, "none"},
    {"a sub-program behind it",
     kKey + lookup(1) + kOrOut + kCount + "r2 = r7\ncall f\nexit\n" + kOut + "f:\nr0 = r1\nr0 += r2\nexit\n",
     "r0 = lookup in map 0"},
    {"much stack", kKey + "*(u64 *)(r10 - 200) = 0\n" + lookup(1) + kOrOut + kCount + kOut, "none"},
};

class SplitTest : public test::LookupProgramTest {
protected:
    void TearDown() override { set_run_ahead(RunAhead::automatic); }

    std::string stops(const LoweredProgram& program) {
        if (program.split() == nullptr) return "none";
        std::vector<std::string> lines;
        std::istringstream listing(program.disassemble());
        for (std::string line; std::getline(listing, line);)
            if (line[0] == ' ') lines.push_back(line.substr(7));
        std::string out;
        for (const u32 stop : program.split()->stops)
            out += (out.empty() ? "" : "; ") + lines.at(stop).substr(0, lines.at(stop).find(" ;"));
        return out;
    }

    static bool is_filled(const Map& map) {
        return map.spec().type != BPF_MAP_TYPE_PROG_ARRAY && map.spec().key_size <= 8;
    }

    /// Fresh maps, some entries in each.
    void make_maps() {
        for (auto& map : maps_) {
            map = create_map(map->spec()).value();
            if (!is_filled(*map)) continue;
            for (u32 i = 0; i < 5; ++i) {
                u64 value = u64{i} * 1000;
                const std::array<u32, 2> key = {map->spec().key_size == 8 ? 32 : i, i};
                ASSERT_EQ(map->ops().store_value(*map, key.data(), &value, BPF_ANY), 0);
            }
        }
    }

    std::string contents() {
        std::string all;
        for (const auto& map : maps_) {
            if (!is_filled(*map)) continue;
            std::array<u32, 2> key;
            u64 value;
            std::vector<std::string> entries;
            for (int found = map->ops().next_key(*map, nullptr, &key); found == 0;) {
                if (map->ops().copy_value(*map, &key, &value, 0) == 0)
                    entries.push_back(
                        fmt::format("{}/{}={}\n", key[0], map->spec().key_size == 8 ? key[1] : 0, value));
                const std::array<u32, 2> last = key;
                found = map->ops().next_key(*map, &last, &key);
            }
            std::ranges::sort(entries);
            for (const std::string& entry : entries) all += entry;
            all += '\n';
        }
        return all;
    }

    /// Verdicts, packets and maps after so many packets, of which each seventh is too short.
    std::string run(const std::string& text, u32 count, RunAhead mode) {
        make_maps();
        auto program = lowered(text);
        EXPECT_TRUE(program) << program.error().message;
        const auto executable = jit(*program);
        EXPECT_TRUE(executable) << executable.error().message;
        set_run_ahead(mode);
        t_run = RunContext{};
        std::vector<std::array<u32, 4>> bytes(count);
        std::vector<XdpBuff> packets(count);
        for (u32 i = 0; i < count; ++i) {
            bytes[i] = {i * 5 % 8, i % 3, i, 0};
            u8* const data = reinterpret_cast<u8*>(bytes[i].data());
            packets[i].data = packets[i].data_meta = data;
            packets[i].data_end = data + (i % 7 == 6 ? 10 : 16);
        }
        const Entry& entry = (*executable)->entry;
        entry.run_burst(&entry, packets.data(), count, &t_run);
        std::string seen;
        for (u32 i = 0; i < count; ++i) seen += fmt::format("{} {}\n", packets[i].verdict, bytes[i][0]);
        return seen + contents();
    }
};

TEST_F(SplitTest, IsCutWhereTheFirstHalfEnds) {
    for (const SplitCase& c : kCases) {
        SCOPED_TRACE(c.name);
        const auto program = lowered(c.program);
        ASSERT_TRUE(program) << program.error().message;
        EXPECT_EQ(stops(*program), c.stops) << program->disassemble();
    }
}

TEST_F(SplitTest, BurstsCannotTell) {
    for (const SplitCase& c : kCases) {
        for (const u32 count : {8U, 63U, 64U, 65U, 200U}) {
            SCOPED_TRACE(fmt::format("{}, {} packets", c.name, count));
            EXPECT_EQ(run(c.program, count, RunAhead::on), run(c.program, count, RunAhead::off));
        }
    }
}

TEST_F(SplitTest, OnlyOnesThatTheMachineCanNoteAreCompiled) {
    // Five maps are one too many for the notes of a burst; a key of 44 bytes is looked up by a call.
    std::string five = kKey;
    for (u32 fd = 6; fd < 11; ++fd) {
        maps_.push_back(make(BPF_MAP_TYPE_HASH, 4, 8));
        five += fmt::format("if r7 == {} goto m{}\n", fd, fd);
    }
    five += "goto out\n";
    for (u32 fd = 6; fd < 11; ++fd)
        five += fmt::format("m{}:\n", fd) + lookup(fd) + kOrOut + kCount + "goto out\n";
    maps_.push_back(make(BPF_MAP_TYPE_HASH, 44, 8));
    std::string long_key = kKey;
    for (u32 at = 44; at > 0; at -= 4) long_key += fmt::format("*(u32 *)(r10 - {}) = r7\n", at);
    long_key += "r2 = r10\nr2 += -44\nr1 = map[fd:11]\ncall bpf_map_lookup_elem#1\n" + kOrOut + kCount + kOut;
    for (const std::string& text : {five + kOut, long_key}) {
        const auto program = lowered(text);
        ASSERT_TRUE(program) << program.error().message;
        EXPECT_NE(program->split(), nullptr);
        EXPECT_EQ(run(text, 64, RunAhead::on), run(text, 64, RunAhead::off));
    }
}

} // namespace
} // namespace xdplane
