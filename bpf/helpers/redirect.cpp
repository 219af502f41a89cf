// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
#include <linux/bpf.h>
#include <linux/pkt_cls.h>

#include "bpf/helpers/rows.h"
#include "bpf/helpers/skb_access.h"
#include "bpf/run/redirect.h"
#include "bpf/run/run_context.h"

/// Where packets go: bpf_redirect and its relatives.
namespace xdplane {
namespace {

void note_target(u64 ifindex, RedirectKind kind, u64 flags = 0) noexcept {
    if (XdpBuff* packet = t_run.packet)
        Redirect{kind, static_cast<u32>(ifindex), static_cast<u8>(flags)}.store(*packet);
}

u64 xdp_redirect(u64 ifindex, u64 flags, u64, u64, u64) noexcept {
    if (flags != 0) return kAborted;
    note_target(ifindex, RedirectKind::port);
    return kRedirect;
}

u64 tc_redirect(u64 ifindex, u64 flags, u64, u64, u64) noexcept {
    if ((flags & ~u64{BPF_F_INGRESS}) != 0) return TC_ACT_SHOT;
    note_target(ifindex, RedirectKind::port, flags);
    return TC_ACT_REDIRECT;
}

/// There is no table of neighbours. Linux drops a packet whose neighbour it cannot find; the program cannot
/// tell.
u64 redirect_neigh(u64 ifindex, u64, u64 size, u64 flags, u64) noexcept {
    if ((size != 0 && static_cast<u32>(size) < sizeof(bpf_redir_neigh)) || flags != 0) return TC_ACT_SHOT;
    note_target(ifindex, RedirectKind::neighbour);
    return TC_ACT_REDIRECT;
}

u64 redirect_peer(u64 ifindex, u64 flags, u64, u64, u64) noexcept {
    if (flags != 0) return TC_ACT_SHOT;
    note_target(ifindex, RedirectKind::peer);
    return TC_ACT_REDIRECT;
}

/// Packets leave when their burst is judged, and nobody could take a copy before: there is no such device.
u64 clone_redirect(u64, u64, u64, u64, u64) noexcept { return errno_result(EINVAL); }

} // namespace

const HelperProto kHelperRedirect = {.id = BPF_FUNC_redirect,
                                     .name = "redirect",
                                     .fn = xdp_redirect,
                                     .ret = Ret::integer,
                                     .args = {Arg::anything, Arg::anything},
                                     .use = kUseXdp | kUseTc,
                                     .needs_context = true,
                                     .skb_fn = tc_redirect};
const HelperProto kHelperRedirectNeigh = {
    .id = BPF_FUNC_redirect_neigh,
    .name = "redirect_neigh",
    .fn = redirect_neigh,
    .ret = Ret::integer,
    .args = {Arg::anything, Arg::mem_or_null, Arg::size_or_zero, Arg::anything},
    .use = kUseTc,
    .needs_context = true};
const HelperProto kHelperRedirectPeer = {.id = BPF_FUNC_redirect_peer,
                                         .name = "redirect_peer",
                                         .fn = redirect_peer,
                                         .ret = Ret::integer,
                                         .args = {Arg::anything, Arg::anything},
                                         .use = kUseTc,
                                         .needs_context = true};
const HelperProto kHelperCloneRedirect = {.id = BPF_FUNC_clone_redirect,
                                          .name = "clone_redirect",
                                          .fn = clone_redirect,
                                          .ret = Ret::integer,
                                          .args = {Arg::ctx, Arg::anything, Arg::anything},
                                          .use = kUseTc,
                                          .moves_packet = true,
                                          .writes_packet = true};

} // namespace xdplane
