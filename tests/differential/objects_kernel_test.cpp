// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
//
// usage: test_objects_kernel KERNEL-LOADER OWN-LOADER PROGRAMS-DIRECTORY OBJECT...
//        test_objects_kernel KERNEL-LOADER OWN-LOADER PROGRAMS-DIRECTORY --list FILE
//
// The corpus of tests/programs through both verifiers. The kernel must accept what is right and say of what
// is broken what the source says it will (tests/programs/refused.txt lists variants that it refuses although
// they are right); xdplane must agree with the kernel on each program, but for
// tests/programs/differences.txt. Each verifier runs in a process of its own (perf/verifier), so that a crash
// is one failed case.
#include <algorithm>
#include <csignal>
#include <cstdio>
#include <fnmatch.h>
#include <fstream>
#include <gtest/gtest.h>
#include <map>
#include <nlohmann/json.hpp>
#include <poll.h>
#include <sstream>
#include <string>
#include <sys/wait.h>
#include <unistd.h>
#include <vector>

#include "tests/support/kernel_bpf.h"

namespace xdplane::test {
namespace {

constexpr int kPatienceMs = 120'000; ///< for the programs of one object

struct Answer {
    std::string program;
    bool loaded = false; ///< the verifier was asked
    bool accepted = false;
    std::string message;
    std::map<std::string, std::string> marks; ///< broken variant to what the log says
};
/// By object file. An object without answers crashed its loader, or took too long.
using Answers = std::map<std::string, std::vector<Answer>>;

std::string file_name(const std::string& path) { return path.substr(path.rfind('/') + 1); }

/// "lb.break3.bpf.o" is variant "3"; what is not broken is variant "0".
std::string variant_of(const std::string& file) {
    const std::size_t at = file.find(".break");
    if (at == std::string::npos) return "0";
    const std::size_t from = at + 6;
    return file.substr(from, file.find('.', from) - from);
}

void take_line(const std::string& line, Answers& answers) {
    const auto json = nlohmann::json::parse(line);
    Answer one;
    one.program = json.at("program");
    one.marks = json.at("rejected").get<std::map<std::string, std::string>>();
    one.loaded = !json.contains("not_loaded");
    one.message = one.loaded ? json.at("message") : json.at("not_loaded");
    one.accepted = one.loaded && json.at("accepted").get<bool>();
    answers[json.at("file")].push_back(std::move(one));
}

/// Reads lines until the writer ends or falls silent; false if it did.
bool read_lines(int fd, Answers& answers) {
    std::string pending;
    char buffer[65536];
    for (;;) {
        pollfd wait{fd, POLLIN, 0};
        if (::poll(&wait, 1, kPatienceMs) <= 0) return false;
        const ssize_t n = ::read(fd, buffer, sizeof buffer);
        if (n <= 0) return true;
        pending.append(buffer, static_cast<std::size_t>(n));
        std::size_t end = 0;
        while ((end = pending.find('\n')) != std::string::npos) {
            take_line(pending.substr(0, end), answers);
            pending.erase(0, end + 1);
        }
    }
}

/// One run of a loader over these files.
void run_loader(const std::string& loader, const std::vector<std::string>& files, Answers& answers) {
    int pipe_fds[2];
    if (::pipe(pipe_fds) != 0) return;
    const pid_t child = ::fork();
    if (child == 0) {
        ::dup2(pipe_fds[1], STDOUT_FILENO);
        ::close(pipe_fds[0]);
        ::close(pipe_fds[1]);
        std::vector<char*> argv{const_cast<char*>(loader.c_str())};
        for (const std::string& file : files) argv.push_back(const_cast<char*>(file.c_str()));
        argv.push_back(nullptr);
        ::execv(loader.c_str(), argv.data());
        ::_exit(127);
    }
    ::close(pipe_fds[1]);
    if (!read_lines(pipe_fds[0], answers)) ::kill(child, SIGKILL);
    ::close(pipe_fds[0]);
    int status = 0;
    ::waitpid(child, &status, 0);
}

/// A loader over all files; after a crash it goes on behind the file that did it.
Answers ask(const std::string& loader, const std::vector<std::string>& files) {
    Answers answers;
    std::vector<std::string> left = files;
    while (!left.empty()) {
        run_loader(loader, left, answers);
        auto next = std::ranges::find_if(left, [&](const std::string& f) { return !answers.contains(f); });
        if (next != left.end()) ++next;
        left.erase(left.begin(), next);
    }
    return answers;
}

/// "OBJECT PROGRAM REST", the first two being patterns as of the shell.
struct Row {
    std::string object;
    std::string program;
    std::string rest;
    bool object_seen = false;
    bool used = false;
};

struct Table {
    std::vector<Row> rows;

    static Table read(const std::string& path) {
        Table table;
        std::ifstream file(path);
        for (std::string line; std::getline(file, line);) {
            if (line.empty() || line[0] == '#') continue;
            std::istringstream words(line);
            Row row;
            words >> row.object >> row.program;
            std::getline(words >> std::ws, row.rest);
            table.rows.push_back(std::move(row));
        }
        return table;
    }
    /// The first row that fits and whose rest starts with `kind`.
    Row* find(const std::string& object, const std::string& program, const std::string& kind) {
        for (Row& row : rows) {
            if (::fnmatch(row.object.c_str(), object.c_str(), 0) != 0) continue;
            row.object_seen = true;
            if (::fnmatch(row.program.c_str(), program.c_str(), 0) != 0 || !row.rest.starts_with(kind))
                continue;
            row.used = true;
            return &row;
        }
        return nullptr;
    }
};

/// Everything, read and run when the first case needs it.
struct Corpus {
    std::string kernel_loader, own_loader, directory;
    std::vector<std::string> files;
    Table differences, refused;

