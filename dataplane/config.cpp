// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
#include "dataplane/config.h"

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <filesystem>
#include <limits>
#include <toml++/toml.h>

#include "dataplane/read_file.h"

namespace xdplane {
namespace {

namespace fs = std::filesystem;

/// Where a file that `make install` put down lies, relative to the program.
constexpr const char* kInstalledFilters[] = {"filters", "../lib/xdplane/filters",
                                             "../lib/x86_64-linux-gnu/xdplane/filters",
                                             "../lib/aarch64-linux-gnu/xdplane/filters"};

constexpr u32 kMostWorkers = 256;

u32 line_of(const toml::node& node) { return static_cast<u32>(node.source().begin.line); }

/// One table of the file and the keys that were asked for; what was not asked for is an error.
class Table {
public:
    Table(const toml::table& table, const std::string& path, std::string what)
        : table_(table), path_(path), what_(std::move(what)) {}

    [[nodiscard]] std::unexpected<Error> error(const toml::node& node, std::string_view message) const {
        return fail(EINVAL, "{}:{}: {}", path_, line_of(node), message);
    }
    /// A missing key is an error only if it is required.
    Result<> string(std::string_view key, std::string& out, bool required = false) {
        const toml::node* node = find(key);
        if (node == nullptr)
            return required ? Result<>(error(table_, fmt::format("{} needs '{}'", what_, key))) : Result<>{};
        const auto* value = node->as_string();
        if (value == nullptr) return error(*node, fmt::format("'{}' must be a string", key));
        if (value->get().empty()) return error(*node, fmt::format("'{}' is empty", key));
        out = value->get();
        return {};
    }
    Result<> number(std::string_view key, u32& out, u32 most, u32 least = 1) {
        const toml::node* node = find(key);
        if (node == nullptr) return {};
        const auto* value = node->as_integer();
        if (value == nullptr || value->get() < least || value->get() > most)
            return error(*node, fmt::format("'{}' must be a whole number from {} to {}", key, least, most));
        out = static_cast<u32>(value->get());
        return {};
    }
    Result<> flag(std::string_view key, bool& out) {
        const toml::node* node = find(key);
        if (node == nullptr) return {};
        const auto* value = node->as_boolean();
        if (value == nullptr) return error(*node, fmt::format("'{}' must be true or false", key));
        out = value->get();
        return {};
    }
    /// An array of at least one whole number.
    Result<> numbers(std::string_view key, std::vector<u32>& out, u32 most) {
        const toml::node* node = find(key);
        if (node == nullptr) return {};
        const auto* array = node->as_array();
        if (array == nullptr || array->empty())
            return error(*node, fmt::format("'{}' must be an array of numbers", key));
        for (const toml::node& element : *array) {
            const auto* value = element.as_integer();
            if (value == nullptr || value->get() < 0 || value->get() > most)
                return error(element, fmt::format("'{}' must hold whole numbers from 0 to {}", key, most));
            out.push_back(static_cast<u32>(value->get()));
        }
        return {};
    }
    /// Null if the key is missing.
    Result<> table(std::string_view key, const toml::table*& out) {
        const toml::node* node = find(key);
        if (node == nullptr) return {};
        out = node->as_table();
        return out != nullptr ? Result<>{}
                              : error(*node, fmt::format("'{}' must be a table: [{}]", key, key));
    }
    /// The elements of an array of tables; none if the key is missing.
    template<class F>
    Result<> tables(std::string_view key, F&& each) {
        const toml::node* node = find(key);
        if (node == nullptr) return {};
        const auto* array = node->as_array();
        if (array == nullptr) return error(*node, fmt::format("'{}' must be an array: [[{}]]", key, key));
        for (const toml::node& element : *array) {
            const auto* table = element.as_table();
            if (table == nullptr) return error(element, fmt::format("'{}' must hold tables", key));
            if (auto done = each(*table); !done) return done;
        }
        return {};
    }
    Result<> strings(std::string_view key, std::vector<std::pair<std::string, std::string>>& out) {
        const toml::node* node = find(key);
        if (node == nullptr) return {};
        const auto* table = node->as_table();
        if (table == nullptr) return error(*node, fmt::format("'{}' must be a table of strings", key));
        for (const auto& [name, value] : *table) {
            if (value.as_string() == nullptr || value.as_string()->get().empty())
                return error(value, fmt::format("'{}' must be the path of a file", name.str()));
            out.emplace_back(name.str(), value.as_string()->get());
        }
        return {};
    }
    /// Every key has been asked for.
    Result<> done() const {
        for (const auto& [key, value] : table_)
            if (std::find(known_.begin(), known_.end(), key.str()) == known_.end())
                return fail(EINVAL, "{}:{}: unknown key '{}' in {}", path_, key.source().begin.line,
                            key.str(), what_);
        return {};
    }

private:
    const toml::node* find(std::string_view key) {
        known_.push_back(key);
        return table_.get(key);
    }

