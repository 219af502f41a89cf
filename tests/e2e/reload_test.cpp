// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
// Configurations that take the place of one another while packets run: not one is lost, and none is judged by
// a mix of two.
#include "dataplane/daemon.h"

#include <atomic>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>
#include <rte_eth_ring.h>
#include <rte_mbuf.h>
#include <rte_ring.h>
#include <thread>

#include "bpf/syscall/bpf_system.h"
#include "dataplane/control_commands.h"
#include "dataplane/eal.h"
#include "tests/e2e/packet_file.h"
#include "tests/support/eventually.h"
#include "tests/support/places.h"

namespace xdplane {
namespace {

namespace fs = std::filesystem;
using namespace std::chrono_literals;

const std::string kPrograms = build_path("tests/e2e/programs/");

struct Eal : testing::Environment {
    void SetUp() override {
        std::vector<std::string> notes;
        const auto started = start_eal({"--no-huge", "-m", "256"}, 1, notes);
        ASSERT_TRUE(started) << started.error().message;
    }
    void TearDown() override { stop_eal(); }
};
[[maybe_unused]] const auto* const kEal = testing::AddGlobalTestEnvironment(new Eal);

/// A directory with a configuration and the files it names.
class Reload : public testing::Test {
protected:
    void copy(const std::string& object, const std::string& as) const {
        fs::copy_file(kPrograms + object + ".bpf.o", scratch_.file(as), fs::copy_options::overwrite_existing);
    }
    void write(const std::string& name, const std::string& text) const {
        std::ofstream(scratch_.file(name)) << text;
    }
    void start() {
        auto config = load_config(scratch_.file("run.toml"));
        ASSERT_TRUE(config) << config.error().message;
        auto daemon = Daemon::start(std::move(*config), 1);
        ASSERT_TRUE(daemon) << daemon.error().message;
        daemon_ = std::move(*daemon);
    }
    [[nodiscard]] Json ask(const std::string& command, const std::string& map = "") const {
        Json request = {{"command", command}};
        if (!map.empty()) request["map"] = map;
        const Json reply = handle_control_request(*daemon_, request);
        EXPECT_EQ(reply["ok"], true) << reply.dump();
        return reply.contains("result") ? reply["result"] : Json();
    }

    ScratchDirectory scratch_;
    std::unique_ptr<Daemon> daemon_;
};

/// A port whose two ends are in this process's hands.
struct RingPort {
    rte_ring* in;
    rte_ring* out;

    explicit RingPort(const std::string& name)
        : in(rte_ring_create((name + "_in").c_str(), 4096, SOCKET_ID_ANY, 0)),
          out(rte_ring_create((name + "_out").c_str(), 4096, SOCKET_ID_ANY, 0)) {
        EXPECT_GE(rte_eth_from_rings(name.c_str(), &in, 1, &out, 1, 0), 0);
    }
};

constexpr u32 kFirst = 60;
constexpr u32 kSecond = 64;

/// Sends numbered packets, as many as fit, and looks at what comes back.
class Traffic {
public:
    Traffic(const RingPort& port, const RingPort& peer, rte_mempool* pool)
        : port_(port), peer_(peer), pool_(pool), thread_([this] { run(); }) {}
    /// Waits for the last packet.
    void finish() {
        stop_ = true;
        thread_.join();
    }

    u32 sent = 0;
    u32 received = 0;
    u32 out_of_order = 0;
    u32 mixed = 0;
    u32 back_in_time = 0;
    std::atomic<u32> newest{0};

private:
    void run() {
        auto deadline = std::chrono::steady_clock::now() + 60s;
        while (!stop_ || (received < sent && std::chrono::steady_clock::now() < deadline)) {
            if (!stop_) {
                for (int i = 0; i < 32; ++i) send();
                deadline = std::chrono::steady_clock::now() + 60s;
            }
            void* packet = nullptr;
            while (rte_ring_dequeue(peer_.out, &packet) == 0) look_at(static_cast<rte_mbuf*>(packet));
        }
    }
    void send() {
        if (sent - received >= 1024) return;
        rte_mbuf* mbuf = rte_pktmbuf_alloc(pool_);
        if (mbuf == nullptr) return;
        const Packet bytes = numbered_packet(sent, 128);
        std::memcpy(rte_pktmbuf_append(mbuf, 128), bytes.data(), bytes.size());
        if (rte_ring_enqueue(port_.in, mbuf) == 0)
            ++sent;
        else
            rte_pktmbuf_free(mbuf);
    }
    void look_at(rte_mbuf* mbuf) {
        const u8* data = rte_pktmbuf_mtod(mbuf, const u8*);
        u32 first = 0;
        u32 second = 0;
        std::memcpy(&first, data + kFirst, 4);
        std::memcpy(&second, data + kSecond, 4);
        out_of_order += packet_number(Packet(data, data + mbuf->data_len)) != received;
        mixed += first != second || first == 0;
        back_in_time += first < newest;
        newest = first;
        ++received;
        rte_pktmbuf_free(mbuf);
    }

