// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
// `xdplane run` as a service: what it tells the service manager, and how few rights it needs.
#include <csignal>
#include <filesystem>
#include <fstream>
#include <gtest/gtest.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <fmt/format.h>

#include "tests/e2e/packet_file.h"
#include "tests/e2e/process.h"
#include "tests/support/places.h"

namespace xdplane {
namespace {

namespace fs = std::filesystem;
using Clock = std::chrono::steady_clock;
using namespace std::chrono_literals;

const std::string kProgram = build_path("xdplane");
const std::string kFilters = build_path("filters");
const std::string kTestPrograms = build_path("tests/e2e/programs/");

/// The end of $NOTIFY_SOCKET that systemd has.
class Manager {
public:
    explicit Manager(const std::string& path) : fd_(socket(AF_UNIX, SOCK_DGRAM, 0)) {
        sockaddr_un address{.sun_family = AF_UNIX, .sun_path = {}};
        path.copy(address.sun_path, sizeof address.sun_path - 1);
        EXPECT_EQ(bind(fd_.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address), 0);
        setenv("NOTIFY_SOCKET", path.c_str(), 1);
    }
    ~Manager() {
        unsetenv("NOTIFY_SOCKET");
        unsetenv("WATCHDOG_USEC");
    }
    Manager(const Manager&) = delete;
    Manager& operator=(const Manager&) = delete;

