// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
#include "tests/isa/isa_case.h"

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <fstream>
#include <set>
#include <sstream>

#include "bpf/isa/assembler.h"
#include "tests/support/hex.h"

namespace xdplane {
namespace {

/// A case as written, before "with" lines make cases of it.
struct Template {
    u32 line = 0;
    std::string name;
    std::string text;
    std::vector<std::pair<std::string, std::string>> directives;
    struct With {
        u32 line;
        std::vector<std::pair<std::string, std::string>> values;
    };
    std::vector<With> withs;
};

std::optional<u64> parse_number(std::string_view text) {
    const bool negative = text.starts_with('-');
    if (negative) text.remove_prefix(1);
    const bool hex = text.starts_with("0x");
    if (hex) text.remove_prefix(2);
    u64 value = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value, hex ? 16 : 10);
    if (error != std::errc() || end != text.data() + text.size() || text.empty()) return std::nullopt;
    return negative ? 0 - value : value;
}

std::optional<std::vector<u8>> parse_numbers(std::string text) {
    std::ranges::replace(text, ',', ' ');
    std::vector<u8> bytes;
    std::istringstream words(text);
    for (std::string word; words >> word;) {
        const std::optional<u64> value = parse_number(word);
        if (!value) return std::nullopt;
        for (u32 i = 0; i < 8; ++i) bytes.push_back(static_cast<u8>(*value >> (8 * i)));
    }
    return bytes;
}

/// Longest names first, so that $ab is not taken for $a.
std::string substitute(std::string text, std::vector<std::pair<std::string, std::string>> values) {
    std::ranges::sort(values, [](const auto& a, const auto& b) { return a.first.size() > b.first.size(); });
    for (const auto& [name, value] : values) {
        const std::string mark = "$" + name;
        for (std::size_t at = 0; (at = text.find(mark, at)) != std::string::npos; at += value.size())
            text.replace(at, mark.size(), value);
    }
    return text;
}

/// Fills one field; false if the directive or its value makes no sense.
bool apply(IsaCase& c, const std::string& directive, const std::string& value) {
    if (directive == "mem" || directive == "packet") {
        const auto bytes = parse_hex(value);
        if (bytes) c.memory = *bytes;
        c.packet = directive == "packet";
        return bytes.has_value();
    }
    if (directive == "mem64") {
        const auto bytes = parse_numbers(value);
        if (bytes) c.memory = *bytes;
        return bytes.has_value();
    }
    if (directive == "after") return (c.after = parse_hex(value)).has_value();
    if (directive == "after64") return (c.after = parse_numbers(value)).has_value();
    if (directive == "result") {
        const auto number = parse_number(value);
        c.result = number.value_or(0);
        return number.has_value();
    }
    if (directive == "error") return !(c.error = value).empty();
    if (directive == "kernel") {
        if (!value.starts_with("no ")) return false;
        c.kernel_skip = value.substr(3);
        return true;
    }
    return false;
}

Result<IsaCase> make_case(const std::string& file, const Template& from, const Template::With& with,
                          u32 number) {
    IsaCase c;
    c.file = file;
    c.line = with.line;
    c.name = number == 0 ? from.name : fmt::format("{}_{}", from.name, number);
    c.text = substitute(from.text, with.values);
    if (c.text.find('$') != std::string::npos)
        return fail(EINVAL, "{}:{}: a $ is left over", file, with.line);
    std::set<std::string> seen;
    const auto take = [&](const std::string& directive, const std::string& value) {
        seen.insert(directive);
        return apply(c, directive, substitute(value, with.values));
    };
    for (const auto& [directive, value] : from.directives)
        if (!take(directive, value))
            return fail(EINVAL, "{}:{}: cannot read '{} {}'", file, with.line, directive, value);
    for (const auto& [name, value] : with.values)
        if ((name == "result" || name == "after64" || name == "error") && !take(name, value))
            return fail(EINVAL, "{}:{}: cannot read '{}={}'", file, with.line, name, value);
    if (seen.contains("result") == seen.contains("error"))
        return fail(EINVAL, "{}:{}: a case has either a result or an error", file, with.line);
    Result<std::vector<Insn>> insns = assemble(c.text);
    if (!insns) return fail(insns.error(), fmt::format("{}:{}: {}", file, with.line, c.name));
    c.insns = std::move(*insns);
    return c;
}

std::string trimmed(std::string text) {
    const std::size_t first = text.find_first_not_of(" \t");
    if (first == std::string::npos) return "";
    return text.substr(first, text.find_last_not_of(" \t") - first + 1);
}

/// A=B C="D E"
bool read_values(std::string_view text, std::vector<std::pair<std::string, std::string>>& values) {
    while (!text.empty()) {
        const std::size_t equals = text.find('=');
        if (equals == std::string_view::npos || equals == 0) return false;
        const std::string name(text.substr(0, equals));
        text.remove_prefix(equals + 1);
        const bool quoted = text.starts_with('"');
        if (quoted) text.remove_prefix(1);
        const std::size_t end = std::min(text.find(quoted ? '"' : ' '), text.size());
        values.emplace_back(name, text.substr(0, end));
        text.remove_prefix(std::min(end + 1, text.size()));
        text.remove_prefix(std::min(text.find_first_not_of(' '), text.size()));
    }
    return true;
}

Result<std::vector<Template>> read_templates(std::istream& in, const std::string& file) {
    std::vector<Template> templates;
    u32 number = 0;
    for (std::string line; std::getline(in, line);) {
        ++number;
        if (line.starts_with('#') || trimmed(line).empty()) continue;
        if (line[0] != ' ' && line.starts_with("case ")) {
            templates.push_back({});
            templates.back().line = number;
            templates.back().name = trimmed(line.substr(5));
            continue;
        }
        if (templates.empty()) return fail(EINVAL, "{}:{}: no case yet", file, number);
        Template& current = templates.back();
        if (line[0] == ' ') {
            current.text += line + "\n";
            continue;
        }
        const std::size_t space = std::min(line.find(' '), line.size());
        const std::string word = line.substr(0, space);
        const std::string rest = trimmed(line.substr(space));
        if (word != "with") {
            current.directives.emplace_back(word, rest);
            continue;
        }
        Template::With& with = current.withs.emplace_back();
        with.line = number;
        if (!read_values(rest, with.values))
            return fail(EINVAL, "{}:{}: cannot read '{}' as A=B or A=\"B C\"", file, number, rest);
    }
    return templates;
}

} // namespace

