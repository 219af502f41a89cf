// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
#pragma once
#include <vector>

#include "bpf/base/types.h"

/// The flows and prefixes that maps are filled with and packets are made of: functions of their number, the
/// same in every run and on every machine.
namespace xdplane::bench {

/// Spreads a counter over 64 bits, one to one (the finalizer of splitmix64).
[[nodiscard]] constexpr u64 scatter(u64 x) {
    x += 0x9e3779b97f4a7c15;
    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9;
    x = (x ^ (x >> 27)) * 0x94d049bb133111eb;
    return x ^ (x >> 31);
}

/// A sequence of numbers that look random.
class Random {
public:
    explicit Random(u64 seed) : state_(scatter(seed)) {}
    u64 operator()() { return scatter(state_++); }
    /// Below `limit`, which is below 2^32.
    u32 below(u64 limit) { return static_cast<u32>(((*this)() >> 32) * limit >> 32); }

private:
    u64 state_;
};

/// struct flow_key of programs/headers.h; network order.
struct FlowKey {
    u32 source;
    u32 destination;
    u16 source_port;
    u16 destination_port;
    u32 protocol;
};
static_assert(sizeof(FlowKey) == 16);

/// TCP flow number `index`, to any port but 23. No two are alike.
[[nodiscard]] FlowKey tcp_flow(u64 index);

/// struct service_key of programs/lb.h.
struct ServiceKey {
    u32 address;
    u16 port;
    u16 protocol;
};
[[nodiscard]] ServiceKey service(u32 index);

/// struct bpf_lpm_trie_key of 4 and 16 bytes: the length in host order, then the address in network order,
/// zero behind the prefix.
struct Prefix4 {
    u32 length;
    u8 address[4];
};
struct Prefix6 {
    u32 length;
    u8 address[16];
};

/// As in a table of the Internet: mostly /24, then /17 to /23 and /16. All different, shortest first.
[[nodiscard]] std::vector<Prefix4> make_prefixes4(u32 count);
/// Mostly /48, under a few thousand /32.
[[nodiscard]] std::vector<Prefix6> make_prefixes6(u32 count);

} // namespace xdplane::bench
