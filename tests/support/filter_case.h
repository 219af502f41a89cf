// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
#pragma once
#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>
#include <utility>
#include <vector>

struct bpf_object;

/// Filter cases: packets in, verdicts, packets and maps out, as data. tests/e2e/filters/README.md describes
/// the files. Reader and runner know only libbpf's calls, so one source proves a filter on the running kernel
/// (linked with the system's libbpf) and on xdplane's own engines (linked with the wrapped one).
namespace xdplane::test {

/// Expected bytes. A byte may be left open, or depend on the clock and so be compared only by an engine whose
/// clock the runner sets.
struct BytePattern {
    enum class Kind : char { exact, any, clocked };
    std::string bytes;
    std::vector<Kind> kinds; ///< one per byte
};

struct MapEntry {
    std::string key;
    BytePattern value;
};

struct MapContents {
    std::string map;
    std::vector<MapEntry> entries;
};

struct PacketStep {
    std::string name;
    std::string in;
    std::uint32_t verdict = 0;
    std::string out; ///< the packet afterwards
    std::uint64_t now_ns = 0;
    bool clocked = false; ///< verdict and bytes depend on now_ns
};

struct FilterCase {
    std::string object;  ///< file name in the directory of objects: "acl.bpf.o"
    std::string name;    ///< unique within the object, [a-z0-9_]+
    std::string program; ///< runs for every packet
    std::vector<std::pair<std::string, std::string>> rodata;   ///< variable, bytes; set before loading
    std::vector<MapContents> maps;                             ///< filled before the first packet
    std::vector<std::pair<std::uint32_t, std::string>> stages; ///< slot of the map `stages`, program
    std::vector<PacketStep> packets;
    std::vector<MapContents> expect; ///< after the last packet; whole: nothing else may be in these maps
};

/// Reads one file. Throws std::runtime_error naming the file, the case and what is wrong.
[[nodiscard]] std::vector<FilterCase> read_filter_cases(const std::filesystem::path& file);

/// Where cases run.
struct FilterEngine {
    std::string name;
    /// Sets what the object's programs take for the time from now on; empty where it cannot be set. May
    /// throw.
    std::function<void(bpf_object* object, std::uint64_t now_ns)> set_clock;
    /// True where EPERM from bpf() means "not here" (no privileges) and not "wrong".
    bool may_refuse = false;
};

struct CaseReport {
    std::vector<std::string> failures;
    std::vector<std::string> uncompared; ///< comparisons left out for want of a clock
    std::string refused;                 ///< why nothing was run, if so
    std::size_t packets = 0;             ///< run
};

/// Loads the case's object afresh, runs its packets in order, compares. Pins the calling thread to one CPU
/// meanwhile, so that per-CPU values have one owner.
[[nodiscard]] CaseReport run_filter_case(const FilterCase& test, const std::filesystem::path& object_dir,
                                         const FilterEngine& engine);

/// The XDP programs of an object, by name. Throws std::runtime_error if libbpf cannot read it.
[[nodiscard]] std::vector<std::string> programs_of(const std::filesystem::path& object);

} // namespace xdplane::test
