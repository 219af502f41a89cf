// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
#include <algorithm>
#include <arpa/inet.h>
#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <memory>

#include "bpf/helpers/checksum.h"
#include "bpf/run/skb.h"
#include "bpf/syscall/command.h"
#include "bpf/syscall/test_context.h"
#include "bpf/syscall/test_run.h"

/// Test runs of the types that see packets as struct __sk_buff.
namespace xdplane {
namespace {

constexpr u32 kSkbHeadroom = 64; ///< NET_SKB_PAD on x86-64: what Linux takes from the page in front

/// Linux makes a larger buffer where a program needs one; here there is room enough from the start.
constexpr u32 kRoomBefore = 16 * 1024;
constexpr u32 kRoomAfter = 16 * 1024;

/// What a caller may set in __sk_buff, as byte ranges; the rest must be zero.
bool skb_context_is_valid(const __sk_buff& ctx) {
    struct Range {
        std::size_t begin;
        std::size_t end;
    };
    constexpr Range kSettable[] = {
        {offsetof(__sk_buff, mark), offsetof(__sk_buff, mark) + 4},
        {offsetof(__sk_buff, priority), offsetof(__sk_buff, priority) + 4},
        {offsetof(__sk_buff, ingress_ifindex), offsetof(__sk_buff, ingress_ifindex) + 4},
        {offsetof(__sk_buff, ifindex), offsetof(__sk_buff, ifindex) + 4},
        {offsetof(__sk_buff, cb), offsetof(__sk_buff, cb) + sizeof ctx.cb},
        {offsetof(__sk_buff, tstamp), offsetof(__sk_buff, tstamp) + 8},
        {offsetof(__sk_buff, wire_len), offsetof(__sk_buff, wire_len) + 4},
        {offsetof(__sk_buff, gso_segs), offsetof(__sk_buff, gso_segs) + 4},
        {offsetof(__sk_buff, gso_size), offsetof(__sk_buff, gso_size) + 4},
        {offsetof(__sk_buff, hwtstamp), offsetof(__sk_buff, hwtstamp) + 8},
    };
    const auto* bytes = reinterpret_cast<const u8*>(&ctx);
    for (std::size_t i = 0; i < sizeof ctx; ++i) {
        const bool settable =
            std::ranges::any_of(kSettable, [&](const Range& r) { return i >= r.begin && i < r.end; });
        if (!settable && bytes[i] != 0) return false;
    }
    return true;
}

/// As of a packet that came in over the loopback device: its address is all zeros, and so is its broadcast
/// address.
void classify(XdpBuff& packet, const u8* mac, u32 length) {
    classify_ethernet(packet, mac, length);
    const bool own = std::all_of(mac, mac + ETH_ALEN, [](u8 byte) { return byte == 0; });
    packet.pkt_type = own ? PACKET_HOST : (mac[0] & 1) != 0 ? PACKET_MULTICAST : PACKET_OTHERHOST;
}

/// The shortest packet that Linux runs programs on.
u32 shortest(u16 protocol) {
    switch (ntohs(protocol)) {
    case ETH_P_IP: return ETH_HLEN + sizeof(iphdr);
    case ETH_P_IPV6: return ETH_HLEN + sizeof(ipv6hdr);
    default: return ETH_HLEN;
    }
}

/// One packet with its context, in a frame with room on both sides.
class SkbTest {
public:
    /// `data` has at least an Ethernet header.
    SkbTest(std::span<const u8> data, bool network_view) : frame_(kRoomBefore + data.size() + kRoomAfter) {
        u8* const mac = frame_.data() + kRoomBefore;
        std::ranges::copy(data, mac);
        packet_.hard_start = frame_.data();
        packet_.frame_end = frame_.data() + frame_.size();
        packet_.data = packet_.data_meta = mac;
        packet_.data_end = mac + data.size();
        begin_skb(packet_);
        classify(packet_, mac, packet_.length());
        packet_.skb.transport = SkbState::kNoHeader;
        packet_.skb.ifindex = kTestLoopback;
        if (network_view) packet_.data = packet_.data_meta = mac + ETH_HLEN;
    }

    [[nodiscard]] XdpBuff& packet() { return packet_; }

