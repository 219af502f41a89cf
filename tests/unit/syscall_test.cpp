// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
// Every case of the tables of syscall_*_test.cpp, on xdplane's bpf_syscall() and, where it is allowed, on the
// running kernel; and the call itself.
#ifdef XDPLANE_REMOTE
#include "tests/unit/remote_side.h"
#else
#include "bpf/syscall/bpf_system.h"
#include "tests/support/kernel_bpf.h"
#endif
#include "tests/unit/syscall_cases.h"

namespace xdplane::test {

#ifdef XDPLANE_REMOTE
// The same answers, from behind a socket.
const Side kOurs = {"remote", remote_bpf, remote_close};
#else
const Side kOurs = {"xdplane", bpf_syscall, close_object_fd};
#endif

namespace {

TEST_P(SyscallCases, AnswersAsLinuxDoes) {
    Env env(kOurs);
    EXPECT_EQ(GetParam().run(env), GetParam().result);
}

#ifndef XDPLANE_REMOTE
long ask_kernel(u32 command, void* attr, u32 size) {
    return kernel_bpf(static_cast<int>(command), attr, size);
}
constexpr Side kKernel = {"kernel", ask_kernel, kernel_close};

TEST_P(SyscallCases, AsTheKernel) {
    if (!kernel_bpf_allowed()) GTEST_SKIP() << "the kernel refuses bpf()";
    Env env(kKernel);
    EXPECT_EQ(GetParam().run(env), GetParam().result);
}
#endif

const Case kCases[] = {
    {"CommandUnknown",
     [](Env& e) {
         auto a = zero_attr();
         return e.call(9999, a);
     },
     -EINVAL},
    {"SizeOverAPage",
     [](Env& e) {
         static u8 big[8192];
         std::memset(big, 0, sizeof big);
         return e.call(BPF_MAP_CREATE, *reinterpret_cast<bpf_attr*>(big), 8192);
     },
     -E2BIG},
    {"TailNotZero",
     [](Env& e) {
         static u8 big[512];
         std::memset(big, 0, sizeof big);
         big[511] = 1;
         return e.call(BPF_MAP_CREATE, *reinterpret_cast<bpf_attr*>(big), 512);
     },
     -E2BIG},
    {"UnusedFieldNotZero",
     [](Env& e) {
         auto a = e.elem(e.hash, &g_key, &g_value);
         a.flags = 1; // not a field of MAP_DELETE_ELEM
         return e.call(BPF_MAP_DELETE_ELEM, a);
     },
     -EINVAL},
    {"SizeZero",
     [](Env& e) {
         auto a = zero_attr();
         return e.call(BPF_MAP_CREATE, a, 0);
     },
     -EINVAL},
};

INSTANTIATE_TEST_SUITE_P(Call, SyscallCases, testing::ValuesIn(kCases), name_of_case);

} // namespace
} // namespace xdplane::test
