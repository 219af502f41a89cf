// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
#include <cerrno>
#include <linux/bpf.h>

#include "bpf/helpers/rows.h"

/// Timers are refused when they are asked for: a program that uses them loads, and is told -EOPNOTSUPP, as
/// by bpf_timer_init where Linux cannot have one. A timer would run a callback of the program on a thread of
/// its own, beside the workers, and in replay at moments of the machine's clock: results would no longer
/// depend on the packets alone.
namespace xdplane {
namespace {

u64 no_timer(u64, u64, u64, u64, u64) noexcept { return static_cast<u64>(i64{-EOPNOTSUPP}); }

} // namespace

const HelperProto kHelperTimerInit = {.id = BPF_FUNC_timer_init,
                                      .name = "timer_init",
                                      .fn = no_timer,
                                      .ret = Ret::integer,
                                      .args = {Arg::timer, Arg::const_map, Arg::anything},
                                      .gpl_only = true,
                                      .unprivileged = false};
const HelperProto kHelperTimerSetCallback = {.id = BPF_FUNC_timer_set_callback,
                                             .name = "timer_set_callback",
                                             .fn = no_timer,
                                             .ret = Ret::integer,
                                             .args = {Arg::timer, Arg::callback},
                                             .gpl_only = true,
                                             .callback = Callback::timer,
                                             .unprivileged = false};
const HelperProto kHelperTimerStart = {.id = BPF_FUNC_timer_start,
                                       .name = "timer_start",
                                       .fn = no_timer,
                                       .ret = Ret::integer,
                                       .args = {Arg::timer, Arg::anything, Arg::anything},
                                       .gpl_only = true,
                                       .unprivileged = false};
const HelperProto kHelperTimerCancel = {.id = BPF_FUNC_timer_cancel,
                                        .name = "timer_cancel",
                                        .fn = no_timer,
                                        .ret = Ret::integer,
                                        .args = {Arg::timer},
                                        .gpl_only = true,
                                        .unprivileged = false};

} // namespace xdplane
