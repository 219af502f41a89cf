// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
#pragma once
#include <string>

#include "perf/bench/harness.h"

namespace xdplane::bench {

/// For people: a line per engine and case, then the machine and the noise, then what was left out.
[[nodiscard]] std::string report_table(const Report& report);
/// One object on one line: {"machine":{...},"results":[{"case","engine","ns_per_packet","spread",
/// "ratio_to_native" (null without native),...}],"unavailable":[...],"failures":[...]}.
[[nodiscard]] std::string report_json(const Report& report);
/// A page of its own with plots; it takes nothing from elsewhere.
[[nodiscard]] std::string report_html(const Report& report);

} // namespace xdplane::bench
