// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
#pragma once
#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <gtest/gtest.h>
#include <linux/if_link.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <sched.h>
#include <sys/socket.h>
#include <unistd.h>

#include "bpf/remote/route_answers.h"
#include "bpf/remote/served_interfaces.h"
#include "bpf/syscall/bpf_system.h"
#include "bpf/syscall/pins.h"
#include "bpf/syscall/xdp_hooks.h"
#include "tests/support/kernel_bpf.h"
#ifdef XDPLANE_REMOTE
#include "tests/unit/remote_side.h"
#endif

/// What the cases of attaching run on: who answers, here and in the kernel, and the objects that they use.
/// One binary includes it once.
using namespace xdplane;

namespace {

using Bytes = std::vector<u8>;

/// An interface, and another one, for as long as it lives.
class CountingInterfaces final : public Interfaces {
public:
    static constexpr u32 kIfindex = 70;
    CountingInterfaces() { XdpHooks::instance().serve(this); }
    ~CountingInterfaces() override { XdpHooks::instance().serve(nullptr); }
    [[nodiscard]] std::vector<Interface> list() const override {
        return {{.ifindex = 1, .mtu = 1500, .name = "first", .mac = {}},
                {.ifindex = kIfindex, .mtu = 1500, .name = "xp0", .mac = {2, 0, 0, 0, 0, 1}}};
    }
    [[nodiscard]] int install(u32 ifindex, const std::shared_ptr<const Program>& program) override {
        EXPECT_EQ(ifindex, kIfindex);
        if (refuse != 0) return -refuse;
        installed = program;
        ++installs;
        return 0;
    }
    std::shared_ptr<const Program> installed;
    int installs = 0;
    int refuse = 0;
};

/// What a route socket receives for a request, in messages.
struct Reply {
    nlmsghdr header{};
    Bytes body;
};
std::vector<Reply> split(const Bytes& datagram) {
    std::vector<Reply> replies;
    for (std::size_t at = 0; at + sizeof(nlmsghdr) <= datagram.size();) {
        Reply reply;
        std::memcpy(&reply.header, &datagram[at], sizeof reply.header);
        if (reply.header.nlmsg_len < sizeof reply.header || at + reply.header.nlmsg_len > datagram.size())
            break;
        reply.body.assign(datagram.begin() + static_cast<std::ptrdiff_t>(at + sizeof(nlmsghdr)),
                          datagram.begin() + static_cast<std::ptrdiff_t>(at + reply.header.nlmsg_len));
        at += NLMSG_ALIGN(reply.header.nlmsg_len);
        replies.push_back(std::move(reply));
    }
    return replies;
}

/// Who answers.
struct Side {
    const char* name;
    long (*bpf)(u32 command, void* attr, u32 size);
    void (*close_fd)(int fd);
    std::vector<Bytes> (*netlink)(const Bytes& request);
    u32 (*ifindex)();
};
u32 our_ifindex() { return CountingInterfaces::kIfindex; }
#ifdef XDPLANE_REMOTE
std::vector<Bytes> ask_remote(const Bytes& request) {
    return remote::answer_route(request, {.port = 7, .ext_ack = true, .cap_ack = false},
                                remote::forwarded_routes());
}
// The same answers, from behind a socket.
constexpr Side kOurs = {"remote", test::remote_bpf, test::remote_close, ask_remote, our_ifindex};
#else
class Direct final : public remote::RouteSource {
public:
    int list(std::vector<remote::InterfaceRecord>& interfaces) override {
        interfaces.resize(2);
        const remote::InterfacesCall call{.records = reinterpret_cast<u64>(interfaces.data()),
                                          .size = static_cast<u32>(2 * sizeof(remote::InterfaceRecord)),
                                          .reserved = 0};
        return remote::list_interfaces(call) == 2 ? 0 : -EIO;
    }
    int set_xdp(remote::SetXdpCall& call) override { return static_cast<int>(remote::set_xdp(call)); }
};
std::vector<Bytes> ask_directly(const Bytes& request) {
    Direct source;
    return remote::answer_route(request, {.port = 7, .ext_ack = true, .cap_ack = false}, source);
}
constexpr Side kOurs = {"xdplane", bpf_syscall, close_object_fd, ask_directly, our_ifindex};

long ask_kernel(u32 command, void* attr, u32 size) {
    return test::kernel_bpf(static_cast<int>(command), attr, size);
}
std::vector<Bytes> ask_kernels_netlink(const Bytes& request) {
    const int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);
    const int one = 1;
    setsockopt(fd, SOL_NETLINK, NETLINK_EXT_ACK, &one, sizeof one);
    std::vector<Bytes> datagrams;
    send(fd, request.data(), request.size(), 0);
    // What comes in answer to a request is there, or is put there by reading.
    for (;;) {
        Bytes bytes(65536);
        const ssize_t size = recv(fd, bytes.data(), bytes.size(), MSG_DONTWAIT);
        if (size <= 0) break;
        bytes.resize(static_cast<std::size_t>(size));
        datagrams.push_back(std::move(bytes));
    }
    close(fd);
    return datagrams;
}
u32 kernel_ifindex() { return if_nametoindex("xp0"); }
constexpr Side kKernel = {"kernel", ask_kernel, test::kernel_close, ask_kernels_netlink, kernel_ifindex};

