// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
#pragma once
#include <nlohmann/json.hpp>
#include <span>

#include "bpf/base/result.h"
#include "bpf/btf/btf.h"
#include "dataplane/json.h"

/// Bytes of a BTF type as JSON and back. Structs, unions and data sections are objects by member name, arrays
/// are arrays (character arrays that hold printable text: strings), integers numbers, bools true and false,
/// enums the name of their value where it has one. __be16, __be32 and __be64 are numbers in network order.
/// Integers above 64 bits and floating point numbers are strings of hex digits, in memory order.
namespace xdplane {

/// Null where the type has no size, or is larger than `bytes`.
[[nodiscard]] Json btf_to_json(const Btf& btf, u32 type, std::span<const u8> bytes);
/// Overwrites `bytes`; members that are not named stay. The error names the member.
[[nodiscard]] Result<> btf_from_json(const Btf& btf, u32 type, const Json& json, std::span<u8> bytes);

/// One member of a type, for those that read many values alike.
struct BtfPlace {
    u32 type = 0;
    u32 bit_offset = 0;
    u32 bits = 0;     ///< of a bit-field, else 0
    u32 bit_size = 0; ///< of either kind
};
/// The member of that name, or of a struct in it: "limits.rate". The type itself for an empty path.
[[nodiscard]] Result<BtfPlace> find_btf_place(const Btf& btf, u32 type, std::string_view path);
/// As btf_from_json(), for that member of `bytes`.
[[nodiscard]] Result<> btf_place_from_json(const Btf& btf, const BtfPlace& place, const Json& json,
                                           std::span<u8> bytes);

/// Two digits a byte. Reading allows blanks between bytes and 0x in front.
[[nodiscard]] std::string to_hex(std::span<const u8> bytes);
[[nodiscard]] Result<> from_hex(std::string_view text, std::span<u8> bytes);

} // namespace xdplane
