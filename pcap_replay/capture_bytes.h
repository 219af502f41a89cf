// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
#pragma once
#include <string>
#include <vector>

#include "bpf/base/result.h"
#include "bpf/base/types.h"
#include "bpf/base/unique_fd.h"
#include "pcap_replay/mapped_file.h"

namespace xdplane {

/// When a file is mapped.
struct MapPolicy {
    /// It has so many bytes.
    u64 from = 32U << 20;
    /// The first pages cost no more than so many nanoseconds each. To copy one takes 500 to 1000.
    u64 most_ns_per_page = 400;
};

/// The bytes of an input, front to back, read into a window that stays in the cache of the processor; or, of
/// a large file, mapped, if that is cheaper: a page that comes with many others into the page table costs a
/// tenth of its copy, but one that a hypervisor has to look at costs several of them. That is tried with the
/// first pages. Memory stays bounded whatever the size of the input. A file that becomes shorter meanwhile is
/// a short read, not a signal (of a mapped one, bytes that were in use at that moment may read as zeros). One
/// thread.
class CaptureBytes {
public:
    /// Bytes read at a time, and kept: below the second-level cache of any server processor of today.
    static constexpr std::size_t kWindow = 256 * 1024;

    /// "-" is standard input. Errors name the reason, not the path.
    static Result<CaptureBytes> open(const std::string& path, const MapPolicy& policy = {});

    /// The next `size` bytes without consuming them; null if the input ends before, and left() then says how
    /// many there are. Pointers are valid until the next need() of more than left().
    [[nodiscard]] const u8* need(std::size_t size) {
        if (size <= end_ - begin_) [[likely]]
            return base_ + begin_;
        return refill(size);
    }
    /// Consumes bytes that need() has shown, or that are within left().
    void skip(std::size_t size) { begin_ += size; }
    /// Bytes that can be had without reading: all that follow, after need() has returned null.
    [[nodiscard]] std::size_t left() const { return end_ - begin_; }
    [[nodiscard]] const u8* front() const { return base_ + begin_; }

    /// Bytes consumed, and bytes in all (0 where nobody knows). No more than size() are read of a file that
    /// grows meanwhile.
    [[nodiscard]] u64 offset() const { return dropped_ + begin_; }
    [[nodiscard]] u64 size() const { return size_; }
    /// errno of the read that failed; 0 if none did. EINTR: a signal asked to stop.
    [[nodiscard]] int read_error() const { return read_error_; }
    /// The end came before size(): somebody has cut the file since it was opened.
    [[nodiscard]] bool shrunk() const { return eof_ && size_ != 0 && dropped_ + end_ < size_; }
    /// What was shown since the last refill may have been zeros instead: the file was cut under a mapping.
    [[nodiscard]] bool cut() const { return map_ != nullptr && map_->cut(); }
    /// How far ahead of the packet in hand its reader should prefetch: a window is in the cache, a mapping is
    /// not.
    [[nodiscard]] bool mapped() const { return map_ != nullptr; }

    /// Whether rewind() can be expected to work.
    [[nodiscard]] bool rewindable() const { return size_ != 0; }
    /// Back to the first byte. False where the input cannot go back.
    [[nodiscard]] bool rewind();
    /// Keeps the whole input in memory if it is not longer than `most`: rewind() need not read again, and
    /// pointers are valid for as long as this object lives. Call before the first exchange().
    void keep(std::size_t most);
    /// Reads on in another buffer and leaves this one, with all bytes that need() has shown, in its place.
    /// What was read ahead goes along. Does nothing where pointers stay valid anyway.
    void exchange(std::vector<u8>& buffer);

private:
    [[nodiscard]] bool kept() const { return size_ != 0 && size_ <= window_; }
    const u8* refill(std::size_t size);
    const u8* bring(std::size_t size);
    void try_map(const MapPolicy& policy);

    UniqueFd fd_;
    std::unique_ptr<MappedFile> map_; ///< instead of buffer_; nothing is dropped then
    u64 released_ = 0;                ///< bytes at its beginning whose page tables are given up
    std::vector<u8> buffer_;
    const u8* base_ = nullptr;
    std::size_t begin_ = 0;
    std::size_t end_ = 0;
    std::size_t window_ = kWindow;
    u64 size_ = 0;
    u64 dropped_ = 0; ///< bytes that have left the buffer
    int read_error_ = 0;
    bool eof_ = false;
};

} // namespace xdplane
