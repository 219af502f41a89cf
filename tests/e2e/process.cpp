// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
#include "tests/e2e/process.h"

#include <csignal>
#include <fcntl.h>
#include <spawn.h>
#include <stdexcept>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <thread>

namespace xdplane {
namespace {

using Clock = std::chrono::steady_clock;
constexpr std::chrono::milliseconds kPause{5};

std::string content(int fd) {
    struct stat status{};
    if (fstat(fd, &status) != 0) return {};
    std::string text(static_cast<std::size_t>(status.st_size), '\0');
    const ssize_t size = pread(fd, text.data(), text.size(), 0);
    text.resize(size > 0 ? static_cast<std::size_t>(size) : 0);
    return text;
}

} // namespace

Process::Process(const std::vector<std::string>& arguments)
    : out_(memfd_create("stdout", MFD_CLOEXEC)), err_(memfd_create("stderr", MFD_CLOEXEC)) {
    std::vector<char*> argv;
    for (const std::string& argument : arguments) argv.push_back(const_cast<char*>(argument.c_str()));
    argv.push_back(nullptr);
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
    posix_spawn_file_actions_adddup2(&actions, out_.get(), STDOUT_FILENO);
    posix_spawn_file_actions_adddup2(&actions, err_.get(), STDERR_FILENO);
    const int error = posix_spawnp(&pid_, argv[0], &actions, nullptr, argv.data(), environ);
    posix_spawn_file_actions_destroy(&actions);
    if (error != 0) throw std::runtime_error("can not start " + arguments.at(0));
}

Process::~Process() {
    if (ended()) return;
    signal(SIGKILL);
    waitpid(pid_, nullptr, 0);
}

void Process::signal(int number) const {
    if (pid_ > 0) kill(pid_, number);
}

bool Process::ended() {
    if (pid_ <= 0) return true;
    int status = 0;
    if (waitpid(pid_, &status, WNOHANG) != pid_) return false;
    pid_ = -1;
    status_ = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
    return true;
}

bool Process::says(const std::string& text, Timeout timeout) {
    const auto deadline = Clock::now() + timeout;
    while (true) {
        const bool last = ended() || Clock::now() >= deadline;
        if (content(err_.get()).find(text) != std::string::npos) return true;
        if (last) return false;
        std::this_thread::sleep_for(kPause);
    }
}

std::string Process::said() const { return content(err_.get()); }

Finished Process::wait(Timeout timeout) {
    const auto deadline = Clock::now() + timeout;
    while (!ended() && Clock::now() < deadline) std::this_thread::sleep_for(kPause);
    if (!ended()) {
        signal(SIGKILL);
        waitpid(pid_, nullptr, 0);
        pid_ = -1;
    }
    return {.status = status_, .out = content(out_.get()), .err = content(err_.get())};
}

Finished run_process(const std::vector<std::string>& arguments, Process::Timeout timeout) {
    return Process(arguments).wait(timeout);
}

} // namespace xdplane