    /// `given`: the caller handed in a context, and not only room for one.
    [[nodiscard]] Result<> take(const __sk_buff& ctx, bool given) {
        constexpr u32 longest = 65536; // GSO_LEGACY_MAX_SIZE
        constexpr u32 most_segments = 65535;
        if (!skb_context_is_valid(ctx)) return fail(EINVAL, "context sets fields that cannot be set");
        if (ctx.wire_len != 0 && (ctx.wire_len < packet_.length() || ctx.wire_len > longest))
            return fail(EINVAL, "wire_len {} is not that of the packet", ctx.wire_len);
        if (ctx.gso_segs > most_segments) return fail(EINVAL, "too many segments");
        SkbState& skb = packet_.skb;
        packet_.mark = ctx.mark;
        packet_.priority = ctx.priority;
        packet_.ingress_ifindex = ctx.ingress_ifindex;
        if (ctx.ifindex != 0) skb.ifindex = ctx.ifindex;
        skb.tstamp = ctx.tstamp;
        std::memcpy(packet_.cb, ctx.cb, sizeof packet_.cb);
        packet_.wire_len = ctx.wire_len != 0 ? ctx.wire_len : given ? packet_.length() : 0;
        skb.gso_segs = static_cast<u16>(ctx.gso_segs);
        skb.gso_size = static_cast<u16>(ctx.gso_size);
        skb.hwtstamp = ctx.hwtstamp;
        return {};
    }

    void give(__sk_buff& ctx) const {
        const SkbState& skb = packet_.skb;
        ctx.mark = packet_.mark;
        ctx.priority = packet_.priority;
        ctx.ingress_ifindex = packet_.ingress_ifindex;
        ctx.ifindex = skb.ifindex;
        ctx.tstamp = skb.tstamp;
        std::memcpy(ctx.cb, packet_.cb, sizeof ctx.cb);
        ctx.wire_len = packet_.wire_len;
        ctx.gso_segs = skb.gso_segs;
        ctx.hwtstamp = skb.hwtstamp;
    }

    /// The sum of everything from the network header on.
    [[nodiscard]] u32 sum() const {
        const i64 offset = std::clamp<i64>(network_offset(packet_), 0, packet_.length());
        return checksum::of(packet_.data + offset, static_cast<u32>(packet_.length() - offset));
    }

private:
    std::vector<u8> frame_;
    XdpBuff packet_{};
};

} // namespace

Result<> TestRun::run_skb(const Program& program) {
    if (!tail_is_zero(ctx.data(), sizeof(__sk_buff), static_cast<u32>(ctx.size())))
        return fail(E2BIG, "context is longer than struct __sk_buff");
    auto md = context_from<__sk_buff>(ctx);
    const auto size = static_cast<u32>(data.size());
    if (size < ETH_HLEN || size > kFrameSize - kSkbHeadroom - kFrameTail)
        return fail(EINVAL, "packet of {} bytes cannot be test-run", size);
    const u32 type = program.parts().type->type;
    const bool whole_frame = type == BPF_PROG_TYPE_SCHED_CLS || type == BPF_PROG_TYPE_SCHED_ACT;
    SkbTest test(data, !whole_frame);
    XdpBuff& packet = test.packet();
    if (size < shortest(packet.protocol)) return fail(EINVAL, "packet of {} bytes has no IP header", size);
    const bool has_ctx = !ctx.empty() || want_ctx;
    if (auto taken = test.take(md, has_ctx); !taken) return taken;
    // Socket filters know but one device, and the length of the packet as that on the wire.
    if (type == BPF_PROG_TYPE_SOCKET_FILTER) {
        packet.ingress_ifindex = packet.skb.ifindex;
        packet.wire_len = packet.length();
    }
    SkbState& skb = packet.skb;
    if (csum_complete) {
        skb.csum = test.sum();
        skb.csum_kind = static_cast<u8>(SkbCsum::complete);
    }
    if (auto done = run(program, packet); !done) return done;
    if (csum_complete && checksum::fold(skb.csum) != checksum::fold(test.sum()))
        return fail(EBADMSG, "the checksum that the program left is not that of the packet");
    // Linux hands out a blank link-layer header where the program saw none.
    data_out.assign(whole_frame ? 0 : ETH_HLEN, 0);
    data_out.insert(data_out.end(), packet.data, packet.data_end);
    if (!has_ctx) return {};
    const u32 ingress = md.ingress_ifindex;
    const u32 wire = md.wire_len;
    test.give(md);
    if (type == BPF_PROG_TYPE_SOCKET_FILTER) {
        md.ingress_ifindex = ingress;
        md.wire_len = wire != 0 ? wire : size - ETH_HLEN;
    }
    context_to(md, ctx_out);
    return {};
}

} // namespace xdplane
