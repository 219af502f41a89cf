// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
#include "dataplane/map_keys.h"

#include <algorithm>
#include <arpa/inet.h>
#include <array>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <linux/bpf.h>

#include "dataplane/btf_json.h"
#include "dataplane/maps_json.h"

namespace xdplane {
namespace {

constexpr u32 kLengthBytes = 4; ///< of a trie's key

struct Prefix {
    std::vector<u8> address;
    u32 length = 0;
};

bool has_bits_behind(const Prefix& prefix) {
    for (u32 bit = prefix.length; bit < prefix.address.size() * 8; ++bit)
        if ((prefix.address[bit / 8] >> (7 - bit % 8) & 1) != 0) return true;
    return false;
}

std::string text_of(std::span<const u8> address) {
    std::array<char, INET6_ADDRSTRLEN> text{};
    ::inet_ntop(address.size() == 4 ? AF_INET : AF_INET6, address.data(), text.data(), text.size());
    return text.data();
}

/// A typo in a length would take in a whole network: an address that is longer than its prefix is refused.
Result<Prefix> parse_prefix(std::string_view word) {
    const std::size_t slash = word.find('/');
    Prefix prefix{.address = parse_address(word.substr(0, slash))};
    if (prefix.address.empty()) return fail(EINVAL, "{} is no address or prefix", shown(word));
    const auto most = static_cast<u32>(prefix.address.size() * 8);
    prefix.length = most;
    if (slash == std::string_view::npos) return prefix;
    const char* const end = word.data() + word.size();
    const auto [stop, error] = std::from_chars(word.data() + slash + 1, end, prefix.length);
    if (error != std::errc() || stop != end || prefix.length > most)
        return fail(EINVAL, "{} has no prefix length of 0 to {}", shown(word), most);
    if (!has_bits_behind(prefix)) return prefix;
    for (u32 bit = prefix.length; bit < most; ++bit)
        prefix.address[bit / 8] &= static_cast<u8>(~(0x80 >> (bit % 8)));
    return fail(EINVAL, "{} has bits behind its length; the prefix is {}/{}", shown(word),
                text_of(prefix.address), prefix.length);
}

/// Of a member of that size; -1 if there is none.
i64 offset_of(const Btf& btf, u32 type, std::string_view name, u32 size) {
    for (const Btf::Member& member : btf.members(type))
        if (member.name == name && member.bitfield_size == 0 && btf.size_of(member.type) == size)
            return member.bit_offset / 8;
    return -1;
}

/// Through structs around one member.
u32 innermost(const Btf& btf, u32 type) {
    for (u32 depth = 0; depth < 8; ++depth) {
        const u32 id = btf.resolve(type);
        if (btf.kind(id) != BtfKind::struct_) return type;
        const auto members = btf.members(id);
        if (members.size() != 1 || members.front().bitfield_size != 0) return type;
        type = members.front().type;
    }
    return type;
}

} // namespace

std::vector<u8> parse_address(std::string_view text) {
    std::array<char, INET6_ADDRSTRLEN> copy{};
    if (text.size() >= copy.size()) return {};
    std::ranges::copy(text, copy.begin());
    std::vector<u8> bytes(text.contains(':') ? 16 : 4);
    if (::inet_pton(bytes.size() == 16 ? AF_INET6 : AF_INET, copy.data(), bytes.data()) != 1) bytes.clear();
    return bytes;
}

bool parse_number(std::string_view text, u64& number) {
    const int base = text.starts_with("0x") || text.starts_with("0X") ? 16 : 10;
    if (base == 16) text.remove_prefix(2);
    const auto [stop, error] = std::from_chars(text.data(), text.data() + text.size(), number, base);
    return error == std::errc() && stop == text.data() + text.size();
}

std::string shown(std::string_view text) {
    constexpr std::size_t kMost = 48;
    std::string result = "'";
    for (const char c : text.substr(0, kMost)) result += c >= 0x20 && c < 0x7f ? c : '?';
    return result + (text.size() > kMost ? "...'" : "'");
}

Result<KeyReader> KeyReader::make(const Map& map) {
    const MapSpec& spec = map.spec();
    if (spec.type == BPF_MAP_TYPE_LPM_TRIE) {
        if (spec.key_size == kLengthBytes + 4) return KeyReader(map, Form::prefix4, 0);
        if (spec.key_size == kLengthBytes + 16) return KeyReader(map, Form::prefix6, 0);
        return fail(EOPNOTSUPP, "keys of {} bytes are neither IPv4 nor IPv6 prefixes",
                    spec.key_size - kLengthBytes);
    }
    u32 type = spec.btf == nullptr ? 0 : spec.btf_key_type_id;
    if (type != 0) {
        KeyReader fields(map, Form::prefix_fields, 0);
        if (fields.find_fields()) return fields;
        type = innermost(*spec.btf, type);
        if (spec.btf->kind(spec.btf->resolve(type)) == BtfKind::struct_)
            return fail(
                EOPNOTSUPP,
                "keys of this map have several fields, and a word does not say them: use CSV or JSON");
    }
    switch (spec.key_size) {
    case 4: return KeyReader(map, Form::address4, type);
    case 16: return KeyReader(map, Form::address6, type);
    case 1:
    case 2:
    case 8: return KeyReader(map, Form::number, type);
    default: return KeyReader(map, Form::hex, type);
    }
}

/// The shape of keys that hashes use for prefixes of both families; what else is in them is 0.
Result<> KeyReader::find_fields() {
    const MapSpec& spec = map_->spec();
    const u32 id = spec.btf->resolve(spec.btf_key_type_id);
    if (spec.btf->kind(id) != BtfKind::struct_) return fail(EINVAL, "is no struct");
    const i64 family = offset_of(*spec.btf, id, "family", 1);
    const i64 length = offset_of(*spec.btf, id, "prefix_length", 1);
    const i64 address = offset_of(*spec.btf, id, "addr", 16);
    if (family < 0 || length < 0 || address < 0) return fail(EINVAL, "has no such members");
    if (address + 16 > spec.key_size) return fail(EINVAL, "is larger than the key");
    family_at_ = static_cast<u32>(family);
    length_at_ = static_cast<u32>(length);
    address_at_ = static_cast<u32>(address);
    return {};
}

Result<> KeyReader::read(std::string_view word, std::vector<u8>& keys) const {
    if (form_ == Form::number || (form_ == Form::address4 && !word.contains('.')))
        return read_number(word, keys);
    const std::size_t at = keys.size();
    keys.resize(at + map_->spec().key_size);
    auto done = read_one(word, std::span(keys).subspan(at));
    if (!done) keys.resize(at);
    return done;
}

Result<> KeyReader::read_one(std::string_view word, std::span<u8> key) const {
    if (form_ == Form::hex) {
        if (auto done = from_hex(word, key); !done) return fail(done.error(), shown(word));
        return {};
    }
    if (form_ != Form::address4 && form_ != Form::address6) return read_prefix(word, key);
    const std::vector<u8> address = parse_address(word);
    if (address.empty()) return fail(EINVAL, "{} is no address", shown(word));
    if (address.size() != key.size())
        return fail(EINVAL, "{}: keys of this map are IPv{} addresses", shown(word), key.size() == 4 ? 4 : 6);
    std::ranges::copy(address, key.begin());
    return {};
}

Result<> KeyReader::read_prefix(std::string_view word, std::span<u8> key) const {
    const auto prefix = parse_prefix(word);
    if (!prefix) return fail(prefix.error());
    if (form_ == Form::prefix_fields) {
        key[family_at_] = prefix->address.size() == 4 ? 4 : 6;
        key[length_at_] = static_cast<u8>(prefix->length);
        std::ranges::copy(prefix->address, key.begin() + address_at_);
        return {};
    }
    if (prefix->address.size() != key.size() - kLengthBytes)
        return fail(EINVAL, "{}: keys of this map are IPv{} prefixes", shown(word),
                    form_ == Form::prefix4 ? 4 : 6);
    std::memcpy(key.data(), &prefix->length, kLengthBytes);
    std::ranges::copy(prefix->address, key.begin() + kLengthBytes);
    return {};
}

Result<> KeyReader::read_number(std::string_view word, std::vector<u8>& keys) const {
    const std::size_t dash = word.find('-');
    u64 first = 0;
    if (!parse_number(word.substr(0, dash), first))
        return fail(EINVAL, "{} is no {}", shown(word),
                    form_ == Form::address4 ? "number or address" : "number");
    u64 last = first;
    if (dash != std::string_view::npos) {
        if (!parse_number(word.substr(dash + 1), last) || last < first)
            return fail(EINVAL, "{} is no range of numbers", shown(word));
        if (last - first >= kMaxRange)
            return fail(E2BIG, "{} are more than {} numbers", shown(word), kMaxRange);
    }
    const std::size_t begin = keys.size();
    for (u64 number = first;; ++number) {
        const std::size_t at = keys.size();
        keys.resize(at + map_->spec().key_size);
        if (auto done = bytes_from_json(*map_, type_, Json(number), std::span(keys).subspan(at)); !done) {
            keys.resize(begin);
            return done;
        }
        if (number == last) return {};
    }
}

} // namespace xdplane
