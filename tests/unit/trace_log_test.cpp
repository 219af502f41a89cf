// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
#include "bpf/helpers/trace_log.h"

#include <gtest/gtest.h>
#include <map>
#include <string>
#include <thread>
#include <vector>

namespace xdplane {
namespace {

// Every line is read once, whole, and in the order of its writer, or counted as lost.
TEST(TraceLog, ManyWritersOneReader) {
    TraceLog& log = TraceLog::instance();
    constexpr u32 writers = 3;
    constexpr u64 lines = 20'000;
    std::atomic<u32> running{writers};
    std::vector<std::thread> threads;
    for (u32 cpu = 0; cpu < writers; ++cpu)
        threads.emplace_back([&, cpu] {
            for (u64 i = 1; i <= lines; ++i)
                log.write(std::string(i % 100, static_cast<char>('a' + cpu)), i, cpu);
            running.fetch_sub(1);
        });
    std::map<u32, u64> last;
    u64 read = 0;
    const auto check = [&](const TraceLog::Line& line) {
        EXPECT_GT(line.time_ns, last[line.cpu]);
        last[line.cpu] = line.time_ns;
        EXPECT_EQ(line.text, std::string(line.time_ns % 100, static_cast<char>('a' + line.cpu)));
        ++read;
    };
    while (running.load() != 0) log.drain(check);
    for (std::thread& thread : threads) thread.join();
    log.drain(check);
    EXPECT_EQ(read + log.lost(), writers * lines);
    EXPECT_GE(read, TraceLog::kRecords);
}

} // namespace
} // namespace xdplane
