// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
//
// Lists and CSV for maps: one line of error that says where; what was accepted is in the map afterwards, all
// of it and nothing else, and doing it again changes nothing.
#include <cstdio>
#include <cstdlib>
#include <vector>

#include "bpf/libbpf/object.h"
#include "dataplane/map_file.h"
#include "dataplane/map_replace.h"
#include "tests/fuzz/input.h"
#include "tests/fuzz/target.h"
#include "tests/support/places.h"

using namespace xdplane;

namespace {

std::shared_ptr<Map> make(MapSpec spec) {
    auto map = create_map(std::move(spec));
    if (!map) std::abort();
    return *map;
}

/// Keys of every form, with types and without. The object is kept.
std::vector<NamedMap> open_maps() {
    static std::unique_ptr<Object> object;
    auto opened = Object::open(build_path("filters/blocklist.bpf.o"));
    if (!opened || !(*opened)->load()) {
        std::fprintf(stderr, "blocklist is not built\n");
        std::abort();
    }
    object = std::move(*opened);
    std::vector<NamedMap> maps;
    for (const char* name : {"blocklist", "blocklist_config", "blocklist_stats"})
        maps.push_back({"blocklist", name, object->map(name)});
    for (const u32 key_size : {8U, 20U})
        maps.push_back({"made", "trie",
                        make({.type = BPF_MAP_TYPE_LPM_TRIE,
                              .key_size = key_size,
                              .value_size = 4,
                              .max_entries = 64,
                              .flags = BPF_F_NO_PREALLOC})});
    for (const u32 key_size : {2U, 4U, 6U, 16U})
        maps.push_back(
            {"made", "hash",
             make({.type = BPF_MAP_TYPE_HASH, .key_size = key_size, .value_size = 3, .max_entries = 64})});
    maps.push_back(
        {"made", "array",
         make({.type = BPF_MAP_TYPE_PERCPU_ARRAY, .key_size = 4, .value_size = 2, .max_entries = 64})});
    return maps;
}

[[noreturn]] void complain(const NamedMap& map, const std::string& what) {
    std::fprintf(stderr, "%s: %s\n", map.name.c_str(), what.c_str());
    std::abort();
}

void check_error(const NamedMap& map, const Error& error) {
    if (!error.message.starts_with("FILE:") || error.message.find('\n') != std::string::npos)
        complain(map, error.message);
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    static const std::vector<NamedMap> maps = open_maps();
    const std::string_view text(reinterpret_cast<const char*>(data), size);
    const MapFileFormat guessed = map_file_format("FILE", text);
    for (const MapFileFormat format : {guessed, MapFileFormat::csv})
        for (const NamedMap& map : maps) {
            const auto entries = parse_map_file(map, text, "FILE", format);
            if (!entries) {
                check_error(map, entries.error());
                continue;
            }
            const auto done = replace_entries(*map.map, *entries);
            if (!done) continue; // too small
            const std::string dump = dump_maps({&map, 1});
            const auto again = replace_entries(*map.map, *entries);
            if (!again || again->removed != 0 || again->changed != 0 || dump_maps({&map, 1}) != dump)
                complain(map, "the second time is another");
            if (!map.map->ops().array_like && again->added != 0) complain(map, "something is added twice");
        }
    return 0;
}
