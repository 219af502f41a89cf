// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
// `xdplane run --watch`: files that change under it, in all the ways that files change.
#include "tests/e2e/run_support.h"

namespace xdplane {
namespace {

namespace fs = std::filesystem;

class ConfigWatch : public Run {
protected:
    void write(const std::string& name, const std::string& text) const {
        std::ofstream(scratch_.file(name)) << text;
    }
    /// As editors do it: another file takes its place.
    void replace(const std::string& name, const std::string& text) const {
        write(name + ".new", text);
        fs::rename(scratch_.file(name + ".new"), scratch_.file(name));
    }
    void replace_object(const std::string& name, const std::string& object) const {
        fs::copy_file(object, scratch_.file(name + ".new"));
        fs::rename(scratch_.file(name + ".new"), scratch_.file(name));
    }
    [[nodiscard]] std::string text(const std::string& object, const std::string& more = "") const {
        return fmt::format("[control]\nsocket = \"{}\"\n", socket_) +
               port("a", "net_null0,size=64", "a", "c") + chain("c", {object}) + more;
    }
    void start(const std::string& text, const std::vector<std::string>& options = {"--watch"}) {
        run_ = std::make_unique<Process>(command(text, with(options, {"--duration", "600"})));
        ASSERT_TRUE(run_->says("running, ", 60s)) << run_->said();
    }
    void TearDown() override {
        if (!run_) return;
        run_->signal(SIGTERM);
        (void)check(run_->wait(60s));
    }
    [[nodiscard]] bool runs(int generation) const {
        return run_->says(fmt::format("reload: generation {} runs\n", generation), 60s);
    }
    [[nodiscard]] json ask(const std::string& command) const {
        const Finished done = run_process({kProgram, "ctl", "--control", socket_, "--json", command}, 60s);
        return json::parse(done.out, nullptr, false);
    }
    [[nodiscard]] json list_entries() const {
        for (const json& map : ask("maps"))
            if (map["name"] == "blocklist") return map["entries"];
        return {};
    }

    std::string socket_ = scratch_.file("control.sock");
    std::unique_ptr<Process> run_;
};

TEST_F(ConfigWatch, TheConfigurationInEveryWay) {
    start(text(filter("pass")));
    write("run.toml", text(filter("drop")));
    EXPECT_TRUE(runs(2));
    EXPECT_EQ(ask("chains")[0]["stages"][0]["name"], "drop");
    replace("run.toml", text(filter("pass")));
    EXPECT_TRUE(runs(3));
    // Away, and back a moment later.
    fs::rename(scratch_.file("run.toml"), scratch_.file("elsewhere"));
    write("elsewhere", text(filter("drop")));
    fs::rename(scratch_.file("elsewhere"), scratch_.file("run.toml"));
    EXPECT_TRUE(run_->says("generation 4 runs", 60s) || run_->says("generation 5 runs", 1s)) << run_->said();
}

TEST_F(ConfigWatch, WhatItNames) {
    fs::copy_file(kFilters + "/blocklist.bpf.o", scratch_.file("mine.bpf.o"));
    write("list.txt", "192.0.2.0/24\n");
    const std::string maps = "maps = { blocklist = \"list.txt\" }\n";
    start(text("mine.bpf.o", maps));
    EXPECT_EQ(list_entries(), 1);
    replace("list.txt", "192.0.2.0/24\n198.51.100.7\n");
    EXPECT_TRUE(runs(2));
    EXPECT_EQ(list_entries(), 2);
    write("list.txt", "# none\n");
    EXPECT_TRUE(runs(3));
    EXPECT_EQ(list_entries(), 0);
    write("run.toml", text("mine.bpf.o"));
    EXPECT_TRUE(runs(4));
    // That one is not named any more, and the object is.
    write("list.txt", "192.0.2.0/24\n");
    replace_object("mine.bpf.o", kFilters + "/pass.bpf.o");
    EXPECT_TRUE(runs(5));
    EXPECT_EQ(ask("chains")[0]["stages"][0]["name"], "pass");
    EXPECT_EQ(ask("status")["generation"], 5);
}

TEST_F(ConfigWatch, ABrokenFileLeavesTheOldOneRunning) {
    start(text(filter("pass")));
    write("run.toml", "[[port]\n");
    EXPECT_TRUE(run_->says("generation 1 goes on\n", 60s)) << run_->said();
    EXPECT_NE(run_->said().find("run.toml:1: "), std::string::npos) << run_->said();
    write("run.toml", text("missing.bpf.o"));
    EXPECT_TRUE(run_->says("missing.bpf.o: No such file", 60s)) << run_->said();
    EXPECT_EQ(ask("status")["generation"], 1);
    // What was missing comes, and the configuration needs no touch.
    replace_object("missing.bpf.o", kFilters + "/drop.bpf.o");
    EXPECT_TRUE(runs(2));
    EXPECT_EQ(ask("chains")[0]["stages"][0]["name"], "drop");
    EXPECT_EQ(ask("status")["last_error"], nullptr);
}

TEST_F(ConfigWatch, ThroughSymbolicLinks) {
    for (const char* version : {"v1", "v2"}) {
        fs::create_directory(scratch_.file(version));
        fs::copy_file(kFilters + (version == std::string("v1") ? "/pass.bpf.o" : "/drop.bpf.o"),
                      scratch_.file(std::string(version) + "/mine.bpf.o"));
    }
    fs::create_directory_symlink("v1", scratch_.file("now"));
    fs::create_symlink("now/mine.bpf.o", scratch_.file("mine.bpf.o"));
    start(text("mine.bpf.o"));
    EXPECT_EQ(ask("chains")[0]["stages"][0]["name"], "pass");
    fs::create_directory_symlink("v2", scratch_.file("next"));
    fs::rename(scratch_.file("next"), scratch_.file("now"));
    EXPECT_TRUE(runs(2));
    EXPECT_EQ(ask("chains")[0]["stages"][0]["name"], "drop");
}

TEST_F(ConfigWatch, OnlyWhenAskedFor) {
    start(text(filter("pass")), {});
    write("run.toml", text(filter("drop")));
    EXPECT_FALSE(run_->says("reload", 2s));
    // The configuration may ask for it, too.
    run_->signal(SIGTERM);
    (void)check(run_->wait(60s));
    const std::string asks = "[control]\nwatch = true\nsocket";
    std::string changed = text(filter("pass"));
    changed.replace(0, changed.find("socket") + 6, asks);
    start(changed, {});
    changed.replace(changed.find("/pass.bpf.o"), 5, "/drop");
    write("run.toml", changed);
    EXPECT_TRUE(runs(2));
}

} // namespace
} // namespace xdplane
