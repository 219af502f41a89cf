// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
#include <array>
#include <cinttypes>
#include <cstdio>
#include <fcntl.h>
#include <memory>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#include <vector>

#include "bpf/syscall/bpf_system.h"
#include "bpf/syscall/command.h"
#include "bpf/syscall/map_values.h"

namespace xdplane {

namespace {

/// Types that Linux takes no BTF for (libbpf then asks without).
constexpr std::array<u32, 9> kWithoutBtf = {
    BPF_MAP_TYPE_PERF_EVENT_ARRAY, BPF_MAP_TYPE_ARRAY_OF_MAPS, BPF_MAP_TYPE_HASH_OF_MAPS,
    BPF_MAP_TYPE_DEVMAP,           BPF_MAP_TYPE_DEVMAP_HASH,   BPF_MAP_TYPE_CPUMAP,
    BPF_MAP_TYPE_XSKMAP,           BPF_MAP_TYPE_SOCKMAP,       BPF_MAP_TYPE_SOCKHASH};

Result<> check_array_btf(const MapSpec& spec, bool keyless) {
    const Btf& btf = *spec.btf;
    if (keyless) {
        // .data, .rodata, .bss: one value, described by a section.
        if (spec.type != BPF_MAP_TYPE_ARRAY || spec.max_entries != 1 ||
            btf.kind(spec.btf_value_type_id) != BtfKind::datasec)
            return fail(EINVAL, "BTF without a key type is for global data only");
        return {};
    }
    const u32 key = btf.resolve(spec.btf_key_type_id);
    if (btf.kind(key) != BtfKind::int_ || btf.integer(key).bits != 32 || btf.integer(key).offset != 0)
        return fail(EINVAL, "BTF key type of an array is not a 32-bit integer");
    return {};
}

bool is_integer(const Btf& btf, u32 type, u32 bits) {
    const u32 number = btf.resolve(type);
    return btf.kind(number) == BtfKind::int_ && btf.integer(number).bits == bits &&
           btf.integer(number).offset == 0 && btf.size_of(number) == bits / 8;
}

/// The id of a cgroup, or struct bpf_cgroup_storage_key.
Result<> check_storage_btf(const MapSpec& spec) {
    const Btf& btf = *spec.btf;
    bool good = is_integer(btf, spec.btf_key_type_id, 64);
    if (spec.key_size == sizeof(bpf_cgroup_storage_key)) {
        const u32 key = btf.resolve(spec.btf_key_type_id);
        const auto members = btf.members(key);
        good = btf.kind(key) == BtfKind::struct_ && members.size() == 2 &&
               is_integer(btf, members[0].type, 64) && members[0].bit_offset == 0 &&
               is_integer(btf, members[1].type, 32) && members[1].bit_offset == 64;
    }
    if (!good) return fail(EINVAL, "BTF key type of a cgroup storage is not that of its keys");
    return {};
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
    if (map.ops().without_btf || std::ranges::find(kWithoutBtf, spec.type) != kWithoutBtf.end())
        return fail(kNotSupported, "a map of this type has no BTF types");
    if (spec.type == BPF_MAP_TYPE_ARRAY || spec.type == BPF_MAP_TYPE_PERCPU_ARRAY ||
        spec.type == BPF_MAP_TYPE_SK_STORAGE)
        return check_array_btf(spec, keyless);
    if (spec.type == BPF_MAP_TYPE_BLOOM_FILTER) {
        if (!keyless) return fail(EINVAL, "a bloom filter has no BTF key type");
        return {};
    }
    if (keyless) return fail(EINVAL, "BTF key type is missing");
    if (spec.type == BPF_MAP_TYPE_CGROUP_STORAGE || spec.type == BPF_MAP_TYPE_PERCPU_CGROUP_STORAGE)
        return check_storage_btf(spec);
    if (spec.type == BPF_MAP_TYPE_LPM_TRIE && btf.kind(btf.resolve(spec.btf_key_type_id)) != BtfKind::struct_)
        return fail(EINVAL, "BTF key type of a trie is not a struct");
    return {};
}

/// Writable mappings of a map's memory that are not the map's own.
bool has_writable_mapping(const Map& map) {
    struct stat st{};
    if (map.storage_fd() < 0 || ::fstat(map.storage_fd(), &st) != 0) return false;
    const std::unique_ptr<std::FILE, int (*)(std::FILE*)> maps(std::fopen("/proc/self/maps", "re"),
                                                               &std::fclose);
    if (!maps) return false;
    const auto own = map.own_pages();
    char line[512];
    while (std::fgets(line, sizeof line, maps.get()) != nullptr) {
        u64 begin = 0;
        u64 end = 0;
        u64 inode = 0;
        char modes[5] = {};
        if (std::sscanf(line, "%" SCNx64 "-%" SCNx64 " %4s %*x %*x:%*x %" SCNu64, &begin, &end, modes,
                        &inode) != 4)
            continue;
        const auto first = reinterpret_cast<u64>(own.data());
        const bool ours = begin >= first && end <= first + own.size();
        if (inode == st.st_ino && modes[1] == 'w' && modes[3] == 's' && !ours) return true;
    }
    return false;
}

bool node_online(u32 node) {
    return node == ~u32{0} || node == 0 ||
           ::access(fmt::format("/sys/devices/system/node/node{}", node).c_str(), F_OK) == 0;
}

} // namespace

long map_create(Call& call) {
    const bpf_attr& a = call.attr;
    constexpr u32 kModes = BPF_F_RDONLY | BPF_F_WRONLY;
    if (a.btf_vmlinux_value_type_id != 0) return -EINVAL; // struct_ops only
    if (a.btf_key_type_id != 0 && a.btf_value_type_id == 0) return -EINVAL;
    if (a.map_type != BPF_MAP_TYPE_BLOOM_FILTER && a.map_extra != 0) return -EINVAL;
    if ((a.map_flags & kModes) == kModes) return -EINVAL;
    if ((a.map_flags & BPF_F_NUMA_NODE) != 0 && !node_online(a.numa_node)) return -EINVAL;
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
                 .btf = nullptr,
                 .map_extra = a.map_extra,
                 .numa_node = a.numa_node};
    if (a.map_type == BPF_MAP_TYPE_ARRAY_OF_MAPS || a.map_type == BPF_MAP_TYPE_HASH_OF_MAPS) {
        auto inner = object_from_fd<Map>(static_cast<i32>(a.inner_map_fd));
        if (inner)
            spec.inner = std::move(*inner);
        else
            spec.inner_error = inner.error().code;
    }
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
    const auto t = map_access(a.map_fd);
    if (!t) return -t.error().code;
    if (!t->read) return -EPERM;
    if (lacks_lock(*t->map, a.flags)) return -EINVAL;
    const auto key = copy_in(a.key, t->map->spec().key_size);
    if (!key) return -key.error().code;
    std::vector<u8> value(t->map->syscall_value_size());
    const bool asks = t->map->spec().type == BPF_MAP_TYPE_BLOOM_FILTER;
    if (asks) {
        // The value is the question; the error is the answer.
        auto given = copy_in(a.value, t->map->spec().value_size);
        if (!given) return -given.error().code;
        value = std::move(*given);
    }
    if (const int error = load_value(*t->map, key->data(), value.data(), a.flags); error != 0 || asks)
        return error;
    if (a.value == 0) return -EFAULT;
    std::memcpy(user_pointer(a.value), value.data(), value.size());
    return 0;
}

