// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
#pragma once
#include <span>
#include <string>
#include <vector>

#include "bpf/base/result.h"
#include "bpf/base/unique_fd.h"
#include "bpf/isa/insn.h"

/// The running kernel as a judge: its own bpf(2), past any wrapping. Only for tests.
namespace xdplane::kernel {

/// Empty if bpf(2) works here, else why it does not, for GTEST_SKIP.
[[nodiscard]] std::string why_unavailable();

/// An array map with one value of `value_size` bytes.
[[nodiscard]] Result<UniqueFd> create_array(u32 value_size);
[[nodiscard]] Result<> write_array(int map, std::span<const u8> value);
[[nodiscard]] Result<std::vector<u8>> read_array(int map, u32 value_size);

/// PROG_LOAD with a GPL licence; on refusal the error holds the end of the verifier's log.
[[nodiscard]] Result<UniqueFd> load(u32 type, std::span<const Insn> insns);

/// The verifier's log of level 2: every insn it walks. Refusal is no error here.
[[nodiscard]] std::string verifier_log(u32 type, std::span<const Insn> insns);

struct Run {
    u32 result = 0;
    std::vector<u8> packet; ///< as the program left it
};
/// PROG_TEST_RUN. Linux wants at least 14 bytes of packet.
[[nodiscard]] Result<Run> run(int program, std::span<const u8> packet);

} // namespace xdplane::kernel
