// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
//
// What running ahead gains and costs, by the size of the map: the same packets through the same program with
// run-ahead off, on and automatic, and through C++ of the same meaning that calls the map's own lookup,
// interleaved in one run. Arguments: names of cases; none: all.
#include <algorithm>
#include <arpa/inet.h>
#include <bpf/libbpf.h>
#include <cstdio>
#include <cstring>
#include <ctime>
#include <fmt/format.h>
#include <functional>
#include <linux/if_ether.h>
#include <netinet/ip.h>
#include <random>
#include <string>
#include <vector>

#include "bpf/libbpf/object.h"
#include "bpf/maps/run_ahead.h"
#include "bpf/run/run_context.h"

using namespace xdplane;

namespace {

constexpr u32 kPackets = 1 << 18;
constexpr u32 kPacketBytes = 64;
constexpr u32 kRounds = 7;

struct FlowKey {
    u32 saddr, daddr;
    u16 sport, dport;
    u32 protocol;
};
struct Prefix {
    u32 length, address;
};

struct Case {
    const char* name;
    const char* program;
    u32 entries;
};
constexpr Case kCases[] = {
    {"flow_1k", "flow8", 1000},        {"flow_16k", "flow8", 16384},
    {"flow_64k", "flow8", 65536},      {"flow_256k", "flow8", 262144},
    {"flow_1m", "flow8", 1000000},     {"flow_16m", "flow8", 16000000},
    {"flow_1k_64", "flow64", 1000},    {"flow_64k_64", "flow64", 65536},
    {"flow_1m_64", "flow64", 1000000}, {"flow_16m_64", "flow64", 8000000},
    {"lpm_1k", "lpm", 1000},           {"lpm_100k", "lpm", 100000},
    {"lpm_1m", "lpm", 1000000},        {"balance_1m", "balance", 1000000},
};

std::mt19937_64 g_random(5);
u32 random32() { return static_cast<u32>(g_random()); }

FlowKey random_flow() {
    return {random32(), random32(), static_cast<u16>(random32()), static_cast<u16>(random32()), 6};
}

/// What a case is measured with.
class Workload {
public:
    explicit Workload(const Case& which) : case_(which) {}

    bool load(const char* file) {
        auto opened = Object::open(file);
        if (!opened) return report(opened.error());
        object_ = std::move(*opened);
        const std::vector<std::string> names{case_.program};
        if (auto r = object_->select(names); !r) return report(r.error());
        bpf_map* map = nullptr;
        bpf_object__for_each_map(map, object_->handle()) bpf_map__set_max_entries(map, case_.entries);
        if (auto r = object_->load(); !r) return report(r.error());
        program_ = object_->program(case_.program);
        fill_maps();
        make_packets();
        return true;
    }

    u64 run_program() {
        u64 sum = 0;
        for (u32 at = 0; at < kPackets; at += kBurst) {
            program_->entry().run_burst(&program_->entry(), &packets_[at % packets_.size()], kBurst, &t_run);
            point_at(at + kBurst);
            for (u32 i = 0; i < kBurst; ++i) sum += packets_[i].verdict;
        }
        return sum;
    }
    u64 run_native() {
        u64 sum = 0;
        for (u32 at = 0; at < kPackets; at += kBurst) {
            for (u32 i = 0; i < kBurst; ++i) sum += native_(packets_[i]);
            point_at(at + kBurst);
        }
        return sum;
    }

private:
    static bool report(const Error& error) {
        fmt::print(stderr, "{}\n", error.message);
        return false;
    }

    Map& map(std::string_view name) {
        for (const auto& map : program_->parts().maps)
            if (map->spec().name == name) return *map;
        std::abort();
    }
    static void put(Map& map, const void* key, const void* value) {
        if (map.ops().update(map, key, value, 0) != 0) fmt::print(stderr, "a map is full\n");
    }

    void fill_maps() {
        const std::string_view program = case_.program;
        const std::array<u64, 8> value{};
        for (u32 i = 0; i < case_.entries; ++i) {
            FlowKey key = random_flow();
            if (program == "flow8") put(map("flows8"), &key, value.data());
            if (program == "flow64") put(map("flows64"), &key, value.data());
            if (program == "lpm") {
                const Prefix prefix{16 + random32() % 9, key.daddr};
                put(map("routes"), &prefix, value.data());
            }
            if (program == "balance") {
                key.daddr &= 0xff;
                const u32 real = i;
                put(map("vips"), &key.daddr, &real);
                put(map("connections"), &key, &real);
                put(map("reals"), &real, value.data());
            }
            keys_.push_back(key);
        }
        if (program == "flow8")
            native_ = [&flows = map("flows8")](const XdpBuff& p) { return native_flow(flows, p); };
        if (program == "flow64")
            native_ = [&flows = map("flows64")](const XdpBuff& p) { return native_flow(flows, p); };
        if (program == "lpm")
            native_ = [&routes = map("routes")](const XdpBuff& p) { return native_lpm(routes, p); };
        if (program == "balance")
            native_ = [&vips = map("vips"), &connections = map("connections"), &reals = map("reals")](
                          const XdpBuff& p) { return native_balance(vips, connections, reals, p); };
    }

