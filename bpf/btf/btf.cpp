// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
#include "bpf/btf/btf.h"

#include <array>

#include <cstring>
#include <linux/btf.h>

namespace xdplane {

u32 Btf::word(u32 offset) const {
    u32 value = 0;
    std::memcpy(&value, bytes_.data() + offset, sizeof value);
    return value;
}

std::string_view Btf::string(u32 offset) const {
    if (offset >= strings_size_) return {};
    return reinterpret_cast<const char*>(bytes_.data() + strings_ + offset);
}

std::optional<u32> Btf::find(std::string_view wanted, BtfKind wanted_kind) const {
    for (u32 i = 1; i < type_count(); ++i)
        if (types_[i].kind == wanted_kind && name(i) == wanted) return i;
    return std::nullopt;
}

u32 Btf::target(u32 type_id) const {
    const Type& t = type(type_id);
    switch (t.kind) {
    case BtfKind::ptr:
    case BtfKind::typedef_:
    case BtfKind::volatile_:
    case BtfKind::const_:
    case BtfKind::restrict_:
    case BtfKind::func:
    case BtfKind::var:
    case BtfKind::decl_tag:
    case BtfKind::type_tag: return t.size_or_type;
    default: return 0;
    }
}

// parse() has refused loops of modifiers, so the walk ends.
u32 Btf::resolve(u32 type_id) const {
    while (true) {
        switch (kind(type_id)) {
        case BtfKind::typedef_:
        case BtfKind::volatile_:
        case BtfKind::const_:
        case BtfKind::restrict_:
        case BtfKind::type_tag: type_id = type(type_id).size_or_type; break;
        default: return type_id < type_count() ? type_id : 0;
        }
    }
}

std::optional<u32> Btf::size_of(u32 type_id) const {
    u64 count = 1;
    while (true) {
        type_id = resolve(type_id);
        const Type& t = type(type_id);
        u64 size = 0;
        switch (t.kind) {
        case BtfKind::int_:
        case BtfKind::struct_:
        case BtfKind::union_:
        case BtfKind::enum_:
        case BtfKind::datasec:
        case BtfKind::float_:
        case BtfKind::enum64: size = t.size_or_type; break;
        case BtfKind::ptr: size = sizeof(u64); break;
        case BtfKind::var: type_id = t.size_or_type; continue;
        case BtfKind::array: {
            const Array a = array(type_id);
            count *= a.count;
            if (count > ~u32{0}) return std::nullopt;
            type_id = a.type;
            continue;
        }
        default: return std::nullopt;
        }
        size *= count;
        if (size > ~u32{0}) return std::nullopt;
        return static_cast<u32>(size);
    }
}

BtfLinkage Btf::func_linkage(u32 type_id) const {
    const Type& t = type(type_id);
    if (t.kind != BtfKind::func || t.vlen > BTF_FUNC_EXTERN) return BtfLinkage::static_;
    return static_cast<BtfLinkage>(t.vlen);
}

std::vector<Btf::Member> Btf::members(u32 type_id) const {
    const Type& t = type(type_id);
    std::vector<Member> result;
    if (t.kind != BtfKind::struct_ && t.kind != BtfKind::union_) return result;
    result.reserve(t.vlen);
    for (u32 i = 0; i < t.vlen; ++i) {
        const u32 at = t.payload + i * u32{sizeof(btf_member)};
        const u32 offset = word(at + 8);
        result.push_back({string(word(at)), word(at + 4),
                          t.kind_flag ? BTF_MEMBER_BIT_OFFSET(offset) : offset,
                          t.kind_flag ? BTF_MEMBER_BITFIELD_SIZE(offset) : 0});
    }
    return result;
}

std::vector<Btf::Param> Btf::params(u32 type_id) const {
    const Type& t = type(type_id);
    std::vector<Param> result;
    if (t.kind != BtfKind::func_proto) return result;
    for (u32 i = 0; i < t.vlen; ++i) {
        const u32 at = t.payload + i * u32{sizeof(btf_param)};
        result.push_back({string(word(at)), word(at + 4)});
    }
    return result;
}

std::vector<Btf::Variable> Btf::variables(u32 type_id) const {
    const Type& t = type(type_id);
    std::vector<Variable> result;
    if (t.kind != BtfKind::datasec) return result;
    for (u32 i = 0; i < t.vlen; ++i) {
        const u32 at = t.payload + i * u32{sizeof(btf_var_secinfo)};
        result.push_back({word(at), word(at + 4), word(at + 8)});
    }
    return result;
}

std::vector<Btf::Enumerator> Btf::enumerators(u32 type_id) const {
    const Type& t = type(type_id);
    std::vector<Enumerator> result;
    for (u32 i = 0; i < t.vlen && t.kind == BtfKind::enum_; ++i) {
        const u32 at = t.payload + i * u32{sizeof(btf_enum)};
        const u32 value = word(at + 4);
        result.push_back(
            {string(word(at)), t.kind_flag ? static_cast<u64>(i64{static_cast<i32>(value)}) : value});
    }
    for (u32 i = 0; i < t.vlen && t.kind == BtfKind::enum64; ++i) {
        const u32 at = t.payload + i * u32{sizeof(btf_enum64)};
        result.push_back({string(word(at)), word(at + 4) | u64{word(at + 8)} << 32});
    }
    return result;
}

Btf::Array Btf::array(u32 type_id) const {
    const Type& t = type(type_id);
    if (t.kind != BtfKind::array) return {};
    return {word(t.payload), word(t.payload + 4), word(t.payload + 8)};
}

Btf::Int Btf::integer(u32 type_id) const {
    const Type& t = type(type_id);
    if (t.kind != BtfKind::int_) return {};
    const u32 data = word(t.payload);
    const u32 encoding = BTF_INT_ENCODING(data);
    return {static_cast<u8>(BTF_INT_BITS(data)), static_cast<u8>(BTF_INT_OFFSET(data)),
            (encoding & BTF_INT_SIGNED) != 0, (encoding & BTF_INT_CHAR) != 0, (encoding & BTF_INT_BOOL) != 0};
}

std::vector<std::string_view> Btf::decl_tags(u32 id, i32 component) const {
    std::vector<std::string_view> result;
    for (const Type& t : types_)
        if (t.kind == BtfKind::decl_tag && t.size_or_type == id &&
            static_cast<i32>(word(t.payload)) == component)
            result.push_back(string(t.name_off));
    return result;
}

std::string_view btf_kind_name(BtfKind kind) {
    constexpr std::array<std::string_view, kBtfKinds> kNames = {
        "UNKNOWN", "INT",     "PTR",      "ARRAY",    "STRUCT",   "UNION", "ENUM",
        "FWD",     "TYPEDEF", "VOLATILE", "CONST",    "RESTRICT", "FUNC",  "FUNC_PROTO",
        "VAR",     "DATASEC", "FLOAT",    "DECL_TAG", "TYPE_TAG", "ENUM64"};
    return kNames[static_cast<u32>(kind)];
}

} // namespace xdplane
