// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <linux/btf.h>

#include "bpf/btf/btf.h"

namespace xdplane {

namespace {

constexpr int kNotSupported = 524; // Linux's internal ENOTSUPP, which escapes to user space
constexpr u32 kMaxSize = 16 * 1024 * 1024;
constexpr u32 kInfoMask = 0x9f00ffff;
constexpr u32 kMaxNameLength = 511;
/// References in a row. Linux walks at most 32 that it has not resolved yet, so types in a kind order may
/// nest deeper there; this only keeps every walk short.
constexpr u32 kMaxDepth = 256;

enum class NameRule : u8 { none, any, optional_identifier, identifier, any_text, section, variable };
enum class FlagRule : u8 { clear, free };
enum class VlenRule : u8 { zero, free, linkage };

/// What the fixed part of each kind may hold: one row per kind, in BTF_KIND_* order.
struct KindRow {
    const char* text;
    NameRule name;
    FlagRule flag;
    VlenRule vlen;
    u32 fixed;      ///< bytes behind struct btf_type
    u32 per_entry;  ///< bytes per vlen
    bool refers;    ///< the third word is a type id
    bool zero_size; ///< the third word must be 0
};
constexpr std::array<KindRow, kBtfKinds> kKinds = {{
    {"UNKN", NameRule::none, FlagRule::clear, VlenRule::zero, 0, 0, false, true},
    {"INT", NameRule::any, FlagRule::clear, VlenRule::zero, 4, 0, false, false},
    {"PTR", NameRule::none, FlagRule::clear, VlenRule::zero, 0, 0, true, false},
    {"ARRAY", NameRule::none, FlagRule::clear, VlenRule::zero, sizeof(btf_array), 0, false, true},
    {"STRUCT", NameRule::optional_identifier, FlagRule::free, VlenRule::free, 0, sizeof(btf_member), false,
     false},
    {"UNION", NameRule::optional_identifier, FlagRule::free, VlenRule::free, 0, sizeof(btf_member), false,
     false},
    {"ENUM", NameRule::optional_identifier, FlagRule::free, VlenRule::free, 0, sizeof(btf_enum), false,
     false},
    {"FWD", NameRule::identifier, FlagRule::free, VlenRule::zero, 0, 0, false, true},
    {"TYPEDEF", NameRule::identifier, FlagRule::clear, VlenRule::zero, 0, 0, true, false},
    {"VOLATILE", NameRule::none, FlagRule::clear, VlenRule::zero, 0, 0, true, false},
    {"CONST", NameRule::none, FlagRule::clear, VlenRule::zero, 0, 0, true, false},
    {"RESTRICT", NameRule::none, FlagRule::clear, VlenRule::zero, 0, 0, true, false},
    {"FUNC", NameRule::identifier, FlagRule::clear, VlenRule::linkage, 0, 0, true, false},
    {"FUNC_PROTO", NameRule::none, FlagRule::clear, VlenRule::free, 0, sizeof(btf_param), true, false},
    {"VAR", NameRule::variable, FlagRule::clear, VlenRule::zero, sizeof(btf_var), 0, true, false},
    {"DATASEC", NameRule::section, FlagRule::clear, VlenRule::free, 0, sizeof(btf_var_secinfo), false, false},
    {"FLOAT", NameRule::any, FlagRule::clear, VlenRule::zero, 0, 0, false, false},
    {"DECL_TAG", NameRule::any_text, FlagRule::free, VlenRule::zero, sizeof(btf_decl_tag), 0, true, false},
    {"TYPE_TAG", NameRule::any_text, FlagRule::free, VlenRule::zero, 0, 0, true, false},
    {"ENUM64", NameRule::optional_identifier, FlagRule::free, VlenRule::free, 0, sizeof(btf_enum64), false,
     false},
}};

bool identifier_char(char c, bool first) {
    return c == '_' || c == '.' || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
           (!first && c >= '0' && c <= '9');
}
bool identifier(std::string_view text) {
    if (text.empty() || text.size() > kMaxNameLength) return false;
    for (std::size_t i = 0; i < text.size(); ++i)
        if (!identifier_char(text[i], i == 0)) return false;
    return true;
}
bool printable(std::string_view text) {
    return !text.empty() && text.size() <= kMaxNameLength &&
           std::all_of(text.begin(), text.end(), [](char c) { return c >= 0x20 && c < 0x7f; });
}

bool is_modifier(BtfKind kind) {
    return kind == BtfKind::typedef_ || kind == BtfKind::volatile_ || kind == BtfKind::const_ ||
           kind == BtfKind::restrict_ || kind == BtfKind::type_tag;
}
bool is_aggregate(BtfKind kind) {
    return kind == BtfKind::array || kind == BtfKind::struct_ || kind == BtfKind::union_;
}
/// What an object in memory can be made of; void only where the caller says so.
bool is_data(BtfKind kind) {
    return kind != BtfKind::func && kind != BtfKind::var && kind != BtfKind::datasec &&
           kind != BtfKind::decl_tag && kind != BtfKind::func_proto && kind != BtfKind::void_;
}

} // namespace

/// One parse: fills a Btf or stops at the first defect.
class BtfParser {
public:
    BtfParser(Btf& btf, Btf::Source source) : btf_(btf), object_(source == Btf::Source::object_file) {}

