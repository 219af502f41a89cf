// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
#include "cli/top_view.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include <fmt/format.h>

#include "bpf/base/types.h"
#include "dataplane/chain_report.h"
#include "dataplane/worker.h"

namespace xdplane::cli {
namespace {

using Kind = TopLine::Kind;

u64 number(const Json& json, const char* key) {
    const auto found = json.find(key);
    return found != json.end() && found->is_number_unsigned() ? found->get<u64>() : 0;
}
std::string text_of(const Json& json, const char* key) {
    const auto found = json.find(key);
    return found != json.end() && found->is_string() ? found->get<std::string>() : "";
}
const Json& at(const Json& json, const char* key) {
    static const Json kNone = Json::object();
    const auto found = json.find(key);
    return found != json.end() ? *found : kNone;
}

/// The element of that name, or an object without anything: what is new has counted from 0.
const Json& named(const Json& array, const std::string& name) {
    static const Json kNone = Json::object();
    for (const Json& one : array)
        if (text_of(one, "name") == name) return one;
    return kNone;
}

/// Differences between the counters of two objects, over the time between them.
class Change {
public:
    Change(const Json& before, const Json& now, double seconds)
        : before_(before), now_(now), seconds_(seconds) {}

    [[nodiscard]] u64 count(const char* key) const {
        const u64 first = number(before_, key);
        const u64 last = number(now_, key);
        return last > first ? last - first : 0;
    }
    [[nodiscard]] double rate(const char* key) const {
        return seconds_ > 0 ? static_cast<double>(count(key)) / seconds_ : 0;
    }
    [[nodiscard]] Change of(const char* key) const { return {at(before_, key), at(now_, key), seconds_}; }
    [[nodiscard]] const Json& before() const { return before_; }
    [[nodiscard]] const Json& now() const { return now_; }
    [[nodiscard]] double seconds() const { return seconds_; }

private:
    const Json& before_;
    const Json& now_;
    double seconds_;
};

std::string quotient(u64 sum, u64 count, double factor = 1) {
    if (count == 0) return "-";
    return fmt::format("{:.1f}", static_cast<double>(sum) * factor / static_cast<double>(count));
}
std::string mega(double rate) { return fmt::format("{:.3f}", rate / 1e6); }
std::string gbits(double bytes_per_second) { return fmt::format("{:.3f}", bytes_per_second * 8 / 1e9); }
std::string percent(u64 part, u64 whole) {
    return whole == 0
               ? "-"
               : fmt::format("{:.1f}%", 100.0 * static_cast<double>(part) / static_cast<double>(whole));
}

std::string duration(double seconds) {
    const auto all = static_cast<u64>(std::max(seconds, 0.0));
    return all >= 86400
               ? fmt::format("{}d {:02}:{:02}:{:02}", all / 86400, all / 3600 % 24, all / 60 % 60, all % 60)
               : fmt::format("{:02}:{:02}:{:02}", all / 3600, all / 60 % 60, all % 60);
}

void add_ports(std::vector<TopLine>& lines, const Change& stats) {
    lines.push_back({fmt::format("{:<24} {:>10} {:>10} {:>10} {:>10} {:>12} {:>10}", "port", "Mpps in",
                                 "Gbit/s in", "Mpps out", "Gbit/s out", "dropped/s", "missed/s"),
                     Kind::heading});
    for (const Json& port : at(stats.now(), "ports")) {
        const std::string name = text_of(port, "name");
        const Change change(named(at(stats.before(), "ports"), name), port, stats.seconds());
        const Change drops = change.of("dropped");
        double dropped = 0;
        std::vector<std::string> reasons;
        for (const DropReason& reason : kDropReasons) {
            const double rate = drops.rate(reason.key);
            dropped += rate;
            if (rate > 0) reasons.push_back(fmt::format("{} {:.0f}/s", reason.key, rate));
        }
        lines.push_back({fmt::format("{:<24} {:>10} {:>10} {:>10} {:>10} {:>12.0f} {:>10.0f}", name,
                                     mega(change.rate("rx_packets")), gbits(change.rate("rx_bytes")),
                                     mega(change.rate("tx_packets")), gbits(change.rate("tx_bytes")), dropped,
                                     change.rate("missed"))});
        if (!reasons.empty())
            lines.push_back({fmt::format("  dropped: {}", fmt::join(reasons, ", ")), Kind::warning});
    }
}

void add_workers(std::vector<TopLine>& lines, const Change& stats, double ns_per_cycle) {
    lines.push_back({"", Kind::plain});
    lines.push_back({fmt::format("{:<8} {:>5} {:>10} {:>10} {:>13} {:>10} {:>7}", "worker", "cpu", "Mpps",
                                 "arrivals/s", "packets/burst", "ns/packet", "busy"),
                     Kind::heading});
    const Json& workers = at(stats.now(), "worker_reports");
    const Json& before = at(stats.before(), "worker_reports");
    for (std::size_t i = 0; i < workers.size(); ++i) {
        const Json none = Json::object();
        const Change change(i < before.size() ? before[i] : none, workers[i], stats.seconds());
        const u64 packets = change.count("packets") + change.count("arrivals");
        lines.push_back(
            {fmt::format("{:<8} {:>5} {:>10} {:>10.0f} {:>13} {:>10} {:>7}", i, number(workers[i], "cpu"),
                         mega(change.rate("packets")), change.rate("arrivals"),
                         quotient(change.count("packets"), change.count("bursts")),
                         quotient(change.count("busy_cycles"), packets, ns_per_cycle),
                         percent(change.count("busy_cycles"), change.count("cycles")))});
    }
}

void add_judge(std::vector<TopLine>& lines, const std::string& name, const Change& change,
               double ns_per_cycle) {
    const u64 packets = change.count("packets");
    const Change verdicts = change.of("verdicts");
    std::string text =
        fmt::format("{:<24} {:>10} {:>10} {:>7}", name, mega(change.rate("packets")),
                    quotient(change.count("timed_cycles"), change.count("timed_packets"), ns_per_cycle),
                    quotient(packets, change.count("bursts")));
    for (const u32 verdict : {kPass, kDrop, kTx, kRedirect, kAborted})
        text += fmt::format(" {:>9}", percent(verdicts.count(kVerdictKeys[verdict]), packets));
    lines.push_back({std::move(text)});
}

void add_chains(std::vector<TopLine>& lines, const Change& stats, double ns_per_cycle) {
    const Json& before = at(stats.before(), "chains");
    for (const Json& chain : at(stats.now(), "chains")) {
        const std::string name = text_of(chain, "name");
        const Change change(named(before, name), chain, stats.seconds());
        lines.push_back({"", Kind::plain});
        lines.push_back(
            {fmt::format("{:<24} {:>10} {:>10} {:>7} {:>9} {:>9} {:>9} {:>9} {:>9}", "chain " + name, "Mpps",
                         "ns/packet", "burst", "pass", "drop", "tx", "redirect", "aborted"),
             Kind::heading});
        for (const Json& stage : at(chain, "stages")) {
            const std::string own = text_of(stage, "name");
            add_judge(lines, "  " + own,
                      Change(named(at(change.before(), "stages"), own), stage, stats.seconds()),
                      ns_per_cycle);
        }
        add_judge(lines, "  in all", change, ns_per_cycle);
    }
}

} // namespace

std::vector<TopLine> top_view(const Json& status, const Json& before, const Json& now) {
    const double seconds = now.value("seconds", 0.0) - before.value("seconds", 0.0);
    const double hertz = now.value("tsc_hz", 0.0);
    const double ns_per_cycle = hertz > 0 ? 1e9 / hertz : 0;
    const Change stats(before, now, seconds);
    std::vector<TopLine> lines;
    lines.push_back({fmt::format("xdplane {}, {}, generation {}, up {}, {}, {} Mpps", number(status, "pid"),
                                 text_of(status, "config"), number(status, "generation"),
                                 duration(now.value("seconds", 0.0)), text_of(status, "engine"),
                                 mega(stats.rate("packets")))});
    for (const char* key : {"last_error", "hanging"})
        if (const std::string text = text_of(status, key); !text.empty())
            lines.push_back({fmt::format("{}: {}", key[0] == 'l' ? "last error" : key, text), Kind::warning});
    lines.push_back({"", Kind::plain});
    add_ports(lines, stats);
    add_workers(lines, stats, ns_per_cycle);
    add_chains(lines, stats, ns_per_cycle);
    // Names come from others' files, and a terminal obeys what it is sent.
    for (TopLine& line : lines)
        std::ranges::replace_if(
            line.text, [](char c) { return static_cast<u8>(c) < 0x20 || c == 0x7f; }, '?');
    return lines;
}

std::string cut_to(const std::string& text, std::size_t width) {
    std::size_t characters = 0;
    for (std::size_t i = 0; i < text.size(); ++i)
        if ((static_cast<u8>(text[i]) & 0xc0) != 0x80 && ++characters > width) return text.substr(0, i);
    return text;
}

} // namespace xdplane::cli
