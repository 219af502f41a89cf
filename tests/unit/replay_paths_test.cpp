// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
//
// The ways a replay can take (one core in place, frames, slabs by flow, slabs by range, rounds from memory)
// against one written down here in a few lines: every byte of every output, on every capture. And captures
// that change, or are longer than the memory.
#include <algorithm>
#include <filesystem>
#include <fstream>
#include <gtest/gtest.h>
#include <sstream>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "pcap_replay/capture_writer.h"
#include "pcap_replay/crc32c.h"
#include "pcap_replay/replay.h"
#include "tests/support/fake_program.h"
#include "tests/support/long_capture.h"
#include "tests/support/places.h"

namespace xdplane {
namespace {

namespace fs = std::filesystem;

const fs::path kCaptures = source_path("tests/captures");

std::string bytes_of(const std::string& path) {
    std::ostringstream text;
    text << std::ifstream(path, std::ios::binary).rdbuf();
    return text.str();
}

/// Two thirds pass, in runs and alone.
u32 some_pass(XdpBuff* packet, RunContext*) { return crc32c(packet->data, packet->length()) % 3; }

class ReplayPaths : public testing::Test {
protected:
    ReplayPaths() { fs::create_directories(directory_); }
    ~ReplayPaths() override { fs::remove_all(directory_); }
    [[nodiscard]] std::string path(const std::string& name) const { return directory_ / name; }

    struct Way {
        u32 workers;
        bool writes; ///< the program says that it writes
        bool map;    ///< the chain has state
        bool leaves; ///< it leaves the fields of packets alone
        u64 loops;
    };

    /// passed, dropped and lines as they must be: packet by packet, without a thought of speed.
    void expect(const std::string& capture, u64 loops) {
        auto reader = CaptureReader::open(capture);
        ASSERT_TRUE(reader) << reader.error().message;
        const CaptureWriter::Format format{(*reader)->format().link_type, (*reader)->format().nanoseconds};
        auto passed = CaptureWriter::open(path("expected.pass"), format);
        auto dropped = CaptureWriter::open(path("expected.drop"), format);
        std::ofstream lines(path("expected.lines"));
        u64 first = ~u64{0};
        u64 last = 0;
        u64 shift = 0;
        u64 index = 0;
        for (u64 round = 0; round < loops; ++round) {
            CapturedPacket packet;
            while ((*reader)->next(packet) && packet.link_type == format.link_type) {
                const u32 crc = crc32c(packet.data, packet.captured);
                (crc % 3 != 0 ? *passed : *dropped)
                    .write(packet.data, packet.captured, packet.wire_len, packet.timestamp_ns + shift);
                lines << fmt::format("{}\t{}\t{}\t{:08x}\n", index++, crc % 3, packet.captured, crc);
                first = std::min(first, packet.timestamp_ns);
                last = std::max(last, packet.timestamp_ns);
            }
            if ((*reader)->error() || (*reader)->packets() != index / (round + 1)) break;
            if (round == 0)
                shift = last - first + 1000;
            else
                shift += last - first + 1000;
            ASSERT_TRUE((*reader)->rewind());
        }
        ASSERT_TRUE(passed->finish());
        ASSERT_TRUE(dropped->finish());
    }

