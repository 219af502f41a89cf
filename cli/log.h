// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
#pragma once
#include <string>
#include <string_view>

#include "bpf/base/result.h"

/// The log of `xdplane run`: lines on stderr, by spdlog. Where the journal reads stderr ($JOURNAL_STREAM,
/// systemd.exec(5)), a line begins with its level as sd-daemon(3) has it, "<6>", and the journal says the
/// rest; elsewhere with "xdplane: ", and the time before it if that is wanted. Control side only: it locks
/// and writes.
namespace xdplane::cli {

/// "error", "warning", "info" or "debug".
inline constexpr std::string_view kLogLevels = "error, warning, info or debug";

/// Lines of that level and above from now on, with the time in front if wanted. Until then all are written,
/// without. EINVAL for another word.
[[nodiscard]] Result<> start_log(const std::string& level, bool time);

/// A line, whatever the message holds.
void log_error(std::string_view message);
void log_warning(std::string_view message);
void log_info(std::string_view message);

} // namespace xdplane::cli
