// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
// Stock bpftool behind `xdplane exec`, and beside it bpftool on the running kernel, with the same objects.
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <csignal>
#include <filesystem>
#include <fstream>
#include <functional>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>
#include <regex>
#include <unistd.h>

#include <fmt/ranges.h>

#include "tests/e2e/packet_file.h"
#include "tests/e2e/process.h"
#include "tests/support/places.h"

namespace xdplane {
namespace {

using nlohmann::json;
using Strings = std::vector<std::string>;
using namespace std::chrono_literals;

const std::string kProgram = build_path("xdplane");
const std::string kFilters = build_path("filters");
constexpr const char* kObjects[] = {"blocklist", "chain", "pass"};

/// Debian's directory for it is in root's path only.
std::string bpftool() { return access("/usr/sbin/bpftool", X_OK) == 0 ? "/usr/sbin/bpftool" : "bpftool"; }

/// The objects in the running kernel, for as long as it lives.
class KernelObjects {
public:
    KernelObjects() {
        libbpf_set_print([](libbpf_print_level, const char*, va_list) { return 0; });
        for (const char* name : kObjects) {
            bpf_object* const object =
                bpf_object__open_file((kFilters + "/" + name + ".bpf.o").c_str(), nullptr);
            if (object == nullptr) continue;
            objects_.push_back(object);
            works_ = bpf_object__load(object) == 0;
            if (!works_) return;
        }
    }
    ~KernelObjects() {
        for (bpf_object* const object : objects_) bpf_object__close(object);
    }
    KernelObjects(const KernelObjects&) = delete;
    KernelObjects& operator=(const KernelObjects&) = delete;
    [[nodiscard]] bool works() const { return works_; }
    /// "id N" of the map or program; there may be others' of the same name.
    [[nodiscard]] std::string id(const std::string& name) const {
        for (bpf_object* const object : objects_) {
            bpf_map* map = nullptr;
            bpf_object__for_each_map(map, object) {
                bpf_map_info info{};
                u32 size = sizeof info;
                if (bpf_obj_get_info_by_fd(bpf_map__fd(map), &info, &size) == 0 && name == info.name)
                    return std::to_string(info.id);
            }
            bpf_program* program = nullptr;
            bpf_object__for_each_program(program, object) {
                bpf_prog_info info{};
                u32 size = sizeof info;
                // The kernel keeps 15 characters; bpftool knows them all, from BTF.
                if (bpf_obj_get_info_by_fd(bpf_program__fd(program), &info, &size) == 0 &&
                    name.substr(0, sizeof info.name - 1) == info.name)
                    return std::to_string(info.id);
            }
        }
        return "0";
    }

private:
    std::vector<bpf_object*> objects_;
    bool works_ = false;
};

class Exec : public testing::Test {
protected:
    void SetUp() override {
        if (run_process({bpftool(), "version"}).status != 0) GTEST_SKIP() << "bpftool is not installed";
        std::string stages;
        for (const std::string name : kObjects)
            stages += fmt::format("[[chain.stage]]\nobject = \"{}/{}.bpf.o\"\n{}", kFilters, name,
                                  name == "chain" ? "program = \"chain_sanity\"\n" : "");
        std::ofstream(scratch_.file("run.toml"))
            << fmt::format("[control]\nsocket = \"{}\"\n[[port]]\nname = \"a\"\n"
                           "device = \"net_null0,size=64,no-rx=1\"\npeer = \"a\"\nchain = \"c\"\n"
                           "[[chain]]\nname = \"c\"\n{}",
                           path_, stages);
        run_ = std::make_unique<Process>(
            Strings{kProgram, "run", "--config", scratch_.file("run.toml"), "--json", "--", "--no-huge"});
        ASSERT_TRUE(run_->says("running, 1 port", 60s));
    }
    void TearDown() override {
        if (!run_) return;
        run_->signal(SIGTERM);
        const Finished done = run_->wait(60s);
        EXPECT_EQ(done.status, 0) << done.err;
        EXPECT_NE(access((path_ + ".bpf").c_str(), F_OK), 0) << "the socket file was left behind";
    }
    [[nodiscard]] Finished exec(Strings words) const {
        words.insert(words.begin(), {kProgram, "exec", "--control", path_, "--"});
        return run_process(words, 60s);
    }
    [[nodiscard]] Finished tool(Strings words) const {
        words.insert(words.begin(), bpftool());
        return exec(std::move(words));
    }
    [[nodiscard]] json tool_json(Strings words) const {
        words.insert(words.begin(), "-j");
        const Finished done = tool(std::move(words));
        EXPECT_EQ(done.status, 0) << done.err;
        EXPECT_EQ(done.err, "");
        return json::parse(done.out, nullptr, false);
    }
    [[nodiscard]] std::string id(const std::string& name) const {
        for (const char* kind : {"map", "prog"})
            for (const json& one : tool_json({kind, "show"}))
                if (one.value("name", "") == name) return std::to_string(one["id"].get<u32>());
        return "0";
    }
    /// How many maps the chain has, as the data plane says.
    [[nodiscard]] std::size_t chain_maps() const {
        const Finished done = run_process({kProgram, "ctl", "--control", path_, "--json", "maps"}, 60s);
        return json::parse(done.out, nullptr, false).size();
    }
    void write_packet(std::size_t size) const {
        std::ofstream file(scratch_.file("packet"), std::ios::binary);
        const Packet packet = numbered_packet(7, size);
        file.write(reinterpret_cast<const char*>(packet.data()), static_cast<std::streamsize>(packet.size()));
    }

