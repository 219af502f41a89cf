// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
#pragma once
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "bpf/base/types.h"

/// Verifier logs line by line, for comparing the running kernel's with ours.
namespace xdplane::test {

/// Lines that both logs may have or not, and why.
struct LogException {
    std::string_view begins; ///< with this
    std::string_view why;
};
[[nodiscard]] std::span<const LogException> log_exceptions();

/// The lines of a log without those of log_exceptions(), and with what differs from run to run made alike:
/// the time, map addresses, ids renamed in the order of their appearance.
[[nodiscard]] std::vector<std::string> comparable_lines(std::string_view log);

/// The length of the longest common subsequence of lines: how many lines are the same and in order.
[[nodiscard]] u64 same_lines(const std::vector<std::string>& a, const std::vector<std::string>& b);

/// The first lines that differ, for messages.
[[nodiscard]] std::string first_difference(const std::vector<std::string>& kernel,
                                           const std::vector<std::string>& own);

} // namespace xdplane::test
