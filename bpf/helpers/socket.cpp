// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
#include <linux/bpf.h>

#include "bpf/helpers/rows.h"
#include "bpf/helpers/skb_access.h"

/// Sockets and cgroups, of which the data plane has none: no look-up finds one, no packet belongs to one.
/// What takes a socket can therefore never be reached with one; it answers as Linux does to a socket that is
/// of no use.
namespace xdplane {
namespace {

u64 none(u64, u64, u64, u64, u64) noexcept { return 0; }
u64 no_entry(u64, u64, u64, u64, u64) noexcept { return errno_result(ENOENT); }
u64 invalid(u64, u64, u64, u64, u64) noexcept { return errno_result(EINVAL); }

/// overflowuid: whose packets nobody knows.
u64 get_socket_uid(u64, u64, u64, u64, u64) noexcept { return 65534; }

/// Of the first network namespace, where packets without a socket are.
u64 get_netns_cookie(u64, u64, u64, u64, u64) noexcept { return 1; }

/// A cgroup array holds no cgroup: Linux's answer to an empty slot, or to an index beyond the last.
u64 skb_under_cgroup(u64, u64, u64, u64, u64) noexcept { return errno_result(ENOENT); }

constexpr u32 kSocketUse = kUseTc | kUseCgroupSkb;
constexpr u32 kLookupUse = kSocketUse | kUseXdp;

constexpr HelperProto row(u32 id, const char* name, HelperFn fn, Ret ret, std::array<Arg, 5> args, u32 use) {
    return {.id = id, .name = name, .fn = fn, .ret = ret, .args = args, .use = use};
}
constexpr HelperProto lookup(u32 id, const char* name, Ret ret) {
    HelperProto r =
        row(id, name, none, ret, {Arg::ctx, Arg::mem, Arg::size, Arg::anything, Arg::anything}, kLookupUse);
    r.packet_args = true;
    r.acquires = true;
    return r;
}
constexpr HelperProto cookie(u32 id, const char* name, HelperFn fn) {
    HelperProto r = row(id, name, fn, Ret::integer,
                        {Arg::sock_common, Arg::mem, Arg::size, Arg::mem, Arg::size}, kUseXdp | kUseTc);
    r.gpl_only = true;
    r.packet_args = true;
    return r;
}
constexpr HelperProto release() {
    HelperProto r =
        row(BPF_FUNC_sk_release, "sk_release", none, Ret::integer, {Arg::sock_common}, kLookupUse);
    r.releases = 1;
    return r;
}

} // namespace

const HelperProto kHelperSkLookupTcp = lookup(BPF_FUNC_sk_lookup_tcp, "sk_lookup_tcp", Ret::socket_or_null);
const HelperProto kHelperSkLookupUdp = lookup(BPF_FUNC_sk_lookup_udp, "sk_lookup_udp", Ret::socket_or_null);
const HelperProto kHelperSkcLookupTcp =
    lookup(BPF_FUNC_skc_lookup_tcp, "skc_lookup_tcp", Ret::sock_common_or_null);
const HelperProto kHelperSkRelease = release();
const HelperProto kHelperSkFullsock =
    row(BPF_FUNC_sk_fullsock, "sk_fullsock", none, Ret::socket_or_null, {Arg::sock_common}, kSocketUse);
const HelperProto kHelperTcpSock =
    row(BPF_FUNC_tcp_sock, "tcp_sock", none, Ret::tcp_sock_or_null, {Arg::sock_common}, kSocketUse);
const HelperProto kHelperGetListenerSock = row(BPF_FUNC_get_listener_sock, "get_listener_sock", none,
                                               Ret::socket_or_null, {Arg::sock_common}, kSocketUse);
const HelperProto kHelperSkAssign = row(BPF_FUNC_sk_assign, "sk_assign", invalid, Ret::integer,
                                        {Arg::ctx, Arg::sock_common, Arg::anything}, kUseTc);
const HelperProto kHelperSkStorageGet =
    row(BPF_FUNC_sk_storage_get, "sk_storage_get", none, Ret::map_value_or_null,
        {Arg::const_map, Arg::sock_common, Arg::map_value_or_null, Arg::anything}, kSocketUse);
const HelperProto kHelperSkStorageDelete = row(BPF_FUNC_sk_storage_delete, "sk_storage_delete", no_entry,
                                               Ret::integer, {Arg::const_map, Arg::sock_common}, kSocketUse);
const HelperProto kHelperTcpCheckSyncookie =
    cookie(BPF_FUNC_tcp_check_syncookie, "tcp_check_syncookie", invalid);
const HelperProto kHelperTcpGenSyncookie = cookie(BPF_FUNC_tcp_gen_syncookie, "tcp_gen_syncookie", invalid);

const HelperProto kHelperGetSocketCookie =
    row(BPF_FUNC_get_socket_cookie, "get_socket_cookie", none, Ret::integer, {Arg::ctx}, kUseSkb);
const HelperProto kHelperGetSocketUid =
    row(BPF_FUNC_get_socket_uid, "get_socket_uid", get_socket_uid, Ret::integer, {Arg::ctx}, kUseSkb);
const HelperProto kHelperGetNetnsCookie = row(BPF_FUNC_get_netns_cookie, "get_netns_cookie", get_netns_cookie,
                                              Ret::integer, {Arg::ctx_or_null}, kUseSkb);
// sched_cls and sched_act pass the context on Linux, others nothing.
const HelperProto kHelperGetCgroupClassid = [] {
    HelperProto classid =
        row(BPF_FUNC_get_cgroup_classid, "get_cgroup_classid", none, Ret::integer, {}, kUsePacket);
    classid.unprivileged = false;
    return classid;
}();
const HelperProto kHelperSkbCgroupClassid =
    row(BPF_FUNC_skb_cgroup_classid, "skb_cgroup_classid", none, Ret::integer, {Arg::ctx}, kUseTc);
const HelperProto kHelperSkbCgroupId =
    row(BPF_FUNC_skb_cgroup_id, "skb_cgroup_id", none, Ret::integer, {Arg::ctx}, kSocketUse);
const HelperProto kHelperSkbAncestorCgroupId = row(BPF_FUNC_skb_ancestor_cgroup_id, "skb_ancestor_cgroup_id",
                                                   none, Ret::integer, {Arg::ctx, Arg::anything}, kSocketUse);
const HelperProto kHelperSkCgroupId =
    row(BPF_FUNC_sk_cgroup_id, "sk_cgroup_id", none, Ret::integer, {Arg::sock_common}, kUseCgroupSkb);
const HelperProto kHelperSkAncestorCgroupId =
    row(BPF_FUNC_sk_ancestor_cgroup_id, "sk_ancestor_cgroup_id", none, Ret::integer,
        {Arg::sock_common, Arg::anything}, kUseCgroupSkb);
const HelperProto kHelperSkbUnderCgroup =
    row(BPF_FUNC_skb_under_cgroup, "skb_under_cgroup", skb_under_cgroup, Ret::integer,
        {Arg::ctx, Arg::const_map, Arg::anything}, kUseTc);

} // namespace xdplane