    ScratchDirectory scratch_;
    std::string path_ = scratch_.file("control.sock");
    std::unique_ptr<Process> run_;
};

/// What is the machine's and the moment's: ids, times, sizes of code and memory, and what newer kernels
/// compute otherwise (tags).
json comparable(json value) {
    if (value.is_object()) {
        for (const char* key :
             {"id", "loaded_at", "tag", "btf_id", "bytes_memlock", "bytes_xlated", "bytes_jited", "map_ids",
              "uid", "pids", "duration", "prog_ids", "run_time_ns", "run_cnt"})
            value.erase(key);
        for (json& member : value) member = comparable(member);
    } else if (value.is_array()) {
        for (json& member : value) member = comparable(member);
    }
    return value;
}
std::string comparable(const std::string& text) {
    std::string result =
        std::regex_replace(text, std::regex("duration( \\(average\\))?: [0-9]+ns"), "duration");
    return std::regex_replace(result, std::regex("\\[id:[0-9]+\\]"), "[id:N]");
}

/// Commands with the names in them that the objects have, for both sides.
struct Row {
    Strings words; ///< a word "@name" stands for "id" and the id of that name
};

struct Both : Exec {
    void SetUp() override {
        Exec::SetUp();
        if (IsSkipped() || HasFatalFailure()) return;
        kernel_ = std::make_unique<KernelObjects>();
        if (!kernel_->works()) GTEST_SKIP() << "the running kernel does not load the objects: no root?";
    }
    [[nodiscard]] static Strings with_ids(const Strings& words,
                                          const std::function<std::string(std::string)>& id) {
        Strings result;
        for (const std::string& word : words) {
            if (word.starts_with('@')) result.emplace_back("id");
            result.push_back(word.starts_with('@') ? id(word.substr(1)) : word);
        }
        return result;
    }
    /// Says the same, does the same.
    void compare(const Strings& words) const {
        const std::string what = fmt::format("{}", fmt::join(words, " "));
        const Finished ours = tool(with_ids(words, [this](const std::string& name) { return id(name); }));
        Strings theirs_words = with_ids(words, [this](const std::string& name) { return kernel_->id(name); });
        theirs_words.insert(theirs_words.begin(), bpftool());
        const Finished theirs = run_process(theirs_words, 60s);
        EXPECT_EQ(ours.status, theirs.status) << what << "\n" << ours.err << theirs.err;
        EXPECT_EQ(comparable(ours.err), comparable(theirs.err)) << what;
        const json one = json::parse(ours.out, nullptr, false);
        const json other = json::parse(theirs.out, nullptr, false);
        if (one.is_discarded() || other.is_discarded())
            EXPECT_EQ(comparable(ours.out), comparable(theirs.out)) << what;
        else
            EXPECT_EQ(comparable(one), comparable(other)) << what;
    }
    std::unique_ptr<KernelObjects> kernel_;
};

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
    const auto deadline = std::chrono::steady_clock::now() + 60s;
    const std::size_t chains = chain_maps();
    while (tool_json({"map", "show"}).size() != chains && std::chrono::steady_clock::now() < deadline)
        usleep(10'000);
    EXPECT_EQ(tool_json({"map", "show"}).size(), chain_maps());
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
    const auto deadline = std::chrono::steady_clock::now() + 60s;
    u64 before = 0;
    u64 after = 1;
    while (before != after && std::chrono::steady_clock::now() < deadline) {
        before = runs();
        run("10");
        after = runs();
    }
    EXPECT_EQ(before, after);
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
