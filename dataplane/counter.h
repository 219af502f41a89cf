// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
#pragma once
#include <atomic>

#include "bpf/base/types.h"

namespace xdplane {

/// A counter with one writer and any number of readers: as cheap as a plain integer, and a reader never sees
/// a torn value.
class Counter {
public:
    void add(u64 amount) noexcept {
        value_.store(value_.load(std::memory_order_relaxed) + amount, std::memory_order_relaxed);
    }
    [[nodiscard]] u64 get() const noexcept { return value_.load(std::memory_order_relaxed); }

private:
    std::atomic<u64> value_{0};
};

} // namespace xdplane
