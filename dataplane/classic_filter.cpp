// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
#include "dataplane/classic_filter.h"

#include <cstring>
#include <linux/bpf.h>

#include "bpf/syscall/bpf_system.h"

namespace xdplane {
namespace {

/// PROG_LOAD; the program outlives the fd.
Result<std::shared_ptr<const Program>> load_socket_filter(const std::vector<Insn>& insns) {
    std::string log(64 * 1024, '\0');
    bpf_attr attr;
    std::memset(&attr, 0, sizeof attr);
    attr.prog_type = BPF_PROG_TYPE_SOCKET_FILTER;
    attr.insns = reinterpret_cast<u64>(insns.data());
    attr.insn_cnt = static_cast<u32>(insns.size());
    attr.license = reinterpret_cast<u64>("Dual BSD/GPL");
    std::strcpy(attr.prog_name, "filter");
    long fd = bpf_syscall(BPF_PROG_LOAD, &attr, sizeof attr);
    if (fd < 0) {
        // Once more, for the verifier's words.
        attr.log_level = 1;
        attr.log_buf = reinterpret_cast<u64>(log.data());
        attr.log_size = static_cast<u32>(log.size());
        fd = bpf_syscall(BPF_PROG_LOAD, &attr, sizeof attr);
    }
    if (fd < 0) {
        log.resize(std::strlen(log.c_str()));
        while (!log.empty() && log.back() == '\n') log.pop_back();
        const int code = static_cast<int>(-fd);
        return fail(code, "the verifier refuses it: {}",
                    log.empty() ? std::strerror(code) : log.substr(log.rfind('\n') + 1));
    }
    auto program = program_from_fd(static_cast<int>(fd));
    close_object_fd(static_cast<int>(fd));
    return program;
}

} // namespace

Result<std::shared_ptr<const Program>> load_classic_filter(std::span<const ClassicInsn> classic) {
    auto insns = translate_classic(classic, ClassicDialect::libpcap);
    if (!insns) return fail(insns.error());
    return load_socket_filter(*insns);
}

} // namespace xdplane