long map_update_elem(Call& call) {
    const bpf_attr& a = call.attr;
    const auto t = map_access(a.map_fd);
    if (!t) return -t.error().code;
    if (!t->write) return -EPERM;
    if (lacks_lock(*t->map, a.flags)) return -EINVAL;
    const auto key = copy_in(a.key, t->map->spec().key_size);
    if (!key) return -key.error().code;
    const u32 value_size = t->map->syscall_value_size();
    if (a.value == 0 && value_size != 0) return -EFAULT;
    const auto value = copy_in(value_size != 0 ? a.value : 0, value_size);
    if (!value) return -value.error().code;
    return store_value(*t->map, key->data(), value->data(), a.flags);
}

long map_delete_elem(Call& call) {
    const auto t = map_access(call.attr.map_fd);
    if (!t) return -t.error().code;
    if (!t->write) return -EPERM;
    const auto key = copy_in(call.attr.key, t->map->spec().key_size);
    if (!key) return -key.error().code;
    return erase_value(*t->map, key->data());
}

long map_get_next_key(Call& call) {
    const bpf_attr& a = call.attr;
    const auto t = map_access(a.map_fd);
    if (!t) return -t.error().code;
    if (!t->read) return -EPERM;
    const u32 size = t->map->spec().key_size;
    std::vector<u8> key;
    if (a.key != 0) {
        auto copy = copy_in(a.key, size);
        if (!copy) return -copy.error().code;
        key = std::move(*copy);
    }
    std::vector<u8> next(size);
    if (const int error = next_key(*t->map, a.key != 0 ? key.data() : nullptr, next.data()); error != 0)
        return error;
    if (a.next_key == 0) return -EFAULT;
    std::memcpy(user_pointer(a.next_key), next.data(), next.size());
    return 0;
}

long map_lookup_and_delete_elem(Call& call) {
    const bpf_attr& a = call.attr;
    if ((a.flags & ~u64{BPF_F_LOCK}) != 0) return -EINVAL;
    const auto t = map_access(a.map_fd);
    if (!t) return -t.error().code;
    if (!t->read || !t->write) return -EPERM;
    if (lacks_lock(*t->map, a.flags)) return -EINVAL;
    const auto key = copy_in(a.key, t->map->spec().key_size);
    if (!key) return -key.error().code;
    const MapOps& ops = t->map->ops();
    if (t->map->spec().type == BPF_MAP_TYPE_STACK_TRACE) return -ENOENT; // there never is one
    if (ops.take_value == nullptr) return -kNotSupported;
    std::vector<u8> value(t->map->syscall_value_size());
    if (const int error = ops.take_value(*t->map, key->data(), value.data(), a.flags); error != 0)
        return error;
    if (a.value == 0) return -EFAULT;
    std::memcpy(user_pointer(a.value), value.data(), value.size());
    return 0;
}

long map_freeze(Call& call) {
    const auto t = map_access(call.attr.map_fd);
    if (!t) return -t.error().code;
    if (!t->write) return -EPERM; // frozen already, too
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
