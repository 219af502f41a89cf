// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
#pragma once
#include "bpf/run/redirect.h"
#include "bpf/run/run_context.h"

/// What the redirect functions of the map types share.
namespace xdplane {

/// Flags of bpf_redirect_map: the action it returns where the map has nothing.
inline constexpr u64 kMissActions = kAborted | kDrop | kPass | kTx;

/// Notes the target for the packet being judged.
[[nodiscard]] inline u64 redirect_to(const Redirect& to) noexcept {
    if (XdpBuff* packet = t_run.packet) to.store(*packet);
    return kRedirect;
}

/// A miss takes back what an earlier call noted: a program that redirects all the same goes nowhere.
[[nodiscard]] inline u64 redirect_missed(u64 flags) noexcept {
    if (XdpBuff* packet = t_run.packet) Redirect{}.store(*packet);
    return flags & kMissActions;
}

} // namespace xdplane
