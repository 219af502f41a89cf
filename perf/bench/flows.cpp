// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
#include "perf/bench/flows.h"

#include <algorithm>
#include <arpa/inet.h>
#include <cstring>
#include <string_view>
#include <tuple>
#include <unordered_set>

namespace xdplane::bench {
namespace {

constexpr u16 kDroppedPort = 23;

/// Lengths of every hundred prefixes: up to which of the hundred, and from where to where.
struct LengthShare {
    u32 up_to;
    u32 least;
    u32 most;
};
constexpr LengthShare kLengths4[] = {{1, 8, 15}, {9, 16, 16}, {39, 17, 23}, {95, 24, 24}, {100, 25, 32}};
constexpr LengthShare kLengths6[] = {{10, 32, 32}, {30, 33, 47}, {90, 48, 48}, {100, 49, 64}};

template<std::size_t N>
u32 pick_length(const LengthShare (&shares)[N], Random& random) {
    const u32 percent = random.below(100);
    for (const LengthShare& share : shares)
        if (percent < share.up_to) return share.least + random.below(share.most - share.least + 1);
    return shares[N - 1].most;
}

void clear_behind(u8* address, u32 size, u32 length) {
    for (u32 bit = length; bit < size * 8; ++bit)
        address[bit / 8] = static_cast<u8>(address[bit / 8] & ~(0x80 >> bit % 8));
}

/// A number that says nothing of the address: routes do not come in order.
template<std::size_t N>
u64 any_order(const u8 (&address)[N]) {
    u64 bits = 0;
    std::memcpy(&bits, address, std::min(N, sizeof bits));
    return scatter(bits);
}

template<class Prefix, class Make>
std::vector<Prefix> make_prefixes(u32 count, const Make& make) {
    std::vector<Prefix> prefixes;
    std::unordered_set<std::string_view> seen;
    prefixes.reserve(count); // views into it stay
    seen.reserve(count);
    while (prefixes.size() < count) {
        prefixes.push_back(make());
        Prefix& prefix = prefixes.back();
        clear_behind(prefix.address, sizeof prefix.address, prefix.length);
        if (!seen.insert({reinterpret_cast<const char*>(&prefix), sizeof prefix}).second) prefixes.pop_back();
    }
    std::ranges::sort(prefixes, [](const Prefix& a, const Prefix& b) {
        return std::tuple(a.length, any_order(a.address)) < std::tuple(b.length, any_order(b.address));
    });
    return prefixes;
}

} // namespace

FlowKey tcp_flow(u64 index) {
    const u64 addresses = scatter(index);
    const u64 ports = scatter(~index);
    FlowKey key{.source = static_cast<u32>(addresses),
                .destination = static_cast<u32>(addresses >> 32),
                .source_port = static_cast<u16>(ports),
                .destination_port = static_cast<u16>(ports >> 16),
                .protocol = 6};
    if (key.destination_port == htons(kDroppedPort)) key.destination_port = htons(kDroppedPort + 1);
    return key;
}

ServiceKey service(u32 index) {
    return {.address = htonl(0xc0000200 + index), .port = htons(443), .protocol = 6};
}

std::vector<Prefix4> make_prefixes4(u32 count) {
    Random random(4);
    return make_prefixes<Prefix4>(count, [&random] {
        Prefix4 prefix{};
        prefix.length = pick_length(kLengths4, random);
        // Unicast addresses, first byte 1 to 223.
        const u32 address = htonl((1 + random.below(223)) << 24 | static_cast<u32>(random() & 0xffffff));
        std::memcpy(prefix.address, &address, sizeof address);
        return prefix;
    });
}

std::vector<Prefix6> make_prefixes6(u32 count) {
    constexpr u32 kAllocations = 4096;
    Random random(6);
    return make_prefixes<Prefix6>(count, [&random] {
        Prefix6 prefix{};
        prefix.length = pick_length(kLengths6, random);
        const u64 allocation = scatter(random.below(kAllocations));
        const u64 rest = random();
        std::memcpy(prefix.address, &allocation, 4);
        prefix.address[0] = static_cast<u8>(0x20 | (prefix.address[0] & 0x1f)); // 2000::/3
        std::memcpy(prefix.address + 4, &rest, 8);
        return prefix;
    });
}

} // namespace xdplane::bench
