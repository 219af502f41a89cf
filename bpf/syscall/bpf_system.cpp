// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
#include "bpf/syscall/bpf_system.h"

#include <array>
#include <atomic>
#include <fcntl.h>
#include <new>
#include <sys/stat.h>
#include <unistd.h>

#include "bpf/jit/backend.h"
#include "bpf/syscall/command.h"

namespace xdplane {

namespace {

/// Bytes of the union up to and with a field.
#define XDPLANE_UP_TO(field) (offsetof(bpf_attr, field) + sizeof(bpf_attr::field))

struct Command {
    u32 command;
    const char* name;
    CommandFn run;
    u32 known; ///< bytes of the attributes that mean something; the rest must be zero
};
/// Behind uprobe_multi.pid of LINK_CREATE, which headers of some systems do not have.
constexpr u32 kLinkCreateEnd = 60;

constexpr std::array kCommands = {
    Command{BPF_MAP_CREATE, "map_create", map_create, XDPLANE_UP_TO(map_extra)},
    Command{BPF_MAP_LOOKUP_ELEM, "map_lookup_elem", map_lookup_elem, XDPLANE_UP_TO(flags)},
    Command{BPF_MAP_UPDATE_ELEM, "map_update_elem", map_update_elem, XDPLANE_UP_TO(flags)},
    Command{BPF_MAP_DELETE_ELEM, "map_delete_elem", map_delete_elem, XDPLANE_UP_TO(key)},
    Command{BPF_MAP_GET_NEXT_KEY, "map_get_next_key", map_get_next_key, XDPLANE_UP_TO(next_key)},
    // log_true_size follows: what an earlier call put there is no question.
    Command{BPF_PROG_LOAD, "prog_load", prog_load, XDPLANE_UP_TO(core_relo_rec_size) + sizeof(u32)},
    Command{BPF_OBJ_PIN, "obj_pin", obj_pin, XDPLANE_UP_TO(file_flags)},
    Command{BPF_OBJ_GET, "obj_get", obj_get, XDPLANE_UP_TO(file_flags)},
    Command{BPF_PROG_ATTACH, "prog_attach", prog_attach, XDPLANE_UP_TO(replace_bpf_fd)},
    Command{BPF_PROG_DETACH, "prog_detach", prog_detach, XDPLANE_UP_TO(attach_type)},
    Command{BPF_PROG_TEST_RUN, "prog_test_run", prog_test_run, XDPLANE_UP_TO(test.batch_size)},
    Command{BPF_PROG_GET_NEXT_ID, "prog_get_next_id", prog_get_next_id, XDPLANE_UP_TO(next_id)},
    Command{BPF_MAP_GET_NEXT_ID, "map_get_next_id", map_get_next_id, XDPLANE_UP_TO(next_id)},
    Command{BPF_PROG_GET_FD_BY_ID, "prog_get_fd_by_id", prog_get_fd_by_id, XDPLANE_UP_TO(prog_id)},
    Command{BPF_MAP_GET_FD_BY_ID, "map_get_fd_by_id", map_get_fd_by_id, XDPLANE_UP_TO(open_flags)},
    Command{BPF_OBJ_GET_INFO_BY_FD, "obj_get_info_by_fd", obj_get_info_by_fd, XDPLANE_UP_TO(info.info)},
    Command{BPF_PROG_QUERY, "prog_query", prog_query, XDPLANE_UP_TO(query.prog_attach_flags)},
    Command{BPF_BTF_LOAD, "btf_load", btf_load, XDPLANE_UP_TO(btf_log_level)},
    Command{BPF_BTF_GET_FD_BY_ID, "btf_get_fd_by_id", btf_get_fd_by_id, XDPLANE_UP_TO(btf_id)},
    Command{BPF_MAP_LOOKUP_AND_DELETE_ELEM, "map_lookup_and_delete_elem", map_lookup_and_delete_elem,
            XDPLANE_UP_TO(flags)},
    Command{BPF_MAP_FREEZE, "map_freeze", map_freeze, XDPLANE_UP_TO(map_fd)},
    Command{BPF_BTF_GET_NEXT_ID, "btf_get_next_id", btf_get_next_id, XDPLANE_UP_TO(next_id)},
    Command{BPF_MAP_LOOKUP_BATCH, "map_lookup_batch", map_lookup_batch, XDPLANE_UP_TO(batch.flags)},
    Command{BPF_MAP_LOOKUP_AND_DELETE_BATCH, "map_lookup_and_delete_batch", map_lookup_and_delete_batch,
            XDPLANE_UP_TO(batch.flags)},
    Command{BPF_MAP_UPDATE_BATCH, "map_update_batch", map_update_batch, XDPLANE_UP_TO(batch.flags)},
    Command{BPF_MAP_DELETE_BATCH, "map_delete_batch", map_delete_batch, XDPLANE_UP_TO(batch.flags)},
    Command{BPF_LINK_CREATE, "link_create", link_create, kLinkCreateEnd},
    Command{BPF_LINK_UPDATE, "link_update", link_update, XDPLANE_UP_TO(link_update.old_prog_fd)},
    Command{BPF_LINK_GET_FD_BY_ID, "link_get_fd_by_id", link_get_fd_by_id, XDPLANE_UP_TO(link_id)},
    Command{BPF_LINK_GET_NEXT_ID, "link_get_next_id", link_get_next_id, XDPLANE_UP_TO(next_id)},
    Command{BPF_LINK_DETACH, "link_detach", link_detach, XDPLANE_UP_TO(link_detach.link_fd)},
    Command{BPF_ENABLE_STATS, "enable_stats", enable_stats, XDPLANE_UP_TO(enable_stats.type)},
    Command{BPF_PROG_BIND_MAP, "prog_bind_map", prog_bind_map, XDPLANE_UP_TO(prog_bind_map.flags)},
};
#undef XDPLANE_UP_TO

std::atomic<int> g_engine{-1}; // -1: not chosen yet

} // namespace

void set_engine(Engine engine) { g_engine.store(static_cast<int>(engine)); }

Engine engine() {
    const int chosen = g_engine.load();
    if (chosen >= 0) return static_cast<Engine>(chosen);
    return host_backend() != nullptr ? Engine::jit : Engine::interpreter;
}

long bpf_syscall(u32 command, void* attr, u32 size) {
    Call call{};
    call.user = static_cast<u8*>(attr);
    call.user_size = size;
    if (size > static_cast<u32>(::sysconf(_SC_PAGESIZE))) return -E2BIG;
    if (attr == nullptr && size != 0) return -EFAULT;
    if (!tail_is_zero(call.user, sizeof call.attr, size)) return -E2BIG;
    // The union's padding has no other way to become zero.
    std::memset(static_cast<void*>(&call.attr), 0, sizeof call.attr);
    if (size != 0)
        std::memcpy(static_cast<void*>(&call.attr), attr, std::min<std::size_t>(size, sizeof call.attr));

    const auto row = std::ranges::find(kCommands, command, &Command::command);
    if (row == kCommands.end()) return -EINVAL;
    if (!tail_is_zero(reinterpret_cast<const u8*>(&call.attr), row->known, sizeof call.attr)) return -EINVAL;
    try {
        return row->run(call);
    } catch (const std::bad_alloc&) {
        return -ENOMEM;
    }
}

std::shared_ptr<Map> map_from_fd(int fd) {
    ObjectRef ref = ObjectTable::instance().find(fd);
    auto* map = std::get_if<std::shared_ptr<Map>>(&ref);
    return map ? std::move(*map) : nullptr;
}

std::shared_ptr<const Program> program_from_fd(int fd) {
    ObjectRef ref = ObjectTable::instance().find(fd);
    auto* program = std::get_if<std::shared_ptr<const Program>>(&ref);
    return program ? std::move(*program) : nullptr;
}

std::shared_ptr<const Btf> btf_from_fd(int fd) {
    ObjectRef ref = ObjectTable::instance().find(fd);
    auto* btf = std::get_if<std::shared_ptr<const Btf>>(&ref);
    return btf ? std::move(*btf) : nullptr;
}

ClosingFd::ClosingFd(int fd) {
    ObjectRef object = ObjectTable::instance().closing(fd);
    if (!std::holds_alternative<std::monostate>(object))
        object_ = std::make_shared<ObjectRef>(std::move(object));
}

ClosingFd::~ClosingFd() {
    if (object_) release_object(std::move(*static_cast<ObjectRef*>(object_.get())));
}

void close_object_fd(int fd) {
    const ClosingFd closing(fd);
    ::close(fd);
}

void object_fd_duplicated(int fd, int copy) { ObjectTable::instance().duplicated(fd, copy); }

Result<int> open_map_fd(const std::shared_ptr<Map>& map) {
    const int fd = ObjectTable::instance().open(map, O_RDWR);
    if (fd < 0) return fail(-fd, "cannot open another fd for map {}", map->spec().name);
    return fd;
}

bool is_open(int fd) {
    struct stat st{};
    return fd >= 0 && ::fstat(fd, &st) == 0;
}

Result<std::string> object_name(const char (&field)[BPF_OBJ_NAME_LEN]) {
    const auto* end = static_cast<const char*>(std::memchr(field, 0, sizeof field));
    if (end == nullptr) return fail(EINVAL, "name is too long");
    const std::string name(static_cast<const char*>(field), end);
    for (const char c : name) {
        const bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
        if (!letter && c != '_' && c != '.') return fail(EINVAL, "name has a character that is not allowed");
    }
    return name;
}

bool UserLog::valid() const {
    constexpr u32 kMask = 15;
    if ((buffer != nullptr) != (size != 0)) return false;
    if (buffer != nullptr && level == 0) return false;
    return (level & ~kMask) == 0 && size <= ~u32{0} >> 2;
}

int UserLog::write(std::string_view text, u64 begin, u64 peak) const {
    constexpr u32 kFixed = 8;
    if (level == 0 || buffer == nullptr) return 0;
    const std::size_t room = size - 1;
    const bool fits = std::max<u64>(text.size(), peak) <= room;
    if ((level & kFixed) != 0) {
        text = text.substr(0, room);
    } else {
        text.remove_prefix(std::min<std::size_t>(begin, text.size()));
        if (text.size() > room) text.remove_prefix(text.size() - room);
    }
    std::memcpy(buffer, text.data(), text.size());
    buffer[text.size()] = 0;
    return fits ? 0 : -ENOSPC;
}

} // namespace xdplane
