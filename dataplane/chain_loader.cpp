// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
#include "dataplane/chain_loader.h"

#include <algorithm>
#include <cerrno>
#include <filesystem>
#include <linux/bpf.h>
#include <map>
#include <ranges>
#include <set>

#include <fmt/ranges.h>

#include "dataplane/carry_over.h"
#include "dataplane/map_file.h"

namespace xdplane {
namespace {

/// A name that is not among `taken` yet.
template<class Taken>
std::string unique_name(const Taken& taken, const std::string& name) {
    std::string unique = name;
    for (u32 number = 2; std::ranges::find(taken, unique) != std::ranges::end(taken); ++number)
        unique = fmt::format("{}#{}", name, number);
    return unique;
}

Result<> fill_maps(const StageConfig& config, const Object& object, const std::string& object_name) {
    for (const auto& [name, path] : config.maps) {
        const auto map = object.map(name);
        if (map == nullptr) {
            std::vector<std::string> names;
            for (const auto& info : object.maps()) names.push_back(info.name);
            return fail(ENOENT, "{}: no map '{}' for {} (it has: {})", object.file(), name, path,
                        fmt::join(names, ", "));
        }
        if (auto done = load_map({object_name, name, map}, path); !done) return done;
    }
    return {};
}

} // namespace

Result<std::string> choose_xdp_program(const Object& object, const std::string& wanted) {
    std::vector<std::string> candidates;
    for (const auto& program : object.programs()) {
        if (!wanted.empty() && program.name == wanted) {
            if (program.type != BPF_PROG_TYPE_XDP)
                return fail(EINVAL, "{}: program '{}' (section {}) is no XDP program", object.file(), wanted,
                            program.section);
            return wanted;
        }
        if (program.type == BPF_PROG_TYPE_XDP) candidates.push_back(program.name);
    }
    if (!wanted.empty()) {
        std::vector<std::string> names;
        for (const auto& program : object.programs()) names.push_back(program.name);
        return fail(ENOENT, "{}: no program '{}' (it has: {})", object.file(), wanted,
                    fmt::join(names, ", "));
    }
    if (candidates.size() == 1) return candidates.front();
    if (candidates.empty()) return fail(ENOENT, "{}: has no XDP program", object.file());
    return fail(EINVAL, "{}: has {} XDP programs; name one, as in {}:{} (of: {})", object.file(),
                candidates.size(), object.file(), candidates.front(), fmt::join(candidates, ", "));
}

std::string object_name(const std::string& path) {
    std::string name = std::filesystem::path(path).filename();
    for (const std::string_view ending : {".bpf.o", ".o"})
        if (name.ends_with(ending) && name.size() > ending.size()) {
            name.resize(name.size() - ending.size());
            break;
        }
    return name;
}

std::vector<std::string> object_names(std::span<const std::unique_ptr<Object>> objects) {
    std::vector<std::string> names;
    for (const auto& object : objects) names.push_back(unique_name(names, object_name(object->file())));
    return names;
}

StageConfig parse_stage(const std::string& text) {
    StageConfig stage;
    const std::size_t colon = text.rfind(':');
    std::error_code ignored;
    if (colon == std::string::npos || colon == 0 || colon + 1 == text.size() ||
        text.find('/', colon) != std::string::npos || std::filesystem::exists(text, ignored)) {
        stage.object = find_object(text);
    } else {
        stage.object = find_object(text.substr(0, colon));
        stage.program = text.substr(colon + 1);
    }
    return stage;
}

Result<LoadedChain> load_chain(std::span<const StageConfig> configs, std::optional<Stage> first,
                               CarryOver* carry) {
    LoadedChain loaded;
    std::vector<Stage> stages;
    if (first) stages.push_back(std::move(*first));

    // Which programs of each file, before any of them is loaded.
    std::map<std::string, Object*> by_path;
    std::map<Object*, std::vector<std::string>> selected;
    std::map<Object*, std::set<std::string>> filled;
    std::vector<std::pair<Object*, std::string>> programs;
    for (const StageConfig& config : configs) {
        Object*& object = by_path[config.object];
        if (object == nullptr) {
            auto opened = Object::open(config.object);
            if (!opened) return fail(opened.error());
            object = opened->get();
            loaded.objects.push_back(std::move(*opened));
        }
        auto program = choose_xdp_program(*object, config.program);
        if (!program) return fail(program.error());
        auto& names = selected[object];
        if (std::find(names.begin(), names.end(), *program) == names.end()) names.push_back(*program);
        for (const auto& [map, path] : config.maps) filled[object].insert(map);
        programs.emplace_back(object, *program);
    }
    const std::vector<std::string> names = object_names(loaded.objects);
    std::map<const Object*, std::string> name_of;
    for (std::size_t i = 0; i < names.size(); ++i) {
        Object& object = *loaded.objects[i];
        name_of[&object] = names[i];
        if (auto done = object.select(selected[&object]); !done) return fail(done.error());
        if (carry != nullptr)
            if (auto done = carry->prepare(object, names[i], filled[&object]); !done)
                return fail(done.error());
        if (auto done = object.load(); !done) return fail(done.error());
        if (carry != nullptr)
            if (auto done = carry->finish(object, names[i]); !done) return fail(done.error());
        for (const auto& info : object.maps())
            if (auto map = object.map(info.name); map != nullptr)
                loaded.maps.push_back({names[i], info.name, std::move(map)});
    }
    for (std::size_t i = 0; i < configs.size(); ++i) {
        const auto& [object, program] = programs[i];
        // A program that stands twice in a chain is counted twice.
        const std::string name = unique_name(std::views::transform(stages, &Stage::name),
                                             configs[i].name.empty() ? program : configs[i].name);
        stages.push_back({name, object->program(program), StageKind::xdp});
        if (stages.back().program == nullptr)
            return fail(ENOENT, "{}: program '{}' is not there", object->file(), program);
        if (auto done = fill_maps(configs[i], *object, name_of[object]); !done) return fail(done.error());
    }
    auto chain = Chain::make(std::move(stages));
    if (!chain) return fail(chain.error());
    loaded.chain = std::make_shared<const Chain>(std::move(*chain));
    return loaded;
}

Result<const NamedMap*> find_map(std::span<const MapsOfChain> chains, const std::string& name) {
    std::vector<const NamedMap*> found;
    std::vector<std::string> candidates;
    std::vector<std::string> all;
    for (const auto& [chain, maps] : chains)
        for (const NamedMap& map : maps) {
            const std::string in_object = map.object + ":" + map.name;
            const std::string whole = chain.empty() ? in_object : chain + "/" + in_object;
            if (std::ranges::find(all, map.name) == all.end()) all.push_back(map.name);
            if (name != map.name && name != in_object && name != whole) continue;
            found.push_back(&map);
            candidates.push_back(whole);
        }
    if (found.size() == 1) return found.front();
    if (found.size() > 1)
        return fail(EINVAL, "several maps are called '{}'; say which: {}", name, fmt::join(candidates, ", "));
    if (all.empty()) return fail(ENOENT, "no map '{}': there are no maps", name);
    return fail(ENOENT, "no map '{}' (there are: {})", name, fmt::join(all, ", "));
}

Result<> preload_map(const MapsOfChain& chain, const std::string& assignment) {
    const std::size_t equals = assignment.find('=');
    const auto map = find_map({&chain, 1}, assignment.substr(0, equals));
    if (!map) return fail(map.error(), fmt::format("--map {}", assignment));
    return load_map(**map, assignment.substr(equals + 1));
}

} // namespace xdplane
