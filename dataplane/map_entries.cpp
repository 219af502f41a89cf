// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
#include "dataplane/map_entries.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <linux/bpf.h>

#include "bpf/run/run_context.h"
#include "dataplane/btf_json.h"

namespace xdplane {
namespace {

/// The map's values are numbers, as far as one can tell.
bool value_is_number(const MapSpec& spec) {
    if (spec.value_size > 8 || (spec.value_size & (spec.value_size - 1)) != 0) return false;
    if (spec.btf == nullptr || spec.btf_value_type_id == 0) return true;
    const BtfKind kind = spec.btf->kind(spec.btf->resolve(spec.btf_value_type_id));
    return kind == BtfKind::int_;
}

} // namespace

MapEntries::MapEntries(const Map& map, std::string path, Position position)
    : path_(std::move(path)),
      position_(position),
      trie_(map.spec().type == BPF_MAP_TYPE_LPM_TRIE),
      starts_as_one_(map.ops().array_like && value_is_number(map.spec())),
      key_size_(map.spec().key_size),
      value_size_(map.spec().value_size),
      value_bytes_(map.syscall_value_size()),
      cpu_stride_(map.ops().per_cpu ? (value_size_ + 7) & ~7U : value_bytes_),
      pool_(std::size_t{2} * value_bytes_) {}

u32 MapEntries::value(std::span<const u8> bits, std::span<const u8> mask) {
    if (value_bytes_ == 0) return kNothingGiven;
    const std::size_t begin = pool_.size();
    pool_.resize(begin + std::size_t{2} * value_bytes_);
    u8* to = pool_.data() + begin;
    for (const auto part : {bits, mask}) {
        if (part.size() == value_bytes_)
            std::ranges::copy(part, to);
        else
            for (u32 at = 0; at + part.size() <= value_bytes_; at += cpu_stride_)
                std::ranges::copy(part, to + at);
        to += value_bytes_;
    }
    const std::size_t size = std::size_t{2} * value_bytes_;
    if (std::memcmp(pool_.data() + begin - size, pool_.data() + begin, size) == 0) pool_.resize(begin);
    return static_cast<u32>(pool_.size() / size - 1);
}

void MapEntries::add(std::span<const u8> key, u32 position, u32 value) {
    if (value != kNothingGiven && values_.empty()) values_.resize(positions_.size());
    if (value != kNothingGiven || !values_.empty()) values_.push_back(value);
    keys_.insert(keys_.end(), key.begin(), key.end());
    normalize(std::span(keys_).last(key.size()));
    positions_.push_back(position);
}

void MapEntries::normalize(std::span<u8> key) const {
    if (!trie_) return;
    u32 length;
    std::memcpy(&length, key.data(), sizeof length);
    const std::span<u8> data = key.subspan(sizeof length);
    if (length >= data.size() * 8) return;
    if (length % 8 != 0) data[length / 8] &= static_cast<u8>(0xff00 >> (length % 8));
    std::ranges::fill(data.subspan((length + 7) / 8), u8{0});
}

std::vector<u8> MapEntries::whole_value(u32 i) const {
    const std::span<const u8> given = bits(i);
    std::vector<u8> value(given.begin(), given.end());
    if (value_number(i) != kNothingGiven || !starts_as_one_) return value;
    for (u32 at = 0; at < value_bytes_; at += cpu_stride_) value[at] = 1;
    return value;
}

std::unexpected<Error> MapEntries::error(u32 i, int code, std::string_view what) const {
    if (position_ == Position::line) return fail(code, "{}:{}: {}", path_, positions_[i], what);
    return fail(code, "{}: entry {}: {}", path_, positions_[i], what);
}

std::string MapEntries::place(u32 i) const {
    return fmt::format("{} {}", position_ == Position::line ? "line" : "entry", positions_[i]);
}

std::size_t KeyIndex::Hash::operator()(std::string_view key) const {
    return std::hash<std::string_view>{}(key);
}
std::size_t KeyIndex::Hash::operator()(u32 entry) const {
    return (*this)({reinterpret_cast<const char*>(entries->key(entry)), key_size});
}

Result<KeyIndex> KeyIndex::make(const MapEntries& entries, u32 key_size) {
    Set set(0, Hash{&entries, key_size}, Equal{&entries, key_size});
    set.reserve(entries.size());
    for (u32 i = 0; i < entries.size(); ++i) {
        const auto [first, fresh] = set.insert(i);
        if (fresh || entries.value_number(i) == entries.value_number(*first)) continue;
        if (!std::ranges::equal(entries.mask(i), entries.mask(*first)) ||
            !std::ranges::equal(entries.bits(i), entries.bits(*first)))
            return entries.error(
                i, EEXIST, fmt::format("the key of {} again, with another value", entries.place(*first)));
    }
    return KeyIndex(std::move(set));
}

u32 KeyIndex::find(std::span<const u8> key) const {
    const auto found = set_.find(std::string_view(reinterpret_cast<const char*>(key.data()), key.size()));
    return found == set_.end() ? kNone : *found;
}

} // namespace xdplane
