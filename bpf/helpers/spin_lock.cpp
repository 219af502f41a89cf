// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
#include "bpf/maps/value_lock.h"

#include <linux/bpf.h>

#include "bpf/helpers/rows.h"

namespace xdplane {
namespace {

u64 spin_lock(u64 lock, u64, u64, u64, u64) noexcept {
    ValueLock(reinterpret_cast<u32*>(lock)).lock();
    return 0;
}
u64 spin_unlock(u64 lock, u64, u64, u64, u64) noexcept {
    ValueLock(reinterpret_cast<u32*>(lock)).unlock();
    return 0;
}

} // namespace

const HelperProto kHelperSpinLock = {.id = BPF_FUNC_spin_lock,
                                     .name = "spin_lock",
                                     .fn = spin_lock,
                                     .ret = Ret::nothing,
                                     .args = {Arg::spin_lock},
                                     .unprivileged = false};
const HelperProto kHelperSpinUnlock = {.id = BPF_FUNC_spin_unlock,
                                       .name = "spin_unlock",
                                       .fn = spin_unlock,
                                       .ret = Ret::nothing,
                                       .args = {Arg::spin_lock},
                                       .unprivileged = false};

} // namespace xdplane
