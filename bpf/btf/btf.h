// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
#pragma once
#include <memory>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include "bpf/base/result.h"
#include "bpf/base/types.h"

/// BPF Type Format (Linux Documentation/bpf/btf.rst): what clang says of the types of an object, checked once
/// and then only read.
namespace xdplane {

/// BTF_KIND_* of <linux/btf.h>.
enum class BtfKind : u8 {
    void_,
    int_,
    ptr,
    array,
    struct_,
    union_,
    enum_,
    fwd,
    typedef_,
    volatile_,
    const_,
    restrict_,
    func,
    func_proto,
    var,
    datasec,
    float_,
    decl_tag,
    type_tag,
    enum64,
};
inline constexpr u32 kBtfKinds = 20;

/// "struct": as Linux's messages name it.
[[nodiscard]] std::string_view btf_kind_name(BtfKind kind);

enum class BtfLinkage : u8 { static_, global, external };

/// Immutable after parse(); any thread. Ids count from 1; id 0 is void. Accessors that take an id answer
/// harmlessly for any number (void, empty, nullopt), so callers need not check ids twice.
class Btf {
public:
    /// Who made the bytes: BTF_LOAD has what the kernel accepts; the .BTF section of an object file is not
    /// finished yet (section sizes are 0, extern functions and variables occur) and libbpf completes it.
    enum class Source : u8 { syscall, object_file };

    struct Type {
        BtfKind kind = BtfKind::void_;
        bool kind_flag = false;
        u16 vlen = 0;
        u32 name_off = 0;
        u32 size_or_type = 0; ///< bytes or the id it refers to, by kind
        u32 payload = 0;      ///< offset in bytes() of what follows the common part
    };
    struct Member {
        std::string_view name;
        u32 type;
        u32 bit_offset;
        u32 bitfield_size; ///< bits; 0 if it is no bit-field
    };
    struct Param {
        std::string_view name;
        u32 type; ///< 0 with an empty name: variadic
    };
    struct Variable {
        u32 type; ///< id of the var
        u32 offset;
        u32 size;
    };
    struct Array {
        u32 type;
        u32 index_type;
        u32 count;
    };
    struct Int {
        u8 bits;
        u8 offset;
        bool is_signed;
        bool is_char;
        bool is_bool;
    };
    struct Enumerator {
        std::string_view name;
        u64 value;
    };

    /// Checks the whole blob and copies it: header, sections, every type's form, every reference, and that no
    /// chain of references loops where a walk could hang. Hostile bytes give an error and nothing else.
    /// Errors: EINVAL, E2BIG (header bytes it does not know, too many types), ENOTSUPP (524: version, flags),
    /// EEXIST (loop).
    [[nodiscard]] static Result<std::shared_ptr<const Btf>> parse(std::span<const u8> bytes,
                                                                  Source source = Source::syscall);

    [[nodiscard]] std::span<const u8> bytes() const { return bytes_; }
    /// Ids are below this.
    [[nodiscard]] u32 type_count() const { return static_cast<u32>(types_.size()); }
    /// Void for ids out of range.
    [[nodiscard]] const Type& type(u32 id) const { return id < types_.size() ? types_[id] : types_[0]; }
    [[nodiscard]] BtfKind kind(u32 id) const { return type(id).kind; }
    /// Empty for anonymous types.
    [[nodiscard]] std::string_view name(u32 id) const { return string(type(id).name_off); }
    /// The string at an offset of the string section (line info too); empty if out of range.
    [[nodiscard]] std::string_view string(u32 offset) const;
    /// The first type of this kind and name.
    [[nodiscard]] std::optional<u32> find(std::string_view name, BtfKind kind) const;
    /// Follows const, volatile, restrict, type tags and typedefs.
    [[nodiscard]] u32 resolve(u32 id) const;
    /// What ptr, typedef, modifiers, func (its prototype), var and decl_tag refer to; 0 for other kinds.
    [[nodiscard]] u32 target(u32 id) const;
    /// Bytes of a value of this type; nullopt where there is none (void, functions, forward declarations).
    [[nodiscard]] std::optional<u32> size_of(u32 id) const;

    [[nodiscard]] BtfLinkage func_linkage(u32 id) const;             ///< of a func
    [[nodiscard]] std::vector<Member> members(u32 id) const;         ///< of a struct or union
    [[nodiscard]] std::vector<Param> params(u32 id) const;           ///< of a func_proto
    [[nodiscard]] std::vector<Variable> variables(u32 id) const;     ///< of a datasec
    [[nodiscard]] std::vector<Enumerator> enumerators(u32 id) const; ///< of an enum or enum64
    /// Names of the declaration tags on a type (component -1), or on a member or parameter of it.
    [[nodiscard]] std::vector<std::string_view> decl_tags(u32 id, i32 component) const;
    [[nodiscard]] Array array(u32 id) const;
    [[nodiscard]] Int integer(u32 id) const;

private:
    friend class BtfParser;
    Btf() = default;
    [[nodiscard]] u32 word(u32 offset) const;

    std::vector<u8> bytes_;
    std::vector<Type> types_; ///< [0] is void
    u32 strings_ = 0;         ///< offset of the string section in bytes_
    u32 strings_size_ = 0;
};

} // namespace xdplane
