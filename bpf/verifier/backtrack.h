// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
#pragma once
#include <array>

#include "bpf/verifier/cfg.h"
#include "bpf/verifier/state.h"

namespace xdplane {

/// Numbers whose bounds something relied on, a bit each, by frame.
struct Wanted {
    std::array<u16, kMaxCallFrames> regs{};
    std::array<u64, kMaxCallFrames> slots{};

    [[nodiscard]] bool any() const {
        for (u32 f = 0; f < kMaxCallFrames; ++f)
            if (regs[f] != 0 || slots[f] != 0) return true;
        return false;
    }
    /// From what was wanted after the step to what its operands must be before it.
    void step_back(const Step& step, const std::vector<Link>& links, const OpcodeInfo& row, const Insn& insn);
    /// Marks what is wanted of a checkpoint; drops what is no number or was marked before. False if nothing
    /// is left.
    bool mark(State& checkpoint);

private:
    void join_links(const Step& step, const std::vector<Link>& links);
};

} // namespace xdplane
