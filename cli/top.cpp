// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
// xdplane top: what a running data plane does, live.
#include <chrono>
#include <cstdio>
#include <nlohmann/json.hpp>
#include <optional>

#include "cli/command.h"
#include "cli/numbers.h"
#include "cli/terminal.h"
#include "cli/top_view.h"
#include "dataplane/control_server.h"

namespace xdplane::cli {
namespace {

namespace po = boost::program_options;

constexpr std::string_view kUsageLine = "xdplane top [OPTION...]";
constexpr std::string_view kAbout =
    "Shows what a running `xdplane run` does: rates of ports, with drops by reason; how busy workers are "
    "and\n"
    "what a packet costs them; what each chain and stage decides, and takes. q or Ctrl-C ends it.";
constexpr std::string_view kExamples =
    "On standard output that is no terminal, it is plain text, one view behind the other. NO_COLOR in the\n"
    "environment turns colours off. Gbit/s are those of frames without preamble, checksum and gap.\n"
    "\nExamples:\n"
    "  xdplane top\n"
    "  xdplane top --interval 0.5 --control /run/left.sock\n"
    "  xdplane top --once | grep ns/packet -A3\n"
    "\nExit status: 0 ended by its user, or after --count; 1 the data plane has gone, or never was; 2 bad "
    "usage.";

constexpr double kShortest = 0.05;
constexpr double kLongest = 3600;

struct TopOptions {
    std::string control = default_control_path();
    double interval = 1;
    std::optional<u64> count;
};

bool parse(const std::vector<std::string>& arguments, TopOptions& top) {
    Options options{kUsageLine, kAbout, kExamples};
    bool once = false;
    options.visible.add_options()                                                            //
        ("interval", po::value<std::string>(), "seconds between two views; default: 1")      //
        ("count", po::value<std::string>(), "end after that many views")                     //
        ("once", po::bool_switch(&once), "one view, of one interval; the same as --count 1") //
        ("control", po::value(&top.control), "the control socket; default: that of `xdplane run`");
    po::variables_map values;
    if (!options.parse(arguments, values)) return false;
    if (values.contains("interval")) top.interval = seconds(values, "interval", kShortest, kLongest);
    if (once && values.contains("count")) throw UsageError("--once and --count exclude each other");
    if (values.contains("count")) top.count = whole_number(values, "count", 1, 1'000'000'000);
    if (top.control.empty()) throw UsageError("--control is missing, and XDG_RUNTIME_DIR is not set");
    if (once) top.count = 1;
    return true;
}

Result<Json> ask(const TopOptions& top, const char* command) {
    auto reply = control_request(top.control, {{"command", command}});
    if (!reply) return fail(reply.error());
    if ((*reply)["ok"] != true) return fail(EINVAL, "{}", reply->value("error", "refused"));
    return (*reply)["result"];
}

struct Sample {
    Json status;
    Json stats;
};
Result<Sample> sample(const TopOptions& top) {
    auto status = ask(top, "status");
    if (!status) return fail(status.error());
    auto stats = ask(top, "stats");
    if (!stats) return fail(stats.error());
    return Sample{std::move(*status), std::move(*stats)};
}

/// Until its user or --count ends it, or nobody reads it any more (which main() says). Error: the data plane
/// does not answer any more.
Result<> watch(const TopOptions& top, Sample before) {
    const std::chrono::duration<double> interval(top.interval);
    Terminal terminal;
    std::vector<TopLine> lines{{fmt::format("the first {} s ...", top.interval)}};
    if (terminal.on_screen() && !terminal.show(lines)) return {};
    for (u64 shown = 0; !top.count || shown < *top.count;) {
        const auto event = terminal.wait(std::chrono::ceil<std::chrono::milliseconds>(interval));
        if (event == Terminal::Event::quit) return {};
        if (event == Terminal::Event::resized) {
            if (!terminal.show(lines)) return {};
            continue;
        }
        auto now = sample(top);
        if (!now) return fail(now.error());
        // Another process has taken the place of the one before: its counters begin anew.
        if (now->status["pid"] == before.status["pid"]) {
            lines = top_view(now->status, before.stats, now->stats);
            if (!terminal.show(lines)) return {};
            ++shown;
        }
        before = std::move(*now);
    }
    return {};
}

} // namespace

int top_command(const std::vector<std::string>& arguments) {
    TopOptions top;
    if (!parse(arguments, top)) return kSuccess;
    auto first = sample(top);
    if (!first) return failed(first.error());
    const auto watched = watch(top, std::move(*first));
    if (watched) return kSuccess;
    print_error(fmt::format("the data plane has gone: {}", watched.error().message));
    return kFailure;
}

} // namespace xdplane::cli
