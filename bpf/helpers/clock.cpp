// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
#include "bpf/helpers/clock.h"

#include <linux/bpf.h>

#include "bpf/helpers/rows.h"
#include "bpf/run/run_context.h"

namespace xdplane {

u64 run_clock_ns(clockid_t clock) noexcept {
    // In replay every clock is the capture's, and so is its epoch.
    if (t_run.clock == Clock::capture) return t_run.packet ? t_run.packet->timestamp_ns : 0;
    timespec time{};
    ::clock_gettime(clock, &time); // vDSO: no system call
    return static_cast<u64>(time.tv_sec) * 1'000'000'000 + static_cast<u64>(time.tv_nsec);
}

namespace {

/// CONFIG_HZ of Debian's kernels.
constexpr u64 kNanosecondsPerJiffy = 1'000'000'000 / 250;

u64 ktime_get_ns(u64, u64, u64, u64, u64) noexcept { return run_clock_ns(CLOCK_MONOTONIC); }
u64 ktime_get_boot_ns(u64, u64, u64, u64, u64) noexcept { return run_clock_ns(CLOCK_BOOTTIME); }
u64 ktime_get_coarse_ns(u64, u64, u64, u64, u64) noexcept { return run_clock_ns(CLOCK_MONOTONIC_COARSE); }
u64 ktime_get_tai_ns(u64, u64, u64, u64, u64) noexcept { return run_clock_ns(CLOCK_TAI); }
u64 jiffies64(u64, u64, u64, u64, u64) noexcept {
    return run_clock_ns(CLOCK_MONOTONIC_COARSE) / kNanosecondsPerJiffy;
}

constexpr HelperProto clock_row(u32 id, const char* name, HelperFn fn, bool unprivileged = true) {
    return {.id = id,
            .name = name,
            .fn = fn,
            .ret = Ret::integer,
            .args = {},
            .reads_clock = true,
            .needs_context = true,
            .unprivileged = unprivileged};
}

} // namespace

const HelperProto kHelperKtimeGetNs = clock_row(BPF_FUNC_ktime_get_ns, "ktime_get_ns", ktime_get_ns);
const HelperProto kHelperKtimeGetBootNs =
    clock_row(BPF_FUNC_ktime_get_boot_ns, "ktime_get_boot_ns", ktime_get_boot_ns);
const HelperProto kHelperKtimeGetCoarseNs =
    clock_row(BPF_FUNC_ktime_get_coarse_ns, "ktime_get_coarse_ns", ktime_get_coarse_ns, false);
const HelperProto kHelperKtimeGetTaiNs =
    clock_row(BPF_FUNC_ktime_get_tai_ns, "ktime_get_tai_ns", ktime_get_tai_ns);
const HelperProto kHelperJiffies64 = clock_row(BPF_FUNC_jiffies64, "jiffies64", jiffies64, false);

} // namespace xdplane
