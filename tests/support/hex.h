// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
#pragma once
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <fmt/format.h>

#include "bpf/base/types.h"

namespace xdplane {

/// "0a 0b" or "0A0b" to bytes, white space anywhere; nullopt if it is not whole hex bytes.
[[nodiscard]] inline std::optional<std::vector<u8>> parse_hex(std::string_view text) {
    std::vector<u8> bytes;
    int high = -1;
    for (const char c : text) {
        if (c == ' ' || c == '\t' || c == '\n' || c == '\r') continue;
        const int digit = c >= '0' && c <= '9'   ? c - '0'
                          : c >= 'a' && c <= 'f' ? c - 'a' + 10
                          : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                                 : -1;
        if (digit < 0) return std::nullopt;
        if (high < 0) {
            high = digit;
        } else {
            bytes.push_back(static_cast<u8>(high << 4 | digit));
            high = -1;
        }
    }
    if (high >= 0) return std::nullopt;
    return bytes;
}

/// "0a 0b "
[[nodiscard]] inline std::string to_hex(const std::vector<u8>& bytes) {
    std::string text;
    for (const u8 byte : bytes) text += fmt::format("{:02x} ", byte);
    return text;
}

} // namespace xdplane
