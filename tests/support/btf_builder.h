// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
#pragma once
#include <initializer_list>
#include <string>
#include <string_view>
#include <vector>

#include "bpf/base/types.h"

/// BPF Type Format made by hand, for tests: what clang would have said of functions and map values. Each
/// function adds one type and returns its id; ids count from 1, and 0 is void. Nothing is checked: tests want
/// wrong BTF too.
namespace xdplane::test {

class BtfBuilder {
public:
    struct Member {
        std::string_view name;
        u32 type;
        u32 offset; ///< bytes
    };

    u32 integer(std::string_view name, u32 bytes, bool is_signed = false);
    u32 pointer(u32 to);
    u32 type_definition(std::string_view name, u32 of);
    u32 array(u32 of, u32 index_type, u32 count);
    u32 structure(std::string_view name, u32 bytes, const std::vector<Member>& members = {});
    /// `struct name;` without a body.
    u32 forward(std::string_view name);
    u32 enumeration(std::string_view name);
    u32 prototype(u32 returns, const std::vector<u32>& arguments);
    /// linkage: BTF_FUNC_STATIC, _GLOBAL or _EXTERN.
    u32 function(std::string_view name, u32 prototype, u32 linkage);
    u32 declaration_tag(std::string_view text, u32 of, i32 component);

    /// The whole: header, types, strings.
    [[nodiscard]] std::string blob() const;

private:
    u32 add(std::string_view name, u32 kind, u32 vlen, u32 size_or_type,
            std::initializer_list<u32> payload = {});
    u32 name_offset(std::string_view text);

    std::string strings_ = std::string(1, '\0');
    std::vector<u32> words_;
    u32 count_ = 0;
};

} // namespace xdplane::test
