// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
#include "tests/support/verifier_log_lines.h"

#include <algorithm>
#include <cctype>
#include <fmt/format.h>
#include <map>

namespace xdplane::test {
namespace {

constexpr LogException kExceptions[] = {
    {"mark_precise: ", "how precision is tracked: Linux walks its jump history, xdplane every step"},
    {"(0) frame", "how Linux 6.18 tracks which stack slots are live"},
    {"frame 0: propagating ", "the same"},
    {"frame 1: propagating ", "the same"},
    {"frame 2: propagating ", "the same"},
};

bool is_digit(char c) { return std::isdigit(static_cast<unsigned char>(c)) != 0; }

/// "refs=2,3" and "id=2+4": numbers that only tell things apart.
class Names {
public:
    std::string rename(std::string_view line) {
        std::string out;
        for (std::size_t at = 0; at < line.size();) {
            const std::string_view word = id_word(line, at);
            if (word.empty()) {
                out += line[at++];
                continue;
            }
            out += word;
            at += word.size();
            bool list = true;
            while (list) {
                std::string number;
                while (at < line.size() && is_digit(line[at])) number += line[at++];
                out += name_of(number);
                list = word == "refs=" && at + 1 < line.size() && line[at] == ',' && is_digit(line[at + 1]);
                if (list) out += line[at++];
            }
        }
        return out;
    }

private:
    static std::string_view id_word(std::string_view line, std::size_t at) {
        static constexpr std::string_view kWords[] = {"ref_obj_id=", "dynptr_id=", "ref_id=", "refs=", "id="};
        for (const std::string_view word : kWords)
            if (line.substr(at).starts_with(word) && at + word.size() < line.size() &&
                is_digit(line[at + word.size()]))
                return word;
        return {};
    }
    std::string name_of(const std::string& number) {
        const auto known = names_.try_emplace(number, names_.size() + 1).first;
        return fmt::format("#{}", known->second);
    }
    std::map<std::string, std::size_t> names_;
};

/// Addresses of maps, the time, and the components of the flow graph in "Live regs before insn:".
std::string without_accidents(std::string line) {
    static constexpr std::string_view kTime = "verification time ";
    if (line.starts_with(kTime)) return std::string(kTime);
    if (const auto load = line.find("(18) r"); load != std::string::npos) {
        const auto value = line.find(" = ", load);
        const auto end = line.find_first_of(" \n", value + 3);
        const std::string operand = value == std::string::npos ? "" : line.substr(value + 3, end - value - 3);
        // What stands behind is in a column: its distance changes with the length.
        std::string rest = end == std::string::npos ? "" : line.substr(end);
        rest.erase(0, std::min(rest.find_first_not_of(' '), rest.size()));
        const bool address = operand.starts_with("0xffff") || operand.starts_with("map[") || operand == "0x0";
        if (address) line = line.substr(0, value) + " = MAP " + rest;
    }
    const auto colon = line.find(": ");
    const bool live = line.size() > 20 && line[0] == ' ' && colon == 7;
    if (live) line.replace(0, 4, "    ");
    return line;
}

} // namespace

std::span<const LogException> log_exceptions() { return kExceptions; }

std::vector<std::string> comparable_lines(std::string_view log) {
    std::vector<std::string> lines;
    Names names;
    while (!log.empty()) {
        const std::size_t end = std::min(log.find('\n'), log.size());
        const std::string_view line = log.substr(0, end);
        log.remove_prefix(std::min(end + 1, log.size()));
        const bool excepted = std::ranges::any_of(
            kExceptions, [&](const LogException& one) { return line.starts_with(one.begins); });
        if (!excepted) lines.push_back(names.rename(without_accidents(std::string(line))));
    }
    return lines;
}

u64 same_lines(const std::vector<std::string>& a, const std::vector<std::string>& b) {
    // Ends that agree are most of it.
    std::size_t head = 0;
    while (head < a.size() && head < b.size() && a[head] == b[head]) ++head;
    std::size_t tail = 0;
    while (tail + head < a.size() && tail + head < b.size() &&
           a[a.size() - 1 - tail] == b[b.size() - 1 - tail])
        ++tail;
    std::vector<u32> row(b.size() - head - tail + 1);
    for (std::size_t i = head; i < a.size() - tail; ++i) {
        u32 diagonal = 0;
        for (std::size_t j = 1; j < row.size(); ++j) {
            const u32 above = row[j];
            row[j] = a[i] == b[head + j - 1] ? diagonal + 1 : std::max(above, row[j - 1]);
            diagonal = above;
        }
    }
    return head + tail + row.back();
}

std::string first_difference(const std::vector<std::string>& kernel, const std::vector<std::string>& own) {
    std::size_t at = 0;
    while (at < kernel.size() && at < own.size() && kernel[at] == own[at]) ++at;
    if (at == kernel.size() && at == own.size()) return {};
    const auto line = [&](const std::vector<std::string>& log) {
        return at < log.size() ? log[at] : "(end)";
    };
    return fmt::format("line {}\nkernel: {}\nhere:   {}", at + 1, line(kernel), line(own));
}

} // namespace xdplane::test
