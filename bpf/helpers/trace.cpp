// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
#include <cerrno>
#include <linux/bpf.h>

#include "bpf/helpers/rows.h"

namespace xdplane {
namespace {

u64 trace_printk(u64, u64, u64, u64, u64) noexcept { return static_cast<u64>(i64{-EINVAL}); }

} // namespace

const HelperProto kHelperTracePrintk = {
    .id = BPF_FUNC_trace_printk,
    .name = "trace_printk",
    .fn = trace_printk,
    .ret = Ret::integer,
    .args = {Arg::mem, Arg::size, Arg::anything, Arg::anything, Arg::anything},
    .gpl_only = true};

} // namespace xdplane
