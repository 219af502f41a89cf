// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
#include "bpf/syscall/map_values.h"

#include <fcntl.h>

#include "bpf/maps/map_of_maps.h"
#include "bpf/maps/prog_array.h"
#include "bpf/syscall/command.h"

namespace xdplane {
namespace {

ProgArray* as_prog_array(Map& map) {
    return map.spec().type == BPF_MAP_TYPE_PROG_ARRAY ? dynamic_cast<ProgArray*>(&map) : nullptr;
}

u32 number(const u8* bytes) {
    u32 value;
    std::memcpy(&value, bytes, sizeof value);
    return value;
}

int store_program(ProgArray& array, u32 index, u32 fd, u64 flags) {
    if (flags != BPF_ANY) return -EINVAL;
    if (index >= array.count()) return -E2BIG;
    auto program = object_from_fd<const Program>(static_cast<i32>(fd));
    if (!program) return -program.error().code;
    if (!array.compatible({(*program)->parts().type->type, (*program)->parts().jit})) return -EINVAL;
    return array.set(index, std::move(*program));
}

} // namespace

Result<MapAccess> map_access(u32 fd) {
    int mode = O_RDWR;
    auto map = object_from_fd<Map>(static_cast<i32>(fd), &mode);
    if (!map) return fail(std::move(map.error()));
    const bool frozen = (*map)->frozen();
    return MapAccess{std::move(*map), mode != O_WRONLY, mode != O_RDONLY && !frozen};
}

Result<std::vector<u8>> copy_in(u64 address, u32 size) {
    if (size == 0) {
        if (address != 0) return fail(EINVAL, "key given where there is none");
        return std::vector<u8>{};
    }
    if (address == 0) return fail(EFAULT, "null pointer");
    const u8* from = user_pointer<const u8>(address);
    return std::vector<u8>(from, from + size);
}

bool lacks_lock(const Map& map, u64 flags) {
    return (flags & BPF_F_LOCK) != 0 && map.spec().record.spin_lock < 0;
}

int load_value(Map& map, const u8* key, u8* value, u64 flags) {
    if (ProgArray* array = as_prog_array(map)) {
        const auto program = array->get(number(key));
        if (!program) return -ENOENT;
        std::memcpy(value, &program->id, sizeof program->id);
        return 0;
    }
    return map.ops().copy_value ? map.ops().copy_value(map, key, value, flags) : -kNotSupported;
}

int store_value(Map& map, const u8* key, const u8* value, u64 flags) {
    if (ProgArray* array = as_prog_array(map))
        return store_program(*array, number(key), number(value), flags);
    if (is_map_of_maps(map))
        return set_inner_map(map, key, object_from_fd<Map>(static_cast<i32>(number(value))), flags);
    if (const FdValues* row = find_fd_values(map.spec().type))
        return static_cast<int>(row->store(map, key, value, flags));
    return map.ops().store_value ? map.ops().store_value(map, key, value, flags) : -kNotSupported;
}

int erase_value(Map& map, const u8* key) {
    return map.ops().erase ? map.ops().erase(map, key) : -kNotSupported;
}

int next_key(Map& map, const u8* key, u8* next) {
    return map.ops().next_key ? map.ops().next_key(map, key, next) : -kNotSupported;
}

} // namespace xdplane
