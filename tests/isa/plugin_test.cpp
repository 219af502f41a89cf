// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <fcntl.h>
#include <gtest/gtest.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bpf/isa/assembler.h"
#include "tests/isa/isa_case.h"
#include "tests/support/hex.h"
#include "tests/support/places.h"

/// The bpf_conformance plugin, as that suite runs it: a process per program.
namespace xdplane {
namespace {

struct Output {
    int status = -1;
    std::string out;
    std::string err;
};

std::string read_all(int fd) {
    std::string text;
    char buffer[4096];
    for (ssize_t size = 0; (size = ::read(fd, buffer, sizeof buffer)) > 0;)
        text.append(buffer, static_cast<std::size_t>(size));
    ::close(fd);
    return text;
}

/// Programs and outputs fit a pipe, so nobody waits for anybody.
Output run_plugin(std::vector<std::string> arguments, const std::string& input) {
    const char* path = std::getenv("XDPLANE_CONFORMANCE_PLUGIN");
    if (path == nullptr) return {-1, "", "XDPLANE_CONFORMANCE_PLUGIN is not set"};
    int in[2];
    int out[2];
    int err[2];
    if (::pipe2(in, O_CLOEXEC) != 0 || ::pipe2(out, O_CLOEXEC) != 0 || ::pipe2(err, O_CLOEXEC) != 0)
        return {};
    std::vector<char*> argv = {const_cast<char*>(path)};
    for (std::string& argument : arguments) argv.push_back(argument.data());
    argv.push_back(nullptr);
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, in[0], 0);
    posix_spawn_file_actions_adddup2(&actions, out[1], 1);
    posix_spawn_file_actions_adddup2(&actions, err[1], 2);
    pid_t pid = -1;
    const int failed = ::posix_spawn(&pid, path, &actions, nullptr, argv.data(), environ);
    posix_spawn_file_actions_destroy(&actions);
    ::close(in[0]);
    ::close(out[1]);
    ::close(err[1]);
    if (failed != 0) return {-1, "", std::strerror(failed)};
    // A plugin that refuses its arguments is gone before it reads: that is no error of this side.
    ::signal(SIGPIPE, SIG_IGN);
    const ssize_t written = ::write(in[1], input.data(), input.size());
    EXPECT_TRUE(written == static_cast<ssize_t>(input.size()) || errno == EPIPE) << std::strerror(errno);
    ::close(in[1]);
    Output output;
    output.out = read_all(out[0]);
    output.err = read_all(err[0]);
    int status = 0;
    ::waitpid(pid, &status, 0);
    output.status = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
    return output;
}

std::string program_hex(const std::vector<Insn>& insns) {
    std::vector<u8> bytes(insns.size() * sizeof(Insn));
    std::memcpy(bytes.data(), insns.data(), bytes.size());
    return to_hex(bytes);
}

std::string assembled(const char* text) { return program_hex(assemble(text).value()); }

TEST(ConformancePlugin, PrintsR0InHex) {
    const std::string program = assembled("r0 = 0x1122334455667788 ll\nexit");
    for (const char* engine : {"--interpret", "--jit", ""}) {
        const Output output = run_plugin({"", engine}, program);
        EXPECT_EQ(output.status, 0) << output.err;
        EXPECT_EQ(output.out, "1122334455667788\n");
    }
    EXPECT_EQ(run_plugin({}, program).out, "1122334455667788\n");
}

TEST(ConformancePlugin, ReadsHexAsTheSuiteWritesIt) {
    const std::string program = assembled("r0 = *(u16 *)(r1 +1)\nr0 <<= 8\nr0 |= r2\nexit");
    for (const char* memory : {"01 02 03 ", "01  02  03  ", "010203", "01\n02\n03\n"}) {
        EXPECT_EQ(run_plugin({memory}, program + "\n").out, "30203\n") << memory;
    }
    std::string dense;
    for (const char c : program)
        if (c != ' ') dense += c;
    EXPECT_EQ(run_plugin({"010203"}, dense).out, "30203\n");
    EXPECT_EQ(run_plugin({"010203", "--program", program}, "").out, "30203\n");
}

TEST(ConformancePlugin, CallsHelpers) {
    // ktime_get_ns has run for a while; a map helper has no map to be given.
    const Output output = run_plugin({}, assembled("call #5\nif r0 == 0 goto pc+1\nr0 = 1\nexit"));
    EXPECT_EQ(output.out, "1\n") << output.err;
    EXPECT_EQ(run_plugin({}, assembled("call #1\nexit")).status, 1);
}

TEST(ConformancePlugin, RefusesWithAMessage) {
    const auto expect_refused = [](const Output& output, const char* reason) {
        EXPECT_EQ(output.status, 1);
        EXPECT_EQ(output.out, "");
        EXPECT_NE(output.err.find(reason), std::string::npos) << output.err;
    };
    expect_refused(run_plugin({}, ""), "not whole instructions");
    expect_refused(run_plugin({}, "95 00 00"), "not whole instructions");
    expect_refused(run_plugin({}, "zz"), "not hex");
    expect_refused(run_plugin({"0"}, assembled("exit")), "not hex");
    expect_refused(run_plugin({}, "ff 00 00 00 00 00 00 00"), "unknown opcode ff");
    expect_refused(run_plugin({"", "--elf"}, assembled("exit")), "unknown argument '--elf'");
}

TEST(ConformancePlugin, AgreesWithTheCases) {
    const auto cases = read_isa_cases(source_path("tests/isa"));
    ASSERT_TRUE(cases) << cases.error().message;
    u32 ran = 0;
    for (std::size_t i = 0; i < cases->size(); i += 29) { // a sample: each is two processes
        const IsaCase& c = (*cases)[i];
        if (c.packet || !c.error.empty()) continue;
        for (const char* engine : {"--interpret", "--jit"}) {
            const Output output = run_plugin({to_hex(c.memory), engine}, program_hex(c.insns));
            EXPECT_EQ(output.out, fmt::format("{:x}\n", c.result)) << engine << " " << c.name << output.err;
            ++ran;
        }
    }
    EXPECT_GT(ran, 100U);
}

} // namespace
} // namespace xdplane
