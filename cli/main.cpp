// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstring>
#include <exception>
#include <fcntl.h>
#include <system_error>

#include "cli/command.h"

namespace xdplane::cli {
namespace {

constexpr Command kCommands[] = {
    {"replay", "run the packets of captures through a chain of programs", replay_command},
    {"run", "filter packets between DPDK ports, until a signal", run_command},
    {"ctl", "ask a running `run`, reload its configuration, roll back", ctl_command},
    {"top", "show what a running `run` does, live", top_command},
    {"exec", "run bpftool, or any program with libbpf, against a running `run`", exec_command},
    {"verify", "say of every program of an object whether it is accepted", verify_command},
    {"dump", "show a program's instructions, as bytecode, lowered or as machine code", dump_command},
    {"bench", "measure engines, and compare them with native code", bench_command},
    {"test-run", "run a program on one packet from a file", test_run_command},
};

void print_help(std::FILE* out) {
    fmt::print(out,
               "usage: xdplane COMMAND [OPTION...]\n\n"
               "Runs BPF programs (XDP and socket filters) in user space, JIT-compiled, on capture files\n"
               "and on DPDK ports.\n\nCommands:\n");
    for (const Command& command : kCommands) fmt::print(out, "  {:<10}{}\n", command.name, command.summary);
    fmt::print(out,
               "\n`xdplane COMMAND --help` shows a command's options, with examples; `xdplane --version`\n"
               "the version. Exit status: 0 success, 1 refusal or failure, 2 bad usage.\n");
}

int usage_error(std::string_view command, std::string_view message) {
    print_error(fmt::format("{}{}{} (see xdplane {}{}--help)", command, command.empty() ? "" : ": ", message,
                            command, command.empty() ? "" : " "));
    return kUsage;
}

int run(const std::vector<std::string>& arguments) {
    if (arguments.empty()) {
        print_help(stderr);
        return kUsage;
    }
    const std::string& name = arguments.front();
    if (name == "help" && arguments.size() > 1) return run({arguments[1], "--help"});
    if (name == "--help" || name == "-h" || name == "help") {
        print_help(stdout);
        return kSuccess;
    }
    if (name == "--version" || name == "-V") {
        fmt::print("xdplane {}\n", XDPLANE_VERSION);
        return kSuccess;
    }
    for (const Command& command : kCommands) {
        if (command.name != name) continue;
        try {
            return command.run({arguments.begin() + 1, arguments.end()});
        } catch (const UsageError& error) {
            const std::string& below = error.subcommand;
            return usage_error(below.empty() ? name : name + " " + below, error.what());
        } catch (const boost::program_options::error& error) {
            return usage_error(name, error.what());
        }
    }
    return usage_error("", fmt::format("there is no command '{}'", name));
}

/// A standard stream that is closed would be the next file that is opened, and get what is printed: its
/// number is taken by something that can not be used so.
void take_closed_streams() {
    constexpr int kFlags[] = {O_WRONLY, O_RDONLY, O_RDWR};
    for (int fd = 0; fd < 3; ++fd)
        if (::fcntl(fd, F_GETFD) < 0) (void)::open("/dev/null", kFlags[fd]); // the lowest free number
}

/// `code`: 0 if the reason has been forgotten.
std::string unwritten(int code) {
    return fmt::format("standard output: cannot be written{}{}", code != 0 ? ": " : "",
                       code != 0 ? std::strerror(code) : "");
}

/// Output that did not reach its reader is a failure, also where it is only the table.
int close_stdout(int status) {
    const bool failed_before = std::ferror(stdout) != 0;
    const int code = std::fflush(stdout) == 0 ? 0 : errno;
    if (code == 0 && !failed_before) return status;
    print_error(unwritten(code));
    return kFailure;
}

} // namespace
} // namespace xdplane::cli

int main(int argc, char** argv) {
    xdplane::cli::take_closed_streams();
    // A reader that goes away is an error of the write, with a name, and no silent end.
    std::signal(SIGPIPE, SIG_IGN);
    try {
        return xdplane::cli::close_stdout(xdplane::cli::run({argv + (argc > 0 ? 1 : 0), argv + argc}));
    } catch (const std::bad_alloc&) {
        xdplane::cli::print_error("out of memory");
    } catch (const std::system_error& error) {
        // Who printed could not say where to.
        const bool printed = std::ferror(stdout) != 0;
        xdplane::cli::print_error(printed ? xdplane::cli::unwritten(error.code().value()) : error.what());
    } catch (const std::exception& error) {
        xdplane::cli::print_error(error.what());
    }
    return xdplane::cli::kFailure;
}
