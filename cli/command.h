// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
#pragma once
#include <boost/program_options.hpp>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include "bpf/base/result.h"

/// The subcommands of xdplane: a row each in main.cpp, a file each.
namespace xdplane::cli {

/// Exit statuses.
enum Exit : int {
    kSuccess = 0,
    kFailure = 1,       ///< refused, damaged or failed
    kUsage = 2,         ///< options that make no sense
    kInterrupted = 130, ///< stopped by SIGINT or SIGTERM, after a clean end
};

struct Command {
    std::string_view name;
    std::string_view summary; ///< one line for `xdplane --help`
    /// Arguments behind the subcommand's name. Throws UsageError and boost::program_options::error.
    int (*run)(const std::vector<std::string>& arguments);
};

/// Printed with a hint at --help; exit status 2.
struct UsageError : std::runtime_error {
    explicit UsageError(const std::string& what, std::string below = {})
        : std::runtime_error(what), subcommand(std::move(below)) {}
    std::string subcommand; ///< whose --help it is, behind the command's name; empty: the command's own
};

/// One subcommand's options, and what its --help says around them.
struct Options {
    std::string_view usage;    ///< how to call it, without "usage:"
    std::string_view about;    ///< what it does
    std::string_view examples; ///< and more text, behind the options
    boost::program_options::options_description visible{"Options", 100, 60};
    boost::program_options::options_description hidden{};
    boost::program_options::positional_options_description positional{};

    /// Parses; false if help was asked for, and printed. Abbreviated options are not guessed.
    bool parse(const std::vector<std::string>& arguments, boost::program_options::variables_map& values);
};

/// "xdplane: message" on stderr, on one line whatever the message holds.
void print_error(std::string_view message);
/// Prints and returns kFailure.
int failed(const Error& error);

/// The engine of programs loaded from now on: "jit" or "interpreter"; UsageError otherwise.
void use_engine(const std::string& name);
/// Run-ahead of all bursts from now on: "on", "off" or "auto"; UsageError otherwise.
void use_run_ahead(const std::string& mode);

int replay_command(const std::vector<std::string>& arguments);
int run_command(const std::vector<std::string>& arguments);
int ctl_command(const std::vector<std::string>& arguments);
int capture_command(const std::vector<std::string>& arguments); ///< `xdplane ctl capture`, without the two
int top_command(const std::vector<std::string>& arguments);
int exec_command(const std::vector<std::string>& arguments);
int verify_command(const std::vector<std::string>& arguments);
int dump_command(const std::vector<std::string>& arguments);
int bench_command(const std::vector<std::string>& arguments);
int test_run_command(const std::vector<std::string>& arguments);

} // namespace xdplane::cli
