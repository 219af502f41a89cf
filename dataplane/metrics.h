// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
#pragma once
#include <string>
#include <string_view>
#include <vector>

#include "dataplane/daemon.h"

/// What a data plane has counted, as Prometheus reads it (text format 0.0.4): docs/metrics.md lists it. Made
/// of the reports that the control socket gives, by a table; nothing is counted twice. Control thread.
namespace xdplane {

/// A family of the text, as its table has it.
struct MetricFamily {
    std::string_view name;
    std::string_view type; ///< "counter" or "gauge"
    std::string_view help;
};
[[nodiscard]] std::vector<MetricFamily> metric_families();

/// The reports that metrics are made of: {"stats": ..., "workers": [...], "maps": [...], ...}.
[[nodiscard]] Json metrics_report(const Daemon& daemon);
/// The page, without families that nothing is reported of.
[[nodiscard]] std::string metrics_text(const Json& report);

} // namespace xdplane