    RingPort port_;
    RingPort peer_;
    rte_mempool* pool_;
    std::atomic<bool> stop_{false};
    std::thread thread_;
};

std::string ports(const std::string& a, const std::string& b) {
    return fmt::format("[[port]]\nname = \"a\"\ndevice = \"net_ring_{}\"\npeer = \"b\"\nchain = \"c\"\n"
                       "[[port]]\nname = \"b\"\ndevice = \"net_ring_{}\"\n",
                       a, b);
}

TEST_F(Reload, LosesAndMixesNothing) {
    constexpr u32 kReloads = 200;
    const RingPort a("mix_a");
    const RingPort b("mix_b");
    rte_mempool* pool = rte_pktmbuf_pool_create("traffic", 4095, 0, 0, 2048, SOCKET_ID_ANY);
    ASSERT_NE(pool, nullptr);
    copy("stamp", "stamp.bpf.o");
    write("run.toml", ports("mix_a", "mix_b") +
                          "[[chain]]\nname = \"c\"\n[[chain.stage]]\nobject = \"stamp.bpf.o\"\nprogram = "
                          "\"first\"\nmaps = { number = \"number.json\" }\n");
    const auto set_number = [&](u32 number) {
        write("number.json", fmt::format("[{{\"key\": 0, \"value\": {}}}]", number));
    };
    set_number(1);
    start();
    Traffic traffic(a, b, pool);
    for (u32 i = 0; i < kReloads; ++i) {
        set_number(i + 2);
        const auto done = daemon_->reload();
        ASSERT_TRUE(done) << done.error().message;
    }
    // A packet that no generation but the last one can have seen.
    EXPECT_TRUE(eventually([&] { return traffic.newest == kReloads + 1; }));
    traffic.finish();
    EXPECT_EQ(daemon_->stop(), 0U);

    EXPECT_GT(traffic.sent, kReloads);
    EXPECT_EQ(traffic.received, traffic.sent);
    EXPECT_EQ(traffic.out_of_order, 0U);
    EXPECT_EQ(traffic.mixed, 0U);
    EXPECT_EQ(traffic.back_in_time, 0U);
    EXPECT_EQ(traffic.newest, kReloads + 1);
    // Counters go on through all generations, in the chain's table and in the map.
    const auto chains = daemon_->plane().chains();
    ASSERT_EQ(chains.size(), 1U);
    EXPECT_EQ(chains[0].packets, traffic.sent);
    EXPECT_EQ(chains[0].verdicts[kPass], traffic.sent);
    const Json counted = ask("map", "packets");
    EXPECT_EQ(counted["maps"][0]["entries"][0]["value_fields"], traffic.sent) << counted.dump();
    daemon_.reset();
    EXPECT_EQ(rte_mempool_in_use_count(pool), 0U);
    rte_mempool_free(pool);
}

/// A program of bpf(2), and links with it.
struct Attacher {
    Attacher() {
        static const bpf_insn insns[] = {
            {.code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = 0, .src_reg = 0, .off = 0, .imm = XDP_PASS},
            {.code = BPF_JMP | BPF_EXIT, .dst_reg = 0, .src_reg = 0, .off = 0, .imm = 0}};
        bpf_attr attr{};
        attr.prog_type = BPF_PROG_TYPE_XDP;
        attr.insns = reinterpret_cast<u64>(insns);
        attr.insn_cnt = 2;
        attr.license = reinterpret_cast<u64>("GPL");
        program = static_cast<int>(bpf_syscall(BPF_PROG_LOAD, &attr, sizeof attr));
    }
    ~Attacher() { close_object_fd(program); }
    Attacher(const Attacher&) = delete;
    Attacher& operator=(const Attacher&) = delete;
    [[nodiscard]] int attach(u32 ifindex) const {
        bpf_attr attr{};
        attr.link_create.prog_fd = static_cast<u32>(program);
        attr.link_create.target_ifindex = ifindex;
        attr.link_create.attach_type = BPF_XDP;
        return static_cast<int>(bpf_syscall(BPF_LINK_CREATE, &attr, sizeof attr));
    }
    int program;
};

/// Programs come and go in front of a port, through reloads: each packet is judged by one of them, or by the
/// configured chain.
TEST_F(Reload, AttachedProgramsLoseNothing) {
    constexpr u32 kTimes = 100;
    const RingPort a("attach_a");
    const RingPort b("attach_b");
    rte_mempool* pool = rte_pktmbuf_pool_create("attach", 4095, 0, 0, 2048, SOCKET_ID_ANY);
    ASSERT_NE(pool, nullptr);
    copy("stamp", "stamp.bpf.o");
    write("run.toml", ports("attach_a", "attach_b") + "[[chain]]\nname = \"c\"\n[[chain.stage]]\n"
                                                      "object = \"stamp.bpf.o\"\nprogram = \"first\"\n");
    start();
    const u32 ifindex = daemon_->list()[0].ifindex;
    const Attacher attacher;
    EXPECT_EQ(attacher.attach(54321), -EINVAL);
    const auto packets_of = [&](const std::string& chain) {
        for (const ChainReport& report : daemon_->plane().chains())
            if (report.name == chain) return report.packets;
        return u64{0};
    };
    Traffic traffic(a, b, pool);
    for (u32 i = 0; i < kTimes; ++i) {
        const int link = attacher.attach(ifindex);
        ASSERT_GT(link, 0);
        EXPECT_EQ(attacher.attach(ifindex), -EBUSY);
        // What is attached judges, the chain does not, whatever the configuration becomes.
        const u64 before = packets_of("c");
        const u64 judged = packets_of("attached:a");
        if (i % 10 == 0) {
            ASSERT_TRUE(daemon_->reload());
        }
        EXPECT_TRUE(eventually([&] { return packets_of("attached:a") > judged; }, 100us));
        EXPECT_EQ(packets_of("c"), before);
        close_object_fd(link);
    }
    const u64 attached = packets_of("attached:a");
    const u64 before = packets_of("c");
    EXPECT_TRUE(eventually([&] { return packets_of("c") > before; }));
    traffic.finish();
    EXPECT_EQ(packets_of("attached:a"), attached) << "the configured chain judges again";
    EXPECT_EQ(daemon_->generation(), 1 + kTimes / 10);
    EXPECT_EQ(daemon_->stop(), 0U);
    EXPECT_EQ(traffic.received, traffic.sent);
    EXPECT_EQ(traffic.out_of_order, 0U);
    EXPECT_EQ(packets_of("c") + packets_of("attached:a"), traffic.sent);
    // Its interfaces go with the daemon, its links do not.
    const int link = attacher.attach(ifindex);
    EXPECT_GT(link, 0);
    daemon_.reset();
    EXPECT_EQ(attacher.attach(ifindex), -EINVAL);
    close_object_fd(link);
    rte_mempool_free(pool);
}

class Carry : public Reload {
protected:
    static std::string config() {
        return "[[port]]\nname = \"a\"\ndevice = \"net_null_carry,size=64\"\nchain = \"c\"\n"
               "[[chain]]\nname = \"c\"\n[[chain.stage]]\nobject = \"carry.bpf.o\"\n";
    }
    void SetUp() override {
        copy("carry1", "carry.bpf.o");
        write("run.toml", config());
        start();
        wait_for_packets();
    }
    void TearDown() override {
        EXPECT_EQ(daemon_->stop(), 0U);
        daemon_.reset();
    }
    void wait_for_packets() const {
        const u64 before = daemon_->report().packets();
        EXPECT_TRUE(eventually([&] { return daemon_->report().packets() >= before + 1000; }));
    }
    [[nodiscard]] Json flow() const { return ask("map", "flows")["maps"][0]["entries"][0]["value_fields"]; }
    /// Fate of a map in what runs.
    [[nodiscard]] std::string fate(const std::string& map) const {
        for (const MapChange& change : daemon_->running().changes)
            if (change.map.ends_with(map)) return name_of(change.fate);
        return "?";
    }
};

TEST_F(Carry, SameShapeIsTheSameMap) {
    const u64 packets = flow()["packets"].get<u64>();
    EXPECT_GE(packets, 1000U);
    ASSERT_TRUE(daemon_->reload());
    EXPECT_EQ(fate("flows"), "kept");
    EXPECT_EQ(fate(".bss"), "kept");
    EXPECT_GE(flow()["packets"].get<u64>(), packets);
}

/// Two object files of one name in a chain: each map goes on in its own place.
TEST_F(Carry, ObjectsOfOneNameKeepTheirOwnMaps) {
    fs::create_directory(scratch_.file("other"));
    copy("carry1", "other/carry.bpf.o");
    write("run.toml", config() + "[[chain.stage]]\nobject = \"other/carry.bpf.o\"\n");
    ASSERT_TRUE(daemon_->reload());
    const auto ids = [this] {
        std::map<std::string, Json> by_name;
        for (const Json& map : ask("maps")) {
            const auto name = map["object"].get<std::string>() + ":" + map["name"].get<std::string>();
            EXPECT_FALSE(by_name.contains(name)) << name;
            if (!name.contains(".rodata")) by_name[name] = map["id"]; // which are always new
        }
        return by_name;
    };
    const auto before = ids();
    EXPECT_NE(before.at("carry:flows"), before.at("carry#2:flows"));
    ASSERT_TRUE(daemon_->reload());
    EXPECT_EQ(ids(), before);
}

TEST_F(Carry, MembersMoveByName) {
    const u64 packets = flow()["packets"].get<u64>();
    copy("carry2", "carry.bpf.o");
    const auto done = daemon_->reload();
    ASSERT_TRUE(done) << done.error().message;
    EXPECT_EQ(fate("flows"), "migrated");
    const Json now = flow();
    EXPECT_GE(now["packets"].get<u64>(), packets);
    EXPECT_EQ(now["mark"], 5);
    EXPECT_EQ(now["bytes"], 0);
    // And back: the older map goes on where it was left.
    ASSERT_TRUE(daemon_->rollback());
    EXPECT_FALSE(flow().contains("bytes"));
    EXPECT_EQ(daemon_->generation(), 3U);
}

TEST_F(Carry, WhatCanNotBeKeptIsRefused) {
    struct Row {
        const char* object;
        const char* reason;
    };
    for (const Row& row :
         {Row{"carry3", "map flows: its contents can not be kept: its keys had 4 bytes and have 8"},
          Row{"carry4", "can not be kept"}}) {
        copy(row.object, "carry.bpf.o");
        const auto done = daemon_->reload();
        if (std::string(row.object) == "carry4") {
            // A variable that has become narrower moves by name, as members do, if its value fits.
            EXPECT_TRUE(done) << done.error().message;
            continue;
        }
        ASSERT_FALSE(done);
        EXPECT_NE(done.error().message.find(row.reason), std::string::npos) << done.error().message;
        EXPECT_EQ(daemon_->last_error(), done.error().message);
        EXPECT_EQ(daemon_->generation(), 1U);
        wait_for_packets();
    }
}

TEST_F(Carry, ABrokenConfigurationChangesNothing) {
    struct Row {
        std::string config;
        const char* reason;
    };
    const std::string good = config();
    const std::vector<Row> rows{
        {"[[port]\n", "run.toml:1: "},
        {"", "no ports"},
        {good + "[[chain.stage]]\nobject = \"gone.bpf.o\"\n", "gone.bpf.o: No such file"},
        {good + "[[chain.stage]]\nobject = \"" + kPrograms + "refused.bpf.o\"\n", "refused"},
        {good + "maps = { flows = \"gone.json\" }\n", "gone.json"},
        {good + "[[port]]\nname = \"b\"\ndevice = \"net_null_b\"\n", "port b is new"},
        {"[[port]]\nname = \"b\"\ndevice = \"net_null_carry\"\n", "port a is open; it can not go away"},
        {"[[port]]\nname = \"a\"\ndevice = \"net_null_carry,size=65\"\n",
         "its device, ifindex, MTU and queues"},
    };
    for (const Row& row : rows) {
        write("run.toml", row.config);
        const auto done = daemon_->reload();
        ASSERT_FALSE(done) << row.config;
        EXPECT_NE(done.error().message.find(row.reason), std::string::npos) << done.error().message;
        EXPECT_EQ(daemon_->generation(), 1U);
        EXPECT_EQ(daemon_->last_error(), done.error().message);
    }
    const u64 packets = flow()["packets"].get<u64>();
    wait_for_packets();
    EXPECT_GT(flow()["packets"].get<u64>(), packets);
    EXPECT_FALSE(daemon_->rollback());
    fs::remove(scratch_.file("run.toml"));
    EXPECT_FALSE(daemon_->reload());
    write("run.toml", good);
    EXPECT_TRUE(daemon_->reload());
    EXPECT_EQ(daemon_->last_error(), "");
}

} // namespace
} // namespace xdplane