Result<std::vector<IsaCase>> read_isa_cases(const std::filesystem::path& directory) {
    std::vector<std::filesystem::path> files;
    std::error_code error;
    for (const auto& entry : std::filesystem::directory_iterator(directory, error))
        if (entry.path().extension() == ".data") files.push_back(entry.path());
    if (error) return fail(error.value(), "{}: {}", directory.string(), error.message());
    std::ranges::sort(files);

    std::vector<IsaCase> cases;
    std::set<std::string> names;
    for (const auto& path : files) {
        const std::string file = path.filename().string();
        std::ifstream in(path);
        Result<std::vector<Template>> templates = read_templates(in, file);
        if (!templates) return fail(templates.error());
        for (const Template& from : *templates) {
            std::vector<Template::With> withs = from.withs;
            if (withs.empty()) withs.push_back({from.line, {}});
            u32 number = from.withs.empty() ? 0 : 1;
            for (const Template::With& with : withs) {
                Result<IsaCase> made = make_case(file, from, with, number++);
                if (!made) return fail(made.error());
                if (!names.insert(made->name).second)
                    return fail(EINVAL, "{}:{}: a second case '{}'", file, made->line, made->name);
                cases.push_back(std::move(*made));
            }
        }
    }
    return cases;
}

} // namespace xdplane
