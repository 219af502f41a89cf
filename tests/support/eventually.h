// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
#pragma once
#include <chrono>
#include <thread>

namespace xdplane {

/// True once the condition is; false if it is not within a minute, whatever the machine has to do besides.
/// It is asked again after each pause.
template<class Condition>
[[nodiscard]] bool eventually(Condition&& condition,
                              std::chrono::microseconds pause = std::chrono::milliseconds(1)) {
    const auto deadline = std::chrono::steady_clock::now() + std::chrono::minutes(1);
    while (!condition()) {
        if (std::chrono::steady_clock::now() > deadline) return false;
        std::this_thread::sleep_for(pause);
    }
    return true;
}

} // namespace xdplane
