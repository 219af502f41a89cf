// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
// xdplane ctl capture: live packets of a running data plane, into a file.
#include <chrono>
#include <cstdio>
#include <nlohmann/json.hpp>
#include <optional>

#include "cli/command.h"
#include "cli/numbers.h"
#include "cli/stop_signals.h"
#include "dataplane/tap_request.h"
#include "pcap_replay/capture_writer.h"
#include "pcap_replay/link_type.h"

namespace xdplane::cli {
namespace {

namespace po = boost::program_options;
using Clock = std::chrono::steady_clock;
using Seconds = std::chrono::duration<double>;
using Strings = std::vector<std::string>;

constexpr std::string_view kUsageLine = "xdplane ctl capture [OPTION...] -w FILE";
constexpr std::string_view kAbout =
    "Copies live packets of a running `xdplane run` into a pcap file, until SIGINT, --count or --duration.\n"
    "The data plane goes on as it does without: what the file's writer can not keep up with is lost, to the\n"
    "file alone, and counted. A packet is copied if every one of the conditions holds.";
constexpr std::string_view kExamples =
    "Verdicts are those of the whole chain; a packet can be passed and dropped all the same, for the reason\n"
    "tx_full. Each packet that comes in on a port is copied once at most; those of a burst have one stamp.\n"
    "\nExamples:\n"
    "  xdplane ctl capture --verdict drop --count 100 -w dropped.pcap\n"
    "  xdplane ctl capture --port left --filter 'tcp port 443' --at after -w - | tcpdump -nr -\n"
    "  xdplane ctl capture --reason tx_full no_peer --snaplen 96 --duration 10 -w lost.pcap\n"
    "\nExit status: 0 done, also after SIGINT; 1 refused, or the data plane or the reader went away; 2 bad "
    "usage.";

/// How often the rings are emptied: 4 MiB are 47,000 small packets, which take 4.7 ms at 10 Mpps.
constexpr std::chrono::milliseconds kEvery{1};
/// Longer than a burst takes: who is older has been published by then.
constexpr u64 kSlackNs = 2'000'000;

struct CaptureOptions {
    std::string control = default_control_path();
    std::string file;
    std::string filter;
    std::string at = "before";
    Strings ports;
    Strings verdicts;
    Strings reasons;
    std::optional<u64> count;
    std::optional<Seconds> duration;
    u32 snaplen = kMaxTapSnaplen;
    bool json = false;
};

bool parse(const Strings& arguments, CaptureOptions& capture) {
    Options options{kUsageLine, kAbout, kExamples};
    const auto names = [](Strings& strings) { return po::value(&strings)->multitoken()->composing(); };
    options.visible.add_options()                                                                      //
        ("write,w", po::value(&capture.file), "the pcap file; - is standard output")                   //
        ("port", names(capture.ports), "packets that came in on these ports")                          //
        ("verdict", names(capture.verdicts), "of these verdicts: pass, drop, tx, redirect or aborted") //
        ("reason", names(capture.reasons),
         "dropped for these reasons; `xdplane ctl stats --json` has their names")   //
        ("filter", po::value(&capture.filter), "that a tcpdump expression matches") //
        ("at", po::value(&capture.at),
         "before: as they came in, which is the default; after: as the chain left them.\n"
         "--filter sees the same")                                                                     //
        ("snaplen,s", po::value<std::string>(), "bytes of each packet, at most; default: 65535")       //
        ("count,c", po::value<std::string>(), "stop after that many packets")                          //
        ("duration", po::value<std::string>(), "stop after that many seconds")                         //
        ("control", po::value(&capture.control), "the control socket; default: that of `xdplane run`") //
        ("json", po::bool_switch(&capture.json), "the summary as JSON on standard output");
    po::variables_map values;
    if (!options.parse(arguments, values)) return false;
    if (capture.file.empty()) throw UsageError("-w FILE is missing");
    if (capture.at != "before" && capture.at != "after")
        throw UsageError(fmt::format("--at {}: must be before or after", capture.at));
    if (is_standard_output(capture.file) && capture.json)
        throw UsageError(fmt::format("-w {} and --json both want standard output", capture.file));
    if (capture.control.empty()) throw UsageError("--control is missing, and XDG_RUNTIME_DIR is not set");
    if (values.contains("snaplen"))
        capture.snaplen = static_cast<u32>(whole_number(values, "snaplen", 1, kMaxTapSnaplen));
    if (values.contains("count")) capture.count = whole_number(values, "count", 1, u64{1} << 48);
    if (values.contains("duration")) capture.duration = Seconds(seconds(values, "duration", 0, 1e9));
    return true;
}

Result<Json> request_of(const CaptureOptions& capture) {
    Json request = {{"command", "capture"},       {"ports", capture.ports}, {"verdicts", capture.verdicts},
                    {"reasons", capture.reasons}, {"at", capture.at},       {"snaplen", capture.snaplen}};
    if (const auto spec = tap_spec(request); !spec) throw UsageError(spec.error().message);
    if (capture.filter.empty()) return request;
    // libpcap's parser runs here, with the rights of who asks.
    const auto filter = compile_filter(capture.filter, CaptureFormat{});
    if (!filter) return fail(filter.error(), fmt::format("filter '{}'", capture.filter));
    if (filter->size() > kMaxTapFilter)
        return fail(E2BIG, "filter '{}': {} instructions; a capture's has at most {}", capture.filter,
                    filter->size(), kMaxTapFilter);
    request["filter"] = filter_text(*filter);
    return request;
}

u64 wall_clock() {
    return static_cast<u64>(std::chrono::duration_cast<std::chrono::nanoseconds>(
                                std::chrono::system_clock::now().time_since_epoch())
                                .count());
}

struct Summary {
    u64 captured = 0;  ///< packets
    u64 bytes = 0;     ///< of them, in the file
    u64 lost = 0;      ///< packets
    bool gone = false; ///< the data plane
};

Result<Summary> copy(const CaptureOptions& capture, const ControlConnection& connection, TapReader& reader,
                     CaptureWriter& writer, const StopSignals& signals) {
    Summary summary;
    const auto take = [&](const TapRecord& record, const u8* bytes) {
        if (capture.count && summary.captured == *capture.count) return;
        writer.write(bytes, record.captured, record.wire_len, record.timestamp_ns);
        ++summary.captured;
        summary.bytes += record.captured;
    };
    const auto begin = Clock::now();
    for (bool last = false; !last;) {
        last = signals.wait(kEvery) || (capture.duration && Clock::now() - begin >= *capture.duration);
        summary.gone = !connection.alive();
        last |= summary.gone;
        const u64 until = last || reader.workers() == 1 ? ~u64{0} : wall_clock() - kSlackNs;
        const u64 before = summary.captured;
        if (auto read = reader.read(until, take); !read) return fail(read.error());
        // Who reads from a pipe wants to see it now.
        if (summary.captured != before)
            if (auto flushed = writer.flush(); !flushed) return fail(flushed.error(), writer.path());
        last |= capture.count && summary.captured == *capture.count;
    }
    summary.lost = reader.lost();
    return summary;
}

Result<Summary> run(const CaptureOptions& capture, const Json& request) {
    const StopSignals signals;
    auto writer = CaptureWriter::open(capture.file, {.link_type = kLinkEthernet, .nanoseconds = true});
    if (!writer) return fail(writer.error(), capture.file);
    auto connection = ControlConnection::open(capture.control);
    if (!connection) return fail(connection.error());
    UniqueFd fd;
    const auto reply = connection->ask(request, &fd);
    if (!reply) return fail(reply.error());
    if ((*reply)["ok"] != true) return fail(EINVAL, "{}", reply->value("error", "refused"));
    auto memory = TapMemory::open(std::move(fd));
    if (!memory) return fail(memory.error());
    TapReader reader(std::move(*memory));
    // A reader of a pipe wants the header, though no packet may come for long.
    if (auto flushed = writer->flush(); !flushed) return fail(flushed.error(), capture.file);
    fmt::print(stderr, "xdplane: capturing from {} worker{}\n", reader.workers(),
               reader.workers() == 1 ? "" : "s");
    auto summary = copy(capture, *connection, reader, *writer, signals);
    if (!summary) return summary;
    if (auto finished = writer->finish(); !finished) return fail(finished.error(), capture.file);
    return summary;
}

} // namespace

int capture_command(const Strings& arguments) {
    CaptureOptions capture;
    if (!parse(arguments, capture)) return kSuccess;
    const auto request = request_of(capture);
    if (!request) return failed(request.error());
    const auto summary = run(capture, *request);
    if (!summary) return failed(summary.error());
    if (capture.json)
        fmt::print(
            "{}\n",
            Json{{"captured", summary->captured}, {"bytes", summary->bytes}, {"lost", summary->lost}}.dump());
    else
        fmt::print(stderr, "xdplane: {} packet{} captured, {} bytes; {} lost\n", summary->captured,
                   summary->captured == 1 ? "" : "s", summary->bytes, summary->lost);
    if (!summary->gone) return kSuccess;
    print_error("the data plane has gone; what it had sent is in the file");
    return kFailure;
}

} // namespace xdplane::cli
