// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
//
// Attaching by bpf(2). Only XDP programs have a place to be attached to, and only by links.
#include <fcntl.h>

#include "bpf/syscall/command.h"
#include "bpf/syscall/xdp_hooks.h"

namespace xdplane {
namespace {

Result<std::shared_ptr<const Program>> program_of(u32 fd) {
    return object_from_fd<const Program>(static_cast<i32>(fd));
}
bool is_xdp(const Program& program) { return program.parts().type->type == BPF_PROG_TYPE_XDP; }

} // namespace

long link_create(Call& call) {
    const auto& a = call.attr.link_create;
    const auto program = program_of(a.prog_fd);
    if (!program) return -program.error().code;
    if (!is_xdp(**program) || a.attach_type != BPF_XDP) return -EINVAL;
    const auto link = std::make_shared<Link>();
    const int error = XdpHooks::instance().attach(*link, a.target_ifindex, *program, a.flags);
    if (error != 0) return error;
    ObjectTable::instance().add(link);
    return ObjectTable::instance().open(link, O_RDWR);
}

long link_update(Call& call) {
    const auto& a = call.attr.link_update;
    if ((a.flags & ~u32{BPF_F_REPLACE}) != 0) return -EINVAL;
    const auto link = object_from_fd<Link>(static_cast<i32>(a.link_fd));
    if (!link) return -link.error().code;
    const auto program = program_of(a.new_prog_fd);
    if (!program) return -program.error().code;
    std::shared_ptr<const Program> expected;
    if ((a.flags & BPF_F_REPLACE) != 0) {
        auto old = program_of(a.old_prog_fd);
        if (!old) return -old.error().code;
        expected = std::move(*old);
    } else if (a.old_prog_fd != 0) {
        return -EINVAL;
    }
    return XdpHooks::instance().update(**link, *program, expected);
}

long link_detach(Call& call) {
    const auto link = object_from_fd<Link>(static_cast<i32>(call.attr.link_detach.link_fd));
    if (!link) return -link.error().code;
    XdpHooks::instance().detach(**link);
    return 0;
}

/// The command of older types, cgroups' most of all. XDP programs have none such, but their fds are looked
/// at.
long prog_attach(Call& call) {
    constexpr u32 kPreorder = 1U << 6; // younger than the headers of some systems
    constexpr u32 kFlags = BPF_F_ALLOW_OVERRIDE | BPF_F_ALLOW_MULTI | BPF_F_REPLACE | kPreorder;
    const bpf_attr& a = call.attr;
    if (a.attach_type != BPF_XDP || (a.attach_flags & ~kFlags) != 0) return -EINVAL;
    const auto program = program_of(a.attach_bpf_fd);
    return program ? -EINVAL : -program.error().code;
}
long prog_detach(Call&) { return -EINVAL; }
long prog_query(Call&) { return -EINVAL; }

} // namespace xdplane
