// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
#include "bpf/remote/route_answers.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cerrno>
#include <cstring>
#include <linux/if.h>
#include <linux/if_arp.h>
#include <linux/if_ether.h>
#include <linux/if_link.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <optional>
#include <string>
#include <utility>

#include "bpf/remote/client.h"

namespace xdplane::remote {
namespace {

using Bytes = std::span<const u8>;

template<class T>
std::optional<T> load(Bytes bytes) {
    if (bytes.size() < sizeof(T)) return std::nullopt;
    T value;
    std::memcpy(&value, bytes.data(), sizeof value);
    return value;
}

/// Attributes by type, below `Types`; the last one counts. What does not hold together is lost, as on Linux.
template<std::size_t Types>
struct Attributes {
    std::array<std::optional<Bytes>, Types> all;

    void parse(Bytes bytes) {
        while (bytes.size() >= NLA_HDRLEN) {
            const auto header = *load<nlattr>(bytes);
            if (header.nla_len < NLA_HDRLEN || header.nla_len > bytes.size()) return;
            const u16 type = header.nla_type & NLA_TYPE_MASK;
            if (type < Types) all[type] = bytes.subspan(NLA_HDRLEN, header.nla_len - NLA_HDRLEN);
            bytes = bytes.subspan(std::min<std::size_t>(NLA_ALIGN(header.nla_len), bytes.size()));
        }
    }
};

/// A message under construction, and the datagram that it is in.
class Message {
public:
    Message(std::vector<u8>& datagram, u16 type, u16 flags, u32 sequence, u32 port)
        : bytes_(datagram), begin_(datagram.size()) {
        put(nlmsghdr{.nlmsg_len = 0,
                     .nlmsg_type = type,
                     .nlmsg_flags = flags,
                     .nlmsg_seq = sequence,
                     .nlmsg_pid = port});
    }
    ~Message() {
        const auto size = static_cast<u32>(bytes_.size() - begin_);
        std::memcpy(&bytes_[begin_], &size, sizeof size);
    }
    Message(const Message&) = delete;
    Message& operator=(const Message&) = delete;

    template<class T>
    void put(const T& value) {
        append(&value, sizeof value);
    }
    void put(Bytes bytes) { append(bytes.data(), bytes.size()); }
    void attribute(u16 type, const void* data, std::size_t size) {
        put(nlattr{.nla_len = static_cast<u16>(NLA_HDRLEN + size), .nla_type = type});
        append(data, size);
    }
    template<class T>
    void attribute(u16 type, const T& value) {
        attribute(type, &value, sizeof value);
    }
    [[nodiscard]] std::size_t begin_nest(u16 type) {
        put(nlattr{.nla_len = 0, .nla_type = type});
        return bytes_.size() - sizeof(nlattr);
    }
    void end_nest(std::size_t at) {
        const auto size = static_cast<u16>(bytes_.size() - at);
        std::memcpy(&bytes_[at], &size, sizeof size);
    }

private:
    void append(const void* data, std::size_t size) {
        const auto* from = static_cast<const u8*>(data);
        bytes_.insert(bytes_.end(), from, from + size);
        bytes_.resize(begin_ + NLMSG_ALIGN(bytes_.size() - begin_));
    }

    std::vector<u8>& bytes_;
    std::size_t begin_;
};

/// An error, or none, with words for it.
struct Outcome {
    int error = 0; ///< 0 or -errno
    std::string why;
};

constexpr const char* kOnlyXdp = "interfaces are the data plane's: only their XDP programs change";

class Answer {
public:
    Answer(const RouteOptions& options, RouteSource& source) : options_(options), source_(source) {}

    /// netlink_rcv_skb()
    void datagram(Bytes bytes) {
        while (bytes.size() >= NLMSG_HDRLEN) {
            const auto header = *load<nlmsghdr>(bytes);
            if (header.nlmsg_len < NLMSG_HDRLEN || header.nlmsg_len > bytes.size()) return;
            const Bytes whole = bytes.first(header.nlmsg_len);
            Outcome outcome;
            done_ = false;
            if ((header.nlmsg_flags & NLM_F_REQUEST) != 0 && header.nlmsg_type >= NLMSG_MIN_TYPE)
                outcome = message(header, whole.subspan(NLMSG_HDRLEN));
            const bool wants = (header.nlmsg_flags & NLM_F_ACK) != 0;
            if (!done_ && (wants || outcome.error != 0)) acknowledge(header, whole, outcome);
            bytes = bytes.subspan(std::min<std::size_t>(NLMSG_ALIGN(header.nlmsg_len), bytes.size()));
        }
    }
    std::vector<std::vector<u8>> datagrams;

private:
    /// rtnetlink_rcv_msg()
    Outcome message(const nlmsghdr& header, Bytes body) {
        if (options_.generic) return {-ENOENT, {}};
        if (header.nlmsg_type < RTM_BASE || header.nlmsg_type > RTM_MAX) return {-EOPNOTSUPP, {}};
        if (body.size() < sizeof(rtgenmsg)) return {};
        const bool asks = (header.nlmsg_type - RTM_BASE) % 4 == 2; // new, del, get, set
        if (asks && (header.nlmsg_flags & NLM_F_DUMP) != 0) return dump(header);
        switch (header.nlmsg_type) {
        case RTM_GETLINK: return get_link(header, body);
        case RTM_SETLINK: return set_link(body, -EINVAL);
        case RTM_NEWLINK: return set_link(body, -ENODEV); // of one that is there
        default: return {-EOPNOTSUPP, {}};
        }
    }

