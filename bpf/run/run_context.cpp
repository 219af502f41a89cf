// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
#include "bpf/run/run_context.h"

#include <cstdio>
#include <memory>

namespace xdplane {

constinit thread_local RunContext t_run;

namespace {

/// The highest CPU of a list such as "0-3,8-11", plus one.
u32 read_possible_cpus() {
    const std::unique_ptr<std::FILE, int (*)(std::FILE*)> file(
        std::fopen("/sys/devices/system/cpu/possible", "re"), &std::fclose);
    if (!file) return 1;
    u32 highest = 0;
    u32 cpu = 0;
    while (std::fscanf(file.get(), "%u", &cpu) == 1) {
        highest = cpu;
        const int separator = std::fgetc(file.get());
        if (separator != '-' && separator != ',') break;
    }
    return highest + 1;
}

} // namespace

u32 num_possible_cpus() {
    static const u32 count = read_possible_cpus();
    return count;
}

} // namespace xdplane
