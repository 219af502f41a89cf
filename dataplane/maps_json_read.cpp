// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
#include <arpa/inet.h>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <vector>

#include "bpf/run/run_context.h"
#include "dataplane/btf_json.h"
#include "dataplane/maps_json.h"

namespace xdplane {
namespace {

using Bytes = std::vector<u8>;

/// The address family that data of a trie's keys may be; 0: none.
int family_of(const Map& map) {
    if (map.spec().type != BPF_MAP_TYPE_LPM_TRIE) return 0;
    return map.spec().key_size == 8 ? AF_INET : map.spec().key_size == 20 ? AF_INET6 : 0;
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

/// "key" or, if that is missing, "key_fields".
const Json* part(const Json& entry, const char* name, const char* fields_name) {
    if (const auto it = entry.find(name); it != entry.end()) return &*it;
    if (const auto it = entry.find(fields_name); it != entry.end()) return &*it;
    return nullptr;
}

Result<> read_key(const Map& map, const Json& entry, Bytes& key) {
    if (const Json* json = part(entry, "key", "key_fields"))
        return bytes_from_json(map, map.spec().btf_key_type_id, *json, key);
    const int family = family_of(map);
    if (const auto it = entry.find("prefix"); it != entry.end() && family != 0)
        return read_prefix(family, *it, key);
    return fail(EINVAL, "is missing");
}

/// A buffer for reading values, once upon zeros and once upon ones: bits that are the same then are given.
struct Value {
    Bytes bits;
    Bytes ones;
    Bytes mask;

    explicit Value(u32 size) : bits(size), ones(size), mask(size) {}
    Result<> read(const Map& map, const Json& json) {
        std::fill(bits.begin(), bits.end(), u8{0});
        std::fill(ones.begin(), ones.end(), u8{0xff});
        if (auto done = value_from_json(map, json, bits); !done) return done;
        if (auto done = value_from_json(map, json, ones); !done) return done;
        for (std::size_t i = 0; i < mask.size(); ++i) mask[i] = static_cast<u8>(~(bits[i] ^ ones[i]));
        return {};
    }
};

Result<> read_entry(const Map& map, const Json& entry, Bytes& key, Value& value) {
    if (!entry.is_object()) return fail(EINVAL, "is not an object with a key and a value");
    for (const auto& [name, ignored] : entry.items())
        if (name != "key" && name != "value" && name != "key_fields" && name != "value_fields" &&
            (name != "prefix" || family_of(map) == 0))
            return fail(EINVAL, "has an unknown part '{}'", name);
    const Json* json = part(entry, "value", "value_fields");
    if (json == nullptr) return fail(EINVAL, "has no value");
    std::fill(key.begin(), key.end(), u8{0});
    if (!key.empty()) {
        if (auto done = read_key(map, entry, key); !done) return fail(done.error(), "key");
    }
    if (auto done = value.read(map, *json); !done) return fail(done.error(), "value");
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

Result<Json> parse(std::string_view text) {
    try {
        return Json::parse(text);
    } catch (const nlohmann::json::exception& error) {
        // "[json.exception.parse_error.101] parse error at line 1, column 1: ..."
        const std::string_view reason = error.what();
        const std::size_t end = reason.find("] ");
        return fail(EINVAL, "{}", end == std::string_view::npos ? reason : reason.substr(end + 2));
    }
}

} // namespace

Result<> bytes_from_json(const Map& map, u32 type, const Json& json, std::span<u8> bytes) {
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

Result<> value_from_json(const Map& map, const Json& json, std::span<u8> value) {
    const MapSpec& spec = map.spec();
    if (!map.ops().per_cpu) return bytes_from_json(map, spec.btf_value_type_id, json, value);
    const u32 cpus = num_possible_cpus();
    const u32 stride = (spec.value_size + 7) & ~7U;
    // One value for a per-CPU map is every CPU's; but an array type of BTF is an array itself.
    const bool each = json.is_array() && json.size() == cpus;
    if (json.is_array() && !each)
        return fail(EINVAL, "has {} values, and there are {} CPUs", json.size(), cpus);
    for (u32 cpu = 0; cpu < cpus; ++cpu) {
        const auto one = value.subspan(std::size_t{cpu} * stride, spec.value_size);
        if (auto done = bytes_from_json(map, spec.btf_value_type_id, each ? json[cpu] : json, one); !done)
            return done;
    }
    return {};
}

Result<MapEntries> parse_json_entries(const NamedMap& named, std::string_view text, const std::string& path) {
    const Map& map = *named.map;
    const std::string where = fmt::format("{}: map {}", path, named.name);
    const auto root = parse(text);
    if (!root) return fail(root.error(), where);
    const auto list = find_entries(named, *root);
    if (!list) return fail(list.error(), where);
    MapEntries entries(map, where, MapEntries::Position::entry);
    Bytes key(map.spec().key_size);
    Value value(map.syscall_value_size());
    u32 number = 0;
    for (const Json& entry : **list) {
        if (auto done = read_entry(map, entry, key, value); !done)
            return fail(done.error(), fmt::format("{}: entry {}", where, number));
        entries.add(key, number++, entries.value(value.bits, value.mask));
    }
    return entries;
}

} // namespace xdplane
