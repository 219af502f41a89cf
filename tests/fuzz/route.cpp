// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
//
// Requests of netlink route sockets, as the preload library answers them: whatever is asked, the answers hold
// together, and no more is attached than was asked for.
#include <cerrno>
#include <cstdlib>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>

#include "bpf/remote/route_answers.h"
#include "tests/fuzz/input.h"
#include "tests/fuzz/target.h"

using namespace xdplane;

namespace {

class Source final : public remote::RouteSource {
public:
    int list(std::vector<remote::InterfaceRecord>& interfaces) override {
        interfaces = {
            {.ifindex = 1, .mtu = 1500, .generic_program = 0, .native_program = 7, .mac = {}, .name = "one"},
            {.ifindex = 2, .mtu = 9000, .generic_program = 8, .native_program = 0, .mac = {}, .name = {}}};
        // Not even ended.
        std::ranges::fill(interfaces[1].name, 'x');
        return 0;
    }
    int set_xdp(remote::SetXdpCall& call) override {
        if (call.ifindex != 1 && call.ifindex != 2) std::abort();
        std::ranges::fill(call.why, 'w');
        return call.program % 2 == 0 ? 0 : -EBUSY;
    }
};

void check(std::span<const u8> datagram, u32 port) {
    while (!datagram.empty()) {
        nlmsghdr header{};
        if (datagram.size() < sizeof header) std::abort();
        std::memcpy(&header, datagram.data(), sizeof header);
        if (header.nlmsg_len < sizeof header || header.nlmsg_len > datagram.size()) std::abort();
        if (header.nlmsg_pid != port || header.nlmsg_len % NLMSG_ALIGNTO != 0) std::abort();
        datagram = datagram.subspan(header.nlmsg_len);
    }
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    fuzz::Input input({data, size});
    const auto choice = input.take<u8>();
    const remote::RouteOptions options{
        .port = 77, .ext_ack = (choice & 1) != 0, .cap_ack = (choice & 2) != 0};
    Source source;
    const auto request = input.rest();
    for (const auto& datagram : remote::answer_route(request, options, source)) check(datagram, options.port);
    return 0;
}
