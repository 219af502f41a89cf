// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
#pragma once
#include <memory>
#include <string>
#include <vector>

#include "bpf/run/packet.h"
#include "bpf/verifier/verifier.h"

namespace xdplane::test {

/// What one run of a program did.
struct CheckedRun {
    /// Empty, or the first thing that the verifier should have ruled out: an access outside of every object
    /// the program may touch, a byte of stack read before it was written in a function that is said not to do
    /// so, a fact that does not hold.
    std::string violation;
    u64 result = 0;
    /// Addresses, or stack that was not written, be it by a failed helper, may have decided the result or
    /// what was written: engines need not agree.
    bool unspecified = false;
    u64 steps = 0;
};

/// Runs a verified program insn by insn without trusting the verifier: every access is looked up among the
/// objects that exist at that moment, byte by byte, before it happens, and every fact of InsnFacts and
/// FunctionFacts that speaks about the insn is checked. Also an implementation of the instruction set of its
/// own, to compare the engines with. XDP programs without tail calls.
[[nodiscard]] CheckedRun run_checked(const VerifiedProgram& program, XdpBuff& packet);

} // namespace xdplane::test
