// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
//
// Helpers of packet programs called directly: what the kernel cannot be asked because it has sockets, keys
// and tasks that are not ours, or because its packets have more room.
#include <arpa/inet.h>
#include <array>
#include <cerrno>
#include <cstring>
#include <gtest/gtest.h>
#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <linux/pkt_cls.h>
#include <linux/tcp.h>
#include <string>
#include <sys/mman.h>
#include <sys/socket.h>
#include <vector>

#include "bpf/helpers/helper.h"
#include "bpf/run/redirect.h"
#include "bpf/run/run_context.h"
#include "bpf/run/skb.h"

namespace xdplane {
namespace {

template<class... Args>
i64 call(u32 id, Args... args) {
    std::array<u64, 5> all{};
    std::size_t i = 0;
    ((all[i++] = (u64)args), ...);
    return static_cast<i64>(find_helper(id)->fn_for(kUseSchedCls)(all[0], all[1], all[2], all[3], all[4]));
}

class SkbHelpers : public ::testing::Test {
protected:
    void SetUp() override {
        t_run = {};
        t_run.packet = &packet;
        packet.hard_start = frame.data();
        packet.data = packet.data_meta = frame.data() + kHeadroom;
        packet.data_end = packet.data + kSize;
        packet.frame_end = frame.data() + kFrameSize - kFrameTail;
        for (u32 i = 0; i < kSize; ++i) packet.data[i] = static_cast<u8>(i);
        packet.data[0] = 2;
        packet.data[12] = 8;
        packet.data[13] = 0;
        packet.data[14] = 0x45;
        packet.data[20] = packet.data[21] = 0;
        packet.data[23] = 17;
    }
    void TearDown() override { t_run = {}; }
    [[nodiscard]] i64 flow_hash() {
        packet.hash = 0;
        packet.skb_ready = 0;
        return call(BPF_FUNC_get_hash_recalc, &packet);
    }

