// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
#pragma once
#include <functional>
#include <memory>
#include <span>
#include <vector>

#include "bpf/verifier/verifier.h"

namespace xdplane {

struct UnverifiedOptions {
    /// Null: a type of its own, without context fields.
    const ProgramType* type = nullptr;
    /// Helpers by id; empty or null result: the call is an error.
    std::function<const HelperProto*(u32 id)> helper = {};
    /// Kernel functions by the imm of their call; the same.
    std::function<const HelperProto*(i32 id)> kfunc = {};
    /// What map fds and indices in ld_imm64 mean: indices of this vector.
    std::vector<std::shared_ptr<Map>> maps = {};
    /// Adds what a verifier would have proved, before the program is made.
    std::function<void(std::span<const Insn>, std::vector<InsnFacts>&, std::vector<FunctionFacts>&)> amend =
        {};
};

/// Raw programs for tests of the engines: the one door around the verifier, in test code only. Checks what
/// engines rely on to terminate cleanly (every insn has a row, jumps stay in their function, calls are no
/// deeper than kMaxCallFrames), and believes the rest: memory accesses are as good as the program.
struct UnverifiedProgram {
    using Options = UnverifiedOptions;

    [[nodiscard]] static Result<VerifiedProgram> make(std::vector<Insn> insns, const Options& options = {});

    /// A program that calls `insns` as a sub-program with r1 = `memory` and r2 = `size`, and stores all 64
    /// bits of its r0 to `*result`; its own r0 is the low 32 bits. Both pointers must outlive the runs. The
    /// call is one of the kMaxCallFrames frames.
    [[nodiscard]] static std::vector<Insn> with_memory(std::span<const Insn> insns, void* memory, u32 size,
                                                       u64* result);

    /// The program type of raw programs.
    static const ProgramType kRawType;
};

} // namespace xdplane
