// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
#include "tests/support/verifier_cases.h"

#include <algorithm>
#include <cerrno>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "bpf/isa/assembler.h"

namespace xdplane::test {
namespace {

struct KindRow {
    const char* name;
    u32 type;
};
constexpr KindRow kKinds[] = {
    {"array", BPF_MAP_TYPE_ARRAY},
    {"hash", BPF_MAP_TYPE_HASH},
    {"percpu_array", BPF_MAP_TYPE_PERCPU_ARRAY},
    {"percpu_hash", BPF_MAP_TYPE_PERCPU_HASH},
    {"prog_array", BPF_MAP_TYPE_PROG_ARRAY},
};

class FakeMap final : public Map {
public:
    FakeMap(const MapOps& ops, MapSpec spec, std::vector<u8> data)
        : Map(ops, std::move(spec)), data_(std::move(data)) {
        data_.resize((this->spec().value_size + 7) / 8 * 8);
    }
    u8* data() { return data_.data(); }

private:
    std::vector<u8> data_;
};

void* no_lookup(Map&, const void*) noexcept { return nullptr; }
int no_update(Map&, const void*, const void*, u64) noexcept { return -EINVAL; }
int no_erase(Map&, const void*) noexcept { return -EINVAL; }
u8* first_value(Map& map) {
    return map.spec().max_entries == 1 ? static_cast<FakeMap&>(map).data() : nullptr;
}

MapOps ops_of(u32 type) {
    MapOps ops{};
    ops.name = "fake";
    if (type == BPF_MAP_TYPE_PROG_ARRAY) return ops;
    ops.lookup = no_lookup;
    ops.update = no_update;
    ops.erase = no_erase;
    if (type == BPF_MAP_TYPE_ARRAY) ops.direct_value = first_value;
    ops.array_like = type == BPF_MAP_TYPE_ARRAY || type == BPF_MAP_TYPE_PERCPU_ARRAY;
    ops.per_cpu = type == BPF_MAP_TYPE_PERCPU_ARRAY || type == BPF_MAP_TYPE_PERCPU_HASH;
    return ops;
}

Result<CaseMap> parse_map(const std::string& text) {
    std::istringstream in(text);
    CaseMap map;
    if (!(in >> map.kind >> map.key_size >> map.value_size >> map.entries))
        return fail(EINVAL, "bad map: {}", text);
    if (std::none_of(std::begin(kKinds), std::end(kKinds),
                     [&](const KindRow& k) { return map.kind == k.name; }))
        return fail(EINVAL, "no such map type: {}", map.kind);
    for (std::string word; in >> word;) {
        if (word == "rdonly")
            map.flags |= BPF_F_RDONLY_PROG;
        else if (word == "wronly")
            map.flags |= BPF_F_WRONLY_PROG;
        else if (word == "frozen")
            map.frozen = true;
        else if (word.starts_with("data="))
            for (std::size_t i = 5; i + 1 < word.size(); i += 2)
                map.data.push_back(static_cast<u8>(std::stoul(word.substr(i, 2), nullptr, 16)));
        else
            return fail(EINVAL, "bad map: {}", text);
    }
    return map;
}

std::string trimmed(const std::string& text) {
    const auto first = text.find_first_not_of(" \t");
    if (first == std::string::npos) return {};
    return text.substr(first, text.find_last_not_of(" \t") - first + 1);
}

/// One "key: value" line.
Result<> parse_line(VerifierCase& one, const std::string& key, const std::string& value) {
    if (key == "type") {
        one.type = value;
    } else if (key == "map") {
        auto map = parse_map(value);
        if (!map) return fail(map.error());
        one.maps.push_back(std::move(*map));
    } else if (key == "flags" && value == "strict") {
        one.flags = BPF_F_STRICT_ALIGNMENT;
    } else if (key == "gpl") {
        one.gpl = value == "yes";
    } else if (key == "accept") {
        one.accept = true;
    } else if (key == "reject") {
        one.message = value;
    } else if (key == "kernel") {
        one.kernel = value;
    } else if (key == "kernel-slow") {
        one.kernel_slow = value;
    } else {
        return fail(EINVAL, "unknown key \"{}\"", key);
    }
    return {};
}

Result<> read_file(const std::filesystem::path& path, std::vector<VerifierCase>& out) {
    std::ifstream in(path);
    if (!in) return fail(ENOENT, "{}: cannot be read", path.string());
    bool in_program = false;
    int number = 0;
    for (std::string line; std::getline(in, line);) {
        ++number;
        const auto colon = line.find(':');
        if (line.starts_with("case:")) {
            out.push_back({.file = path.stem().string(), .name = trimmed(line.substr(5))});
            in_program = false;
        } else if (in_program) {
            out.back().program.append(line).append(1, '\n');
        } else if (trimmed(line).empty() || line[0] == '#') {
            continue;
        } else if (out.empty() || colon == std::string::npos) {
            return fail(EINVAL, "{}:{}: not \"key: value\"", path.string(), number);
        } else if (line.starts_with("prog:")) {
            in_program = true;
        } else if (auto r = parse_line(out.back(), line.substr(0, colon), trimmed(line.substr(colon + 1)));
                   !r) {
            return fail(r.error(), fmt::format("{}:{}", path.string(), number));
        }
    }
    return {};
}

} // namespace

u32 CaseMap::type() const {
    for (const KindRow& row : kKinds)
        if (kind == row.name) return row.type;
    return 0;
}

Result<std::vector<VerifierCase>> read_cases(const std::string& folder) {
    std::vector<std::filesystem::path> files;
    for (const auto& entry : std::filesystem::directory_iterator(folder))
        if (entry.path().extension() == ".data") files.push_back(entry.path());
    std::sort(files.begin(), files.end());
    std::vector<VerifierCase> cases;
    for (const auto& file : files)
        if (auto r = read_file(file, cases); !r) return fail(r.error());
    for (const VerifierCase& one : cases)
        if (one.accept == !one.message.empty())
            return fail(EINVAL, "{}: {}: needs either accept or reject", one.file, one.name);
    return cases;
}

std::shared_ptr<Map> make_fake_map(const CaseMap& c) {
    static const MapOps kOps[] = {ops_of(BPF_MAP_TYPE_ARRAY), ops_of(BPF_MAP_TYPE_HASH),
                                  ops_of(BPF_MAP_TYPE_PERCPU_ARRAY), ops_of(BPF_MAP_TYPE_PERCPU_HASH),
                                  ops_of(BPF_MAP_TYPE_PROG_ARRAY)};
    const auto row = std::find_if(std::begin(kKinds), std::end(kKinds),
                                  [&](const KindRow& k) { return c.kind == k.name; });
    MapSpec spec;
    spec.type = c.type();
    spec.key_size = c.key_size;
    spec.value_size = c.value_size;
    spec.max_entries = c.entries;
    spec.flags = c.flags;
    spec.name = c.kind;
    auto map = std::make_shared<FakeMap>(kOps[row - std::begin(kKinds)], std::move(spec), c.data);
    if (c.frozen) map->freeze();
    return map;
}

Result<VerifyRequest> make_request(const VerifierCase& one) {
    auto insns = assemble(one.program);
    if (!insns) return fail(insns.error(), one.name);
    VerifyRequest request;
    for (const ProgramType& type : program_types())
        if (type.name == one.type) request.type = &type;
    if (request.type == nullptr) return fail(EINVAL, "{}: no program type {}", one.name, one.type);
    request.flags = one.flags;
    request.insns = std::move(*insns);
    request.gpl_compatible = one.gpl;
    std::vector<std::shared_ptr<Map>> maps;
    for (const CaseMap& map : one.maps) maps.push_back(make_fake_map(map));
    request.map_by_fd = [maps](i32 fd) -> Result<std::shared_ptr<Map>> {
        if (fd < 1 || static_cast<std::size_t>(fd) > maps.size()) return fail(EBADF, "no map {}", fd);
        return maps[static_cast<std::size_t>(fd) - 1];
    };
    return request;
}

} // namespace xdplane::test
