// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
#include "dataplane/run_scope.h"

namespace xdplane {

RunScope::RunScope(const RunSettings& settings) : slot_(Reclaimer::instance().online()) {
    t_run = RunContext{};
    t_run.cpu = settings.cpu;
    t_run.clock = settings.clock;
    t_run.seed = settings.seed;
    t_run.random_by_packet = settings.random_by_packet;
    // A xorshift generator must not start from 0, and two workers must not start alike.
    t_run.random_state = (settings.seed + settings.cpu + 1) * 0x9e3779b97f4a7c15;
    if (t_run.random_state == 0) t_run.random_state = 1;
}

RunScope::~RunScope() { offline(); }

void RunScope::offline() {
    if (slot_ >= 0) Reclaimer::instance().offline(slot_);
    slot_ = -1;
}

void RunScope::online() {
    if (slot_ < 0) slot_ = Reclaimer::instance().online();
}

} // namespace xdplane
