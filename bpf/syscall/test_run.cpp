// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
#include "bpf/syscall/test_run.h"

#include <algorithm>
#include <array>
#include <chrono>
#include <cstring>
#include <linux/if_ether.h>
#include <sched.h>

#include "bpf/base/reclaimer.h"
#include "bpf/base/ticks.h"
#include "bpf/syscall/command.h"
#include "bpf/syscall/test_context.h"

namespace xdplane {

namespace {

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

thread_local std::chrono::nanoseconds t_limit{0}; // 0: none

/// Looked at once in so many runs: a look takes as long as a short program.
constexpr u32 kRunsPerLook = 16;

} // namespace

TestRunLimit::TestRunLimit(std::chrono::nanoseconds limit) { t_limit = limit; }
TestRunLimit::~TestRunLimit() { t_limit = {}; }

Result<> TestRun::run(const Program& program, XdpBuff& packet) {
    constexpr u32 loopback_mtu = 65536;
    const RunGuard guard;
    if (!guard.online()) return fail(EBUSY, "too many threads run programs");
    t_run.mtu = loopback_mtu;
    repeat = std::max(repeat, 1U);
    const auto start = std::chrono::steady_clock::now();
    const u64 ticks = cpu_ticks();
    for (u32 i = 0; i < repeat; ++i) {
        retval = program.run(packet);
        if (t_limit.count() != 0 && i % kRunsPerLook == 0 &&
            std::chrono::steady_clock::now() - start > t_limit)
            return fail(EINTR, "test run takes more than {} s",
                        std::chrono::duration<double>(t_limit).count());
    }
    if (RunStatsSwitch::on()) program.run_stats.add(repeat, cpu_ticks() - ticks);
    const auto spent =
        std::chrono::duration_cast<std::chrono::nanoseconds>(std::chrono::steady_clock::now() - start);
    duration_ns = static_cast<u32>(std::min<u64>(static_cast<u64>(spent.count()) / repeat, ~u32{0}));
    return {};
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
    packet.ingress_ifindex = md.ingress_ifindex != 0 ? md.ingress_ifindex : kTestLoopback;
    packet.rx_queue = md.rx_queue_index;
    if (auto done = run(program, packet); !done) return done;
    data_out.assign(packet.data_meta, packet.data_end);
    if (!ctx.empty() || want_ctx) {
        md.data = static_cast<u32>(packet.data - packet.data_meta);
        md.data_end = static_cast<u32>(packet.data_end - packet.data_meta);
        context_to(md, ctx_out);
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
    const ProgramType& type = *(*program)->parts().type;
    const bool xdp = type.type == BPF_PROG_TYPE_XDP;
    if (!xdp && (type.use_bit & kUseSkb) == 0) return -kNotSupported;
    // Live frames leave through devices of the kernel, of which there are none here.
    if (xdp && (a.flags & BPF_F_TEST_XDP_LIVE_FRAMES) != 0) return -kNotSupported;
    constexpr u32 csum_complete = 1U << 2; // BPF_F_TEST_SKB_CHECKSUM_COMPLETE, of Linux 6.15
    if ((a.flags & ~(xdp ? 0 : csum_complete)) != 0 || a.batch_size != 0) return -EINVAL;
    if (!xdp && a.cpu != 0) return -EINVAL; // Linux only looks at it here
    if (a.data_in == 0 && a.data_size_in >= ETH_HLEN) return -EFAULT;

    TestRun test;
    test.data = {user_pointer<const u8>(a.data_in), a.data_size_in};
    test.ctx = {user_pointer<const u8>(a.ctx_in), a.ctx_size_in};
    test.repeat = a.repeat;
    test.want_ctx = a.ctx_out != 0;
    if (const auto extras = extras_of(*program)) test.expected_attach_type = extras->expected_attach_type;
    test.csum_complete = (a.flags & csum_complete) != 0;
    const auto done = xdp ? test.run_xdp(**program) : test.run_skb(**program);
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
