// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
#pragma once
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "bpf/verifier/range.h"

/// The verifier's log as data, the running kernel's or ours: what was known after which instruction.
namespace xdplane::test {

/// "R1" or "fp-8" to what is printed of it, without frame.
using StateText = std::map<std::string, std::string>;

struct LogStep {
    enum class Kind : u8 {
        insn,   ///< one was simulated; its state is what it read and wrote
        branch, ///< "from 3 to 7:": a pending path is taken up; its state is all there is
        safe,   ///< the path ends: what comes was verified before
    };
    Kind kind = Kind::insn;
    u32 insn = 0;         ///< branch: the jump
    u32 to = 0;           ///< branch: where it leads
    bool pending = false; ///< safe: "from 3 to 7: safe", not "7: safe"
    StateText state;
};

/// The steps of a log of level 2; what else it says is left out.
[[nodiscard]] std::vector<LogStep> read_verifier_log(std::string_view log);

/// A printed scalar: its number and the "id=1+4" that was printed of it.
struct ScalarText {
    Range range;
    u32 id = 0;
    i32 delta = 0;
};
/// Empty if it is no scalar.
[[nodiscard]] std::optional<ScalarText> read_scalar(std::string_view text);
/// The scalar's text without id.
[[nodiscard]] std::string without_id(std::string_view text);

} // namespace xdplane::test
