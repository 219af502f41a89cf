// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
#include "perf/bench/report.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <set>

#include "perf/bench/embedded.h"

namespace xdplane::bench {
namespace {

using Json = nlohmann::ordered_json;

/// Engines that others made, and that ran.
std::vector<std::string> peers_in(const Report& report) {
    std::vector<std::string> peers;
    for (const Engine& engine : engine_table()) {
        const auto ran = [&](const Measurement& m) { return m.engine == engine.name; };
        if (engine.peer && std::ranges::any_of(report.results, ran)) peers.emplace_back(engine.name);
    }
    return peers;
}

std::string machine_lines(const Report& report) {
    const Machine& m = report.machine;
    std::string text = fmt::format(
        "{}{}, {} core{}, {:.0f} GB memory, {:.0f} MB last-level cache; {}; huge pages: {}\n"
        "xdplane by {}, {}; native by {}\n",
        m.cpu_model, m.virtual_machine ? " (virtual machine)" : "", m.cores, m.cores == 1 ? "" : "s",
        static_cast<double>(m.memory_bytes) / 1e9, static_cast<double>(m.cache_bytes) / 1e6, m.kernel,
        m.huge_pages, m.compiler, m.build, m.native_compiler);
    std::vector<double> spreads;
    for (const Measurement& r : report.results) spreads.push_back(r.spread());
    std::ranges::sort(spreads);
    if (!spreads.empty())
        text +=
            fmt::format("noise: spread of the rounds {:.1f} % in the median, {:.1f} % at worst; {:.0f} s\n",
                        100 * spreads[spreads.size() / 2], 100 * spreads.back(), report.seconds);
    return text;
}

/// What control threads got done.
std::string update_lines(const Report& report) {
    std::string text;
    for (const Measurement& one : report.results)
        if (const auto rate = one.updates_per_second())
            text += fmt::format("updates: {} beside {}: {:.0f} a second\n", one.case_name, one.engine, *rate);
    return text;
}

/// A line for each reason, with all that it stopped.
std::string unavailable_lines(const Report& report) {
    std::string text;
    std::set<std::pair<std::string, std::string>> told;
    for (const Unavailable& one : report.unavailable) {
        if (!told.emplace(one.engine, one.reason).second) continue;
        std::string cases;
        for (const Unavailable& other : report.unavailable)
            if (other.engine == one.engine && other.reason == one.reason) cases += " " + other.case_name;
        text += fmt::format("not run: {} on{}: {}\n", one.engine, cases, one.reason);
    }
    for (const std::string& note : report.notes) text += fmt::format("note: {}\n", note);
    for (const std::string& failure : report.failures) text += fmt::format("failed: {}\n", failure);
    return text;
}

Json machine_json(const Machine& m) {
    return {{"cpu", m.cpu_model},
            {"cores", m.cores},
            {"virtual_machine", m.virtual_machine},
            {"memory_bytes", m.memory_bytes},
            {"last_level_cache_bytes", m.cache_bytes},
            {"kernel", m.kernel},
            {"huge_pages", m.huge_pages},
            {"compiler", m.compiler},
            {"build", m.build},
            {"native_compiler", m.native_compiler},
            {"date", m.date}};
}

Json result_json(const Report& report, const Measurement& one) {
    Json json{{"case", one.case_name},
              {"engine", one.engine},
              {"ns_per_packet", one.ns_per_packet()},
              {"spread", one.spread()},
              {"ratio_to_native", nullptr},
              {"mpps", 1000 / one.ns_per_packet()},
              {"checksum", fmt::format("{:016x}", one.checksum)}};
    Json ratios = Json::object();
    for (const std::string& peer : peers_in(report)) {
        const Measurement* other = report.find(one.case_name, peer);
        if (other == nullptr) continue;
        ratios[peer] = one.ratio_to(*other);
        if (peer == "native") json["ratio_to_native"] = ratios[peer];
    }
    json["ratios"] = std::move(ratios);
    json["rounds"] = one.rounds;
    if (const auto rate = one.updates_per_second()) json["updates_per_second"] = *rate;
    if (!one.burst_ns.empty())
        json["burst_ns"] = {{"p50", one.burst_ns[0]},
                            {"p90", one.burst_ns[1]},
                            {"p99", one.burst_ns[2]},
                            {"p99.9", one.burst_ns[3]}};
    return json;
}

std::string load_lines(const Report& report) {
    if (report.load.empty()) return {};
    std::string text = fmt::format("{:<28}{:>6}{:>14}{:>13}{:>10}\n", "load: ns/insn", "insns", "xdplane",
                                   "kernel", "/ kernel");
    for (const LoadCost& one : report.load) {
        text += fmt::format("{:<28}{:>6}{:>14.0f}", one.name, one.insns, one.own_ns);
        text += one.kernel_ns
                    ? fmt::format("{:>13.0f}{:>10.2f}\n", *one.kernel_ns, one.own_ns / *one.kernel_ns)
                    : fmt::format("{:>13}{:>10}\n", "-", "-");
    }
    return text + "\n";
}

Json load_json(const LoadCost& one) {
    Json json{{"case", one.name},
              {"insns", one.insns},
              {"ns_per_insn", one.own_ns},
              {"kernel_ns_per_insn", nullptr}};
    if (one.kernel_ns) json["kernel_ns_per_insn"] = *one.kernel_ns;
    if (!one.reason.empty()) json["reason"] = one.reason;
    return json;
}

} // namespace

std::string report_table(const Report& report) {
    const auto peers = peers_in(report);
    std::string text =
        fmt::format("{:<18}{:<13}{:>10}{:>9}{:>9}", "case", "engine", "ns/packet", "Mpps", "spread");
    for (const std::string& peer : peers) text += fmt::format("{:>11}", "/ " + peer);
    text += '\n';
    std::string_view last;
    for (const Measurement& one : report.results) {
        text +=
            fmt::format("{:<18}{:<13}{:>10.2f}{:>9.1f}{:>7.1f} %", one.case_name == last ? "" : one.case_name,
                        one.engine, one.ns_per_packet(), 1000 / one.ns_per_packet(), 100 * one.spread());
        last = one.case_name;
        for (const std::string& peer : peers) {
            const Measurement* other = report.find(one.case_name, peer);
            text += other != nullptr ? fmt::format("{:>11.2f}", one.ratio_to(*other))
                                     : fmt::format("{:>11}", "-");
        }
        text += '\n';
    }
    if (report.interrupted) text += "interrupted: the rest was not measured\n";
    return fmt::format("{}\n{}{}{}", text, load_lines(report), machine_lines(report),
                       update_lines(report) + unavailable_lines(report));
}

std::string report_json(const Report& report) {
    Json json{{"machine", machine_json(report.machine)}, {"results", Json::array()}};
    for (const Measurement& one : report.results) json["results"].push_back(result_json(report, one));
    if (!report.load.empty()) json["load"] = Json::array();
    for (const LoadCost& one : report.load) json["load"].push_back(load_json(one));
    json["unavailable"] = Json::array();
    for (const Unavailable& one : report.unavailable)
        json["unavailable"].push_back(
            {{"case", one.case_name}, {"engine", one.engine}, {"reason", one.reason}});
    json["notes"] = report.notes;
    json["failures"] = report.failures;
    json["interrupted"] = report.interrupted;
    json["seconds"] = report.seconds;
    return json.dump(-1, ' ', false, Json::error_handler_t::replace) + "\n";
}

std::string report_html(const Report& report) {
    constexpr std::string_view kPlace = "@REPORT@";
    const auto bytes = embedded_object("report_html");
    std::string page(bytes.begin(), bytes.end());
    std::string data = report_json(report);
    // No text in it ends the script.
    for (std::size_t at = 0; (at = data.find("</", at)) != std::string::npos; at += 3)
        data.insert(at + 1, "\\");
    page.replace(page.find(kPlace), kPlace.size(), data);
    return page;
}

} // namespace xdplane::bench
