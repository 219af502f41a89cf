// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
#pragma once
#include <string_view>

#include "bpf/base/types.h"

namespace xdplane {

[[nodiscard]] inline std::string_view trimmed(std::string_view text) {
    constexpr std::string_view kBlank = " \t\r";
    const std::size_t begin = text.find_first_not_of(kBlank);
    if (begin == std::string_view::npos) return {};
    return text.substr(begin, text.find_last_not_of(kBlank) - begin + 1);
}

/// The lines of a text, without blanks around them. A byte order mark in front does not count.
class TextLines {
public:
    explicit TextLines(std::string_view text) : rest_(text) {
        if (rest_.starts_with("\xef\xbb\xbf")) rest_.remove_prefix(3);
    }
    /// False behind the last one.
    bool next() {
        if (rest_.empty()) return false;
        const std::size_t end = rest_.find('\n');
        line_ = trimmed(rest_.substr(0, end));
        rest_.remove_prefix(end == std::string_view::npos ? rest_.size() : end + 1);
        ++number_;
        return true;
    }
    [[nodiscard]] std::string_view line() const { return line_; }
    [[nodiscard]] u32 number() const { return number_; } ///< from 1 on

    /// What JSON and terminals take as it is.
    [[nodiscard]] static bool is_plain(std::string_view text) {
        for (const char c : text)
            if (const auto byte = static_cast<unsigned char>(c); (byte < 0x20 && c != '\t') || byte >= 0x7f)
                return false;
        return true;
    }

private:
    std::string_view rest_;
    std::string_view line_;
    u32 number_ = 0;
};

} // namespace xdplane
