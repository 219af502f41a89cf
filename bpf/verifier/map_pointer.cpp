// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
#include <algorithm>
#include <array>
#include <cerrno>
#include <linux/bpf.h>

#include "bpf/verifier/simulation.h"

/// Loads and stores through a pointer to a map itself. On Linux there is a structure to read, which the
/// messages name; here there is none.
namespace xdplane {
namespace {

struct MapStructure {
    u32 map_type;
    const char* name;
};
constexpr std::array kStructures = {
    MapStructure{BPF_MAP_TYPE_ARRAY, "bpf_array"},
    MapStructure{BPF_MAP_TYPE_PERCPU_ARRAY, "bpf_array"},
    MapStructure{BPF_MAP_TYPE_PROG_ARRAY, "bpf_array"},
    MapStructure{BPF_MAP_TYPE_PERF_EVENT_ARRAY, "bpf_array"},
    MapStructure{BPF_MAP_TYPE_CGROUP_ARRAY, "bpf_array"},
    MapStructure{BPF_MAP_TYPE_ARRAY_OF_MAPS, "bpf_array"},
    MapStructure{BPF_MAP_TYPE_LPM_TRIE, "lpm_trie"},
    MapStructure{BPF_MAP_TYPE_STACK_TRACE, "bpf_stack_map"},
    MapStructure{BPF_MAP_TYPE_CGROUP_STORAGE, "bpf_cgroup_storage_map"},
    MapStructure{BPF_MAP_TYPE_PERCPU_CGROUP_STORAGE, "bpf_cgroup_storage_map"},
    MapStructure{BPF_MAP_TYPE_QUEUE, "bpf_queue_stack"},
    MapStructure{BPF_MAP_TYPE_STACK, "bpf_queue_stack"},
    MapStructure{BPF_MAP_TYPE_BLOOM_FILTER, "bpf_bloom_filter"},
    MapStructure{BPF_MAP_TYPE_RINGBUF, "bpf_ringbuf_map"},
    MapStructure{BPF_MAP_TYPE_USER_RINGBUF, "bpf_ringbuf_map"},
    MapStructure{BPF_MAP_TYPE_DEVMAP, "bpf_dtab"},
    MapStructure{BPF_MAP_TYPE_DEVMAP_HASH, "bpf_dtab"},
    MapStructure{BPF_MAP_TYPE_CPUMAP, "bpf_cpu_map"},
    MapStructure{BPF_MAP_TYPE_XSKMAP, "xsk_map"},
    MapStructure{BPF_MAP_TYPE_SOCKMAP, "bpf_stab"},
    MapStructure{BPF_MAP_TYPE_SOCKHASH, "bpf_shtab"},
    MapStructure{BPF_MAP_TYPE_REUSEPORT_SOCKARRAY, "reuseport_array"},
    MapStructure{BPF_MAP_TYPE_SK_STORAGE, "bpf_local_storage_map"},
};

const char* structure_of(const Map& map) {
    const auto row = std::ranges::find(kStructures, map.spec().type, &MapStructure::map_type);
    return row == kStructures.end() ? "bpf_htab" : row->name; // the hashes
}

} // namespace

bool Verifier::reject_map_pointer(const Access& access) {
    const RegState& r = reg(access.reg);
    const char* structure = structure_of(*r.map);
    if (!privileged())
        return reject(EPERM, "'struct {}' access is allowed only to CAP_PERFMON and CAP_SYS_ADMIN",
                      structure);
    if (access.write) return reject(EACCES, "only read from {} is supported", structure);
    return reject(EACCES, "R{} invalid mem access '{}'", access.reg, kind_name(r));
}

} // namespace xdplane
