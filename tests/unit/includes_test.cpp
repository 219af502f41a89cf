// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
//
// Who may include whom: docs/architecture.md's order of directories, read from the sources themselves.
#include <array>
#include <filesystem>
#include <fstream>
#include <gtest/gtest.h>
#include <regex>
#include <string>
#include <string_view>

#include "tests/support/places.h"

namespace {

/// Each may include itself and what stands before it.
constexpr std::array<std::string_view, 18> kOrder{
    "bpf/base",   "bpf/run",      "bpf/isa",   "bpf/btf",     "bpf/maps", "bpf/helpers",
    "bpf/prog",   "bpf/verifier", "bpf/lower", "bpf/interp",  "bpf/jit",  "bpf/syscall",
    "bpf/remote", "bpf/libbpf",   "dataplane", "pcap_replay", "perf",     "cli"};

int rank_of(std::string_view path) {
    for (std::size_t i = 0; i < kOrder.size(); ++i)
        if (path.starts_with(kOrder[i]) && path.substr(kOrder[i].size()).starts_with('/'))
            return static_cast<int>(i);
    return -1;
}

struct Include {
    std::string file; ///< relative to the root
    std::string included;
};

std::vector<Include> read_includes() {
    static const std::regex pattern(R"(^\s*#\s*include\s*["<]([^">]+)[">])");
    std::vector<Include> includes;
    for (const std::string_view directory : kOrder) {
        const std::filesystem::path root = std::filesystem::path(xdplane::source_path(directory));
        if (!std::filesystem::exists(root)) continue;
        for (const auto& entry : std::filesystem::recursive_directory_iterator(root)) {
            const std::string extension = entry.path().extension();
            if (extension != ".h" && extension != ".cpp") continue;
            std::ifstream file(entry.path());
            std::string line;
            std::smatch match;
            while (std::getline(file, line))
                if (std::regex_search(line, match, pattern))
                    includes.push_back(
                        {std::filesystem::relative(entry.path(), xdplane::source_path("")).string(),
                         match[1]});
        }
    }
    return includes;
}

TEST(Includes, PointDownwardsOnly) {
    unsigned checked = 0;
    for (const Include& include : read_includes()) {
        const int to = rank_of(include.included);
        if (to < 0) continue;
        ++checked;
        EXPECT_LE(to, rank_of(include.file)) << include.file << " includes " << include.included;
    }
    EXPECT_GT(checked, 50U);
}

TEST(Includes, OfTheProjectNameTheirDirectory) {
    for (const Include& include : read_includes()) {
        const auto beside = std::filesystem::path(xdplane::source_path(include.file));
        EXPECT_FALSE(std::filesystem::exists(beside.parent_path() / include.included))
            << include.file << " includes " << include.included << " without its directory";
    }
}

TEST(Includes, BpfAndReplayNeverSeeDpdk) {
    for (const Include& include : read_includes()) {
        if (include.file.starts_with("bpf/") || include.file.starts_with("pcap_replay/")) {
            EXPECT_FALSE(include.included.starts_with("rte_"))
                << include.file << " includes " << include.included;
        }
    }
}

TEST(Includes, InterpreterAndJitDoNotKnowEachOther) {
    for (const Include& include : read_includes()) {
        if (include.file.starts_with("bpf/jit/")) {
            EXPECT_FALSE(include.included.starts_with("bpf/interp/")) << include.file;
        }
    }
}

} // namespace