    Result<> run() {
        if (auto r = header(); !r) return r;
        if (auto r = scan(); !r) return r;
        for (u32 id = 1; id < btf_.type_count(); ++id)
            if (auto r = check_type(id); !r) return r;
        // Once per prototype: a hostile blob may have a million functions share a long one.
        unnamed_args_.resize(btf_.type_count());
        for (u32 id = 1; id < btf_.type_count(); ++id)
            for (const Btf::Param& p : btf_.params(id))
                if (p.name.empty() && p.type != 0) unnamed_args_[id] = true;
        for (u32 id = 1; id < btf_.type_count(); ++id)
            if (auto r = check_references(id); !r) return r;
        // Two walks as in Linux: pointers end the walk through aggregates, aggregates the one through
        // pointers.
        if (auto r = find_loops([](BtfKind k) { return is_modifier(k) || k == BtfKind::ptr; }); !r) return r;
        if (auto r = find_loops([](BtfKind k) { return is_modifier(k) || is_aggregate(k); }); !r) return r;
        for (u32 id = 1; id < btf_.type_count(); ++id)
            if (auto r = check_resolved(id); !r) return r;
        return {};
    }

private:
    Result<> header();
    Result<> scan();
    Result<> check_name(u32 id, const KindRow& row) const;
    Result<> check_type(u32 id) const;
    Result<> check_int(u32 id) const;
    Result<> check_members(u32 id) const;
    Result<> check_section(u32 id) const;
    Result<> check_references(u32 id) const;
    Result<> check_resolved(u32 id) const;
    template<class Follow>
    Result<> find_loops(Follow follow) const;
    void references(u32 id, std::vector<u32>& out) const;

    [[nodiscard]] bool known_string(u32 offset) const { return offset < btf_.strings_size_; }
    [[nodiscard]] bool known_type(u32 id) const { return id < btf_.type_count(); }
    template<class... Args>
    [[nodiscard]] std::unexpected<Error> bad(u32 id, fmt::format_string<Args...> text, Args&&... args) const {
        const auto kind = static_cast<u32>(btf_.kind(id));
        return fail(EINVAL, "[{}] {} {}: {}", id, kKinds[kind].text, btf_.name(id).substr(0, kMaxNameLength),
                    fmt::format(text, std::forward<Args>(args)...));
    }

