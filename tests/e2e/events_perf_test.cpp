// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
// Perf buffers.
#include <cerrno>
#include <cstring>
#include <linux/perf_event.h>
#include <memory>
#include <thread>
#include <unistd.h>

#include "tests/e2e/events_support.h"

namespace xdplane::test {
namespace {

/// A stock perf buffer, and what came out of it.
struct StreamReader {
    struct Sample {
        int cpu;
        std::string bytes;
    };
    StreamReader(int fd, size_t pages) : buffer(perf_buffer__new(fd, pages, take, lost, this, nullptr)) {
        EXPECT_NE(buffer, nullptr) << std::strerror(errno);
    }
    ~StreamReader() { perf_buffer__free(buffer); }
    StreamReader(const StreamReader&) = delete;
    StreamReader& operator=(const StreamReader&) = delete;
    static void take(void* context, int cpu, void* data, u32 size) {
        static_cast<StreamReader*>(context)->samples.push_back(
            {cpu, std::string(static_cast<const char*>(data), size)});
    }
    static void lost(void* context, int, u64 count) {
        static_cast<StreamReader*>(context)->lost_samples += count;
    }
    perf_buffer* buffer;
    std::vector<Sample> samples;
    u64 lost_samples = 0;
};

TEST_F(Events, PerfBufferGetsDataAndPacketBytes) {
    load();
    StreamReader reader(map_fd("stream"), 1);
    EXPECT_EQ(perf_buffer__poll(reader.buffer, 0), 0);
    u32 number = 0;
    for (const u32 appended : {0U, 1U, 7U, 14U, 64U}) {
        global<u64>("flags") = BPF_F_CURRENT_CPU | u64{appended} << 32;
        run("to_stream");
        ASSERT_EQ(global<__s64>("result"), 0);
        ASSERT_EQ(perf_buffer__poll(reader.buffer, 1000), 1);
        ASSERT_EQ(reader.samples.size(), ++number);
        const auto& sample = reader.samples.back();
        EXPECT_EQ(sample.cpu, cpu);
        Event event;
        std::memcpy(&event, sample.bytes.data(), sizeof event);
        EXPECT_EQ(event.length, 64U);
        EXPECT_EQ(event.number, number - 1);
        // Filled up so that the record is a multiple of 8 bytes.
        EXPECT_EQ(sample.bytes.size(), (sizeof event + appended + 4 + 7) / 8 * 8 - 4);
        EXPECT_EQ(sample.bytes.substr(8, appended), std::string(appended, '\xab'));
    }
    EXPECT_EQ(perf_buffer__poll(reader.buffer, 0), 0);
}

TEST_F(Events, PerfBufferErrorsAreTold) {
    load();
    const auto output = [&](u64 with) {
        global<u64>("flags") = with;
        run("to_stream");
        return global<__s64>("result");
    };
    EXPECT_EQ(output(BPF_F_CURRENT_CPU), -ENOENT) << "nobody reads";
    EXPECT_EQ(output(1000), -E2BIG);
    StreamReader reader(map_fd("stream"), 1);
    EXPECT_EQ(output(BPF_F_CURRENT_CPU), 0);
    EXPECT_EQ(output(static_cast<u64>(cpu)), 0);
    EXPECT_EQ(output(BPF_F_CURRENT_CPU | u64{65} << 32), -EFAULT) << "more than the packet has";
    EXPECT_EQ(output(BPF_F_CURRENT_CPU | u64{1} << 52), -EINVAL);
    EXPECT_EQ(output(BPF_F_CURRENT_CPU | u64{0xfffff} << 32), -EFAULT);
    const int other = 1 - cpu;
    if (sysconf(_SC_NPROCESSORS_ONLN) == 2) {
        EXPECT_EQ(output(static_cast<u64>(other)), -EOPNOTSUPP);
    }
    EXPECT_EQ(perf_buffer__consume(reader.buffer), 0);
    EXPECT_EQ(reader.samples.size(), 2U);
}

TEST_F(Events, PerfBufferTellsOfLostSamples) {
    load();
    StreamReader reader(map_fd("stream"), 1);
    global<u64>("flags") = BPF_F_CURRENT_CPU;
    u32 sent = 0;
    for (;; ++sent) {
        run("to_stream");
        if (global<__s64>("result") != 0) break;
    }
    EXPECT_EQ(global<__s64>("result"), -ENOSPC);
    EXPECT_EQ(sent, 4095U / 24);
    run("to_stream");
    perf_buffer__poll(reader.buffer, 1000);
    EXPECT_EQ(reader.samples.size(), sent);
    EXPECT_EQ(reader.lost_samples, 0U) << "told with the next sample";
    run("to_stream");
    perf_buffer__poll(reader.buffer, 1000);
    EXPECT_EQ(reader.lost_samples, 2U);
    EXPECT_EQ(reader.samples.size(), sent + 1);
}

TEST_F(Events, PerfBufferWaitsForAnotherThread) {
    load();
    StreamReader reader(map_fd("stream"), 4);
    global<u64>("flags") = BPF_F_CURRENT_CPU;
    for (int round = 0; round < 20; ++round) {
        std::jthread sender([&] { run("to_stream"); });
        ASSERT_EQ(perf_buffer__poll(reader.buffer, 20000), 1);
    }
}

TEST_F(Events, SocketFiltersReachThePerfBuffer) {
    load();
    StreamReader reader(map_fd("stream"), 1);
    global<u64>("flags") = BPF_F_CURRENT_CPU | u64{4} << 32;
    run("from_socket");
    ASSERT_EQ(global<__s64>("result"), 0);
    ASSERT_EQ(perf_buffer__poll(reader.buffer, 1000), 1);
    EXPECT_EQ(reader.samples[0].bytes.substr(8, 4), std::string(4, '\xab'));
}

TEST_F(Events, PerfEventsLeaveWithTheMapsFd) {
    load();
    const int fd = map_fd("stream");
    auto reader = std::make_unique<StreamReader>(fd, 1);
    u32 index = static_cast<u32>(cpu);
    u32 value = 0;
    EXPECT_EQ(bpf_map_lookup_elem(fd, &index, &value), -524);
    EXPECT_EQ(bpf_map_delete_elem(fd, &index), 0);
    EXPECT_EQ(bpf_map_delete_elem(fd, &index), -ENOENT);
}

} // namespace
} // namespace xdplane::test
