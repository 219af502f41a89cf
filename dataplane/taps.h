// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
#pragma once
#include <atomic>
#include <memory>

#include "dataplane/tap.h"

namespace xdplane {

/// The captures of a data plane. Control thread.
class Taps {
public:
    /// `published`: where workers look; null while there is no capture.
    explicit Taps(std::atomic<const TapSet*>& published) : published_(published) {}
    ~Taps();
    Taps(const Taps&) = delete;
    Taps& operator=(const Taps&) = delete;

    /// Workers see it from their next round on.
    std::shared_ptr<Tap> add(std::unique_ptr<Tap> tap);
    /// Workers stop to see it; its memory stays until none of them uses it.
    void remove(const std::shared_ptr<Tap>& tap);
    [[nodiscard]] u32 count() const { return static_cast<u32>(live_.size()); }

private:
    void publish();

    std::atomic<const TapSet*>& published_;
    std::vector<std::shared_ptr<Tap>> live_;
};

} // namespace xdplane
