// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
#include "bpf/syscall/load_report.h"

#include <atomic>
#include <mutex>

namespace xdplane {
namespace {

std::mutex g_lock;
LoadWatch* g_watch = nullptr; ///< guarded by g_lock
std::atomic<bool> g_unprivileged{false};

} // namespace

LoadWatch::LoadWatch(std::vector<LoadReport>& reports)
    : thread_(std::this_thread::get_id()), reports_(reports) {
    const std::lock_guard guard(g_lock);
    installed_ = g_watch == nullptr;
    if (installed_) g_watch = this;
}

LoadWatch::~LoadWatch() {
    const std::lock_guard guard(g_lock);
    if (installed_) g_watch = nullptr;
}

void LoadWatch::report(LoadReport report) {
    const std::lock_guard guard(g_lock);
    if (g_watch != nullptr && g_watch->thread_ == std::this_thread::get_id())
        g_watch->reports_.push_back(std::move(report));
}

void set_unprivileged(bool on) { g_unprivileged = on; }
bool unprivileged() { return g_unprivileged; }

} // namespace xdplane
