// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
#include "tests/support/both_sides.h"

#include <cstring>
#include <fmt/format.h>
#include <linux/bpf.h>

#include "bpf/jit/jit.h"
#include "bpf/syscall/bpf_system.h"
#include "tests/support/hex.h"
#include "tests/support/kernel_bpf.h"

namespace xdplane::both {
namespace {

u64 address(const void* pointer) { return reinterpret_cast<u64>(pointer); }

bpf_attr zero_attr() {
    bpf_attr attr;
    std::memset(static_cast<void*>(&attr), 0, sizeof attr);
    return attr;
}

long kernel(u32 command, void* attr, u32 size) {
    return test::kernel_bpf(static_cast<int>(command), attr, size);
}

using Bpf = long (*)(u32 command, void* attr, u32 size);

long load(Bpf bpf, const Request& request, std::string* log) {
    std::vector<char> text(1 << 18);
    bpf_attr attr = zero_attr();
    attr.prog_type = request.type;
    attr.expected_attach_type = request.attach_type;
    attr.insns = address(request.insns.data());
    attr.insn_cnt = static_cast<u32>(request.insns.size());
    attr.license = address("GPL");
    if (log != nullptr) {
        attr.log_level = 1;
        attr.log_buf = address(text.data());
        attr.log_size = static_cast<u32>(text.size());
    }
    const long fd = bpf(BPF_PROG_LOAD, &attr, sizeof attr);
    if (log != nullptr) *log = text.data();
    return fd;
}

Answer ask(Bpf bpf, void (*close_fd)(int), const Request& request) {
    Answer answer;
    long fd = load(bpf, request, nullptr);
    if (fd < 0) {
        answer.load = static_cast<int>(-fd);
        fd = load(bpf, request, &answer.log);
        if (fd >= 0) close_fd(static_cast<int>(fd));
        return answer;
    }
    answer.packet.resize(1 << 15);
    answer.ctx = request.ctx;
    bpf_attr attr = zero_attr();
    attr.test.prog_fd = static_cast<u32>(fd);
    attr.test.data_in = address(request.packet.data());
    attr.test.data_size_in = static_cast<u32>(request.packet.size());
    attr.test.data_out = address(answer.packet.data());
    attr.test.data_size_out = static_cast<u32>(answer.packet.size());
    attr.test.repeat = request.repeat;
    attr.test.flags = request.flags;
    if (!request.ctx.empty()) {
        attr.test.ctx_in = address(request.ctx.data());
        attr.test.ctx_out = address(answer.ctx.data());
        attr.test.ctx_size_in = attr.test.ctx_size_out = static_cast<u32>(request.ctx.size());
    }
    const long run = bpf(BPF_PROG_TEST_RUN, &attr, sizeof attr);
    close_fd(static_cast<int>(fd));
    answer.run = run < 0 ? static_cast<int>(-run) : 0;
    if (run < 0) {
        answer.packet.clear();
        answer.ctx.clear();
        return answer;
    }
    answer.result = attr.test.retval;
    answer.packet.resize(attr.test.data_size_out);
    if (!request.ctx.empty()) answer.ctx.resize(attr.test.ctx_size_out);
    return answer;
}

Answer ask_here(Engine which, const Request& request) {
    const Engine before = engine();
    set_engine(which);
    Answer answer = ask(bpf_syscall, close_object_fd, request);
    set_engine(before);
    return answer;
}

constexpr Side kEngines[] = {
    {"interpreter", [](const Request& request) { return ask_here(Engine::interpreter, request); }},
    {"JIT", [](const Request& request) { return ask_here(Engine::jit, request); }},
};

} // namespace

std::span<const Side> engines() { return std::span(kEngines).first(host_backend() != nullptr ? 2 : 1); }

Answer ask_kernel(const Request& request) { return ask(kernel, test::kernel_close, request); }

std::string describe(const Answer& a) {
    if (a.load != 0) return fmt::format("refused: {}\n{}", std::strerror(a.load), a.log);
    if (a.run != 0) return fmt::format("not run: {}", std::strerror(a.run));
    return fmt::format("result {:#x}\npacket ({}) {}\nctx {}", a.result, a.packet.size(), to_hex(a.packet),
                       to_hex(a.ctx));
}

} // namespace xdplane::both
