// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
#include "bpf/remote/served_interfaces.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <linux/if_link.h>

#include "bpf/syscall/command.h"
#include "bpf/syscall/xdp_hooks.h"

namespace xdplane::remote {
namespace {

u32 id_of(const XdpHooks::Attached& attached) {
    return attached.program != nullptr ? attached.program->id : 0;
}

InterfaceRecord record_of(const XdpHooks::InterfaceState& state) {
    InterfaceRecord record{.ifindex = state.interface.ifindex,
                           .mtu = state.interface.mtu,
                           .generic_program = id_of(state.attached[XdpHooks::generic]),
                           .native_program = id_of(state.attached[XdpHooks::native]),
                           .mac = {},
                           .name = {}};
    std::ranges::copy(state.interface.mac, record.mac);
    state.interface.name.copy(record.name, sizeof record.name - 1);
    return record;
}

/// None for a negative fd; EBADF or EINVAL for what is no XDP program's.
int find_program(u32 fd, std::shared_ptr<const Program>& program) {
    if (static_cast<i32>(fd) < 0) return 0;
    auto found = object_from_fd<const Program>(static_cast<i32>(fd));
    if (!found) return -found.error().code;
    if ((*found)->parts().type->type != BPF_PROG_TYPE_XDP) return -EINVAL;
    program = std::move(*found);
    return 0;
}

} // namespace

long list_interfaces(const InterfacesCall& call) {
    const auto states = XdpHooks::instance().list();
    if (call.records == 0 && call.size != 0) return -EFAULT;
    auto* to = reinterpret_cast<u8*>(call.records);
    const std::size_t room = call.size / sizeof(InterfaceRecord);
    for (std::size_t i = 0; i < std::min(room, states.size()); ++i) {
        const InterfaceRecord record = record_of(states[i]);
        std::memcpy(to + i * sizeof record, &record, sizeof record);
    }
    return static_cast<long>(states.size());
}

long set_xdp(SetXdpCall& call) {
    std::memset(call.why, 0, sizeof call.why);
    std::shared_ptr<const Program> program;
    std::shared_ptr<const Program> expected;
    if (const int error = find_program(call.program, program); error != 0) return error;
    if (const int error = find_program(call.expected, expected); error != 0) return error;
    const char* why = nullptr;
    const int result = XdpHooks::instance().set_program(call.ifindex, program, expected, call.flags, why);
    if (why != nullptr) std::strncpy(call.why, why, sizeof call.why - 1);
    return result;
}

} // namespace xdplane::remote