    const toml::table& table_;
    const std::string& path_;
    std::string what_;
    std::vector<std::string_view> known_;
};

/// The first error of several steps.
template<class... Steps>
Result<> in_order(Steps&&... steps) {
    Result<> result;
    (void)((result = steps(), result.has_value()) && ...);
    return result;
}

class ConfigReader {
public:
    explicit ConfigReader(const std::string& path) : directory_(fs::path(path).parent_path()) {
        config_.path = path;
    }

    Result<Config> read(const toml::table& root) {
        Table table(root, config_.path, "the file");
        const auto read = in_order(
            [&] { return table.number("workers", config_.workers, kMostWorkers); },
            [&] { return table.numbers("worker_cpus", config_.worker_cpus, kMostWorkers - 1); },
            [&] { return check_cpus(table, root); }, //
            [&] { return read_control(table); },     //
            [&] { return read_metrics(table); }, [&] { return read_log(table); },
            [&] { return table.tables("port", [&](const toml::table& t) { return read_port(t); }); },
            [&] { return table.tables("chain", [&](const toml::table& t) { return read_chain(t); }); },
            [&] { return table.done(); }, [&] { return check_names(); });
        if (!read) return fail(read.error());
        return std::move(config_);
    }

private:
    Result<> check_cpus(const Table& table, const toml::table& root) {
        const std::vector<u32>& cpus = config_.worker_cpus;
        if (cpus.empty()) return {};
        const toml::node& node = *root.get("worker_cpus");
        if (config_.workers == 0) config_.workers = static_cast<u32>(cpus.size());
        if (config_.workers != cpus.size())
            return table.error(
                node, fmt::format("'worker_cpus' has {} CPUs for {} workers", cpus.size(), config_.workers));
        for (std::size_t i = 0; i < cpus.size(); ++i)
            if (std::find(cpus.begin(), cpus.begin() + static_cast<std::ptrdiff_t>(i), cpus[i]) !=
                cpus.begin() + static_cast<std::ptrdiff_t>(i))
                return table.error(node, fmt::format("CPU {} is in 'worker_cpus' twice", cpus[i]));
        return {};
    }

    Result<> read_control(Table& root) {
        const toml::table* source = nullptr;
        if (auto found = root.table("control", source); !found || source == nullptr) return found;
        Table table(*source, config_.path, "[control]");
        std::string mode;
        auto read = in_order([&] { return table.string("socket", config_.control.socket); },
                             [&] { return table.string("group", config_.control.group); },
                             [&] { return table.string("mode", mode); },
                             [&] { return table.flag("watch", config_.control.watch); },
                             [&] { return table.done(); });
        if (!read || mode.empty()) return read;
        const auto [end, error] =
            std::from_chars(mode.data(), mode.data() + mode.size(), config_.control.mode, 8);
        if (error != std::errc{} || end != mode.data() + mode.size() || config_.control.mode > 0777)
            return table.error(*source, "'mode' must be permissions in octal, as \"0660\"");
        return read;
    }

    Result<> read_metrics(Table& root) {
        const toml::table* source = nullptr;
        if (auto found = root.table("metrics", source); !found || source == nullptr) return found;
        Table table(*source, config_.path, "[metrics]");
        return in_order([&] { return table.string("listen", config_.metrics.listen, true); },
                        [&] { return table.done(); });
    }

