// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
#include "bpf/helpers/siphash.h"

#include <algorithm>
#include <arpa/inet.h>
#include <array>
#include <cerrno>
#include <cstring>
#include <linux/bpf.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <linux/tcp.h>
#include <span>
#include <sys/random.h>

#include "bpf/helpers/clock.h"
#include "bpf/helpers/rows.h"
#include "bpf/run/run_context.h"

/// SYN cookies (RFC 4987 section 3.6, and Bernstein's "SYN cookies"): an initial sequence number from which
/// the answer to it can be checked without any state. As in Linux its upper 8 bits count minutes and its
/// lower 24 hide which of four segment sizes the peer said. The key is this process's own: Linux does not
/// tell its.
namespace xdplane {
namespace {

u64 error(int code) noexcept { return static_cast<u64>(-i64{code}); }

constexpr u32 kMaxAge = 2;       ///< minutes that a cookie is good for
constexpr u32 kMinuteShift = 24; ///< of the sequence number
constexpr u32 kDataMask = (1U << kMinuteShift) - 1;

/// Segment sizes that a cookie can hold, rising.
constexpr std::array<u16, 4> kIpv4Sizes = {536, 1300, 1440, 1460};
constexpr std::array<u16, 4> kIpv6Sizes = {1280 - 60, 1480 - 60, 1500 - 60, 9000 - 60};
constexpr u16 kIpv4Default = 536;
constexpr u16 kIpv6Default = 1280 - 40 - 20;

using Keys = std::array<SipKey, 2>;

/// Two keys, one for what is constant and one for what the minute changes. Live: random, the same for all
/// workers. In replay: a function of the seed.
Keys keys() noexcept {
    if (t_run.random_by_packet) return {{{t_run.seed, 1}, {t_run.seed, 2}}};
    static const Keys random = [] {
        Keys made{};
        if (::getrandom(made.data(), sizeof made, 0) != sizeof made)
            made = {{{run_clock_ns(CLOCK_REALTIME), 1}, {run_clock_ns(CLOCK_BOOTTIME), 2}}};
        return made;
    }();
    return random;
}

u32 minute() noexcept {
    constexpr u64 nanoseconds = 60'000'000'000;
    return static_cast<u32>(run_clock_ns(CLOCK_MONOTONIC_COARSE) / nanoseconds);
}

/// What names a connection: addresses and ports as they are in the packet.
struct Connection {
    std::array<u8, 32> addresses{};
    u32 ports = 0;
    u32 sequence = 0; ///< the peer's, host order

