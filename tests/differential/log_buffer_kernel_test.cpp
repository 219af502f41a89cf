// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
#include <cerrno>
#include <cstring>
#include <gtest/gtest.h>
#include <linux/bpf.h>
#include <span>
#include <string>
#include <vector>

#include "bpf/syscall/bpf_system.h"
#include "tests/support/kernel_bpf.h"

/// The log buffer of PROG_LOAD at every size and level: what is returned, what is in the buffer, and
/// log_true_size, the running kernel's and ours. Without the statistics, whose time differs.
namespace xdplane::test {
namespace {

/// `if (r2 != 0) ...` both ways: level 1 forgets what it said of the first path.
constexpr bpf_insn kAccepted[] = {
    {.code = BPF_LDX | BPF_MEM | BPF_W, .dst_reg = 2, .src_reg = 1, .off = 12, .imm = 0},
    {.code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = 0, .src_reg = 0, .off = 0, .imm = 1},
    {.code = BPF_JMP | BPF_JNE | BPF_K, .dst_reg = 2, .src_reg = 0, .off = 1, .imm = 0},
    {.code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = 0, .src_reg = 0, .off = 0, .imm = 2},
    {.code = BPF_JMP | BPF_EXIT, .dst_reg = 0, .src_reg = 0, .off = 0, .imm = 0},
};
constexpr bpf_insn kRejected[] = {
    {.code = BPF_ALU64 | BPF_MOV | BPF_X, .dst_reg = 0, .src_reg = 5, .off = 0, .imm = 0},
    {.code = BPF_JMP | BPF_EXIT, .dst_reg = 0, .src_reg = 0, .off = 0, .imm = 0},
};

struct Outcome {
    long result = 0; ///< 0 for an fd
    u32 true_size = 0;
    std::string text;
};

template<class Call>
Outcome load(std::span<const bpf_insn> insns, u32 level, u32 size, Call&& call, void (*close_fd)(int)) {
    std::vector<char> buffer(size + 1, '\x7f');
    bpf_attr attr;
    std::memset(&attr, 0, sizeof attr);
    attr.prog_type = BPF_PROG_TYPE_XDP;
    attr.insns = reinterpret_cast<u64>(insns.data());
    attr.insn_cnt = static_cast<u32>(insns.size());
    attr.license = reinterpret_cast<u64>("GPL");
    attr.log_level = level;
    attr.log_size = size;
    attr.log_buf = size == 0 ? 0 : reinterpret_cast<u64>(buffer.data());
    Outcome outcome;
    outcome.result = call(BPF_PROG_LOAD, &attr, static_cast<u32>(sizeof attr));
    if (outcome.result >= 0) {
        close_fd(static_cast<int>(outcome.result));
        outcome.result = 0;
    }
    // log_true_size, which older headers do not have.
    std::memcpy(&outcome.true_size, &attr.core_relo_rec_size + 1, sizeof outcome.true_size);
    EXPECT_EQ(buffer[size], '\x7f') << "written behind the buffer";
    if (size > 0 && buffer[0] != '\x7f') outcome.text = buffer.data();
    return outcome;
}

class LogBuffer : public testing::TestWithParam<u32> {};

TEST_P(LogBuffer, IsFilledAsTheKernelDoes) {
    if (!kernel_bpf_allowed()) GTEST_SKIP() << "the kernel does not let this process call bpf()";
    for (const std::span<const bpf_insn> insns : {std::span<const bpf_insn>(kAccepted), {kRejected}}) {
        for (u32 size = 0; size < 1200; size += size < 8 ? 1 : 13) {
            const Outcome kernel = load(insns, GetParam(), size, kernel_bpf, kernel_close);
            const Outcome own = load(insns, GetParam(), size, bpf_syscall, close_object_fd);
            EXPECT_EQ(own.result, kernel.result) << "size " << size;
            EXPECT_EQ(own.true_size, kernel.true_size) << "size " << size;
            EXPECT_EQ(own.text, kernel.text) << "size " << size;
            if (HasFailure()) return;
        }
    }
}

INSTANTIATE_TEST_SUITE_P(Levels, LogBuffer, testing::Values(0U, 1U, 2U, 3U, 8U, 9U, 10U, 11U, 16U));

} // namespace
} // namespace xdplane::test
