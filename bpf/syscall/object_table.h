// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
#pragma once
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <sys/types.h>
#include <unordered_map>
#include <variant>

#include "bpf/base/result.h"
#include "bpf/btf/btf.h"
#include "bpf/maps/map.h"
#include "bpf/maps/perf_event.h"
#include "bpf/prog/program.h"
#include "bpf/prog/run_stats.h"
#include "bpf/syscall/xdp_hooks.h"

namespace xdplane {

/// A reference to any object of bpf(2).
using ObjectRef = std::variant<std::monostate, std::shared_ptr<Map>, std::shared_ptr<const Program>,
                               std::shared_ptr<const Btf>, std::shared_ptr<PerfEvent>,
                               std::shared_ptr<RunStatsSwitch>, std::shared_ptr<Link>>;

/// Objects by fd and by id.
///
/// Every object that has an fd has one memfd of its own (an mmapable array: its storage), and an fd names the
/// object by the inode behind it: fds may be dup'ed, passed on and reused without our knowing, and a stale
/// number never names a new object. The object is held for as long as an fd of this process is open on that
/// inode; after that it lives on only if somebody else holds it. Ids hold nothing.
///
/// An object may have more than one inode: those that hold() was told of stand for fds in other processes.
///
/// Any thread; one lock, held for bookkeeping only: no object is destroyed under it.
class ObjectTable {
public:
    /// The process has one. Never destroyed: objects may be used by destructors of other statics.
    static ObjectTable& instance();

    /// A new fd for an object, close-on-exec, opened as O_RDWR, O_RDONLY or O_WRONLY; or -errno.
    int open(const ObjectRef& object, int access);
    /// What the fd names; monostate if it is none of ours. `access`, if given, gets the fd's O_ACCMODE.
    ObjectRef find(int fd, int* access = nullptr);

    /// True if an fd names it.
    [[nodiscard]] bool has_fd(const ObjectRef& object);

    /// For whoever closes an fd, right before it does. The returned reference is to be dropped after closing.
    [[nodiscard]] ObjectRef closing(int fd);
    /// For whoever has dup'ed an fd. Only saves a search later.
    void duplicated(int fd, int copy);
    /// Drops objects whose fds were closed behind our back.
    void sweep();

    /// The file behind `fd`, which is none of the table's yet, names `object` from now on, and holds it until
    /// let_go(), whether or not this process has an fd on it. False if fd is not open.
    bool hold(int fd, const ObjectRef& object);
    void let_go(dev_t device, ino_t inode);

    /// Gives an id, once, before anyone else sees the object.
    u32 add(const std::shared_ptr<Map>& map);
    u32 add(const std::shared_ptr<Program>& program);
    u32 add(const std::shared_ptr<const Btf>& btf);
    u32 add(const std::shared_ptr<Link>& link);
    /// 0 if it has none.
    u32 id_of(const Btf* btf);

    /// The next id in use behind `start`; 0 if there is none.
    u32 next_map_id(u32 start);
    u32 next_program_id(u32 start);
    u32 next_btf_id(u32 start);
    u32 next_link_id(u32 start);
    /// Null if the id is not in use.
    std::shared_ptr<Map> map_by_id(u32 id);
    std::shared_ptr<const Program> program_by_id(u32 id);
    std::shared_ptr<const Btf> btf_by_id(u32 id);
    std::shared_ptr<Link> link_by_id(u32 id);

private:
    template<class T>
    struct Ids {
        std::map<u32, std::weak_ptr<T>> objects;
        u32 last = 0;
        u32 add(const std::shared_ptr<T>& object);
        u32 next(u32 start);
        std::shared_ptr<T> find(u32 id);
    };
    /// An object that is open.
    struct File {
        ObjectRef object;
        dev_t device;
        std::set<int> fds; ///< those we know
        bool held = false; ///< until let_go()
    };

    [[nodiscard]] static bool same_file(int fd, const File& file, ino_t inode);
    [[nodiscard]] static int storage_fd(const ObjectRef& object);
    void track(int fd, ino_t inode);
    ObjectRef forget(int fd);
    ObjectRef erase(ino_t inode);
    [[nodiscard]] bool has_file(const ObjectRef& object) const;
    bool find_other_fd(File& file, ino_t inode, int except);

    std::mutex lock_; ///< guards everything below
    std::unordered_map<ino_t, File> files_;
    std::unordered_map<int, ino_t> fds_;
    Ids<Map> maps_;
    Ids<const Program> programs_;
    Ids<const Btf> btfs_;
    Ids<Link> links_;
};

/// For an object whose last fd is gone: if no pin names it either, it does what Linux does when the last
/// user-space reference goes (a prog array lets go of its programs). Then drops the reference.
void release_object(ObjectRef object);

} // namespace xdplane
