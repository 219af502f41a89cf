// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
#include "dataplane/worker_watch.h"

#include <algorithm>

namespace xdplane {

std::vector<std::string> WorkerWatch::look(std::span<const WorkerReport> workers, Clock::time_point now) {
    std::vector<std::string> lines;
    for (std::size_t i = 0; i < workers.size(); ++i) {
        const WorkerReport& worker = workers[i];
        if (i == seen_.size()) seen_.push_back({.rounds = worker.rounds, .moved = now});
        Seen& seen = seen_[i];
        seen.cpu = worker.cpu;
        if (worker.rounds != seen.rounds) {
            seen.rounds = worker.rounds;
            seen.moved = now;
        }
        const bool hangs = now - seen.moved > patience_;
        if (hangs == seen.hangs) continue;
        seen.hangs = hangs;
        const double seconds = std::chrono::duration<double>(now - seen.moved).count();
        lines.push_back(hangs ? fmt::format("worker {} (CPU {}) hangs: it has been in one round for {:.1f} s",
                                            i, worker.cpu, seconds)
                              : fmt::format("worker {} (CPU {}) goes on", i, worker.cpu));
    }
    return lines;
}

bool WorkerWatch::all_move() const { return std::ranges::none_of(seen_, &Seen::hangs); }

std::string WorkerWatch::summary() const {
    std::string text;
    for (std::size_t i = 0; i < seen_.size(); ++i)
        if (seen_[i].hangs)
            text += fmt::format("{}worker {} (CPU {}) hangs", text.empty() ? "" : ", ", i, seen_[i].cpu);
    return text;
}

} // namespace xdplane
