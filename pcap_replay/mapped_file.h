// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
#pragma once
#include <memory>

#include "bpf/base/mapping.h"
#include "bpf/base/types.h"

namespace xdplane {

/// A regular file in memory, read only, its pages brought in range by range. Its bytes may be read by any
/// thread for as long as it lives.
///
/// A page of a file that somebody cuts meanwhile is gone, and reading it is a signal (SIGBUS). The handler
/// that the first mapping installs puts zeros in the place of such pages and sets cut(); signals for other
/// addresses go to the handler before it. At most 64 files are mapped at once.
class MappedFile {
public:
    /// Null if it cannot be mapped: no room, or too many.
    static std::unique_ptr<MappedFile> map(int fd, u64 size);
    ~MappedFile();
    MappedFile(const MappedFile&) = delete;
    MappedFile& operator=(const MappedFile&) = delete;

    [[nodiscard]] const u8* data() const { return memory_.data(); }
    /// Brings pages in, from the disk if need be. Where the file has become shorter, or cannot be read,
    /// cut().
    void bring(u64 offset, u64 size) const;
    /// Gives up the page tables of what was read; the bytes stay readable.
    void release(u64 offset, u64 size) const;
    /// Somebody has read a page that is gone.
    [[nodiscard]] bool cut() const noexcept;

private:
    MappedFile(Mapping memory, u32 slot) : memory_(std::move(memory)), slot_(slot) {}

    Mapping memory_;
    u32 slot_;
};

} // namespace xdplane
