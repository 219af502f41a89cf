// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
// Stock bpftool behind `xdplane exec`, and beside it bpftool on the running kernel, with the same objects.
#include "tests/e2e/exec_support.h"

#include "tests/support/eventually.h"

namespace xdplane {
namespace {

TEST_F(Both, MapsAreShownAndChangedAlike) {
    const Strings key = {"key", "hex", "04", "18", "00", "00", "cb", "00", "71", "00", "00",
                         "00",  "00",  "00", "00", "00", "00", "00", "00", "00", "00", "00"};
    const auto with_key = [&](Strings words, const Strings& more = {}) {
        words.insert(words.end(), key.begin(), key.end());
        words.insert(words.end(), more.begin(), more.end());
        return words;
    };
    const Strings value = {"value", "hex", "01", "00", "00", "00", "01", "00", "00", "00", "05", "00", "00",
                           "00",    "00",  "00", "00", "00", "07", "00", "00", "00", "00", "00", "00", "00"};
    for (const std::string map :
         {"@blocklist", "@blocklist_stats", "@blocklist_confi", "@stages", "@chain_closed", "@chain.rodata"})
        compare({"-j", "map", "show", map});
    compare({"map", "getnext", "@blocklist"});
    compare(with_key({"map", "lookup", "@blocklist"}));
    compare(with_key({"map", "update", "@blocklist"}, value));
    Strings again = with_key({"map", "update", "@blocklist"}, value);
    again.emplace_back("noexist");
    compare(again);
    for (const std::string form : {"-j", "-p"}) {
        compare({form, "map", "dump", "@blocklist"});
        compare(with_key({form, "map", "lookup", "@blocklist"}));
        compare({form, "map", "getnext", "@blocklist"});
        compare({form, "map", "dump", "@blocklist_stats"});
        compare({form, "map", "dump", "@chain.rodata"});
    }
    compare({"map", "dump", "@blocklist"});
    compare({"map", "dump", "@blocklist_stats"});
    compare(with_key({"map", "delete", "@blocklist"}));
    compare(with_key({"map", "delete", "@blocklist"}));
    compare({"map", "dump", "@blocklist"});
    // Constants are constant, arrays have no more elements, keys have their length.
    compare({"map", "update", "@chain.rodata", "key", "0", "0", "0", "0", "value", "1"});
    compare({"map", "delete", "@blocklist_confi", "key", "0", "0", "0", "0"});
    compare({"map", "lookup", "@blocklist_confi", "key", "9", "0", "0", "0"});
    compare({"map", "lookup", "@blocklist_confi", "key", "0", "0", "0"});
    compare({"map", "show", "id", "2147483000"});
}

TEST_F(Both, ProgramsAreShownAndRunAlike) {
    write_packet(90);
    for (const std::string program : {"@blocklist_filter", "@chain_sanity", "@chain_acl", "@pass"}) {
        compare({"-j", "prog", "show", program});
        for (const std::string repeat : {"1", "1000"}) {
            compare({"prog", "run", program, "data_in", scratch_.file("packet"), "data_out", "-", "repeat",
                     repeat});
            compare({"-j", "prog", "run", program, "data_in", scratch_.file("packet"), "repeat", repeat});
        }
    }
    // Longer programs are rewritten in the kernel, and dumped as such.
    compare({"prog", "dump", "xlated", "@pass"});
    compare({"prog", "dump", "xlated", "@pass", "opcodes"});
    compare({"-j", "prog", "dump", "xlated", "@pass"});
    compare({"prog", "show", "id", "2147483000"});
    write_packet(42);
    std::filesystem::resize_file(scratch_.file("packet"), 10);
    compare({"prog", "run", "@pass", "data_in", scratch_.file("packet")});
}

TEST_F(Both, TypesAreDumpedAlike) {
    compare({"btf", "dump", "map", "@blocklist"});
    compare({"btf", "dump", "prog", "@blocklist_filter"});
    compare({"btf", "dump", "prog", "@chain_acl", "format", "c"});
}

TEST_F(Exec, TheChainsObjectsAreListed) {
    const json maps = tool_json({"map", "show"});
    const json programs = tool_json({"prog", "show"});
    EXPECT_EQ(maps.size(), chain_maps()) << maps;
    EXPECT_GE(maps.size(), 9U) << maps;
    EXPECT_EQ(programs.size(), 5U) << programs;
    for (const json& program : programs) EXPECT_GT(program["bytes_xlated"], 0);
    EXPECT_EQ(tool_json({"btf", "show"}).size(), 3U);
    EXPECT_EQ(tool({"link", "show"}).status, 0) << "there are none";
    const Finished text = tool({"prog", "dump", "xlated", "name", "chain_acl"});
    EXPECT_NE(text.out.find("call bpf_tail_call#12"), std::string::npos) << text.out << text.err;
    EXPECT_NE(text.out.find("map[id:" + id("stages") + "]"), std::string::npos) << text.out;
    // The slots of the program array by its programs' ids.
    const json slots = tool_json({"map", "dump", "name", "stages"});
    ASSERT_EQ(slots.size(), 3U);
    EXPECT_EQ(std::stoul(slots[0]["value"][0].get<std::string>(), nullptr, 16),
              std::stoul(id("chain_sanity")));
}

TEST_F(Exec, PinsAreTheDaemons) {
    EXPECT_EQ(tool({"map", "pin", "name", "blocklist", "/sys/fs/bpf/list"}).status, 0);
    EXPECT_EQ(exec({"mkdir", "/sys/fs/bpf/programs"}).status, 0);
    EXPECT_EQ(tool({"prog", "pin", "name", "pass", "/sys/fs/bpf/programs/pass"}).status, 0);
    EXPECT_NE(access("/sys/fs/bpf/list", F_OK), 0) << "not the kernel's";
    const Finished pins = run_process({kProgram, "ctl", "--control", path_, "--json", "pins"}, 60s);
    const json listed = json::parse(pins.out, nullptr, false);
    ASSERT_EQ(listed.size(), 4U) << pins.out << pins.err;
    EXPECT_EQ(listed[1]["path"], "/sys/fs/bpf/list");
    EXPECT_EQ(listed[1]["name"], "blocklist");
    EXPECT_EQ(listed[2]["kind"], "directory");
    EXPECT_EQ(listed[3]["kind"], "program");
    EXPECT_EQ(tool_json({"map", "show", "pinned", "/sys/fs/bpf/list"})["name"], "blocklist");
    EXPECT_EQ(tool_json({"prog", "show", "pinned", "/sys/fs/bpf/programs/pass"})["name"], "pass");
    EXPECT_NE(exec({"rmdir", "/sys/fs/bpf/programs"}).status, 0) << "not empty";
    EXPECT_EQ(exec({"unlink", "/sys/fs/bpf/programs/pass"}).status, 0);
    EXPECT_EQ(exec({"rmdir", "/sys/fs/bpf/programs"}).status, 0);
    EXPECT_EQ(exec({"unlink", "/sys/fs/bpf/list"}).status, 0);
    EXPECT_EQ(exec({"unlink", "/sys/fs/bpf/list"}).status, 1);
    // Elsewhere nothing is pinned, and nothing is mounted.
    const Finished elsewhere = tool({"map", "pin", "name", "blocklist", scratch_.file("pin")});
    EXPECT_NE(elsewhere.status, 0);
    EXPECT_NE(elsewhere.err.find("pins are below /sys/fs/bpf"), std::string::npos) << elsewhere.err;
}

TEST_F(Exec, OwnObjectsLiveAsLongAsTheirPins) {
    EXPECT_EQ(tool({"map", "create", "/sys/fs/bpf/mine", "type", "hash", "key", "4", "value", "8", "entries",
                    "16", "name", "mine"})
                  .status,
              0);
    EXPECT_EQ(tool({"map", "update", "name", "mine", "key", "1", "0", "0", "0", "value", "2", "0", "0", "0",
                    "0", "0", "0", "0"})
                  .status,
              0);
    EXPECT_EQ(tool_json({"map", "dump", "pinned", "/sys/fs/bpf/mine"}).size(), 1U);
    EXPECT_EQ(exec({"unlink", "/sys/fs/bpf/mine"}).status, 0);
    EXPECT_EQ(id("mine"), "0");
    EXPECT_EQ(tool({"prog", "load", kFilters + "/acl.bpf.o", "/sys/fs/bpf/acl"}).status, 0);
    EXPECT_NE(id("acl"), "0");
    EXPECT_EQ(exec({"unlink", "/sys/fs/bpf/acl"}).status, 0);
    EXPECT_EQ(id("acl"), "0");
    EXPECT_NE(id("pass"), "0") << "the chain's own stay";
}

/// Global data through mmap(2), a batch, a fork: in a program with the system's libbpf.
TEST_F(Exec, StockLibbpfLoadsAndMaps) {
    const std::string object = build_path("tests/e2e/objects/everything.bpf.o");
    const Finished ours = exec({build_path("tests/e2e/stock_loader"), object});
    EXPECT_EQ(ours.out, "0 wrong\n") << ours.err;
    // All of its own go: those that a program array held once the workers have moved on.
    const std::size_t chains = chain_maps();
    EXPECT_TRUE(eventually([&] { return tool_json({"map", "show"}).size() == chains; }))
        << tool_json({"map", "show"}).size() << " maps, not " << chains;
    const Finished theirs = run_process({build_path("tests/e2e/stock_loader"), object}, 60s);
    if (theirs.status == 2) GTEST_SKIP() << "the running kernel loads nothing: no root?";
    EXPECT_EQ(theirs.out, "0 wrong\n") << theirs.err;
}

/// What bpftool shows of a program's runs is counted for as long as somebody has BPF_ENABLE_STATS.
TEST_F(Exec, RunStatisticsAreCountedWhileSomebodyWantsThem) {
    const auto run = [&](const std::string& times) {
        std::ofstream(scratch_.file("packet")) << std::string(64, 'x');
        const Finished done =
            tool({"prog", "run", "name", "pass", "data_in", scratch_.file("packet"), "repeat", times});
        EXPECT_EQ(done.status, 0) << done.err;
    };
    const auto runs = [&] {
        const json shown = tool_json({"prog", "show", "name", "pass"});
        return shown.value("run_cnt", u64{0});
    };
    run("100");
    EXPECT_EQ(runs(), 0U);
    {
        Process client(
            {kProgram, "exec", "--control", path_, "--", build_path("tests/e2e/stock_loader"), "--stats"});
        ASSERT_TRUE(client.says("on\n", 60s)) << client.said();
        run("1000");
        EXPECT_EQ(runs(), 1000U);
        const Finished text = tool({"prog", "show", "name", "pass"});
        EXPECT_NE(text.out.find("run_cnt 1000"), std::string::npos) << text.out;
        EXPECT_NE(text.out.find("run_time_ns "), std::string::npos) << text.out;
        client.signal(SIGKILL);
        (void)client.wait(60s);
    }
    // The data plane hears of it in a moment.
    u64 after = 0;
    EXPECT_TRUE(eventually([&] {
        const u64 before = runs();
        run("10");
        after = runs();
        return before == after;
    }));
    EXPECT_GE(after, 1000U);
}

/// The tests of ring buffers, redirects and pins that run on the kernel too, with the system's libbpf. Perf
/// events are the kernel's.
TEST_F(Exec, RingBuffersAndPinsAreLinuxs) {
    const Finished done =
        exec({build_path("tests/e2e/stock_events"), build_path("tests/e2e/objects/events.bpf.o"), "remote",
              "--gtest_filter=-*Perf*:*SocketFiltersReach*"});
    EXPECT_EQ(done.status, 0) << done.out << done.err;
    // Without root there is no mount namespace, and those of pins are skipped.
    EXPECT_NE(done.out.find(geteuid() == 0 ? "[  PASSED  ] 18 tests" : "[  PASSED  ] 12 tests"),
              std::string::npos)
        << done.out;
}

/// What a rejected program's loader sees is the verifier's log.
TEST_F(Exec, RejectionsAreTold) {
    const Finished done =
        tool({"prog", "load", build_path("tests/e2e/programs/refused.bpf.o"), "/sys/fs/bpf/refused"});
    EXPECT_NE(done.status, 0);
    EXPECT_NE(done.err.find("R1 offset is outside of the packet"), std::string::npos) << done.err;
}

TEST_F(Exec, ShellsAndTheirChildrenAreIn) {
    const Finished done = exec({"sh", "-c",
                                fmt::format("{0} map show > /dev/null && ({0} -j map show id {1}) | cat",
                                            bpftool(), id("blocklist"))});
    EXPECT_EQ(done.status, 0) << done.err;
    EXPECT_EQ(json::parse(done.out, nullptr, false)["name"], "blocklist");
    EXPECT_EQ(exec({"sh", "-c", "exit 7"}).status, 7);
}

TEST_F(Exec, ADaemonThatIsGoneIsSaidSo) {
    run_->signal(SIGKILL);
    EXPECT_EQ(run_->wait(60s).status, 128 + SIGKILL);
    const Finished before = tool({"map", "show"});
    EXPECT_EQ(before.status, 1);
    EXPECT_EQ(before.err,
              fmt::format("xdplane: {}.bpf: Connection refused (is `xdplane run` running?)\n", path_));
    EXPECT_EQ(before.out, "");
    // It may go while the program runs.
    const std::string socket = path_ + ".bpf";
    const std::string preload =
        std::filesystem::path(kProgram).parent_path() / "bpf/remote/libxdplane-preload.so";
    const Finished within = run_process(
        {"env", "XDPLANE_BPF_SOCKET=" + socket, "LD_PRELOAD=" + preload, bpftool(), "map", "show"}, 60s);
    EXPECT_NE(within.status, 0);
    EXPECT_NE(within.err.find(fmt::format("xdplane: exec: {}: Connection refused\n", socket)),
              std::string::npos)
        << within.err;
    EXPECT_NE(within.err.find("Input/output error"), std::string::npos) << within.err;
    run_.reset();
}

TEST_F(Exec, WrongWordsAreUsageErrors) {
    for (const Strings& words :
         {Strings{"exec"}, {"exec", "--"}, {"exec", "bpftool"}, {"exec", "--frob", "--", "x"}}) {
        Strings all = words;
        all.insert(all.begin(), kProgram);
        EXPECT_EQ(run_process(all).status, 2) << fmt::format("{}", fmt::join(words, " "));
    }
    const Finished missing = exec({"/nonexistent"});
    EXPECT_EQ(missing.status, 1);
    EXPECT_EQ(missing.err, "xdplane: /nonexistent: No such file or directory\n");
}

TEST_F(Exec, TheKernelsOwnIsClosed) {
    // Where the library is not loaded, bpf(2) says ENOSYS.
    const Finished done = exec({"env", "-u", "LD_PRELOAD", bpftool(), "map", "show"});
    EXPECT_NE(done.status, 0);
    EXPECT_NE(done.err.find("Function not implemented"), std::string::npos) << done.err;
}

/// bpftools come and go, some of them violently, while others work.
TEST_F(Exec, ManyAtOnce) {
    std::vector<std::unique_ptr<Process>> all;
    for (int i = 0; i < 12; ++i)
        all.push_back(std::make_unique<Process>(
            Strings{kProgram, "exec", "--control", path_, "--", "sh", "-c",
                    fmt::format("while {} -j map dump name blocklist > /dev/null; do :; done", bpftool())}));
    for (int i = 0; i < 10; ++i) {
        EXPECT_EQ(tool_json({"map", "show"}).size(), chain_maps());
        all[static_cast<std::size_t>(i)]->signal(SIGKILL);
    }
    all.clear();
    EXPECT_EQ(run_process({kProgram, "ctl", "--control", path_, "status"}, 60s).status, 0);
}

} // namespace
} // namespace xdplane
