// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
#include "pcap_replay/filter_stage.h"

#include "dataplane/classic_filter.h"
#include "pcap_replay/link_type.h"

namespace xdplane {
Result<Stage> filter_stage(const std::string& expression, const CaptureFormat& format) {
    const std::string where = fmt::format("filter '{}'", expression);
    auto classic = compile_filter(expression, format);
    if (!classic) return fail(classic.error(), where);
    auto program = load_classic_filter(*classic);
    if (!program) return fail(program.error(), where);
    return Stage{"filter", std::move(*program), StageKind::filter};
}

} // namespace xdplane
