// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
#include "tests/support/filter_case.h"

#include <cctype>
#include <fstream>
#include <stdexcept>

#include <fmt/format.h>
#include <linux/bpf.h>
#include <nlohmann/json.hpp>

namespace xdplane::test {
namespace {

using Json = nlohmann::json;
using Kind = BytePattern::Kind;

int nibble(char c) {
    if (c >= '0' && c <= '9') return c - '0';
    if (c >= 'a' && c <= 'f') return c - 'a' + 10;
    throw std::runtime_error(fmt::format("'{}' is not a lower-case hex digit", c));
}

/// Two digits a byte, blanks between them; "??" is any byte, and bytes in brackets depend on the clock.
BytePattern parse_pattern(const std::string& text) {
    BytePattern pattern;
    bool clocked = false;
    for (std::size_t i = 0; i < text.size(); i++) {
        char c = text[i];
        if (c == ' ') continue;
        if (c == '[' || c == ']') {
            if (clocked == (c == '[')) throw std::runtime_error("brackets do not match");
            clocked = c == '[';
            continue;
        }
        if (++i == text.size()) throw std::runtime_error("half a byte at the end");
        if (c == '?' && text[i] == '?') {
            pattern.bytes.push_back('\0');
            pattern.kinds.push_back(Kind::any);
            continue;
        }
        pattern.bytes.push_back(static_cast<char>(nibble(c) * 16 + nibble(text[i])));
        pattern.kinds.push_back(clocked ? Kind::clocked : Kind::exact);
    }
    if (clocked) throw std::runtime_error("brackets do not match");
    return pattern;
}

std::string parse_bytes(const std::string& text) {
    BytePattern pattern = parse_pattern(text);
    for (Kind kind : pattern.kinds)
        if (kind != Kind::exact) throw std::runtime_error("these bytes must be exact");
    return pattern.bytes;
}

std::uint32_t parse_verdict(const std::string& text) {
    static const char* const names[] = {"XDP_ABORTED", "XDP_DROP", "XDP_PASS", "XDP_TX", "XDP_REDIRECT"};
    for (std::uint32_t i = 0; i < std::size(names); i++)
        if (text == names[i]) return i;
    throw std::runtime_error(fmt::format("'{}' is not a verdict", text));
}

/// A misspelt key would silently weaken a case.
void allow_only(const Json& object, std::initializer_list<const char*> keys) {
    for (const auto& [key, value] : object.items()) {
        bool known = false;
        for (const char* k : keys) known = known || key == k;
        if (!known) throw std::runtime_error(fmt::format("unknown key '{}'", key));
    }
}

std::vector<MapContents> parse_maps(const Json& json) {
    std::vector<MapContents> maps;
    for (const auto& [name, entries] : json.items()) {
        MapContents contents{name, {}};
        for (const Json& entry : entries) {
            allow_only(entry, {"key", "value"});
            contents.entries.push_back({parse_bytes(entry.at("key")), parse_pattern(entry.at("value"))});
        }
        maps.push_back(std::move(contents));
    }
    return maps;
}

PacketStep parse_packet(const Json& json) {
    allow_only(json, {"name", "in", "verdict", "out", "now_ns", "clocked"});
    PacketStep step;
    step.name = json.at("name");
    step.in = parse_bytes(json.at("in"));
    step.verdict = parse_verdict(json.at("verdict"));
    step.out = json.contains("out") ? parse_bytes(json.at("out")) : step.in;
    step.now_ns = json.value("now_ns", std::uint64_t{0});
    step.clocked = json.value("clocked", false);
    return step;
}

void parse_case(const Json& json, FilterCase& out) {
    allow_only(json, {"name", "program", "rodata", "maps", "stages", "packets", "expect"});
    for (char c : out.name)
        if (!std::islower(static_cast<unsigned char>(c)) && !std::isdigit(static_cast<unsigned char>(c)) &&
            c != '_')
            throw std::runtime_error("a case's name is [a-z0-9_]+");
    out.program = json.at("program");
    if (json.contains("rodata"))
        for (const auto& [variable, bytes] : json.at("rodata").items())
            out.rodata.emplace_back(variable, parse_bytes(bytes));
    if (json.contains("maps")) out.maps = parse_maps(json.at("maps"));
    if (json.contains("stages"))
        for (const auto& [slot, program] : json.at("stages").items())
            out.stages.emplace_back(static_cast<std::uint32_t>(std::stoul(slot)), program);
    for (const Json& packet : json.at("packets")) out.packets.push_back(parse_packet(packet));
    if (out.packets.empty()) throw std::runtime_error("no packets");
    if (json.contains("expect")) out.expect = parse_maps(json.at("expect"));
}

} // namespace

std::vector<FilterCase> read_filter_cases(const std::filesystem::path& file) {
    std::string name = "(file)";
    try {
        std::ifstream in(file);
        if (!in) throw std::runtime_error("cannot be opened");
        Json json = Json::parse(in);
        allow_only(json, {"object", "cases"});
        std::vector<FilterCase> cases;
        for (const Json& entry : json.at("cases")) {
            FilterCase test;
            test.object = json.at("object");
            name = test.name = entry.at("name");
            parse_case(entry, test);
            for (const FilterCase& other : cases)
                if (other.name == test.name) throw std::runtime_error("the name is taken");
            cases.push_back(std::move(test));
        }
        if (cases.empty()) throw std::runtime_error("no cases");
        return cases;
    } catch (const std::exception& e) {
        throw std::runtime_error(fmt::format("{}: case {}: {}", file.string(), name, e.what()));
    }
}

} // namespace xdplane::test
