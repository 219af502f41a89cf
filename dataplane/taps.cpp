// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
#include "dataplane/taps.h"

#include "bpf/base/reclaimer.h"

namespace xdplane {

Taps::~Taps() {
    live_.clear();
    publish();
    Reclaimer::instance().collect();
}

std::shared_ptr<Tap> Taps::add(std::unique_ptr<Tap> tap) {
    live_.push_back(std::move(tap));
    publish();
    return live_.back();
}

void Taps::remove(const std::shared_ptr<Tap>& tap) {
    if (std::erase(live_, tap) != 0) publish();
}

void Taps::publish() {
    const TapSet* next = live_.empty() ? nullptr : new TapSet{live_};
    const TapSet* const last = published_.exchange(next, std::memory_order_acq_rel);
    if (last != nullptr) Reclaimer::instance().retire(last);
}

} // namespace xdplane
