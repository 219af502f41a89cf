// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
#include "tests/support/btf_builder.h"

#include <linux/btf.h>

namespace xdplane::test {

u32 BtfBuilder::name_offset(std::string_view text) {
    if (text.empty()) return 0;
    const u32 at = static_cast<u32>(strings_.size());
    strings_.append(text).append(1, '\0');
    return at;
}

u32 BtfBuilder::add(std::string_view name, u32 kind, u32 vlen, u32 size_or_type,
                    std::initializer_list<u32> payload) {
    words_.insert(words_.end(), {name_offset(name), kind << 24 | vlen, size_or_type});
    words_.insert(words_.end(), payload);
    return ++count_;
}

u32 BtfBuilder::integer(std::string_view name, u32 bytes, bool is_signed) {
    return add(name, BTF_KIND_INT, 0, bytes, {(is_signed ? BTF_INT_SIGNED : 0U) << 24 | bytes * 8});
}

u32 BtfBuilder::pointer(u32 to) { return add("", BTF_KIND_PTR, 0, to); }

u32 BtfBuilder::type_definition(std::string_view name, u32 of) { return add(name, BTF_KIND_TYPEDEF, 0, of); }

u32 BtfBuilder::array(u32 of, u32 index_type, u32 count) {
    return add("", BTF_KIND_ARRAY, 0, 0, {of, index_type, count});
}

u32 BtfBuilder::structure(std::string_view name, u32 bytes, const std::vector<Member>& members) {
    const u32 id = add(name, BTF_KIND_STRUCT, static_cast<u32>(members.size()), bytes);
    for (const Member& member : members)
        words_.insert(words_.end(), {name_offset(member.name), member.type, member.offset * 8});
    return id;
}

u32 BtfBuilder::forward(std::string_view name) { return add(name, BTF_KIND_FWD, 0, 0); }

u32 BtfBuilder::enumeration(std::string_view name) {
    return add(name, BTF_KIND_ENUM, 1, 4, {name_offset("only"), 0});
}

u32 BtfBuilder::prototype(u32 returns, const std::vector<u32>& arguments) {
    const u32 id = add("", BTF_KIND_FUNC_PROTO, static_cast<u32>(arguments.size()), returns);
    char name = 'a';
    for (const u32 argument : arguments)
        words_.insert(words_.end(), {name_offset(std::string(1, name++)), argument});
    return id;
}

u32 BtfBuilder::function(std::string_view name, u32 prototype, u32 linkage) {
    return add(name, BTF_KIND_FUNC, linkage, prototype);
}

u32 BtfBuilder::declaration_tag(std::string_view text, u32 of, i32 component) {
    return add(text, BTF_KIND_DECL_TAG, 0, of, {static_cast<u32>(component)});
}

std::string BtfBuilder::blob() const {
    btf_header header{};
    header.magic = BTF_MAGIC;
    header.version = BTF_VERSION;
    header.hdr_len = sizeof header;
    header.type_len = static_cast<u32>(words_.size() * sizeof(u32));
    header.str_off = header.type_len;
    header.str_len = static_cast<u32>(strings_.size());
    std::string blob(reinterpret_cast<const char*>(&header), sizeof header);
    blob.append(reinterpret_cast<const char*>(words_.data()), header.type_len);
    return blob + strings_;
}

} // namespace xdplane::test
