// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
#pragma once
#include <chrono>
#include <span>
#include <vector>

#include "bpf/base/result.h"
#include "bpf/prog/program.h"

namespace xdplane {

/// BPF_PROG_TEST_RUN without its attribute: one packet, run `repeat` times over the same buffer. Control
/// threads; the calling thread is an online reader of the Reclaimer while it runs.
struct TestRun {
    // In.
    std::span<const u8> data;
    std::span<const u8> ctx; ///< struct xdp_md or __sk_buff, or empty
    u32 repeat = 1;
    u32 expected_attach_type = 0;
    bool want_ctx = false;
    bool csum_complete = false; ///< BPF_F_TEST_SKB_CHECKSUM_COMPLETE; not for XDP
    // Out.
    std::vector<u8> data_out;
    std::vector<u8> ctx_out; ///< if ctx was given or wanted
    u32 retval = 0;
    u32 duration_ns = 0; ///< of one run, on average

    /// XDP: a page with 256 bytes of headroom and 320 of tailroom, as Linux makes it. Errors: EINVAL for a
    /// packet under 14 bytes or one that does not fit, or a bad context; E2BIG for a context with more than
    /// zeros behind struct xdp_md.
    [[nodiscard]] Result<> run_xdp(const Program& program);
    /// The types of struct __sk_buff. sched_cls and sched_act see the packet from its Ethernet header on,
    /// others from its network header, as in Linux's test run. Devices are those of Linux's loopback: an MTU
    /// of 65536, the address 0; a context may name any other by number. Errors: EINVAL for a packet that is
    /// shorter than an Ethernet header and the IP header that it announces, or does not fit a page, and for a
    /// context that sets what cannot be set; E2BIG as above; EBADMSG if csum_complete and the program left
    /// another sum than the packet has.
    [[nodiscard]] Result<> run_skb(const Program& program);

private:
    [[nodiscard]] Result<> run(const Program& program, XdpBuff& packet);
};

/// While it lives, test runs of this thread that take longer end with EINTR, between two runs, as Linux's do
/// at a signal. Without one there is no limit.
class TestRunLimit {
public:
    explicit TestRunLimit(std::chrono::nanoseconds limit);
    ~TestRunLimit();
    TestRunLimit(const TestRunLimit&) = delete;
    TestRunLimit& operator=(const TestRunLimit&) = delete;
};

} // namespace xdplane
