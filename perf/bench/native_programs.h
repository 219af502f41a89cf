// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
#pragma once
#include <memory>
#include <vector>

#include "bpf/base/mapping.h"
#include "perf/bench/engines.h"
#include "perf/bench/native_maps.h"

namespace xdplane::bench {

/// The native maps of one case, with their memory and contents. The map records themselves are part of the
/// native code, so there is one set of maps for each program in a process; the engines of a case share it.
class NativeMaps {
public:
    /// Those of the case that is set up, made by the first who asks. ENOTSUP where this CPU cannot run the
    /// native code.
    static Result<std::shared_ptr<NativeMaps>> get(const EngineSetup& setup);
    ~NativeMaps();
    NativeMaps(const NativeMaps&) = delete;
    NativeMaps& operator=(const NativeMaps&) = delete;

    /// Null if there is none.
    [[nodiscard]] native_map* find(std::string_view name) const;
    [[nodiscard]] const std::vector<native_map*>& all() const { return maps_; }
    /// What PacketLoop::contents() asks for.
    [[nodiscard]] u64 sum() const;
    /// Overwrites the value of entry `index` of the first map that is filled.
    void update(u32 index) const;

private:
    explicit NativeMaps(const Case& which) : which_(which) {}
    Result<> prepare(native_map& map);
    Result<> fill(native_map& map, const MapContents& contents) const;

    const Case& which_;
    std::vector<native_map*> maps_;
    std::vector<Mapping> memory_;
};

} // namespace xdplane::bench
