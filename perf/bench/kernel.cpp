// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
#include "perf/bench/kernel.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <cerrno>
#include <cstring>

#include "bpf/libbpf/wrap.h"

namespace xdplane::bench {

void ObjectCloser::operator()(bpf_object* object) const { bpf_object__close(object); }

const std::string& kernel_refusal() {
    static const std::string refusal = [] {
        const KernelScope scope;
        const bpf_insn insns[] = {
            {.code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = 0, .src_reg = 0, .off = 0, .imm = 2},
            {.code = BPF_JMP | BPF_EXIT, .dst_reg = 0, .src_reg = 0, .off = 0, .imm = 0}};
        const int fd = bpf_prog_load(BPF_PROG_TYPE_XDP, "bench", "GPL", insns, std::size(insns), nullptr);
        if (fd < 0) return fmt::format("bpf(2) of the kernel: {} (root is needed)", std::strerror(-fd));
        ::close(fd);
        return std::string();
    }();
    return refusal;
}

Result<KernelObject> open_kernel_object(std::span<const u8> bytes, const std::string& name) {
    bpf_object_open_opts options{};
    options.sz = sizeof options;
    options.object_name = name.c_str();
    KernelObject object(bpf_object__open_mem(bytes.data(), bytes.size(), &options));
    if (object == nullptr) return fail(errno, "libbpf: {}", std::strerror(errno));
    return object;
}

} // namespace xdplane::bench
