// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
#pragma once
#include <string>
#include <thread>
#include <vector>

#include "bpf/verifier/verifier.h"

/// What PROG_LOAD knows of a program and bpf(2) has no place for.
namespace xdplane {

struct LoadReport {
    std::string name;
    bool accepted = false;
    u64 insns = 0; ///< sub-programs included
    u64 verify_ns = 0;
    VerifierStats stats;
    std::optional<Explanation> explanation; ///< of a rejection
};

/// While it lives, the PROG_LOADs of the thread that made it are reported, in their order. One at a time in a
/// process; a second one gets nothing. Control threads.
class LoadWatch {
public:
    explicit LoadWatch(std::vector<LoadReport>& reports);
    ~LoadWatch();
    LoadWatch(const LoadWatch&) = delete;
    LoadWatch& operator=(const LoadWatch&) = delete;

    /// For prog_load(): drops the report where nobody watches this thread.
    static void report(LoadReport report);

private:
    bool installed_ = false;
    std::thread::id thread_;
    std::vector<LoadReport>& reports_;
};

/// Whether programs loaded from now on are held to the rules for users without CAP_BPF. Process-wide, like
/// the engine; at first they are not.
void set_unprivileged(bool on);
[[nodiscard]] bool unprivileged();

} // namespace xdplane
