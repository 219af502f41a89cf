// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
#include "dataplane/maps_json.h"

#include <algorithm>
#include <arpa/inet.h>
#include <cstring>
#include <vector>

#include "bpf/maps/map_of_maps.h"
#include "bpf/maps/prog_array.h"
#include "bpf/maps/queue_stack.h"
#include "bpf/prog/program.h"
#include "bpf/run/run_context.h"
#include "dataplane/btf_json.h"

namespace xdplane {
namespace {

using Bytes = std::vector<u8>;

/// Bytes of one CPU's value in the syscall's layout.
u32 cpu_stride(const Map& map) { return (map.spec().value_size + 7) & ~7U; }

Json fields(const Map& map, u32 type, std::span<const u8> bytes) {
    if (map.spec().btf == nullptr || type == 0) return nullptr;
    return btf_to_json(*map.spec().btf, type, bytes);
}

/// Puts a value in, as hex and, where BTF knows it, as fields.
void put_value(Json& entry, const Map& map, std::span<const u8> bytes) {
    const MapSpec& spec = map.spec();
    Json value;
    Json value_fields;
    if (map.ops().per_cpu) {
        value = Json::array();
        value_fields = Json::array();
        for (u32 cpu = 0; cpu < num_possible_cpus(); ++cpu) {
            const auto one = bytes.subspan(std::size_t{cpu} * cpu_stride(map), spec.value_size);
            value.push_back(to_hex(one));
            value_fields.push_back(fields(map, spec.btf_value_type_id, one));
        }
        if (value_fields.front().is_null()) value_fields = nullptr;
    } else {
        value = to_hex(bytes.first(spec.value_size));
        value_fields = fields(map, spec.btf_value_type_id, bytes.first(spec.value_size));
    }
    entry["value"] = std::move(value);
    if (!value_fields.is_null()) entry["value_fields"] = std::move(value_fields);
}

std::vector<Bytes> keys_of(Map& map) {
    std::vector<Bytes> keys;
    Bytes key(map.spec().key_size);
    if (map.ops().next_key == nullptr || key.empty()) return keys;
    // A map that is written while it is read may give keys twice and for ever: its size is a bound.
    for (int more = map.ops().next_key(map, nullptr, key.data());
         more == 0 && keys.size() <= map.spec().max_entries;) {
        keys.push_back(key);
        more = map.ops().next_key(map, keys.back().data(), key.data());
    }
    const u32 type = map.spec().type;
    const bool indexed = map.ops().array_like || type == BPF_MAP_TYPE_ARRAY_OF_MAPS;
    if (!indexed) std::sort(keys.begin(), keys.end());
    return keys;
}

/// The address family that data of a trie's keys may be; 0: none.
int family_of(const Map& map) {
    if (map.spec().type != BPF_MAP_TYPE_LPM_TRIE) return 0;
    return map.spec().key_size == 8 ? AF_INET : map.spec().key_size == 20 ? AF_INET6 : 0;
}

/// "10.0.0.0/8" of a trie's key.
std::string prefix_text(int family, const Bytes& key) {
    char text[INET6_ADDRSTRLEN] = {};
    u32 length;
    std::memcpy(&length, key.data(), sizeof length);
    ::inet_ntop(family, key.data() + sizeof length, text, sizeof text);
    return fmt::format("{}/{}", text, length);
}

std::vector<Json> entries_of(Map& map);

Json dump_entry(Map& map, const Bytes& key, bool& present) {
    const MapSpec& spec = map.spec();
    Json entry;
    present = true;
    entry["key"] = to_hex(key);
    if (const int family = family_of(map); family != 0) entry["prefix"] = prefix_text(family, key);
    if (Json names = fields(map, spec.btf_key_type_id, key); !names.is_null())
        entry["key_fields"] = std::move(names);
    if (spec.type == BPF_MAP_TYPE_PROG_ARRAY) {
        u32 index;
        std::memcpy(&index, key.data(), sizeof index);
        const auto program = static_cast<ProgArray&>(map).get(index);
        present = program != nullptr;
        if (present) entry["program"] = program->parts().name;
        return entry;
    }
    if (is_map_of_maps(map)) {
        const auto inner = inner_map(map, key.data());
        present = inner != nullptr;
        if (!present) return entry;
        entry["map"] = inner->spec().name;
        entry["entries"] = entries_of(*inner);
        return entry;
    }
    Bytes value(map.syscall_value_size());
    present = map.ops().copy_value != nullptr && map.ops().copy_value(map, key.data(), value.data(), 0) == 0;
    if (present) put_value(entry, map, value);
    return entry;
}

std::vector<Json> entries_of(Map& map) {
    std::vector<Json> entries;
    const u32 type = map.spec().type;
    if (type == BPF_MAP_TYPE_QUEUE || type == BPF_MAP_TYPE_STACK) {
        for (const Bytes& value : static_cast<QueueStackMap&>(map).values())
            put_value(entries.emplace_back(), map, value);
        return entries;
    }
    for (const Bytes& key : keys_of(map)) {
        bool present = false;
        Json entry = dump_entry(map, key, present);
        if (present) entries.push_back(std::move(entry));
    }
    return entries;
}

} // namespace

std::string dump_maps(std::span<const NamedMap> maps) {
    // One entry a line: a dump of a big map can still be read, compared and cut with line tools.
    std::string text = "{\"maps\": [";
    for (std::size_t m = 0; m < maps.size(); ++m) {
        Map& map = *maps[m].map;
        const Json head = {{"object", maps[m].object},
                           {"name", maps[m].name},
                           {"type", map.ops().name},
                           {"key_size", map.spec().key_size},
                           {"value_size", map.spec().value_size},
                           {"max_entries", map.spec().max_entries}};
        std::string opening = head.dump();
        opening.pop_back();
        text += m == 0 ? "\n" : ",\n";
        text += opening + ",\"entries\": [";
        const char* separator = "\n ";
        for (const Json& entry : entries_of(map)) {
            text += separator + entry.dump(-1, ' ', false, Json::error_handler_t::replace);
            separator = ",\n ";
        }
        text += "]}";
    }
    return text + "\n]}\n";
}

} // namespace xdplane
