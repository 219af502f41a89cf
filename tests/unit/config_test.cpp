// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
//
// Configuration files: one that says everything, and one line wrong at a time.
#include <filesystem>
#include <fstream>
#include <gtest/gtest.h>
#include <unistd.h>

#include "dataplane/config.h"

namespace xdplane {
namespace {

namespace fs = std::filesystem;

class ConfigFile : public testing::Test {
protected:
    ConfigFile() { fs::create_directories(directory_); }
    ~ConfigFile() override { fs::remove_all(directory_); }
    Result<Config> read(std::string_view text) {
        std::ofstream(path_) << text;
        return read_config(path_);
    }
    fs::path directory_ = fs::path(testing::TempDir()) / fmt::format("config_{}", ::getpid());
    std::string path_ = directory_ / "x.toml";
};

TEST_F(ConfigFile, SaysEverything) {
    std::ofstream(directory_ / "local.bpf.o") << "x";
    const auto config = read(R"(
workers = 2
worker_cpus = [3, 1]
[control]
watch = true
[log]
level = "warning"
time = true
[[port]]
name = "left"
device = "net_af_packet0,iface=veth0"
peer = "right"
chain = "front"
ifindex = 7
rx_queues = 4
rx_queue_workers = [0, 1, 1, 0]
mtu = 9000
rx_descriptors = 512
tx_descriptors = 256
[[port]]
name = "right"
device = "net_null0"
pass = "host"
[[port]]
name = "third"
device = "net_null1"
pass = "host"
host_interface = "uplink"
[[chain]]
name = "front"
[[chain.stage]]
object = "local.bpf.o"
program = "p"
maps = { rules = "rules.json", more = "/abs/more.json" }
[[chain.stage]]
name = "second"
object = "../elsewhere/b.bpf.o"
[chain.stage.maps]
m = "m.json"
)");
    ASSERT_TRUE(config) << config.error().message;
    EXPECT_EQ(config->files(),
              (std::vector<std::string>{path_, (directory_ / "local.bpf.o").string(), "/abs/more.json",
                                        (directory_ / "rules.json").string(),
                                        (directory_ / "../elsewhere/b.bpf.o").string(),
                                        (directory_ / "m.json").string()}));
    EXPECT_TRUE(config->control.watch);
    EXPECT_EQ(config->log.level, "warning");
    EXPECT_TRUE(config->log.time);
    EXPECT_EQ(config->workers, 2U);
    EXPECT_EQ(config->worker_cpus, (std::vector<u32>{3, 1}));
    ASSERT_EQ(config->ports.size(), 3U);
    const PortConfig& left = config->ports[0];
    EXPECT_EQ(left.name, "left");
    EXPECT_EQ(left.device, "net_af_packet0,iface=veth0");
    EXPECT_EQ(left.peer, "right");
    EXPECT_EQ(left.chain, "front");
    EXPECT_EQ(left.ifindex, 7U);
    EXPECT_EQ(left.rx_queues, 4U);
    EXPECT_EQ(left.rx_queue_workers, (std::vector<u32>{0, 1, 1, 0}));
    EXPECT_EQ(left.mtu, 9000U);
    EXPECT_FALSE(left.to_host);
    EXPECT_EQ(left.rx_descriptors, 512U);
    EXPECT_EQ(left.tx_descriptors, 256U);
    EXPECT_EQ(config->ports[1].peer, "");
    EXPECT_TRUE(config->ports[1].to_host);
    EXPECT_EQ(config->ports[1].host_interface, "right");
    EXPECT_EQ(config->ports[2].host_interface, "uplink");
    const ChainConfig* chain = config->chain("front");
    ASSERT_NE(chain, nullptr);
    EXPECT_EQ(config->chain("back"), nullptr);
    ASSERT_EQ(chain->stages.size(), 2U);
    EXPECT_EQ(chain->stages[0].object, (directory_ / "local.bpf.o").string());
    EXPECT_EQ(chain->stages[0].program, "p");
    using Maps = std::vector<std::pair<std::string, std::string>>;
    EXPECT_EQ(chain->stages[0].maps,
              (Maps{{"more", "/abs/more.json"}, {"rules", (directory_ / "rules.json").string()}}));
    EXPECT_EQ(chain->stages[1].name, "second");
    EXPECT_EQ(chain->stages[1].object, (directory_ / "../elsewhere/b.bpf.o").string());
    EXPECT_EQ(chain->stages[1].maps, (Maps{{"m", (directory_ / "m.json").string()}}));
}

TEST_F(ConfigFile, ErrorsNameFileAndLine) {
    const struct {
        const char* text;
        const char* error; ///< behind the path
    } cases[] = {
        {"worker = 2\n", ":1: unknown key 'worker' in the file"},
        {"\n\nworkers = 0\n", ":3: 'workers' must be a whole number from 1 to 256"},
        {"workers = \"two\"\n", ":1: 'workers' must be a whole number from 1 to 256"},
        {"workers = 257\n", ":1: 'workers' must be a whole number from 1 to 256"},
        {"worker_cpus = 1\n", ":1: 'worker_cpus' must be an array of numbers"},
        {"worker_cpus = []\n", ":1: 'worker_cpus' must be an array of numbers"},
        {"worker_cpus = [1,\n-1]\n", ":2: 'worker_cpus' must hold whole numbers from 0 to 255"},
        {"worker_cpus = [1, 0, 1]\n", ":1: CPU 1 is in 'worker_cpus' twice"},
        {"workers = 1\nworker_cpus = [0, 1]\n", ":2: 'worker_cpus' has 2 CPUs for 1 workers"},
        {"[[port]]\nname = \"a\"\ndevice = \"d\"\nrx_queue_workers = [\"a\"]\n",
         ":4: 'rx_queue_workers' must hold whole numbers from 0 to 255"},
        {"[[port]]\nname = \"a\"\ndevice = \"d\"\nrx_queues = 3\nrx_queue_workers = [0, 1]\n",
         ":5: 'rx_queue_workers' has workers for 2 queues of 3"},
        {"[log]\nlevel = \"loud\"\n", ":2: 'level' must be error, warning, info or debug"},
        {"[log]\ntime = \"yes\"\n", ":2: 'time' must be true or false"},
        {"[log]\nfile = \"x\"\n", ":2: unknown key 'file' in [log]"},
        {"[control]\nwatch = 1\n", ":2: 'watch' must be true or false"},
        {"metrics = 9500\n", ":1: 'metrics' must be a table: [metrics]"},
        {"[metrics]\n", ":1: [metrics] needs 'listen'"},
        {"[metrics]\nlisten = 9500\n", ":2: 'listen' must be a string"},
        {"[metrics]\nlisten = \"9500\"\nport = 1\n", ":3: unknown key 'port' in [metrics]"},
        {"port = 1\n", ":1: 'port' must be an array: [[port]]"},
        {"port = [1]\n", ":1: 'port' must hold tables"},
        {"[port]\nname = \"a\"\n", ":1: 'port' must be an array: [[port]]"},
        {"[[port]]\nname = \"a\"\n", ":1: a port needs 'device'"},
        {"[[port]]\nname = \"a\"\ndevice = \"d\"\nspeed = 1\n", ":4: unknown key 'speed' in a port"},
        {"[[port]]\nname = \"a\"\ndevice = \"d\"\nrx_queues = 257\n",
         ":4: 'rx_queues' must be a whole number from 1 to 256"},
        {"[[port]]\nname = \"a\"\ndevice = \"d\"\nmtu = 67\n",
         ":4: 'mtu' must be a whole number from 68 to 16384"},
        {"[[port]]\nname = \"a\"\ndevice = \"d\"\nmtu = 16385\n",
         ":4: 'mtu' must be a whole number from 68 to 16384"},
        {"[[port]]\nname = \"a\"\ndevice = \"d\"\npass = \"on\"\n", ":1: 'pass' must be \"host\""},
        {"[[port]]\nname = \"a\"\ndevice = \"d\"\npass = \"host\"\npeer = \"a\"\n",
         ":1: port 'a' has a peer and pass = \"host\""},
        {"[[port]]\nname = \"a\"\ndevice = \"d\"\nhost_interface = \"b\"\n",
         ":1: 'host_interface' goes with pass = \"host\""},
        {"[[port]]\nname = \"to/o\"\ndevice = \"d\"\npass = \"host\"\n",
         ":1: 'to/o' can not be the name of an interface: 'host_interface' gives another, of at most 15 "
         "characters"},
        {"[[port]]\nname = \"a\"\ndevice = \"d\"\npass = \"host\"\nhost_interface = \"sixteen-letters-\"\n",
         ":1: 'sixteen-letters-' can not be the name of an interface: 'host_interface' gives another, of at "
         "most 15 characters"},
        {"[[port]]\nname = 1\ndevice = \"d\"\n", ":2: 'name' must be a string"},
        {"[[port]]\nname = \"\"\ndevice = \"d\"\n", ":2: 'name' is empty"},
        {"[[port]]\nname = \"a\"\ndevice = \"d\"\n[[port]]\nname = \"a\"\ndevice = \"e\"\n",
         ":4: a second port is called 'a'"},
        {"[[port]]\nname = \"a\"\ndevice = \"d\"\npeer = \"b\"\n",
         ":1: port 'a' has the peer 'b', which is not defined"},
        {"[[port]]\nname = \"a\"\ndevice = \"d\"\nchain = \"b\"\n",
         ":1: port 'a' has the chain 'b', which is not defined"},
        {"[[chain]]\nname = \"c\"\n", ":1: chain 'c' has no stage"},
        {"[[chain]]\nname = \"c\"\n[[chain.stage]]\nprogram = \"p\"\n", ":3: a stage needs 'object'"},
        {"[[chain]]\nname = \"c\"\n[[chain.stage]]\nobject = \"o\"\nmap = \"p\"\n",
         ":5: unknown key 'map' in a stage"},
        {"[[chain]]\nname = \"c\"\n[[chain.stage]]\nobject = \"o\"\nmaps = \"p\"\n",
         ":5: 'maps' must be a table of strings"},
        {"[[chain]]\nname = \"c\"\n[[chain.stage]]\nobject = \"o\"\nmaps = { m = \"\" }\n",
         ":5: 'm' must be the path of a file"},
        {"[[chain]]\nname = \"c\"\n[[chain.stage]]\nobject = \"o\"\nmaps = { m = 1 }\n",
         ":5: 'm' must be the path of a file"},
    };
    for (const auto& c : cases) {
        const auto config = read(c.text);
        ASSERT_FALSE(config) << c.text;
        EXPECT_EQ(config.error().message, path_ + c.error) << c.text;
    }
}

TEST_F(ConfigFile, SyntaxErrorsNameFileAndLineToo) {
    for (const char* text : {"a = \n", "[[port]\n", "\x01\x02", "name = \"unclosed\n", "a = 1\na = 2\n"}) {
        const auto config = read(text);
        ASSERT_FALSE(config) << text;
        EXPECT_TRUE(config.error().message.starts_with(path_ + ":")) << config.error().message;
        EXPECT_EQ(config.error().message.find('\n'), std::string::npos) << config.error().message;
    }
}

TEST_F(ConfigFile, MissingFileAndDirectory) {
    EXPECT_EQ(read_config(directory_ / "none").error().code, ENOENT);
    EXPECT_EQ(read_config(directory_).error().code, EISDIR);
}

} // namespace
} // namespace xdplane
