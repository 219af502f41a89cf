// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
#pragma once
#include <memory>
#include <set>
#include <span>
#include <string>
#include <vector>

#include "bpf/libbpf/object.h"

/// Map contents from one generation of a chain to the next.
///
/// A map is the same if object (object_names()) and map have the same names. If its type, sizes, flags and
/// the layout of its value are the same as well, both generations use one map: nothing is copied, and nothing
/// is lost. If only the value is another struct, a new map is made, and its entries are filled from the old
/// ones by member name (BTF); what old workers change after that stays behind. Any other difference is
/// refused: whoever wants an empty map gives it another name.
///
/// New in every generation: program arrays (they name the programs of one generation), constants (.rodata),
/// and maps that the configuration fills from a file.
namespace xdplane {

enum class MapFate : u8 {
    fresh,    ///< as its object, or the configuration's file, begins it
    kept,     ///< the map itself
    migrated, ///< a new map, filled from the old one
};
[[nodiscard]] const char* name_of(MapFate fate);

struct MapChange {
    std::string chain;
    std::string object; ///< its name in the chain
    std::string map;
    MapFate fate = MapFate::fresh;
    u64 entries = 0; ///< migrated ones
};

/// One use: prepare() and finish() for each object of the next generation of a chain. Control thread.
class CarryOver {
public:
    /// `running`: the objects of the chain in the generation that runs.
    CarryOver(std::string chain, std::span<const std::unique_ptr<Object>> running);

    /// Before object.load(). `name`: the object's in its chain; `filled`: maps of it that a file will fill.
    /// EINVAL: a map whose shape changed in a way that loses its contents; the message says which, and how.
    [[nodiscard]] Result<> prepare(Object& object, const std::string& name,
                                   const std::set<std::string>& filled);
    /// After object.load().
    [[nodiscard]] Result<> finish(const Object& object, const std::string& name);

    [[nodiscard]] const std::vector<MapChange>& changes() const { return changes_; }

private:
    /// The running object of that name; null if there is none.
    [[nodiscard]] const Object* find(const std::string& name) const;

    std::string chain_;
    std::span<const std::unique_ptr<Object>> running_;
    std::vector<std::string> names_; ///< of `running_`
    std::vector<MapChange> changes_;
};

} // namespace xdplane
