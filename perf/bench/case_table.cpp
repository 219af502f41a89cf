// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
#include "perf/bench/case_table.h"

#include <algorithm>
#include <array>

#include "perf/bench/flows.h"

namespace xdplane::bench {
namespace {

/// A value of zeros, as large as any here.
constexpr std::array<u8, 64> kZero{};

void fill_flows(u32 count, u32 most, const PutEntry& put) {
    for (u32 i = 0; i < std::min(count, most); ++i) {
        const FlowKey key = tcp_flow(i);
        put(&key, kZero.data());
    }
}

/// Every verdict is XDP_PASS or XDP_TX.
template<class Prefix>
void fill_prefixes(const std::vector<Prefix>& prefixes, u32 most, const PutEntry& put) {
    for (u32 i = 0; i < std::min<std::size_t>(prefixes.size(), most); ++i) {
        const u64 verdict = 2 + i % 2;
        put(&prefixes[i], &verdict);
    }
}
void fill_prefixes4(u32 count, u32 most, const PutEntry& put) {
    fill_prefixes(make_prefixes4(count), most, put);
}
void fill_prefixes6(u32 count, u32 most, const PutEntry& put) {
    fill_prefixes(make_prefixes6(count), most, put);
}

/// struct rule of programs/acl.h: one of eight drops.
void fill_rules(u32 count, u32 most, const PutEntry& put) {
    struct Rule {
        u64 packets = 0;
        u64 bytes = 0;
        u32 action = 0;
        u32 zero = 0;
    };
    for (u32 i = 0; i < std::min(count, most); ++i) {
        const Rule rule{.action = i % 8 == 7 ? 1U : 2U};
        put(&i, &rule);
    }
}

void fill_counts(u32 count, u32 most, const PutEntry& put) {
    for (u32 i = 0; i < std::min(count, most); ++i) put(&i, kZero.data());
}

/// What programs/lb.h balances: 64 services, each flow's destination one of them.
constexpr u32 kServices = 64;
constexpr u32 kServers = 1024;
constexpr u32 kRing = 4096;

void fill_services(u32, u32 most, const PutEntry& put) {
    for (u64 i = 0; i < std::min(kServices, most); ++i) {
        const ServiceKey key = service(static_cast<u32>(i));
        put(&key, &i);
    }
}
void fill_ring(u32, u32 most, const PutEntry& put) {
    for (u32 i = 0; i < std::min(kServices * kRing, most); ++i) {
        const auto server = static_cast<u32>(scatter(i) % kServers);
        put(&i, &server);
    }
}
void fill_servers(u32, u32 most, const PutEntry& put) {
    for (u32 i = 0; i < std::min(kServers, most); ++i) {
        const u64 mac = (scatter(i) & 0xfffffffffefe) | 2;
        put(&i, &mac);
    }
}
void fill_counters(u32, u32 most, const PutEntry& put) {
    for (u32 i = 0; i < std::min(kServices, most); ++i) put(&i, kZero.data());
}
void put_flow(u32 index, const PutEntry& put) {
    const FlowKey key = tcp_flow(index);
    put(&key, kZero.data());
}

constexpr u32 kSome = 1U << 16;
constexpr u32 kMany = 1U << 20;
constexpr u32 kMost = 1U << 21;
constexpr u32 k64k = 65536;
constexpr u32 k1m = 1'000'000;
constexpr u32 k16m = 16'000'000;

constexpr MapContents kRules{"rules", fill_rules, true};
constexpr MapContents kFlows{"flows", fill_flows, true};
constexpr MapContents kChangedFlows{"flows", fill_flows, false, put_flow};
constexpr MapContents kPrefixes4{"prefixes", fill_prefixes4};
constexpr MapContents kPrefixes6{"prefixes", fill_prefixes6};
constexpr MapContents kCounts{"counts", fill_counts, true};
constexpr std::array<MapContents, 4> kBalancer{{{"counters", fill_counters, true},
                                                {"services", fill_services},
                                                {"ring", fill_ring},
                                                {"servers", fill_servers}}};

constexpr Case flow_case(std::string_view name, std::string_view about, u32 count, u32 packets,
                         bool wide = false) {
    return {.name = name,
            .about = about,
            .program = wide ? "flow_wide" : "flow",
            .traffic = Traffic::flows,
            .count = count,
            .packets = packets,
            .contents = {kFlows},
            .sized = true,
            .standard = count < k16m || !wide};
}
constexpr Case update_case(std::string_view name, std::string_view about, u32 updates) {
    Case one = flow_case(name, about, k64k, kMany);
    one.contents[0] = kChangedFlows;
    one.updates = updates;
    return one;
}
constexpr Case prefix_case(std::string_view name, std::string_view about, u32 count, u32 packets) {
    return {.name = name,
            .about = about,
            .program = "lpm",
            .traffic = Traffic::prefixes4,
            .count = count,
            .packets = packets,
            .contents = {kPrefixes4},
            .sized = true};
}
constexpr Case chain_case(std::string_view name, std::string_view about) {
    return {
        .name = name, .about = about, .program = name, .count = 32, .contents = {kCounts}, .entry = "stage0"};
}
/// The kernel can only be asked to run a program with XDP's context on one packet again and again: few
/// packets, so that nobody's caches and predictors have much to forget.
constexpr u32 kFilterPackets = 64;
constexpr Case filter_case(std::string_view name, std::string_view about, std::string_view program,
                           std::string_view entry = "") {
    return {.name = name,
            .about = about,
            .program = program,
            .packets = kFilterPackets,
            .writes = true,
            .entry = entry};
}

constexpr Case kCases[] = {
    {.name = "pass", .about = "return XDP_PASS", .program = "pass"},
    {.name = "parse",
     .about = "Ethernet, VLAN, IPv4 and IPv6, TCP and UDP; one port dropped; 64-byte packets",
     .program = "parse"},
    {.name = "parse_imix",
     .about = "the same; seven of 64, four of 594, one of 1518 bytes",
     .program = "parse",
     .size = FrameSize::imix},
    {.name = "parse_1500",
     .about = "the same; 1518 bytes",
     .program = "parse",
     .size = FrameSize::most,
     .packets = 1U << 14},
    {.name = "acl",
     .about = "headers, then action and counters from a per-CPU array",
     .program = "acl",
     .count = 256,
     .contents = {kRules}},
    flow_case("flow_1k", "headers, then a hash of 1024 flows, 8-byte values", 1024, kSome),
    flow_case("flow_64k", "65536 flows", k64k, kMany),
    flow_case("flow_1m", "1 million flows", k1m, kMany),
    flow_case("flow_16m", "16 million flows", k16m, kMost),
    flow_case("flow_1k_v64", "1024 flows, 64-byte values", 1024, kSome, true),
    flow_case("flow_64k_v64", "65536 flows, 64-byte values", k64k, kMany, true),
    flow_case("flow_1m_v64", "1 million flows, 64-byte values", k1m, kMany, true),
    flow_case("flow_16m_v64", "16 million flows, 64-byte values", k16m, kMost, true),
    update_case("flow_64k_u10k", "65536 flows, of which a control thread updates 10000 a second", 10'000),
    update_case("flow_64k_u1m", "the same; 1 million updates a second, or what it can", k1m),
    prefix_case("lpm_1k", "headers, then the longest of 1024 IPv4 prefixes", 1024, kSome),
    prefix_case("lpm_100k", "100000 prefixes", 100'000, kMany),
    prefix_case("lpm_1m", "1 million prefixes", k1m, kMany),
    {.name = "lpm6_100k",
     .about = "100000 IPv6 prefixes",
     .program = "lpm6",
     .traffic = Traffic::prefixes6,
     .count = 100'000,
     .packets = kMany,
     .contents = {kPrefixes6},
     .sized = true},
    {.name = "lru_churn",
     .about = "a cache of 65536 flows; half of the packets evict one",
     .program = "lru",
     .traffic = Traffic::flows,
     .count = 2 * k64k,
     .packets = kMany},
    {.name = "percpu",
     .about = "headers, then a per-CPU hash of 1024 flows",
     .program = "percpu",
     .traffic = Traffic::flows,
     .count = 1024,
     .contents = {kFlows},
     .sized = true},
    chain_case("chain_1", "one program that counts"),
    chain_case("chain_4", "4 programs, joined by tail calls"),
    chain_case("chain_8", "8 programs"),
    chain_case("chain_16", "16 programs"),
    chain_case("chain_32", "32 programs"),
    {.name = "lb",
     .about = "a load balancer: 64 services, 1024 servers, a ring, a table of 65536 connections",
     .program = "lb",
     .traffic = Traffic::services,
     .count = 60'000,
     .packets = 1U << 18,
     .contents = kBalancer,
     .writes = true},
    filter_case("filter_acl", "filters/acl, without rules", "filter_acl"),
    filter_case("filter_blocklist", "filters/blocklist, empty", "filter_blocklist"),
    filter_case("filter_chain", "filters/chain, three stages by tail calls", "filter_chain", "chain_sanity"),
    filter_case("filter_drop", "filters/drop", "filter_drop"),
    filter_case("filter_flowcount", "filters/flowcount", "filter_flowcount"),
    filter_case("filter_pass", "filters/pass", "filter_pass"),
    filter_case("filter_ratelimit", "filters/ratelimit", "filter_ratelimit"),
    filter_case("filter_redirect", "filters/redirect, empty", "filter_redirect", "redirect"),
    filter_case("filter_sanity", "filters/sanity", "filter_sanity"),
    filter_case("filter_synguard", "filters/synguard", "filter_synguard"),
    filter_case("filter_tap", "filters/tap", "filter_tap"),
    filter_case("filter_vlan_pop", "filters/vlan, taking tags off", "filter_vlan", "vlan_pop"),
    filter_case("filter_vlan_push", "filters/vlan, putting tags on", "filter_vlan", "vlan_push"),
    {.name = "replay_64",
     .about = "a capture file of 64-byte packets, filtered by 'tcp port 80', written to /dev/null",
     .packets = kSome,
     .work = Work::replay},
    {.name = "replay_imix",
     .about = "the same; seven of 64, four of 594, one of 1518 bytes",
     .size = FrameSize::imix,
     .packets = kSome,
     .work = Work::replay},
};

} // namespace

std::span<const Case> case_table() { return kCases; }

} // namespace xdplane::bench
