// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
#include "tests/support/kernel_bpf.h"

#include <cstring>
#include <sys/syscall.h>

namespace xdplane::test {

namespace {

// By instruction, not through libc: syscall() is what the project wraps.
long raw_syscall(long number, long a, long b, long c) {
#if defined(__x86_64__)
    long result = 0;
    asm volatile("syscall" : "=a"(result) : "a"(number), "D"(a), "S"(b), "d"(c) : "rcx", "r11", "memory");
    return result;
#elif defined(__aarch64__)
    register long x8 asm("x8") = number;
    register long x0 asm("x0") = a;
    register long x1 asm("x1") = b;
    register long x2 asm("x2") = c;
    asm volatile("svc 0" : "+r"(x0) : "r"(x8), "r"(x1), "r"(x2) : "memory");
    return x0;
#else
#error "no system call instruction known for this machine"
#endif
}

} // namespace

long kernel_bpf(int command, void* attr, unsigned size) {
    return raw_syscall(__NR_bpf, command, reinterpret_cast<long>(attr), size);
}

void kernel_close(int fd) { raw_syscall(__NR_close, fd, 0, 0); }

bool kernel_bpf_allowed() {
    static const bool allowed = [] {
        const bpf_insn insns[] = {
            {.code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = 0, .src_reg = 0, .off = 0, .imm = 2},
            {.code = BPF_JMP | BPF_EXIT, .dst_reg = 0, .src_reg = 0, .off = 0, .imm = 0}};
        bpf_attr attr;
        std::memset(&attr, 0, sizeof attr);
        attr.prog_type = BPF_PROG_TYPE_XDP;
        attr.insns = reinterpret_cast<__u64>(insns);
        attr.insn_cnt = 2;
        attr.license = reinterpret_cast<__u64>("GPL");
        const long fd = kernel_bpf(BPF_PROG_LOAD, &attr, sizeof attr);
        if (fd < 0) return false;
        kernel_close(static_cast<int>(fd));
        return true;
    }();
    return allowed;
}

} // namespace xdplane::test
