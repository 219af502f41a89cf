// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
#include "bpf/syscall/test_run.h"

#include <algorithm>
#include <arpa/inet.h>
#include <array>
#include <chrono>
#include <cstring>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <sched.h>

#include "bpf/base/reclaimer.h"
#include "bpf/syscall/command.h"

namespace xdplane {

namespace {

constexpr u32 kSkbHeadroom = 64; // NET_SKB_PAD on x86-64
constexpr u32 kLoopback = 1;     // ifindex: where Linux's test packets seem to come from

/// A page for the packet: on the heap, so that the sanitizers watch its ends.
struct alignas(kCacheLine) Frame {
    std::array<u8, kFrameSize> bytes{};
};

/// The thread's run context for one test run: the wall clock, this CPU, numbers of its own.
class RunGuard {
public:
    RunGuard() : saved_(t_run), reader_(Reclaimer::instance().online()) {
        t_run = {};
        const int cpu = ::sched_getcpu();
        t_run.cpu = cpu >= 0 && static_cast<u32>(cpu) < num_possible_cpus() ? static_cast<u32>(cpu) : 0;
        t_run.seed = static_cast<u64>(std::chrono::steady_clock::now().time_since_epoch().count());
        t_run.random_state = t_run.seed | 1;
    }
    ~RunGuard() {
        if (reader_ >= 0) Reclaimer::instance().offline(reader_);
        t_run = saved_;
    }
    RunGuard(const RunGuard&) = delete;
    RunGuard& operator=(const RunGuard&) = delete;
    [[nodiscard]] bool online() const { return reader_ >= 0; }

private:
    RunContext saved_;
    int reader_;
};

template<class T>
T context_from(std::span<const u8> bytes) {
    T ctx{};
    if (!bytes.empty()) std::memcpy(&ctx, bytes.data(), std::min(bytes.size(), sizeof ctx));
    return ctx;
}
template<class T>
void context_to(const T& ctx, std::vector<u8>& out) {
    const auto* bytes = reinterpret_cast<const u8*>(&ctx);
    out.assign(bytes, bytes + sizeof ctx);
}

/// eth_type_trans() of a packet that came in over the loopback device, whose address is all zeros.
void classify(XdpBuff& packet, std::span<const u8> frame) {
    u16 type = 0;
    std::memcpy(&type, frame.data() + 12, sizeof type);
    const bool raw_802_3 = frame.size() >= 16 && frame[14] == 0xff && frame[15] == 0xff;
    if (ntohs(type) >= ETH_P_802_3_MIN)
        packet.protocol = type;
    else
        packet.protocol = htons(raw_802_3 ? ETH_P_802_3 : ETH_P_802_2);
    const auto target = frame.first(ETH_ALEN);
    const auto all = [&](u8 byte) { return std::ranges::all_of(target, [&](u8 b) { return b == byte; }); };
    packet.pkt_type = all(0)                 ? PACKET_HOST
                      : all(0xff)            ? PACKET_BROADCAST
                      : (target[0] & 1) != 0 ? PACKET_MULTICAST
                                             : PACKET_OTHERHOST;
}

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

} // namespace

void TestRun::run(const Program& program, XdpBuff& packet) {
    repeat = std::max(repeat, 1U);
    const auto start = std::chrono::steady_clock::now();
    for (u32 i = 0; i < repeat; ++i) retval = program.run(packet);
    const auto spent =
        std::chrono::duration_cast<std::chrono::nanoseconds>(std::chrono::steady_clock::now() - start);
    duration_ns = static_cast<u32>(std::min<u64>(static_cast<u64>(spent.count()) / repeat, ~u32{0}));
}

Result<> TestRun::run_xdp(const Program& program) {
    constexpr u32 kLongestMeta = 252; // Linux: a multiple of 4 below 256
    if (expected_attach_type == BPF_XDP_DEVMAP || expected_attach_type == BPF_XDP_CPUMAP)
        return fail(EINVAL, "programs of device and CPU maps cannot be test-run");
    if (!tail_is_zero(ctx.data(), sizeof(xdp_md), static_cast<u32>(ctx.size())))
        return fail(E2BIG, "context is longer than struct xdp_md");
    auto md = context_from<xdp_md>(ctx);
    const auto size = static_cast<u32>(data.size());
    if (!ctx.empty()) {
        if (md.data_meta != 0 || md.data_end != size || md.data > md.data_end || md.data % 4 != 0 ||
            md.data > kLongestMeta)
            return fail(EINVAL, "context does not fit the packet");
    }
    if (size < ETH_HLEN) return fail(EINVAL, "packet of {} bytes is too short", size);
    const u32 first = kHeadroom - md.data;
    if (size > kFrameSize - kFrameTail - first)
        return fail(EINVAL, "packet of {} bytes does not fit a page", size);
    if (md.egress_ifindex != 0 || (md.ingress_ifindex == 0 && md.rx_queue_index != 0))
        return fail(EINVAL, "context names a device that cannot be");

    const auto frame = std::make_unique<Frame>();
    u8* start = frame->bytes.data();
    std::memcpy(start + first, data.data(), size);
    XdpBuff packet{};
    packet.hard_start = start;
    packet.data_meta = start + first;
    packet.data = packet.data_meta + md.data;
    packet.data_end = packet.data_meta + size;
    packet.frame_end = start + kFrameSize - kFrameTail;
    packet.wire_len = packet.length();
    packet.ingress_ifindex = md.ingress_ifindex != 0 ? md.ingress_ifindex : kLoopback;
    packet.rx_queue = md.rx_queue_index;
    {
        const RunGuard guard;
        if (!guard.online()) return fail(EBUSY, "too many threads run programs");
        run(program, packet);
    }
    data_out.assign(packet.data_meta, packet.data_end);
    if (!ctx.empty() || want_ctx) {
        md.data = static_cast<u32>(packet.data - packet.data_meta);
        md.data_end = static_cast<u32>(packet.data_end - packet.data_meta);
        context_to(md, ctx_out);
    }
    return {};
}

Result<> TestRun::run_socket_filter(const Program& program) {
    if (!tail_is_zero(ctx.data(), sizeof(__sk_buff), static_cast<u32>(ctx.size())))
        return fail(E2BIG, "context is longer than struct __sk_buff");
    auto skb = context_from<__sk_buff>(ctx);
    const auto size = static_cast<u32>(data.size());
    if (size < ETH_HLEN || size > kFrameSize - kSkbHeadroom - kFrameTail)
        return fail(EINVAL, "packet of {} bytes cannot be test-run", size);
    if (!skb_context_is_valid(skb)) return fail(EINVAL, "context sets fields that cannot be set");

    const auto frame = std::make_unique<Frame>();
    u8* start = frame->bytes.data();
    std::memcpy(start + kSkbHeadroom, data.data(), size);
    XdpBuff packet{};
    packet.hard_start = start;
    packet.data = start + kSkbHeadroom + ETH_HLEN;
    packet.data_meta = packet.data;
    packet.data_end = packet.data - ETH_HLEN + size;
    packet.frame_end = start + kFrameSize - kFrameTail;
    packet.wire_len = packet.length();
    packet.ingress_ifindex = kLoopback;
    packet.mark = skb.mark;
    packet.priority = skb.priority;
    packet.timestamp_ns = skb.tstamp;
    std::memcpy(packet.cb, skb.cb, sizeof packet.cb);
    classify(packet, data);
    {
        const RunGuard guard;
        if (!guard.online()) return fail(EBUSY, "too many threads run programs");
        run(program, packet);
    }
    // Linux hands out a blank link-layer header.
    data_out.assign(ETH_HLEN, 0);
    data_out.insert(data_out.end(), packet.data, packet.data_end);
    if (!ctx.empty() || want_ctx) {
        skb.mark = packet.mark;
        skb.priority = packet.priority;
        skb.ingress_ifindex = packet.ingress_ifindex;
        skb.ifindex = packet.ingress_ifindex;
        if (skb.wire_len == 0) skb.wire_len = size;
        std::memcpy(skb.cb, packet.cb, sizeof packet.cb);
        context_to(skb, ctx_out);
    }
    return {};
}

namespace {

/// Copies out what fits, as Linux: no limit if the caller gave none.
int copy_out(const std::vector<u8>& from, u64 address, u32 limit) {
    const std::size_t size = limit != 0 ? std::min<std::size_t>(from.size(), limit) : from.size();
    if (address != 0) std::memcpy(user_pointer(address), from.data(), size);
    return size < from.size() ? -ENOSPC : 0;
}

} // namespace

long prog_test_run(Call& call) {
    const auto& a = call.attr.test;
    if ((a.ctx_size_in != 0) != (a.ctx_in != 0) || (a.ctx_size_out != 0) != (a.ctx_out != 0)) return -EINVAL;
    const auto program = object_from_fd<const Program>(static_cast<i32>(a.prog_fd));
    if (!program) return -program.error().code;
    const u32 type = (*program)->parts().type->type;
    if (type != BPF_PROG_TYPE_XDP && type != BPF_PROG_TYPE_SOCKET_FILTER) return -kNotSupported;
    if (type == BPF_PROG_TYPE_XDP && (a.flags & BPF_F_TEST_XDP_LIVE_FRAMES) != 0) return -kNotSupported;
    if (a.flags != 0 || a.cpu != 0 || a.batch_size != 0) return -EINVAL;
    if (a.data_in == 0 && a.data_size_in >= ETH_HLEN) return -EFAULT;

    TestRun test;
    test.data = {user_pointer<const u8>(a.data_in), a.data_size_in};
    test.ctx = {user_pointer<const u8>(a.ctx_in), a.ctx_size_in};
    test.repeat = a.repeat;
    test.want_ctx = a.ctx_out != 0;
    if (const auto extras = extras_of(*program)) test.expected_attach_type = extras->expected_attach_type;
    const auto done = type == BPF_PROG_TYPE_XDP ? test.run_xdp(**program) : test.run_socket_filter(**program);
    if (!done) return -done.error().code;

    long result = copy_out(test.data_out, a.data_out, a.data_size_out);
    call.put(offsetof(bpf_attr, test.data_size_out), static_cast<u32>(test.data_out.size()));
    call.put(offsetof(bpf_attr, test.retval), test.retval);
    call.put(offsetof(bpf_attr, test.duration), test.duration_ns);
    if (result == 0 && a.ctx_out != 0) {
        result = copy_out(test.ctx_out, a.ctx_out, a.ctx_size_out);
        call.put(offsetof(bpf_attr, test.ctx_size_out), static_cast<u32>(test.ctx_out.size()));
    }
    return result;
}

} // namespace xdplane
