// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
// The reader and the runner of filter cases themselves: a case that is wrong is refused, and a filter that
// does something else than its case says is caught, each way it can differ.
#include "tests/support/filter_case.h"

#include <array>
#include <cstdlib>
#include <fstream>

#include <gtest/gtest.h>
#include <unistd.h>

namespace xdplane::test {
namespace {

namespace fs = std::filesystem;

fs::path g_objects;

class FilterRunner : public testing::Test {
protected:
    void SetUp() override {
        std::string name = (fs::temp_directory_path() / "filter-case-XXXXXX").string();
        int fd = mkstemp(name.data());
        ASSERT_GE(fd, 0);
        close(fd);
        file_ = name;
    }
    void TearDown() override { fs::remove(file_); }

    std::vector<FilterCase> read(const std::string& text) {
        std::ofstream(file_) << text;
        return read_filter_cases(file_);
    }

    void refuses(const std::string& text, const std::string& reason) {
        try {
            read(text);
            ADD_FAILURE() << "accepted: " << text;
        } catch (const std::runtime_error& e) {
            EXPECT_NE(std::string(e.what()).find(reason), std::string::npos) << e.what();
        }
    }

    /// Failures of one case of `object` on the running kernel, joined.
    std::string failures(const std::string& object, const std::string& test) {
        FilterCase read_case = read(R"({"object": ")" + object + R"(", "cases": [)" + test + "]}").at(0);
        FilterEngine kernel{.name = "the running kernel", .set_clock = {}, .may_refuse = true};
        CaseReport report = run_filter_case(read_case, g_objects, kernel);
        refused_ = report.refused;
        std::string all;
        for (const std::string& failure : report.failures) all += failure + "\n";
        return all;
    }

