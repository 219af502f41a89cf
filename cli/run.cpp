// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
// xdplane run: the inline data plane, from a configuration file, until a signal.
#include <algorithm>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <cstdio>
#include <nlohmann/json.hpp>
#include <optional>
#include <unistd.h>

#include "bpf/base/reclaimer.h"
#include "cli/command.h"
#include "cli/config_watch.h"
#include "cli/log.h"
#include "cli/numbers.h"
#include "cli/service.h"
#include "cli/stop_signals.h"
#include "cli/trace_printer.h"
#include "dataplane/bpf_server.h"
#include "dataplane/capabilities.h"
#include "dataplane/control_commands.h"
#include "dataplane/daemon.h"
#include "dataplane/eal.h"
#include "dataplane/metrics.h"
#include "dataplane/metrics_server.h"

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
    "each, and the peer that passed packets go out on, or pass = \"host\" for this machine's own network\n"
    "stack. XDP_TX sends back, XDP_REDIRECT to the port with that ifindex or to another CPU; what is "
    "dropped\n"
    "is counted by reason. SIGHUP, or `xdplane ctl reload`, reads the configuration again and goes over to\n"
    "it without losing a packet; if it is wrong, the old one goes on.";
constexpr std::string_view kExamples =
    "Huge pages are used where some are free. What stands behind -- goes to DPDK's EAL.\n"
    "\nExamples:\n"
    "  xdplane run --config configs/inline/bump.toml\n"
    "  xdplane run --config configs/inline/null.toml --duration 5 --json\n"
    "  xdplane run --config configs/inline/capture.toml --until-idle 1\n"
    "  xdplane run --config nic.toml --workers 2 -- -a 0000:01:00.0 -a 0000:01:00.1";

/// A clean stop takes milliseconds; after this many seconds it is given up.
constexpr unsigned kStopSeconds = 10;

/// How late a signal may be noticed.
constexpr std::chrono::milliseconds kTick{50};

struct RunOptions {
    std::string config;
    std::string control;   ///< path of the control socket; empty: what the configuration says, or the default
    std::string metrics;   ///< address of the metrics; empty: what the configuration says, or nowhere
    std::string log_level; ///< empty: what the configuration says
    std::string engine;
    std::string run_ahead;
    u32 workers = 0; ///< 0: what the configuration says, or 1
    std::optional<Seconds> duration;
    std::optional<Seconds> until_idle;
    bool json = false;
    bool watch = false; ///< or the configuration says so
    Strings eal;
};

/// A time that the run ends after.
std::optional<Seconds> limit(const po::variables_map& values, const char* option) {
    constexpr double kLongest = 1e9;
    if (!values.contains(option)) return std::nullopt;
    return Seconds(seconds(values, option, 0, kLongest));
}

