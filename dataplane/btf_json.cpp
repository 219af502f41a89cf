// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
#include "dataplane/btf_json.h"

#include <algorithm>
#include <bit>
#include <cctype>
#include <cerrno>
#include <cstring>

namespace xdplane {
namespace {

/// Types nest no deeper in anything real, and BTF of strangers must not exhaust the stack.
constexpr u32 kDeepest = 32;

/// Whether a chain of typedefs says that the bytes are in network order.
bool is_big_endian(const Btf& btf, u32 type) {
    for (u32 steps = 0; steps < kDeepest; ++steps) {
        const BtfKind kind = btf.kind(type);
        if (kind == BtfKind::typedef_) {
            const std::string_view name = btf.name(type);
            if (name == "__be16" || name == "__be32" || name == "__be64") return true;
        } else if (kind != BtfKind::const_ && kind != BtfKind::volatile_ && kind != BtfKind::restrict_ &&
                   kind != BtfKind::type_tag) {
            return false;
        }
        type = btf.target(type);
    }
    return false;
}

u64 load_integer(std::span<const u8> bytes, bool big_endian) {
    u64 value = 0;
    for (std::size_t i = 0; i < bytes.size(); ++i)
        value |= u64{bytes[big_endian ? bytes.size() - 1 - i : i]} << (8 * i);
    return value;
}

void store_integer(u64 value, std::span<u8> bytes, bool big_endian) {
    for (std::size_t i = 0; i < bytes.size(); ++i)
        bytes[big_endian ? bytes.size() - 1 - i : i] = static_cast<u8>(value >> (8 * i));
}

i64 sign_extend(u64 value, u32 bits) {
    return bits >= 64 ? static_cast<i64>(value) : static_cast<i64>(value << (64 - bits)) >> (64 - bits);
}

/// A member of a struct, bit-field or not, as bytes of its own.
u64 load_bits(std::span<const u8> bytes, u32 bit_offset, u32 bits) {
    u64 value = 0;
    for (u32 i = 0; i < bits && i < 64; ++i) {
        const u32 bit = bit_offset + i;
        if (bit / 8 < bytes.size() && (bytes[bit / 8] >> (bit % 8) & 1) != 0) value |= u64{1} << i;
    }
    return value;
}

void store_bits(u64 value, std::span<u8> bytes, u32 bit_offset, u32 bits) {
    for (u32 i = 0; i < bits && i < 64; ++i) {
        const u32 bit = bit_offset + i;
        if (bit / 8 >= bytes.size()) return;
        const u8 mask = static_cast<u8>(1U << (bit % 8));
        bytes[bit / 8] =
            static_cast<u8>((value >> i & 1) != 0 ? bytes[bit / 8] | mask : bytes[bit / 8] & ~mask);
    }
}

bool is_char(const Btf& btf, u32 type) {
    const u32 id = btf.resolve(type);
    return btf.kind(id) == BtfKind::int_ && btf.type(id).size_or_type == 1 && btf.name(id) == "char";
}

/// Text with nothing but zeros behind it, so that it can be written back.
bool is_text(std::span<const u8> bytes) {
    const auto end = std::find(bytes.begin(), bytes.end(), u8{0});
    return end != bytes.begin() && end != bytes.end() &&
           std::all_of(bytes.begin(), end, [](u8 c) { return std::isprint(c) != 0 && c < 0x80; }) &&
           std::all_of(end, bytes.end(), [](u8 c) { return c == 0; });
}

Json enum_to_json(const Btf& btf, u32 id, u64 value, u32 bits) {
    const u64 mask = bits >= 64 ? ~u64{0} : (u64{1} << bits) - 1;
    for (const auto& enumerator : btf.enumerators(id))
        if ((enumerator.value & mask) == value) return std::string(enumerator.name);
    return value;
}

Json integer_to_json(const Btf& btf, u32 id, u64 value, u32 bits) {
    const BtfKind kind = btf.kind(id);
    if (kind == BtfKind::enum_ || kind == BtfKind::enum64) return enum_to_json(btf, id, value, bits);
    if (kind == BtfKind::int_) {
        const auto type = btf.integer(id);
        if (type.is_bool && value <= 1) return value != 0;
        if (type.is_signed) return sign_extend(value, bits);
    }
    return value;
}

/// A number, a bool or the name of an enumerator that fits `bits`.
Result<u64> integer_from_json(const Btf& btf, u32 id, const Json& json, u32 bits) {
    if (json.is_boolean()) return u64{json.get<bool>()};
    if (json.is_string()) {
        for (const auto& enumerator : btf.enumerators(id))
            if (enumerator.name == json.get_ref<const std::string&>()) return enumerator.value;
        return fail(EINVAL, "{} is no value of this type", json.dump());
    }
    const u64 most = bits >= 64 ? ~u64{0} : (u64{1} << bits) - 1;
    if (json.is_number_unsigned()) {
        if (json.get<u64>() <= most) return json.get<u64>();
    } else if (json.is_number_integer()) {
        const i64 value = json.get<i64>();
        if (value >= -static_cast<i64>(most / 2) - 1) return static_cast<u64>(value) & most;
    } else {
        return fail(EINVAL, "{} is not a whole number", json.dump());
    }
    return fail(ERANGE, "{} does not fit {} bits", json.dump(), bits);
}

struct Field {
    std::string name;
    u32 type;
    u32 bit_offset;
    u32 bits; ///< of a bit-field, else 0
};

/// Members of a struct, union or data section; those of anonymous structs count as the outer one's.
void collect_fields(const Btf& btf, u32 id, u32 base, u32 depth, std::vector<Field>& fields) {
    if (depth == 0) return;
    if (btf.kind(id) == BtfKind::datasec) {
        for (const auto& variable : btf.variables(id))
            fields.push_back({std::string(btf.name(variable.type)), btf.target(variable.type),
                              base + variable.offset * 8, 0});
        return;
    }
    for (const auto& member : btf.members(id)) {
        const u32 type = btf.resolve(member.type);
        const bool nested = btf.kind(type) == BtfKind::struct_ || btf.kind(type) == BtfKind::union_;
        if (member.name.empty() && nested)
            collect_fields(btf, type, base + member.bit_offset, depth - 1, fields);
        else if (!member.name.empty())
            fields.push_back(
                {std::string(member.name), member.type, base + member.bit_offset, member.bitfield_size});
    }
}

Json value_to_json(const Btf& btf, u32 type, std::span<const u8> bytes, u32 depth);

Json object_to_json(const Btf& btf, u32 id, std::span<const u8> bytes, u32 depth) {
    std::vector<Field> fields;
    collect_fields(btf, id, 0, depth, fields);
    Json object = Json::object();
    for (const Field& field : fields) {
        if (field.bits != 0) {
            object[field.name] = integer_to_json(btf, btf.resolve(field.type),
                                                 load_bits(bytes, field.bit_offset, field.bits), field.bits);
        } else if (field.bit_offset / 8 <= bytes.size()) {
            object[field.name] =
                value_to_json(btf, field.type, bytes.subspan(field.bit_offset / 8), depth - 1);
        }
    }
    return object;
}

Json array_to_json(const Btf& btf, u32 id, std::span<const u8> bytes, u32 depth) {
    const auto array = btf.array(id);
    if (is_char(btf, array.type) && is_text(bytes))
        return std::string(reinterpret_cast<const char*>(bytes.data()));
    const u32 size = btf.size_of(array.type).value_or(0);
    Json values = Json::array();
    for (u32 i = 0; size != 0 && i < array.count && u64{i + 1} * size <= bytes.size(); ++i)
        values.push_back(value_to_json(btf, array.type, bytes.subspan(std::size_t{i} * size), depth - 1));
    return values;
}

Json value_to_json(const Btf& btf, u32 type, std::span<const u8> bytes, u32 depth) {
    const u32 id = btf.resolve(type);
    const auto size = btf.size_of(id);
    if (!size || *size > bytes.size() || depth == 0) return nullptr;
    bytes = bytes.first(*size);
    switch (btf.kind(id)) {
    case BtfKind::struct_:
    case BtfKind::union_:
    case BtfKind::datasec: return object_to_json(btf, id, bytes, depth);
    case BtfKind::array: return array_to_json(btf, id, bytes, depth);
    case BtfKind::int_:
    case BtfKind::enum_:
    case BtfKind::enum64:
    case BtfKind::ptr:
        if (bytes.size() <= 8)
            return integer_to_json(btf, id, load_integer(bytes, is_big_endian(btf, type)), *size * 8);
        return to_hex(bytes);
    default: return to_hex(bytes);
    }
}

Result<> value_from_json(const Btf& btf, u32 type, const Json& json, std::span<u8> bytes, u32 depth);

Result<> object_from_json(const Btf& btf, u32 id, const Json& json, std::span<u8> bytes, u32 depth) {
    if (!json.is_object()) return fail(EINVAL, "{} is not an object of members", json.dump());
    std::vector<Field> fields;
    collect_fields(btf, id, 0, depth, fields);
    for (const auto& [name, value] : json.items()) {
        const auto field =
            std::find_if(fields.begin(), fields.end(), [&name](const Field& f) { return f.name == name; });
        if (field == fields.end()) return fail(EINVAL, "there is no member '{}'", name);
        if (field->bits != 0) {
            const auto number = integer_from_json(btf, btf.resolve(field->type), value, field->bits);
            if (!number) return fail(number.error(), name);
            store_bits(*number, bytes, field->bit_offset, field->bits);
        } else if (field->bit_offset / 8 <= bytes.size()) {
            auto done =
                value_from_json(btf, field->type, value, bytes.subspan(field->bit_offset / 8), depth - 1);
            if (!done) return fail(done.error(), name);
        }
    }
    return {};
}

Result<> array_from_json(const Btf& btf, u32 id, const Json& json, std::span<u8> bytes, u32 depth) {
    const auto array = btf.array(id);
    if (json.is_string() && is_char(btf, array.type)) {
        const auto& text = json.get_ref<const std::string&>();
        if (text.size() >= bytes.size()) return fail(ERANGE, "{} is longer than its array", json.dump());
        std::fill(bytes.begin(), bytes.end(), u8{0});
        std::memcpy(bytes.data(), text.data(), text.size());
        return {};
    }
    if (!json.is_array()) return fail(EINVAL, "{} is not an array", json.dump());
    if (json.size() > array.count) return fail(ERANGE, "has {} elements of {}", json.size(), array.count);
    const u32 size = btf.size_of(array.type).value_or(0);
    for (std::size_t i = 0; i < json.size(); ++i) {
        if ((i + 1) * size > bytes.size()) return fail(ERANGE, "does not fit");
        auto done = value_from_json(btf, array.type, json[i], bytes.subspan(i * size), depth - 1);
        if (!done) return fail(done.error(), fmt::format("[{}]", i));
    }
    return {};
}

Result<> value_from_json(const Btf& btf, u32 type, const Json& json, std::span<u8> bytes, u32 depth) {
    const u32 id = btf.resolve(type);
    const auto size = btf.size_of(id);
    if (!size || *size > bytes.size() || depth == 0) return fail(EINVAL, "has no form that JSON can give");
    bytes = bytes.first(*size);
    switch (btf.kind(id)) {
    case BtfKind::struct_:
    case BtfKind::union_:
    case BtfKind::datasec: return object_from_json(btf, id, json, bytes, depth);
    case BtfKind::array: return array_from_json(btf, id, json, bytes, depth);
    case BtfKind::int_:
    case BtfKind::enum_:
    case BtfKind::enum64:
    case BtfKind::ptr: {
        if (bytes.size() > 8) break;
        const auto number = integer_from_json(btf, id, json, *size * 8);
        if (!number) return fail(number.error());
        store_integer(*number, bytes, is_big_endian(btf, type));
        return {};
    }
    default: break;
    }
    if (!json.is_string()) return fail(EINVAL, "{} is not a string of hex digits", json.dump());
    return from_hex(json.get_ref<const std::string&>(), bytes);
}

} // namespace

Json btf_to_json(const Btf& btf, u32 type, std::span<const u8> bytes) {
    return value_to_json(btf, type, bytes, kDeepest);
}

Result<> btf_from_json(const Btf& btf, u32 type, const Json& json, std::span<u8> bytes) {
    return value_from_json(btf, type, json, bytes, kDeepest);
}

Result<BtfPlace> find_btf_place(const Btf& btf, u32 type, std::string_view path) {
    BtfPlace place{.type = type, .bit_size = btf.size_of(type).value_or(0) * 8};
    while (!path.empty()) {
        const std::size_t dot = path.find('.');
        const std::string_view name = path.substr(0, dot);
        path.remove_prefix(dot == std::string_view::npos ? path.size() : dot + 1);
        std::vector<Field> fields;
        const u32 id = btf.resolve(place.type);
        if (place.bits == 0) collect_fields(btf, id, place.bit_offset, kDeepest, fields);
        const auto field = std::ranges::find(fields, name, &Field::name);
        if (field == fields.end()) return fail(ENOENT, "there is no member '{}'", name);
        place = {field->type, field->bit_offset, field->bits,
                 field->bits != 0 ? field->bits : btf.size_of(field->type).value_or(0) * 8};
    }
    return place;
}

Result<> btf_place_from_json(const Btf& btf, const BtfPlace& place, const Json& json, std::span<u8> bytes) {
    if (place.bits == 0) {
        if (place.bit_offset / 8 > bytes.size()) return fail(EINVAL, "is behind the end");
        return value_from_json(btf, place.type, json, bytes.subspan(place.bit_offset / 8), kDeepest);
    }
    const auto number = integer_from_json(btf, btf.resolve(place.type), json, place.bits);
    if (!number) return fail(number.error());
    store_bits(*number, bytes, place.bit_offset, place.bits);
    return {};
}

std::string to_hex(std::span<const u8> bytes) {
    static constexpr char kDigits[] = "0123456789abcdef";
    std::string text;
    text.reserve(bytes.size() * 2);
    for (const u8 byte : bytes) {
        text += kDigits[byte >> 4];
        text += kDigits[byte & 15];
    }
    return text;
}

Result<> from_hex(std::string_view text, std::span<u8> bytes) {
    if (text.starts_with("0x") || text.starts_with("0X")) text.remove_prefix(2);
    std::size_t digits = 0;
    for (const char c : text) {
        if (std::isspace(static_cast<unsigned char>(c)) != 0 || c == ':') continue;
        if (std::isxdigit(static_cast<unsigned char>(c)) == 0)
            return fail(EINVAL, "'{}' is not a hex digit", c);
        const int lower = std::tolower(static_cast<unsigned char>(c));
        const u8 nibble = static_cast<u8>(lower <= '9' ? lower - '0' : lower - 'a' + 10);
        if (digits / 2 < bytes.size())
            bytes[digits / 2] = static_cast<u8>(digits % 2 == 0 ? nibble << 4 : bytes[digits / 2] | nibble);
        ++digits;
    }
    if (digits != bytes.size() * 2)
        return fail(EINVAL, "has {} hex digits, and {} bytes need {}", digits, bytes.size(),
                    bytes.size() * 2);
    return {};
}

} // namespace xdplane
