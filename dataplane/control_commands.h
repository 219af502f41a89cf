// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
#pragma once
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "dataplane/control_server.h"
#include "dataplane/daemon.h"

namespace xdplane {

/// A command of the control socket: a row in control_commands.cpp.
struct ControlCommand {
    std::string_view name;
    std::string_view argument; ///< keys of the request that it takes besides, blanks between; empty: none
    std::string_view summary;  ///< one line, for `xdplane ctl --help`
    /// The result, for programs.
    Result<Json> (*run)(Daemon& daemon, const Json& request);
    /// The same for people; ends in a newline.
    std::string (*text)(const Daemon& daemon, const Json& result);
    /// Instead of `run`, for what goes on behind the reply: it lasts as long as the session.
    Result<Json> (*begin)(Daemon& daemon, const Json& request, ControlSession& session) = nullptr;
};
[[nodiscard]] std::span<const ControlCommand> control_commands();
/// Its arguments, in the order of the command line.
[[nodiscard]] std::vector<std::string> arguments_of(const ControlCommand& command);

/// Maps of all chains: what `maps` gives.
[[nodiscard]] Json maps_report(const Daemon& daemon);

/// Carries out a request. With "text": true in it the reply has the result as "text" too.
[[nodiscard]] Json handle_control_request(Daemon& daemon, const Json& request, ControlSession& session);
/// The same for who has no connection, and does not begin anything.
[[nodiscard]] Json handle_control_request(Daemon& daemon, const Json& request);

} // namespace xdplane