    /// All links; of everything else there is nothing.
    Outcome dump(const nlmsghdr& header) {
        std::vector<InterfaceRecord> interfaces;
        if (header.nlmsg_type == RTM_GETLINK)
            if (const int error = source_.list(interfaces); error != 0) return {error, {}};
        // As Linux, which fills the reader's pages.
        constexpr std::size_t kFull = 3500;
        std::vector<u8> bytes;
        for (const InterfaceRecord& record : interfaces) {
            put_link(bytes, header, NLM_F_MULTI, record);
            if (bytes.size() > kFull) datagrams.push_back(std::exchange(bytes, {}));
        }
        if (!bytes.empty()) datagrams.push_back(std::move(bytes));
        bytes.clear();
        Message(bytes, NLMSG_DONE, NLM_F_MULTI, header.nlmsg_seq, options_.port).put(int{0});
        datagrams.push_back(std::move(bytes));
        done_ = true;
        return {};
    }

    void put_link(std::vector<u8>& bytes, const nlmsghdr& header, u16 flags,
                  const InterfaceRecord& record) const {
        Message message(bytes, RTM_NEWLINK, flags, header.nlmsg_seq, options_.port);
        message.put(ifinfomsg{.ifi_family = AF_UNSPEC,
                              .__ifi_pad = 0,
                              .ifi_type = ARPHRD_ETHER,
                              .ifi_index = static_cast<int>(record.ifindex),
                              .ifi_flags = IFF_UP | IFF_RUNNING | IFF_LOWER_UP | IFF_BROADCAST |
                                           IFF_MULTICAST | IFF_PROMISC,
                              .ifi_change = 0});
        const std::string name = interface_name(record);
        message.attribute(IFLA_IFNAME, name.c_str(), name.size() + 1);
        message.attribute(IFLA_TXQLEN, u32{1000});
        message.attribute(IFLA_OPERSTATE, static_cast<u8>(IF_OPER_UP));
        message.attribute(IFLA_MTU, record.mtu);
        message.attribute(IFLA_ADDRESS, record.mac, sizeof record.mac);
        const std::size_t xdp = message.begin_nest(IFLA_XDP);
        const bool generic = record.generic_program != 0;
        const u32 program = generic ? record.generic_program : record.native_program;
        if (generic) message.attribute(IFLA_XDP_SKB_PROG_ID, program);
        if (record.native_program != 0) message.attribute(IFLA_XDP_DRV_PROG_ID, program);
        const u8 mode = program == 0 ? XDP_ATTACHED_NONE : generic ? XDP_ATTACHED_SKB : XDP_ATTACHED_DRV;
        message.attribute(IFLA_XDP_ATTACHED, mode);
        if (program != 0) message.attribute(IFLA_XDP_PROG_ID, program);
        message.end_nest(xdp);
    }

    using LinkAttributes = Attributes<IFLA_MAX + 1>;
    struct Request {
        ifinfomsg header{};
        LinkAttributes attributes;
        Outcome parse(Bytes body) {
            const auto info = load<ifinfomsg>(body);
            if (!info) return {-EINVAL, {}};
            header = *info;
            attributes.parse(body.subspan(sizeof header));
            return {};
        }
    };
    /// By index, or else by name.
    Outcome find(const Request& request, InterfaceRecord& found, int if_none_is_named) {
        std::vector<InterfaceRecord> interfaces;
        if (const int error = source_.list(interfaces); error != 0) return {error, {}};
        const int index = request.header.ifi_index;
        std::string name;
        if (const auto given = request.attributes.all[IFLA_IFNAME]; given)
            name.assign(given->begin(), std::ranges::find(*given, u8{0}));
        else if (index <= 0)
            return {if_none_is_named, {}};
        const auto same = [&](const InterfaceRecord& record) {
            return index > 0 ? record.ifindex == static_cast<u32>(index) : interface_name(record) == name;
        };
        const auto there = std::ranges::find_if(interfaces, same);
        if (there == interfaces.end()) return {-ENODEV, {}};
        found = *there;
        return {};
    }

    Outcome get_link(const nlmsghdr& header, Bytes body) {
        Request request;
        if (auto parsed = request.parse(body); parsed.error != 0) return parsed;
        InterfaceRecord record;
        if (auto there = find(request, record, -EINVAL); there.error != 0) return there;
        std::vector<u8> bytes;
        put_link(bytes, header, 0, record);
        datagrams.push_back(std::move(bytes));
        return {};
    }

