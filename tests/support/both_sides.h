// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
#pragma once
#include <array>
#include <span>
#include <string>
#include <vector>

#include "bpf/base/result.h"
#include "bpf/base/types.h"
#include "bpf/isa/insn.h"

/// The same program bytes, loaded and test-run by the running kernel and by xdplane's bpf(2) on each of its
/// engines. Only for tests.
namespace xdplane::both {

struct Request {
    u32 type = 0;
    u32 attach_type = 0;
    std::vector<Insn> insns;
    std::vector<u8> packet;
    std::vector<u8> ctx; ///< struct xdp_md or __sk_buff; may be empty
    u32 flags = 0;       ///< of PROG_TEST_RUN
    u32 repeat = 1;
};

struct Answer {
    int load = 0; ///< 0 or the errno of PROG_LOAD
    int run = 0;  ///< 0 or the errno of PROG_TEST_RUN
    u32 result = 0;
    std::vector<u8> packet;
    std::vector<u8> ctx;
    std::string log; ///< of a refusal
    friend bool operator==(const Answer& a, const Answer& b) {
        return a.load == b.load && a.run == b.run && a.result == b.result && a.packet == b.packet &&
               a.ctx == b.ctx;
    }
};
[[nodiscard]] std::string describe(const Answer& answer);

struct Side {
    const char* name;
    Answer (*ask)(const Request& request);
};
/// xdplane's interpreter, and its JIT where the host has one.
[[nodiscard]] std::span<const Side> engines();
[[nodiscard]] Answer ask_kernel(const Request& request);

} // namespace xdplane::both
