// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
#pragma once
#include <chrono>
#include <condition_variable>
#include <cstdio>
#include <mutex>
#include <thread>

#include "bpf/helpers/trace_log.h"

namespace xdplane::cli {

/// Prints what programs say with bpf_trace_printk to standard error, a line each with its time in seconds and
/// its CPU, from a thread of its own for as long as it lives; at the end the rest, and how many lines were
/// lost because programs wrote faster.
class TracePrinter {
public:
    TracePrinter() : thread_([this](const std::stop_token& stop) { loop(stop); }) {}
    ~TracePrinter() {
        thread_.request_stop();
        thread_.join();
        print();
        if (const u64 lost = TraceLog::instance().lost(); lost != 0)
            std::fprintf(stderr, "trace: %llu lines were lost\n", static_cast<unsigned long long>(lost));
    }
    TracePrinter(const TracePrinter&) = delete;
    TracePrinter& operator=(const TracePrinter&) = delete;

private:
    void loop(const std::stop_token& stop) {
        std::mutex mutex;
        std::condition_variable_any wake;
        std::unique_lock lock(mutex);
        while (
            !wake.wait_for(lock, stop, std::chrono::milliseconds(20), [&] { return stop.stop_requested(); }))
            print();
    }

    static void print() {
        TraceLog::instance().drain([](const TraceLog::Line& line) {
            std::fprintf(stderr, "trace: %llu.%09llu [%03u] %.*s\n",
                         static_cast<unsigned long long>(line.time_ns / 1'000'000'000),
                         static_cast<unsigned long long>(line.time_ns % 1'000'000'000), line.cpu,
                         static_cast<int>(line.text.size()), line.text.data());
        });
    }

    std::jthread thread_;
};

} // namespace xdplane::cli