    /// True once a message with that text comes; what comes before it is left out.
    [[nodiscard]] bool is_told(const std::string& text, std::chrono::milliseconds limit = 60s) const {
        const auto deadline = Clock::now() + limit;
        std::array<char, 4096> message{};
        while (Clock::now() < deadline) {
            pollfd waiting{.fd = fd_.get(), .events = POLLIN, .revents = 0};
            if (poll(&waiting, 1, 50) <= 0) continue;
            const ssize_t size = recv(fd_.get(), message.data(), message.size(), 0);
            if (size > 0 && std::string_view(message.data(), static_cast<std::size_t>(size)).contains(text))
                return true;
        }
        return false;
    }

private:
    UniqueFd fd_;
};

class Service : public testing::Test {
protected:
    [[nodiscard]] std::string config(const std::string& object) const {
        const std::string path = scratch_.file("run.toml");
        std::ofstream(path) << fmt::format(
            "[control]\nsocket = \"{}\"\n[[port]]\nname = \"a\"\ndevice = \"net_null0,size=64\"\npeer = "
            "\"a\"\n"
            "chain = \"c\"\n[[chain]]\nname = \"c\"\n[[chain.stage]]\nobject = \"{}\"\n",
            scratch_.file("control.sock"), object);
        return path;
    }
    ScratchDirectory scratch_;
};

TEST_F(Service, TellsTheManagerWhatItDoes) {
    const Manager manager(scratch_.file("notify"));
    setenv("WATCHDOG_USEC", "8000000", 1);
    Process run({kProgram, "run", "--config", config(kFilters + "/pass.bpf.o"), "--", "--no-huge"});
    EXPECT_TRUE(manager.is_told("READY=1"));
    EXPECT_TRUE(manager.is_told("STATUS=generation 1"));
    EXPECT_TRUE(manager.is_told("WATCHDOG=1"));
    EXPECT_TRUE(manager.is_told("WATCHDOG=1")) << "again and again";
    run.signal(SIGHUP);
    EXPECT_TRUE(manager.is_told("RELOADING=1\nMONOTONIC_USEC="));
    EXPECT_TRUE(manager.is_told("READY=1"));
    EXPECT_TRUE(manager.is_told("STATUS=generation 2"));
    (void)config("nothing.bpf.o");
    run.signal(SIGHUP);
    EXPECT_TRUE(manager.is_told("RELOADING=1\nMONOTONIC_USEC="));
    EXPECT_TRUE(manager.is_told("READY=1")) << "it goes on";
    EXPECT_TRUE(manager.is_told("STATUS=generation 2; the last reload was refused"));
    run.signal(SIGTERM);
    EXPECT_TRUE(manager.is_told("STOPPING=1"));
    EXPECT_EQ(run.wait(60s).status, 0);
}

TEST_F(Service, AWorkerThatHangsIsNamedAndTheWatchdogIsNotFed) {
    const Manager manager(scratch_.file("notify"));
    setenv("WATCHDOG_USEC", "1000000", 1);
    Process run({kProgram, "run", "--config", config(kTestPrograms + "spin.bpf.o"), "--", "--no-huge"});
    EXPECT_TRUE(run.says("worker 0 (CPU ", 60s));
    EXPECT_TRUE(run.says(") hangs: it has been in one round for ", 60s));
    EXPECT_TRUE(manager.is_told("; worker 0 (CPU "));
    EXPECT_FALSE(manager.is_told("WATCHDOG=1", 2s));
    const Finished status =
        run_process({kProgram, "ctl", "--control", scratch_.file("control.sock"), "status"}, 60s);
    EXPECT_NE(status.out.find("hanging        worker 0 (CPU "), std::string::npos) << status.out;
    run.signal(SIGKILL);
    (void)run.wait(60s);
}

/// Levels, the time, and what the journal reads.
TEST_F(Service, LogsFromALevelOn) {
    const std::string path = config(kFilters + "/pass.bpf.o");
    const auto run = [&](std::vector<std::string> options, const std::string& shell = "exec \"$@\"") {
        options.insert(options.begin(), {"sh", "-c", shell, "sh", kProgram, "run", "--config", path});
        options.insert(options.end(), {"--duration", "0.1", "--", "--no-huge"});
        const Finished done = run_process(options, 60s);
        EXPECT_EQ(done.status, 0) << done.err;
        return done.err;
    };
    EXPECT_EQ(run({}), "xdplane: running, 1 port, 1 worker\n");
    EXPECT_EQ(run({"--log-level", "warning"}), "");
    // As systemd does it: device and inode of stderr.
    const std::string journal = "JOURNAL_STREAM=$(stat -L -c %d:%i /proc/self/fd/2) exec \"$@\"";
    EXPECT_EQ(run({}, journal), "<6>running, 1 port, 1 worker\n");
    EXPECT_EQ(run({}, "JOURNAL_STREAM=1:2 exec \"$@\""), "xdplane: running, 1 port, 1 worker\n");
    std::ofstream(path, std::ios::app) << "[log]\ntime = true\n";
    const std::string timed = run({});
    EXPECT_NE(timed.find(" xdplane: running, 1 port"), std::string::npos) << timed;
    EXPECT_TRUE(timed.starts_with("20")) << timed;
}

TEST_F(Service, WorksWithoutAManager) {
    setenv("NOTIFY_SOCKET", scratch_.file("nobody").c_str(), 1);
    setenv("WATCHDOG_USEC", "nonsense", 1);
    const Finished done = run_process({kProgram, "run", "--config", config(kFilters + "/pass.bpf.o"),
                                       "--duration", "0.1", "--", "--no-huge"},
                                      60s);
    unsetenv("NOTIFY_SOCKET");
    unsetenv("WATCHDOG_USEC");
    EXPECT_EQ(done.status, 0) << done.err;
}

/// The rights that configs/xdplane.service gives: enough for interfaces of the kernel, and none less is.
TEST_F(Service, RunsAsAnOrdinaryUserWithTwoCapabilities) {
    if (geteuid() != 0) GTEST_SKIP() << "only root can become somebody else";
    // The build directory may be closed to others.
    char name[] = "/tmp/service_test_XXXXXX";
    ASSERT_NE(mkdtemp(name), nullptr);
    const fs::path directory(name);
    fs::permissions(directory, fs::perms::all);
    fs::copy_file(kProgram, directory / "xdplane");
    fs::copy_file(kFilters + "/pass.bpf.o", directory / "pass.bpf.o");
    std::ofstream(directory / "run.toml")
        << fmt::format("[control]\nsocket = \"{}/control.sock\"\n[[port]]\nname = \"a\"\n"
                       "device = \"net_af_packet0,iface=v0\"\npeer = \"a\"\nchain = \"c\"\n"
                       "[[chain]]\nname = \"c\"\n[[chain.stage]]\nobject = \"pass.bpf.o\"\n",
                       name);
    const auto run_with = [&](const std::string& capabilities) {
        return run_process(
            {"unshare", "-n", "sh", "-c",
             fmt::format("ip link add v0 type veth peer v1 && ip link set v0 up && exec setpriv "
                         "--reuid=65534 --regid=65534 --clear-groups --inh-caps={0} "
                         "--ambient-caps={0} {1}/xdplane run --config {1}/run.toml "
                         "--duration 0.2 -- --no-huge",
                         capabilities, name)},
            60s);
    };
    const Finished done = run_with("+net_raw,+net_admin");
    EXPECT_EQ(done.status, 0) << done.err;
    const Finished refused = run_with("+net_raw");
    EXPECT_EQ(refused.status, 1);
    EXPECT_NE(refused.err.find("port a: can not start the device: "), std::string::npos) << refused.err;
    fs::remove_all(directory);
}

/// Of every thread: the effective, permitted, inheritable and ambient capabilities together.
u64 capabilities_of(int process) {
    u64 all = 0;
    for (const auto& task : fs::directory_iterator(fmt::format("/proc/{}/task", process))) {
        std::ifstream status(task.path() / "status");
        for (std::string word; status >> word;)
            if (word == "CapEff:" || word == "CapPrm:" || word == "CapInh:" || word == "CapAmb:") {
                u64 set = 0;
                status >> std::hex >> set;
                all |= set;
            }
    }
    return all;
}

/// Which ones are left while it runs, and that it can do with them what it has to.
TEST_F(Service, GivesUpTheCapabilitiesThatItDoesNotNeed) {
    if (geteuid() != 0) GTEST_SKIP() << "only root has capabilities to give up";
    constexpr u64 kFiles = 1U << 1 | 1U << 2; // CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH
    constexpr u64 kNetAdmin = 1U << 12;
    struct Row {
        const char* device;
        u64 left;
    };
    for (const Row& row :
         {Row{"net_null0,size=64", kFiles}, Row{"net_af_packet0,iface=v0", kFiles | kNetAdmin}}) {
        // A file that root alone may read as root: another user's.
        const std::string path = config(kFilters + "/pass.bpf.o");
        std::string text;
        std::getline(std::ifstream(path), text, '\0');
        text.replace(text.find("net_null0,size=64"), 17, row.device);
        std::ofstream(path) << text;
        fs::permissions(path, fs::perms::owner_read);
        ASSERT_EQ(chown(path.c_str(), 65534, 65534), 0);
        Process run({"unshare", "-n", "sh", "-c",
                     fmt::format("ip link add v0 type veth peer v1 && ip link set v0 up && exec {} run "
                                 "--config {} --workers 1 -- --no-huge",
                                 kProgram, path)});
        ASSERT_TRUE(run.says("running, ", 60s)) << run.said();
        EXPECT_EQ(capabilities_of(run.pid()) & ~row.left, 0U) << row.device;
        run.signal(SIGHUP);
        EXPECT_TRUE(run.says("reload: generation 2 runs", 60s)) << run.said();
        run.signal(SIGTERM);
        EXPECT_EQ(run.wait(60s).status, 0);
        EXPECT_NE(access(scratch_.file("control.sock").c_str(), F_OK), 0)
            << "the socket file was left behind";
        fs::remove(path);
    }
}

} // namespace
} // namespace xdplane
