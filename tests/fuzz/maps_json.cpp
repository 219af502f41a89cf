// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
//
// Maps preloaded from JSON: one line of error; what was accepted comes back from a dump and loads again.
#include <cstdio>
#include <cstdlib>
#include <vector>

#include "bpf/libbpf/object.h"
#include "dataplane/map_file.h"
#include "tests/fuzz/input.h"
#include "tests/fuzz/target.h"
#include "tests/support/places.h"

using namespace xdplane;

namespace {

/// Maps of every type, with the types that clang describes. The objects are kept.
std::vector<NamedMap> open_maps() {
    static std::vector<std::unique_ptr<Object>> objects;
    std::vector<NamedMap> maps;
    for (const std::string name : {"acl", "chain", "flowcount", "ratelimit"}) {
        auto object = Object::open(build_path("filters/") + name + ".bpf.o");
        if (!object || !(*object)->load()) {
            std::fprintf(stderr, "%s is not built\n", name.c_str());
            std::abort();
        }
        for (const auto& info : (*object)->maps())
            maps.push_back({name, info.name, (*object)->map(info.name)});
        objects.push_back(std::move(*object));
    }
    return maps;
}

/// What one input stores must not stay for the next one: tests give the same every time.
void empty(Map& map) {
    const MapOps& ops = map.ops();
    if (ops.array_like || ops.lookup == nullptr || ops.next_key == nullptr || ops.erase == nullptr) return;
    std::vector<u8> key(map.spec().key_size);
    while (map.ops().next_key(map, nullptr, key.data()) == 0)
        if (map.ops().erase(map, key.data()) != 0) std::abort();
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    static const std::vector<NamedMap> maps = open_maps();
    const fuzz::MemoryFile file({data, size});
    for (const NamedMap& map : maps) {
        if (map.map->frozen()) continue;
        const auto loaded = load_map(map, file.path());
        if (!loaded) {
            const std::string& message = loaded.error().message;
            if (!message.starts_with(file.path()) || message.find('\n') != std::string::npos) {
                std::fprintf(stderr, "'%s'\n", message.c_str());
                std::abort();
            }
        } else {
            const std::string dump = dump_maps({&map, 1});
            const fuzz::MemoryFile dumped({reinterpret_cast<const u8*>(dump.data()), dump.size()});
            const auto again = load_map(map, dumped.path());
            const bool programs = map.map->ops().lookup == nullptr; // prog arrays are not filled from files
            if ((!again && !programs) || dump_maps({&map, 1}) != dump) {
                std::fprintf(stderr, "%s: the dump does not load: %s\n%.2000s\n", map.name.c_str(),
                             again ? "otherwise" : again.error().message.c_str(), dump.c_str());
                std::abort();
            }
        }
        empty(*map.map);
    }
    return 0;
}
