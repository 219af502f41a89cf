// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
#include "perf/bench/native_programs.h"

#include <cerrno>
#include <cstring>
#include <sys/mman.h>

#include "perf/bench/packet_loop.h"

// The linker collects the maps of all native programs in one section.
extern "C" {
extern native_map __start_native_maps[];
extern native_map __stop_native_maps[];
}

namespace xdplane::bench {
namespace {

/// As the product's own maps: large pages where the machine has them.
Result<Mapping> zeroed_memory(u64 bytes) {
    if (bytes == 0) return Mapping();
    constexpr u64 kHugePage = u64{2} << 20;
    void* address =
        ::mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (address == MAP_FAILED) return fail(errno, "{} bytes: {}", bytes, std::strerror(errno));
    if (bytes >= kHugePage) ::madvise(address, bytes, MADV_HUGEPAGE);
    return Mapping(address, bytes);
}

} // namespace

Result<std::shared_ptr<NativeMaps>> NativeMaps::get(const EngineSetup& setup) {
    if (const char* missing = native_missing(); missing != nullptr)
        return fail(ENOTSUP, "was compiled for a CPU with {}, which this one has not", missing);
    if (setup.shared->native != nullptr) return setup.shared->native;
    std::shared_ptr<NativeMaps> maps(new NativeMaps(setup.which));
    for (native_map* map = __start_native_maps; map != __stop_native_maps; ++map) {
        if (setup.which.program != map->program) continue;
        maps->maps_.push_back(map);
        if (auto done = maps->prepare(*map); !done) return fail(done.error());
    }
    for (const MapContents& contents : setup.which.contents) {
        if (contents.fill == nullptr) continue;
        native_map* map = maps->find(contents.map);
        if (map == nullptr) return fail(ENOENT, "there is no native map '{}'", contents.map);
        if (auto done = maps->fill(*map, contents); !done) return fail(done.error());
    }
    setup.shared->native = maps;
    return maps;
}

NativeMaps::~NativeMaps() {
    for (native_map* map : maps_) map->table = map->values = nullptr;
}

native_map* NativeMaps::find(std::string_view name) const {
    for (native_map* map : maps_)
        if (name == map->name) return map;
    return nullptr;
}

Result<> NativeMaps::prepare(native_map& map) {
    const bool sized = which_.sized && which_.contents[0].map == std::string_view(map.name);
    u64 table_bytes = 0;
    u64 value_bytes = 0;
    u64 group_bytes = 0;
    native_prepare(&map, sized ? which_.count : map.entries, &table_bytes, &value_bytes);
    if (map.kind == NATIVE_LPM_TRIE) {
        // At most a group per prefix and level; only what is used takes memory.
        map.group_room = map.entries * (map.key_size - 4 - 3) + 1;
        group_bytes = u64{map.group_room} * 256 * sizeof(u32);
    }
    u8* places[3] = {};
    const u64 sizes[3] = {table_bytes, value_bytes, group_bytes};
    for (u32 i = 0; i < 3; ++i) {
        auto memory = zeroed_memory(sizes[i]);
        if (!memory) return fail(memory.error());
        places[i] = memory->data();
        memory_.push_back(std::move(*memory));
    }
    map.table = places[0];
    map.values = places[1];
    map.level8 = reinterpret_cast<u32*>(places[2]);
    return {};
}

Result<> NativeMaps::fill(native_map& map, const MapContents& contents) const {
    int error = 0;
    contents.fill(which_.count, ~0U,
                  [&](const void* key, const void* value) { error |= native_put(&map, key, value); });
    if (error != 0) return fail(ENOSPC, "the native map '{}' is full", map.name);
    return {};
}

u64 NativeMaps::sum() const {
    u64 sum = 0;
    for (const MapContents& contents : which_.contents) {
        if (!contents.compared) continue;
        native_map* map = find(contents.map);
        contents.fill(which_.count, kComparedEntries, [&](const void* key, const void*) {
            const void* value = native_get(map, key);
            if (value != nullptr) sum += entry_sum(key, map->key_size, value, map->value_size);
        });
    }
    return sum;
}

void NativeMaps::update(u32 index) const {
    index %= which_.count;
    native_map* map = find(which_.contents[0].map);
    which_.contents[0].one(index, [map](const void* key, const void* value) { native_put(map, key, value); });
}

} // namespace xdplane::bench
