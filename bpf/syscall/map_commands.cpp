// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
#include <cinttypes>
#include <cstdio>
#include <fcntl.h>
#include <memory>
#include <sys/mman.h>
#include <sys/stat.h>
#include <vector>

#include "bpf/maps/prog_array.h"
#include "bpf/syscall/bpf_system.h"
#include "bpf/syscall/command.h"

namespace xdplane {

namespace {

struct Access {
    bool read;
    bool write;
};

/// What the caller may do with a map: the fd's mode, and no writes once it is frozen.
Access access_of(const Map& map, int mode) { return {mode != O_WRONLY, mode != O_RDONLY && !map.frozen()}; }

struct Target {
    std::shared_ptr<Map> map;
    Access access;
};

Result<Target> target(u32 fd) {
    int mode = O_RDWR;
    auto map = object_from_fd<Map>(static_cast<i32>(fd), &mode);
    if (!map) return fail(std::move(map.error()));
    const Access access = access_of(**map, mode);
    return Target{std::move(*map), access};
}

ProgArray* as_prog_array(Map& map) {
    return map.spec().type == BPF_MAP_TYPE_PROG_ARRAY ? dynamic_cast<ProgArray*>(&map) : nullptr;
}

/// A key or value that the caller hands over: a copy, since other threads may write to it meanwhile.
/// Maps without keys (queues) take none.
Result<std::vector<u8>> copy_in(u64 address, u32 size) {
    if (size == 0) {
        if (address != 0) return fail(EINVAL, "key given where there is none");
        return std::vector<u8>{};
    }
    if (address == 0) return fail(EFAULT, "null pointer");
    const u8* from = user_pointer<const u8>(address);
    return std::vector<u8>(from, from + size);
}

u32 index_of(const std::vector<u8>& key) {
    u32 index = 0;
    std::memcpy(&index, key.data(), std::min(key.size(), sizeof index));
    return index;
}

/// Linux's order: the type's own checks first, then what BTF says of key and value.
Result<> check_btf(const Map& map) {
    const MapSpec& spec = map.spec();
    const Btf& btf = *spec.btf;
    if (spec.btf_value_type_id == 0) return {};
    const bool keyless = spec.btf_key_type_id == 0;
    if (!keyless && btf.size_of(spec.btf_key_type_id) != spec.key_size)
        return fail(EINVAL, "BTF key type does not have the size of the key");
    if (btf.size_of(spec.btf_value_type_id) != spec.value_size)
        return fail(EINVAL, "BTF value type does not have the size of the value");
    const bool array = spec.type == BPF_MAP_TYPE_ARRAY || spec.type == BPF_MAP_TYPE_PERCPU_ARRAY;
    if (array && keyless) {
        // .data, .rodata, .bss: one value, described by a section.
        if (spec.type != BPF_MAP_TYPE_ARRAY || spec.max_entries != 1 ||
            btf.kind(spec.btf_value_type_id) != BtfKind::datasec)
            return fail(EINVAL, "BTF without a key type is for global data only");
        return {};
    }
    if (keyless) return fail(EINVAL, "BTF key type is missing");
    if (array) {
        const u32 key = btf.resolve(spec.btf_key_type_id);
        if (btf.kind(key) != BtfKind::int_ || btf.integer(key).bits != 32 || btf.integer(key).offset != 0)
            return fail(EINVAL, "BTF key type of an array is not a 32-bit integer");
    } else if (spec.type == BPF_MAP_TYPE_PROG_ARRAY) {
        return fail(kNotSupported, "a program array has no BTF types");
    }
    return {};
}

/// Writable mappings of a map's memory that are not the map's own.
bool has_writable_mapping(const Map& map) {
    struct stat st{};
    if (map.storage_fd() < 0 || ::fstat(map.storage_fd(), &st) != 0) return false;
    const std::unique_ptr<std::FILE, int (*)(std::FILE*)> maps(std::fopen("/proc/self/maps", "re"),
                                                               &std::fclose);
    if (!maps) return false;
    const u8* own = map.ops().direct_value ? map.ops().direct_value(const_cast<Map&>(map)) : nullptr;
    char line[512];
    while (std::fgets(line, sizeof line, maps.get()) != nullptr) {
        u64 begin = 0;
        u64 end = 0;
        u64 inode = 0;
        char modes[5] = {};
        if (std::sscanf(line, "%" SCNx64 "-%" SCNx64 " %4s %*x %*x:%*x %" SCNu64, &begin, &end, modes,
                        &inode) != 4)
            continue;
        const auto address = reinterpret_cast<u64>(own);
        if (inode == st.st_ino && modes[1] == 'w' && modes[3] == 's' && !(address >= begin && address < end))
            return true;
    }
    return false;
}

long update_prog_array(ProgArray& array, u32 index, const std::vector<u8>& value, u64 flags) {
    if (flags != BPF_ANY) return -EINVAL;
    if (index >= array.count()) return -E2BIG;
    auto program = object_from_fd<const Program>(static_cast<i32>(index_of(value)));
    if (!program) return -program.error().code;
    if (!array.compatible({(*program)->parts().type->type, (*program)->parts().jit})) return -EINVAL;
    return array.set(index, std::move(*program));
}

int lookup_value(Map& map, const std::vector<u8>& key, void* value, u64 flags) {
    if (ProgArray* array = as_prog_array(map)) {
        const auto program = array->get(index_of(key));
        if (!program) return -ENOENT;
        std::memcpy(value, &program->id, sizeof program->id);
        return 0;
    }
    return map.ops().copy_value ? map.ops().copy_value(map, key.data(), value, flags) : -kNotSupported;
}

} // namespace

long map_create(Call& call) {
    const bpf_attr& a = call.attr;
    constexpr u32 kModes = BPF_F_RDONLY | BPF_F_WRONLY;
    if (a.btf_vmlinux_value_type_id != 0) return -EINVAL; // struct_ops only
    if (a.btf_key_type_id != 0 && a.btf_value_type_id == 0) return -EINVAL;
    if (a.map_type != BPF_MAP_TYPE_BLOOM_FILTER && a.map_extra != 0) return -EINVAL;
    if ((a.map_flags & kModes) == kModes) return -EINVAL;
    if ((a.map_flags & BPF_F_NUMA_NODE) != 0 && a.numa_node != ~u32{0} && a.numa_node != 0) return -EINVAL;
    if (a.map_ifindex != 0) return -EINVAL; // no hardware to offload to
    const auto name = object_name(a.map_name);
    MapSpec spec{.type = a.map_type,
                 .key_size = a.key_size,
                 .value_size = a.value_size,
                 .max_entries = a.max_entries,
                 .flags = a.map_flags,
                 .name = name.value_or(""),
                 .btf_key_type_id = a.btf_key_type_id,
                 .btf_value_type_id = a.btf_value_type_id,
                 .btf = nullptr};
    Result<std::shared_ptr<const Btf>> btf;
    if (a.btf_value_type_id != 0) {
        btf = object_from_fd<const Btf>(static_cast<i32>(a.btf_fd));
        if (btf) spec.btf = *btf;
    }
    const auto map = create_map(std::move(spec));
    if (!map) return -map.error().code;
    if (!name) return -name.error().code;
    if (!btf) return -btf.error().code;
    if (*btf) {
        if (const auto good = check_btf(**map); !good) return -good.error().code;
    }
    ObjectTable::instance().add(*map);
    const u32 mode = a.map_flags & kModes;
    return ObjectTable::instance().open(*map, mode == BPF_F_RDONLY   ? O_RDONLY
                                              : mode == BPF_F_WRONLY ? O_WRONLY
                                                                     : O_RDWR);
}

long map_lookup_elem(Call& call) {
    const bpf_attr& a = call.attr;
    if ((a.flags & ~u64{BPF_F_LOCK}) != 0) return -EINVAL;
    const auto t = target(a.map_fd);
    if (!t) return -t.error().code;
    if (!t->access.read) return -EPERM;
    if ((a.flags & BPF_F_LOCK) != 0) return -EINVAL; // no map has a lock in its values
    const auto key = copy_in(a.key, t->map->spec().key_size);
    if (!key) return -key.error().code;
    std::vector<u8> value(t->map->syscall_value_size());
    if (const int error = lookup_value(*t->map, *key, value.data(), a.flags); error != 0) return error;
    if (a.value == 0) return -EFAULT;
    std::memcpy(user_pointer(a.value), value.data(), value.size());
    return 0;
}

long map_update_elem(Call& call) {
    const bpf_attr& a = call.attr;
    const auto t = target(a.map_fd);
    if (!t) return -t.error().code;
    if (!t->access.write) return -EPERM;
    if ((a.flags & BPF_F_LOCK) != 0) return -EINVAL;
    const auto key = copy_in(a.key, t->map->spec().key_size);
    if (!key) return -key.error().code;
    if (a.value == 0) return -EFAULT;
    const auto value = copy_in(a.value, t->map->syscall_value_size());
    if (!value) return -value.error().code;
    if (ProgArray* array = as_prog_array(*t->map))
        return update_prog_array(*array, index_of(*key), *value, a.flags);
    const MapOps& ops = t->map->ops();
    return ops.store_value ? ops.store_value(*t->map, key->data(), value->data(), a.flags) : -kNotSupported;
}

long map_delete_elem(Call& call) {
    const auto t = target(call.attr.map_fd);
    if (!t) return -t.error().code;
    if (!t->access.write) return -EPERM;
    const auto key = copy_in(call.attr.key, t->map->spec().key_size);
    if (!key) return -key.error().code;
    if (ProgArray* array = as_prog_array(*t->map)) return array->erase(index_of(*key));
    const MapOps& ops = t->map->ops();
    return ops.erase ? ops.erase(*t->map, key->data()) : -kNotSupported;
}

long map_get_next_key(Call& call) {
    const bpf_attr& a = call.attr;
    const auto t = target(a.map_fd);
    if (!t) return -t.error().code;
    if (!t->access.read) return -EPERM;
    const u32 size = t->map->spec().key_size;
    std::vector<u8> key;
    if (a.key != 0) {
        auto copy = copy_in(a.key, size);
        if (!copy) return -copy.error().code;
        key = std::move(*copy);
    }
    const MapOps& ops = t->map->ops();
    if (ops.next_key == nullptr) return -kNotSupported;
    std::vector<u8> next(size);
    if (const int error = ops.next_key(*t->map, a.key != 0 ? key.data() : nullptr, next.data()); error != 0)
        return error;
    if (a.next_key == 0) return -EFAULT;
    std::memcpy(user_pointer(a.next_key), next.data(), next.size());
    return 0;
}

long map_lookup_and_delete_elem(Call& call) {
    const bpf_attr& a = call.attr;
    if ((a.flags & ~u64{BPF_F_LOCK}) != 0) return -EINVAL;
    const auto t = target(a.map_fd);
    if (!t) return -t.error().code;
    if (!t->access.read || !t->access.write) return -EPERM;
    if ((a.flags & BPF_F_LOCK) != 0) return -EINVAL;
    const auto key = copy_in(a.key, t->map->spec().key_size);
    if (!key) return -key.error().code;
    const MapOps& ops = t->map->ops();
    const u32 type = t->map->spec().type;
    const bool hash = type == BPF_MAP_TYPE_HASH || type == BPF_MAP_TYPE_PERCPU_HASH ||
                      type == BPF_MAP_TYPE_LRU_HASH || type == BPF_MAP_TYPE_LRU_PERCPU_HASH;
    if (!hash || ops.copy_value == nullptr || ops.erase == nullptr) return -kNotSupported;
    std::vector<u8> value(t->map->syscall_value_size());
    if (const int error = ops.copy_value(*t->map, key->data(), value.data(), 0); error != 0) return error;
    if (const int error = ops.erase(*t->map, key->data()); error != 0) return error;
    if (a.value == 0) return -EFAULT;
    std::memcpy(user_pointer(a.value), value.data(), value.size());
    return 0;
}

long map_freeze(Call& call) {
    const auto t = target(call.attr.map_fd);
    if (!t) return -t.error().code;
    if (!t->access.write) return -EPERM; // frozen already, too
    if (has_writable_mapping(*t->map)) return -EBUSY;
    t->map->freeze();
    return 0;
}

int check_object_mmap(int fd, int protection, int flags) {
    int mode = O_RDWR;
    const ObjectRef ref = ObjectTable::instance().find(fd, &mode);
    if (std::holds_alternative<std::monostate>(ref)) return 1;
    const auto* map = std::get_if<std::shared_ptr<Map>>(&ref);
    if (map == nullptr) return -ENODEV;
    if ((*map)->storage_fd() < 0) return -kNotSupported;
    if ((flags & MAP_SHARED) == 0) return -EINVAL;
    if ((protection & PROT_WRITE) == 0) return 0;
    if ((*map)->frozen()) return -EPERM;
    return ((*map)->spec().flags & BPF_F_RDONLY_PROG) != 0 ? -EACCES : 0;
}

} // namespace xdplane
