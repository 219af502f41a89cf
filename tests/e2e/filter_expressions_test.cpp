// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
//
// Filter expressions: `replay --filter E` keeps the packets that `tcpdump E` keeps, on every engine and on
// captures of many link types; what libpcap can not compile for a link type, both refuse. A case per
// expression.
//   test_filter_expressions CAPTURES EXPRESSIONS
#include <fstream>
#include <gtest/gtest.h>
#include <map>
#include <unistd.h>

#include "bpf/syscall/bpf_system.h"
#include "pcap_replay/filter_stage.h"
#include "pcap_replay/replay.h"
#include "tests/e2e/packet_file.h"
#include "tests/e2e/process.h"

namespace xdplane {
namespace {

constexpr const char* kCaptures[] = {"demo.pcap", "snaplen-60.pcap", "short-frames.pcap", "raw-ip.pcap",
                                     "sll2.pcap", "null.pcap",       "radiotap.pcap"};

std::string g_captures;

/// The packets kept; an error where the expression was refused.
Result<std::vector<Packet>> keep_with_tcpdump(const std::string& capture, const std::string& expression,
                                              const std::string& output) {
    std::vector<std::string> command{"tcpdump", "-r", capture, "-w", output};
    if (::geteuid() == 0) command.insert(command.end(), {"-Z", "root"}); // or it may not write here
    command.insert(command.end(), {"--", expression});
    const Finished tcpdump = run_process(command);
    if (tcpdump.status != 0) return fail(EINVAL, "{}", tcpdump.err);
    return read_packets(output);
}

Result<std::vector<Packet>> keep_with_replay(const std::string& capture, const std::string& expression,
                                             const std::string& output) {
    auto inputs = open_inputs({capture});
    if (!inputs) return fail(inputs.error());
    auto stage = filter_stage(expression, inputs->front().reader->format());
    if (!stage) return fail(stage.error());
    std::vector<Stage> stages;
    stages.push_back(std::move(*stage));
    const auto chain = Chain::make(std::move(stages));
    if (!chain) return fail(chain.error());
    ReplayOptions options;
    options.passed = output;
    const auto summary = replay(*chain, *inputs, options);
    if (!summary) return fail(summary.error());
    return read_packets(output);
}

class Expression : public testing::Test {
public:
    explicit Expression(std::string expression) : expression_(std::move(expression)) {}
    void TestBody() override {
        const ScratchDirectory scratch;
        for (const char* name : kCaptures) {
            const std::string capture = g_captures + "/" + name;
            const auto expected = keep_with_tcpdump(capture, expression_, scratch.file("tcpdump.pcap"));
            for (const Engine engine : {Engine::jit, Engine::interpreter}) {
                set_engine(engine);
                const auto kept = keep_with_replay(capture, expression_, scratch.file("replay.pcap"));
                const char* with = engine == Engine::jit ? "jit" : "interpreter";
                ASSERT_EQ(kept.has_value(), expected.has_value())
                    << name << ", " << with << ": "
                    << (kept ? "tcpdump: " + expected.error().message : kept.error().message);
                if (!kept) continue;
                ASSERT_EQ(kept->size(), expected->size()) << name << ", " << with;
                ASSERT_TRUE(*kept == *expected) << name << ", " << with;
            }
        }
    }

private:
    std::string expression_;
};

class WithoutTcpdump : public testing::Test {
public:
    void TestBody() override { GTEST_SKIP() << "tcpdump, the oracle, is not installed"; }
};

void add_case(const std::string& name, const std::string& expression, bool oracle) {
    testing::RegisterTest("FilterExpressions", name.c_str(), nullptr, expression.c_str(), __FILE__, __LINE__,
                          [expression, oracle]() -> testing::Test* {
                              if (oracle) return new Expression(expression);
                              return new WithoutTcpdump;
                          });
}

/// Letters and digits of the expression, and its line to tell it from others.
std::string case_name(const std::string& expression, int line) {
    std::string name = fmt::format("{:03}_", line);
    for (const char c : expression) name += std::isalnum(static_cast<unsigned char>(c)) != 0 ? c : '_';
    return name;
}

} // namespace
} // namespace xdplane

int main(int argc, char** argv) {
    testing::InitGoogleTest(&argc, argv);
    if (argc != 3) return 2;
    xdplane::g_captures = argv[1];
    const bool oracle = std::system("command -v tcpdump > /dev/null") == 0;
    std::ifstream file(argv[2]);
    std::string line;
    for (int number = 1; std::getline(file, line); ++number)
        if (!line.empty() && line[0] != '#')
            xdplane::add_case(xdplane::case_name(line, number), line, oracle);
    return RUN_ALL_TESTS();
}