    void make_packets() {
        bytes_.assign(u64{kPackets} * kPacketBytes, 0);
        for (u32 i = 0; i < kPackets; ++i) {
            u8* at = &bytes_[u64{i} * kPacketBytes];
            const FlowKey& key = keys_[g_random() % keys_.size()];
            const u16 type = htons(ETH_P_IP);
            std::memcpy(at + 12, &type, 2);
            iphdr ip{};
            ip.version = 4;
            ip.ihl = 5;
            ip.protocol = static_cast<u8>(key.protocol);
            ip.saddr = key.saddr;
            ip.daddr = key.daddr;
            std::memcpy(at + 14, &ip, sizeof ip);
            std::memcpy(at + 34, &key.sport, 2);
            std::memcpy(at + 36, &key.dport, 2);
        }
        packets_.resize(kBurst);
        point_at(0);
    }
    void point_at(u32 first) {
        for (u32 i = 0; i < kBurst; ++i) {
            XdpBuff& packet = packets_[i];
            packet.data = &bytes_[u64{(first + i) % kPackets} * kPacketBytes];
            packet.data_end = packet.data + kPacketBytes;
            packet.data_meta = packet.data;
            packet.hard_start = packet.data;
            packet.frame_end = packet.data_end;
        }
    }

    static bool parse(const XdpBuff& packet, FlowKey& key) {
        iphdr ip;
        u16 type;
        if (packet.length() < 34) return false;
        std::memcpy(&type, packet.data + 12, 2);
        std::memcpy(&ip, packet.data + 14, sizeof ip);
        const u32 header = ip.ihl * 4U;
        if (type != htons(ETH_P_IP) || header < 20 || packet.length() < 14 + header + 4) return false;
        if (ip.protocol != 6 && ip.protocol != 17) return false;
        key.saddr = ip.saddr;
        key.daddr = ip.daddr;
        std::memcpy(&key.sport, packet.data + 14 + header, 2);
        std::memcpy(&key.dport, packet.data + 16 + header, 2);
        key.protocol = ip.protocol;
        return true;
    }
    static u32 native_flow(Map& flows, const XdpBuff& packet) {
        FlowKey key;
        if (!parse(packet, key)) return kPass;
        u64* value = static_cast<u64*>(flows.ops().lookup(flows, &key));
        if (value == nullptr) return kDrop;
        *value += 1;
        return kPass;
    }
    static u32 native_lpm(Map& routes, const XdpBuff& packet) {
        FlowKey key;
        if (!parse(packet, key)) return kPass;
        const Prefix prefix{32, key.daddr};
        const u64* route = static_cast<u64*>(routes.ops().lookup(routes, &prefix));
        if (route == nullptr) return kDrop;
        return *route & 1 ? kTx : kPass;
    }
    static u32 native_balance(Map& vips, Map& connections, Map& reals, const XdpBuff& packet) {
        FlowKey key;
        if (!parse(packet, key)) return kPass;
        if (vips.ops().lookup(vips, &key.daddr) == nullptr) return kPass;
        const u32* found = static_cast<u32*>(connections.ops().lookup(connections, &key));
        if (found == nullptr) return kDrop;
        u64* real = static_cast<u64*>(reals.ops().lookup(reals, found));
        if (real == nullptr) return kAborted;
        *real += 1;
        return kTx;
    }

    Case case_;
    std::unique_ptr<Object> object_;
    std::shared_ptr<const Program> program_;
    std::function<u32(const XdpBuff&)> native_;
    std::vector<FlowKey> keys_;
    std::vector<u8> bytes_;
    std::vector<XdpBuff> packets_;
};

struct Engine {
    const char* name;
    bool native;
    RunAhead mode;
};
constexpr Engine kEngines[] = {{"native", true, RunAhead::off},
                               {"off", false, RunAhead::off},
                               {"on", false, RunAhead::on},
                               {"auto", false, RunAhead::automatic}};

/// Of this thread: others may run on the machine.
double cpu_time_ns() {
    timespec now;
    ::clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return static_cast<double>(now.tv_sec) * 1e9 + static_cast<double>(now.tv_nsec);
}

void measure(const Case& which, const char* file) {
    Workload workload(which);
    if (!workload.load(file)) return;
    std::array<std::vector<double>, std::size(kEngines)> times;
    std::array<u64, std::size(kEngines)> sums{};
    for (u32 round = 0; round < kRounds; ++round) {
        for (std::size_t e = 0; e < std::size(kEngines); ++e) {
            set_run_ahead(kEngines[e].mode);
            const double start = cpu_time_ns();
            sums[e] = kEngines[e].native ? workload.run_native() : workload.run_program();
            times[e].push_back((cpu_time_ns() - start) / kPackets);
        }
    }
    fmt::print("{:12}", which.name);
    for (std::size_t e = 0; e < std::size(kEngines); ++e) {
        std::ranges::sort(times[e]);
        fmt::print("  {} {:6.1f}", kEngines[e].name, times[e][kRounds / 2]);
        if (sums[e] != sums[0]) fmt::print(" DIFFERENT RESULTS");
    }
    fmt::print("\n");
    std::fflush(stdout);
}

} // namespace

int main(int argc, char** argv) {
    if (argc < 2) return 2;
    t_run.cpu = 0;
    for (const Case& which : kCases) {
        const auto wanted = [&](const char* name) { return std::strcmp(name, which.name) == 0; };
        if (argc == 2 || std::any_of(argv + 2, argv + argc, wanted)) measure(which, argv[1]);
    }
    return 0;
}
