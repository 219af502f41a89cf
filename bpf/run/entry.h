// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
#pragma once
#include "bpf/run/packet.h"

namespace xdplane {

struct RunContext;

/// How to enter a program that an engine has made ready: what prog arrays hold and what workers call. Plain
/// data at fixed offsets, because JIT-compiled code reads it. Owned by its Program.
struct Entry {
    /// Runs the program on one packet and returns r0. Does not write XdpBuff::verdict.
    u32 (*run)(const Entry*, XdpBuff*, RunContext*) noexcept = nullptr;
    /// Runs the program on `count` packets in order and stores each r0 in its verdict. No two packets share
    /// memory that the program writes: what changes nothing may be done for all of them first.
    void (*run_burst)(const Entry*, XdpBuff*, u32 count, RunContext*) noexcept = nullptr;
    /// The engine's own door for tail calls: a code address (JIT) or the LoweredProgram (interpreter).
    const void* tail_entry = nullptr;
    /// The door for a caller that runs ahead (JIT); null if the program does not.
    const void* ahead_entry = nullptr;
    /// The engine's own data behind run and run_burst (the interpreter's LoweredProgram).
    const void* engine_data = nullptr;
};

} // namespace xdplane
