// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
#include <algorithm>
#include <array>
#include <linux/bpf.h>

#include "bpf/prog/rows.h"

namespace xdplane {
namespace {

/// A type that libbpf's feature probes load (`r0 = constant; exit`, or a call of one helper) and that nothing
/// here attaches: no context, common helpers only.
constexpr ProgramType probe_only(u32 type, std::string_view name, i64 return_min = kAnyReturnMin,
                                 i64 return_max = kAnyReturnMax) {
    return {.type = type,
            .name = name,
            .use_bit = kUseProbe,
            .ctx = {},
            .ctx_size = 0,
            .packet_access = false,
            .packet_write = false,
            .legacy_loads = false,
            .return_min = return_min,
            .return_max = return_max,
            .loadable = true};
}

} // namespace

std::span<const ProgramType> program_types() {
    // Ordered by type.
    static const std::array types = {
        kSocketFilterType,
        probe_only(BPF_PROG_TYPE_KPROBE, "kprobe"),
        kSchedClsType,
        kSchedActType,
        probe_only(BPF_PROG_TYPE_TRACEPOINT, "tracepoint"),
        kXdpType,
        kXdpDevmapType,
        kCgroupSkbType,
        kCgroupSkbEgressType,
        probe_only(BPF_PROG_TYPE_CGROUP_SOCK, "cgroup_sock", 0, 1),
    };
    return types;
}

const ProgramType* find_program_type(u32 type, u32 expected_attach_type) {
    const ProgramType* found = nullptr;
    for (const ProgramType& row : program_types())
        if (row.type == type && row.attach_type.value_or(expected_attach_type) == expected_attach_type)
            found = &row;
    return found;
}

bool ProgramType::allows_attach_type(u32 expected_attach_type) const {
    return attach_types.empty() ||
           std::ranges::find(attach_types, expected_attach_type) != attach_types.end();
}

const CtxField* ProgramType::find_field(i64 off, u32 size, bool write) const {
    if (size == 0 || size > 8 || (size & (size - 1)) != 0 || off < 0 || off % size != 0) return nullptr;
    for (const CtxField& field : ctx) {
        if (!field.covers(off, size)) continue;
        if (write && !field.writable) return nullptr;
        const bool whole = (off - field.begin) % field.unit == 0 && size == field.unit;
        const bool narrow = !write && field.narrow_allowed && size < field.unit;
        return field.bytes || whole || narrow ? &field : nullptr;
    }
    return nullptr;
}

} // namespace xdplane
