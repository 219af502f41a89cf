// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
// xdplane ctl: asks a running data plane, and tells it what to do.
#include <algorithm>
#include <cctype>
#include <cstdio>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "cli/command.h"
#include "dataplane/control_commands.h"

namespace xdplane::cli {
namespace {

namespace po = boost::program_options;

constexpr std::string_view kUsageLine = "xdplane ctl [OPTION...] COMMAND [ARGUMENT...]";
constexpr std::string_view kAbout = "Asks a running `xdplane run` over its control socket.";
constexpr std::string_view kExamples = "\nMAP is a map's name; OBJECT:MAP or CHAIN/OBJECT:MAP, as `xdplane "
                                       "ctl maps` lists them, where several have\n"
                                       "that name. The data plane reads FILE, with its own rights.\n"
                                       "\nExamples:\n"
                                       "  xdplane ctl status\n"
                                       "  xdplane ctl stats --json\n"
                                       "  xdplane ctl map blocklist\n"
                                       "  xdplane ctl load blocklist drop.txt\n"
                                       "  xdplane ctl map guard/blocklist:blocklist\n"
                                       "  xdplane ctl capture --verdict drop -w dropped.pcap\n"
                                       "  xdplane ctl --control /run/left.sock reload\n"
                                       "\nExit status: 0 done, 1 refused or no answer, 2 bad usage.";

/// "load MAP FILE"
std::string with_arguments(const ControlCommand& command) {
    std::string text(command.name);
    for (const std::string& argument : arguments_of(command)) text += " " + argument;
    std::transform(text.begin() + static_cast<std::ptrdiff_t>(command.name.size()), text.end(),
                   text.begin() + static_cast<std::ptrdiff_t>(command.name.size()),
                   [](unsigned char c) { return static_cast<char>(std::toupper(c)); });
    return text;
}

std::string list_of_commands() {
    std::string text = "\nCommands:\n";
    for (const ControlCommand& command : control_commands()) {
        text += fmt::format("  {:<18}{}\n", with_arguments(command), command.summary);
    }
    return text;
}

const ControlCommand& find(const std::string& name) {
    const auto commands = control_commands();
    const auto found = std::ranges::find(commands, name, &ControlCommand::name);
    if (found == commands.end()) throw UsageError(fmt::format("there is no command '{}'", name));
    return *found;
}

/// Where COMMAND stands; at the end if it is missing.
std::vector<std::string>::const_iterator command_in(const std::vector<std::string>& arguments) {
    auto word = arguments.begin();
    for (; word != arguments.end() && word->starts_with("-"); ++word)
        if (*word == "--control" && word + 1 != arguments.end()) ++word;
    return word;
}

} // namespace

int ctl_command(const std::vector<std::string>& arguments) {
    // A command with options of its own.
    if (const auto word = command_in(arguments); word != arguments.end() && *word == "capture") {
        std::vector<std::string> others(arguments.begin(), word);
        others.insert(others.end(), word + 1, arguments.end());
        try {
            return capture_command(others);
        } catch (const UsageError& error) {
            throw UsageError(error.what(), *word);
        } catch (const po::error& error) {
            throw UsageError(error.what(), *word);
        }
    }
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
    const std::vector<std::string> arguments_wanted = arguments_of(command);
    const std::size_t wanted = arguments_wanted.size() + 1;
    if (words.size() < wanted) throw UsageError(fmt::format("it is: {}", with_arguments(command)));
    if (words.size() > wanted) throw UsageError(fmt::format("'{}' is one word too many", words[wanted]));
    if (path.empty()) throw UsageError("--control is missing, and XDG_RUNTIME_DIR is not set");

    Json request = {{"command", command.name}, {"text", !json}};
    for (std::size_t i = 1; i < wanted; ++i) {
        const std::string& key = arguments_wanted[i - 1];
        // The data plane has another working directory.
        request[key] = key == "file" ? std::filesystem::absolute(words[i]).string() : words[i];
    }
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
