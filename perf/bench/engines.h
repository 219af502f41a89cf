// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
#pragma once
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "bpf/libbpf/object.h"
#include "perf/bench/case_table.h"
#include "perf/bench/subject.h"

namespace xdplane::bench {

/// A program of the user's own, in place of a case's.
struct UserProgram {
    std::string object;  ///< path
    std::string program; ///< name; empty: the only one
};

/// Entries of a map that are compared: more would take longer than the measuring.
inline constexpr u32 kComparedEntries = 1U << 16;

class NativeMaps;

/// Programs of one case that xdplane's own engines share: the first one loaded brings the maps, so that the
/// memory is there, and filled, once.
struct SharedPrograms {
    struct Loaded {
        bool jit = false;
        std::unique_ptr<Object> object;
        std::shared_ptr<const Program> program;
    };
    std::vector<std::shared_ptr<Loaded>> loaded;
    std::shared_ptr<NativeMaps> native; ///< the same for those that run on native maps
};

/// What an engine is made of.
struct EngineSetup {
    const Case& which;
    const PacketSet& packets;
    u32 cpu = 0;                       ///< where it will run
    const UserProgram* user = nullptr; ///< null: the case's program
    SharedPrograms* shared = nullptr;

    /// What becomes of a packet's bytes is part of the checksum. Of a filter or a user's program nothing is
    /// known, so they always are.
    [[nodiscard]] bool bytes_count() const { return user != nullptr || which.writes; }
};

/// An object that is open, not loaded, and which of its programs is meant: that of the case, or the user's.
/// Nothing else is selected.
struct OpenProgram {
    std::unique_ptr<Object> object;
    std::string name;
};
[[nodiscard]] Result<OpenProgram> open_program(const EngineSetup& setup);

/// A row of the table. `make` is null for an engine that does captures only; it fails with ENOTSUP where the
/// engine cannot do this case, or not on this machine; the message says why. Other errors are failures.
struct Engine {
    std::string_view name;
    std::string_view about;
    Result<std::unique_ptr<Subject>> (*make)(const EngineSetup& setup);
    bool peer = false;      ///< somebody else's: ratios to it are shown
    bool takes_user = true; ///< runs a user's program too
    /// The same for captures; null: not for those.
    Result<std::unique_ptr<Subject>> (*make_replay)(const EngineSetup& setup) = nullptr;

    [[nodiscard]] auto maker(Work work) const { return work == Work::replay ? make_replay : make; }
};

/// Names are unique; the order is that of the report.
[[nodiscard]] std::span<const Engine> engine_table();

Result<std::unique_ptr<Subject>> make_interpreter(const EngineSetup& setup);
Result<std::unique_ptr<Subject>> make_scalar(const EngineSetup& setup);
Result<std::unique_ptr<Subject>> make_burst(const EngineSetup& setup);
Result<std::unique_ptr<Subject>> make_run_ahead(const EngineSetup& setup);
Result<std::unique_ptr<Subject>> make_auto(const EngineSetup& setup);
Result<std::unique_ptr<Subject>> make_native(const EngineSetup& setup);
Result<std::unique_ptr<Subject>> make_inlined(const EngineSetup& setup);
Result<std::unique_ptr<Subject>> make_rte(const EngineSetup& setup);
Result<std::unique_ptr<Subject>> make_kernel(const EngineSetup& setup);
Result<std::unique_ptr<Subject>> make_replay(const EngineSetup& setup);
Result<std::unique_ptr<Subject>> make_tcpdump(const EngineSetup& setup);

} // namespace xdplane::bench
