// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
#pragma once
#include <vector>

#include "bpf/base/result.h"
#include "bpf/base/types.h"

namespace xdplane::bench {

/// What was measured in one go.
struct Slice {
    double ns = 0; ///< of judging alone: packets lie ready in the cache
    u64 packets = 0;
    u64 updates = 0;       ///< that a control thread made meanwhile
    double updates_ns = 0; ///< in so long
};

/// One engine made ready for one case: what is measured. One thread.
class Subject {
public:
    virtual ~Subject() = default;
    /// Judges the first `packets` packets and returns a checksum of what came of it: verdicts, packet bytes
    /// where the program may write them, and what was added to the maps. The same for all engines.
    [[nodiscard]] virtual Result<u64> check(u32 packets) = 0;
    /// Judges packets for about `ns` nanoseconds, from where the last call stopped.
    [[nodiscard]] virtual Result<Slice> run(double ns) = 0;
    /// Nanoseconds that single bursts of 64 packets took, for about `ns` nanoseconds; empty if bursts cannot
    /// be told apart.
    [[nodiscard]] virtual std::vector<double> burst_times(double ns) = 0;
};

} // namespace xdplane::bench