    const Answers& kernel() {
        if (!asked_kernel_) kernel_ = ask(kernel_loader, files);
        asked_kernel_ = true;
        return kernel_;
    }
    const Answers& own() {
        if (!asked_own_) own_ = ask(own_loader, files);
        asked_own_ = true;
        return own_;
    }

private:
    bool asked_kernel_ = false, asked_own_ = false;
    Answers kernel_, own_;
};
Corpus g_corpus;

/// What the source expects of the kernel.
class KernelCase : public testing::Test {
public:
    explicit KernelCase(std::string path) : path_(std::move(path)) {}
    void TestBody() override {
        if (!kernel_bpf_allowed()) GTEST_SKIP() << "the kernel does not let this process call bpf()";
        const auto found = g_corpus.kernel().find(path_);
        ASSERT_NE(found, g_corpus.kernel().end()) << "the loader crashed or took too long";
        const std::string file = file_name(path_);
        const std::string variant = variant_of(file);
        bool broken = variant == "0";
        for (const Answer& program : found->second) {
            const auto mark = program.marks.find(variant);
            const bool should_fail = mark != program.marks.end();
            broken = broken || should_fail;
            EXPECT_TRUE(program.loaded) << program.program << ": " << program.message;
            if (!should_fail && !program.accepted) {
                const Row* known = g_corpus.refused.find(file, program.program, "");
                EXPECT_TRUE(known != nullptr && program.message.find(known->rest) != std::string::npos)
                    << program.program << " is refused: " << program.message;
            } else if (should_fail) {
                EXPECT_FALSE(program.accepted) << program.program << " is accepted";
                EXPECT_NE(program.message.find(mark->second), std::string::npos)
                    << program.program << ": expected " << mark->second << "\ngot " << program.message;
            }
        }
        EXPECT_TRUE(broken) << "no program of this source is marked BROKEN(" << variant << ", ...)";
    }

private:
    std::string path_;
};

/// xdplane's verdict against the kernel's.
class OwnCase : public testing::Test {
public:
    explicit OwnCase(std::string path) : path_(std::move(path)) {}
    void TestBody() override {
        if (!kernel_bpf_allowed()) GTEST_SKIP() << "the kernel does not let this process call bpf()";
        const auto kernel = g_corpus.kernel().find(path_);
        ASSERT_NE(kernel, g_corpus.kernel().end()) << "the kernel's loader crashed";
        const auto own = g_corpus.own().find(path_);
        const std::string file = file_name(path_);
        if (own == g_corpus.own().end()) {
            EXPECT_NE(g_corpus.differences.find(file, "*", "crashed"), nullptr) << "crashed or took too long";
            return;
        }
        for (const Answer& theirs : kernel->second) {
            const auto ours = std::ranges::find(own->second, theirs.program, &Answer::program);
            const bool accepted = ours != own->second.end() && ours->accepted;
            if (accepted == theirs.accepted) continue;
            const std::string kind = accepted ? "accepted" : "refused";
            EXPECT_NE(g_corpus.differences.find(file, theirs.program, kind), nullptr)
                << theirs.program << ": " << kind << " here\nhere:   "
                << (ours != own->second.end() ? ours->message : own->second.front().message)
                << "\nkernel: " << theirs.message;
        }
    }

private:
    std::string path_;
};

/// Rows that nothing fits any more. Runs last.
class StaleCase : public testing::Test {
public:
    void TestBody() override {
        if (!kernel_bpf_allowed()) GTEST_SKIP() << "the kernel does not let this process call bpf()";
        if (testing::GTEST_FLAG(filter) != "*") GTEST_SKIP() << "not all cases ran";
        for (const Table* table : {&g_corpus.differences, &g_corpus.refused})
            for (const Row& row : table->rows)
                EXPECT_TRUE(row.used || !row.object_seen)
                    << "no difference any more: " << row.object << " " << row.program << " " << row.rest;
    }
};

std::string test_name(const std::string& path) {
    std::string name;
    for (const char c : file_name(path)) name += std::isalnum(static_cast<unsigned char>(c)) != 0 ? c : '_';
    return name;
}

template<class Case>
void register_case(const char* suite, const std::string& path) {
    testing::RegisterTest(suite, test_name(path).c_str(), nullptr, nullptr, __FILE__, __LINE__,
                          [path]() -> testing::Test* { return new Case(path); });
}

} // namespace
} // namespace xdplane::test

int main(int argc, char** argv) {
    using namespace xdplane::test;
    testing::InitGoogleTest(&argc, argv);
    if (argc < 5) {
        std::fprintf(stderr, "usage: %s KERNEL-LOADER OWN-LOADER PROGRAMS-DIRECTORY OBJECT...\n", argv[0]);
        return 2;
    }
    g_corpus.kernel_loader = argv[1];
    g_corpus.own_loader = argv[2];
    g_corpus.directory = argv[3];
    if (std::string(argv[4]) == "--list" && argc == 6) {
        std::ifstream list(argv[5]);
        for (std::string line; std::getline(list, line);)
            if (!line.empty()) g_corpus.files.push_back(line);
    } else {
        g_corpus.files.assign(argv + 4, argv + argc);
    }
    g_corpus.differences = Table::read(g_corpus.directory + "/differences.txt");
    g_corpus.refused = Table::read(g_corpus.directory + "/refused.txt");
    for (const std::string& path : g_corpus.files) register_case<KernelCase>("KernelSays", path);
    for (const std::string& path : g_corpus.files) register_case<OwnCase>("SameVerdict", path);
    testing::RegisterTest("Tables", "have_no_stale_rows", nullptr, nullptr, __FILE__, __LINE__,
                          []() -> testing::Test* { return new StaleCase; });
    return RUN_ALL_TESTS();
}
