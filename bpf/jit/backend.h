// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
#pragma once
#include <memory>
#include <span>
#include <string_view>
#include <vector>

#include "bpf/base/mapping.h"
#include "bpf/base/result.h"
#include "bpf/lower/lowered.h"
#include "bpf/run/entry.h"

/// JIT machines: a row each in backends.cpp, a file each. Any backend can emit on any host; only the host's
/// own can be run.
namespace xdplane {

/// Position-independent machine code before it is placed in memory.
struct MachineCode {
    std::vector<u8> bytes;
    u32 run_offset = 0;       ///< scalar entry: Entry::run's signature
    u32 run_burst_offset = 0; ///< burst entry: Entry::run_burst's signature
    u32 run_split_offset = 0; ///< of a program in two halves: RunSplit; 0: none
    u32 tail_offset = 0;      ///< where tail calls enter
    std::vector<u32> offsets; ///< of each lowered insn, for disassembly
};

/// What is done when a burst has been through the first half of a program, and the maps have fetched.
struct BetweenHalves {
    void (*run)(BetweenHalves*) noexcept;
};
/// A program in two halves over a burst: what Entry::run_burst does, for 1 to kBurst packets. The last
/// argument may be null.
using RunSplit = void(const Entry*, XdpBuff*, u32 count, RunContext*, BetweenHalves*) noexcept;

struct JitBackend {
    std::string_view name; ///< "x86-64"
    bool host;             ///< runs on this machine
    Result<MachineCode> (*compile)(const LoweredProgram&);
};

[[nodiscard]] std::span<const JitBackend> jit_backends();
/// The host's backend; null where there is none (then the interpreter is the only engine).
[[nodiscard]] const JitBackend* host_backend();

/// Machine code placed in memory: written, then sealed read+execute, never writable and executable at once.
/// It does not move, and is freed with its owner.
class CodeMemory {
public:
    static Result<CodeMemory> seal(const MachineCode& code);
    [[nodiscard]] std::span<const u8> bytes() const { return {mapping_.data() + begin_, size_}; }

private:
    Mapping mapping_;
    std::size_t begin_ = 0;
    std::size_t size_ = 0;
};

} // namespace xdplane
