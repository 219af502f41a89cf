// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
#include "cli/command.h"

#include <cstdio>
#include <sstream>

#include "bpf/jit/backend.h"
#include "bpf/maps/run_ahead.h"
#include "bpf/syscall/bpf_system.h"

namespace xdplane::cli {

namespace po = boost::program_options;

namespace {

/// What a shell makes of a variable that is not set.
void refuse_empty(const po::basic_option<char>& option) {
    for (const std::string& value : option.value)
        if (value.empty())
            throw UsageError(option.position_key >= 0 ? "an argument is empty"
                                                      : fmt::format("--{} is empty", option.string_key));
}

} // namespace

bool Options::parse(const std::vector<std::string>& arguments, po::variables_map& values) {
    visible.add_options()("help,h", "show this help");
    const bool takes_words = positional.max_total_count() != 0;
    std::vector<std::string> surplus;
    if (!takes_words) {
        hidden.add_options()("surplus", po::value(&surplus));
        positional.add("surplus", -1);
    }
    po::options_description all;
    all.add(visible).add(hidden);
    const auto style = po::command_line_style::unix_style ^ po::command_line_style::allow_guessing;
    const po::parsed_options parsed =
        po::command_line_parser(arguments).options(all).positional(positional).style(style).run();
    for (const auto& option : parsed.options) refuse_empty(option);
    po::store(parsed, values);
    if (values.count("help") != 0) {
        std::ostringstream options;
        options << visible;
        fmt::print("usage: {}\n\n{}\n\n{}\n{}\n", usage, about, options.str(), examples);
        return false;
    }
    po::notify(values);
    if (!surplus.empty())
        throw UsageError(fmt::format("'{}' is one word too many: no option takes it", surplus.front()));
    return true;
}

void print_error(std::string_view message) {
    std::string line(message);
    // File names and libraries may bring what a terminal must not see.
    for (char& c : line)
        if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) c = ' ';
    fmt::print(stderr, "xdplane: {}\n", line);
}

int failed(const Error& error) {
    print_error(error.message);
    return kFailure;
}

void use_engine(const std::string& name) {
    if (name == "jit") {
        if (host_backend() == nullptr) throw UsageError("--engine jit: there is no JIT for this machine");
        set_engine(Engine::jit);
    } else if (name == "interpreter") {
        set_engine(Engine::interpreter);
    } else {
        throw UsageError(fmt::format("--engine {}: must be jit or interpreter", name));
    }
}

void use_run_ahead(const std::string& mode) {
    if (mode == "on") {
        set_run_ahead(RunAhead::on);
    } else if (mode == "off") {
        set_run_ahead(RunAhead::off);
    } else if (mode == "auto") {
        set_run_ahead(RunAhead::automatic);
    } else {
        throw UsageError(fmt::format("--run-ahead {}: must be on, off or auto", mode));
    }
}

} // namespace xdplane::cli
