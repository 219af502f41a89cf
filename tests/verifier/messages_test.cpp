// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
//
// Every rejection of the verifier has a case: its messages, read from the sources, against what the cases of
// tests/verifier/*.data are rejected with. What no program can provoke stands in a table, with the reason.
#include <algorithm>
#include <filesystem>
#include <fstream>
#include <gtest/gtest.h>
#include <iterator>
#include <map>
#include <regex>
#include <set>
#include <vector>

#include "tests/support/places.h"
#include "tests/support/verifier_cases.h"

namespace xdplane::test {
namespace {

struct Unprovoked {
    std::string_view message;
    std::string_view why;
};
constexpr Unprovoked kUnprovoked[] = {
    {"unsupported program type", "PROG_LOAD refuses unknown types before it comes to the verifier"},
    {"kernel btf_id {} is not a function: {}", "the system must have no readable BTF of its kernel"},
    {"invalid map_ptr to access map->key", "every helper that takes a key takes its map before"},
    {"invalid map_ptr to access map->value", "every helper that takes a value takes its map before"},
    {"verifier bug: bpf_{} has memory without a size", "a helper's row would have to be wrong"},
    {"verifier bug: unknown argument of a helper", "a helper's row would have to be wrong"},
    {"verifier bug: a value of no map", "a helper's row would have to be wrong"},
    {"kernel pointers are not supported", "no helper that takes or gives one has a row"},
    {"Expected a dynptr of type ringbuf as arg #{}", "only dynptrs of a ring buffer have a reference"},
    {"reference has not been acquired before", "registers lose a reference together with the state"},
    {"Locking two bpf_spin_locks are not allowed",
     "under a lock every call but the unlocking one is refused"},
    {"The states of the program take more than {} MB", "the test would take that much memory, and long"},
    {"R{} variable offset stack access prohibited for !root, var_off={}",
     "the unprivileged cannot make such a pointer"},
};

std::string text_of(const std::filesystem::path& path) {
    std::ifstream in(path);
    return {std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>()};
}

/// What reject(CODE, "...") and fail(CODE, "...") say, literals in a row put together.
std::map<std::string, std::string> read_messages() {
    static const std::regex call(
        R"re(\b(?:reject|fail)\(\s*(?:E[A-Z0-9]+|k[A-Za-z]+),\s*((?:"(?:[^"\\]|\\.)*"\s*)+))re");
    static const std::regex literal(R"re("((?:[^"\\]|\\.)*)")re");
    std::map<std::string, std::string> messages;
    for (const auto& entry : std::filesystem::directory_iterator(source_path("bpf/verifier"))) {
        if (entry.path().extension() != ".cpp") continue;
        const std::string source = text_of(entry.path());
        for (std::sregex_iterator at(source.begin(), source.end(), call), end; at != end; ++at) {
            const std::string literals = (*at)[1];
            std::string message;
            for (std::sregex_iterator l(literals.begin(), literals.end(), literal); l != end; ++l)
                message += (*l)[1];
            message = std::regex_replace(message, std::regex(R"(\\n)"), "\n");
            messages.emplace(message, entry.path().filename());
        }
    }
    return messages;
}

/// The parts of a message between its arguments.
std::vector<std::string> parts_of(const std::string& message) {
    static const std::regex argument(R"re(\{[^}]*\})re");
    return {std::sregex_token_iterator(message.begin(), message.end(), argument, -1), {}};
}

/// `text` is an instance of the message.
bool is_instance(const std::string& text, const std::string& message) {
    const std::vector<std::string> parts = parts_of(message);
    if (!text.starts_with(parts[0])) return false;
    std::size_t at = parts[0].size();
    for (std::size_t i = 1; i < parts.size(); ++i) {
        const std::size_t found = text.find(parts[i], at);
        if (found == std::string::npos) return false;
        at = found + parts[i].size();
    }
    return message.ends_with('}') || text.ends_with(parts.back());
}

std::set<std::string> read_reasons() {
    std::set<std::string> reasons;
    const auto cases = read_cases(source_path("tests/verifier"));
    if (!cases) return reasons;
    for (const VerifierCase& one : *cases) {
        if (one.accept) continue;
        auto request = make_request(one);
        if (!request) continue;
        VerifierLog log;
        if (!verify(std::move(*request), log)) reasons.insert(log.reason);
    }
    return reasons;
}

TEST(VerifierMessages, EachHasACaseOrAReasonWhyNot) {
    const auto messages = read_messages();
    ASSERT_GT(messages.size(), 150U) << "the sources are not where they were, or written in another way";
    const auto reasons = read_reasons();
    ASSERT_GT(reasons.size(), messages.size() / 2);
    for (const auto& [message, file] : messages) {
        const bool provoked = std::ranges::any_of(
            reasons, [&](const std::string& reason) { return is_instance(reason, message); });
        const bool listed =
            std::ranges::any_of(kUnprovoked, [&](const Unprovoked& row) { return row.message == message; });
        EXPECT_TRUE(provoked || listed) << file << ": no case has the message: " << message;
        EXPECT_FALSE(provoked && listed) << "a case has what is said to be impossible: " << message;
    }
    for (const Unprovoked& row : kUnprovoked)
        EXPECT_TRUE(messages.contains(std::string(row.message))) << "is no message any more: " << row.message;
}

} // namespace
} // namespace xdplane::test
