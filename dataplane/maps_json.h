// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
#pragma once
#include <memory>
#include <span>
#include <string>

#include "bpf/base/result.h"
#include "bpf/maps/map.h"
#include "dataplane/json.h"
#include "dataplane/map_entries.h"

/// Maps as JSON, to look at and to fill: docs/maps-json.md describes the form. What dump_maps() writes,
/// parse_json_entries() reads. Control thread.
namespace xdplane {

/// A map as its user knows it.
struct NamedMap {
    std::string object; ///< its name in the chain: the file name without ".bpf.o"
    std::string name;   ///< in the object
    std::shared_ptr<Map> map;
};

/// Every entry of every map, as text that ends in a newline. Keys come in ascending order of their bytes
/// (arrays: of the index), so that equal maps give equal text.
[[nodiscard]] std::string dump_maps(std::span<const NamedMap> maps);

/// The entries of a JSON text: a list of entries, one map of a dump, or a whole dump, of which the map with
/// this name is taken. Errors begin with `path`, and name the entry.
[[nodiscard]] Result<MapEntries> parse_json_entries(const NamedMap& map, std::string_view text,
                                                    const std::string& path);

/// Bytes of a key or a value from JSON: hex digits, a number in the host's order, or what BTF makes of it
/// (type 0: there is none). Overwrites what JSON names.
[[nodiscard]] Result<> bytes_from_json(const Map& map, u32 type, const Json& json, std::span<u8> bytes);

/// A whole value in the syscall's layout. Per-CPU maps: one for all, or a list of as many as there are CPUs.
[[nodiscard]] Result<> value_from_json(const Map& map, const Json& json, std::span<u8> value);

} // namespace xdplane