    /// do_setlink(), where all but XDP is the data plane's own.
    Outcome set_link(Bytes body, int if_none_is_named) {
        Request request;
        if (auto parsed = request.parse(body); parsed.error != 0) return parsed;
        InterfaceRecord record;
        if (auto there = find(request, record, if_none_is_named); there.error != 0) return there;
        constexpr u16 kKnown[] = {IFLA_IFNAME, IFLA_XDP, IFLA_EXT_MASK};
        for (u16 type = 0; type <= IFLA_MAX; ++type)
            if (request.attributes.all[type] && std::ranges::find(kKnown, type) == std::end(kKnown))
                return {-EOPNOTSUPP, kOnlyXdp};
        if ((request.header.ifi_change & IFF_UP) != 0 && (request.header.ifi_flags & IFF_UP) == 0)
            return {-EOPNOTSUPP, kOnlyXdp};
        const auto& xdp = request.attributes.all[IFLA_XDP];
        return xdp ? set_xdp(record.ifindex, *xdp) : Outcome{};
    }

    Outcome set_xdp(u32 ifindex, Bytes nested) {
        Attributes<IFLA_XDP_MAX + 1> parsed;
        parsed.parse(nested);
        const auto& all = parsed.all;
        for (const u16 type : {IFLA_XDP_FD, IFLA_XDP_FLAGS, IFLA_XDP_EXPECTED_FD})
            if (all[type] && all[type]->size() < sizeof(u32)) return {-ERANGE, {}};
        if (all[IFLA_XDP_ATTACHED] || all[IFLA_XDP_PROG_ID]) return {-EINVAL, {}};
        const u32 flags = all[IFLA_XDP_FLAGS] ? *load<u32>(*all[IFLA_XDP_FLAGS]) : 0;
        if ((flags & ~u32{XDP_FLAGS_MASK}) != 0 || std::popcount(flags & XDP_FLAGS_MODES) > 1)
            return {-EINVAL, {}};
        if (!all[IFLA_XDP_FD]) return {};
        const bool replace = (flags & XDP_FLAGS_REPLACE) != 0;
        if (replace && !all[IFLA_XDP_EXPECTED_FD]) return {-EINVAL, {}};
        SetXdpCall call{.program = *load<u32>(*all[IFLA_XDP_FD]),
                        .expected = replace ? *load<u32>(*all[IFLA_XDP_EXPECTED_FD]) : ~u32{0},
                        .ifindex = ifindex,
                        .flags = flags,
                        .why = {}};
        const int error = source_.set_xdp(call);
        call.why[sizeof call.why - 1] = 0;
        return {error, static_cast<const char*>(call.why)};
    }

    /// netlink_ack()
    void acknowledge(const nlmsghdr& header, Bytes whole, const Outcome& outcome) {
        std::vector<u8> bytes;
        const bool capped = outcome.error == 0 || options_.cap_ack;
        const bool words = options_.ext_ack && !outcome.why.empty();
        const u16 flags = (capped ? NLM_F_CAPPED : 0) | (words ? NLM_F_ACK_TLVS : 0);
        {
            Message message(bytes, NLMSG_ERROR, flags, header.nlmsg_seq, options_.port);
            message.put(int{outcome.error});
            message.put(capped ? whole.first(NLMSG_HDRLEN) : whole);
            if (words) message.attribute(NLMSGERR_ATTR_MSG, outcome.why.c_str(), outcome.why.size() + 1);
        }
        datagrams.push_back(std::move(bytes));
    }

    const RouteOptions& options_;
    RouteSource& source_;
    bool done_ = false; ///< a dump, which ends by itself
};

class Forwarded final : public RouteSource {
public:
    int list(std::vector<InterfaceRecord>& interfaces) override {
        for (std::size_t room = 32;;) {
            interfaces.resize(room);
            InterfacesCall call{.records = reinterpret_cast<u64>(interfaces.data()),
                                .size = static_cast<u32>(room * sizeof(InterfaceRecord)),
                                .reserved = 0};
            const long count = forward(kListInterfaces, &call, sizeof call);
            if (count < 0) return static_cast<int>(count);
            interfaces.resize(std::min(room, static_cast<std::size_t>(count)));
            if (static_cast<std::size_t>(count) <= room) return 0;
            room = static_cast<std::size_t>(count);
        }
    }
    int set_xdp(SetXdpCall& call) override { return static_cast<int>(forward(kSetXdp, &call, sizeof call)); }
};

} // namespace

std::vector<std::vector<u8>> answer_route(std::span<const u8> request, const RouteOptions& options,
                                          RouteSource& source) {
    Answer answer(options, source);
    answer.datagram(request);
    return std::move(answer.datagrams);
}

RouteSource& forwarded_routes() {
    static Forwarded source;
    return source;
}

std::string interface_name(const InterfaceRecord& record) {
    return {static_cast<const char*>(record.name), ::strnlen(record.name, kInterfaceName - 1)};
}

} // namespace xdplane::remote
