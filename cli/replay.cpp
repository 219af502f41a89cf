// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
#include <algorithm>
#include <atomic>
#include <csignal>
#include <cstdio>
#include <filesystem>
#include <set>
#include <unistd.h>

#include <fmt/ranges.h>

#include "cli/command.h"
#include "cli/numbers.h"
#include "cli/report.h"
#include "cli/trace_printer.h"
#include "dataplane/chain_loader.h"
#include "pcap_replay/filter_stage.h"
#include "pcap_replay/output_file.h"
#include "pcap_replay/replay.h"

namespace xdplane::cli {
namespace {

namespace po = boost::program_options;

using Strings = std::vector<std::string>;

std::atomic<bool> g_stop{false};

constexpr std::string_view kUsageLine =
    "xdplane replay -r IN [-r IN...] [-w PASS] [OPTION...] (--prog OBJ[:PROG]... | --config FILE | --filter "
    "EXPR)";
constexpr std::string_view kAbout =
    "Runs every packet of the captures through a chain of XDP programs, a filter expression, or both,\n"
    "and writes captures split by verdict. Deterministic: programs see the captures' clock.";
constexpr std::string_view kExamples =
    "Stages run in the order given, for as long as each returns XDP_PASS. IN and outputs may be - for\n"
    "standard input and output. Packets are counted from 0. An output appears only when it is complete.\n"
    "SIGINT ends a replay early but cleanly: outputs are completed, the table is printed, exit status 130.\n"
    "A damaged capture is replayed up to the damage, then reported, with exit status 1. The JSON has\n"
    "\"interrupted\" or \"damage\" then.\n"
    "--loop reads the inputs again and again; the stamps of each round follow those of the round before.\n"
    "\nExamples:\n"
    "  xdplane replay -r in.pcap -w ok.pcap --write-dropped bad.pcap --prog sanity.bpf.o --prog acl.bpf.o "
    "--map acl_rules=rules.json\n"
    "  xdplane replay -r in.pcap --filter 'tcp port 80' --prog ratelimit.bpf.o --dump-maps maps.json\n"
    "  xdplane replay -r in.pcap -w web.pcap --filter 'tcp port 80 or tcp port 443'\n"
    "  xdplane replay -r big.pcap --config configs/firewall.toml --workers 2 --json\n"
    "  zcat in.pcap.gz | xdplane replay -r - --prog my.bpf.o:my_prog --per-packet verdicts.tsv";

struct Arguments {
    Strings inputs;
    Strings programs;
    Strings maps;
    std::string config;
    std::string chain;
    std::string filter;
    std::string dump_maps;
    std::string engine;
    std::string run_ahead;
    std::string clock;
    bool json = false;
    bool quiet = false;
    ReplayOptions replay;
};

bool parse(const Strings& words, Arguments& arguments) {
    Options options{kUsageLine, kAbout, kExamples};
    auto& replay = arguments.replay;
    options.visible.add_options()                                                                   //
        ("read,r", po::value(&arguments.inputs), "capture to read (pcap, pcapng); may be repeated") //
        ("write,w", po::value(&replay.passed), "capture of the packets that pass")                  //
        ("write-dropped", po::value(&replay.dropped), "capture of the dropped and the aborted")     //
        ("write-tx", po::value(&replay.tx), "capture of the packets sent back (XDP_TX)")            //
        ("write-redirected", po::value(&replay.redirected), "capture of the redirected")            //
        ("prog", po::value(&arguments.programs), "OBJ[:PROG], a stage; may be repeated")            //
        ("config", po::value(&arguments.config), "config file that holds the chain")                //
        ("chain", po::value(&arguments.chain), "which chain of the config file, if it has several") //
        ("filter", po::value(&arguments.filter), "tcpdump expression, in front of the chain")       //
        ("map", po::value(&arguments.maps),
         "MAP=FILE, fill a map from a list, CSV or JSON; may be repeated. MAP, or OBJECT:MAP where several "
         "objects have one of that name")                                                    //
        ("dump-maps", po::value(&arguments.dump_maps), "write every map as JSON afterwards") //
        ("per-packet", po::value(&replay.per_packet),
         "TSV: index, return value, length and CRC-32C afterwards")                                     //
        ("engine", po::value(&arguments.engine), "jit or interpreter; default: jit where there is one") //
        ("run-ahead", po::value(&arguments.run_ahead)->default_value("auto"),
         "fetch what lookups will need ahead of each burst: on, off or auto")                              //
        ("workers", po::value<std::string>()->default_value("1"), "threads; a pair of hosts stays on one") //
        ("loop", po::value<std::string>()->default_value("1"), "how often to read the inputs")             //
        ("clock", po::value(&arguments.clock)->default_value("capture"),
         "what bpf_ktime_get_ns reads: capture or wall")                                 //
        ("seed", po::value<std::string>()->default_value("0"), "of bpf_get_prandom_u32") //
        ("json", po::bool_switch(&arguments.json), "summary as JSON on standard output") //
        ("quiet,q", po::bool_switch(&arguments.quiet), "no progress bar");
    po::variables_map values;
    if (!options.parse(words, values)) return false;
    replay.workers = static_cast<u32>(whole_number(values, "workers", 1, num_possible_cpus()));
    replay.loops = whole_number(values, "loop", 1, u64{1} << 40);
    replay.seed = whole_number(values, "seed", 0, ~u64{0});
    return true;
}

Strings outputs_of(const Arguments& arguments) {
    const auto& replay = arguments.replay;
    Strings outputs{replay.passed,     replay.dropped,    replay.tx,
                    replay.redirected, replay.per_packet, arguments.dump_maps};
    std::erase(outputs, "");
    return outputs;
}

bool uses_standard_output(const Arguments& arguments) {
    return std::ranges::any_of(outputs_of(arguments), is_standard_output);
}

/// Two outputs in one file would be one that looks whole.
void check_outputs(const Arguments& arguments) {
    std::set<std::string> places;
    for (const std::string& path : outputs_of(arguments)) {
        std::error_code unknown;
        std::filesystem::path place = std::filesystem::absolute(path, unknown);
        if (!unknown) place = std::filesystem::weakly_canonical(place, unknown);
        if (is_standard_output(path) || unknown) place = is_standard_output(path) ? "-" : path;
        if (place != "/dev/null" && !places.insert(place).second)
            throw UsageError(fmt::format("{} is given for two outputs", path));
    }
    if (arguments.json && uses_standard_output(arguments))
        throw UsageError("--json and an output both use standard output");
}

/// What boost cannot see.
void check(Arguments& arguments) {
    if (arguments.inputs.empty()) throw UsageError("no capture to read: -r is missing");
    if (arguments.programs.empty() && arguments.config.empty() && arguments.filter.empty())
        throw UsageError("nothing to run: one of --prog, --config and --filter is needed");
    if (!arguments.programs.empty() && !arguments.config.empty())
        throw UsageError("--prog and --config exclude each other");
    if (!arguments.chain.empty() && arguments.config.empty()) throw UsageError("--chain needs --config");
    if (arguments.clock != "capture" && arguments.clock != "wall")
        throw UsageError(fmt::format("--clock {}: must be capture or wall", arguments.clock));
    arguments.replay.clock = arguments.clock == "wall" ? Clock::wall : Clock::capture;
    for (const std::string& map : arguments.maps)
        if (map.find('=') == std::string::npos || map.front() == '=' || map.back() == '=')
            throw UsageError(fmt::format("--map {}: must be MAP=FILE", map));
    check_outputs(arguments);
    if (std::count(arguments.inputs.begin(), arguments.inputs.end(), "-") > 1)
        throw UsageError("standard input is given twice");
    if (!arguments.engine.empty()) use_engine(arguments.engine);
    use_run_ahead(arguments.run_ahead);
}

/// What --prog or --config say; of programs alone, a chain without a name.
Result<ChainConfig> chain_of(const Arguments& arguments) {
    ChainConfig alone;
    for (const std::string& program : arguments.programs) alone.stages.push_back(parse_stage(program));
    if (arguments.config.empty()) return alone;
    auto config = read_config(arguments.config);
    if (!config) return fail(config.error());
    if (config->chains.empty()) return fail(ENOENT, "{}: defines no chain", arguments.config);
    Strings names;
    for (const ChainConfig& chain : config->chains) names.push_back(chain.name);
    if (!arguments.chain.empty()) {
        const ChainConfig* chain = config->chain(arguments.chain);
        if (chain == nullptr)
            return fail(ENOENT, "{}: no chain '{}' (it has: {})", arguments.config, arguments.chain,
                        fmt::join(names, ", "));
        return *chain;
    }
    if (config->chains.size() > 1)
        return fail(EINVAL, "{}: defines {} chains; say which with --chain (of: {})", arguments.config,
                    config->chains.size(), fmt::join(names, ", "));
    return config->chains.front();
}

Result<LoadedChain> load(const Arguments& arguments, const std::vector<ReplayInput>& inputs) {
    const auto chain = chain_of(arguments);
    if (!chain) return fail(chain.error());
    std::optional<Stage> first;
    if (!arguments.filter.empty()) {
        const CaptureFormat& format = inputs.front().reader->format();
        // A loopback header is in its writer's byte order, and so is the filter for it.
        for (const ReplayInput& input : inputs)
            if (format.link_type == 0 && input.reader->format().swapped != format.swapped)
                return fail(EINVAL,
                            "{}: was written in another byte order than {}: one filter cannot read both",
                            input.path, inputs.front().path);
        auto filter = filter_stage(arguments.filter, format);
        if (!filter) return fail(filter.error(), inputs.front().path);
        first = std::move(*filter);
    }
    auto loaded = load_chain(chain->stages, std::move(first));
    if (!loaded) return fail(loaded.error());
    for (const std::string& map : arguments.maps)
        if (auto done = preload_map({chain->name, loaded->maps}, map); !done) return fail(done.error());
    return loaded;
}

/// A second signal ends the program the hard way.
void stop_on_signals() {
    struct sigaction action{};
    action.sa_handler = [](int) { g_stop.store(true, std::memory_order_relaxed); };
    action.sa_flags = static_cast<int>(SA_RESETHAND); // no SA_RESTART: a read of a pipe must return
    ::sigaction(SIGINT, &action, nullptr);
    ::sigaction(SIGTERM, &action, nullptr);
}

} // namespace

int replay_command(const std::vector<std::string>& words) {
    Arguments arguments;
    if (!parse(words, arguments)) return kSuccess;
    check(arguments);
    auto inputs = open_inputs(arguments.inputs);
    if (!inputs) return failed(inputs.error());
    auto loaded = load(arguments, *inputs);
    if (!loaded) return failed(loaded.error());

    stop_on_signals(); // until now there was nothing to complete, and what is waited for may take long
    // Opened before the work, so that a place where nothing can be written is known in time.
    std::optional<OutputFile> maps;
    if (!arguments.dump_maps.empty()) {
        auto file = OutputFile::open(arguments.dump_maps);
        if (!file) return failed(file.error().context(arguments.dump_maps));
        maps.emplace(std::move(*file));
    }
    ReplayOptions& options = arguments.replay;
    ProgressBar bar;
    options.stop = &g_stop;
    if (!arguments.json && !arguments.quiet && ::isatty(STDERR_FILENO) != 0)
        options.progress = [&bar](const ReplayProgress& progress) { bar.show(progress); };
    const auto replay_traced = [&] {
        const TracePrinter printer;
        return replay(*loaded->chain, *inputs, options);
    };
    auto summary = replay_traced();
    bar.clear();
    if (!summary) return failed(summary.error());
    if (maps) {
        maps->put(dump_maps(loaded->maps));
        if (auto done = maps->finish(); !done) return failed(done.error().context(arguments.dump_maps));
    }

    // With a capture on standard output the table goes to the other stream.
    fmt::print(uses_standard_output(arguments) ? stderr : stdout, "{}",
               arguments.json ? summary_json(*summary) : summary_table(*summary));
    if (summary->damage) return failed(*summary->damage);
    return summary->interrupted ? kInterrupted : kSuccess;
}

} // namespace xdplane::cli
