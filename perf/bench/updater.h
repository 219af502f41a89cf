// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
#pragma once
#include <atomic>
#include <functional>
#include <thread>

#include "bpf/base/types.h"

namespace xdplane::bench {

/// A control thread that calls `update` with 0, 1, 2... at a steady rate, as far as it gets, on another CPU
/// than `cpu` if there is one. Ends with the object.
class Updater {
public:
    Updater(u32 per_second, u32 cpu, std::function<void(u32 index)> update);
    /// Calls so far. Any thread.
    [[nodiscard]] u64 done() const { return done_.load(std::memory_order_relaxed); }

private:
    std::atomic<u64> done_{0};
    std::jthread thread_; ///< last: it uses the others
};

} // namespace xdplane::bench