    Result<> read_log(Table& root) {
        const toml::table* source = nullptr;
        if (auto found = root.table("log", source); !found || source == nullptr) return found;
        Table table(*source, config_.path, "[log]");
        std::string& level = config_.log.level;
        auto read =
            in_order([&] { return table.string("level", level); },
                     [&] { return table.flag("time", config_.log.time); }, [&] { return table.done(); });
        if (read && level != "error" && level != "warning" && level != "info" && level != "debug")
            return table.error(*source->get("level"), "'level' must be error, warning, info or debug");
        return read;
    }

    Result<> read_port(const toml::table& source) {
        Table table(source, config_.path, "a port");
        PortConfig port{.line = line_of(source)};
        std::string pass;
        auto read = in_order(
            [&] { return table.string("name", port.name, true); },
            [&] { return table.string("device", port.device, true); },
            [&] { return table.string("peer", port.peer); }, [&] { return table.string("pass", pass); },
            [&] { return table.string("host_interface", port.host_interface); },
            [&] { return table.string("chain", port.chain); },
            [&] { return table.number("ifindex", port.ifindex, 0x7fffffff); },
            [&] { return table.number("rx_queues", port.rx_queues, 256); },
            [&] { return table.numbers("rx_queue_workers", port.rx_queue_workers, kMostWorkers - 1); },
            [&] { return check_queues(table, source, port); },
            [&] { return table.number("mtu", port.mtu, 16384, 68); },
            [&] { return table.number("rx_descriptors", port.rx_descriptors, 65535); },
            [&] { return table.number("tx_descriptors", port.tx_descriptors, 65535); },
            [&] { return table.done(); }, [&] { return check_host(table, source, port, pass); });
        config_.ports.push_back(std::move(port));
        return read;
    }

    /// A worker for each queue, and each queue a worker.
    static Result<> check_queues(const Table& table, const toml::table& source, PortConfig& port) {
        const std::size_t queues = port.rx_queue_workers.size();
        if (queues == 0) return {};
        if (queues > 256 || (port.rx_queues != 0 && port.rx_queues != queues))
            return table.error(*source.get("rx_queue_workers"),
                               fmt::format("'rx_queue_workers' has workers for {} queues of {}", queues,
                                           port.rx_queues != 0 ? port.rx_queues : 256));
        port.rx_queues = static_cast<u32>(queues);
        return {};
    }

    static Result<> check_host(const Table& table, const toml::table& source, PortConfig& port,
                               const std::string& pass) {
        if (pass.empty() && !port.host_interface.empty())
            return table.error(source, "'host_interface' goes with pass = \"host\"");
        if (pass.empty()) return {};
        if (pass != "host") return table.error(source, "'pass' must be \"host\"");
        if (!port.peer.empty())
            return table.error(source, fmt::format("port '{}' has a peer and pass = \"host\"", port.name));
        if (port.host_interface.empty()) port.host_interface = port.name;
        // As the kernel has it, and DPDK's arguments, too.
        const std::string& name = port.host_interface;
        if (name.size() > 15 || name == "." || name == ".." ||
            name.find_first_of(" \t\n/:,=%\"'[]") != std::string::npos)
            return table.error(source,
                               fmt::format("'{}' can not be the name of an interface: 'host_interface' "
                                           "gives another, of at most 15 characters",
                                           name));
        port.to_host = true;
        return {};
    }

    Result<> read_chain(const toml::table& source) {
        Table table(source, config_.path, "a chain");
        ChainConfig chain{.line = line_of(source)};
        auto read = in_order(
            [&] { return table.string("name", chain.name, true); },
            [&] { return table.tables("stage", [&](const toml::table& t) { return read_stage(t, chain); }); },
            [&] { return table.done(); });
        if (read && chain.stages.empty())
            return at(chain.line, fmt::format("chain '{}' has no stage", chain.name));
        config_.chains.push_back(std::move(chain));
        return read;
    }

