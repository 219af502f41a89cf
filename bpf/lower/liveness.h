// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
#pragma once
#include <vector>

#include "bpf/isa/register_use.h"
#include "bpf/lower/lowered.h"

/// Which BPF registers lowered insns read and write, and which of them somebody still reads.
namespace xdplane {

/// What an insn does to registers, apart from what the key of a lookup is made of. Calls are said to read all
/// of r1-r5.
[[nodiscard]] RegisterUse register_use(const LoweredInsn& insn);
/// Of each insn. An engine that does without something may change it.
[[nodiscard]] std::vector<RegisterUse> register_uses(const LoweredProgram& program);

class Liveness {
public:
    /// Takes time linear in the number of insns.
    Liveness(const LoweredProgram& program, std::vector<RegisterUse> uses);

    /// The registers whose values before the insn are read by it, or behind it before they are written. What
    /// a dead insn reads does not count.
    [[nodiscard]] RegisterSet before(u32 insn) const { return before_[insn]; }
    [[nodiscard]] bool is_live_before(u32 insn, u8 reg) const {
        return (before_[insn] & register_bit(reg)) != 0;
    }
    /// The registers whose values behind the insn are read, wherever it goes on.
    [[nodiscard]] RegisterSet after(u32 insn) const;
    [[nodiscard]] bool is_live_after(u32 insn, u8 reg) const {
        return (after(insn) & register_bit(reg)) != 0;
    }
    /// It does nothing but write a register that nobody reads.
    [[nodiscard]] bool is_dead(u32 insn) const;

private:
    const LoweredProgram* program_;
    std::vector<RegisterSet> before_;
};

} // namespace xdplane
