// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
#include "dataplane/control_commands.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <iterator>
#include <map>
#include <nlohmann/json.hpp>
#include <sstream>
#include <unistd.h>

#include "bpf/maps/hash.h"
#include "bpf/maps/lpm_trie.h"
#include "bpf/syscall/pins.h"
#include "bpf/syscall/xdp_hooks.h"
#include "dataplane/map_file.h"
#include "dataplane/map_replace.h"
#include "dataplane/tap_request.h"

namespace xdplane {
namespace {

std::string plural(u64 count, std::string_view thing) {
    return fmt::format("{} {}{}", count, thing, count == 1 ? "" : "s");
}

/// The program that is attached to each port that has one, by port.
std::map<std::string, Json> attached_programs() {
    constexpr std::array<const char*, XdpHooks::kModes> kModeNames{"generic", "driver"}; // as bpftool says
    std::map<std::string, Json> programs;
    for (const XdpHooks::InterfaceState& state : XdpHooks::instance().list())
        for (u32 mode = 0; mode < XdpHooks::kModes; ++mode)
            if (const XdpHooks::Attached& attached = state.attached[mode]; attached.program)
                programs[state.interface.name] = {
                    {"program", attached.program->parts().name},
                    {"id", attached.program->id},
                    {"link", attached.link != 0 ? Json(attached.link) : Json(nullptr)},
                    {"mode", kModeNames[mode]}};
    return programs;
}

Result<Json> status(Daemon& daemon, const Json&) {
    const InlineReport report = daemon.report();
    return Json{{"pid", getpid()},
                {"config", daemon.running().config.path},
                {"generation", daemon.generation()},
                {"can_roll_back", daemon.can_roll_back()},
                {"last_error", daemon.last_error().empty() ? Json(nullptr) : Json(daemon.last_error())},
                {"hanging", daemon.hanging().empty() ? Json(nullptr) : Json(daemon.hanging())},
                {"seconds", report.seconds},
                {"engine", report.engine},
                {"workers", report.workers},
                {"ports", report.ports.size()},
                {"chains", daemon.running().chains.size()},
                {"attached", attached_programs().size()},
                {"captures", daemon.plane().taps()},
                {"packets", report.packets()},
                {"forwarded", report.forwarded()},
                {"dropped", report.dropped()}};
}

std::string status_text(const Daemon& daemon, const Json&) {
    const InlineReport report = daemon.report();
    std::string text =
        fmt::format("xdplane, process {}, running for {:.0f} s\nconfiguration  {}, generation {}{}\n"
                    "engine         {}, {}, {}, {}\npackets        {} received, {} forwarded, {} dropped\n",
                    getpid(), report.seconds, daemon.running().config.path, daemon.generation(),
                    daemon.can_roll_back() ? "" : " (nothing to roll back to)", report.engine,
                    plural(report.workers, "worker"), plural(report.ports.size(), "port"),
                    plural(daemon.running().chains.size(), "chain"), report.packets(), report.forwarded(),
                    report.dropped());
    std::vector<std::string> attached;
    for (const auto& [port, program] : attached_programs()) attached.push_back(port);
    if (!attached.empty()) text += fmt::format("attached       to {}\n", fmt::join(attached, ", "));
    if (const u32 taps = daemon.plane().taps(); taps != 0)
        text += fmt::format("captures       {}, of at most {}\n", taps, kMaxTaps);
    if (!daemon.last_error().empty()) text += fmt::format("last error     {}\n", daemon.last_error());
    if (!daemon.hanging().empty()) text += fmt::format("hanging        {}\n", daemon.hanging());
    return text;
}

template<class Reports>
Json array_of(const Reports& reports) {
    Json array = Json::array();
    for (const auto& report : reports) array.push_back(json_of(report));
    return array;
}

Result<Json> ports(Daemon& daemon, const Json&) {
    const auto attached = attached_programs();
    Json array = array_of(daemon.plane().ports());
    for (Json& port : array) {
        const auto found = attached.find(port["name"].get<std::string>());
        port["attached"] = found != attached.end() ? found->second : Json(nullptr);
    }
    return array;
}
std::string ports_text(const Daemon& daemon, const Json& result) {
    std::string text = ports_table(daemon.plane().ports());
    for (const Json& port : result) {
        const Json& attached = port["attached"];
        if (attached.is_null()) continue;
        fmt::format_to(std::back_inserter(text), "{}: judged by program {} (id {}), attached {}\n",
                       port["name"].get<std::string>(), attached["program"].get<std::string>(),
                       attached["id"].get<u32>(),
                       attached["link"].is_null() ? "without a link"
                                                  : fmt::format("by link {}", attached["link"].get<u32>()));
    }
    return text;
}

Result<Json> workers(Daemon& daemon, const Json&) { return array_of(daemon.plane().worker_reports()); }
std::string workers_text(const Daemon& daemon, const Json&) {
    return workers_table(daemon.plane().worker_reports());
}

Result<Json> chains(Daemon& daemon, const Json&) { return array_of(daemon.plane().chains()); }
std::string chains_text(const Daemon& daemon, const Json&) {
    std::string text;
    for (const ChainReport& chain : daemon.plane().chains())
        text += (text.empty() ? "" : "\n") + chain_table(chain);
    return text.empty() ? "no port has a chain\n" : text;
}

/// Where the map keeps count itself; null for others.
Json entries_in(const Map& map) {
    switch (map.spec().type) {
    case BPF_MAP_TYPE_HASH:
    case BPF_MAP_TYPE_PERCPU_HASH: return static_cast<const HashMap&>(map).size();
    case BPF_MAP_TYPE_LPM_TRIE: return static_cast<const LpmTrie&>(map).size();
    default: return nullptr;
    }
}

Result<Json> maps(Daemon& daemon, const Json&) { return maps_report(daemon); }
std::string maps_text(const Daemon&, const Json& result) {
    std::string text =
        fmt::format("{:<6} {:<16} {:<20} {:<24} {:>6} {:>8} {:>12} {:>12} {:>14}\n", "id", "chain",
                    "object:map", "type", "key B", "value B", "entries", "max entries", "memory KiB");
    for (const Json& map : result)
        fmt::format_to(std::back_inserter(text),
                       "{:<6} {:<16} {:<20} {:<24} {:>6} {:>8} {:>12} {:>12} {:>14}\n", map["id"].get<u64>(),
                       map["chain"].get<std::string>(),
                       map["object"].get<std::string>() + ":" + map["name"].get<std::string>(),
                       map["type"].get<std::string>(), map["key_size"].get<u64>(),
                       map["value_size"].get<u64>(), map["entries"].is_null() ? "-" : map["entries"].dump(),
                       map["max_entries"].get<u64>(), map["memory_bytes"].get<u64>() / 1024);
    return text;
}

Result<Json> map_entries(Daemon& daemon, const Json& request) {
    const auto map = daemon.running().map(request.at("map").get<std::string>());
    if (!map) return fail(map.error());
    return Json::parse(dump_maps({*map, 1}));
}
std::string as_text(const Daemon&, const Json& result) { return result.dump(2) + "\n"; }

Result<Json> pins(Daemon&, const Json&) {
    Json array = Json::array();
    for (const auto& [path, object] : PinTable::instance().list()) {
        Json pin = {{"path", path}, {"kind", "directory"}};
        if (const auto* map = std::get_if<std::shared_ptr<Map>>(&object))
            pin.update({{"kind", "map"}, {"id", (*map)->id}, {"name", (*map)->spec().name}});
        else if (const auto* program = std::get_if<std::shared_ptr<const Program>>(&object))
            pin.update({{"kind", "program"}, {"id", (*program)->id}, {"name", (*program)->parts().name}});
        else if (const auto* link = std::get_if<std::shared_ptr<Link>>(&object))
            pin.update({{"kind", "link"}, {"id", (*link)->id.load()}});
        array.push_back(std::move(pin));
    }
    return array;
}
std::string pins_text(const Daemon&, const Json& result) {
    std::string text = fmt::format("{:<10} {:<6} {:<16} {}\n", "kind", "id", "name", "path");
    for (const Json& pin : result)
        text += fmt::format("{:<10} {:<6} {:<16} {}\n", pin["kind"].get<std::string>(),
                            pin.contains("id") ? std::to_string(pin["id"].get<u32>()) : "",
                            pin.value("name", ""), pin["path"].get<std::string>());
    return text;
}

Result<Json> stats(Daemon& daemon, const Json&) { return json_of(daemon.report()); }
std::string stats_text(const Daemon& daemon, const Json&) { return as_table(daemon.report()); }

Json change_of_generation(const Daemon& daemon, bool with_maps) {
    Json maps = Json::array();
    if (with_maps)
        for (const MapChange& change : daemon.running().changes)
            maps.push_back({{"chain", change.chain},
                            {"object", change.object},
                            {"map", change.map},
                            {"contents", name_of(change.fate)},
                            {"entries", change.entries}});
    return {{"generation", daemon.generation()}, {"maps", maps}};
}

Result<Json> reload(Daemon& daemon, const Json&) {
    if (auto done = daemon.reload(); !done) return fail(done.error());
    return change_of_generation(daemon, true);
}
Result<Json> rollback(Daemon& daemon, const Json&) {
    if (auto done = daemon.rollback(); !done) return fail(done.error());
    return change_of_generation(daemon, false);
}
std::string generation_text(const Daemon& daemon, const Json& result) {
    std::string text = fmt::format("generation {} runs\n", daemon.generation());
    for (const Json& map : result["maps"]) {
        const u64 entries = map["entries"].get<u64>();
        text += fmt::format(
            "  {}/{}:{} {}{}\n", map["chain"].get<std::string>(), map["object"].get<std::string>(),
            map["map"].get<std::string>(), map["contents"].get<std::string>(),
            entries == 0
                ? ""
                : fmt::format(", {}", entries == 1 ? "1 entry" : fmt::format("{} entries", entries)));
    }
    return text;
}

Result<Json> load(Daemon& daemon, const Json& request) {
    const auto found = daemon.running().map(request.at("map").get<std::string>());
    if (!found) return fail(found.error());
    const NamedMap& map = **found;
    const auto path = request.at("file").get<std::string>();
    const auto entries = read_map_file(map, path, FileKind::regular);
    if (!entries) return fail(entries.error());
    const auto done = replace_entries(*map.map, *entries);
    if (!done) return fail(done.error(), fmt::format("{}: map {}", path, map.name));
    return Json{{"map", map.name},
                {"added", done->added},
                {"removed", done->removed},
                {"kept", done->kept},
                {"changed", done->changed}};
}
std::string load_text(const Daemon&, const Json& result) {
    return fmt::format("{}: {} added, {} removed, {} kept, {} of them changed\n",
                       result["map"].get<std::string>(), result["added"].get<u64>(),
                       result["removed"].get<u64>(), result["kept"].get<u64>(), result["changed"].get<u64>());
}

constexpr ControlCommand kCommands[] = {
    {"status", "", "what runs, for how long, and the last error", status, status_text},
    {"ports", "", "counters of each port", ports, ports_text},
    {"workers", "", "what each worker does, and how busy it is", workers, workers_text},
    {"chains", "", "counters of each chain and stage", chains, chains_text},
    {"maps", "", "maps of all chains", maps, maps_text},
    {"map", "map", "entries of a map", map_entries, as_text},
    {"load", "map file", "bring a map to exactly the contents of a file", load, load_text},
    {"pins", "", "what is pinned below /sys/fs/bpf, by `xdplane exec`", pins, pins_text},
    {"stats", "", "all counters, as at the end of `xdplane run`", stats, stats_text},
    {"reload", "", "read the configuration again and go over to it, all or nothing", reload, generation_text},
    {"rollback", "", "go back to the configuration before the last reload", rollback, generation_text},
    {"capture", "", "copy live packets to a file; see `xdplane ctl capture --help`", nullptr, as_text,
     begin_capture},
};

} // namespace

Json maps_report(const Daemon& daemon) {
    Json array = Json::array();
    for (const auto& [chain, loaded] : daemon.running().chains)
        for (const NamedMap& named : loaded.maps) {
            const MapSpec& spec = named.map->spec();
            array.push_back({{"chain", chain},
                             {"object", named.object},
                             {"name", named.name},
                             {"id", named.map->id},
                             {"type", named.map->ops().name},
                             {"key_size", spec.key_size},
                             {"value_size", spec.value_size},
                             {"max_entries", spec.max_entries},
                             {"entries", entries_in(*named.map)},
                             {"memory_bytes", named.map->memory_bytes()}});
        }
    return array;
}

std::span<const ControlCommand> control_commands() { return kCommands; }

std::vector<std::string> arguments_of(const ControlCommand& command) {
    std::istringstream words{std::string(command.argument)};
    return {std::istream_iterator<std::string>(words), {}};
}

Json handle_control_request(Daemon& daemon, const Json& request, ControlSession& session) {
    const auto name = request.find("command");
    if (name == request.end() || !name->is_string()) return refusal("a request needs \"command\"");
    const auto command =
        std::ranges::find(kCommands, name->get_ref<const std::string&>(), &ControlCommand::name);
    if (command == std::end(kCommands))
        return refusal(fmt::format("there is no command '{}'", name->get_ref<const std::string&>()));
    for (const std::string& key : arguments_of(*command)) {
        const auto argument = request.find(key);
        if (argument == request.end() || !argument->is_string())
            return refusal(fmt::format("'{}' needs \"{}\", a string", command->name, key));
    }
    auto result =
        command->begin != nullptr ? command->begin(daemon, request, session) : command->run(daemon, request);
    if (!result) return refusal(result.error().message);
    Json reply = {{"ok", true}, {"result", *result}};
    if (const auto text = request.find("text"); text != request.end() && *text == true)
        reply["text"] = command->text(daemon, *result);
    return reply;
}

Json handle_control_request(Daemon& daemon, const Json& request) {
    ControlSession session;
    return handle_control_request(daemon, request, session);
}

} // namespace xdplane
