// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
#include <fcntl.h>

#include "bpf/prog/run_stats.h"
#include "bpf/syscall/command.h"

namespace xdplane {

/// Programs count their runs for as long as an fd of it is open, in this or another process.
long enable_stats(Call& call) {
    if (call.attr.enable_stats.type != BPF_STATS_RUN_TIME) return -EINVAL;
    return ObjectTable::instance().open(std::make_shared<RunStatsSwitch>(), O_RDWR);
}

} // namespace xdplane
