// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
#include <cctype>
#include <cstdio>
#include <gtest/gtest.h>

#include "tests/support/kernel_bpf.h"
#include "tests/support/places.h"
#include "tests/support/verifier_kernel.h"

/// Each case of tests/verifier/*.data again, by the running kernel's verifier: both verdicts must be the
/// same, and the words of a rejection too, except where the case says why they are not
/// (docs/verifier-differences.md).
namespace xdplane::test {
namespace {

std::string test_name(const std::string& text) {
    std::string out;
    for (const char c : text) out += std::isalnum(static_cast<unsigned char>(c)) != 0 ? c : '_';
    return out;
}

class KernelTest : public testing::Test {
public:
    explicit KernelTest(VerifierCase one) : case_(std::move(one)) {}

    void TestBody() override {
        if (!kernel_bpf_allowed()) GTEST_SKIP() << "the kernel does not let this process call bpf()";
        if (!case_.kernel_slow.empty()) GTEST_SKIP() << case_.kernel_slow;
        auto request = make_request(case_);
        if (!request && request.error().code == ENOENT) GTEST_SKIP() << request.error().message;
        ASSERT_TRUE(request) << request.error().message;
        const auto kernel = ask_kernel(case_, *request);
        if (!kernel && kernel.error().code == EPERM) GTEST_SKIP() << kernel.error().message;
        ASSERT_TRUE(kernel) << kernel.error().message;
        VerifierLog log;
        log.level = kLogStats;
        const bool accepted = verify(std::move(*request), log).has_value();
        // What is listed as a difference is one.
        const bool same = case_.kernel.empty();
        EXPECT_EQ(accepted == kernel->accepted, same) << "here:\n"
                                                      << log.text << "\nkernel:\n"
                                                      << kernel->log;
        if (accepted || kernel->accepted) return;
        const bool same_words = case_.kernel_words.empty();
        EXPECT_EQ(kernel->log.find(case_.message) != std::string::npos, same_words)
            << "here:\n"
            << log.text << "\nkernel:\n"
            << kernel->log;
    }

private:
    VerifierCase case_;
};

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
        testing::RegisterTest(("VerifierKernel_" + test_name(one.file)).c_str(), test_name(one.name).c_str(),
                              nullptr, nullptr, __FILE__, __LINE__,
                              [one]() -> testing::Test* { return new KernelTest(one); });
    return RUN_ALL_TESTS();
}