    Result<> read_stage(const toml::table& source, ChainConfig& chain) {
        Table table(source, config_.path, "a stage");
        StageConfig stage{.line = line_of(source)};
        auto read = in_order([&] { return table.string("name", stage.name); },
                             [&] { return table.string("object", stage.object, true); },
                             [&] { return table.string("program", stage.program); },
                             [&] { return table.strings("maps", stage.maps); }, [&] { return table.done(); });
        // A bare name may also be one of the filters that come with the program.
        const fs::path local = directory_ / stage.object;
        std::error_code ignored;
        stage.object = stage.object.find('/') != std::string::npos || fs::exists(local, ignored)
                           ? local.string()
                           : find_object(stage.object);
        for (auto& [name, path] : stage.maps) path = directory_ / path;
        chain.stages.push_back(std::move(stage));
        return read;
    }

    [[nodiscard]] std::unexpected<Error> at(u32 line, std::string_view message) const {
        return fail(EINVAL, "{}:{}: {}", config_.path, line, message);
    }

    [[nodiscard]] Result<> check_names() const {
        const auto& ports = config_.ports;
        const auto& chains = config_.chains;
        for (std::size_t i = 0; i < chains.size(); ++i)
            for (std::size_t k = 0; k < i; ++k)
                if (chains[i].name == chains[k].name)
                    return at(chains[i].line, fmt::format("a second chain is called '{}'", chains[i].name));
        for (std::size_t i = 0; i < ports.size(); ++i) {
            for (std::size_t k = 0; k < i; ++k)
                if (ports[i].name == ports[k].name)
                    return at(ports[i].line, fmt::format("a second port is called '{}'", ports[i].name));
            const auto named = [&](const PortConfig& port) { return port.name == ports[i].peer; };
            if (!ports[i].peer.empty() && std::none_of(ports.begin(), ports.end(), named))
                return at(ports[i].line, fmt::format("port '{}' has the peer '{}', which is not defined",
                                                     ports[i].name, ports[i].peer));
            if (!ports[i].chain.empty() && config_.chain(ports[i].chain) == nullptr)
                return at(ports[i].line, fmt::format("port '{}' has the chain '{}', which is not defined",
                                                     ports[i].name, ports[i].chain));
        }
        return {};
    }

    fs::path directory_;
    Config config_;
};

} // namespace

std::vector<std::string> Config::files() const {
    std::vector<std::string> files{path};
    for (const ChainConfig& chain : chains)
        for (const StageConfig& stage : chain.stages) {
            // A bare name was found nowhere: where it would be found first is beside the configuration.
            const bool nowhere = stage.object.find('/') == std::string::npos;
            files.push_back(nowhere ? (fs::path(path).parent_path() / stage.object).string() : stage.object);
            for (const auto& [map, file] : stage.maps) files.push_back(file);
        }
    return files;
}

const ChainConfig* Config::chain(std::string_view name) const {
    for (const ChainConfig& chain : chains)
        if (chain.name == name) return &chain;
    return nullptr;
}

std::string find_object(const std::string& name) {
    std::error_code ignored;
    if (name.find('/') != std::string::npos || fs::exists(name, ignored)) return name;
    const fs::path program = fs::read_symlink("/proc/self/exe", ignored);
    for (const char* place : kInstalledFilters) {
        const fs::path candidate = program.parent_path() / place / name;
        if (fs::exists(candidate, ignored)) return candidate.lexically_normal();
    }
    return name;
}

Result<Config> read_config(const std::string& path) {
    constexpr std::size_t kLongest = std::size_t{16} << 20;
    const auto text = read_file(path, kLongest);
    if (!text) return fail(text.error(), path);
    try {
        const toml::table root = toml::parse(*text, path);
        return ConfigReader(path).read(root);
    } catch (const toml::parse_error& error) {
        std::string reason(error.description());
        std::replace(reason.begin(), reason.end(), '\n', ' ');
        return fail(EINVAL, "{}:{}: {}", path, error.source().begin.line, reason);
    }
}

} // namespace xdplane
