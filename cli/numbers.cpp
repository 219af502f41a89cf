// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
#include "cli/numbers.h"

#include <charconv>

#include "cli/command.h"

namespace xdplane::cli {
namespace {

/// All of the text, or nothing.
template<class Number, class... How>
bool parse(std::string_view text, Number& value, How... how) {
    const char* const end = text.data() + text.size();
    const auto [rest, code] = std::from_chars(text.data(), end, value, how...);
    return code == std::errc() && rest == end;
}

} // namespace

u64 whole_number(const boost::program_options::variables_map& values, const char* option, u64 least,
                 u64 most) {
    const auto& text = values[option].as<std::string>();
    const bool hex = text.starts_with("0x") || text.starts_with("0X");
    u64 value = 0;
    const bool good = hex ? parse(std::string_view(text).substr(2), value, 16) : parse(text, value, 10);
    if (!good || value < least || value > most)
        throw UsageError(
            fmt::format("--{} {}: must be a whole number from {} to {}", option, text, least, most));
    return value;
}

double seconds(const boost::program_options::variables_map& values, const char* option, double least,
               double most) {
    const auto& text = values[option].as<std::string>();
    double value = 0;
    const bool good = parse(std::string_view(text), value);
    if (good && value >= least && value <= most && value > 0) return value;
    if (least > 0)
        throw UsageError(fmt::format("--{} {}: must be from {} to {} seconds", option, text, least, most));
    throw UsageError(fmt::format("--{} {}: must be seconds, above 0 and at most {:.0f}", option, text, most));
}

} // namespace xdplane::cli