    static constexpr u32 kSize = 64;
    std::array<u8, kFrameSize> frame{};
    XdpBuff packet{};
};

TEST_F(SkbHelpers, StateIsFilledOnFirstUse) {
    packet.rx_queue = 3;
    packet.ingress_ifindex = 7;
    packet.skb.tstamp = 99; // of a packet that was here before
    EXPECT_EQ(call(BPF_FUNC_csum_level, &packet, BPF_CSUM_LEVEL_QUERY), -EACCES);
    EXPECT_EQ(packet.skb_ready, 1U);
    EXPECT_EQ(packet.skb.tstamp, 0U);
    EXPECT_EQ(packet.skb.queue_mapping, 3U);
    EXPECT_EQ(packet.skb.ifindex, 7U);
    EXPECT_EQ(packet.protocol, htons(ETH_P_IP));
    EXPECT_EQ(network_offset(packet), ETH_HLEN);
    EXPECT_EQ(mac_offset(packet), 0);
}

TEST_F(SkbHelpers, AFrameHasOnlySoMuchRoom) {
    const i64 room = kHeadroom - kFrameHeader;
    EXPECT_EQ(call(BPF_FUNC_skb_change_head, &packet, room + 1, 0), -ENOMEM);
    EXPECT_EQ(call(BPF_FUNC_skb_adjust_room, &packet, room + 1, BPF_ADJ_ROOM_MAC, 0), -ENOMEM);
    EXPECT_EQ(packet.length(), kSize);
    EXPECT_EQ(call(BPF_FUNC_skb_change_head, &packet, room, 0), 0);
    EXPECT_EQ(call(BPF_FUNC_skb_change_proto, &packet, htons(ETH_P_IPV6), 0), -ENOMEM);
    EXPECT_EQ(call(BPF_FUNC_skb_vlan_push, &packet, htons(ETH_P_8021Q), 5), 0); // beside the packet
    EXPECT_EQ(call(BPF_FUNC_skb_vlan_push, &packet, htons(ETH_P_8021Q), 6), -ENOMEM);
    packet.frame_end = packet.data_end + 10;
    EXPECT_EQ(call(BPF_FUNC_skb_change_tail, &packet, packet.length() + 11, 0), -ENOMEM);
    EXPECT_EQ(call(BPF_FUNC_skb_change_tail, &packet, packet.length() + 10, 0), 0);
    EXPECT_EQ(packet.data_end, packet.frame_end);
}

TEST_F(SkbHelpers, MetadataMovesWithTheHead) {
    packet.data_meta -= 4;
    std::memcpy(packet.data_meta, "meta", 4);
    const auto meta = [&] { return std::string(packet.data_meta, packet.data); };
    EXPECT_EQ(call(BPF_FUNC_skb_adjust_room, &packet, 20, BPF_ADJ_ROOM_MAC, 0), 0);
    EXPECT_EQ(meta(), "meta");
    EXPECT_EQ(call(BPF_FUNC_skb_adjust_room, &packet, -20, BPF_ADJ_ROOM_MAC, 0), 0);
    EXPECT_EQ(meta(), "meta");
    EXPECT_EQ(packet.length(), kSize);
}

TEST_F(SkbHelpers, RedirectsNoteTheirTarget) {
    EXPECT_EQ(call(BPF_FUNC_redirect, 7, BPF_F_INGRESS), TC_ACT_REDIRECT);
    EXPECT_EQ(packet.redirect_ifindex, 7U);
    EXPECT_EQ(Redirect::of(packet).flags, BPF_F_INGRESS);
    EXPECT_EQ(call(BPF_FUNC_redirect_neigh, 8, 0, 0, 0), TC_ACT_REDIRECT);
    EXPECT_EQ(Redirect::of(packet).kind, RedirectKind::neighbour);
    EXPECT_EQ(call(BPF_FUNC_redirect_peer, 9, 0), TC_ACT_REDIRECT);
    EXPECT_EQ(packet.redirect_ifindex, 9U);
    EXPECT_EQ(Redirect::of(packet).kind, RedirectKind::peer);
}

TEST_F(SkbHelpers, HashesAreOfTheFlowInBothDirections) {
    const i64 hash = flow_hash();
    EXPECT_NE(hash, 0);
    EXPECT_EQ(flow_hash(), hash);
    std::array<u8, 4> source{};
    std::memcpy(source.data(), packet.data + 26, 4);
    std::memcpy(packet.data + 26, packet.data + 30, 4);
    std::memcpy(packet.data + 30, source.data(), 4);
    std::swap(packet.data[34], packet.data[36]);
    std::swap(packet.data[35], packet.data[37]);
    EXPECT_EQ(flow_hash(), hash);
    packet.data[35] ^= 1; // a port
    EXPECT_NE(flow_hash(), hash);
    packet.data[35] ^= 1;
    packet.data[20] = 0x20; // a fragment has no ports
    const i64 fragment = flow_hash();
    EXPECT_NE(fragment, hash);
    packet.data[35] ^= 1;
    EXPECT_EQ(flow_hash(), fragment);
    // What the network card said stands until it is forgotten.
    packet.skb_ready = 0;
    packet.hash = 1234;
    EXPECT_EQ(call(BPF_FUNC_get_hash_recalc, &packet), 1234);
    EXPECT_EQ(call(BPF_FUNC_set_hash, &packet, 0), 0);
    EXPECT_EQ(call(BPF_FUNC_get_hash_recalc, &packet), 0);
    EXPECT_EQ(call(BPF_FUNC_set_hash_invalid, &packet), 0);
    EXPECT_EQ(call(BPF_FUNC_get_hash_recalc, &packet), fragment);
}

TEST_F(SkbHelpers, NoSocketsCgroupsOrRoutes) {
    bpf_sock_tuple tuple{};
    for (const u32 id : {BPF_FUNC_sk_lookup_tcp, BPF_FUNC_sk_lookup_udp, BPF_FUNC_skc_lookup_tcp})
        EXPECT_EQ(call(id, &packet, &tuple, sizeof tuple.ipv4, BPF_F_CURRENT_NETNS, 0), 0);
    EXPECT_EQ(call(BPF_FUNC_get_socket_cookie, &packet), 0);
    EXPECT_EQ(call(BPF_FUNC_get_socket_uid, &packet), 65534);
    EXPECT_EQ(call(BPF_FUNC_skb_cgroup_id, &packet), 0);
    EXPECT_EQ(call(BPF_FUNC_skb_ancestor_cgroup_id, &packet, 0), 0);
    EXPECT_EQ(call(BPF_FUNC_get_cgroup_classid), 0);
    EXPECT_EQ(call(BPF_FUNC_skb_under_cgroup, &packet, nullptr, 0), -ENOENT);
    bpf_fib_lookup route{};
    for (const u8 family : {u8{AF_INET}, u8{AF_INET6}}) {
        route.family = family;
        EXPECT_EQ(call(BPF_FUNC_fib_lookup, &packet, &route, sizeof route, 0), BPF_FIB_LKUP_RET_NOT_FWDED);
    }
}

TEST_F(SkbHelpers, PacketsAreJudgedForNobody) {
    t_run.cpu = 12;
    EXPECT_EQ(call(BPF_FUNC_get_current_pid_tgid), 0);
    EXPECT_EQ(call(BPF_FUNC_get_current_uid_gid), 0);
    EXPECT_EQ(call(BPF_FUNC_get_current_cgroup_id), 1);
    EXPECT_EQ(call(BPF_FUNC_get_current_ancestor_cgroup_id, 0), 1);
    EXPECT_EQ(call(BPF_FUNC_get_current_ancestor_cgroup_id, 1), 0);
    EXPECT_EQ(call(BPF_FUNC_send_signal, 9), -EPERM);
    std::array<char, 16> name{};
    name.fill('x');
    EXPECT_EQ(call(BPF_FUNC_get_current_comm, name.data(), name.size()), 0);
    EXPECT_STREQ(name.data(), "swapper/12");
    name.fill('x');
    EXPECT_EQ(call(BPF_FUNC_get_current_comm, name.data(), 4), 0);
    EXPECT_STREQ(name.data(), "swa");
    EXPECT_EQ(name[4], 'x');
    bpf_pidns_info info{1, 1};
    EXPECT_EQ(call(BPF_FUNC_get_ns_current_pid_tgid, 1, 1, &info, sizeof info), -EINVAL);
    EXPECT_EQ(info.pid, 0U);
    u64 value = 7;
    EXPECT_EQ(call(BPF_FUNC_probe_read_user, &value, sizeof value, &packet), -EFAULT);
    EXPECT_EQ(value, 0U);
}

TEST_F(SkbHelpers, MemoryIsReadOrNotThere) {
    u64 value = 0;
    const u64 source = 42;
    EXPECT_EQ(call(BPF_FUNC_probe_read_kernel, &value, sizeof value, &source), 0);
    EXPECT_EQ(value, 42U);
    EXPECT_EQ(call(BPF_FUNC_probe_read_kernel, &value, sizeof value, 16), -EFAULT);
    EXPECT_EQ(value, 0U);
    EXPECT_EQ(call(BPF_FUNC_probe_read_kernel, &value, 0, 16), 0);
    // A string that ends where the memory does.
    constexpr std::size_t page = 4096;
    auto* pages = static_cast<char*>(
        ::mmap(nullptr, 2 * page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
    ASSERT_EQ(::mprotect(pages + page, page, PROT_NONE), 0);
    std::memcpy(pages + page - 4, "end", 4);
    std::array<char, 16> text{};
    EXPECT_EQ(call(BPF_FUNC_probe_read_kernel_str, text.data(), text.size(), pages + page - 4), 4);
    EXPECT_STREQ(text.data(), "end");
    EXPECT_EQ(call(BPF_FUNC_probe_read_kernel_str, text.data(), 3, pages + page - 4), 3);
    EXPECT_STREQ(text.data(), "en");
    pages[page - 1] = 'x';
    EXPECT_EQ(call(BPF_FUNC_probe_read_kernel_str, text.data(), text.size(), pages + page - 4), -EFAULT);
    EXPECT_EQ(text, (std::array<char, 16>{}));
    ::munmap(pages, 2 * page);
}

TEST_F(SkbHelpers, StringsAreComparedAndPrinted) {
    EXPECT_EQ(call(BPF_FUNC_strncmp, "abc", 3, "abcd"), 0);
    EXPECT_EQ(call(BPF_FUNC_strncmp, "abc", 4, "abcd"), -1);
    EXPECT_EQ(call(BPF_FUNC_strncmp, "b\0x", 3, "b"), 0);
    EXPECT_EQ(call(BPF_FUNC_strncmp, "b", 1, "a"), 1);
    std::array<char, 16> text{};
    const u64 arguments[] = {7, reinterpret_cast<u64>("seven")};
    EXPECT_EQ(call(BPF_FUNC_snprintf, text.data(), text.size(), "%d=%s", arguments, sizeof arguments), 8);
    EXPECT_STREQ(text.data(), "7=seven");
    EXPECT_EQ(call(BPF_FUNC_snprintf, text.data(), 4, "%d=%s", arguments, sizeof arguments), 8);
    EXPECT_STREQ(text.data(), "7=s");
    EXPECT_EQ(call(BPF_FUNC_snprintf, nullptr, 0, "%d=%s", arguments, sizeof arguments), 8);
    EXPECT_EQ(call(BPF_FUNC_snprintf, text.data(), 4, "%d=%s", arguments, 8), -EINVAL);
    EXPECT_EQ(call(BPF_FUNC_snprintf, text.data(), 4, "%d", arguments, 7), -EINVAL);
    EXPECT_EQ(call(BPF_FUNC_snprintf, text.data(), 4, "%d", nullptr, 8), -EINVAL);
    EXPECT_EQ(call(BPF_FUNC_trace_vprintk, "%d %s", 6, arguments, sizeof arguments), 7);
    EXPECT_EQ(call(BPF_FUNC_trace_vprintk, "%d %s", 6, arguments, 13 * 8), -EINVAL);
    EXPECT_EQ(call(BPF_FUNC_trace_vprintk, "%d %s", 5, arguments, 16), -EINVAL);
}

/// A SYN, and the ACK that answers its cookie.
struct Handshake {
    iphdr ip4{};
    ipv6hdr ip6{};
    std::array<u8, 24> syn{};
    tcphdr ack{};

    explicit Handshake(u16 segment_size) {
        ip4.saddr = htonl(0x0a000001);
        ip4.daddr = htonl(0x0a000002);
        ip6.saddr.s6_addr[15] = 1;
        ip6.daddr.s6_addr[15] = 2;
        tcphdr header{};
        header.source = htons(1234);
        header.dest = htons(80);
        header.seq = htonl(1000);
        header.doff = 6;
        std::memcpy(syn.data(), &header, sizeof header);
        syn[20] = 2;
        syn[21] = 4;
        syn[22] = static_cast<u8>(segment_size >> 8);
        syn[23] = static_cast<u8>(segment_size);
        ack = header;
        ack.seq = htonl(1001);
    }
    void answer(i64 cookie) { ack.ack_seq = htonl(static_cast<u32>(cookie) + 1); }
};

struct CookieCase {
    u16 said;
    u16 ipv4;
    u16 ipv6;
};

TEST_F(SkbHelpers, SynCookiesAnswerThemselves) {
    constexpr CookieCase cases[] = {{100, 536, 1220},   {536, 536, 1220},   {1299, 536, 1220},
                                    {1300, 1300, 1220}, {1460, 1460, 1440}, {1459, 1440, 1440},
                                    {9000, 1460, 8940}, {0, 536, 1220}};
    for (const CookieCase& c : cases) {
        SCOPED_TRACE(c.said);
        Handshake h(c.said);
        i64 cookie = call(BPF_FUNC_tcp_raw_gen_syncookie_ipv4, &h.ip4, h.syn.data(), h.syn.size());
        EXPECT_EQ(cookie >> 32, c.ipv4);
        h.answer(cookie);
        EXPECT_EQ(call(BPF_FUNC_tcp_raw_check_syncookie_ipv4, &h.ip4, &h.ack), 0);
        h.answer(cookie + 4096);
        EXPECT_EQ(call(BPF_FUNC_tcp_raw_check_syncookie_ipv4, &h.ip4, &h.ack), -EACCES);
        cookie = call(BPF_FUNC_tcp_raw_gen_syncookie_ipv6, &h.ip6, h.syn.data(), h.syn.size());
        EXPECT_EQ(cookie >> 32, c.ipv6);
        h.answer(cookie);
        EXPECT_EQ(call(BPF_FUNC_tcp_raw_check_syncookie_ipv6, &h.ip6, &h.ack), 0);
        h.ip6.saddr.s6_addr[15] = 3;
        EXPECT_EQ(call(BPF_FUNC_tcp_raw_check_syncookie_ipv6, &h.ip6, &h.ack), -EACCES);
    }
    Handshake h(1460);
    EXPECT_EQ(call(BPF_FUNC_tcp_raw_gen_syncookie_ipv4, &h.ip4, h.syn.data(), 20), -EINVAL);
    EXPECT_EQ(call(BPF_FUNC_tcp_raw_gen_syncookie_ipv4, &h.ip4, h.syn.data(), 19), -EINVAL);
}

TEST_F(SkbHelpers, SynCookiesGrowOldAndAreTheSameInEachReplay) {
    t_run.random_by_packet = true;
    t_run.clock = Clock::capture;
    t_run.seed = 5;
    constexpr u64 minute = 60'000'000'000;
    packet.timestamp_ns = 10 * minute;
    Handshake h(1460);
    const i64 cookie = call(BPF_FUNC_tcp_raw_gen_syncookie_ipv4, &h.ip4, h.syn.data(), h.syn.size());
    EXPECT_EQ(call(BPF_FUNC_tcp_raw_gen_syncookie_ipv4, &h.ip4, h.syn.data(), h.syn.size()), cookie);
    h.answer(cookie);
    packet.timestamp_ns = 12 * minute - 1;
    EXPECT_EQ(call(BPF_FUNC_tcp_raw_check_syncookie_ipv4, &h.ip4, &h.ack), 0);
    packet.timestamp_ns = 12 * minute;
    EXPECT_EQ(call(BPF_FUNC_tcp_raw_check_syncookie_ipv4, &h.ip4, &h.ack), -EACCES);
    t_run.seed = 6;
    packet.timestamp_ns = 10 * minute;
    EXPECT_NE(call(BPF_FUNC_tcp_raw_gen_syncookie_ipv4, &h.ip4, h.syn.data(), h.syn.size()), cookie);
}

} // namespace
} // namespace xdplane