    [[nodiscard]] u32 hash(const SipKey& key, u32 count) const noexcept {
        u64 words[5];
        std::memcpy(words, addresses.data(), addresses.size());
        words[4] = u64{ports} << 32 | count;
        return static_cast<u32>(siphash24(key, words));
    }
};

template<class Ip>
Connection connection_of(const Ip* ip, const tcphdr& tcp) noexcept {
    Connection c;
    std::memcpy(c.addresses.data(), reinterpret_cast<const u8*>(&ip->saddr), 2 * sizeof ip->saddr);
    c.ports = u32{tcp.source} << 16 | tcp.dest;
    c.sequence = ntohl(tcp.seq);
    return c;
}

u32 make_cookie(const Connection& c, u32 data) noexcept {
    const Keys key = keys();
    const u32 count = minute();
    return c.hash(key[0], 0) + c.sequence + (count << kMinuteShift) +
           ((c.hash(key[1], count) + data) & kDataMask);
}

/// The data of a cookie, or ~0 if it is too old or none of ours.
u32 read_cookie(const Connection& c, u32 cookie, u32 sequence) noexcept {
    const Keys key = keys();
    const u32 now = minute();
    cookie -= c.hash(key[0], 0) + sequence;
    const u32 age = (now - (cookie >> kMinuteShift)) & (~u32{0} >> kMinuteShift);
    if (age >= kMaxAge) return ~0U;
    return (cookie - c.hash(key[1], now - age)) & kDataMask;
}

/// The maximum segment size option of a SYN (RFC 9293 section 3.2); 0 if it has none.
u16 segment_size_of(const u8* header, u32 length) noexcept {
    constexpr u8 end = 0, nothing = 1, segment_size = 2;
    for (u32 at = sizeof(tcphdr); at < length;) {
        const u8 kind = header[at];
        if (kind == end) break;
        if (kind == nothing) {
            ++at;
            continue;
        }
        if (at + 1 >= length) break;
        const u32 size = header[at + 1];
        if (size < 2 || at + size > length) break;
        if (kind == segment_size && size == 4) return static_cast<u16>(header[at + 2] << 8 | header[at + 3]);
        at += size;
    }
    return 0;
}

struct Family {
    std::span<const u16, 4> sizes;
    u16 fallback;
};
constexpr Family kIpv4{kIpv4Sizes, kIpv4Default};
constexpr Family kIpv6{kIpv6Sizes, kIpv6Default};

/// The cookie in the low 32 bits, the segment size in the next 16.
template<class Ip>
u64 generate(const Family& family, u64 ip, u64 tcp, u64 length) noexcept {
    const auto* bytes = reinterpret_cast<const u8*>(tcp);
    const u32 size = static_cast<u32>(length);
    if (size < sizeof(tcphdr)) return error(EINVAL);
    tcphdr header;
    std::memcpy(&header, bytes, sizeof header);
    if (size != header.doff * 4U) return error(EINVAL);
    const u16 said = segment_size_of(bytes, size);
    const u16 wanted = said != 0 ? said : family.fallback;
    u32 index = 3;
    while (index != 0 && family.sizes[index] > wanted) --index;
    Ip addresses;
    std::memcpy(&addresses, reinterpret_cast<const void*>(ip), sizeof addresses);
    return make_cookie(connection_of(&addresses, header), index) | u64{family.sizes[index]} << 32;
}

/// Of the ACK that answers: its sequence number is one beyond the SYN's, what it acknowledges one beyond the
/// cookie.
template<class Ip>
u64 check(u64 ip, u64 tcp) noexcept {
    tcphdr header;
    std::memcpy(&header, reinterpret_cast<const void*>(tcp), sizeof header);
    Ip addresses;
    std::memcpy(&addresses, reinterpret_cast<const void*>(ip), sizeof addresses);
    const Connection c = connection_of(&addresses, header);
    return read_cookie(c, ntohl(header.ack_seq) - 1, c.sequence - 1) < kIpv4Sizes.size() ? 0 : error(EACCES);
}

u64 gen_ipv4(u64 ip, u64 tcp, u64 length, u64, u64) noexcept {
    return generate<iphdr>(kIpv4, ip, tcp, length);
}
u64 gen_ipv6(u64 ip, u64 tcp, u64 length, u64, u64) noexcept {
    return generate<ipv6hdr>(kIpv6, ip, tcp, length);
}
u64 check_ipv4(u64 ip, u64 tcp, u64, u64, u64) noexcept { return check<iphdr>(ip, tcp); }
u64 check_ipv6(u64 ip, u64 tcp, u64, u64, u64) noexcept { return check<ipv6hdr>(ip, tcp); }

constexpr HelperProto row(u32 id, const char* name, HelperFn fn, std::array<Arg, 5> args,
                          std::array<u32, 5> sizes) {
    return {.id = id,
            .name = name,
            .fn = fn,
            .ret = Ret::integer,
            .args = args,
            .use = kUseXdp | kUseTc,
            .gpl_only = true,
            .reads_clock = true,
            .reads_random = true,
            .needs_context = true,
            .packet_args = true,
            .fixed_sizes = sizes};
}

} // namespace

const HelperProto kHelperTcpRawGenSyncookieIpv4 =
    row(BPF_FUNC_tcp_raw_gen_syncookie_ipv4, "tcp_raw_gen_syncookie_ipv4", gen_ipv4,
        {Arg::fixed_mem, Arg::mem, Arg::size_or_zero}, {sizeof(iphdr)});
const HelperProto kHelperTcpRawGenSyncookieIpv6 =
    row(BPF_FUNC_tcp_raw_gen_syncookie_ipv6, "tcp_raw_gen_syncookie_ipv6", gen_ipv6,
        {Arg::fixed_mem, Arg::mem, Arg::size_or_zero}, {sizeof(ipv6hdr)});
const HelperProto kHelperTcpRawCheckSyncookieIpv4 =
    row(BPF_FUNC_tcp_raw_check_syncookie_ipv4, "tcp_raw_check_syncookie_ipv4", check_ipv4,
        {Arg::fixed_mem, Arg::fixed_mem}, {sizeof(iphdr), sizeof(tcphdr)});
const HelperProto kHelperTcpRawCheckSyncookieIpv6 =
    row(BPF_FUNC_tcp_raw_check_syncookie_ipv6, "tcp_raw_check_syncookie_ipv6", check_ipv6,
        {Arg::fixed_mem, Arg::fixed_mem}, {sizeof(ipv6hdr), sizeof(tcphdr)});

} // namespace xdplane
