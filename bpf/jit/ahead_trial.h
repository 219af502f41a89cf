// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
#pragma once
#include <array>

#include "bpf/base/types.h"

namespace xdplane {

/// Whether running ahead makes a program's bursts cheaper, found out by trying: the caches, the other maps
/// and what the traffic hits decide it, and no size of a map tells. Of each period the first bursts go with
/// and without it in turns, the rest as was cheaper per packet. Written by one thread.
class alignas(kCacheLine) AheadTrial {
public:
    static constexpr u32 kTrialBursts = 64;
    static constexpr u32 kPeriodBursts = 4096;

    /// Of the next burst: whether to run ahead, and whether measured() wants to know what it cost.
    [[nodiscard]] bool ahead() const noexcept { return trying() ? (burst_ & 1) == 0 : pays_; }
    [[nodiscard]] bool trying() const noexcept { return burst_ < kTrialBursts; }

    /// A burst of a trial took so long, in ticks of any clock.
    void measured(u64 ticks, u32 packets) noexcept {
        Cost& cost = costs_[ahead()];
        // Something else ran meanwhile.
        if (cost.packets != 0 && ticks * cost.packets > kOutlier * cost.ticks * packets) return;
        cost.ticks += ticks;
        cost.packets += packets;
    }
    void next() noexcept {
        ++burst_;
        if (burst_ == kTrialBursts) {
            const Cost& without = costs_[0];
            const Cost& with = costs_[1];
            pays_ = with.ticks * without.packets < without.ticks * with.packets;
            costs_ = {};
        } else if (burst_ == kPeriodBursts) {
            burst_ = 0;
        }
    }

private:
    static constexpr u64 kOutlier = 8;
    struct Cost {
        u64 ticks = 0;
        u64 packets = 0;
    };
    std::array<Cost, 2> costs_{}; ///< without, with
    u32 burst_ = 0;               ///< of the period
    bool pays_ = true;
};

} // namespace xdplane
