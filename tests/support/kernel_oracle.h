// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
#pragma once
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "bpf/base/result.h"
#include "bpf/base/unique_fd.h"
#include "bpf/isa/insn.h"

/// The running kernel as a judge: its own bpf(2), past any wrapping. Only for tests.
namespace xdplane::kernel {

/// Empty if bpf(2) works here, else why it does not, for GTEST_SKIP.
[[nodiscard]] std::string why_unavailable();

/// A map with 4-byte keys, or without keys if it has no values either (ring buffers).
[[nodiscard]] Result<UniqueFd> create_map(u32 type, u32 value_size, u32 max_entries);
/// MAP_UPDATE_ELEM with BPF_ANY; per-CPU values are given as they cross bpf(2).
[[nodiscard]] Result<> write_map(int map, u32 key, std::span<const u8> value);
/// An array map with one value of `value_size` bytes; `name` of at most 15 characters.
[[nodiscard]] Result<UniqueFd> create_array(u32 value_size, std::string_view name = "");
/// A hash map of one entry.
[[nodiscard]] Result<UniqueFd> create_hash(u32 key_size, u32 value_size, std::string_view name = "");
[[nodiscard]] Result<> write_array(int map, std::span<const u8> value);
[[nodiscard]] Result<std::vector<u8>> read_array(int map, u32 value_size);

/// PROG_LOAD with a GPL licence; on refusal the error holds the end of the verifier's log.
[[nodiscard]] Result<UniqueFd> load(u32 type, std::span<const Insn> insns, u32 expected_attach_type = 0);

/// The same with BTF that says where functions begin, the main program first: what Linux asks of programs
/// that have callbacks. All are static and take nothing that a global function would be checked for.
[[nodiscard]] Result<UniqueFd> load_functions(u32 type, std::span<const Insn> insns,
                                              std::span<const u32> begins);

/// BTF of functions `int f(void)`; their ids are put into `ids`. What load_functions() tells the kernel of.
[[nodiscard]] std::string function_btf(u32 functions, std::vector<u32>& ids);
/// The verifier's verdict. Functions as for load_functions(), if there is more than one; with maps' fds in
/// place.
struct Verdict {
    int error = 0; ///< errno of PROG_LOAD
    u64 processed = 0;
    std::string reason; ///< the last line of the log before the statistics
};
[[nodiscard]] Verdict judge(u32 type, std::span<const Insn> insns, std::span<const u32> begins);

/// The verifier's log of level 2: every insn it walks. Refusal is no error here.
[[nodiscard]] std::string verifier_log(u32 type, std::span<const Insn> insns);

struct Run {
    u32 result = 0;
    std::vector<u8> packet; ///< as the program left it
    std::vector<u8> ctx;    ///< struct xdp_md or __sk_buff, if one was given
};
/// PROG_TEST_RUN. Linux wants at least 14 bytes of packet. `ctx`: struct xdp_md or __sk_buff, or empty.
[[nodiscard]] Result<Run> run(int program, std::span<const u8> packet, std::span<const u8> ctx = {},
                              u32 flags = 0);

} // namespace xdplane::kernel
