// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
#include "cli/report.h"

#include <algorithm>
#include <cstdio>
#include <nlohmann/json.hpp>

namespace xdplane::cli {
namespace {

using Json = nlohmann::ordered_json;

/// The order of columns and of JSON: what people look for first.
struct Column {
    Verdict verdict;
    const char* name;
};
constexpr Column kColumns[] = {
    {kPass, "pass"}, {kDrop, "drop"}, {kTx, "tx"}, {kRedirect, "redirect"}, {kAborted, "aborted"},
};

double mpps(const ReplaySummary& summary) {
    return summary.seconds > 0 ? static_cast<double>(summary.packets) / summary.seconds / 1e6 : 0;
}

Json verdicts_json(const std::array<u64, kVerdicts>& verdicts) {
    Json json;
    for (const Column& column : kColumns) json[column.name] = verdicts[column.verdict];
    return json;
}

/// 1.50 kB, 37.9 MB: three digits say enough.
std::string with_unit(double value, const char* unit) {
    static constexpr const char* kPrefixes[] = {"", "k", "M", "G", "T"};
    std::size_t prefix = 0;
    while (value >= 1000 && prefix + 1 < std::size(kPrefixes)) {
        value /= 1000;
        ++prefix;
    }
    const int digits = prefix == 0 || value >= 100 ? 0 : value >= 10 ? 1 : 2;
    return fmt::format("{:.{}f} {}{}", value, digits, kPrefixes[prefix], unit);
}

std::string table_row(const std::string& name, int width, u64 packets,
                      const std::array<u64, kVerdicts>& verdicts) {
    std::string row = fmt::format("{:<{}}{:>14}", name, width, packets);
    for (const Column& column : kColumns) row += fmt::format("{:>13}", verdicts[column.verdict]);
    return row + "\n";
}

} // namespace

std::string summary_json(const ReplaySummary& summary) {
    Json json;
    json["packets"] = summary.packets;
    json["bytes"] = summary.bytes;
    json["seconds"] = summary.seconds;
    json["mpps"] = mpps(summary);
    json["verdicts"] = verdicts_json(summary.verdicts);
    json["stages"] = Json::array();
    for (const StageSummary& stage : summary.stages)
        json["stages"].push_back(
            {{"name", stage.name}, {"packets", stage.packets}, {"verdicts", verdicts_json(stage.verdicts)}});
    if (summary.damage) json["damage"] = summary.damage->message;
    if (summary.interrupted) json["interrupted"] = true;
    return json.dump(-1, ' ', false, Json::error_handler_t::replace) + "\n";
}

std::string summary_table(const ReplaySummary& summary) {
    int width = 7;
    for (const StageSummary& stage : summary.stages)
        width = std::max(width, static_cast<int>(stage.name.size()) + 2);
    std::string table = fmt::format("{:<{}}{:>14}", "stage", width, "packets");
    for (const Column& column : kColumns) table += fmt::format("{:>13}", column.name);
    table += "\n";
    for (const StageSummary& stage : summary.stages)
        table += table_row(stage.name, width, stage.packets, stage.verdicts);
    table += table_row("total", width, summary.packets, summary.verdicts);
    const double packets = static_cast<double>(summary.packets);
    const double bytes = static_cast<double>(summary.bytes);
    const double seconds = summary.seconds > 0 ? summary.seconds : 1e-9;
    table += fmt::format("\n{} packets, {} bytes ({}) in {:.6f} s: {:.3f} Mpps, {}\n", summary.packets,
                         summary.bytes, with_unit(bytes, "B"), summary.seconds, packets / seconds / 1e6,
                         with_unit(bytes * 8 / seconds, "bit/s"));
    return table;
}

void ProgressBar::show(const ReplayProgress& progress) {
    const double rate = progress.seconds > 0 ? static_cast<double>(progress.packets) / progress.seconds : 0;
    std::string bar;
    if (progress.bytes_total != 0) {
        constexpr u32 kWidth = 30;
        const double part = std::min(1.0, static_cast<double>(progress.bytes_read) /
                                              static_cast<double>(progress.bytes_total));
        const u32 full = static_cast<u32>(part * kWidth);
        bar = fmt::format("[{:=<{}}{:<{}}] {:3.0f} %  ", "", full, "", kWidth - full, part * 100);
    }
    fmt::print(stderr, "\r{}{} packets, {}\033[K", bar, progress.packets, with_unit(rate, "packets/s"));
    std::fflush(stderr);
    shown_ = true;
}

void ProgressBar::clear() {
    if (!shown_) return;
    fmt::print(stderr, "\r\033[K");
    std::fflush(stderr);
    shown_ = false;
}

} // namespace xdplane::cli
