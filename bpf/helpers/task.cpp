// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
#include <algorithm>
#include <cerrno>
#include <cstring>
#include <linux/bpf.h>

#include "bpf/helpers/rows.h"
#include "bpf/run/run_context.h"

/// The current task. On Linux it is whoever was running when the packet came; here packets are judged for
/// nobody, as on an idle CPU of Linux: pid and uid 0, the name "swapper/N", in the root cgroup, without
/// memory of a user and without a pid namespace that could be named. So results do not depend on who runs
/// xdplane.
namespace xdplane {
namespace {

u64 error(int code) noexcept { return static_cast<u64>(-i64{code}); }

constexpr u64 kRootCgroup = 1;

u64 zero(u64, u64, u64, u64, u64) noexcept { return 0; }
u64 get_current_cgroup_id(u64, u64, u64, u64, u64) noexcept { return kRootCgroup; }
u64 get_current_ancestor_cgroup_id(u64 level, u64, u64, u64, u64) noexcept {
    return static_cast<u32>(level) == 0 ? kRootCgroup : 0;
}

u64 get_current_comm(u64 to, u64 size, u64, u64, u64) noexcept {
    constexpr u32 longest = 16; // TASK_COMM_LEN
    char name[longest] = "swapper/";
    char* at = name + std::strlen(name);
    // At most 7 digits and the NUL: CPU numbers are below 10'000'000.
    char digits[8];
    u32 count = 0;
    for (u32 cpu = t_run.cpu; count == 0 || (cpu != 0 && count < 7); cpu /= 10)
        digits[count++] = static_cast<char>('0' + cpu % 10);
    while (count != 0) *at++ = digits[--count];
    auto* target = reinterpret_cast<char*>(to);
    const u32 room = static_cast<u32>(size);
    std::memset(target, 0, room);
    std::memcpy(target, name, std::min<std::size_t>(std::strlen(name), room - 1));
    return 0;
}

u64 get_ns_current_pid_tgid(u64, u64, u64 to, u64 size, u64) noexcept {
    std::memset(reinterpret_cast<void*>(to), 0, static_cast<u32>(size));
    return error(EINVAL);
}

/// Kernel threads get no signals.
u64 send_signal(u64, u64, u64, u64, u64) noexcept { return error(EPERM); }

/// A cgroup array holds no cgroup.
u64 current_task_under_cgroup(u64, u64, u64, u64, u64) noexcept { return error(EAGAIN); }

/// There is no user whose memory could be read.
u64 probe_read_user(u64 to, u64 size, u64, u64, u64) noexcept {
    std::memset(reinterpret_cast<void*>(to), 0, static_cast<u32>(size));
    return error(EFAULT);
}

/// No counter is read here, as in an empty slot of the array.
u64 perf_event_read(u64, u64, u64, u64, u64) noexcept { return error(ENOENT); }
u64 perf_event_read_value(u64, u64, u64 to, u64 size, u64) noexcept {
    std::memset(reinterpret_cast<void*>(to), 0, static_cast<u32>(size));
    return error(size == sizeof(bpf_perf_event_value) ? ENOENT : EINVAL);
}
u64 get_branch_snapshot(u64, u64, u64, u64, u64) noexcept { return error(ENOENT); }

constexpr HelperProto row(u32 id, const char* name, HelperFn fn, std::array<Arg, 5> args,
                          bool unprivileged = false) {
    return {.id = id,
            .name = name,
            .fn = fn,
            .ret = Ret::integer,
            .args = args,
            .use = kUsePacket,
            .unprivileged = unprivileged};
}
constexpr HelperProto gpl(HelperProto row) {
    row.gpl_only = true;
    return row;
}

} // namespace

const HelperProto kHelperGetCurrentPidTgid =
    row(BPF_FUNC_get_current_pid_tgid, "get_current_pid_tgid", zero, {}, true);
const HelperProto kHelperGetCurrentUidGid =
    row(BPF_FUNC_get_current_uid_gid, "get_current_uid_gid", zero, {}, true);
const HelperProto kHelperGetCurrentComm =
    row(BPF_FUNC_get_current_comm, "get_current_comm", get_current_comm, {Arg::uninit_mem, Arg::size});
const HelperProto kHelperGetCurrentTask = gpl(row(BPF_FUNC_get_current_task, "get_current_task", zero, {}));
const HelperProto kHelperGetCurrentCgroupId =
    row(BPF_FUNC_get_current_cgroup_id, "get_current_cgroup_id", get_current_cgroup_id, {});
const HelperProto kHelperGetCurrentAncestorCgroupId =
    row(BPF_FUNC_get_current_ancestor_cgroup_id, "get_current_ancestor_cgroup_id",
        get_current_ancestor_cgroup_id, {Arg::anything});
const HelperProto kHelperGetNsCurrentPidTgid =
    row(BPF_FUNC_get_ns_current_pid_tgid, "get_ns_current_pid_tgid", get_ns_current_pid_tgid,
        {Arg::anything, Arg::anything, Arg::uninit_mem, Arg::size}, true);
const HelperProto kHelperSendSignal = row(BPF_FUNC_send_signal, "send_signal", send_signal, {Arg::anything});
const HelperProto kHelperSendSignalThread =
    row(BPF_FUNC_send_signal_thread, "send_signal_thread", send_signal, {Arg::anything});
const HelperProto kHelperCurrentTaskUnderCgroup =
    row(BPF_FUNC_current_task_under_cgroup, "current_task_under_cgroup", current_task_under_cgroup,
        {Arg::const_map, Arg::anything});
const HelperProto kHelperProbeReadUser = gpl(row(BPF_FUNC_probe_read_user, "probe_read_user", probe_read_user,
                                                 {Arg::uninit_mem, Arg::size_or_zero, Arg::anything}));
const HelperProto kHelperProbeReadUserStr =
    gpl(row(BPF_FUNC_probe_read_user_str, "probe_read_user_str", probe_read_user,
            {Arg::uninit_mem, Arg::size_or_zero, Arg::anything}));
const HelperProto kHelperPerfEventRead =
    gpl(row(BPF_FUNC_perf_event_read, "perf_event_read", perf_event_read, {Arg::const_map, Arg::anything}));
const HelperProto kHelperPerfEventReadValue =
    gpl(row(BPF_FUNC_perf_event_read_value, "perf_event_read_value", perf_event_read_value,
            {Arg::const_map, Arg::anything, Arg::uninit_mem, Arg::size}));
const HelperProto kHelperGetBranchSnapshot =
    gpl(row(BPF_FUNC_get_branch_snapshot, "get_branch_snapshot", get_branch_snapshot,
            {Arg::uninit_mem, Arg::size_or_zero}));

} // namespace xdplane
