// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
#pragma once
#include <linux/bpf.h>
#include <ostream>
#include <string>

#include "tests/support/unverified_program.h"

namespace xdplane {

/// A program that calls helpers, callbacks or kernel functions, and what it returns. In the text
///   map[fd:0]   is an array of 4 numbers of 64 bits: 10, 20, 30 and 40
///   map[fd:1]   the same per CPU, as this CPU sees it; for the other CPUs 1000 where Linux is not asked
///   map[fd:2]   a ring buffer of a page
///   kfunc NAME  calls a kernel function
/// r1 is the context of a packet of kPacketSize bytes, the byte at offset i being i.
struct CallCase {
    static constexpr u32 kPacketSize = 64;

    std::string name;
    std::string text;
    u32 result;
    u32 type = BPF_PROG_TYPE_XDP; ///< for Linux; here programs are raw
    bool packet_write = true;     ///< ProgramType::packet_write of the raw program
    std::string kernel_skip = {}; ///< why Linux cannot be asked

    friend void PrintTo(const CallCase& c, std::ostream* out) { *out << c.name << "\n" << c.text; }
};

/// An `amend` of UnverifiedOptions: what a verifier knows of a bpf_loop whose callback and flags are loaded
/// just before it.
void know_callbacks(std::span<const Insn> insns, std::vector<InsnFacts>& facts,
                    std::vector<FunctionFacts>& functions);

/// GoogleTest bodies. On every engine, through both entries.
void check_engines(const CallCase& c);
/// On the running kernel, or skipped with the reason.
void check_kernel(const CallCase& c);

} // namespace xdplane