    Btf& btf_;
    bool object_;
    std::vector<bool> unnamed_args_; ///< by id of a func_proto
};

Result<> BtfParser::header() {
    const std::vector<u8>& bytes = btf_.bytes_;
    btf_header h{};
    if (bytes.size() < offsetof(btf_header, hdr_len) + sizeof h.hdr_len)
        return fail(EINVAL, "hdr_len not found");
    std::memcpy(&h, bytes.data(), std::min(sizeof h, bytes.size()));
    if (bytes.size() < h.hdr_len) return fail(EINVAL, "btf_header not found");
    if (h.hdr_len < sizeof h) return fail(EINVAL, "btf_header is cut short");
    for (u32 i = sizeof h; i < h.hdr_len; ++i)
        if (bytes[i] != 0) return fail(E2BIG, "Unsupported btf_header");
    if (h.magic != BTF_MAGIC) return fail(EINVAL, "Invalid magic");
    if (h.version != BTF_VERSION) return fail(kNotSupported, "Unsupported version");
    if (h.flags != 0) return fail(kNotSupported, "Unsupported flags");
    const u64 room = bytes.size() - h.hdr_len;
    if (room == 0) return fail(EINVAL, "No data");
    if (h.type_off % 4 != 0) return fail(EINVAL, "Unaligned type_off");
    if (h.type_len == 0) return fail(EINVAL, "No type found");
    // Both sections lie behind the header without gap or overlap, types first, and end with the blob.
    if (u64{h.type_off} + h.type_len > room || u64{h.str_off} + h.str_len > room)
        return fail(EINVAL, "Total section length too long");
    if (h.type_off != 0 || h.str_off != h.type_len) return fail(EINVAL, "Unsupported section found");
    if (h.str_off + h.str_len != room) return fail(EINVAL, "Unsupported section found");
    const u8* strings = bytes.data() + h.hdr_len + h.str_off;
    if (h.str_len == 0 || h.str_len > BTF_MAX_NAME_OFFSET || strings[0] != 0 || strings[h.str_len - 1] != 0)
        return fail(EINVAL, "Invalid string section");
    btf_.strings_ = h.hdr_len + h.str_off;
    btf_.strings_size_ = h.str_len;
    return {};
}

/// Cuts the type section into types; nothing is believed of a type but its own extent.
Result<> BtfParser::scan() {
    btf_header h{};
    std::memcpy(&h, btf_.bytes_.data(), sizeof h);
    u32 at = h.hdr_len;
    const u32 end = h.hdr_len + h.type_len;
    btf_.types_.push_back({});
    while (at < end) {
        const u32 id = btf_.type_count();
        if (id > BTF_MAX_TYPE) return fail(E2BIG, "Exceeded max num of types");
        if (end - at < sizeof(btf_type)) return fail(EINVAL, "[{}] meta_left is too small", id);
        const u32 info = btf_.word(at + 4);
        const u32 kind = BTF_INFO_KIND(info);
        if ((info & ~kInfoMask) != 0) return fail(EINVAL, "[{}] Invalid btf_info {:x}", id, info);
        if (kind == 0 || kind >= kBtfKinds) return fail(EINVAL, "[{}] Invalid kind {}", id, kind);
        const u32 vlen = BTF_INFO_VLEN(info);
        const u64 payload = kKinds[kind].fixed + u64{kKinds[kind].per_entry} * vlen;
        if (payload > end - at - sizeof(btf_type)) return fail(EINVAL, "[{}] meta_needed is too big", id);
        btf_.types_.push_back({.kind = static_cast<BtfKind>(kind),
                               .kind_flag = BTF_INFO_KFLAG(info) != 0,
                               .vlen = static_cast<u16>(vlen),
                               .name_off = btf_.word(at),
                               .size_or_type = btf_.word(at + 8),
                               .payload = at + u32{sizeof(btf_type)}});
        at += u32{sizeof(btf_type)} + static_cast<u32>(payload);
    }
    return {};
}

Result<> BtfParser::check_name(u32 id, const KindRow& row) const {
    const u32 offset = btf_.type(id).name_off;
    if (!known_string(offset)) return bad(id, "Invalid name_offset:{}", offset);
    const std::string_view name = btf_.string(offset);
    bool good = true;
    switch (row.name) {
    case NameRule::none: good = offset == 0; break;
    case NameRule::any: break; // libbpf asks what is known with nameless numbers
    case NameRule::optional_identifier: good = offset == 0 || name.empty() || identifier(name); break;
    case NameRule::identifier:
    case NameRule::variable: good = identifier(name); break;
    case NameRule::any_text: good = !name.empty(); break;
    case NameRule::section: good = printable(name); break;
    }
    if (!good) return bad(id, "Invalid name");
    return {};
}

Result<> BtfParser::check_type(u32 id) const {
    const Btf::Type& t = btf_.type(id);
    const KindRow& row = kKinds[static_cast<u32>(t.kind)];
    if (auto r = check_name(id, row); !r) return r;
    if (row.flag == FlagRule::clear && t.kind_flag) return bad(id, "Invalid btf_info kind_flag");
    if (row.vlen == VlenRule::zero && t.vlen != 0) return bad(id, "vlen != 0");
    if (row.vlen == VlenRule::linkage && t.vlen > (object_ ? BTF_FUNC_EXTERN : BTF_FUNC_GLOBAL))
        return bad(id, "Invalid func linkage");
    if (row.zero_size && t.size_or_type != 0)
        return bad(id, "{}", t.kind == BtfKind::fwd ? "type != 0" : "size != 0");
    if (row.refers && (t.size_or_type > BTF_MAX_TYPE || !known_type(t.size_or_type)))
        return bad(id, "Invalid type_id {}", t.size_or_type);
    switch (t.kind) {
    case BtfKind::int_: return check_int(id);
    case BtfKind::struct_:
    case BtfKind::union_: return check_members(id);
    case BtfKind::datasec: return check_section(id);
    case BtfKind::enum_:
    case BtfKind::enum64: {
        const u32 size = t.size_or_type;
        if (size == 0 || size > 8 || (size & (size - 1)) != 0) return bad(id, "Unexpected size");
        const u32 entry = kKinds[static_cast<u32>(t.kind)].per_entry;
        for (u32 i = 0; i < t.vlen; ++i) {
            const u32 name = btf_.word(t.payload + i * entry);
            if (!known_string(name) || !identifier(btf_.string(name))) return bad(id, "Invalid name");
        }
        return {};
    }
    case BtfKind::float_: {
        const u32 size = t.size_or_type;
        if (size != 2 && size != 4 && size != 8 && size != 12 && size != 16)
            return bad(id, "Invalid type_size");
        return {};
    }
    case BtfKind::var:
        if (btf_.word(t.payload) > (object_ ? BTF_VAR_GLOBAL_EXTERN : BTF_VAR_GLOBAL_ALLOCATED))
            return bad(id, "Linkage not supported");
        if (t.size_or_type == 0 && !object_) return bad(id, "Invalid type_id");
        return {};
    case BtfKind::decl_tag:
        if (static_cast<i32>(btf_.word(t.payload)) < -1) return bad(id, "Invalid component_idx");
        return {};
    default: return {};
    }
}

Result<> BtfParser::check_int(u32 id) const {
    const Btf::Type& t = btf_.type(id);
    const u32 data = btf_.word(t.payload);
    const u32 bits = BTF_INT_BITS(data) + BTF_INT_OFFSET(data);
    const u32 encoding = BTF_INT_ENCODING(data);
    if ((data & 0xf0000000) != 0) return bad(id, "Invalid int_data:{:x}", data);
    if (bits > 128) return bad(id, "nr_bits exceeds 128");
    if ((bits + 7) / 8 > t.size_or_type) return bad(id, "nr_bits exceeds type_size");
    if (encoding != 0 && encoding != BTF_INT_SIGNED && encoding != BTF_INT_CHAR && encoding != BTF_INT_BOOL)
        return fail(kNotSupported, "[{}] INT: Unsupported encoding", id);
    return {};
}

Result<> BtfParser::check_members(u32 id) const {
    const Btf::Type& t = btf_.type(id);
    u32 last = 0;
    for (u32 i = 0; i < t.vlen; ++i) {
        const u32 at = t.payload + i * u32{sizeof(btf_member)};
        const u32 name = btf_.word(at);
        const u32 raw = btf_.word(at + 8);
        const u32 offset = t.kind_flag ? BTF_MEMBER_BIT_OFFSET(raw) : raw;
        if (!known_string(name)) return bad(id, "Invalid member name_offset:{}", name);
        if (name != 0 && !btf_.string(name).empty() && !identifier(btf_.string(name)))
            return bad(id, "Invalid name");
        if (const u32 type = btf_.word(at + 4); type == 0 || !known_type(type))
            return bad(id, "Invalid type_id");
        if (t.kind == BtfKind::union_ && offset != 0) return bad(id, "Invalid member bits_offset");
        if (offset < last) return bad(id, "Invalid member bits_offset");
        if ((u64{offset} + 7) / 8 > t.size_or_type)
            return bad(id, "Member bits_offset exceeds its struct size");
        last = offset;
    }
    return {};
}

/// In an object file sizes and offsets are still to be filled in by libbpf.
Result<> BtfParser::check_section(u32 id) const {
    const Btf::Type& t = btf_.type(id);
    u64 last_end = 0;
    u64 sum = 0;
    if (!object_ && t.size_or_type == 0) return bad(id, "Invalid size");
    for (u32 i = 0; i < t.vlen; ++i) {
        const u32 at = t.payload + i * u32{sizeof(btf_var_secinfo)};
        const u32 type = btf_.word(at);
        const u32 offset = btf_.word(at + 4);
        const u32 size = btf_.word(at + 8);
        if (type == 0 || !known_type(type)) return bad(id, "Invalid type_id");
        if (object_) continue;
        if (offset < last_end || offset >= t.size_or_type) return bad(id, "Invalid offset");
        if (size == 0 || size > t.size_or_type) return bad(id, "Invalid size");
        last_end = u64{offset} + size;
        if (last_end > t.size_or_type) return bad(id, "Invalid offset+size");
        sum += size;
    }
    if (sum > t.size_or_type && !object_) return bad(id, "Invalid btf_info size");
    return {};
}

/// Every reference, checked for what may stand there.
Result<> BtfParser::check_references(u32 id) const {
    const Btf::Type& t = btf_.type(id);
    const BtfKind to = btf_.kind(t.size_or_type);
    switch (t.kind) {
    case BtfKind::ptr:
    case BtfKind::typedef_:
    case BtfKind::volatile_:
    case BtfKind::const_:
    case BtfKind::restrict_:
    case BtfKind::type_tag:
        if (to != BtfKind::void_ && to != BtfKind::func_proto && !is_data(to))
            return bad(id, "Invalid type_id");
        return {};
    case BtfKind::func:
        if (to != BtfKind::func_proto) return bad(id, "Invalid type_id");
        // libbpf names the parameters of extern functions.
        if (unnamed_args_[t.size_or_type] && !object_) return bad(id, "Invalid arg#");
        return {};
    case BtfKind::func_proto: {
        if (to != BtfKind::void_ && !is_data(to)) return bad(id, "Invalid return type");
        for (u32 i = 0; i < t.vlen; ++i) {
            const u32 at = t.payload + i * u32{sizeof(btf_param)};
            const u32 name = btf_.word(at);
            const u32 type = btf_.word(at + 4);
            const bool variadic = type == 0 && i + 1 == t.vlen && name == 0;
            if (!known_type(type) || (!variadic && !is_data(btf_.kind(type))))
                return bad(id, "Invalid arg#{}", i + 1);
            if (!known_string(name) || (name != 0 && !identifier(btf_.string(name))))
                return bad(id, "Invalid arg#{}", i + 1);
        }
        return {};
    }
    case BtfKind::var:
        if (!is_data(to) && !(object_ && (to == BtfKind::void_ || to == BtfKind::func_proto)))
            return bad(id, "Invalid type_id");
        return {};
    case BtfKind::datasec:
        for (const Btf::Variable& v : btf_.variables(id)) {
            // .ksyms of an object lists extern functions too.
            const BtfKind k = btf_.kind(v.type);
            if (k != BtfKind::var && !(object_ && k == BtfKind::func))
                return bad(id, "Not a VAR kind member");
        }
        return {};
    case BtfKind::array: {
        const Btf::Array a = btf_.array(id);
        if (a.type == 0 || !known_type(a.type) || !is_data(btf_.kind(a.type))) return bad(id, "Invalid elem");
        if (a.index_type == 0 || !known_type(a.index_type) || !is_data(btf_.kind(a.index_type)))
            return bad(id, "Invalid index");
        return {};
    }
    case BtfKind::struct_:
    case BtfKind::union_:
        for (const Btf::Member& m : btf_.members(id))
            if (!is_data(btf_.kind(m.type))) return bad(id, "Invalid member");
        return {};
    case BtfKind::decl_tag: {
        const auto component = static_cast<i32>(btf_.word(t.payload));
        const bool parts = to == BtfKind::struct_ || to == BtfKind::union_ || to == BtfKind::func;
        if (!parts && to != BtfKind::var && to != BtfKind::typedef_) return bad(id, "Invalid type_id");
        if (component < 0) return {};
        if (!parts) return bad(id, "Invalid component_idx");
        const u32 count = to == BtfKind::func ? btf_.type(btf_.target(t.size_or_type)).vlen
                                              : btf_.type(t.size_or_type).vlen;
        if (static_cast<u32>(component) >= count) return bad(id, "Invalid component_idx");
        return {};
    }
    default: return {};
    }
}

/// What can only be asked once resolving is known to end.
Result<> BtfParser::check_resolved(u32 id) const {
    const Btf::Type& t = btf_.type(id);
    switch (t.kind) {
    case BtfKind::array: {
        const Btf::Array a = btf_.array(id);
        if (btf_.kind(btf_.resolve(a.index_type)) != BtfKind::int_) return bad(id, "Invalid index");
        // In an object an array of unknown size is what an extern declares.
        if (!btf_.size_of(a.type)) return bad(id, "Invalid elem");
        if (!btf_.size_of(id)) return bad(id, "Array size overflows u32");
        return {};
    }
    case BtfKind::struct_:
    case BtfKind::union_:
        for (const Btf::Member& m : btf_.members(id)) {
            const auto size = btf_.size_of(m.type);
            if (!size) return bad(id, "Invalid member");
            const u64 bits = m.bitfield_size != 0 ? m.bitfield_size : u64{*size} * 8;
            if (m.bitfield_size == 0 && m.bit_offset % 8 != 0 &&
                btf_.kind(btf_.resolve(m.type)) != BtfKind::int_)
                return bad(id, "Invalid member offset");
            if (btf_.kind(btf_.resolve(m.type)) == BtfKind::int_ || t.kind_flag)
                continue; // may be a bit-field
            if (m.bit_offset + bits > u64{t.size_or_type} * 8) return bad(id, "Member exceeds struct_size");
        }
        return {};
    case BtfKind::var:
        if (!object_ && !btf_.size_of(id)) return bad(id, "Invalid type_id");
        return {};
    case BtfKind::datasec:
        if (object_) return {};
        for (const Btf::Variable& v : btf_.variables(id))
            if (const auto size = btf_.size_of(v.type); !size || v.size < *size)
                return bad(id, "Invalid size");
        return {};
    default: return {};
    }
}

void BtfParser::references(u32 id, std::vector<u32>& out) const {
    out.clear();
    const Btf::Type& t = btf_.type(id);
    if (t.kind == BtfKind::array) {
        const Btf::Array a = btf_.array(id);
        out.push_back(a.type);
        out.push_back(a.index_type);
    } else if (t.kind == BtfKind::struct_ || t.kind == BtfKind::union_) {
        for (u32 i = 0; i < t.vlen; ++i)
            out.push_back(btf_.word(t.payload + i * u32{sizeof(btf_member)} + 4));
    } else {
        out.push_back(btf_.target(id));
    }
}

/// Depth-first over the kinds that `follow` names, without recursion: hostile chains may be a million long.
template<class Follow>
Result<> BtfParser::find_loops(Follow follow) const {
    enum : u8 { fresh, open, done };
    struct Step {
        u32 id;
        std::vector<u32> next;
        std::size_t at;
    };
    std::vector<u8> state(btf_.type_count(), fresh);
    std::vector<u32> depth(btf_.type_count(), 1);
    std::vector<Step> path;
    const auto enter = [&](u32 id) {
        state[id] = open;
        path.push_back({id, {}, 0});
        references(id, path.back().next);
    };
    for (u32 root = 1; root < btf_.type_count(); ++root) {
        if (state[root] != fresh || !follow(btf_.kind(root))) continue;
        enter(root);
        while (!path.empty()) {
            Step& step = path.back();
            if (step.at == step.next.size()) {
                const u32 finished = step.id;
                state[finished] = done;
                path.pop_back();
                if (path.empty()) continue;
                u32& parent = depth[path.back().id];
                parent = std::max(parent, depth[finished] + 1);
                if (parent > kMaxDepth) return fail(E2BIG, "[{}] Exceeded max resolving depth", root);
                continue;
            }
            const u32 next = step.next[step.at++];
            if (!follow(btf_.kind(next))) continue;
            if (state[next] == done) {
                depth[step.id] = std::max(depth[step.id], depth[next] + 1);
                if (depth[step.id] > kMaxDepth) return fail(E2BIG, "[{}] Exceeded max resolving depth", root);
                continue;
            }
            if (state[next] == open) return fail(EEXIST, "[{}] Loop detected", next);
            enter(next);
        }
    }
    return {};
}

Result<std::shared_ptr<const Btf>> Btf::parse(std::span<const u8> bytes, Source source) {
    if (bytes.size() > kMaxSize) return fail(E2BIG, "BTF of {} bytes is too big", bytes.size());
    const std::shared_ptr<Btf> btf(new Btf);
    btf->bytes_.assign(bytes.begin(), bytes.end());
    if (auto r = BtfParser(*btf, source).run(); !r) return fail(std::move(r.error()));
    return btf;
}

} // namespace xdplane
