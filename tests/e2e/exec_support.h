// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
#pragma once
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

/// What the tests of `xdplane exec` share. One binary includes it once.
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
        std::ofstream(scratch_.file("run.toml"))
            << fmt::format("[control]\nsocket = \"{}\"\n{}", path_, ports_and_chains());
        run_ = std::make_unique<Process>(
            Strings{kProgram, "run", "--config", scratch_.file("run.toml"), "--json", "--", "--no-huge"});
        ASSERT_TRUE(run_->says("running, ", 60s));
    }
    void TearDown() override {
        if (!run_) return;
        run_->signal(SIGTERM);
        const Finished done = run_->wait(60s);
        EXPECT_EQ(done.status, 0) << done.err;
        EXPECT_NE(access((path_ + ".bpf").c_str(), F_OK), 0) << "the socket file was left behind";
    }
    /// Of the configuration.
    [[nodiscard]] virtual std::string ports_and_chains() const {
        std::string text = "[[port]]\nname = \"a\"\ndevice = \"net_null0,size=64,no-rx=1\"\npeer = \"a\"\n"
                           "chain = \"c\"\n[[chain]]\nname = \"c\"\n";
        for (const std::string name : kObjects)
            text += fmt::format("[[chain.stage]]\nobject = \"{}/{}.bpf.o\"\n{}", kFilters, name,
                                name == "chain" ? "program = \"chain_sanity\"\n" : "");
        return text;
    }
    [[nodiscard]] Finished ctl(Strings words) const {
        words.insert(words.begin(), {kProgram, "ctl", "--control", path_});
        return run_process(words, 60s);
    }
    [[nodiscard]] json ctl_json(const std::string& command) const {
        const Finished done = ctl({"--json", command});
        EXPECT_EQ(done.status, 0) << done.err;
        return json::parse(done.out, nullptr, false);
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
    [[nodiscard]] std::size_t chain_maps() const { return ctl_json("maps").size(); }
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
[[maybe_unused]] json comparable(json value) {
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
[[maybe_unused]] std::string comparable(const std::string& text) {
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
    /// Where the kernel's half runs.
    [[nodiscard]] virtual Strings on_kernel(Strings words) const { return words; }
    /// Says the same, does the same.
    void compare(const Strings& words) const {
        const std::string what = fmt::format("{}", fmt::join(words, " "));
        const Finished ours = tool(with_ids(words, [this](const std::string& name) { return id(name); }));
        Strings theirs_words = with_ids(words, [this](const std::string& name) { return kernel_->id(name); });
        theirs_words.insert(theirs_words.begin(), bpftool());
        const Finished theirs = run_process(on_kernel(std::move(theirs_words)), 60s);
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

} // namespace
} // namespace xdplane
