// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
// xdplane run: the inline data plane, from a configuration file, until a signal.
#include <algorithm>
#include <cstdio>
#include <map>
#include <optional>
#include <unistd.h>

#include "bpf/syscall/bpf_system.h"
#include "cli/command.h"
#include "cli/stop_signals.h"
#include "cli/trace_printer.h"
#include "dataplane/chain_loader.h"
#include "dataplane/config.h"
#include "dataplane/eal.h"
#include "dataplane/inline_report.h"

namespace xdplane::cli {
namespace {

namespace po = boost::program_options;
using Clock = std::chrono::steady_clock;
using Seconds = std::chrono::duration<double>;
using Strings = std::vector<std::string>;

constexpr std::string_view kUsageLine = "xdplane run --config FILE [OPTION...] [-- EAL-ARGUMENT...]";
constexpr std::string_view kAbout =
    "Filters packets between ports until SIGINT or SIGTERM, then stops cleanly and prints a table.\n"
    "The configuration names the ports (any DPDK network device), the chain of programs in front of\n"
    "each, and the peer that passed packets go out on. XDP_TX sends back, XDP_REDIRECT to the port with\n"
    "that ifindex; what is dropped is counted by reason.";
constexpr std::string_view kExamples =
    "Huge pages are used where some are free. What stands behind -- goes to DPDK's EAL.\n"
    "\nExamples:\n"
    "  xdplane run --config configs/inline/bump.toml\n"
    "  xdplane run --config configs/inline/null.toml --duration 5 --json\n"
    "  xdplane run --config configs/inline/capture.toml --until-idle 1\n"
    "  xdplane run --config nic.toml --workers 2 -- -a 0000:01:00.0 -a 0000:01:00.1";

/// A clean stop takes milliseconds; after this many seconds it is given up.
constexpr unsigned kStopSeconds = 10;

struct RunOptions {
    std::string config;
    std::string engine;
    u32 workers = 0; ///< 0: what the configuration says, or 1
    std::optional<Seconds> duration;
    std::optional<Seconds> until_idle;
    bool json = false;
    Strings eal;
};

std::optional<Seconds> seconds(const po::variables_map& values, const char* name) {
    if (!values.contains(name)) return std::nullopt;
    const double value = values[name].as<double>();
    if (!(value > 0 && value < 1e9)) throw UsageError(fmt::format("--{}: must be seconds above 0", name));
    return Seconds(value);
}

bool parse(Strings words, RunOptions& run) {
    const auto separator = std::ranges::find(words, "--");
    if (separator != words.end()) run.eal.assign(separator + 1, words.end());
    words.erase(separator, words.end());

    Options options{kUsageLine, kAbout, kExamples};
    options.visible.add_options()                                                                 //
        ("config", po::value(&run.config), "ports and chains (TOML)")                             //
        ("engine", po::value(&run.engine), "jit or interpreter; default: jit where there is one") //
        ("workers", po::value(&run.workers),
         "cores to filter on, at most; a port and its peer stay on one")  //
        ("duration", po::value<double>(), "stop after that many seconds") //
        ("until-idle", po::value<double>(),
         "stop when nothing has come in for that many seconds, as at the end of a capture") //
        ("json", po::bool_switch(&run.json), "summary as JSON on standard output");
    po::variables_map values;
    if (!options.parse(words, values)) return false;
    if (run.config.empty()) throw UsageError("--config is missing");
    if (values.contains("workers") && (run.workers < 1 || run.workers > num_possible_cpus()))
        throw UsageError(fmt::format("--workers: must be a number from 1 to {}", num_possible_cpus()));
    if (!run.engine.empty()) use_engine(run.engine);
    run.duration = seconds(values, "duration");
    run.until_idle = seconds(values, "until-idle");
    return true;
}

/// By name.
using Chains = std::map<std::string, LoadedChain>;

/// Those that a port has: others may want what is not there.
Result<Chains> load_chains(const Config& config) {
    Chains chains;
    for (const PortConfig& port : config.ports) {
        if (port.chain.empty() || chains.contains(port.chain)) continue;
        auto loaded = load_chain(config.chain(port.chain)->stages);
        if (!loaded) return fail(loaded.error());
        chains.emplace(port.chain, std::move(*loaded));
    }
    return chains;
}

std::vector<InlinePort> inline_ports(const Config& config, const Chains& chains) {
    std::vector<InlinePort> ports;
    for (const PortConfig& port : config.ports) {
        PortSpec spec{.name = port.name, .device = port.device, .ifindex = port.ifindex};
        if (port.rx_descriptors != 0) spec.rx_descriptors = port.rx_descriptors;
        if (port.tx_descriptors != 0) spec.tx_descriptors = port.tx_descriptors;
        ports.push_back({.spec = std::move(spec),
                         .peer = port.peer,
                         .chain = port.chain.empty() ? nullptr : chains.at(port.chain).chain});
    }
    return ports;
}

/// One line on a terminal, rewritten each second.
class LiveRate {
public:
    explicit LiveRate(bool on) : on_(on && isatty(STDERR_FILENO) == 1) {}
    void show(const InlineReport& report, Clock::time_point now) {
        if (!on_ || now - last_ < std::chrono::seconds(1)) return;
        const double mega = Seconds(now - last_).count() * 1e6;
        const auto rate = [&](u64 value, u64 before) { return static_cast<double>(value - before) / mega; };
        if (last_ != Clock::time_point{})
            fmt::print(stderr, "\r\x1b[K{:.3f} Mpps in, {:.3f} forwarded, {:.3f} dropped",
                       rate(report.packets(), packets_), rate(report.forwarded(), forwarded_),
                       rate(report.dropped(), dropped_));
        last_ = now;
        packets_ = report.packets();
        forwarded_ = report.forwarded();
        dropped_ = report.dropped();
    }
    void clear() const {
        if (on_) fmt::print(stderr, "\r\x1b[K");
    }

private:
    bool on_;
    Clock::time_point last_;
    u64 packets_ = 0;
    u64 forwarded_ = 0;
    u64 dropped_ = 0;
};

/// Until a signal, the end of the time, or silence on all ports. Returns how long that was.
Seconds watch(const Inline& plane, const RunOptions& run, const StopSignals& signals) {
    const auto begin = Clock::now();
    LiveRate rate(true);
    u64 packets = 0;
    auto last_packet = begin;
    for (;;) {
        const auto now = Clock::now();
        const InlineReport report{.ports = plane.ports(), .chains = {}};
        rate.show(report, now);
        if (report.packets() != packets) last_packet = now;
        packets = report.packets();
        const Seconds ran = now - begin;
        if (run.duration && ran >= *run.duration) break;
        if (run.until_idle && now - last_packet >= *run.until_idle) break;
        Seconds wait = std::chrono::milliseconds(100);
        if (run.duration) wait = std::min(wait, *run.duration - ran);
        if (signals.wait(std::chrono::duration_cast<std::chrono::nanoseconds>(wait))) break;
    }
    rate.clear();
    return Clock::now() - begin;
}

Result<InlineReport> run_plane(const RunOptions& run, const Config& config, const Chains& chains,
                               const StopSignals& signals) {
    auto plane = Inline::open(inline_ports(config, chains), run.workers);
    if (!plane) return fail(plane.error(), config.path);
    if (auto started = (*plane)->start(); !started) return fail(started.error());
    fmt::print(stderr, "xdplane: running, {} port{}, {} worker{}\n", config.ports.size(),
               config.ports.size() == 1 ? "" : "s", (*plane)->workers(), (*plane)->workers() == 1 ? "" : "s");

    InlineReport report{.workers = (*plane)->workers(), .ports = {}, .chains = {}};
    report.seconds = watch(**plane, run, signals).count();
    // A driver that does not come back from a transmit would keep us here for ever.
    alarm(kStopSeconds);
    report.buffers_missing = (*plane)->stop();
    alarm(0);
    report.ports = (*plane)->ports();
    report.engine = engine() == Engine::jit ? "jit" : "interpreter";
    for (const auto& [name, loaded] : chains)
        report.chains.push_back(report_chain(name, *loaded.chain, (*plane)->chain_stats(*loaded.chain)));
    return report;
}

Result<InlineReport> run_config(RunOptions run) {
    const auto config = read_config(run.config);
    if (!config) return fail(config.error());
    if (config->ports.empty()) return fail(EINVAL, "{}: no ports", run.config);
    if (run.workers == 0) run.workers = std::max(config->workers, 1U);

    const StopSignals signals; // before other threads, which must not take them
    const TracePrinter printer;
    const auto chains = load_chains(*config);
    if (!chains) return fail(chains.error());
    std::vector<std::string> notes;
    if (auto started = start_eal(run.eal, run.workers, notes); !started) return fail(started.error());
    for (const std::string& note : notes) fmt::print(stderr, "xdplane: {}\n", note);
    auto report = run_plane(run, *config, *chains, signals);
    stop_eal();
    return report;
}

} // namespace

int run_command(const Strings& words) {
    RunOptions run;
    if (!parse(words, run)) return kSuccess;
    const bool json = run.json;
    const auto report = run_config(std::move(run));
    if (!report) return failed(report.error());
    fmt::print("{}", json ? as_json(*report) : as_table(*report));
    if (report->buffers_missing != 0) {
        print_error(fmt::format("{} packet buffers did not come back", report->buffers_missing));
        return kFailure;
    }
    return kSuccess;
}

} // namespace xdplane::cli
