// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
#include <fcntl.h>

#include "bpf/syscall/command.h"

namespace xdplane {

long btf_load(Call& call) {
    constexpr u32 kMaxSize = 16 * 1024 * 1024;
    const bpf_attr& a = call.attr;
    const UserLog log{a.btf_log_level, a.btf_log_size, user_pointer(a.btf_log_buf)};
    if (a.btf_size > kMaxSize) return -E2BIG;
    if (!log.valid()) return -EINVAL;
    if (a.btf == 0) return -EFAULT;
    const auto btf = Btf::parse({user_pointer(a.btf), a.btf_size});
    if (!btf) {
        const int full = log.write(btf.error().message + "\n");
        return full != 0 ? full : -btf.error().code;
    }
    if (const int full = log.write(""); full != 0) return full;
    ObjectTable::instance().add(*btf);
    return ObjectTable::instance().open(*btf, O_RDWR);
}

} // namespace xdplane