/// True once this process is in a namespace with a veth called xp0.
bool kernel_side_works() {
    static const bool works = [] {
        return test::kernel_bpf_allowed() && unshare(CLONE_NEWNET) == 0 &&
               std::system("ip link add xp0 type veth peer name xp1 && ip link set xp0 up") == 0;
    }();
    return works;
}
#endif

bpf_attr zero_attr() {
    bpf_attr attr;
    std::memset(static_cast<void*>(&attr), 0, sizeof attr);
    return attr;
}

/// A request of netlink.
class Request {
public:
    explicit Request(u16 type, u16 flags = NLM_F_REQUEST | NLM_F_ACK) {
        put(nlmsghdr{
            .nlmsg_len = 0, .nlmsg_type = type, .nlmsg_flags = flags, .nlmsg_seq = 5, .nlmsg_pid = 0});
    }
    template<class T>
    Request& put(const T& value) {
        const auto* from = reinterpret_cast<const u8*>(&value);
        bytes_.insert(bytes_.end(), from, from + sizeof value);
        return *this;
    }
    Request& link(u32 ifindex) {
        ifinfomsg info{};
        info.ifi_index = static_cast<int>(ifindex);
        return put(info);
    }
    template<class T>
    Request& attribute(u16 type, const T& value) {
        put(nlattr{.nla_len = static_cast<u16>(sizeof(nlattr) + sizeof value), .nla_type = type}).put(value);
        bytes_.resize(NLMSG_ALIGN(bytes_.size()));
        return *this;
    }
    Request& begin(u16 type) {
        nest_ = bytes_.size();
        return put(nlattr{.nla_len = 0, .nla_type = static_cast<u16>(type | NLA_F_NESTED)});
    }
    Request& end() {
        const auto size = static_cast<u16>(bytes_.size() - nest_);
        std::memcpy(&bytes_[nest_], &size, sizeof size);
        return *this;
    }
    /// `cut`: bytes that the length claims more, or less.
    [[nodiscard]] Bytes bytes(int cut = 0) const {
        Bytes result = bytes_;
        const u32 size = static_cast<u32>(static_cast<int>(result.size()) + cut);
        std::memcpy(result.data(), &size, sizeof size);
        return result;
    }

private:
    Bytes bytes_;
    std::size_t nest_ = 0;
};

/// The objects that cases use, made anew for each case on each side.
class Env {
public:
    explicit Env(const Side& side) : side_(side), ifindex(side.ifindex()) {
        one = program(BPF_PROG_TYPE_XDP, 0);
        other = program(BPF_PROG_TYPE_XDP, 0);
        typed = program(BPF_PROG_TYPE_XDP, BPF_XDP);
        devmap = program(BPF_PROG_TYPE_XDP, BPF_XDP_DEVMAP);
        cpumap = program(BPF_PROG_TYPE_XDP, BPF_XDP_CPUMAP);
        filter = program(BPF_PROG_TYPE_SOCKET_FILTER, 0);
        auto attr = zero_attr();
        attr.map_type = BPF_MAP_TYPE_ARRAY;
        attr.key_size = attr.value_size = 4;
        attr.max_entries = 1;
        map = keep(call(BPF_MAP_CREATE, attr));
    }
    ~Env() {
        for (const int fd : fds_) side_.close_fd(fd);
        for (const u32 mode : {XDP_FLAGS_SKB_MODE, XDP_FLAGS_DRV_MODE}) static_cast<void>(set_xdp(-1, mode));
    }
    Env(const Env&) = delete;
    Env& operator=(const Env&) = delete;

