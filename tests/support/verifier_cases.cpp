// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
#include "tests/support/verifier_cases.h"

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "bpf/maps/map_types.h"

namespace xdplane::test {
namespace {

struct NamedNumber {
    std::string_view name;
    u32 number;
};
constexpr NamedNumber kAttachTypes[] = {
    {"ingress", BPF_CGROUP_INET_INGRESS},
    {"egress", BPF_CGROUP_INET_EGRESS},
    {"devmap", BPF_XDP_DEVMAP},
    {"cpumap", BPF_XDP_CPUMAP},
};
constexpr NamedNumber kMapFlags[] = {
    {"rdonly", BPF_F_RDONLY_PROG},
    {"wronly", BPF_F_WRONLY_PROG},
    {"no_prealloc", BPF_F_NO_PREALLOC},
    {"inner_map", BPF_F_INNER_MAP},
};
constexpr NamedNumber kProgramFlags[] = {
    {"strict", BPF_F_STRICT_ALIGNMENT},
    {"test_state_freq", BPF_F_TEST_STATE_FREQ},
};

template<std::size_t N>
std::optional<u32> number_of(const NamedNumber (&rows)[N], std::string_view name) {
    for (const NamedNumber& row : rows)
        if (row.name == name) return row.number;
    return std::nullopt;
}

std::optional<u32> parse_number(std::string_view text) {
    u32 number = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
    if (error != std::errc{} || end != text.data() + text.size()) return std::nullopt;
    return number;
}

std::string trimmed(const std::string& text) {
    const auto first = text.find_first_not_of(" \t");
    if (first == std::string::npos) return {};
    return text.substr(first, text.find_last_not_of(" \t") - first + 1);
}

/// "frozen", "data=HEX" and the like.
bool parse_map_word(CaseMap& map, const std::string& word) {
    if (const auto flag = number_of(kMapFlags, word)) {
        map.flags |= *flag;
        return true;
    }
    const auto equals = word.find('=');
    const std::string key = word.substr(0, equals);
    if (word == "frozen") {
        map.frozen = true;
        return true;
    }
    if (equals == std::string::npos) return false;
    const std::string value = word.substr(equals + 1);
    if (key == "data") {
        for (std::size_t i = 0; i + 1 < value.size(); i += 2)
            map.data.push_back(static_cast<u8>(std::stoul(value.substr(i, 2), nullptr, 16)));
        return true;
    }
    if (key == "owner") {
        map.owner = value;
        return type_of_name(value) != nullptr;
    }
    const auto number = parse_number(value);
    if (!number) return false;
    if (key == "extra")
        map.extra = *number;
    else if (key == "lock")
        map.lock = static_cast<i32>(*number);
    else if (key == "timer")
        map.timer = static_cast<i32>(*number);
    else
        return false;
    return true;
}

Result<CaseMap> parse_map(const std::string& text) {
    std::istringstream in(text);
    CaseMap map;
    if (!(in >> map.kind >> map.key_size >> map.value_size >> map.entries))
        return fail(EINVAL, "bad map: {}", text);
    if (map.type() == 0) return fail(EINVAL, "no such map type: {}", map.kind);
    for (std::string word; in >> word;)
        if (!parse_map_word(map, word)) return fail(EINVAL, "bad map: {}", text);
    return map;
}

/// "global int (ctx, mem 16)"
Result<CaseFunction> parse_function(const std::string& text) {
    CaseFunction function;
    std::string linkage;
    std::istringstream in(text);
    in >> linkage >> function.returns;
    const auto open = text.find('(');
    const auto close = text.find(')');
    if ((linkage != "static" && linkage != "global") || open == std::string::npos ||
        close == std::string::npos)
        return fail(EINVAL, "bad function: {}", text);
    function.global = linkage == "global";
    std::istringstream list(text.substr(open + 1, close - open - 1));
    for (std::string argument; std::getline(list, argument, ',');)
        function.arguments.push_back(trimmed(argument));
    return function;
}

/// Lines whose value is a word of a table, or has a form of its own.
Result<> parse_structured(VerifierCase& one, const std::string& key, const std::string& value) {
    if (key == "map" || key == "inner") {
        auto map = parse_map(value);
        if (!map) return fail(map.error());
        if (key == "map") {
            one.maps.push_back(std::move(*map));
        } else {
            if (one.maps.empty()) return fail(EINVAL, "inner: of no map");
            one.maps.back().inner = std::make_shared<CaseMap>(std::move(*map));
        }
        return {};
    }
    if (key == "func") {
        auto function = parse_function(value);
        if (!function) return fail(function.error());
        one.functions.push_back(std::move(*function));
        one.btf = true;
        return {};
    }
    if (key == "flags") {
        std::istringstream in(value);
        for (std::string word; std::getline(in, word, ',');) {
            const auto flag = number_of(kProgramFlags, trimmed(word));
            if (!flag) return fail(EINVAL, "no such flag: {}", word);
            one.flags |= *flag;
        }
        return {};
    }
    if (key == "func-info") {
        one.info_fault = value;
        one.btf = true;
        if (value != "missing" && value != "misplaced") return fail(EINVAL, "no such fault: {}", value);
        return {};
    }
    if (key == "attach") {
        const auto number =
            number_of(kAttachTypes, value) ? number_of(kAttachTypes, value) : parse_number(value);
        if (!number) return fail(EINVAL, "no such attach type: {}", value);
        one.attach = *number;
        return {};
    }
    return fail(EINVAL, "unknown key \"{}\"", key);
}

/// One "key: value" line.
Result<> parse_line(VerifierCase& one, const std::string& key, const std::string& value) {
    if (key == "type") {
        one.type = value;
    } else if (key == "gpl") {
        one.gpl = value == "yes";
    } else if (key == "unprivileged") {
        one.privileged = value != "yes";
    } else if (key == "btf" && value == "functions") {
        one.btf = true;
    } else if (key == "accept") {
        one.accept = true;
    } else if (key == "reject") {
        one.message = value;
    } else if (key == "kind") {
        one.kind = value;
    } else if (key == "explain") {
        one.explanation.push_back(value);
    } else if (key == "kernel") {
        one.kernel = value;
    } else if (key == "kernel-words") {
        one.kernel_words = value;
    } else if (key == "kernel-slow") {
        one.kernel_slow = value;
    } else {
        return parse_structured(one, key, value);
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
    for (const MapType& row : map_types())
        if (kind == row.ops->name) return row.type;
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

} // namespace xdplane::test
