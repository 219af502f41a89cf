// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
#include "bpf/helpers/kfunc_rows.h"

/// Sections that Linux runs under RCU or without preemption. Here a worker is a reader of the Reclaimer for a
/// whole burst and nothing else runs programs on its thread, so there is nothing to do.
namespace xdplane {
namespace {

u64 nothing(u64, u64, u64, u64, u64) noexcept { return 0; }

constexpr HelperProto section_row(const char* name, Section section) {
    return {.id = 0,
            .name = name,
            .fn = nothing,
            .ret = Ret::nothing,
            .args = {},
            .unprivileged = false,
            .is_kfunc = true,
            .section = section};
}

} // namespace

const HelperProto kKfuncRcuReadLock = section_row("bpf_rcu_read_lock", Section::rcu_begin);
const HelperProto kKfuncRcuReadUnlock = section_row("bpf_rcu_read_unlock", Section::rcu_end);
const HelperProto kKfuncPreemptDisable = section_row("bpf_preempt_disable", Section::preempt_off);
const HelperProto kKfuncPreemptEnable = section_row("bpf_preempt_enable", Section::preempt_on);

} // namespace xdplane
