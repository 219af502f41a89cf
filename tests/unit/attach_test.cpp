// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
// Attaching XDP programs, by links of bpf(2) and by netlink: a table of calls whose results are what Linux
// gives. Every case runs here on an interface that only counts, and on the running kernel on a veth, in a
// network namespace of its own.
#include "tests/unit/attach_env.h"

namespace {

/// A whole call with nothing wrong but one byte of it.
long create_with_byte(Env& e, u32 at) {
    alignas(8) u8 bytes[sizeof(bpf_attr)] = {};
    auto attr = zero_attr();
    attr.link_create.prog_fd = 12345; // the fd comes after the attributes
    attr.link_create.attach_type = BPF_XDP;
    std::memcpy(bytes, &attr, sizeof attr);
    bytes[at] = 1;
    return e.call(BPF_LINK_CREATE, *reinterpret_cast<bpf_attr*>(bytes), sizeof bytes);
}
long old_command(Env& e, u32 command, int program, u32 type = BPF_XDP, u32 flags = 0) {
    auto attr = zero_attr();
    attr.target_fd = e.ifindex;
    attr.attach_bpf_fd = static_cast<u32>(program);
    attr.attach_type = type;
    attr.attach_flags = flags;
    return e.call(command, attr);
}
long link_info(Env& e, long fd, u32 size, bool (*right)(Env&, const bpf_link_info&)) {
    bpf_link_info info{};
    const long result = e.get_info(static_cast<int>(fd), info, size);
    return result < 0 ? result : result * 10 + (right(e, info) ? 1 : 0);
}
/// A request whose answer is an error.
long raw(Env& e, const Bytes& request) { return e.ask(request); }
/// An error with a word of its message.
long with_why(Env& e, long result, const char* why) { return e.why == why ? result : 9999; }

constexpr long kNative = 1101; // XDP_ATTACHED_DRV, and the id
constexpr long kGeneric = 1102;

struct Case {
    const char* name;
    long (*run)(Env&);
    long result;
};
const Case kCases[] = {
    // LINK_CREATE.
    {"Link", [](Env& e) { return e.made(e.link(e.one)); }, 0},
    {"LinkIsShown", [](Env& e) { return e.link(e.one) > 0 ? e.shown(e.one) : -1; }, kNative},
    {"LinkGenericIsShown", [](Env& e) { return e.link(e.one, XDP_FLAGS_SKB_MODE) > 0 ? e.shown(e.one) : -1; },
     kGeneric},
    {"LinkNative", [](Env& e) { return e.made(e.link(e.one, XDP_FLAGS_DRV_MODE)); }, 0},
    {"LinkHardware", [](Env& e) { return e.link(e.one, XDP_FLAGS_HW_MODE); }, -EINVAL},
    {"LinkTwoModes", [](Env& e) { return e.link(e.one, XDP_FLAGS_SKB_MODE | XDP_FLAGS_DRV_MODE); }, -EINVAL},
    {"LinkNoExist", [](Env& e) { return e.link(e.one, XDP_FLAGS_UPDATE_IF_NOEXIST); }, -EINVAL},
    {"LinkReplace", [](Env& e) { return e.link(e.one, XDP_FLAGS_REPLACE); }, -EINVAL},
    {"LinkUnknownFlag", [](Env& e) { return e.link(e.one, 1U << 20); }, -EINVAL},
    {"LinkTyped", [](Env& e) { return e.made(e.link(e.typed)); }, 0},
    {"LinkDevmapProgram", [](Env& e) { return e.link(e.devmap); }, -EINVAL},
    {"LinkCpumapProgram", [](Env& e) { return e.link(e.cpumap); }, -EINVAL},
    {"LinkOtherType", [](Env& e) { return e.link(e.filter); }, -EINVAL},
    {"LinkMap", [](Env& e) { return e.link(e.map); }, -EINVAL},
    {"LinkClosedFd", [](Env& e) { return e.link(12345); }, -EBADF},
    {"LinkNegativeFd", [](Env& e) { return e.link(-1); }, -EBADF},
    {"LinkOtherAttachType", [](Env& e) { return e.link_at(e.one, e.ifindex, BPF_XDP_DEVMAP); }, -EINVAL},
    {"LinkAttachTypeZero", [](Env& e) { return e.link_at(e.one, e.ifindex, 0); }, -EINVAL},
    {"LinkUnknownAttachType", [](Env& e) { return e.link_at(e.one, e.ifindex, 1000); }, -EINVAL},
    {"LinkUnknownInterface", [](Env& e) { return e.link_at(e.one, 54321, BPF_XDP); }, -EINVAL},
    {"LinkInterfaceZero", [](Env& e) { return e.link_at(e.one, 0, BPF_XDP); }, -EINVAL},
    {"LinkClosedFdOfUnknownInterface", [](Env& e) { return e.link_at(12345, 54321, BPF_XDP); }, -EBADF},
    {"LinkLastByte", [](Env& e) { return create_with_byte(e, 59); }, -EBADF},
    {"LinkByteTooMany", [](Env& e) { return create_with_byte(e, 60); }, -EINVAL},
    {"LinkTwice", [](Env& e) { return e.link(e.one) > 0 ? e.link(e.other) : -1; }, -EBUSY},
    {"LinkTwiceTheSame", [](Env& e) { return e.link(e.one) > 0 ? e.link(e.one) : -1; }, -EBUSY},
    {"LinkOtherMode", [](Env& e) { return e.link(e.one) > 0 ? e.link(e.other, XDP_FLAGS_SKB_MODE) : -1; },
     -EEXIST},
    {"LinkOverProgram", [](Env& e) { return e.set_xdp(e.one) == 0 ? e.link(e.other) : -1; }, -EBUSY},
    {"LinkGenericOverProgram",
     [](Env& e) { return e.set_xdp(e.one) == 0 ? e.link(e.other, XDP_FLAGS_SKB_MODE) : -1; }, -EEXIST},
    // LINK_UPDATE.
    {"Update",
     [](Env& e) {
         const long link = e.link(e.one);
         const long result = e.update(link, e.other);
         return result != 0 ? result : e.shown(e.other);
     },
     kNative},
    {"UpdateToTheSame", [](Env& e) { return e.update(e.link(e.one), e.one); }, 0},
    {"UpdateReplacing", [](Env& e) { return e.update(e.link(e.one), e.other, BPF_F_REPLACE, e.one); }, 0},
    {"UpdateReplacingAnother",
     [](Env& e) { return e.update(e.link(e.one), e.other, BPF_F_REPLACE, e.typed); }, -EPERM},
    {"UpdateReplacingNoFd", [](Env& e) { return e.update(e.link(e.one), e.other, BPF_F_REPLACE, 12345); },
     -EBADF},
    {"UpdateReplacingMap", [](Env& e) { return e.update(e.link(e.one), e.other, BPF_F_REPLACE, e.map); },
     -EINVAL},
    {"UpdateOldWithoutFlag", [](Env& e) { return e.update(e.link(e.one), e.other, 0, e.one); }, -EINVAL},
    {"UpdateUnknownFlag", [](Env& e) { return e.update(e.link(e.one), e.other, 8); }, -EINVAL},
    {"UpdateOtherExpectedType", [](Env& e) { return e.update(e.link(e.one), e.typed); }, -EINVAL},
    {"UpdateToDevmap", [](Env& e) { return e.update(e.link(e.one), e.devmap); }, -EINVAL},
    {"UpdateOtherType", [](Env& e) { return e.update(e.link(e.one), e.filter); }, -EINVAL},
    {"UpdateToMap", [](Env& e) { return e.update(e.link(e.one), e.map); }, -EINVAL},
    {"UpdateToClosedFd", [](Env& e) { return e.update(e.link(e.one), 12345); }, -EBADF},
    {"UpdateOfProgram", [](Env& e) { return e.update(e.one, e.other); }, -EINVAL},
    {"UpdateOfClosedFd", [](Env& e) { return e.update(12345, e.other); }, -EBADF},
    {"UpdateDetached",
     [](Env& e) {
         const long link = e.link(e.one);
         return e.detach(link) == 0 ? e.update(link, e.other) : -1;
     },
     -ENOLINK},
    {"UpdateDetachedWithWrongOld",
     [](Env& e) {
         const long link = e.link(e.one);
         return e.detach(link) == 0 ? e.update(link, e.other, BPF_F_REPLACE, e.typed) : -1;
     },
     -ENOLINK},
    // LINK_DETACH, and the last fd.
    {"Detach", [](Env& e) { return e.detach(e.link(e.one)) == 0 ? e.shown() : -1; }, 0},
    {"DetachTwice",
     [](Env& e) {
         const long link = e.link(e.one);
         return e.detach(link) == 0 ? e.detach(link) : -1;
     },
     0},
    {"DetachProgram", [](Env& e) { return e.detach(e.one); }, -EINVAL},
    {"DetachClosedFd", [](Env& e) { return e.detach(12345); }, -EBADF},
    {"DetachedMakesRoom", [](Env& e) { return e.detach(e.link(e.one)) == 0 ? e.made(e.link(e.other)) : -1; },
     0},
    {"ClosedDetaches",
     [](Env& e) {
         e.drop(static_cast<int>(e.link(e.one)));
         // Fds of other processes go when their closing is noticed: the next call does.
         return e.link(e.other) > 0 ? e.shown(e.other) : -1;
     },
     kNative},
    {"DetachedAndClosedLeavesOthers",
     [](Env& e) {
         const long link = e.link(e.one);
         static_cast<void>(e.detach(link));
         if (e.link(e.other) <= 0) return -1L;
         e.drop(static_cast<int>(link));
         return e.shown(e.other);
     },
     kNative},
    // Info, ids.
    {"Info",
     [](Env& e) {
         return link_info(e, e.link(e.one), sizeof(bpf_link_info), [](Env& env, const bpf_link_info& info) {
             return info.type == BPF_LINK_TYPE_XDP && info.id != 0 && info.prog_id == env.id_of(env.one) &&
                    info.xdp.ifindex == env.ifindex;
         });
     },
     sizeof(bpf_link_info) * 10 + 1},
    {"InfoShort",
     [](Env& e) {
         return link_info(e, e.link(e.one), 8, [](Env&, const bpf_link_info& info) {
             return info.type == BPF_LINK_TYPE_XDP && info.id != 0 && info.prog_id == 0;
         });
     },
     81},
    {"InfoOfNoSize",
     [](Env& e) {
         return link_info(e, e.link(e.one), 0, [](Env&, const bpf_link_info& info) { return info.id == 0; });
     },
     1},
    {"InfoDetached",
     [](Env& e) {
         const long link = e.link(e.one);
         static_cast<void>(e.detach(link));
         return link_info(e, link, sizeof(bpf_link_info), [](Env& env, const bpf_link_info& info) {
             return info.prog_id == env.id_of(env.one) && info.xdp.ifindex == 0;
         });
     },
     sizeof(bpf_link_info) * 10 + 1},
    {"FdById",
     [](Env& e) {
         bpf_link_info info{};
         const long link = e.link(e.one);
         static_cast<void>(e.get_info(static_cast<int>(link), info));
         auto attr = zero_attr();
         attr.link_id = info.id;
         const int again = e.keep(e.call(BPF_LINK_GET_FD_BY_ID, attr));
         if (again <= 0) return long{again};
         e.drop(static_cast<int>(link));
         return e.shown(e.one); // one fd is left
     },
     kNative},
    {"NextId",
     [](Env& e) {
         bpf_link_info info{};
         const long link = e.link(e.one);
         static_cast<void>(e.get_info(static_cast<int>(link), info));
         auto attr = zero_attr();
         attr.start_id = info.id - 1;
         const long result = e.call(BPF_LINK_GET_NEXT_ID, attr);
         return result < 0 ? result : long{attr.next_id == info.id};
     },
     1},
    {"FdByIdWithFlags",
     [](Env& e) {
         auto attr = zero_attr();
         attr.link_id = 1;
         attr.open_flags = 8;
         return e.call(BPF_LINK_GET_FD_BY_ID, attr);
     },
     -EINVAL},
    // The older commands have nothing for XDP.
    {"OldAttach", [](Env& e) { return old_command(e, BPF_PROG_ATTACH, e.one); }, -EINVAL},
    {"OldAttachClosedFd", [](Env& e) { return old_command(e, BPF_PROG_ATTACH, 12345); }, -EBADF},
    {"OldAttachMap", [](Env& e) { return old_command(e, BPF_PROG_ATTACH, e.map); }, -EINVAL},
    {"OldAttachOtherType", [](Env& e) { return old_command(e, BPF_PROG_ATTACH, e.filter); }, -EINVAL},
    {"OldAttachFlags", [](Env& e) { return old_command(e, BPF_PROG_ATTACH, 12345, BPF_XDP, 32); }, -EINVAL},
    {"OldAttachYoungerFlag", [](Env& e) { return old_command(e, BPF_PROG_ATTACH, 12345, BPF_XDP, 64); },
     -EBADF},
    {"OldAttachDevmap", [](Env& e) { return old_command(e, BPF_PROG_ATTACH, 12345, BPF_XDP_DEVMAP); },
     -EINVAL},
    {"OldDetach", [](Env& e) { return old_command(e, BPF_PROG_DETACH, e.one); }, -EINVAL},
    {"OldDetachClosedFd", [](Env& e) { return old_command(e, BPF_PROG_DETACH, 12345); }, -EINVAL},
    {"OldQuery",
     [](Env& e) {
         auto attr = zero_attr();
         attr.query.target_fd = e.ifindex;
         attr.query.attach_type = BPF_XDP;
         return e.call(BPF_PROG_QUERY, attr);
     },
     -EINVAL},
    // Netlink.
    {"Set", [](Env& e) { return e.set_xdp(e.one) == 0 ? e.shown(e.one) : -1; }, kNative},
    {"SetGeneric", [](Env& e) { return e.set_xdp(e.one, XDP_FLAGS_SKB_MODE) == 0 ? e.shown(e.one) : -1; },
     kGeneric},
    {"SetHardware", [](Env& e) { return e.set_xdp(e.one, XDP_FLAGS_HW_MODE); }, -EINVAL},
    {"SetAgain",
     [](Env& e) { return e.set_xdp(e.one) == 0 && e.set_xdp(e.other) == 0 ? e.shown(e.other) : -1; },
     kNative},
    {"SetNoExist", [](Env& e) { return e.set_xdp(e.one, XDP_FLAGS_UPDATE_IF_NOEXIST); }, 0},
    {"SetNoExistAgain",
     [](Env& e) {
         static_cast<void>(e.set_xdp(e.one));
         return with_why(e, e.set_xdp(e.other, XDP_FLAGS_UPDATE_IF_NOEXIST), "already");
     },
     -EBUSY},
    {"SetOtherMode",
     [](Env& e) {
         static_cast<void>(e.set_xdp(e.one));
         return with_why(e, e.set_xdp(e.other, XDP_FLAGS_SKB_MODE), "same time");
     },
     -EEXIST},
    {"SetOverLink",
     [](Env& e) {
         static_cast<void>(e.link(e.one));
         return with_why(e, e.set_xdp(e.other), "active BPF");
     },
     -EBUSY},
    {"ClearLink",
     [](Env& e) {
         static_cast<void>(e.link(e.one));
         return e.set_xdp(-1);
     },
     -EBUSY},
    {"ClearOtherModeThanLink",
     [](Env& e) {
         static_cast<void>(e.link(e.one));
         return e.set_xdp(-1, XDP_FLAGS_SKB_MODE) == 0 ? e.shown(e.one) : -1;
     },
     kNative},
    {"SetReplacing",
     [](Env& e) { return e.set_xdp(e.one) == 0 ? e.set_xdp(e.other, XDP_FLAGS_REPLACE, e.one) : -1; }, 0},
    {"SetReplacingAnother",
     [](Env& e) {
         static_cast<void>(e.set_xdp(e.one));
         return with_why(e, e.set_xdp(e.other, XDP_FLAGS_REPLACE, e.typed), "expected");
     },
     -EEXIST},
    {"SetReplacingNothing", [](Env& e) { return e.set_xdp(e.one, XDP_FLAGS_REPLACE, -1); }, 0},
    {"SetReplacingNothingOverProgram",
     [](Env& e) { return e.set_xdp(e.one) == 0 ? e.set_xdp(e.other, XDP_FLAGS_REPLACE, -1) : -1; }, -EEXIST},
    {"SetReplacingMap", [](Env& e) { return e.set_xdp(e.one, XDP_FLAGS_REPLACE, e.map); }, -EINVAL},
    {"SetReplacingClosedFd", [](Env& e) { return e.set_xdp(e.one, XDP_FLAGS_REPLACE, 12345); }, -EBADF},
    {"SetReplacingWithoutOld",
     [](Env& e) {
         Request request(RTM_SETLINK);
         request.link(e.ifindex).begin(IFLA_XDP).attribute(IFLA_XDP_FD, e.one);
         return raw(e, request.attribute(IFLA_XDP_FLAGS, u32{XDP_FLAGS_REPLACE}).end().bytes());
     },
     -EINVAL},
    {"SetDevmapProgram", [](Env& e) { return with_why(e, e.set_xdp(e.devmap), "DEVMAP"); }, -EINVAL},
    {"SetCpumapProgram", [](Env& e) { return with_why(e, e.set_xdp(e.cpumap), "CPUMAP"); }, -EINVAL},
    {"SetOtherType", [](Env& e) { return e.set_xdp(e.filter); }, -EINVAL},
    {"SetMap", [](Env& e) { return e.set_xdp(e.map); }, -EINVAL},
    {"SetClosedFd", [](Env& e) { return e.set_xdp(12345); }, -EBADF},
    {"SetTwoModes", [](Env& e) { return e.set_xdp(e.one, XDP_FLAGS_SKB_MODE | XDP_FLAGS_DRV_MODE); },
     -EINVAL},
    {"SetUnknownFlag", [](Env& e) { return e.set_xdp(e.one, 1U << 20); }, -EINVAL},
    {"SetUnknownInterface", [](Env& e) { return raw(e, e.set_request(54321, e.one, 0, -1).bytes()); },
     -ENODEV},
    {"SetInterfaceZero", [](Env& e) { return raw(e, e.set_request(0, e.one, 0, -1).bytes()); }, -EINVAL},
    {"Clear", [](Env& e) { return e.set_xdp(e.one) == 0 && e.set_xdp(-1) == 0 ? e.shown() : -1; }, 0},
    {"ClearNothing", [](Env& e) { return e.set_xdp(-1); }, 0},
    {"ClearHardware", [](Env& e) { return e.set_xdp(-1, XDP_FLAGS_HW_MODE); }, 0},
    {"ClearOtherMode",
     [](Env& e) {
         return e.set_xdp(e.one, XDP_FLAGS_SKB_MODE) == 0 && e.set_xdp(-1) == 0 ? e.shown(e.one) : -1;
     },
     kGeneric},
    {"SetOutlivesItsFd",
     [](Env& e) {
         static_cast<void>(e.set_xdp(e.one));
         const long id = e.id_of(e.one);
         e.drop(e.one);
         auto attr = zero_attr();
         attr.prog_id = static_cast<u32>(id);
         e.one = e.keep(e.call(BPF_PROG_GET_FD_BY_ID, attr));
         return e.shown(e.one);
     },
     kNative},
    {"ShownByName",
     [](Env& e) {
         static_cast<void>(e.set_xdp(e.one));
         const char name[8] = "xp0";
         return e.shown_by(Request(RTM_GETLINK, NLM_F_REQUEST).link(0).attribute(IFLA_IFNAME, name).bytes(),
                           e.one);
     },
     kNative},
    {"SetByName",
     [](Env& e) {
         const char name[8] = "xp0";
         Request request(RTM_SETLINK);
         request.link(0).attribute(IFLA_IFNAME, name).begin(IFLA_XDP).attribute(IFLA_XDP_FD, e.one).end();
         return raw(e, request.bytes()) == 0 ? e.shown(e.one) : -1;
     },
     kNative},
    {"SetByNewLink",
     [](Env& e) {
         Request request(RTM_NEWLINK);
         request.link(e.ifindex).begin(IFLA_XDP).attribute(IFLA_XDP_FD, e.one).end();
         return raw(e, request.bytes()) == 0 ? e.shown(e.one) : -1;
     },
     kNative},
    {"NewLinkOfNone", [](Env& e) { return raw(e, Request(RTM_NEWLINK).link(0).bytes()); }, -ENODEV},
    {"NewLinkOfUnknown", [](Env& e) { return raw(e, Request(RTM_NEWLINK).link(54321).bytes()); }, -ENODEV},
    // Requests that do not hold together, and others'.
    {"NoAcknowledgementAskedFor",
     [](Env& e) {
         Request request(RTM_SETLINK, NLM_F_REQUEST);
         return raw(e, request.link(e.ifindex).begin(IFLA_XDP).attribute(IFLA_XDP_FD, e.one).end().bytes());
     },
     1},
    {"NoRequest", [](Env& e) { return raw(e, Request(RTM_SETLINK, 0).link(54321).bytes()); }, 1},
    {"NoRequestAcknowledged",
     [](Env& e) { return raw(e, Request(RTM_SETLINK, NLM_F_ACK).link(54321).bytes()); }, 0},
    {"ControlMessage", [](Env& e) { return raw(e, Request(NLMSG_NOOP).link(54321).bytes()); }, 0},
    {"UnknownMessage", [](Env& e) { return raw(e, Request(RTM_MAX + 100).link(0).bytes()); }, -EOPNOTSUPP},
    {"EmptyBody", [](Env& e) { return raw(e, Request(RTM_SETLINK).bytes()); }, 0},
    {"ShortBody", [](Env& e) { return raw(e, Request(RTM_SETLINK).put(u32{0}).bytes()); }, -EINVAL},
    {"LongerThanItIs", [](Env& e) { return raw(e, Request(RTM_SETLINK).link(e.ifindex).bytes(4)); }, 1},
    {"ShorterThanAHeader", [](Env& e) { return raw(e, Request(RTM_SETLINK).bytes(-4)); }, 1},
    {"NothingToSet", [](Env& e) { return raw(e, Request(RTM_SETLINK).link(e.ifindex).bytes()); }, 0},
    {"EmptyNest",
     [](Env& e) { return raw(e, Request(RTM_SETLINK).link(e.ifindex).begin(IFLA_XDP).end().bytes()); }, 0},
    {"ShortFd",
     [](Env& e) {
         return raw(e, Request(RTM_SETLINK)
                           .link(e.ifindex)
                           .begin(IFLA_XDP)
                           .attribute(IFLA_XDP_FD, u16{1})
                           .end()
                           .bytes());
     },
     -ERANGE},
    {"ProgramIdIsNotForSetting",
     [](Env& e) {
         return raw(e, Request(RTM_SETLINK)
                           .link(e.ifindex)
                           .begin(IFLA_XDP)
                           .attribute(IFLA_XDP_PROG_ID, u32{1})
                           .end()
                           .bytes());
     },
     -EINVAL},
    {"AttachedIsNotForSetting",
     [](Env& e) {
         return raw(e, Request(RTM_SETLINK)
                           .link(e.ifindex)
                           .begin(IFLA_XDP)
                           .attribute(IFLA_XDP_ATTACHED, u8{1})
                           .end()
                           .bytes());
     },
     -EINVAL},
    {"GetUnknownInterface", [](Env& e) { return raw(e, Request(RTM_GETLINK).link(54321).bytes()); }, -ENODEV},
    {"GetNoInterface", [](Env& e) { return raw(e, Request(RTM_GETLINK).link(0).bytes()); }, -EINVAL},
};

class AttachCases : public testing::TestWithParam<Case> {};

/// Both in one test: a case that fails on one side alone is one that was understood wrongly.
TEST_P(AttachCases, AnswersAsLinuxDoes) {
    CountingInterfaces interfaces;
    {
        Env env(kOurs);
        EXPECT_EQ(GetParam().run(env), GetParam().result) << kOurs.name;
    }
    EXPECT_EQ(interfaces.installed, nullptr) << "is attached still";
}

#ifndef XDPLANE_REMOTE
TEST_P(AttachCases, AsTheKernel) {
    if (!kernel_side_works()) GTEST_SKIP() << "no root, no network namespace or no veth";
    Env env(kKernel);
    EXPECT_EQ(GetParam().run(env), GetParam().result);
}
#endif

INSTANTIATE_TEST_SUITE_P(All, AttachCases, testing::ValuesIn(kCases),
                         [](const auto& row) { return std::string(row.param.name); });

#ifndef XDPLANE_REMOTE
/// Younger libbpfs look for the family "netdev", and go on without it.
TEST(Attach, GenericNetlinkHasNoFamilies) {
    constexpr u16 kController = NLMSG_MIN_TYPE;
    Direct source;
    const auto answers = remote::answer_route(Request(kController, NLM_F_REQUEST).put(u32{0x103}).bytes(),
                                              {.port = 7, .generic = true}, source);
    ASSERT_EQ(answers.size(), 1U);
    const std::vector<Reply> replies = split(answers[0]);
    ASSERT_EQ(replies.size(), 1U);
    EXPECT_EQ(replies[0].header.nlmsg_type, NLMSG_ERROR);
    int error = 0;
    std::memcpy(&error, replies[0].body.data(), sizeof error);
    EXPECT_EQ(error, -ENOENT);
}

TEST(Attach, InstallsWhatIsAttachedAndNoMore) {
    CountingInterfaces interfaces;
    Env env(kOurs);
    const long link = env.link(env.one);
    EXPECT_EQ(interfaces.installed, program_from_fd(env.one));
    EXPECT_EQ(env.update(link, env.one), 0);
    EXPECT_EQ(interfaces.installs, 1) << "the same again is no change";
    EXPECT_EQ(env.update(link, env.other), 0);
    EXPECT_EQ(interfaces.installed, program_from_fd(env.other));
    EXPECT_EQ(env.detach(link), 0);
    EXPECT_EQ(interfaces.installed, nullptr);
    EXPECT_EQ(env.detach(link), 0);
    EXPECT_EQ(interfaces.installs, 3);
}

TEST(Attach, RefusalsOfInterfacesChangeNothing) {
    CountingInterfaces interfaces;
    Env env(kOurs);
    interfaces.refuse = ENOMEM;
    EXPECT_EQ(env.link(env.one), -ENOMEM);
    EXPECT_EQ(env.set_xdp(env.one), -ENOMEM);
    EXPECT_EQ(env.shown(), 0);
    interfaces.refuse = 0;
    const long link = env.link(env.one);
    interfaces.refuse = ENOMEM;
    EXPECT_EQ(env.update(link, env.other), -ENOMEM);
    EXPECT_EQ(env.shown(env.one), kNative);
    interfaces.refuse = 0;
}

TEST(Attach, WithoutInterfacesThereIsNothingToAttachTo) {
    Env env(kOurs);
    EXPECT_EQ(env.link_at(env.one, 1, BPF_XDP), -EINVAL);
    EXPECT_TRUE(XdpHooks::instance().list().empty());
}

TEST(Attach, LinksOutliveTheirInterfaces) {
    auto interfaces = std::make_unique<CountingInterfaces>();
    Env env(kOurs);
    const long link = env.link(env.one);
    interfaces.reset();
    bpf_link_info info{};
    EXPECT_GT(env.get_info(static_cast<int>(link), info), 0);
    EXPECT_EQ(info.xdp.ifindex, 0U);
    EXPECT_EQ(env.update(link, env.other), -ENOLINK);
    EXPECT_EQ(env.detach(link), 0);
}

TEST(Attach, PinsKeepLinks) {
    CountingInterfaces interfaces;
    Env env(kOurs);
    const long link = env.link(env.one);
    auto attr = zero_attr();
    attr.pathname = reinterpret_cast<u64>("/sys/fs/bpf/link");
    attr.bpf_fd = static_cast<u32>(link);
    EXPECT_EQ(env.call(BPF_OBJ_PIN, attr), 0);
    env.drop(static_cast<int>(link));
    EXPECT_NE(interfaces.installed, nullptr);
    attr.bpf_fd = 0;
    attr.file_flags = BPF_F_RDONLY;
    EXPECT_EQ(env.call(BPF_OBJ_GET, attr), -EINVAL) << "as the kernel: links have no modes";
    attr.file_flags = 0;
    const int again = env.keep(env.call(BPF_OBJ_GET, attr));
    EXPECT_GT(again, 0);
    EXPECT_EQ(PinTable::instance().unlink("/sys/fs/bpf/link"), 0);
    EXPECT_NE(interfaces.installed, nullptr) << "an fd is left";
    env.drop(again);
    EXPECT_EQ(interfaces.installed, nullptr);
}
#endif

} // namespace
