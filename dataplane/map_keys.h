// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
#pragma once
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "bpf/base/result.h"
#include "bpf/maps/map.h"

namespace xdplane {

/// Keys of one map as people write them, one word each: prefixes and addresses, numbers and ranges of them,
/// or hex digits, whichever the map's type, key size and BTF make it. Control thread.
class KeyReader {
public:
    /// EOPNOTSUPP: its keys have several parts, and one word does not say them.
    [[nodiscard]] static Result<KeyReader> make(const Map& map);

    /// Appends the key, or the keys of a range.
    [[nodiscard]] Result<> read(std::string_view word, std::vector<u8>& keys) const;

    static constexpr u32 kMaxRange = 65536; ///< numbers of one "1000-2000"

private:
    enum class Form : u8 {
        prefix4, ///< a trie's key: u32 length, then 4 bytes
        prefix6,
        prefix_fields, ///< a struct with the members family, prefix_length and addr
        address4,      ///< or a number
        address6,
        number,
        hex,
    };
    KeyReader(const Map& map, Form form, u32 type) : map_(&map), form_(form), type_(type) {}
    [[nodiscard]] Result<> find_fields();
    [[nodiscard]] Result<> read_one(std::string_view word, std::span<u8> key) const;
    [[nodiscard]] Result<> read_prefix(std::string_view word, std::span<u8> key) const;
    [[nodiscard]] Result<> read_number(std::string_view word, std::vector<u8>& keys) const;

    const Map* map_;
    Form form_;
    u32 type_; ///< of the key's only number, by BTF; 0: not known
    u32 family_at_ = 0;
    u32 length_at_ = 0;
    u32 address_at_ = 0;
};

/// The bytes of an address in network order: 4 or 16 of them, none if it is no address.
[[nodiscard]] std::vector<u8> parse_address(std::string_view text);

/// "80", "0x50"; false if it is no number.
[[nodiscard]] bool parse_number(std::string_view text, u64& number);

/// Text of a file in a message: short, and nothing that a terminal must not see.
[[nodiscard]] std::string shown(std::string_view text);

} // namespace xdplane
