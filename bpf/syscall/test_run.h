// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
#pragma once
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
    // Out.
    std::vector<u8> data_out;
    std::vector<u8> ctx_out; ///< if ctx was given or wanted
    u32 retval = 0;
    u32 duration_ns = 0; ///< of one run, on average

    /// XDP: a page with 256 bytes of headroom and 320 of tailroom, as Linux makes it. Errors: EINVAL for a
    /// packet under 14 bytes or one that does not fit, or a bad context.
    [[nodiscard]] Result<> run_xdp(const Program& program);
    /// Socket filters: the program sees the packet from its network header on, as Linux's test run does.
    [[nodiscard]] Result<> run_socket_filter(const Program& program);

private:
    void run(const Program& program, XdpBuff& packet);
};

} // namespace xdplane
