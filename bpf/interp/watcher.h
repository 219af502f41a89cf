// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
#pragma once
#include <memory>

#include "bpf/isa/insn.h"
#include "bpf/lower/lowered.h"
#include "bpf/prog/program.h"

namespace xdplane {

/// Debugging: sees everything that a program does while it runs. Called on the thread that runs the program.
class Watcher {
public:
    virtual ~Watcher() = default;
    /// The function of this index in LoweredProgram::functions() begins: the main program, one that is
    /// called, or a callback. `stack` is its r10.
    virtual void enter(u32 function, u64 stack) noexcept = 0;
    /// The last function that was entered is over: by exit, or by a tail call, which enters the next
    /// program's main function in its place.
    virtual void leave() noexcept = 0;
    /// Before the insn of this index in LoweredProgram::insns(). The registers, r0 to r10, stay where they
    /// are until leave().
    virtual void before(u32 insn, const u64* registers) noexcept = 0;
};

/// interpret(), watched. Slow. The watcher must outlive the executable; programs that are tail-called have
/// their own, or none: without one they are not watched.
[[nodiscard]] std::unique_ptr<Executable> interpret_watched(LoweredProgram program, Watcher& watcher);

} // namespace xdplane
