// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
#include <algorithm>
#include <atomic>
#include <csignal>
#include <cstdio>
#include <fnmatch.h>
#include <optional>
#include <unistd.h>

#include "cli/command.h"
#include "cli/numbers.h"
#include "dataplane/chain_loader.h"
#include "pcap_replay/output_file.h"
#include "perf/bench/report.h"

namespace xdplane::cli {
namespace {

namespace po = boost::program_options;

constexpr std::string_view kUsageLine =
    "xdplane bench [--cases NAMES] [--engines NAMES] [--seconds S] [--rounds N] [--json]\n"
    "       xdplane bench --prog OBJ[:PROG] -r CAPTURE [--engines NAMES] ...\n"
    "       xdplane bench --list";
constexpr std::string_view kAbout =
    "Measures what xdplane's engines and those of others take per packet: the same programs on the same\n"
    "packets, in turns on one core, each checked by a checksum of its results.";
constexpr std::string_view kExamples = "NAMES are separated by commas and may be patterns, as in 'flow_*'. A "
                                       "ratio is this engine's time by the\n"
                                       "other's: below 1 it is faster.\n"
                                       "\nExamples:\n"
                                       "  xdplane bench\n"
                                       "  xdplane bench --cases 'flow_*,lpm_1m' --engines burst,native\n"
                                       "  xdplane bench --cases parse --seconds 2 --rounds 20 --json\n"
                                       "  xdplane bench --prog acl.bpf.o -r yesterday.pcap";

std::atomic<bool> g_stop{false};

/// A second signal ends the program the hard way.
void stop_on_signals() {
    struct sigaction action{};
    action.sa_handler = [](int) { g_stop.store(true, std::memory_order_relaxed); };
    action.sa_flags = static_cast<int>(SA_RESETHAND);
    ::sigaction(SIGINT, &action, nullptr);
    ::sigaction(SIGTERM, &action, nullptr);
}

/// Rows of a table by a comma-separated list of names and patterns, in the table's order.
template<class Row>
std::vector<const Row*> choose(std::span<const Row> table, const std::string& names, const char* what) {
    std::vector<bool> chosen(table.size());
    for (std::size_t begin = 0; begin <= names.size();) {
        const std::size_t end = std::min(names.find(',', begin), names.size());
        const std::string name = names.substr(begin, end - begin);
        bool known = false;
        for (std::size_t i = 0; i < table.size(); ++i) {
            if (::fnmatch(name.c_str(), std::string(table[i].name).c_str(), 0) != 0) continue;
            chosen[i] = true;
            known = true;
        }
        if (!known) throw UsageError(fmt::format("there is no {} '{}'; --list shows all", what, name));
        begin = end + 1;
    }
    std::vector<const Row*> rows;
    for (std::size_t i = 0; i < table.size(); ++i)
        if (chosen[i]) rows.push_back(&table[i]);
    return rows;
}

/// What was asked for, or all that is measured if nothing was and that this machine has the memory for.
std::vector<const bench::Case*> choose_cases(const std::string& names) {
    constexpr u64 kLargeCase = 1'000'000;
    constexpr u64 kLargeCaseMemory = 8'000'000'000;
    if (!names.empty()) return choose(bench::case_table(), names, "case");
    const bool small = bench::available_memory() < kLargeCaseMemory;
    std::vector<const bench::Case*> chosen;
    for (const bench::Case& one : bench::case_table()) {
        if (!one.standard) continue;
        if (small && one.count > kLargeCase)
            fmt::print(stderr, "xdplane: bench: {} is left out: it takes 8 GB of memory\n", one.name);
        else
            chosen.push_back(&one);
    }
    return chosen;
}

/// A user's program on a user's packets, as a case.
struct OwnCase {
    static Result<OwnCase> make(const std::string& text, const std::string& capture) {
        constexpr u32 kMost = 1U << 20;
        const StageConfig stage = parse_stage(text);
        OwnCase own{.name = object_name(stage.object), .program = {stage.object, stage.program}};
        if (!stage.program.empty()) own.name += ":" + stage.program;
        auto object = Object::open(stage.object);
        if (!object) return fail(object.error());
        if (auto name = choose_xdp_program(**object, stage.program); !name) return fail(name.error());
        auto traffic = bench::read_traffic(capture, kMost);
        if (!traffic) return fail(traffic.error());
        if (traffic->too_long != 0)
            fmt::print(stderr, "xdplane: bench: {}: packets of more than {} bytes are left out: {}\n",
                       capture, traffic->longest, traffic->too_long);
        if (traffic->first)
            fmt::print(stderr, "xdplane: bench: {}: the first {} packets are measured\n", capture, kMost);
        own.packets = std::move(traffic->packets);
        return own;
    }

