// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
#include <csignal>
#include <cstdio>
#include <exception>

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

/// Output that did not reach its reader is a failure, also where it is only the table.
int close_stdout(int status) {
    if (std::fflush(stdout) == 0 && std::ferror(stdout) == 0) return status;
    print_error("standard output: cannot be written");
    return kFailure;
}

} // namespace
} // namespace xdplane::cli

int main(int argc, char** argv) {
    // A reader that goes away is an error of the write, with a name, and no silent end.
    std::signal(SIGPIPE, SIG_IGN);
    try {
        return xdplane::cli::close_stdout(xdplane::cli::run({argv + (argc > 0 ? 1 : 0), argv + argc}));
    } catch (const std::bad_alloc&) {
        xdplane::cli::print_error("out of memory");
    } catch (const std::exception& error) {
        xdplane::cli::print_error(error.what());
    }
    return xdplane::cli::kFailure;
}
