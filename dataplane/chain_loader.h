// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
#pragma once
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "bpf/libbpf/object.h"
#include "dataplane/chain.h"
#include "dataplane/config.h"
#include "dataplane/maps_json.h"

namespace xdplane {

/// A chain whose programs are loaded, and what must live as long as it runs.
struct LoadedChain {
    std::shared_ptr<const Chain> chain;
    std::vector<std::unique_ptr<Object>> objects; ///< program arrays need them
    std::vector<NamedMap> maps;                   ///< of all objects, in order of the stages
};

/// Splits "OBJ[:PROG]" into a stage. A path with a colon in it needs the program to be named.
[[nodiscard]] StageConfig parse_stage(const std::string& text);

/// The name of an object's only XDP program, or `wanted` if that is one; the error says what there is.
[[nodiscard]] Result<std::string> choose_xdp_program(const Object& object, const std::string& wanted);

/// Loads the stages' objects (each file once: stages of one file share its maps), picks their programs and
/// fills the maps that the stages name. `first`, if given, goes in front of them (a filter expression).
/// `carry`, if given, brings contents of running maps along. Errors name the file. Control thread.
[[nodiscard]] Result<LoadedChain> load_chain(std::span<const StageConfig> stages,
                                             std::optional<Stage> first = std::nullopt,
                                             class CarryOver* carry = nullptr);

/// Where to look for a map.
struct MapsOfChain {
    std::string chain; ///< empty: it has no name
    std::span<const NamedMap> maps;
};

/// The map that a user means by "MAP", "OBJECT:MAP" or "CHAIN/OBJECT:MAP". Errors: ENOENT, which says what
/// there is; EINVAL for a name of several maps, which says how to name each. The result points into `chains`.
[[nodiscard]] Result<const NamedMap*> find_map(std::span<const MapsOfChain> chains, const std::string& name);

/// Fills a map of the chain from "MAP=FILE". Errors: those of find_map() and of load_map().
[[nodiscard]] Result<> preload_map(const MapsOfChain& chain, const std::string& assignment);

/// File name of an object without directory and ".bpf.o" or ".o".
[[nodiscard]] std::string object_name(const std::string& path);

/// What users call the objects of a chain: their file names, with "#2" and so on behind those of later ones
/// that have the same.
[[nodiscard]] std::vector<std::string> object_names(std::span<const std::unique_ptr<Object>> objects);

} // namespace xdplane