    fs::path file_;
    std::string refused_;
};

constexpr const char* kFrame = "02000000000b 02000000000a 9000 0000";

std::string one(const std::string& inside) {
    return R"({"object": "pass.bpf.o", "cases": [{)" + inside + "}]}";
}

TEST_F(FilterRunner, RefusesWrongFiles) {
    refuses("", "parse");
    refuses("{", "parse");
    refuses(R"({"object": "pass.bpf.o", "cases": []})", "no cases");
    refuses(R"({"object": "pass.bpf.o", "cases": [], "more": 1})", "unknown key 'more'");
    refuses(one(R"("name": "A b", "program": "pass", "packets": [])"), "[a-z0-9_]+");
    refuses(one(R"("name": "a", "program": "pass", "packets": [])"), "no packets");
    refuses(one(R"("name": "a", "packets": [])"), "program");
    refuses(one(R"("name": "a", "program": "pass", "expects": {})"), "unknown key 'expects'");
    auto packet = [](const std::string& text) {
        return one(R"("name": "a", "program": "pass", "packets": [{"name": "p", )" + text + "}]");
    };
    refuses(packet(R"("in": "0", "verdict": "XDP_PASS")"), "half a byte");
    refuses(packet(R"("in": "0g", "verdict": "XDP_PASS")"), "not a lower-case hex digit");
    refuses(packet(R"("in": "??", "verdict": "XDP_PASS")"), "must be exact");
    refuses(packet(R"("in": "00", "verdict": "PASS")"), "not a verdict");
    refuses(packet(R"("in": "00", "verdict": "XDP_PASS", "outt": "00")"), "unknown key 'outt'");
    refuses(
        one(R"("name": "a", "program": "pass", "packets": [{"name": "p", "in": "00", "verdict": "XDP_DROP"}],
                   "expect": {"m": [{"key": "00", "value": "[00"}]})"),
        "brackets do not match");
}

TEST_F(FilterRunner, CatchesEveryDifference) {
    // Object, case, and what the failure must say: nothing where there must be none.
    const std::string packet =
        std::string(R"("packets": [{"name": "p", "in": ")") + kFrame + R"(", "verdict": )";
    const std::string hairpin = R"("name": "a", "program": "hairpin", )" + packet;
    const std::string swapped = R"("XDP_TX", "out": "02000000000a 02000000000b 9000 0000"}])";
    const std::string pop = R"("name": "a", "program": "vlan_pop", "maps": {"vlan_config": [)";
    const std::vector<std::array<std::string, 3>> rows = {
        {"pass.bpf.o", R"({"name": "a", "program": "pass", )" + packet + R"("XDP_PASS"}]})", ""},
        {"pass.bpf.o", R"({"name": "a", "program": "pass", )" + packet + R"("XDP_DROP"}]})",
         "verdict 2, expected 1"},
        {"pass.bpf.o", R"({"name": "a", "program": "fail", )" + packet + R"("XDP_PASS"}]})",
         "no program 'fail'"},
        {"nothing.bpf.o", R"({"name": "a", "program": "pass", )" + packet + R"("XDP_PASS"}]})",
         "cannot be opened"},
        {"redirect.bpf.o", "{" + hairpin + swapped + "}", ""},
        {"redirect.bpf.o", "{" + hairpin + R"("XDP_TX"}]})", "p: packet"},
        {"redirect.bpf.o",
         "{" + hairpin + swapped + R"(, "expect": {"redirect_stats": [{"key": "00000000", "value":
            "0100000000000000 1000000000000000"}]}})",
         ""},
        {"redirect.bpf.o",
         "{" + hairpin + swapped + R"(, "expect": {"redirect_stats": [{"key": "00000000", "value":
            "0100000000000000 ???????????????? "}]}})",
         ""},
        {"redirect.bpf.o",
         "{" + hairpin + swapped + R"(, "expect": {"redirect_stats": [{"key": "00000000", "value":
            "0200000000000000 1000000000000000"}]}})",
         "at byte 0"},
        {"redirect.bpf.o", "{" + hairpin + swapped + R"(, "expect": {"redirect_stats": []}})",
         "was not expected"},
        {"redirect.bpf.o",
         "{" + hairpin + swapped + R"(, "expect": {"redirect_stats": [{"key": "00", "value": "00"}]}})",
         "key and value have 1 and 1 bytes, the map 4 and 16"},
        {"redirect.bpf.o", "{" + hairpin + swapped + R"(, "expect": {"stats": []}})", "no map 'stats'"},
        {"flowcount.bpf.o",
         R"({"name": "a", "program": "flowcount", )" + packet +
             R"("XDP_PASS"}], "expect": {"flows": [{"key": ")" + std::string(80, '0') + R"(", "value": ")" +
             std::string(64, '0') + R"("}]}})",
         "is missing"},
        {"tap.bpf.o",
         R"({"name": "a", "program": "tap", "rodata": {"stage": "00000000"}, )" + packet + R"("XDP_PASS"}]})",
         "no variable 'stage'"},
        {"tap.bpf.o",
         R"({"name": "a", "program": "tap", "rodata": {"stage_index": "00"}, )" + packet + R"("XDP_PASS"}]})",
         "stage_index has 4 bytes"},
        {"vlan.bpf.o",
         "{" + pop + R"({"key": "01000000", "value": ")" + std::string(24, '0') + R"("}]}, )" + packet +
             R"("XDP_PASS"}]})",
         "vlan_config[01000000]"},
    };
    for (const auto& [object, test, failure] : rows) {
        std::string found = failures(object, test);
        if (!refused_.empty()) GTEST_SKIP() << refused_;
        if (failure.empty())
            EXPECT_EQ(found, "") << test;
        else
            EXPECT_NE(found.find(failure), std::string::npos) << test << "\n" << found;
    }
}

} // namespace
} // namespace xdplane::test

int main(int argc, char** argv) {
    testing::InitGoogleTest(&argc, argv);
    if (argc != 2) return 2;
    xdplane::test::g_objects = argv[1];
    return RUN_ALL_TESTS();
}
