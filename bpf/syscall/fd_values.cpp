// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
#include <array>

#include "bpf/maps/cpu_map.h"
#include "bpf/maps/dev_map.h"
#include "bpf/maps/perf_event_array.h"
#include "bpf/syscall/command.h"

/// MAP_UPDATE_ELEM for maps whose values have fds of other objects in them.
namespace xdplane {
namespace {

u32 key_of(const u8* key) {
    u32 index = 0;
    std::memcpy(&index, key, sizeof index);
    return index;
}

/// An XDP program loaded for maps of this kind; an error for anything else.
Result<std::shared_ptr<const Program>> map_program(i32 fd, u32 attach_type) {
    auto program = object_from_fd<const Program>(fd);
    if (!program) return program;
    const auto extras = extras_of(*program);
    if ((*program)->parts().type->type != BPF_PROG_TYPE_XDP || !extras ||
        extras->expected_attach_type != attach_type)
        return fail(EINVAL, "fd {} is no program for this map", fd);
    return program;
}

long store_perf_event(Map& map, const u8* key, const u8* value, u64 flags) {
    auto& array = static_cast<PerfEventArray&>(map);
    if (flags != BPF_ANY) return -EINVAL;
    if (key_of(key) >= map.spec().max_entries) return -E2BIG;
    auto event = object_from_fd<PerfEvent>(static_cast<i32>(key_of(value)));
    if (!event) return -EBADF;
    return array.set(key_of(key), std::move(*event), flags);
}

long store_device(Map& map, const u8* key, const u8* value, u64 flags) {
    auto& devices = static_cast<DevMap&>(map);
    const bool hashed = map.spec().type == BPF_MAP_TYPE_DEVMAP_HASH;
    bpf_devmap_val asked{};
    std::memcpy(&asked, value, map.spec().value_size);
    const u32 index = key_of(key);
    if (flags > BPF_EXIST) return -EINVAL;
    if (!hashed && index >= map.spec().max_entries) return -E2BIG;
    if (!hashed && flags == BPF_NOEXIST) return -EEXIST;
    if (asked.ifindex == 0)
        return hashed || asked.bpf_prog.fd > 0 ? -EINVAL : devices.set(index, nullptr, flags);

    auto target = std::make_unique<DevTarget>(index, asked.ifindex);
    if (asked.bpf_prog.fd > 0) {
        // What exists already is told before what is wrong with the program.
        if (hashed && flags == BPF_NOEXIST && devices.copy(index, &asked) == 0) return -EEXIST;
        auto program = map_program(asked.bpf_prog.fd, BPF_XDP_DEVMAP);
        if (!program) return -EINVAL;
        target->value.bpf_prog.id = (*program)->id;
        target->entry = &(*program)->entry();
        target->program = std::move(*program);
    }
    return devices.set(index, std::move(target), flags);
}

long store_cpu(Map& map, const u8* key, const u8* value, u64 flags) {
    auto& cpus = static_cast<CpuMap&>(map);
    bpf_cpumap_val asked{};
    std::memcpy(&asked, value, map.spec().value_size);
    const u32 cpu = key_of(key);
    if (const int error = cpus.check(cpu, asked, flags); error != 0) return error;
    std::unique_ptr<CpuTarget> target;
    if (asked.qsize != 0) {
        target = std::make_unique<CpuTarget>();
        target->value.qsize = asked.qsize;
        if (asked.bpf_prog.fd > 0) {
            auto program = map_program(asked.bpf_prog.fd, BPF_XDP_CPUMAP);
            if (!program) return -ENOMEM; // so says Linux, whatever is wrong with the fd
            target->value.bpf_prog.id = (*program)->id;
            target->entry = &(*program)->entry();
            target->program = std::move(*program);
        }
    }
    cpus.set(cpu, std::move(target));
    return 0;
}

constexpr std::array kRows = {
    FdValues{BPF_MAP_TYPE_PERF_EVENT_ARRAY, store_perf_event},
    FdValues{BPF_MAP_TYPE_DEVMAP, store_device},
    FdValues{BPF_MAP_TYPE_CPUMAP, store_cpu},
    FdValues{BPF_MAP_TYPE_DEVMAP_HASH, store_device},
};

} // namespace

const FdValues* find_fd_values(u32 type) {
    const auto row = std::ranges::find(kRows, type, &FdValues::type);
    return row == kRows.end() ? nullptr : &*row;
}

} // namespace xdplane
