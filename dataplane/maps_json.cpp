// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
#include "dataplane/maps_json.h"

#include <algorithm>
#include <arpa/inet.h>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <filesystem>
#include <fstream>
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

Result<> read_prefix(int family, const Json& json, Bytes& key) {
    const std::string text = json.is_string() ? json.get<std::string>() : "";
    const std::size_t slash = text.find('/');
    const u32 most = family == AF_INET ? 32 : 128;
    u32 length = most;
    if (slash != std::string::npos) {
        const char* end = text.data() + text.size();
        const auto [stop, error] = std::from_chars(text.data() + slash + 1, end, length);
        if (error != std::errc() || stop != end || length > most)
            return fail(EINVAL, "{} has no prefix length of 0 to {}", json.dump(), most);
    }
    if (::inet_pton(family, text.substr(0, slash).c_str(), key.data() + sizeof length) != 1)
        return fail(EINVAL, "{} is no {} prefix", json.dump(), family == AF_INET ? "IPv4" : "IPv6");
    std::memcpy(key.data(), &length, sizeof length);
    return {};
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

/// Bytes from a JSON value: hex, a number in the host's order, or fields by BTF.
Result<> read_bytes(const Map& map, u32 type, const Json& json, std::span<u8> bytes) {
    if (json.is_string()) {
        auto hex = from_hex(json.get_ref<const std::string&>(), bytes);
        // The name of an enumerator is no hex; BTF may know it.
        if (hex || map.spec().btf == nullptr || type == 0) return hex;
        if (btf_from_json(*map.spec().btf, type, json, bytes)) return {};
        return hex;
    }
    if (map.spec().btf != nullptr && type != 0) return btf_from_json(*map.spec().btf, type, json, bytes);
    if (!json.is_number_unsigned()) return fail(EINVAL, "{} is neither hex nor a number", json.dump());
    const u64 number = json.get<u64>();
    if (bytes.size() < 8 && number >> (8 * bytes.size()) != 0)
        return fail(ERANGE, "{} does not fit {} bytes", number, bytes.size());
    for (std::size_t i = 0; i < bytes.size(); ++i) bytes[i] = i < 8 ? static_cast<u8>(number >> (8 * i)) : 0;
    return {};
}

/// "key" or, if that is missing, "key_fields".
const Json* part(const Json& entry, const char* name, const char* fields_name) {
    if (const auto it = entry.find(name); it != entry.end()) return &*it;
    if (const auto it = entry.find(fields_name); it != entry.end()) return &*it;
    return nullptr;
}

Result<> read_value(const Map& map, const Json& json, Bytes& value) {
    const MapSpec& spec = map.spec();
    if (!map.ops().per_cpu)
        return read_bytes(map, spec.btf_value_type_id, json, {value.data(), spec.value_size});
    const u32 cpus = num_possible_cpus();
    // One value for a per-CPU map is every CPU's; but an array type of BTF is an array itself.
    const bool each = json.is_array() && json.size() == cpus;
    if (json.is_array() && !each)
        return fail(EINVAL, "has {} values, and there are {} CPUs", json.size(), cpus);
    for (u32 cpu = 0; cpu < cpus; ++cpu) {
        auto done = read_bytes(map, spec.btf_value_type_id, each ? json[cpu] : json,
                               {value.data() + std::size_t{cpu} * cpu_stride(map), spec.value_size});
        if (!done) return done;
    }
    return {};
}

Result<> read_key(const Map& map, const Json& entry, Bytes& key) {
    if (const Json* json = part(entry, "key", "key_fields"))
        return read_bytes(map, map.spec().btf_key_type_id, *json, key);
    const int family = family_of(map);
    if (const auto it = entry.find("prefix"); it != entry.end() && family != 0)
        return read_prefix(family, *it, key);
    return fail(EINVAL, "is missing");
}

Result<> store_entry(Map& map, const Json& entry) {
    if (!entry.is_object()) return fail(EINVAL, "is not an object with a key and a value");
    for (const auto& [name, ignored] : entry.items())
        if (name != "key" && name != "value" && name != "key_fields" && name != "value_fields" &&
            (name != "prefix" || family_of(map) == 0))
            return fail(EINVAL, "has an unknown part '{}'", name);
    const Json* value_json = part(entry, "value", "value_fields");
    if (value_json == nullptr) return fail(EINVAL, "has no value");
    Bytes key(map.spec().key_size);
    Bytes value(map.syscall_value_size());
    if (!key.empty()) {
        if (auto done = read_key(map, entry, key); !done) return fail(done.error(), "key");
    }
    if (auto done = read_value(map, *value_json, value); !done) return fail(done.error(), "value");
    const int code = map.ops().store_value(map, key.empty() ? nullptr : key.data(), value.data(), BPF_ANY);
    if (code != 0) return fail(-code, "cannot be stored: {}", std::strerror(-code));
    return {};
}

/// The list of entries in a file of any of the three forms.
Result<const Json*> find_entries(const NamedMap& map, const Json& root) {
    const Json* at = &root;
    if (root.is_object() && root.contains("maps") && root["maps"].is_array()) {
        at = nullptr;
        for (const Json& each : root["maps"]) {
            if (!each.is_object() || each.value("name", Json()) != map.name) continue;
            if (at == nullptr || each.value("object", Json()) == map.object) at = &each;
        }
        if (at == nullptr) return fail(ENOENT, "holds no map '{}'", map.name);
    }
    if (at->is_object() && at->contains("entries")) at = &(*at)["entries"];
    if (!at->is_array()) return fail(EINVAL, "is no list of entries");
    return at;
}

Result<Json> parse_file(const std::string& path) {
    std::error_code code;
    if (std::filesystem::is_directory(path, code)) return fail(EISDIR, "{}", std::strerror(EISDIR));
    std::ifstream in(path, std::ios::binary);
    if (!in) return fail(errno, "{}", std::strerror(errno));
    try {
        return Json::parse(in);
    } catch (const nlohmann::json::exception& error) {
        // "[json.exception.parse_error.101] parse error at line 1, column 1: ..."
        const std::string_view text = error.what();
        const std::size_t end = text.find("] ");
        return fail(EINVAL, "{}", end == std::string_view::npos ? text : text.substr(end + 2));
    }
}

Result<> load_entries(const NamedMap& map, const std::string& path) {
    if (map.map->spec().type == BPF_MAP_TYPE_PROG_ARRAY)
        return fail(EOPNOTSUPP, "a program array is filled by its object file only");
    if (is_map_of_maps(*map.map)) return fail(EOPNOTSUPP, "a map of maps is filled by its object file only");
    if (map.map->ops().store_value == nullptr) return fail(EOPNOTSUPP, "maps of this type cannot be filled");
    if (map.map->frozen()) return fail(EPERM, "the map is frozen");
    const auto root = parse_file(path);
    if (!root) return fail(root.error());
    const auto entries = find_entries(map, *root);
    if (!entries) return fail(entries.error());
    for (std::size_t i = 0; i < (*entries)->size(); ++i)
        if (auto stored = store_entry(*map.map, (**entries)[i]); !stored)
            return fail(stored.error(), fmt::format("entry {}", i));
    return {};
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

Result<> load_map(const NamedMap& map, const std::string& path) {
    if (auto done = load_entries(map, path); !done)
        return fail(done.error(), fmt::format("{}: map {}", path, map.name));
    return {};
}

} // namespace xdplane
