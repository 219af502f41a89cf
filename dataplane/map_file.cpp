// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
#include "dataplane/map_file.h"

#include <cerrno>
#include <cstring>
#include <linux/bpf.h>

#include "bpf/maps/map_of_maps.h"

namespace xdplane {
namespace {

Result<> check_fillable(const Map& map, MapFileFormat format) {
    if (map.spec().type == BPF_MAP_TYPE_PROG_ARRAY)
        return fail(EOPNOTSUPP, "a program array is filled by its object file only");
    if (is_map_of_maps(map)) return fail(EOPNOTSUPP, "a map of maps is filled by its object file only");
    if (map.ops().store_value == nullptr) return fail(EOPNOTSUPP, "maps of this type cannot be filled");
    if (map.frozen()) return fail(EPERM, "the map is frozen");
    if (format != MapFileFormat::json && map.spec().key_size == 0)
        return fail(EOPNOTSUPP, "maps without keys are filled from JSON only");
    return {};
}

/// What the map would refuse.
Result<> check_keys(const Map& map, const MapEntries& entries) {
    const bool trie = map.spec().type == BPF_MAP_TYPE_LPM_TRIE;
    if (!trie && !map.ops().array_like) return {};
    const u32 limit = trie ? (map.spec().key_size - 4) * 8 : map.spec().max_entries - 1;
    for (u32 i = 0; i < entries.size(); ++i) {
        u32 number;
        std::memcpy(&number, entries.key(i), sizeof number);
        if (number <= limit) continue;
        return entries.error(
            i, ERANGE,
            trie ? fmt::format("a prefix length of {}, and the map's keys have {} bits", number, limit)
                 : fmt::format("index {}, and the array ends at {}", number, limit));
    }
    return {};
}

} // namespace

MapFileFormat map_file_format(const std::string& path, std::string_view text) {
    if (path.ends_with(".json")) return MapFileFormat::json;
    if (path.ends_with(".csv")) return MapFileFormat::csv;
    const std::size_t first = text.find_first_not_of(" \t\r\n");
    const bool json = first != std::string_view::npos && (text[first] == '[' || text[first] == '{');
    return json ? MapFileFormat::json : MapFileFormat::list;
}

Result<MapEntries> parse_map_file(const NamedMap& map, std::string_view text, const std::string& path,
                                  MapFileFormat format) {
    constexpr decltype(&parse_list_entries) kParsers[] = {parse_list_entries, parse_csv_entries,
                                                          parse_json_entries};
    if (auto fillable = check_fillable(*map.map, format); !fillable)
        return fail(fillable.error(), fmt::format("{}: map {}", path, map.name));
    auto entries = kParsers[static_cast<u32>(format)](map, text, path);
    if (!entries) return entries;
    if (auto checked = check_keys(*map.map, *entries); !checked) return fail(checked.error());
    if (format == MapFileFormat::json) return entries;
    if (auto unique = KeyIndex::make(*entries, map.map->spec().key_size); !unique)
        return fail(unique.error());
    return entries;
}

Result<MapEntries> read_map_file(const NamedMap& map, const std::string& path, FileKind kind) {
    const auto text = read_file(path, kMaxMapFile, kind);
    if (!text) return fail(text.error(), fmt::format("{}: map {}", path, map.name));
    return parse_map_file(map, *text, path, map_file_format(path, *text));
}

Result<> load_map(const NamedMap& map, const std::string& path) {
    const auto entries = read_map_file(map, path, FileKind::any);
    if (!entries) return fail(entries.error());
    const bool keyless = map.map->spec().key_size == 0;
    for (u32 i = 0; i < entries->size(); ++i) {
        const int code = map.map->ops().store_value(*map.map, keyless ? nullptr : entries->key(i),
                                                    entries->whole_value(i).data(), BPF_ANY);
        if (code != 0)
            return entries->error(i, -code, fmt::format("cannot be stored: {}", std::strerror(-code)));
    }
    return {};
}

} // namespace xdplane
