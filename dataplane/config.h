// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
#pragma once
#include <string>
#include <utility>
#include <vector>

#include "bpf/base/result.h"
#include "bpf/base/types.h"

/// The configuration file: ports, and the chains that judge what comes in on them. TOML; docs/config.md
/// describes it key by key.
namespace xdplane {

/// One program of a chain.
struct StageConfig {
    std::string name;    ///< for counters; empty: the program's
    std::string object;  ///< path of the object file
    std::string program; ///< empty: the object's only one
    /// Maps to fill before the first packet: name in the object, path of a file (map_file.h).
    std::vector<std::pair<std::string, std::string>> maps;
    u32 line = 0; ///< where it stands, for errors
};

struct ChainConfig {
    std::string name;
    std::vector<StageConfig> stages; ///< in order, at least one
    u32 line = 0;
};

struct PortConfig {
    std::string name;
    std::string device;   ///< DPDK's word for it: "0000:01:00.0", "net_af_packet0,iface=eth1"
    std::string peer;     ///< port that passed packets go out on; empty: none
    bool to_host = false; ///< passed packets go to a tap interface of this machine; then there is no peer
    std::string host_interface;        ///< its name; empty: the port's
    std::string chain;                 ///< empty: every packet passes
    u32 ifindex = 0;                   ///< what programs see; 0: the data plane's choice
    u32 rx_queues = 0;                 ///< 0: as many as there are workers for it
    std::vector<u32> rx_queue_workers; ///< by queue: who reads it; empty: the data plane's choice
    u32 mtu = 0;                       ///< 0: the device's own
    u32 rx_descriptors = 0;            ///< 0: the data plane's choice
    u32 tx_descriptors = 0;
    u32 line = 0;
};

/// The control socket.
struct ControlConfig {
    std::string socket; ///< path; empty: the default
    std::string group;  ///< of the socket file; empty: the process's
    u32 mode = 0660;    ///< its permissions
    bool watch = false; ///< reload when a file changes
};

/// Metrics over HTTP.
struct MetricsConfig {
    std::string listen; ///< address and port, see MetricsServer; empty: nowhere
};

/// What `run` says on stderr.
struct LogConfig {
    std::string level = "info"; ///< and above: "error", "warning", "info" or "debug"
    bool time = false;          ///< in front of each line
};

struct Config {
    std::string path;
    u32 workers = 0;              ///< 0: not said
    std::vector<u32> worker_cpus; ///< by worker; empty: the data plane's choice
    ControlConfig control;
    MetricsConfig metrics;
    LogConfig log;
    std::vector<PortConfig> ports;
    std::vector<ChainConfig> chains;

    /// The file itself, and what it names: objects and files that maps are filled from.
    [[nodiscard]] std::vector<std::string> files() const;
    /// Null if there is none of this name.
    [[nodiscard]] const ChainConfig* chain(std::string_view name) const;
};

/// Reads and checks a file: unknown keys, wrong types, missing keys, names that occur twice or are nowhere
/// defined are errors of the form "FILE:LINE: reason". Paths in it are relative to its own directory, and
/// come back ready to open. A bare object name that is no file there is looked for among the filters that
/// come with the program (see find_object).
[[nodiscard]] Result<Config> read_config(const std::string& path);

/// Where an object file is: `name` itself if there is such a file or if it has a slash; else the one in the
/// directory filters/ beside the running program; else the installed one. Never fails: what is not found
/// comes back unchanged.
[[nodiscard]] std::string find_object(const std::string& name);

} // namespace xdplane
