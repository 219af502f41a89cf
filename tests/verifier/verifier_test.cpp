// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
#include <algorithm>
#include <cctype>
#include <cerrno>
#include <cstdio>
#include <gtest/gtest.h>

#include "tests/support/places.h"
#include "tests/support/verifier_cases.h"

/// Each case of tests/verifier/*.data is a test of its own.
namespace xdplane::test {
namespace {

class CaseTest : public testing::Test {
public:
    explicit CaseTest(VerifierCase one) : case_(std::move(one)) {}

    void TestBody() override {
        auto request = make_request(case_);
        if (!request && request.error().code == ENOENT) GTEST_SKIP() << request.error().message;
        ASSERT_TRUE(request) << request.error().message;
        VerifierLog silent;
        const auto quiet = verify(*request, silent);
        EXPECT_TRUE(silent.text.empty());
        VerifierLog log;
        // Not a line for each of a million insns.
        log.level = silent.insns_processed < 100000 ? kLogVerbose : kLogStats;
        const auto program = verify(std::move(*request), log);
        EXPECT_EQ(quiet.has_value(), program.has_value());
        if (case_.accept) {
            EXPECT_TRUE(program) << log.text;
            return;
        }
        ASSERT_FALSE(program) << "accepted\n" << log.text;
        EXPECT_NE(log.text.find(case_.message), std::string::npos)
            << "expected: " << case_.message << "\nreason: " << log.reason << "\n"
            << log.text;
        EXPECT_EQ(program.error().message, log.reason);
        EXPECT_GT(program.error().code, 0);
        EXPECT_NE(log.reason.find_first_not_of(" \n"), std::string::npos);
        EXPECT_EQ(log.reason.find("verifier bug"), std::string::npos);
        ASSERT_TRUE(log.explanation);
        check_explanation(*log.explanation);
    }

private:
    void check_explanation(const Explanation& explanation) const {
        EXPECT_NE(std::ranges::count(explanation_kinds(), explanation.kind), 0);
        EXPECT_FALSE(explanation.fix.empty());
        std::string all;
        for (const ExplanationLine& line : explanation_lines(explanation)) all += line.text + "\n";
        if (!case_.kind.empty()) {
            EXPECT_EQ(explanation.kind, case_.kind) << all;
        }
        std::size_t at = 0;
        for (const std::string& text : case_.explanation) {
            const std::size_t found = all.find(text, at);
            EXPECT_NE(found, std::string::npos) << text << "\nis not, or not in this order, in\n" << all;
            if (found != std::string::npos) at = found + text.size();
        }
    }

    VerifierCase case_;
};

std::string test_name(const std::string& text) {
    std::string out;
    for (const char c : text) out += std::isalnum(static_cast<unsigned char>(c)) != 0 ? c : '_';
    return out;
}

} // namespace
} // namespace xdplane::test

int main(int argc, char** argv) {
    using namespace xdplane::test;
    testing::InitGoogleTest(&argc, argv);
    auto cases = read_cases(xdplane::source_path("tests/verifier"));
    if (!cases) {
        std::fprintf(stderr, "%s\n", cases.error().message.c_str());
        return 1;
    }
    for (const VerifierCase& one : *cases)
        testing::RegisterTest(("Verifier_" + test_name(one.file)).c_str(), test_name(one.name).c_str(),
                              nullptr, nullptr, __FILE__, __LINE__,
                              [one]() -> testing::Test* { return new CaseTest(one); });
    return RUN_ALL_TESTS();
}