bool parse(Strings words, RunOptions& run) {
    const auto separator = std::ranges::find(words, "--");
    if (separator != words.end()) run.eal.assign(separator + 1, words.end());
    words.erase(separator, words.end());

    Options options{kUsageLine, kAbout, kExamples};
    options.visible.add_options()                                                                 //
        ("config", po::value(&run.config), "ports and chains (TOML)")                             //
        ("engine", po::value(&run.engine), "jit or interpreter; default: jit where there is one") //
        ("run-ahead", po::value(&run.run_ahead)->default_value("auto"),
         "fetch what lookups will need ahead of each burst: on, off or auto") //
        ("workers", po::value<std::string>(),
         "cores to filter on, at most; each has queues of the ports")          //
        ("duration", po::value<std::string>(), "stop after that many seconds") //
        ("until-idle", po::value<std::string>(),
         "stop when nothing has come in for that many seconds, as at the end of a capture") //
        ("control", po::value(&run.control),
         "path of the control socket; default: the configuration's, or /run/xdplane.sock as root,\n"
         "$XDG_RUNTIME_DIR/xdplane.sock else") //
        ("watch", po::bool_switch(&run.watch),
         "reload when the configuration, or a file that it names, changes") //
        ("metrics", po::value(&run.metrics),
         "serve Prometheus metrics at http://ADDRESS:PORT/metrics; a port alone is one of 127.0.0.1") //
        ("log-level", po::value(&run.log_level),
         "what is said on stderr: error, warning, info or debug; default: the configuration's, or info") //
        ("json", po::bool_switch(&run.json), "summary as JSON on standard output");
    po::variables_map values;
    if (!options.parse(words, values)) return false;
    if (run.config.empty()) throw UsageError("--config is missing");
    if (values.contains("workers"))
        run.workers = static_cast<u32>(whole_number(values, "workers", 1, num_possible_cpus()));
    if (!run.log_level.empty() && !start_log(run.log_level, false))
        throw UsageError(fmt::format("--log-level {}: must be {}", run.log_level, kLogLevels));
    if (!run.engine.empty()) use_engine(run.engine);
    use_run_ahead(run.run_ahead);
    run.duration = limit(values, "duration");
    run.until_idle = limit(values, "until-idle");
    return true;
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

void reload(Daemon& daemon) {
    if (const auto done = daemon.reload(); !done)
        log_error(
            fmt::format("reload: {}; generation {} goes on", done.error().message, daemon.generation()));
    else
        log_info(fmt::format("reload: generation {} runs", daemon.generation()));
}

/// Until a signal to stop, the end of the time, or silence on all ports: answers the control socket, and
/// reloads at SIGHUP and when `files` (may be null) have changed. Returns how long that was.
Seconds watch(Daemon& daemon, const RunOptions& run, const StopSignals& signals, boost::asio::io_context& io,
              Supervisor& supervisor, ConfigWatch* files) {
    const auto begin = Clock::now();
    LiveRate rate(true);
    u64 packets = 0;
    auto last_packet = begin;
    // Without a control socket there is nothing to do in between, and run_for() would not wait.
    const auto work = boost::asio::make_work_guard(io);
    for (;;) {
        const auto now = Clock::now();
        Reclaimer::instance().collect(); // what was let go of since, and no worker uses any more
        const InlineReport report{.ports = daemon.plane().ports(), .chains = {}, .worker_reports = {}};
        rate.show(report, now);
        if (report.packets() != packets) last_packet = now;
        packets = report.packets();
        const Seconds ran = now - begin;
        if (run.duration && ran >= *run.duration) break;
        if (run.until_idle && now - last_packet >= *run.until_idle) break;
        Seconds wait = kTick;
        if (run.duration) wait = std::min(wait, *run.duration - ran);
        if (files != nullptr) files->look();
        io.run_for(std::chrono::duration_cast<std::chrono::nanoseconds>(wait));
        supervisor.tick();
        const int signal = signals.take(std::chrono::nanoseconds(0));
        const bool changed = files != nullptr && files->take();
        if (signal == SIGHUP || (signal == 0 && changed)) {
            supervisor.reloading();
            reload(daemon);
            supervisor.ready();
        } else if (signal != 0) {
            break;
        }
    }
    rate.clear();
    return Clock::now() - begin;
}

/// A socket that was asked for must be there. The default one may be another process's, or in a directory
/// that is not ours: then this one has none, and says so.
struct Sockets {
    std::unique_ptr<ControlServer> control;
    std::unique_ptr<BpfServer> bpf; ///< beside it
};
Result<Sockets> open_control(const RunOptions& run, Daemon& daemon, boost::asio::io_context& io) {
    const ControlConfig& config = daemon.running().config.control;
    ControlSocket where{.path = run.control, .group = config.group, .mode = config.mode};
    if (where.path.empty()) where.path = config.socket;
    const bool asked_for = !where.path.empty();
    if (!asked_for) where.path = default_control_path();
    if (where.path.empty()) return Sockets{};
    auto server = ControlServer::open(io, where, [&daemon](const Json& request, ControlSession& session) {
        return handle_control_request(daemon, request, session);
    });
    if (!server && asked_for) return fail(server.error());
    if (!server) {
        log_warning(
            fmt::format("no control socket: {} (--control PATH names another)", server.error().message));
        return Sockets{};
    }
    where.path += kBpfSocketSuffix;
    auto bpf = BpfServer::open(io, where);
    if (!bpf) log_warning(fmt::format("`xdplane exec` will not work: {}", bpf.error().message));
    return Sockets{std::move(*server), bpf ? std::move(*bpf) : nullptr};
}

/// Nowhere unless asked for.
Result<std::unique_ptr<MetricsServer>> open_metrics(const RunOptions& run, const Daemon& daemon,
                                                    boost::asio::io_context& io) {
    const std::string& configured = daemon.running().config.metrics.listen;
    const std::string& address = run.metrics.empty() ? configured : run.metrics;
    if (address.empty()) return nullptr;
    auto server =
        MetricsServer::open(io, address, [&daemon] { return metrics_text(metrics_report(daemon)); });
    if (server) log_info(fmt::format("metrics at http://{}/metrics", (*server)->address()));
    return server;
}

/// `loading`: when reading the configuration began.
Result<InlineReport> run_plane(const RunOptions& run, std::shared_ptr<const LoadedConfig> config,
                               const StopSignals& signals, const ServiceManager& manager,
                               std::chrono::system_clock::time_point loading) {
    auto started = Daemon::start(std::move(config), run.workers);
    if (!started) return fail(started.error());
    Daemon& daemon = **started;
    boost::asio::io_context io;
    auto sockets = open_control(run, daemon, io);
    if (!sockets) return fail(sockets.error());
    auto metrics = open_metrics(run, daemon, io);
    if (!metrics) return fail(metrics.error());
    std::unique_ptr<ConfigWatch> files;
    if (run.watch || daemon.running().config.control.watch) {
        auto opened = ConfigWatch::open(io, daemon, loading);
        if (!opened) return fail(opened.error());
        files = std::move(*opened);
    }
    if (auto dropped = drop_capabilities(needed_capabilities(daemon.plane().kernel_interfaces())); !dropped)
        log_warning(dropped.error().message);
    const std::size_t ports = daemon.running().config.ports.size();
    const u32 workers = daemon.plane().workers();
    log_info(fmt::format("running, {} port{}, {} worker{}", ports, ports == 1 ? "" : "s", workers,
                         workers == 1 ? "" : "s"));

    Supervisor supervisor(manager, daemon);
    supervisor.ready();
    const Seconds ran = watch(daemon, run, signals, io, supervisor, files.get());
    supervisor.stopping();
    *sockets = {};
    metrics->reset();
    // A driver that does not come back from a transmit would keep us here for ever.
    alarm(kStopSeconds);
    const u32 missing = daemon.stop();
    alarm(0);
    InlineReport report = daemon.report();
    report.seconds = ran.count();
    report.buffers_missing = missing;
    return report;
}

Result<InlineReport> run_config(RunOptions run) {
    const StopSignals signals({SIGHUP}); // before other threads, which must not take them
    const ServiceManager manager;        // changes the environment: before other threads, too
    const TracePrinter printer;
    const auto loading = std::chrono::system_clock::now();
    auto config = [&run] {
        const StopSignals::Released released; // a file may be a pipe, and verification may take its time
        return load_config(run.config);
    }();
    if (!config) return fail(config.error());
    const LogConfig& log = (*config)->config.log;
    if (auto started = start_log(run.log_level.empty() ? log.level : run.log_level, log.time); !started)
        return fail(started.error());
    const std::vector<u32>& cpus = (*config)->config.worker_cpus;
    if (run.workers != 0 && !cpus.empty() && run.workers != cpus.size())
        return fail(EINVAL, "--workers {}, and {}: worker_cpus has {}", run.workers, run.config, cpus.size());
    if (run.workers == 0) run.workers = std::max((*config)->config.workers, 1U);
    std::vector<std::string> notes;
    if (auto started = start_eal(run.eal, run.workers, notes, cpus); !started) return fail(started.error());
    for (const std::string& note : notes) log_info(note);
    auto report = run_plane(run, std::move(*config), signals, manager, loading);
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
