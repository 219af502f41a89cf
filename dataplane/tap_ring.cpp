// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
#include "dataplane/tap_ring.h"

#include <bit>
#include <cerrno>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>

namespace xdplane {
namespace {

/// The first page.
struct Shape {
    u64 magic;
    u32 workers;
    u32 ring_bytes;
};
constexpr u64 kMagic = 0x3170'6174'6c70'6478; // "xdpltap1"
constexpr u32 kMostWorkers = 4096;

} // namespace

Result<> TapMemory::map(int flags) {
    const std::size_t size = at(workers_);
    void* memory = ::mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_SHARED | flags, fd_.get(), 0);
    if (memory == MAP_FAILED) return fail(errno, "no memory for a capture: {}", std::strerror(errno));
    memory_ = Mapping(memory, size);
    return {};
}

Result<TapMemory> TapMemory::make(u32 workers, u32 ring_bytes) {
    TapMemory made;
    made.workers_ = workers;
    made.ring_bytes_ = ring_bytes;
    made.fd_ = UniqueFd(::memfd_create("xdplane-capture", MFD_CLOEXEC | MFD_ALLOW_SEALING));
    const auto size = static_cast<off_t>(made.at(workers));
    // A file that is cut while a worker writes to it would end the process.
    if (!made.fd_ || ::ftruncate(made.fd_.get(), size) != 0 || ::fallocate(made.fd_.get(), 0, 0, size) != 0 ||
        ::fcntl(made.fd_.get(), F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) != 0)
        return fail(errno, "no memory for a capture: {}", std::strerror(errno));
    if (auto mapped = made.map(MAP_POPULATE); !mapped) return fail(mapped.error());
    const Shape shape{.magic = kMagic, .workers = workers, .ring_bytes = ring_bytes};
    std::memcpy(made.memory_.data(), &shape, sizeof shape);
    return made;
}

Result<TapMemory> TapMemory::open(UniqueFd fd) {
    Shape shape{};
    struct stat status{};
    TapMemory opened;
    opened.fd_ = std::move(fd);
    if (::fstat(opened.fd_.get(), &status) != 0 ||
        ::pread(opened.fd_.get(), &shape, sizeof shape, 0) != sizeof shape || shape.magic != kMagic ||
        shape.workers > kMostWorkers || !std::has_single_bit(shape.ring_bytes))
        return fail(EPROTO, "this is no memory of a capture");
    opened.workers_ = shape.workers;
    opened.ring_bytes_ = shape.ring_bytes;
    if (status.st_size != static_cast<off_t>(opened.at(shape.workers)))
        return fail(EPROTO, "the memory of the capture has another size than it says");
    if (auto mapped = opened.map(0); !mapped) return fail(mapped.error());
    return opened;
}

TapReader::TapReader(TapMemory memory)
    : memory_(std::move(memory)), rings_(memory_.workers()), bytes_(kMaxTapSnaplen) {}

void TapReader::copy(u32 worker, u64 from, void* to, u32 size) const {
    const u32 ring = memory_.ring_bytes();
    const u32 at = static_cast<u32>(from) & (ring - 1);
    const u32 first = std::min(size, ring - at);
    std::memcpy(to, memory_.ring(worker) + at, first);
    std::memcpy(static_cast<u8*>(to) + first, memory_.ring(worker), size - first);
}

/// Reads the record at the tail, if there is one.
Result<> TapReader::look(u32 worker) {
    Ring& ring = rings_[worker];
    if (ring.tail == ring.head) return {};
    const u64 there = ring.head - ring.tail;
    if (there > memory_.ring_bytes() || there < sizeof(TapRecord))
        return fail(EPROTO, "the ring of worker {} is damaged", worker);
    copy(worker, ring.tail, &ring.next, sizeof ring.next);
    if (ring.next.captured > kMaxTapSnaplen || ring.next.size() > there)
        return fail(EPROTO, "the ring of worker {} holds no record at byte {}", worker, ring.tail);
    return {};
}

Result<> TapReader::read(u64 until_ns, const Take& take) {
    for (u32 worker = 0; worker < workers(); ++worker) {
        rings_[worker].head = memory_.ends(worker).head.load(std::memory_order_acquire);
        if (auto looked = look(worker); !looked) return looked;
    }
    for (;;) {
        u32 oldest = workers();
        bool crowded = false;
        for (u32 worker = 0; worker < workers(); ++worker) {
            const Ring& ring = rings_[worker];
            if (ring.tail == ring.head) continue;
            crowded |= ring.head - ring.tail > memory_.ring_bytes() / 2;
            if (oldest == workers() || ring.next.timestamp_ns < rings_[oldest].next.timestamp_ns)
                oldest = worker;
        }
        if (oldest == workers()) return {};
        Ring& ring = rings_[oldest];
        if (ring.next.timestamp_ns > until_ns && !crowded) return {};
        const TapRecord record = ring.next;
        copy(oldest, ring.tail + sizeof record, bytes_.data(), record.captured);
        ring.tail += record.size();
        memory_.ends(oldest).tail.store(ring.tail, std::memory_order_release);
        take(record, bytes_.data());
        if (auto looked = look(oldest); !looked) return looked;
    }
}

u64 TapReader::matched() const {
    u64 sum = 0;
    for (u32 worker = 0; worker < workers(); ++worker)
        sum += memory_.ends(worker).matched.load(std::memory_order_relaxed);
    return sum;
}

u64 TapReader::lost() const {
    u64 sum = 0;
    for (u32 worker = 0; worker < workers(); ++worker)
        sum += memory_.ends(worker).lost.load(std::memory_order_relaxed);
    return sum;
}

} // namespace xdplane
