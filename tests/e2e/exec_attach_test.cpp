// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
// Stock programs that attach XDP programs by interface name, behind `xdplane exec`: libbpf, bpftool and ip;
// and beside them the running kernel, with a veth.
#include "tests/e2e/exec_support.h"

#include "tests/e2e/namespaces.h"
#include "tests/support/eventually.h"

namespace xdplane {
namespace {

const std::string kAttacher = build_path("tests/e2e/stock_attacher");
const std::string kTestPrograms = build_path("tests/e2e/programs");

/// Two ports that receive all the time; what comes in on "xp0" passes.
class Attach : public Exec {
protected:
    [[nodiscard]] std::string ports_and_chains() const override {
        std::string text = "[[port]]\nname = \"xp0\"\ndevice = \"net_null0,size=64\"\npeer = \"xp1\"\n"
                           "chain = \"configured\"\nifindex = 30\n"
                           "[[port]]\nname = \"xp1\"\ndevice = \"net_null1,size=64\"\npeer = \"xp0\"\n";
        return text +
               fmt::format("[[chain]]\nname = \"configured\"\n[[chain.stage]]\nobject = \"{}/pass.bpf.o\"\n",
                           kFilters);
    }
    /// A chain's counter, or 0.
    [[nodiscard]] u64 count(const std::string& chain, const std::string& verdict) const {
        for (const json& one : ctl_json("chains"))
            if (one["name"] == chain) return one["verdicts"][verdict].get<u64>();
        return 0;
    }
    /// True once the counter grows: that chain judges.
    [[nodiscard]] bool grows(const std::string& chain, const std::string& verdict) const {
        const u64 before = count(chain, verdict);
        return eventually([&] { return count(chain, verdict) > before; });
    }
    /// What `ctl ports` says of xp0.
    [[nodiscard]] json attached() const { return ctl_json("ports")[0]["attached"]; }
    /// A program of others' with a link, until it is killed.
    [[nodiscard]] std::unique_ptr<Process> attacher(const std::string& object) const {
        auto process = std::make_unique<Process>(
            Strings{kProgram, "exec", "--control", path_, "--", kAttacher, "link", object, "xp0"});
        EXPECT_TRUE(process->says("attached by link", 60s)) << process->said();
        return process;
    }
    const std::string drop_ = kFilters + "/drop.bpf.o";
};

TEST_F(Attach, ALinkJudgesUntilItsProgramIsKilled) {
    EXPECT_TRUE(grows("configured", "pass"));
    EXPECT_EQ(attached(), nullptr);
    const auto process = attacher(drop_);
    const json shown = attached();
    EXPECT_EQ(shown["program"], "drop");
    EXPECT_EQ(shown["mode"], "driver");
    EXPECT_GT(shown["link"], 0);
    EXPECT_EQ(ctl_json("status")["attached"], 1);
    EXPECT_EQ(ctl_json("status")["generation"], 1);
    // All packets, and no chain but the attached one.
    const u64 passed = count("configured", "pass");
    EXPECT_TRUE(grows("attached:xp0", "drop"));
    EXPECT_EQ(count("configured", "pass"), passed);
    process->signal(SIGKILL);
    EXPECT_EQ(process->wait(60s).status, 128 + SIGKILL);
    EXPECT_TRUE(eventually([&] { return attached() == nullptr; }));
    const u64 dropped = count("attached:xp0", "drop");
    EXPECT_TRUE(grows("configured", "pass"));
    EXPECT_EQ(count("attached:xp0", "drop"), dropped);
}

TEST_F(Attach, ItStaysThroughReloadAndRollback) {
    const auto process = attacher(drop_);
    for (const std::string command : {"reload", "rollback"}) {
        EXPECT_EQ(ctl({command}).status, 0);
        const u64 passed = count("configured", "pass");
        EXPECT_TRUE(grows("attached:xp0", "drop")) << command;
        EXPECT_EQ(count("configured", "pass"), passed) << command;
    }
    EXPECT_EQ(ctl_json("status")["generation"], 3);
    process->signal(SIGTERM);
    EXPECT_EQ(process->wait(60s).status, 128 + SIGTERM);
    EXPECT_TRUE(grows("configured", "pass"));
}

/// Each packet is in one chain's counter, whoever came and went.
TEST_F(Attach, NoPacketIsMissed) {
    for (int i = 0; i < 20; ++i) {
        const auto process = attacher(drop_);
        process->signal(SIGKILL);
        if (i % 5 == 4) {
            EXPECT_EQ(ctl({"reload"}).status, 0);
        }
    }
    run_->signal(SIGTERM);
    const Finished done = run_->wait(60s);
    run_.reset();
    const json report = json::parse(done.out, nullptr, false);
    ASSERT_TRUE(report.is_object()) << done.out << done.err;
    u64 judged = 0;
    for (const json& chain : report["chains"]) judged += chain["packets"].get<u64>();
    EXPECT_EQ(report["ports"][0]["rx_packets"], judged);
    EXPECT_EQ(report["buffers_missing"], 0);
}

TEST_F(Attach, PinnedLinksStay) {
    auto process = attacher(drop_);
    const std::string link = std::to_string(attached()["link"].get<u32>());
    EXPECT_EQ(tool({"link", "pin", "id", link, "/sys/fs/bpf/link"}).status, 0);
    EXPECT_EQ(std::to_string(tool_json({"link", "show", "pinned", "/sys/fs/bpf/link"})["id"].get<u32>()),
              link);
    process->signal(SIGKILL);
    EXPECT_EQ(process->wait(60s).status, 128 + SIGKILL);
    EXPECT_TRUE(grows("attached:xp0", "drop"));
    const json pins = ctl_json("pins");
    EXPECT_EQ(pins[1]["kind"], "link") << pins;
    EXPECT_EQ(std::to_string(pins[1]["id"].get<u32>()), link);
    EXPECT_EQ(tool({"link", "detach", "id", link}).status, 0);
    EXPECT_EQ(attached(), nullptr);
    EXPECT_EQ(exec({"unlink", "/sys/fs/bpf/link"}).status, 0);
    // And once more, to go with its pin.
    process = attacher(drop_);
    EXPECT_EQ(
        tool({"link", "pin", "id", std::to_string(attached()["link"].get<u32>()), "/sys/fs/bpf/link"}).status,
        0);
    process->signal(SIGKILL);
    EXPECT_EQ(process->wait(60s).status, 128 + SIGKILL);
    EXPECT_NE(attached(), nullptr);
    EXPECT_EQ(exec({"unlink", "/sys/fs/bpf/link"}).status, 0);
    EXPECT_EQ(attached(), nullptr);
}

TEST_F(Attach, StockLibbpfGoesThroughNetlink) {
    const Finished done = exec({kAttacher, "netlink", drop_, "xp0"});
    EXPECT_EQ(done.out, "0 wrong\n") << done.err;
    EXPECT_EQ(attached(), nullptr);
    const Finished missing = exec({kAttacher, "netlink", drop_, "lo"});
    EXPECT_EQ(missing.status, 3);
    EXPECT_EQ(missing.err, "lo: No such device\n") << "the machine's own are not to be touched";
}

TEST_F(Attach, IpShowsAndDetaches) {
    if (run_process({"ip", "-V"}).status != 0) GTEST_SKIP() << "ip is not installed";
    EXPECT_EQ(tool({"prog", "load", drop_, "/sys/fs/bpf/drop"}).status, 0);
    EXPECT_EQ(tool({"net", "attach", "xdp", "pinned", "/sys/fs/bpf/drop", "dev", "xp0"}).status, 0);
    const Finished shown = exec({"ip", "link", "show", "dev", "xp0"});
    EXPECT_EQ(shown.status, 0) << shown.err;
    EXPECT_NE(shown.out.find("prog/xdp id " + std::to_string(attached()["id"].get<u32>())), std::string::npos)
        << shown.out;
    EXPECT_EQ(exec({"ip", "link", "set", "dev", "xp0", "xdp", "off"}).status, 0);
    EXPECT_EQ(attached(), nullptr);
    EXPECT_NE(exec({"ip", "link", "set", "dev", "xp0", "mtu", "9000"}).status, 0)
        << "ports are the data plane's";
    EXPECT_NE(exec({"ip", "link", "set", "dev", "xp0", "down"}).status, 0);
    EXPECT_EQ(exec({"unlink", "/sys/fs/bpf/drop"}).status, 0);
}

/// bpftool here and on a veth of the same name.
class AttachOnBoth : public Attach {
protected:
    void SetUp() override {
        Attach::SetUp();
        if (IsSkipped() || HasFatalFailure()) return;
        const bool made =
            run_process({"ip", "netns", "add", space_}).status == 0 &&
            run_process({"ip", "-n", space_, "link", "add", "xp0", "type", "veth", "peer", "name", "xp1"})
                    .status == 0;
        if (!made) GTEST_SKIP() << "no network namespaces, or no veth";
        for (const std::string name : {"drop", "pass"}) {
            EXPECT_EQ(tool({"prog", "load", kFilters + "/" + name + ".bpf.o", "/sys/fs/bpf/" + name}).status,
                      0);
            bpf_object* const object =
                bpf_object__open_file((kFilters + "/" + name + ".bpf.o").c_str(), nullptr);
            objects_.push_back(object);
            if (bpf_object__load(object) != 0) GTEST_SKIP() << "the running kernel does not load the objects";
        }
    }
    void TearDown() override {
        for (bpf_object* const object : objects_) bpf_object__close(object);
        static_cast<void>(run_process({"ip", "netns", "delete", space_}));
        Attach::TearDown();
    }
    [[nodiscard]] Strings on_kernel(Strings words) const {
        words.insert(words.begin(), {"ip", "netns", "exec", space_});
        return words;
    }
    /// Of "drop" and "pass".
    [[nodiscard]] std::string kernel_id(const std::string& name) const {
        bpf_prog_info info{};
        u32 size = sizeof info;
        bpf_program* const program = bpf_object__next_program(objects_[name == "pass" ? 1 : 0], nullptr);
        return bpf_obj_get_info_by_fd(bpf_program__fd(program), &info, &size) == 0 ? std::to_string(info.id)
                                                                                   : "0";
    }
    [[nodiscard]] std::string our_id(const std::string& name) const {
        return std::to_string(tool_json({"prog", "show", "pinned", "/sys/fs/bpf/" + name})["id"].get<u32>());
    }
    static std::string without_numbers(const std::string& text) {
        return std::regex_replace(std::regex_replace(text, std::regex("\n\tpids .*"), ""),
                                  std::regex("[0-9]+"), "N");
    }
    /// Says the same, does the same; "@drop" is its id.
    void compare(const Strings& words) const {
        const auto with = [&](const auto& id) {
            Strings all{bpftool()};
            for (const std::string& word : words)
                all.push_back(word.starts_with('@') ? id(word.substr(1)) : word);
            return all;
        };
        const Finished ours = exec(with([&](const std::string& name) { return our_id(name); }));
        const Finished theirs =
            run_process(on_kernel(with([&](const std::string& name) { return kernel_id(name); })), 60s);
        const std::string what = fmt::format("{}", fmt::join(words, " "));
        EXPECT_EQ(ours.status, theirs.status) << what;
        EXPECT_EQ(without_numbers(ours.out), without_numbers(theirs.out)) << what;
        EXPECT_EQ(without_numbers(ours.err), without_numbers(theirs.err)) << what;
    }
    /// As `ip netns` and bpftool know it.
    std::string space_ = fmt::format("xdplane-attach-{}", getpid());
    std::vector<bpf_object*> objects_;
};

TEST_F(AttachOnBoth, NetIsAlike) {
    const auto net = [&](Strings words) {
        words.insert(words.begin(), "net");
        compare(words);
        compare({"net", "show"});
        compare({"-j", "net", "show", "dev", "xp0"});
    };
    net({"show"});
    net({"attach", "xdp", "id", "@drop", "dev", "xp0"});
    net({"attach", "xdp", "id", "@pass", "dev", "xp0"});
    net({"attach", "xdp", "id", "@pass", "dev", "xp0", "overwrite"});
    net({"attach", "xdpgeneric", "id", "@drop", "dev", "xp0", "overwrite"});
    net({"detach", "xdpgeneric", "dev", "xp0"});
    net({"detach", "xdp", "dev", "xp0"});
    net({"detach", "xdp", "dev", "xp0"});
    net({"attach", "xdpgeneric", "id", "@drop", "dev", "xp0"});
    net({"attach", "xdp", "id", "@pass", "dev", "xp0"});
    net({"detach", "xdp", "dev", "xp0"});
    net({"detach", "xdpgeneric", "dev", "xp0"});
    net({"attach", "xdpdrv", "id", "@drop", "dev", "xp0"});
    net({"detach", "xdpdrv", "dev", "xp0"});
    net({"attach", "xdpoffload", "id", "@drop", "dev", "xp0"});
    net({"attach", "xdp", "id", "2147483000", "dev", "xp0"});
    net({"attach", "xdp", "id", "@drop", "dev", "no-such-port"});
    net({"show", "dev", "no-such-port"});
}

TEST_F(AttachOnBoth, LinksAreAlike) {
    const auto process = attacher(drop_);
    Process theirs(on_kernel({kAttacher, "link", drop_, "xp0"}));
    ASSERT_TRUE(theirs.says("attached by link", 60s)) << theirs.said();
    const auto number = [](const std::string& said) {
        return std::regex_replace(said, std::regex("[^0-9]"), "");
    };
    const std::string ours_id = number(process->said());
    const std::string theirs_id = number(theirs.said());
    const auto both = [&](const Strings& before) {
        Strings our_words{bpftool()};
        our_words.insert(our_words.end(), before.begin(), before.end());
        Strings their_words = our_words;
        our_words.push_back(ours_id);
        their_words.push_back(theirs_id);
        const Finished one = exec(our_words);
        const Finished other = run_process(on_kernel(their_words), 60s);
        const std::string what = fmt::format("{}", fmt::join(before, " "));
        EXPECT_EQ(one.status, other.status) << what;
        EXPECT_EQ(without_numbers(one.out), without_numbers(other.out)) << what;
        EXPECT_EQ(without_numbers(one.err), without_numbers(other.err)) << what;
    };
    both({"link", "show", "id"});
    compare({"net", "show"});
    compare({"net", "attach", "xdp", "id", "@pass", "dev", "xp0", "overwrite"});
    compare({"net", "detach", "xdp", "dev", "xp0"});
    both({"link", "detach", "id"});
    both({"link", "show", "id"});
    compare({"net", "show"});
    both({"link", "detach", "id"});
    compare({"link", "show", "id", "2147483000"});
    for (Process* one : {process.get(), &theirs}) one->signal(SIGKILL);
}

/// Between two hosts: what an attached program drops does not arrive, and what it passes does.
class AttachBetweenHosts : public Attach {
protected:
    void SetUp() override {
        auto made = Namespaces::make();
        if (!made) GTEST_SKIP() << made.error().message;
        net_ = std::move(*made);
        std::ofstream(scratch_.file("run.toml")) << fmt::format(
            "[control]\nsocket = \"{}\"\n"
            "[[port]]\nname = \"left\"\ndevice = \"net_af_packet0,iface=left0\"\npeer = \"right\"\n"
            "[[port]]\nname = \"right\"\ndevice = \"net_af_packet1,iface=right0\"\npeer = \"left\"\n",
            path_);
        run_ = std::make_unique<Process>(net_->in(
            "middle", {kProgram, "run", "--config", scratch_.file("run.toml"), "--json", "--", "--no-huge"}));
        ASSERT_TRUE(run_->says("running, ", 60s)) << run_->said();
    }
    [[nodiscard]] bool answers() const {
        return eventually([&] { return net_->ping("10.9.0.2", 1, 1); });
    }
    std::unique_ptr<Namespaces> net_;
};

TEST_F(AttachBetweenHosts, AttachedProgramsFilter) {
    EXPECT_TRUE(answers());
    Process process({kProgram, "exec", "--control", path_, "--", kAttacher, "link",
                     kTestPrograms + "/drop_icmp.bpf.o", "left"});
    ASSERT_TRUE(process.says("attached by link", 60s)) << process.said();
    EXPECT_FALSE(net_->ping("10.9.0.2", 3, 3));
    EXPECT_EQ(ctl_json("chains")[0]["name"], "attached:left");
    EXPECT_GE(ctl_json("chains")[0]["verdicts"]["drop"], 1);
    process.signal(SIGKILL);
    EXPECT_EQ(process.wait(60s).status, 128 + SIGKILL);
    EXPECT_TRUE(answers());
}

} // namespace
} // namespace xdplane
