// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
#pragma once
#include <memory>
#include <span>
#include <string>

#include "bpf/base/result.h"
#include "bpf/maps/map.h"

/// Maps as JSON, to look at and to fill: docs/maps-json.md describes the form. What dump_maps() writes,
/// load_map() reads. Control thread.
namespace xdplane {

/// A map as its user knows it.
struct NamedMap {
    std::string object; ///< file name of the object without ".bpf.o"
    std::string name;   ///< in the object
    std::shared_ptr<Map> map;
};

/// Every entry of every map, as text that ends in a newline. Keys come in ascending order of their bytes
/// (arrays: of the index), so that equal maps give equal text.
[[nodiscard]] std::string dump_maps(std::span<const NamedMap> maps);

/// Stores the entries of a JSON file: a list of entries, one map of a dump, or a whole dump, of which the map
/// with this name is taken. Errors name the file and the entry; entries before it have been stored.
[[nodiscard]] Result<> load_map(const NamedMap& map, const std::string& path);

} // namespace xdplane