    void compare(const std::string& capture, const Way& way) {
        SCOPED_TRACE(fmt::format("{} workers {} writes {} map {} leaves {} loops {}", capture, way.workers,
                                 way.writes, way.map, way.leaves, way.loops));
        std::vector<std::shared_ptr<Map>> maps;
        if (way.map) maps.push_back(fake_map());
        const ContextUse use = way.leaves ? ContextUse::none() : ContextUse();
        auto chain =
            Chain::make({{"fake", fake_program(some_pass, maps, way.writes, use), StageKind::filter}});
        ASSERT_EQ(chain->stateless(), !way.map);
        ReplayOptions options;
        options.workers = way.workers;
        options.loops = way.loops;
        options.passed = path("pass");
        options.dropped = path("drop");
        options.per_packet = path("lines");
        auto inputs = open_inputs({capture});
        ASSERT_TRUE(inputs) << inputs.error().message;
        const auto summary = replay(*chain, *inputs, options);
        ASSERT_TRUE(summary) << summary.error().message;
        for (const char* name : {"pass", "drop", "lines"})
            EXPECT_TRUE(bytes_of(path(name)) == bytes_of(path(std::string("expected.") + name))) << name;
        EXPECT_EQ(summary->packets, summary->verdicts[kPass] + summary->verdicts[kDrop]);
    }

    void compare_all_ways(const std::string& capture) {
        for (const u64 loops : {1, 3}) {
            expect(capture, loops);
            for (u32 workers = 1; workers <= std::min(4U, num_possible_cpus()); ++workers)
                for (const bool writes : {false, true})
                    for (const bool map : {false, true})
                        for (const bool leaves : {false, true})
                            compare(capture, {workers, writes, map, leaves, loops});
        }
    }