    std::string name;
    bench::UserProgram program;
    bench::PacketSet packets{};
    bench::Case which{};
};

void print_list() {
    fmt::print("cases:\n");
    for (const bench::Case& one : bench::case_table()) fmt::print("  {:<15}{}\n", one.name, one.about);
    fmt::print("engines:\n");
    for (const bench::Engine& one : bench::engine_table()) fmt::print("  {:<15}{}\n", one.name, one.about);
}

/// A line on stderr that is redrawn in place.
class Progress {
public:
    ~Progress() { clear(); }
    void show(double share, std::string_view what) {
        fmt::print(stderr, "\r\x1b[K{:3.0f} %  {}", 100 * share, what);
        shown_ = true;
    }
    void clear() {
        if (shown_) fmt::print(stderr, "\r\x1b[K");
        shown_ = false;
    }

private:
    bool shown_ = false;
};

struct Arguments {
    std::string cases;
    std::string program;
    std::string capture;
    std::string engines = "*";
    double seconds = 0.15;
    u32 rounds = 7;
    std::string html;
    bool json = false;
    bool list = false;
};

bool parse(const std::vector<std::string>& words, Arguments& arguments) {
    Options options{kUsageLine, kAbout, kExamples};
    options.visible.add_options()                                                                           //
        ("cases", po::value(&arguments.cases), "what to measure; default: all")                             //
        ("engines", po::value(&arguments.engines), "who is to do it; default: all")                         //
        ("seconds", po::value<std::string>(), "of measuring, for each engine and case; default 0.15")       //
        ("rounds", po::value<std::string>(), "turns to measure in; default 7")                              //
        ("json", po::bool_switch(&arguments.json), "the report as one JSON object on standard output")      //
        ("prog", po::value(&arguments.program), "OBJ[:PROG], a program of your own, in place of the cases") //
        ("read,r", po::value(&arguments.capture), "the packets for it: a capture of Ethernet frames")       //
        ("html", po::value(&arguments.html), "a page with plots, into this file")                           //
        ("list", po::bool_switch(&arguments.list), "show the names of cases and engines, and do nothing");
    po::variables_map values;
    if (!options.parse(words, values)) return false;
    if (values.contains("seconds")) arguments.seconds = seconds(values, "seconds", 0, 3600);
    if (values.contains("rounds"))
        arguments.rounds = static_cast<u32>(whole_number(values, "rounds", 1, 1000));
    if (arguments.json && is_standard_output(arguments.html))
        throw UsageError("--json and --html both use standard output");
    if (arguments.program.empty() != arguments.capture.empty())
        throw UsageError("--prog and -r need each other");
    if (!arguments.program.empty() && !arguments.cases.empty())
        throw UsageError("--prog and --cases exclude each other");
    return true;
}

} // namespace

int bench_command(const std::vector<std::string>& words) {
    Arguments arguments;
    if (!parse(words, arguments)) return kSuccess;
    if (arguments.list) {
        print_list();
        return kSuccess;
    }
    bench::Options options;
    std::optional<OwnCase> own;
    if (!arguments.program.empty()) {
        auto made = OwnCase::make(arguments.program, arguments.capture);
        if (!made) return failed(made.error());
        own.emplace(std::move(*made));
        own->which.name = own->name;
        options.cases = {&own->which};
        options.user = &own->program;
        options.user_packets = &own->packets;
    } else {
        options.cases = choose_cases(arguments.cases);
    }
    options.engines = choose(bench::engine_table(), arguments.engines, "engine");
    options.seconds = arguments.seconds;
    options.rounds = arguments.rounds;
    options.stop = &g_stop;
    options.load = !own && arguments.cases.empty();
    stop_on_signals();
    // Opened before the work, so that a place where nothing can be written is known in time.
    std::optional<OutputFile> page;
    if (!arguments.html.empty()) {
        auto file = OutputFile::open(arguments.html);
        if (!file) return failed(file.error().context(arguments.html));
        page.emplace(std::move(*file));
    }
    Progress progress;
    if (::isatty(STDERR_FILENO) != 0)
        options.progress = [&progress](double share, std::string_view what) { progress.show(share, what); };
    const bench::Report report = bench::run(options);
    progress.clear();
    fmt::print(is_standard_output(arguments.html) ? stderr : stdout, "{}",
               arguments.json ? bench::report_json(report) : bench::report_table(report));
    if (page) {
        page->put(bench::report_html(report));
        if (auto done = page->finish(); !done) return failed(done.error().context(arguments.html));
    }
    for (const std::string& failure : report.failures) print_error(failure);
    if (report.interrupted) return kInterrupted;
    if (report.results.empty() && report.failures.empty() && !options.load) {
        print_error("nothing was measured: none of the engines does any of the cases here");
        return kFailure;
    }
    return report.failures.empty() ? kSuccess : kFailure;
}

} // namespace xdplane::cli
