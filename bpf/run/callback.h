// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
#pragma once
#include "bpf/run/run_context.h"

namespace xdplane {

/// What a code pointer of a program points at: ld_imm64 of kind kCodeAddr loads the address of one, on every
/// engine, and helpers get it as an argument. It lives as long as the program's Executable.
///
/// The engine puts the entry beside its code (JIT) or in front of its own data (interpreter), so the distance
/// to the code is kept instead of its address: machine code stays position-independent.
struct CallbackEntry {
    i64 code; ///< address of the CallbackFn, less that of this entry
};

/// The calling convention, that of C functions of the host: r1-r4 of the callback, the context of the thread
/// that runs it, and the entry that it was called through. Returns all 64 bits of r0. The callee preserves
/// what C functions preserve and has a stack frame of its own; pointers into the frames of its callers are
/// as good as there. No callback of Linux has a fifth argument.
using CallbackFn = u64 (*)(u64 r1, u64 r2, u64 r3, u64 r4, RunContext*, const CallbackEntry*) noexcept;

/// A callback as a helper sees it. Data path; the thread that calls is the one that runs the program.
class CallbackRef {
public:
    explicit CallbackRef(u64 code_pointer) noexcept
        : entry_(reinterpret_cast<const CallbackEntry*>(code_pointer)),
          fn_(reinterpret_cast<CallbackFn>(code_pointer + static_cast<u64>(entry_->code))),
          context_(&t_run) {}

    u64 operator()(u64 r1, u64 r2 = 0, u64 r3 = 0, u64 r4 = 0) const noexcept {
        return fn_(r1, r2, r3, r4, context_, entry_);
    }

private:
    const CallbackEntry* entry_;
    CallbackFn fn_;
    RunContext* context_;
};

} // namespace xdplane
