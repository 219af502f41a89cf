// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
#include <array>
#include <fcntl.h>
#include <vector>

#include "bpf/base/ticks.h"
#include "bpf/syscall/command.h"

namespace xdplane {

namespace {

constexpr u32 kNoMoreIds = 0x7fffffff; // Linux refuses ids from here on

/// The caller's info structure: read under the rules of the tail, written back as far as it reaches.
template<class T>
class UserInfo {
public:
    explicit UserInfo(const Call& call) : call_(call), user_(user_pointer(call.attr.info.info)) {
        size_ = std::min<u32>(call.attr.info.info_len, sizeof(T));
    }
    [[nodiscard]] int read(T& info) const {
        if (user_ == nullptr && call_.attr.info.info_len != 0) return -EFAULT;
        if (call_.attr.info.info_len > 4096 || !tail_is_zero(user_, sizeof(T), call_.attr.info.info_len))
            return -E2BIG;
        std::memset(static_cast<void*>(&info), 0, sizeof info);
        if (size_ != 0) std::memcpy(static_cast<void*>(&info), user_, size_);
        return 0;
    }
    [[nodiscard]] long write(const T& info) const {
        if (size_ != 0) std::memcpy(user_, &info, size_);
        call_.put(offsetof(bpf_attr, info.info_len), size_);
        return 0;
    }

private:
    const Call& call_;
    u8* user_;
    u32 size_;
};

/// Fills a list that the caller made room for in elements of T; `count` is room in, number out.
template<class T, class Count>
void put_list(const std::vector<T>& list, u64 address, Count& count) {
    const std::size_t room = count;
    count = static_cast<Count>(list.size());
    if (address != 0 && room != 0 && !list.empty())
        std::memcpy(user_pointer(address), list.data(), std::min(room, list.size()) * sizeof(T));
}

void copy_name(char (&to)[BPF_OBJ_NAME_LEN], const std::string& name) {
    std::memset(to, 0, sizeof to);
    std::memcpy(to, name.data(), std::min(name.size(), sizeof to - 1));
}

long map_info(const Call& call, const Map& map) {
    const UserInfo<bpf_map_info> user(call);
    bpf_map_info info;
    if (const int error = user.read(info); error != 0) return error;
    std::memset(static_cast<void*>(&info), 0, sizeof info);
    const MapSpec& spec = map.spec();
    info.type = spec.type;
    info.id = map.id;
    info.key_size = spec.key_size;
    info.value_size = spec.value_size;
    info.max_entries = spec.max_entries;
    info.map_flags = spec.flags;
    info.map_extra = spec.map_extra;
    copy_name(info.name, spec.name);
    if (spec.btf) {
        info.btf_id = ObjectTable::instance().id_of(spec.btf.get());
        info.btf_key_type_id = spec.btf_key_type_id;
        info.btf_value_type_id = spec.btf_value_type_id;
    }
    return user.write(info);
}

long btf_info(const Call& call, const Btf& btf) {
    const UserInfo<bpf_btf_info> user(call);
    bpf_btf_info info;
    if (const int error = user.read(info); error != 0) return error;
    if ((info.name != 0) != (info.name_len != 0)) return -EINVAL;
    const auto bytes = btf.bytes();
    if (info.btf != 0)
        std::memcpy(user_pointer(info.btf), bytes.data(), std::min<std::size_t>(bytes.size(), info.btf_size));
    info.btf_size = static_cast<u32>(bytes.size());
    info.id = ObjectTable::instance().id_of(&btf);
    info.kernel_btf = 0;
    if (info.name != 0) *user_pointer(info.name) = 0;
    info.name_len = 0;
    return user.write(info);
}

long link_info(const Call& call, const Link& link) {
    const UserInfo<bpf_link_info> user(call);
    bpf_link_info info;
    if (const int error = user.read(info); error != 0) return error;
    std::memset(static_cast<void*>(&info), 0, sizeof info);
    const XdpHooks::LinkState state = XdpHooks::instance().state_of(link);
    info.type = BPF_LINK_TYPE_XDP;
    info.id = link.id;
    info.prog_id = state.program->id;
    info.xdp.ifindex = state.ifindex;
    return user.write(info);
}

/// A record size that the caller gives must be ours, or the count 0.
bool fix_record_size(u32& count, u32& size, u32 ours) {
    const bool good = (count == 0 && size == 0) || size == ours;
    size = ours;
    return good;
}

long program_info(const Call& call, const std::shared_ptr<const Program>& program) {
    const UserInfo<bpf_prog_info> user(call);
    bpf_prog_info info;
    if (const int error = user.read(info); error != 0) return error;
    const Program::Parts& parts = program->parts();
    const auto extras = extras_of(program);
    info.type = parts.type->type;
    info.id = program->id;
    std::memcpy(info.tag, parts.tag.data(), sizeof info.tag);
    copy_name(info.name, parts.name);
    info.load_time = parts.loaded_at_ns;
    info.gpl_compatible = parts.gpl_compatible ? 1 : 0;
    info.created_by_uid = extras ? extras->uid : 0;
    info.verified_insns = static_cast<u32>(std::min<u64>(parts.insns_processed, ~u32{0}));
    info.btf_id = ObjectTable::instance().id_of(parts.btf.get());

    std::vector<u32> map_ids;
    for (const auto& map : parts.maps) map_ids.push_back(map->id);
    if (extras) {
        const std::lock_guard guard(extras->lock);
        for (const auto& map : extras->bound) map_ids.push_back(map->id);
    }
    put_list(map_ids, info.map_ids, info.nr_map_ids);

    std::vector<u8> xlated(parts.insns.size() * sizeof(Insn));
    if (!xlated.empty()) std::memcpy(xlated.data(), parts.insns.data(), xlated.size());
    put_list(xlated, info.xlated_prog_insns, info.xlated_prog_len);
    put_list(parts.jited, info.jited_prog_insns, info.jited_prog_len);
    std::vector<u64> symbols;
    std::vector<u32> lengths;
    if (parts.jit) {
        symbols.push_back(reinterpret_cast<u64>(program->entry().tail_entry));
        lengths.push_back(static_cast<u32>(parts.jited.size()));
    }
    put_list(symbols, info.jited_ksyms, info.nr_jited_ksyms);
    put_list(lengths, info.jited_func_lens, info.nr_jited_func_lens);

    if (!fix_record_size(info.nr_func_info, info.func_info_rec_size, sizeof(bpf_func_info)) ||
        !fix_record_size(info.nr_line_info, info.line_info_rec_size, sizeof(bpf_line_info)) ||
        !fix_record_size(info.nr_jited_line_info, info.jited_line_info_rec_size, sizeof(u64)))
        return -EINVAL;
    put_list(extras ? extras->functions : std::vector<bpf_func_info>{}, info.func_info, info.nr_func_info);
    put_list(extras ? extras->lines : std::vector<bpf_line_info>{}, info.line_info, info.nr_line_info);
    put_list(std::vector<u64>{}, info.jited_line_info, info.nr_jited_line_info);
    put_list(std::vector<std::array<u8, BPF_TAG_SIZE>>{parts.tag}, info.prog_tags, info.nr_prog_tags);
    info.ifindex = 0;
    info.netns_dev = 0;
    info.netns_ino = 0;
    info.run_cnt = program->run_stats.runs.load(std::memory_order_relaxed);
    info.run_time_ns =
        static_cast<u64>(static_cast<double>(program->run_stats.ticks.load(std::memory_order_relaxed)) * 1e9 /
                         ticks_per_second());
    info.recursion_misses = 0;
    info.attach_btf_obj_id = 0;
    info.attach_btf_id = 0;
    return user.write(info);
}

long next_id(const Call& call, u32 (ObjectTable::*next)(u32)) {
    if (call.attr.start_id >= kNoMoreIds || call.attr.open_flags != 0) return -EINVAL;
    ObjectTable::instance().sweep();
    const u32 id = (ObjectTable::instance().*next)(call.attr.start_id);
    if (id == 0) return -ENOENT;
    call.put(offsetof(bpf_attr, next_id), id);
    return 0;
}

template<class T>
long open_by_id(const std::shared_ptr<T>& object, int access) {
    return object ? ObjectTable::instance().open(object, access) : -ENOENT;
}

} // namespace

long obj_get_info_by_fd(Call& call) {
    const auto fd = static_cast<int>(call.attr.info.bpf_fd);
    const ObjectRef object = ObjectTable::instance().find(fd);
    if (const auto* map = std::get_if<std::shared_ptr<Map>>(&object)) return map_info(call, **map);
    if (const auto* program = std::get_if<std::shared_ptr<const Program>>(&object))
        return program_info(call, *program);
    if (const auto* btf = std::get_if<std::shared_ptr<const Btf>>(&object)) return btf_info(call, **btf);
    if (const auto* link = std::get_if<std::shared_ptr<Link>>(&object)) return link_info(call, **link);
    return is_open(fd) ? -EINVAL : -EBADFD;
}

long prog_get_next_id(Call& call) { return next_id(call, &ObjectTable::next_program_id); }
long map_get_next_id(Call& call) { return next_id(call, &ObjectTable::next_map_id); }
long btf_get_next_id(Call& call) { return next_id(call, &ObjectTable::next_btf_id); }
long link_get_next_id(Call& call) { return next_id(call, &ObjectTable::next_link_id); }

long prog_get_fd_by_id(Call& call) {
    ObjectTable::instance().sweep();
    return open_by_id(ObjectTable::instance().program_by_id(call.attr.prog_id), O_RDWR);
}

long map_get_fd_by_id(Call& call) {
    constexpr u32 kModes = BPF_F_RDONLY | BPF_F_WRONLY;
    const u32 flags = call.attr.open_flags;
    if ((flags & ~kModes) != 0 || flags == kModes) return -EINVAL;
    ObjectTable::instance().sweep();
    return open_by_id(ObjectTable::instance().map_by_id(call.attr.map_id), flags == BPF_F_RDONLY   ? O_RDONLY
                                                                           : flags == BPF_F_WRONLY ? O_WRONLY
                                                                                                   : O_RDWR);
}

long btf_get_fd_by_id(Call& call) {
    ObjectTable::instance().sweep();
    return open_by_id(ObjectTable::instance().btf_by_id(call.attr.btf_id), O_RDWR);
}

long link_get_fd_by_id(Call& call) {
    ObjectTable::instance().sweep();
    return open_by_id(ObjectTable::instance().link_by_id(call.attr.link_id), O_RDWR);
}

} // namespace xdplane
