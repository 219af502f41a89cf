// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
#include "bpf/syscall/xdp_hooks.h"

#include <algorithm>
#include <bit>
#include <cerrno>
#include <linux/if_link.h>

#include "bpf/syscall/command.h"

namespace xdplane {
namespace {

u32 expected_attach_type(const std::shared_ptr<const Program>& program) {
    const auto extras = extras_of(program);
    return extras ? extras->expected_attach_type : 0;
}

} // namespace

Link::~Link() { XdpHooks::instance().detach(*this); }

XdpHooks& XdpHooks::instance() {
    static auto& hooks = *new XdpHooks; // never destroyed: links may live as long as the process
    return hooks;
}

bool XdpHooks::knows(u32 ifindex) const {
    if (interfaces_ == nullptr) return false;
    const auto all = interfaces_->list();
    return std::ranges::any_of(all, [&](const Interface& one) { return one.ifindex == ifindex; });
}

void XdpHooks::serve(Interfaces* interfaces) {
    const std::lock_guard guard(lock_);
    for (auto& [ifindex, places] : places_)
        for (Place& place : places)
            if (place.link != nullptr) place.link->ifindex_ = 0;
    places_.clear();
    interfaces_ = interfaces;
}

std::vector<XdpHooks::InterfaceState> XdpHooks::list() {
    const std::lock_guard guard(lock_);
    std::vector<InterfaceState> states;
    if (interfaces_ == nullptr) return states;
    for (Interface& interface : interfaces_->list()) {
        InterfaceState& state = states.emplace_back(InterfaceState{std::move(interface), {}});
        const auto places = places_.find(state.interface.ifindex);
        if (places == places_.end()) continue;
        for (u32 mode = 0; mode < kModes; ++mode) {
            const Place& place = places->second[mode];
            state.attached[mode] = {place.program, place.link != nullptr ? place.link->id.load() : 0};
        }
    }
    return states;
}

/// dev_xdp_attach(), question by question.
int XdpHooks::change(u32 ifindex, const Change& change, const char*& why) {
    const auto refuse = [&](int code, const char* words) {
        why = words;
        return -code;
    };
    const u32 flags = change.flags;
    const u32 modes = flags & XDP_FLAGS_MODES;
    if (change.link != nullptr && (flags & ~u32{XDP_FLAGS_MODES}) != 0)
        return refuse(EINVAL, "Invalid XDP flags for BPF link attachment");
    if (std::popcount(modes) > 1) return refuse(EINVAL, "Only one XDP mode flag can be set");
    const bool replace = (flags & XDP_FLAGS_REPLACE) != 0;
    if (change.expected && !replace) return refuse(EINVAL, "XDP_FLAGS_REPLACE is not specified");

    Places& places = places_[ifindex];
    const bool hardware = modes == XDP_FLAGS_HW_MODE;
    Place none; // nothing is ever in hardware
    Place& place = hardware ? none : places[modes == XDP_FLAGS_SKB_MODE ? generic : native];
    const Place& other = places[modes == XDP_FLAGS_SKB_MODE ? native : generic];
    if (place.link != nullptr) return refuse(EBUSY, "Can't replace active BPF XDP link");
    if (change.link != nullptr && place.program)
        return refuse(EBUSY, "Can't replace active XDP program with BPF link");
    if (replace && place.program != change.expected)
        return refuse(EEXIST, "Active program does not match expected");

    if (change.program) {
        if ((flags & XDP_FLAGS_UPDATE_IF_NOEXIST) != 0 && place.program)
            return refuse(EBUSY, "XDP program already attached");
        if (!hardware && other.program)
            return refuse(EEXIST, "Native and generic XDP can't be active at the same time");
        const u32 type = expected_attach_type(change.program);
        if (type == BPF_XDP_DEVMAP)
            return refuse(EINVAL, "BPF_XDP_DEVMAP programs can not be attached to a device");
        if (type == BPF_XDP_CPUMAP)
            return refuse(EINVAL, "BPF_XDP_CPUMAP programs can not be attached to a device");
    }
    if (change.program != place.program) {
        if (hardware) return -EINVAL; // as drivers without offload say
        if (const int error = interfaces_->install(ifindex, change.program); error != 0) return error;
    }
    place.program = change.program;
    place.link = change.link;
    return 0;
}

int XdpHooks::set_program(u32 ifindex, const std::shared_ptr<const Program>& program,
                          const std::shared_ptr<const Program>& expected, u32 flags, const char*& why) {
    const std::lock_guard guard(lock_);
    if (!knows(ifindex)) return -ENODEV;
    return change(ifindex, {nullptr, program, expected, flags}, why);
}

int XdpHooks::attach(Link& link, u32 ifindex, const std::shared_ptr<const Program>& program, u32 flags) {
    const std::lock_guard guard(lock_);
    if (!knows(ifindex)) return -EINVAL;
    const char* why = nullptr; // nobody hears it
    if (const int error = change(ifindex, {&link, program, nullptr, flags}, why); error != 0) return error;
    link.program_ = program;
    link.ifindex_ = ifindex;
    link.flags_ = flags;
    return 0;
}

int XdpHooks::update(Link& link, const std::shared_ptr<const Program>& program,
                     const std::shared_ptr<const Program>& expected) {
    const std::lock_guard guard(lock_);
    if (link.ifindex_ == 0) return -ENOLINK;
    if (expected && expected != link.program_) return -EPERM;
    if (program->parts().type->type != link.program_->parts().type->type ||
        expected_attach_type(program) != expected_attach_type(link.program_))
        return -EINVAL;
    if (program == link.program_) return 0;
    if (const int error = interfaces_->install(link.ifindex_, program); error != 0) return error;
    for (Place& place : places_[link.ifindex_])
        if (place.link == &link) place.program = program;
    link.program_ = program;
    return 0;
}

void XdpHooks::detach(Link& link) {
    const std::lock_guard guard(lock_);
    if (link.ifindex_ == 0) return;
    // Whatever install() says: the program has to stay no longer than its link.
    static_cast<void>(interfaces_->install(link.ifindex_, nullptr));
    for (Place& place : places_[link.ifindex_])
        if (place.link == &link) place = {};
    link.ifindex_ = 0;
}

XdpHooks::LinkState XdpHooks::state_of(const Link& link) {
    const std::lock_guard guard(lock_);
    return {link.ifindex_, link.program_};
}

} // namespace xdplane
