// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
//
// usage: test_verifier_log
//        test_verifier_log --objects KERNEL-LOADER OWN-LOADER LEVEL OBJECT...
//        test_verifier_log --cases LEVEL
//
// Whole logs, the running kernel's and ours, line by line (tests/support/verifier_log_lines.h says what is
// left out). Without arguments the cases of tests/verifier are tests. The other forms print how many lines of
// objects or of all cases are the same, and where the first difference of each program is.
#include <cstdio>
#include <gtest/gtest.h>
#include <map>
#include <memory>
#include <nlohmann/json.hpp>

#include "tests/support/kernel_bpf.h"
#include "tests/support/places.h"
#include "tests/support/verifier_kernel.h"
#include "tests/support/verifier_log_lines.h"

namespace xdplane::test {
namespace {

constexpr u64 kLongRun = 20'000; ///< insns: longer ones say nothing new

struct Logs {
    std::vector<std::string> kernel;
    std::vector<std::string> own;

    [[nodiscard]] u64 lines() const { return std::max(kernel.size(), own.size()); }
};

/// Empty for cases that are not to be compared.
std::optional<Logs> logs_of(const VerifierCase& one, u32 level) {
    if (!one.kernel.empty() || !one.kernel_slow.empty()) return std::nullopt;
    auto request = make_request(one);
    if (!request) return std::nullopt;
    VerifierLog quiet;
    (void)verify(*request, quiet);
    if (quiet.insns_processed > kLongRun) return std::nullopt;
    const auto kernel = ask_kernel(one, *request, level);
    if (!kernel || kernel->log.empty()) return std::nullopt;
    VerifierLog log;
    log.level = level;
    (void)verify(std::move(*request), log);
    return Logs{comparable_lines(kernel->log), comparable_lines(log.text)};
}

struct Sum {
    u64 lines = 0;
    u64 same = 0;
    u64 logs = 0;
    u64 equal = 0;

    void add(const std::string& name, const Logs& logs_, bool tell) {
        lines += logs_.lines();
        same += same_lines(logs_.kernel, logs_.own);
        ++logs;
        const std::string difference = first_difference(logs_.kernel, logs_.own);
        if (difference.empty())
            ++equal;
        else if (tell)
            fmt::print("{}: {}\n", name, difference);
    }
    [[nodiscard]] double percent() const {
        return lines == 0 ? 100 : 100 * static_cast<double>(same) / static_cast<double>(lines);
    }
    void print() const {
        fmt::print("{} of {} logs are the same; {} of {} lines: {:.2f} %\n", equal, logs, same, lines,
                   percent());
    }
};

Sum compare_cases(u32 level, bool tell) {
    Sum sum;
    const auto cases = read_cases(source_path("tests/verifier"));
    if (!cases) return sum;
    for (const VerifierCase& one : *cases)
        if (const auto logs = logs_of(one, level)) sum.add(one.file + ": " + one.name, *logs, tell);
    return sum;
}

/// "FILE:PROGRAM" to the log that a loader of perf/verifier prints.
std::map<std::string, std::string> loader_logs(const std::string& loader, const std::string& level,
                                               const std::vector<std::string>& files) {
    std::map<std::string, std::string> logs;
    for (const std::string& file : files) {
        const std::string command = fmt::format("'{}' --log {} '{}'", loader, level, file);
        const std::unique_ptr<FILE, int (*)(FILE*)> output(::popen(command.c_str(), "r"), ::pclose);
        if (!output) continue;
        std::string text;
        char buffer[65536];
        for (std::size_t n = 0; (n = std::fread(buffer, 1, sizeof buffer, output.get())) > 0;)
            text.append(buffer, n);
        for (std::size_t at = 0, end = 0; (end = text.find('\n', at)) != std::string::npos; at = end + 1) {
            const auto json = nlohmann::json::parse(text.substr(at, end - at), nullptr, false);
            if (json.is_object() && json.contains("log"))
                logs[file + ":" + json.at("program").get<std::string>()] = json.at("log");
        }
    }
    return logs;
}

int compare_objects(const std::vector<std::string>& words) {
    const std::vector<std::string> files(words.begin() + 3, words.end());
    const auto kernel = loader_logs(words[0], words[2], files);
    const auto own = loader_logs(words[1], words[2], files);
    Sum sum;
    for (const auto& [name, log] : kernel) {
        const auto ours = own.find(name);
        sum.add(name, {comparable_lines(log), comparable_lines(ours != own.end() ? ours->second : "")}, true);
    }
    sum.print();
    return 0;
}

/// The part of the lines that is the same, measured and rounded down: it may rise, and must not fall.
struct Floor {
    u32 level;
    double percent;
};
constexpr Floor kFloors[] = {{1, 93}, {4, 92}, {6, 76}};

class Cases : public testing::TestWithParam<Floor> {};

TEST_P(Cases, SayTheSame) {
    if (!kernel_bpf_allowed()) GTEST_SKIP() << "the kernel does not let this process call bpf()";
    const Sum sum = compare_cases(GetParam().level, false);
    EXPECT_GT(sum.logs, 300U);
    EXPECT_GE(sum.percent(), GetParam().percent);
    sum.print();
}

INSTANTIATE_TEST_SUITE_P(VerifierLog, Cases, testing::ValuesIn(kFloors));

} // namespace
} // namespace xdplane::test

int main(int argc, char** argv) {
    using namespace xdplane::test;
    testing::InitGoogleTest(&argc, argv);
    const std::vector<std::string> words(argv + 1, argv + argc);
    if (words.size() > 4 && words[0] == "--objects") return compare_objects({words.begin() + 1, words.end()});
    if (words.size() == 2 && words[0] == "--cases") {
        compare_cases(static_cast<xdplane::u32>(std::stoul(words[1])), true).print();
        return 0;
    }
    return RUN_ALL_TESTS();
}