    long call(u32 command, bpf_attr& attr, u32 size = sizeof(bpf_attr)) const {
        return side_.bpf(command, &attr, size);
    }
    int keep(long result) {
        if (result > 0) fds_.push_back(static_cast<int>(result));
        return static_cast<int>(result);
    }
    /// Closes one of those that were kept.
    void drop(int fd) {
        std::erase(fds_, fd);
        side_.close_fd(fd);
    }
    int program(u32 type, u32 expected_attach_type) {
        static const bpf_insn insns[] = {
            {.code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = 0, .src_reg = 0, .off = 0, .imm = XDP_PASS},
            {.code = BPF_JMP | BPF_EXIT, .dst_reg = 0, .src_reg = 0, .off = 0, .imm = 0}};
        auto attr = zero_attr();
        attr.prog_type = type;
        attr.insns = reinterpret_cast<u64>(insns);
        attr.insn_cnt = 2;
        attr.license = reinterpret_cast<u64>("GPL");
        attr.expected_attach_type = expected_attach_type;
        return keep(call(BPF_PROG_LOAD, attr));
    }
    /// An fd, or -errno.
    long link(int program, u32 flags = 0) { return link_at(program, ifindex, BPF_XDP, flags); }
    long link_at(int program, u32 at, u32 type, u32 flags = 0) {
        auto attr = zero_attr();
        attr.link_create.prog_fd = static_cast<u32>(program);
        attr.link_create.target_ifindex = at;
        attr.link_create.attach_type = type;
        attr.link_create.flags = flags;
        return keep(call(BPF_LINK_CREATE, attr));
    }
    /// For cases: 0 for any fd.
    static long made(long result) { return result > 0 ? 0 : result; }
    long update(long link, int program, u32 flags = 0, int old = 0) const {
        auto attr = zero_attr();
        attr.link_update.link_fd = static_cast<u32>(link);
        attr.link_update.new_prog_fd = static_cast<u32>(program);
        attr.link_update.flags = flags;
        attr.link_update.old_prog_fd = static_cast<u32>(old);
        return call(BPF_LINK_UPDATE, attr);
    }
    long detach(long link) const {
        auto attr = zero_attr();
        attr.link_detach.link_fd = static_cast<u32>(link);
        return call(BPF_LINK_DETACH, attr);
    }
    /// The error of the acknowledgement, and its words.
    long ask(const Bytes& request) const {
        why.clear();
        for (const Bytes& datagram : side_.netlink(request))
            for (const Reply& reply : split(datagram)) {
                if (reply.header.nlmsg_type != NLMSG_ERROR) continue;
                int error = 1;
                std::memcpy(&error, reply.body.data(), sizeof error);
                const std::string all(reply.body.begin(), reply.body.end());
                for (const char* words :
                     {"already", "expected", "same time", "active BPF", "DEVMAP", "CPUMAP"})
                    if (all.find(words) != std::string::npos) why = words;
                return error;
            }
        return 1; // none
    }
    static Request set_request(u32 at, int program, u32 flags, int expected) {
        Request request(RTM_SETLINK);
        request.link(at).begin(IFLA_XDP).attribute(IFLA_XDP_FD, program);
        if (flags != 0) request.attribute(IFLA_XDP_FLAGS, flags);
        if ((flags & XDP_FLAGS_REPLACE) != 0) request.attribute(IFLA_XDP_EXPECTED_FD, expected);
        return request.end();
    }
    long set_xdp(int program, u32 flags = 0, int expected = -1) const {
        return ask(set_request(ifindex, program, flags, expected).bytes());
    }
    /// As netlink shows the interface: the mode, and 100 if there is a program id, 1000 if it is that of
    /// `program`.
    long shown(int program = -1) const {
        return shown_by(Request(RTM_GETLINK, NLM_F_REQUEST | NLM_F_DUMP).link(0).bytes(), program);
    }
    long shown_by(const Bytes& request, int program) const {
        for (const Bytes& datagram : side_.netlink(request))
            for (const Reply& reply : split(datagram)) {
                ifinfomsg info{};
                if (reply.header.nlmsg_type != RTM_NEWLINK) continue;
                std::memcpy(&info, reply.body.data(), sizeof info);
                if (info.ifi_index == static_cast<int>(ifindex)) return shown_in(reply.body, program);
            }
        return -1;
    }
    long id_of(int fd) const {
        bpf_prog_info info{};
        return get_info(fd, info) < 0 ? -1 : long{info.id};
    }
    template<class Info>
    long get_info(int fd, Info& info, u32 size = sizeof(Info)) const {
        auto attr = zero_attr();
        attr.info.bpf_fd = static_cast<u32>(fd);
        attr.info.info = reinterpret_cast<u64>(&info);
        attr.info.info_len = size;
        const long result = call(BPF_OBJ_GET_INFO_BY_FD, attr);
        return result < 0 ? result : attr.info.info_len;
    }

private:
    const Side& side_;
    std::vector<int> fds_;

    static std::vector<std::pair<u16, Bytes>> attributes(const Bytes& bytes, std::size_t at) {
        std::vector<std::pair<u16, Bytes>> all;
        while (at + sizeof(nlattr) <= bytes.size()) {
            nlattr header{};
            std::memcpy(&header, &bytes[at], sizeof header);
            const auto begin = bytes.begin() + static_cast<std::ptrdiff_t>(at);
            all.emplace_back(header.nla_type & NLA_TYPE_MASK,
                             Bytes(begin + sizeof header, begin + header.nla_len));
            at += NLA_ALIGN(header.nla_len);
        }
        return all;
    }
    long shown_in(const Bytes& body, int program) const {
        long result = 0;
        for (const auto& [type, value] : attributes(body, sizeof(ifinfomsg))) {
            if (type == IFLA_IFNAME && std::strcmp(reinterpret_cast<const char*>(value.data()), "xp0") != 0)
                return -1;
            if (type != IFLA_XDP) continue;
            for (const auto& [inner, number] : attributes(value, 0)) {
                if (inner == IFLA_XDP_ATTACHED) result += number[0];
                if (inner != IFLA_XDP_PROG_ID) continue;
                u32 id = 0;
                std::memcpy(&id, number.data(), sizeof id);
                result += id == id_of(program) ? 1100 : 100;
            }
        }
        return result;
    }

public:
    const u32 ifindex;
    int one, other, typed, devmap, cpumap, filter, map;
    mutable std::string why; ///< a word of the kernel's message
};

} // namespace
