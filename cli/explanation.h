// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
#pragma once
#include <nlohmann/json.hpp>
#include <string>

#include "bpf/verifier/explain.h"

/// The verifier's explanations, for terminals and for tools.
namespace xdplane::cli {

/// "auto": on a terminal, unless $NO_COLOR is set and not empty or $TERM is "dumb"; "always"; "never".
/// UsageError for others.
[[nodiscard]] bool use_color(const std::string& when);

/// Puts the text between the escape sequences of a colour, where there is colour.
class Paint {
public:
    explicit Paint(bool on) : on_(on) {}
    [[nodiscard]] std::string good(std::string_view text) const { return in("32", text); }
    [[nodiscard]] std::string bad(std::string_view text) const { return in("1;31", text); }
    [[nodiscard]] std::string help(std::string_view text) const { return in("36", text); }
    [[nodiscard]] std::string strong(std::string_view text) const { return in("1", text); }
    [[nodiscard]] std::string faint(std::string_view text) const { return in("2", text); }

private:
    [[nodiscard]] std::string in(std::string_view code, std::string_view text) const;
    bool on_;
};

/// Indented lines with newlines.
[[nodiscard]] std::string explanation_text(const Explanation& explanation, const Paint& paint);
/// {"kind", "missing", "fix", "detail", "at", "origin": [...], "path": [...], "path_before"}.
[[nodiscard]] nlohmann::ordered_json explanation_json(const Explanation& explanation);

} // namespace xdplane::cli
