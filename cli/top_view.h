// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
#pragma once
#include <string>
#include <vector>

#include "dataplane/json.h"

/// What `xdplane top` shows: two reports of the data plane, and what happened between them.
namespace xdplane::cli {

struct TopLine {
    enum class Kind : unsigned char { plain, heading, warning };
    std::string text; ///< without control characters
    Kind kind = Kind::plain;
};

/// Of the control socket's replies to "status", and to "stats" at two times. Rates are those of the time
/// between the two; "-" stands for a quotient of which nothing was counted.
[[nodiscard]] std::vector<TopLine> top_view(const Json& status, const Json& before, const Json& now);

/// At most `width` characters of UTF-8 text.
[[nodiscard]] std::string cut_to(const std::string& text, std::size_t width);

} // namespace xdplane::cli
