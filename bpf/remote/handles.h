// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
#pragma once
#include <unordered_map>

#include "bpf/base/unique_fd.h"
#include "bpf/syscall/object_table.h"

/// Fds of objects for other processes.
namespace xdplane::remote {

/// A handle is an fd on a sealed, empty memfd of its own that names an object and holds it for as long as the
/// file is open anywhere: in whichever process it was dup'ed, inherited or sent to, or on its way there. This
/// process keeps no fd of it, so the kernel frees the file when the last one is closed, and inotify says so
/// (IN_DELETE_SELF).
///
/// One thread. Handles that are there when the Handles go keep their objects for good.
class Handles {
public:
    /// More are refused. Keeps inotify's queue, of 16384 events, from running over.
    static constexpr u32 kMaxHandles = 4096;

    /// Error: what inotify_init1() says.
    static Result<std::unique_ptr<Handles>> make();

    /// A new handle; whoever gets it closes it once it is sent. `access` as in ObjectTable::open(). Or
    /// -errno; EMFILE if there are too many.
    [[nodiscard]] int open(const ObjectRef& object, int access);
    /// Readable when collect() has something to do.
    [[nodiscard]] int fd() const { return events_.get(); }
    /// Lets go of what nobody has a handle of any more.
    void collect();
    [[nodiscard]] std::size_t size() const { return files_.size(); }

private:
    struct File {
        dev_t device;
        ino_t inode;
    };
    Handles() = default;

    UniqueFd events_;
    std::unordered_map<int, File> files_; ///< by watch descriptor
};

} // namespace xdplane::remote
