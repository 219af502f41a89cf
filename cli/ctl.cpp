// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
// xdplane ctl: asks a running data plane, and tells it what to do.
#include <algorithm>
#include <cstdio>
#include <nlohmann/json.hpp>

#include "cli/command.h"
#include "dataplane/control_commands.h"

namespace xdplane::cli {
namespace {

namespace po = boost::program_options;

constexpr std::string_view kUsageLine = "xdplane ctl [OPTION...] COMMAND [ARGUMENT]";
constexpr std::string_view kAbout = "Asks a running `xdplane run` over its control socket.";
constexpr std::string_view kExamples = "\nExamples:\n"
                                       "  xdplane ctl status\n"
                                       "  xdplane ctl stats --json\n"
                                       "  xdplane ctl map blocklist\n"
                                       "  xdplane ctl --control /run/left.sock reload\n"
                                       "\nExit status: 0 done, 1 refused or no answer, 2 bad usage.";

std::string list_of_commands() {
    std::string text = "\nCommands:\n";
    for (const ControlCommand& command : control_commands()) {
        std::string name(command.name);
        if (!command.argument.empty()) name += " NAME";
        text += fmt::format("  {:<12}{}\n", name, command.summary);
    }
    return text;
}

const ControlCommand& find(const std::string& name) {
    const auto commands = control_commands();
    const auto found = std::ranges::find(commands, name, &ControlCommand::name);
    if (found == commands.end()) throw UsageError(fmt::format("there is no command '{}'", name));
    return *found;
}

} // namespace

int ctl_command(const std::vector<std::string>& arguments) {
    const std::string after = list_of_commands() + std::string(kExamples);
    Options options{kUsageLine, kAbout, after};
    std::string path = default_control_path();
    std::vector<std::string> words;
    bool json = false;
    options.visible.add_options()                                                           //
        ("control", po::value(&path), "the control socket; default: that of `xdplane run`") //
        ("json", po::bool_switch(&json), "the result as JSON on standard output");
    options.hidden.add_options()("words", po::value(&words));
    options.positional.add("words", -1);
    po::variables_map values;
    if (!options.parse(arguments, values)) return kSuccess;
    if (words.empty()) throw UsageError("what is it to do? COMMAND is missing");
    const ControlCommand& command = find(words.front());
    const std::size_t wanted = command.argument.empty() ? 1 : 2;
    if (words.size() < wanted) throw UsageError(fmt::format("{} needs a name", command.name));
    if (words.size() > wanted) throw UsageError(fmt::format("'{}' is one word too many", words[wanted]));
    if (path.empty()) throw UsageError("--control is missing, and XDG_RUNTIME_DIR is not set");

    Json request = {{"command", command.name}, {"text", !json}};
    if (wanted == 2) request[std::string(command.argument)] = words[1];
    const auto reply = control_request(path, request);
    if (!reply) return failed(reply.error());
    if ((*reply)["ok"] != true) {
        print_error(reply->value("error", "refused"));
        return kFailure;
    }
    fmt::print("{}", json ? (*reply)["result"].dump() + "\n" : reply->value("text", ""));
    return kSuccess;
}

} // namespace xdplane::cli
