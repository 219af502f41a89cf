// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
#pragma once
#include <atomic>
#include <cstring>
#include <functional>
#include <vector>

#include "bpf/base/mapping.h"
#include "bpf/base/result.h"
#include "bpf/base/types.h"
#include "bpf/base/unique_fd.h"

/// Memory that the data plane and one client share for a capture: a ring per worker, which the worker fills
/// and the client empties, with no system call and nobody in between.
namespace xdplane {

/// Bytes of copies that wait in one worker's ring. A power of two.
inline constexpr u32 kTapRing = 4 * 1024 * 1024;
/// Bytes of one packet that a capture can have, at most.
inline constexpr u32 kMaxTapSnaplen = 65535;

/// In front of each packet's bytes, which are filled up to a multiple of 8.
struct TapRecord {
    static constexpr u8 kNone = 0xff;

    u64 timestamp_ns; ///< since 1970
    u32 captured;     ///< bytes that follow
    u32 wire_len;     ///< bytes that the packet had
    u16 port;         ///< the data plane's number of it
    u8 verdict;       ///< enum Verdict; kNone: the chain did not see it
    u8 reason;        ///< enum class Drop; kNone: not dropped
    u32 unused;

    [[nodiscard]] static u32 padded(u32 bytes) { return (bytes + 7) & ~7U; }
    [[nodiscard]] u32 size() const { return u32{sizeof(TapRecord)} + padded(captured); }
};
static_assert(sizeof(TapRecord) == 24);

/// The ends of a ring, as bytes since its beginning. The client may write anything here: it harms its capture
/// and nothing else.
struct TapRingEnds {
    alignas(kCacheLine) std::atomic<u64> head; ///< written by the worker, once per burst
    std::atomic<u64> matched;                  ///< written by the worker: packets that were wanted
    std::atomic<u64> lost;                     ///< written by the worker: of them, those that had no room
    alignas(kCacheLine) std::atomic<u64> tail; ///< written by the client
};

/// What is mapped: a page with the shape, then for each worker a page with the ends and the ring.
class TapMemory {
public:
    /// The data plane's side: all of the memory is there afterwards, and nobody can make it smaller.
    static Result<TapMemory> make(u32 workers, u32 ring_bytes = kTapRing);
    /// The client's side. EPROTO if it is not what make() made.
    static Result<TapMemory> open(UniqueFd fd);

    [[nodiscard]] int fd() const { return fd_.get(); }
    [[nodiscard]] u32 workers() const { return workers_; }
    [[nodiscard]] u32 ring_bytes() const { return ring_bytes_; }
    [[nodiscard]] TapRingEnds& ends(u32 worker) const {
        return *reinterpret_cast<TapRingEnds*>(memory_.data() + at(worker));
    }
    [[nodiscard]] u8* ring(u32 worker) const { return memory_.data() + at(worker) + kPage; }

private:
    static constexpr std::size_t kPage = 4096;
    [[nodiscard]] std::size_t at(u32 worker) const { return kPage + worker * (kPage + ring_bytes_); }
    [[nodiscard]] Result<> map(int protection_flags);

    UniqueFd fd_;
    Mapping memory_;
    u32 workers_ = 0;
    u32 ring_bytes_ = 0;
};

/// A worker's end of its ring. Data path.
class TapWriter {
public:
    TapWriter(const TapMemory& memory, u32 worker)
        : ends_(&memory.ends(worker)), ring_(memory.ring(worker)), size_(memory.ring_bytes()) {}

    /// A record and its bytes, one behind the other; `size` as TapRecord::size() says. False, and counted, if
    /// there is no room. Readers see it after publish().
    bool put(const u8* record, u32 size) noexcept {
        ++matched_;
        if (!has_room(size)) {
            ++lost_;
            return false;
        }
        const u32 at = static_cast<u32>(head_) & (size_ - 1);
        const u32 first = size < size_ - at ? size : size_ - at;
        std::memcpy(ring_ + at, record, first);
        std::memcpy(ring_, record + first, size - first);
        head_ += size;
        return true;
    }
    void publish() noexcept {
        ends_->matched.store(matched_, std::memory_order_relaxed);
        ends_->lost.store(lost_, std::memory_order_relaxed);
        ends_->head.store(head_, std::memory_order_release);
    }

private:
    /// A tail that can not be is taken for a full ring.
    bool has_room(u32 size) noexcept {
        if (head_ - tail_ + size <= size_) return true;
        const u64 tail = ends_->tail.load(std::memory_order_acquire);
        if (head_ - tail > size_) return false;
        tail_ = tail;
        return head_ - tail_ + size <= size_;
    }

    TapRingEnds* ends_;
    u8* ring_;
    u32 size_;
    u64 head_ = 0;
    u64 tail_ = 0; ///< as it was last seen: there is at least that much room
    u64 matched_ = 0;
    u64 lost_ = 0;
};

/// The client's end of all rings: the records of all workers in the order of their stamps. One thread.
class TapReader {
public:
    using Take = std::function<void(const TapRecord& record, const u8* bytes)>;

    explicit TapReader(TapMemory memory);

    /// Hands over the records that are there, stamps up to `until_ns`; a worker may still be about to publish
    /// older ones than that. Rings that are half full are read further, because they must not overflow.
    /// EPROTO if a ring holds what no data plane writes.
    Result<> read(u64 until_ns, const Take& take);
    [[nodiscard]] u32 workers() const { return memory_.workers(); }
    /// Packets that were wanted, and those of them that found no room, since the beginning.
    [[nodiscard]] u64 matched() const;
    [[nodiscard]] u64 lost() const;

private:
    struct Ring {
        u64 tail = 0;
        u64 head = 0;
        TapRecord next{}; ///< at the tail, if tail != head
    };
    Result<> look(u32 worker);
    void copy(u32 worker, u64 from, void* to, u32 size) const;

    TapMemory memory_;
    std::vector<Ring> rings_;
    std::vector<u8> bytes_;
};

} // namespace xdplane
