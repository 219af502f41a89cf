// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
#include "dataplane/carry_over.h"

#include <algorithm>
#include <cerrno>
#include <linux/bpf.h>

#include "bpf/run/run_context.h"
#include "dataplane/btf_json.h"
#include "dataplane/chain_loader.h"

namespace xdplane {
namespace {

/// A type of one object's BTF.
struct TypeRef {
    const Btf* btf;
    u32 id;
};

/// Nested deeper than this is another layout.
constexpr u32 kMaxDepth = 16;

bool same_layout(TypeRef a, TypeRef b, u32 depth = 0);

bool same_members(TypeRef a, TypeRef b, u32 depth) {
    const auto ours = a.btf->members(a.id);
    const auto theirs = b.btf->members(b.id);
    return std::ranges::equal(ours, theirs, [&](const Btf::Member& x, const Btf::Member& y) {
        return x.name == y.name && x.bit_offset == y.bit_offset && x.bitfield_size == y.bitfield_size &&
               same_layout({a.btf, x.type}, {b.btf, y.type}, depth + 1);
    });
}

bool same_variables(TypeRef a, TypeRef b, u32 depth) {
    const auto ours = a.btf->variables(a.id);
    const auto theirs = b.btf->variables(b.id);
    return std::ranges::equal(ours, theirs, [&](const Btf::Variable& x, const Btf::Variable& y) {
        return a.btf->name(x.type) == b.btf->name(y.type) && x.offset == y.offset && x.size == y.size &&
               same_layout({a.btf, a.btf->target(x.type)}, {b.btf, b.btf->target(y.type)}, depth + 1);
    });
}

/// Bytes of the one mean the same as bytes of the other.
bool same_layout(TypeRef a, TypeRef b, u32 depth) {
    a.id = a.btf->resolve(a.id);
    b.id = b.btf->resolve(b.id);
    const BtfKind kind = a.btf->kind(a.id);
    if (depth > kMaxDepth || kind != b.btf->kind(b.id) || a.btf->size_of(a.id) != b.btf->size_of(b.id))
        return false;
    if (kind == BtfKind::struct_ || kind == BtfKind::union_) return same_members(a, b, depth);
    if (kind == BtfKind::datasec) return same_variables(a, b, depth);
    if (kind == BtfKind::array)
        return same_layout({a.btf, a.btf->array(a.id).type}, {b.btf, b.btf->array(b.id).type}, depth + 1);
    return true;
}

bool has_members(TypeRef type) {
    const BtfKind kind = type.btf->kind(type.btf->resolve(type.id));
    return kind == BtfKind::struct_ || kind == BtfKind::datasec;
}

std::set<std::string_view> names_in(TypeRef type) {
    type.id = type.btf->resolve(type.id);
    std::set<std::string_view> names;
    for (const Btf::Member& member : type.btf->members(type.id)) names.insert(member.name);
    for (const Btf::Variable& variable : type.btf->variables(type.id))
        names.insert(type.btf->name(variable.type));
    return names;
}

/// `to` gets the members that both have; the others stay.
Result<> convert(TypeRef old_type, std::span<const u8> from, TypeRef new_type, std::span<u8> to) {
    Json json = btf_to_json(*old_type.btf, old_type.id, from);
    if (!json.is_object()) return fail(EINVAL, "its value has no named members");
    const auto known = names_in(new_type);
    for (auto it = json.begin(); it != json.end();)
        it = known.contains(it.key()) ? std::next(it) : json.erase(it);
    return btf_from_json(*new_type.btf, new_type.id, json, to);
}

/// Entries of `from` in `to`, whose value is another struct. Returns how many.
Result<u64> migrate(Map& from, Map& to) {
    const TypeRef old_type{from.spec().btf.get(), from.spec().btf_value_type_id};
    const TypeRef new_type{to.spec().btf.get(), to.spec().btf_value_type_id};
    if (old_type.btf == nullptr || new_type.btf == nullptr) return fail(EINVAL, "it has no BTF to go by");
    const u32 copies = from.ops().per_cpu ? num_possible_cpus() : 1;
    const u64 old_stride = from.syscall_value_size() / copies;
    const u64 new_stride = to.syscall_value_size() / copies;
    std::vector<u8> key(from.spec().key_size);
    std::vector<u8> next(from.spec().key_size);
    std::vector<u8> old_value(from.syscall_value_size());
    u64 entries = 0;
    for (int error = from.ops().next_key(from, nullptr, next.data()); error == 0;
         error = from.ops().next_key(from, key.data(), next.data())) {
        key = next;
        if (from.ops().copy_value(from, key.data(), old_value.data(), 0) != 0) continue; // just deleted
        std::vector<u8> new_value(to.syscall_value_size());
        // What is new in an array, or in global data, keeps its initial value.
        if (to.ops().array_like) (void)to.ops().copy_value(to, key.data(), new_value.data(), 0);
        for (u32 cpu = 0; cpu < copies; ++cpu) {
            const std::span<const u8> old_part(old_value.data() + cpu * old_stride, from.spec().value_size);
            const std::span<u8> new_part(new_value.data() + cpu * new_stride, to.spec().value_size);
            if (auto done = convert(old_type, old_part, new_type, new_part); !done) return fail(done.error());
        }
        if (const int stored = to.ops().store_value(to, key.data(), new_value.data(), BPF_ANY); stored != 0)
            return fail(-stored, "an entry does not fit");
        ++entries;
    }
    return entries;
}

/// In every generation anew.
bool always_fresh(const Object::MapInfo& info) {
    if (info.type == BPF_MAP_TYPE_PROG_ARRAY) return true;
    return info.global_data && !info.name.contains(".bss") && !info.name.contains(".data");
}

/// What differs, if that is more than the value; empty otherwise.
std::string difference(const Object::MapInfo& old, const Object::MapInfo& info) {
    if (old.type != info.type) return fmt::format("its type was {} and is {}", old.type, info.type);
    if (old.key_size != info.key_size)
        return fmt::format("its keys had {} bytes and have {}", old.key_size, info.key_size);
    if (old.max_entries != info.max_entries)
        return fmt::format("it had room for {} entries and has for {}", old.max_entries, info.max_entries);
    if (old.flags != info.flags)
        return fmt::format("its flags were {:#x} and are {:#x}", old.flags, info.flags);
    return {};
}

/// Whether the map itself goes on, or a new one with its entries.
Result<MapFate> fate_of(const Object::MapInfo& old, const Btf* old_btf, const Object::MapInfo& info,
                        const Btf* btf) {
    if (const std::string what = difference(old, info); !what.empty()) return fail(EINVAL, "{}", what);
    const bool typed =
        old_btf != nullptr && btf != nullptr && old.btf_value_type_id != 0 && info.btf_value_type_id != 0;
    const TypeRef before{old_btf, old.btf_value_type_id};
    const TypeRef after{btf, info.btf_value_type_id};
    if (old.value_size == info.value_size && (!typed || same_layout(before, after))) return MapFate::kept;
    if (!typed) return fail(EINVAL, "its value has changed, and there is no BTF to go by");
    if (!has_members(before) || !has_members(after))
        return fail(EINVAL, "its value has changed and is no struct");
    return MapFate::migrated;
}

} // namespace

const char* name_of(MapFate fate) {
    constexpr const char* kNames[] = {"fresh", "kept", "migrated"};
    return kNames[static_cast<u32>(fate)];
}

CarryOver::CarryOver(std::string chain, std::span<const std::unique_ptr<Object>> running)
    : chain_(std::move(chain)), running_(running), names_(object_names(running)) {}

const Object* CarryOver::find(const std::string& name) const {
    const auto found = std::ranges::find(names_, name);
    return found == names_.end() ? nullptr : running_[static_cast<std::size_t>(found - names_.begin())].get();
}

Result<> CarryOver::prepare(Object& object, const std::string& name, const std::set<std::string>& filled) {
    const Object* const running = find(name);
    const auto btf = object.btf();
    const auto old_btf = running != nullptr ? running->btf() : nullptr;
    for (const Object::MapInfo& info : object.maps()) {
        MapChange& change =
            changes_.emplace_back(MapChange{.chain = chain_, .object = name, .map = info.name});
        if (running == nullptr || always_fresh(info) || filled.contains(info.name)) continue;
        const auto old = std::ranges::find(running->maps(), info.name, &Object::MapInfo::name);
        const auto map = running->map(info.name);
        if (old == running->maps().end() || map == nullptr) continue;
        const auto fate = fate_of(*old, old_btf.get(), info, btf.get());
        if (!fate)
            return fail(EINVAL, "{}: map {}: its contents can not be kept: {} (rename it to begin anew)",
                        object.file(), info.name, fate.error().message);
        change.fate = *fate;
        if (*fate == MapFate::kept)
            if (auto reused = object.reuse_map(info.name, map); !reused) return reused;
    }
    return {};
}

Result<> CarryOver::finish(const Object& object, const std::string& name) {
    for (MapChange& change : changes_) {
        if (change.object != name || change.fate != MapFate::migrated) continue;
        const auto map = object.map(change.map);
        if (map == nullptr) continue;
        const auto entries = migrate(*find(name)->map(change.map), *map);
        if (!entries)
            return fail(entries.error(),
                        fmt::format("{}: map {}: its contents can not be kept", object.file(), change.map));
        change.entries = *entries;
    }
    return {};
}

} // namespace xdplane
