// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
//
// The benchmark's own logic. Times are not looked at: that every engine comes to the same results on every
// case is what counts here.
#include <algorithm>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>
#include <set>

#include "perf/bench/harness.h"
#include "perf/bench/packet_loop.h"
#include "perf/bench/report.h"

namespace xdplane::bench {
namespace {

/// The same case with maps that are filled at once.
Case small(const Case& which) {
    constexpr u32 kMost = 2000;
    Case one = which;
    one.count = std::min(one.count, kMost);
    return one;
}

TEST(BenchTables, NamesAreUnique) {
    std::set<std::string_view> names;
    for (const Case& one : case_table()) EXPECT_TRUE(names.insert(one.name).second) << one.name;
    EXPECT_GE(names.size(), 20U);
    names.clear();
    for (const Engine& one : engine_table()) EXPECT_TRUE(names.insert(one.name).second) << one.name;
}

class BenchCase : public testing::TestWithParam<std::string_view> {};

TEST_P(BenchCase, EnginesComeToTheSameResults) {
    constexpr u32 kPackets = 1000;
    const auto which = std::ranges::find(case_table(), GetParam(), &Case::name);
    const auto sums = checksums(small(*which), engine_table(), kPackets);
    ASSERT_GE(sums.size(), 2U);
    for (const Checksum& sum : sums) {
        ASSERT_TRUE(sum.value) << sum.engine << ": " << sum.value.error().message;
        EXPECT_EQ(*sum.value, *sums.front().value) << sum.engine << " and " << sums.front().engine;
    }
}

std::vector<std::string_view> case_names() {
    std::vector<std::string_view> names;
    for (const Case& one : case_table()) names.push_back(one.name);
    return names;
}
INSTANTIATE_TEST_SUITE_P(Table, BenchCase, testing::ValuesIn(case_names()),
                         [](const auto& parameter) { return std::string(parameter.param); });

/// An engine that finds something else in every packet.
class Liar final : public PacketLoop {
public:
    explicit Liar(const EngineSetup& setup) : PacketLoop(setup) {}
    void judge(XdpBuff* packets, u32 count) noexcept override {
        for (u32 i = 0; i < count; ++i) packets[i].verdict = kTx;
    }
};

Result<std::unique_ptr<Subject>> make_liar(const EngineSetup& setup) { return std::make_unique<Liar>(setup); }
Result<std::unique_ptr<Subject>> make_none(const EngineSetup&) { return fail(ENOTSUP, "not today"); }

TEST(BenchRun, AnEngineThatDisagreesIsAFailureAndIsNotMeasured) {
    static constexpr Engine kLiar{"liar", "", make_liar};
    Options options;
    options.cases = {&case_table().front()};
    options.engines = {&engine_table().front(), &kLiar};
    options.rounds = 2;
    options.seconds = 0.001;
    const Report report = run(options);
    ASSERT_EQ(report.results.size(), 1U);
    EXPECT_EQ(report.results.front().engine, engine_table().front().name);
    EXPECT_THAT(report.failures, testing::ElementsAre(testing::HasSubstr("do not come to the same results")));
}

TEST(BenchRun, WhatAnEngineCannotDoIsReportedWithTheReason) {
    static constexpr Engine kNever{"never", "", make_none};
    Options options;
    options.cases = {&case_table().front()};
    options.engines = {&kNever};
    const Report report = run(options);
    EXPECT_TRUE(report.results.empty());
    EXPECT_TRUE(report.failures.empty());
    ASSERT_EQ(report.unavailable.size(), 1U);
    EXPECT_EQ(report.unavailable.front().reason, "not today");
    EXPECT_THAT(report_table(report), testing::HasSubstr("not run: never on pass: not today"));
}

TEST(BenchRun, StopsBetweenSlices) {
    const std::atomic<bool> stop{true};
    Options options;
    options.cases = {&case_table().front()};
    options.engines = {&engine_table().front()};
    options.stop = &stop;
    const Report report = run(options);
    EXPECT_TRUE(report.interrupted);
    EXPECT_TRUE(report.results.empty());
}

TEST(BenchNumbers, AreMediansOfTheRounds) {
    const Measurement one{.rounds = {4, 2, 3, 100, 3}};
    EXPECT_DOUBLE_EQ(one.ns_per_packet(), 3);
    EXPECT_DOUBLE_EQ(one.spread(), (4.0 - 3.0) / 3);
    const Measurement other{.rounds = {2, 1, 1.5, 50, 6}};
    EXPECT_DOUBLE_EQ(one.ratio_to(other), 2);
    EXPECT_DOUBLE_EQ(other.ratio_to(one), 0.5);
}

TEST(BenchJson, HasWhatIsPromised) {
    Report report;
    report.results = {{.case_name = "a", .engine = "burst", .rounds = {2}},
                      {.case_name = "a", .engine = "native", .rounds = {4}},
                      {.case_name = "b", .engine = "burst", .rounds = {3}}};
    const std::string text = report_json(report);
    EXPECT_EQ(std::ranges::count(text, '\n'), 1);
    const auto json = nlohmann::json::parse(text);
    EXPECT_TRUE(json["machine"].is_object());
    ASSERT_EQ(json["results"].size(), 3U);
    EXPECT_EQ(json["results"][0]["case"], "a");
    EXPECT_EQ(json["results"][0]["engine"], "burst");
    EXPECT_DOUBLE_EQ(json["results"][0]["ns_per_packet"], 2);
    EXPECT_DOUBLE_EQ(json["results"][0]["spread"], 0);
    EXPECT_DOUBLE_EQ(json["results"][0]["ratio_to_native"], 0.5);
    EXPECT_TRUE(json["results"][2]["ratio_to_native"].is_null());
}

} // namespace
} // namespace xdplane::bench
