// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
#pragma once
#include <stdexcept>

#include "bpf/base/reclaimer.h"

namespace xdplane {

/// The test's thread as a reader of the Reclaimer, as a worker is, for as long as this lives.
class Reader {
public:
    Reader() : slot_(Reclaimer::instance().online()) {
        if (slot_ < 0) throw std::runtime_error("no reader is free");
    }
    ~Reader() { Reclaimer::instance().offline(slot_); }
    Reader(const Reader&) = delete;
    Reader& operator=(const Reader&) = delete;
    void quiescent() const { Reclaimer::instance().quiescent(slot_); }

private:
    int slot_;
};

} // namespace xdplane
