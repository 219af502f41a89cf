// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
#include "tests/support/verifier_text.h"

#include <cctype>
#include <cstdlib>

namespace xdplane::test {
namespace {

bool take(std::string_view& text, std::string_view token) {
    if (!text.starts_with(token)) return false;
    text.remove_prefix(token.size());
    return true;
}

std::optional<u32> take_number(std::string_view& text) {
    if (text.empty() || std::isdigit(static_cast<unsigned char>(text[0])) == 0) return std::nullopt;
    u32 n = 0;
    while (!text.empty() && std::isdigit(static_cast<unsigned char>(text[0])) != 0) {
        n = n * 10 + static_cast<u32>(text[0] - '0');
        text.remove_prefix(1);
    }
    return n;
}

/// "R1=scalar(var_off=(0x0; 0xff)) fp-8=m...": parts are parted by spaces outside of parentheses.
StateText read_state(std::string_view text) {
    StateText state;
    std::size_t begin = 0;
    int depth = 0;
    for (std::size_t i = 0; i <= text.size(); ++i) {
        if (i < text.size() && text[i] == '(') ++depth;
        if (i < text.size() && text[i] == ')') --depth;
        if (i < text.size() && (text[i] != ' ' || depth > 0)) continue;
        const std::string_view part = text.substr(begin, i - begin);
        const auto equals = part.find('=');
        if (equals != std::string_view::npos)
            state[std::string(part.substr(0, equals))] = part.substr(equals + 1);
        begin = i + 1;
    }
    return state;
}

/// Everything after "from ".
std::optional<LogStep> read_branch(std::string_view line) {
    LogStep step{.kind = LogStep::Kind::branch};
    const auto from = take_number(line);
    if (!from || !take(line, " to ")) return std::nullopt;
    const auto to = take_number(line);
    if (!to || !take(line, ": ")) return std::nullopt;
    step.insn = *from;
    step.to = *to;
    step.pending = true;
    if (line == "safe")
        step.kind = LogStep::Kind::safe;
    else
        step.state = read_state(line);
    return step;
}

void read_line(std::string_view line, std::vector<LogStep>& steps) {
    if (take(line, "from ")) {
        if (auto step = read_branch(line)) steps.push_back(std::move(*step));
        return;
    }
    const auto insn = take_number(line);
    if (!insn || !take(line, ": ")) return;
    if (line == "safe") {
        steps.push_back({.kind = LogStep::Kind::safe, .insn = *insn, .to = *insn});
    } else if (line.starts_with('(')) {
        LogStep step{.insn = *insn};
        if (const auto behind = line.find("; "); behind != std::string_view::npos)
            step.state = read_state(line.substr(behind + 2));
        steps.push_back(std::move(step));
    } else if (!steps.empty() && steps.back().kind == LogStep::Kind::insn) {
        // The state of the insn before, because other lines came between.
        steps.back().state = read_state(line);
    } else if (steps.empty()) {
        steps.push_back(
            {.kind = LogStep::Kind::branch, .insn = *insn, .to = *insn, .state = read_state(line)});
    }
}

struct BoundName {
    std::string_view name;
    void (*set)(Range&, u64);
};
constexpr BoundName kBounds[] = {
    {"smin", [](Range& r, u64 v) { r.wide.smin = static_cast<i64>(v); }},
    {"smax", [](Range& r, u64 v) { r.wide.smax = static_cast<i64>(v); }},
    {"umin", [](Range& r, u64 v) { r.wide.umin = v; }},
    {"umax", [](Range& r, u64 v) { r.wide.umax = v; }},
    {"smin32", [](Range& r, u64 v) { r.narrow.smin = static_cast<i32>(v); }},
    {"smax32", [](Range& r, u64 v) { r.narrow.smax = static_cast<i32>(v); }},
    {"umin32", [](Range& r, u64 v) { r.narrow.umin = static_cast<u32>(v); }},
    {"umax32", [](Range& r, u64 v) { r.narrow.umax = static_cast<u32>(v); }},
};

u64 to_number(std::string_view text) {
    const std::string copy(text);
    if (copy.starts_with('-')) return static_cast<u64>(std::strtoll(copy.c_str(), nullptr, 0));
    return std::strtoull(copy.c_str(), nullptr, 0);
}

/// "smin=umin=5": every bound named gets the number.
void read_bounds(std::string_view field, Range& range) {
    const u64 value = to_number(field.substr(field.rfind('=') + 1));
    for (auto equals = field.find('='); equals != std::string_view::npos; equals = field.find('=')) {
        const std::string_view name = field.substr(0, equals);
        for (const BoundName& bound : kBounds)
            if (bound.name == name) bound.set(range, value);
        field.remove_prefix(equals + 1);
    }
}

void read_field(std::string_view field, ScalarText& out) {
    if (take(field, "id=")) {
        out.id = take_number(field).value_or(0);
        out.delta = static_cast<i32>(std::strtol(std::string(field).c_str(), nullptr, 10));
    } else if (take(field, "var_off=(")) {
        const auto middle = field.find("; ");
        out.range.bits.value = to_number(field.substr(0, middle));
        out.range.bits.mask = to_number(field.substr(middle + 2));
    } else {
        read_bounds(field, out.range);
    }
}

} // namespace

std::vector<LogStep> read_verifier_log(std::string_view log) {
    std::vector<LogStep> steps;
    // The list of live registers looks like insns.
    if (const auto start = log.find("\n0: R"); start != std::string_view::npos) log.remove_prefix(start + 1);
    while (!log.empty()) {
        const auto end = log.find('\n');
        read_line(log.substr(0, end), steps);
        log.remove_prefix(end == std::string_view::npos ? log.size() : end + 1);
    }
    return steps;
}

std::optional<ScalarText> read_scalar(std::string_view text) {
    ScalarText out;
    take(text, "P");
    if (!text.empty() && (text[0] == '-' || std::isdigit(static_cast<unsigned char>(text[0])) != 0)) {
        out.range = Range::constant(to_number(text));
        return out;
    }
    if (!take(text, "scalar(") || !text.ends_with(')')) return std::nullopt;
    text.remove_suffix(1);
    while (!text.empty()) {
        // var_off holds no comma, and comes last.
        const auto comma = text.find(',');
        read_field(text.substr(0, comma), out);
        text.remove_prefix(comma == std::string_view::npos ? text.size() : comma + 1);
    }
    return out;
}

std::string without_id(std::string_view text) {
    const auto id = text.find("(id=");
    if (id == std::string_view::npos) return std::string(text);
    auto end = text.find_first_of(",)", id);
    if (text[end] == ',') ++end;
    return std::string(text.substr(0, id + 1)) + std::string(text.substr(end));
}

} // namespace xdplane::test
