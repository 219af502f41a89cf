// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
#pragma once
#include <chrono>

#include "pcap_replay/source.h"

namespace xdplane {

/// Tells the caller of a replay how far it is, ten times a second.
class Reporter {
public:
    Reporter(const ReplayOptions& options, const Source& source) : options_(options), source_(source) {}

    [[nodiscard]] double seconds() const {
        return std::chrono::duration<double>(std::chrono::steady_clock::now() - start_).count();
    }
    void tick() {
        if (!options_.progress) return;
        const double now = seconds();
        if (now < next_) return;
        next_ = now + 0.1;
        ReplayProgress progress = source_.progress();
        progress.seconds = now;
        options_.progress(progress);
    }

private:
    const ReplayOptions& options_;
    const Source& source_;
    std::chrono::steady_clock::time_point start_ = std::chrono::steady_clock::now();
    double next_ = 0.1;
};

} // namespace xdplane
