// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
#pragma once
#include <map>
#include <mutex>
#include <optional>
#include <set>
#include <string>

#include "bpf/syscall/object_table.h"

namespace xdplane {

/// The process's own bpf file system: directories and pins below its roots, of which /sys/fs/bpf is always
/// one. Nothing of it is on any disk, and what is mounted there for others is neither seen nor touched. A pin
/// holds its object. Paths are taken as they are written: relative ones from the current directory, "." and
/// ".." resolved by their letters, no symbolic links.
///
/// Any thread. Functions return 0 or -errno as Linux's bpf file system does.
class PinTable {
public:
    static PinTable& instance();

    /// Another directory that counts as a bpf file system. It is there, empty, whether or not the machine has
    /// it.
    void add_root(const std::string& path);

    /// -EEXIST; -ENOENT, -ENOTDIR (the directory); -EPERM outside of the roots, or for a name with a dot.
    int pin(const std::string& path, const ObjectRef& object);
    /// -ENOENT, -ENOTDIR; -EACCES for what is no pin.
    int get(const std::string& path, ObjectRef& object);
    [[nodiscard]] bool holds(const ObjectRef& object);
    /// All paths in order; directories and roots hold nothing.
    [[nodiscard]] std::map<std::string, ObjectRef> list();

    // File operations: no value for a path outside of the roots, where the machine's file systems are meant.
    [[nodiscard]] std::optional<int> make_directory(const char* path);
    [[nodiscard]] std::optional<int> remove_directory(const char* path);
    /// Unpins.
    [[nodiscard]] std::optional<int> unlink(const char* path);
    /// 0 if there is something of that name.
    [[nodiscard]] std::optional<int> look_up(const char* path);

private:
    PinTable();
    /// A directory holds nothing itself.
    using Node = ObjectRef;
    [[nodiscard]] static bool is_directory(const Node& node) {
        return std::holds_alternative<std::monostate>(node);
    }
    [[nodiscard]] bool inside(const std::string& path) const;
    [[nodiscard]] int check_parent(const std::string& path) const;
    [[nodiscard]] int check_new(const std::string& path) const;

    std::mutex lock_; ///< guards everything below
    std::set<std::string> roots_;
    std::map<std::string, Node> nodes_; ///< by normalised path, roots too
};

} // namespace xdplane
