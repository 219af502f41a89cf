// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
#include "tests/e2e/filter_suite.h"

#include <algorithm>
#include <cstdio>
#include <set>

#include <fmt/format.h>
#include <gtest/gtest.h>

namespace xdplane::test {
namespace {

namespace fs = std::filesystem;

class FilterCaseTest : public testing::Test {
public:
    FilterCaseTest(FilterCase test, fs::path objects, FilterEngine engine)
        : test_(std::move(test)), objects_(std::move(objects)), engine_(std::move(engine)) {}

    void TestBody() override {
        CaseReport report = run_filter_case(test_, objects_, engine_);
        for (const std::string& failure : report.failures) ADD_FAILURE() << failure;
        if (!report.refused.empty()) GTEST_SKIP() << report.refused;
        if (!report.uncompared.empty())
            GTEST_SKIP() << fmt::format(
                "the clock of {} cannot be set: ran {} packets, {} comparisons left out", engine_.name,
                report.packets, report.uncompared.size());
    }

private:
    FilterCase test_;
    fs::path objects_;
    FilterEngine engine_;
};

/// Every program of an object is run by some case.
class CoverageTest : public testing::Test {
public:
    CoverageTest(fs::path object, std::set<std::string> covered)
        : object_(std::move(object)), covered_(std::move(covered)) {}

    void TestBody() override {
        for (const std::string& program : programs_of(object_))
            EXPECT_TRUE(covered_.contains(program)) << object_.filename() << " has no case for " << program;
    }

private:
    fs::path object_;
    std::set<std::string> covered_;
};

std::vector<fs::path> files_in(const fs::path& dir, const std::string& ending) {
    std::vector<fs::path> files;
    for (const auto& entry : fs::directory_iterator(dir))
        if (entry.path().string().ends_with(ending)) files.push_back(entry.path());
    std::sort(files.begin(), files.end());
    if (files.empty()) throw std::runtime_error(fmt::format("{}: no *{}", dir.string(), ending));
    return files;
}

std::string stem_of(const std::string& object) { return object.substr(0, object.find('.')); }

void register_all(const fs::path& objects, const fs::path& cases, const FilterEngine& engine) {
    // Only what the cases name: a chain's stages reach further programs by tail calls.
    std::set<std::string> covered;
    for (const fs::path& file : files_in(cases, ".json")) {
        for (const FilterCase& test : read_filter_cases(file)) {
            covered.insert(test.object + ":" + test.program);
            testing::RegisterTest(
                stem_of(test.object).c_str(), test.name.c_str(), nullptr, nullptr, __FILE__, __LINE__,
                [=]() -> testing::Test* { return new FilterCaseTest(test, objects, engine); });
        }
    }
    for (const fs::path& object : files_in(objects, ".bpf.o")) {
        std::string file = object.filename();
        std::set<std::string> programs;
        for (const std::string& name : covered)
            if (name.starts_with(file + ":")) programs.insert(name.substr(file.size() + 1));
        testing::RegisterTest("every_program_has_a_case", stem_of(file).c_str(), nullptr, nullptr, __FILE__,
                              __LINE__,
                              [=]() -> testing::Test* { return new CoverageTest(object, programs); });
    }
}

} // namespace

int run_filter_suite(int argc, char** argv, const FilterEngine& engine) {
    testing::InitGoogleTest(&argc, argv);
    if (argc != 3) {
        std::fprintf(stderr, "usage: %s [--gtest_...] OBJECT_DIR CASE_DIR\n", argv[0]);
        return 2;
    }
    try {
        register_all(argv[1], argv[2], engine);
    } catch (const std::exception& e) {
        std::fprintf(stderr, "%s: %s\n", argv[0], e.what());
        return 1;
    }
    return RUN_ALL_TESTS();
}

} // namespace xdplane::test