    fs::path directory_ = fs::path(testing::TempDir()) / fmt::format("replay_paths_{}", ::getpid());
};

TEST_F(ReplayPaths, AllCapturesAlike) {
    u32 captures = 0;
    for (const auto& entry : fs::recursive_directory_iterator(kCaptures)) {
        if (!entry.is_regular_file() || !CaptureReader::open(entry.path())) continue;
        compare_all_ways(entry.path());
        ++captures;
    }
    EXPECT_GT(captures, 40U);
}

TEST_F(ReplayPaths, CapturesOfManyWindows) {
    write_long_pcap(path("micro"), 2000);
    write_long_pcap(path("nano"), 1500, true);
    write_long_pcapng(path("ng"), 2000);
    for (const char* name : {"micro", "nano", "ng"}) {
        ASSERT_GT(fs::file_size(path(name)), 10 * CaptureBytes::kWindow);
        compare_all_ways(path(name));
    }
}

/// A capture of another precision than the outputs have is written anew, not copied.
TEST_F(ReplayPaths, PrecisionIsThatOfTheFinestInput) {
    write_long_pcap(path("micro"), 300);
    write_long_pcap(path("nano"), 300, true);
    auto chain = Chain::make({{"fake", fake_program([](XdpBuff*, RunContext*) -> u32 { return XDP_PASS; })}});
    ReplayOptions options;
    options.passed = path("pass");
    auto inputs = open_inputs({path("micro"), path("nano")});
    ASSERT_TRUE(replay(*chain, *inputs, options));
    const auto stamps_of = [](const std::string& file, std::vector<u64> stamps = {}) {
        auto reader = CaptureReader::open(file);
        CapturedPacket packet;
        while ((*reader)->next(packet)) stamps.push_back(packet.timestamp_ns);
        return stamps;
    };
    EXPECT_EQ(stamps_of(path("pass")), stamps_of(path("nano"), stamps_of(path("micro"))));
}

std::string g_capture;
u32 cut_at_100(XdpBuff* packet, RunContext*) {
    if (packet->index == 100) fs::resize_file(g_capture, 3'000'000);
    return XDP_PASS;
}

/// Of a mapping pages go that were given to workers already; that is no signal, and it is said.
TEST_F(ReplayPaths, AMappedCaptureThatIsCutMeanwhileIsDamaged) {
    for (const bool pcapng : {false, true})
        for (u32 workers = 1; workers <= std::min(2U, num_possible_cpus()); ++workers) {
            SCOPED_TRACE(fmt::format("pcapng {} workers {}", pcapng, workers));
            g_capture = path("cut");
            pcapng ? write_long_pcapng(g_capture, 5000) : write_long_pcap(g_capture, 5000);
            auto chain = Chain::make({{"fake", fake_program(cut_at_100)}});
            ReplayOptions options;
            options.workers = workers;
            options.passed = path("pass");
            auto inputs = open_inputs({g_capture}, {1, ~u64{0}});
            const auto summary = replay(*chain, *inputs, options);
            ASSERT_TRUE(summary) << summary.error().message;
            ASSERT_TRUE(summary->damage);
            EXPECT_NE(summary->damage->message.find("the file became shorter while it was read"),
                      std::string::npos)
                << summary->damage->message;
            EXPECT_GT(summary->packets, 100U);
            EXPECT_LT(summary->packets, 5000U);
        }
}

TEST_F(ReplayPaths, ACaptureThatIsCutMeanwhileIsDamaged) {
    for (const bool pcapng : {false, true})
        for (u32 workers = 1; workers <= std::min(2U, num_possible_cpus()); ++workers) {
            SCOPED_TRACE(fmt::format("pcapng {} workers {}", pcapng, workers));
            g_capture = path("cut");
            pcapng ? write_long_pcapng(g_capture, 5000) : write_long_pcap(g_capture, 5000);
            ASSERT_GT(fs::file_size(g_capture), 12'000'000U); // more than all windows together
            auto chain = Chain::make({{"fake", fake_program(cut_at_100)}});
            ReplayOptions options;
            options.workers = workers;
            options.passed = path("pass");
            auto inputs = open_inputs({g_capture});
            const auto summary = replay(*chain, *inputs, options);
            ASSERT_TRUE(summary) << summary.error().message;
            ASSERT_TRUE(summary->damage);
            EXPECT_NE(summary->damage->message.find(
                          fmt::format("packet {}: the file became shorter", summary->packets)),
                      std::string::npos)
                << summary->damage->message;
            EXPECT_GT(summary->packets, 100U);
            EXPECT_LT(summary->packets, 5000U);
            auto written = CaptureReader::open(options.passed);
            CapturedPacket packet;
            while ((*written)->next(packet)) {
            }
            EXPECT_EQ((*written)->packets(), summary->packets);
            EXPECT_FALSE((*written)->error());
        }
}

/// A file of half a gigabyte, most of it holes, in a process that may not have as much.
TEST_F(ReplayPaths, MemoryIsBoundedWhateverTheSize) {
    constexpr u32 kPackets = 2048;
    constexpr u32 kRecord = 262144;
    {
        std::ofstream out(path("huge"), std::ios::binary);
        std::string header;
        long_capture::put(header, {0xa1b2c3d4, 0x00040002, 0, 0, kRecord, 1});
        out << header;
        for (u32 i = 0; i < kPackets; ++i) {
            header.clear();
            long_capture::put(header, {i, 0, kRecord, kRecord});
            out << header;
            out.seekp(kRecord, std::ios::cur);
        }
        out.seekp(-1, std::ios::cur) << '\0';
    }
    ASSERT_GT(fs::file_size(path("huge")), u64{kPackets} * kRecord);
    const pid_t child = ::fork();
    if (child == 0) {
        u64 pages = 0;
        std::ifstream("/proc/self/statm") >> pages;
        const rlim_t most = pages * static_cast<u64>(::getpagesize()) + (u64{192} << 20);
        const rlimit limit{.rlim_cur = most, .rlim_max = most};
        ::setrlimit(RLIMIT_AS, &limit);
        auto chain =
            Chain::make({{"fake", fake_program([](XdpBuff*, RunContext*) -> u32 { return XDP_PASS; })}});
        auto inputs = open_inputs({path("huge")});
        if (!inputs) ::_exit(1);
        const auto summary = replay(*chain, *inputs, {});
        ::_exit(summary && !summary->damage && summary->packets == kPackets ? 0 : 2);
    }
    int status = 0;
    ASSERT_EQ(::waitpid(child, &status, 0), child);
    EXPECT_EQ(status, 0);
}

} // namespace
} // namespace xdplane
