// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
//
// What a stage costs: in chains whose stages are independent (a burst goes stage by stage) or share a map
// (packet by packet), and in a row of tail calls. ns per packet and stage, and what the chain costs beside
// its programs alone.
#include <algorithm>
#include <ctime>
#include <fmt/format.h>
#include <functional>
#include <vector>

#include "bpf/libbpf/object.h"
#include "bpf/maps/prog_array.h"
#include "dataplane/chain.h"
#include "dataplane/run_scope.h"

using namespace xdplane;

namespace {

constexpr u32 kBursts = 2000;
constexpr u32 kRounds = 9;

struct Packets {
    Packets() {
        burst.count = kBurst;
        for (u32 i = 0; i < kBurst; ++i) {
            XdpBuff& packet = burst.packets[i];
            packet = {};
            packet.data = packet.data_meta = packet.hard_start = &bytes[i * 64];
            packet.data_end = packet.frame_end = packet.data + 60;
        }
    }
    std::array<u8, u64{kBurst} * 64> bytes{};
    Burst burst;
};

/// Of this thread: others may run on the machine.
double cpu_time_ns() {
    timespec now;
    ::clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return static_cast<double>(now.tv_sec) * 1e9 + static_cast<double>(now.tv_nsec);
}

/// Median ns per packet.
double time_of(const std::function<void()>& burst) {
    std::vector<double> times;
    for (u32 round = 0; round < kRounds; ++round) {
        const double start = cpu_time_ns();
        for (u32 i = 0; i < kBursts; ++i) burst();
        times.push_back((cpu_time_ns() - start) / (u64{kBursts} * kBurst));
    }
    std::ranges::sort(times);
    return times[kRounds / 2];
}

std::unique_ptr<Object> load(const char* file, const std::vector<std::string>& names) {
    auto object = Object::open(file);
    if (!object) std::exit(1);
    if (!(*object)->select(names) || !(*object)->load()) std::exit(1);
    return std::move(*object);
}

void chain(const char* file, const char* program, u32 count, Packets& packets) {
    const auto object = load(file, {program});
    std::vector<Stage> stages;
    for (u32 i = 0; i < count; ++i)
        stages.push_back({std::to_string(i), object->program(program), StageKind::xdp});
    const auto made = Chain::make(std::move(stages));
    if (!made) std::exit(1);
    ChainStats stats(count);
    Verdicts verdicts;
    const double whole = time_of([&] { made->judge(packets.burst, verdicts, stats); });
    const auto alone = object->program(program);
    const double own = time_of([&] {
        for (u32 i = 0; i < count; ++i) alone->run_burst(packets.burst);
    });
    fmt::print("chain of {:2} {:6} {:6.2f} ns per stage, programs alone {:5.2f}\n", count, program,
               whole / count, own / count);
}

void tail_calls(const char* file, u32 count, Packets& packets) {
    std::vector<std::string> names;
    for (u32 i = 0; i < count; ++i) names.push_back(fmt::format("stage{}", i));
    const auto object = load(file, names);
    ProgArray& array = static_cast<ProgArray&>(*object->map("next"));
    for (u32 i = 1; i < count; ++i)
        if (array.set(i, object->program(names[i])) != 0) std::exit(1);
    const auto first = object->program("stage0");
    const double whole = time_of([&] { first->run_burst(packets.burst); });
    fmt::print("{:2} by tail calls  {:6.2f} ns per stage\n", count, whole / count);
}

} // namespace

int main(int argc, char** argv) {
    if (argc != 2) return 2;
    RunScope scope({});
    Packets packets;
    for (const u32 count : {1U, 4U, 32U}) {
        chain(argv[1], "pass", count, packets);
        chain(argv[1], "count", count, packets);
        tail_calls(argv[1], count, packets);
    }
    return 0;
}
