// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
#pragma once
#include <string>
#include <string_view>

#include "bpf/base/result.h"
#include "dataplane/map_entries.h"
#include "dataplane/maps_json.h"
#include "dataplane/read_file.h"

/// Files that maps are filled from: lists, CSV and JSON (docs/map-files.md). Errors are one line: "FILE:LINE:
/// reason", or with the number of the entry for JSON. Control thread.
namespace xdplane {

enum class MapFileFormat : u8 { list, csv, json };
/// By the name's ending (".json", ".csv"); JSON also if it begins like it; else a list.
[[nodiscard]] MapFileFormat map_file_format(const std::string& path, std::string_view text);

inline constexpr std::size_t kMaxMapFile = std::size_t{1} << 30; ///< bytes
inline constexpr std::size_t kMaxMapLine = 4096;                 ///< bytes of a line of a list or of CSV
inline constexpr u32 kMaxCsvColumns = 64;

/// Reads and checks a file for a map: every key can be one of this map, and no key is there twice with
/// different values (JSON: the last one counts). The map is not touched.
[[nodiscard]] Result<MapEntries> read_map_file(const NamedMap& map, const std::string& path, FileKind kind);

/// Stores a file's entries, one after the other (BPF_ANY), all of them checked before. Fills queues, stacks
/// and bloom filters too, from JSON.
[[nodiscard]] Result<> load_map(const NamedMap& map, const std::string& path);

/// The parsers behind it; `path` is for errors.
[[nodiscard]] Result<MapEntries> parse_list_entries(const NamedMap& map, std::string_view text,
                                                    const std::string& path);
[[nodiscard]] Result<MapEntries> parse_csv_entries(const NamedMap& map, std::string_view text,
                                                   const std::string& path);
/// Whichever it is, with the checks of read_map_file().
[[nodiscard]] Result<MapEntries> parse_map_file(const NamedMap& map, std::string_view text,
                                                const std::string& path, MapFileFormat format);

} // namespace xdplane
