// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
#include "bpf/maps/perf_event.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cerrno>
#include <cstddef>
#include <cstring>
#include <ctime>
#include <fcntl.h>
#include <mutex>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "bpf/maps/words.h"
#include "bpf/run/run_context.h"

namespace xdplane {
namespace {

u64 page_size() {
    static const auto size = static_cast<u64>(::sysconf(_SC_PAGESIZE));
    return size;
}

// By syscall(): libc's mmap may be wrapped and would come back here.
void* raw_mmap(void* address, u64 size, int protection, int flags, int fd) {
    const long result = ::syscall(SYS_mmap, address, size, protection, flags, fd, 0);
    return result == -1 ? MAP_FAILED : reinterpret_cast<void*>(result);
}

void* refuse(int code) {
    errno = code;
    return MAP_FAILED;
}

std::atomic<u64> g_last_id{0};

/// A field of a sample, in the order of records.
struct Field {
    u64 bit; ///< PERF_SAMPLE_*
    enum class What : u8 { id, nothing, thread, time, cpu, period } what;
};
constexpr Field kFields[] = {
    {PERF_SAMPLE_IDENTIFIER, Field::What::id}, {PERF_SAMPLE_IP, Field::What::nothing},
    {PERF_SAMPLE_TID, Field::What::thread},    {PERF_SAMPLE_TIME, Field::What::time},
    {PERF_SAMPLE_ADDR, Field::What::nothing},  {PERF_SAMPLE_ID, Field::What::id},
    {PERF_SAMPLE_STREAM_ID, Field::What::id},  {PERF_SAMPLE_CPU, Field::What::cpu},
    {PERF_SAMPLE_PERIOD, Field::What::period},
};
constexpr u64 kSampleTypes = [] {
    u64 types = PERF_SAMPLE_RAW;
    for (const Field& field : kFields) types |= field.bit;
    return types;
}();
constexpr u32 kLongestRecord = 0xffff & ~7U; // perf_event_header::size has 16 bits

u64 now_ns() noexcept {
    timespec now{};
    ::clock_gettime(CLOCK_MONOTONIC, &now);
    return static_cast<u64>(now.tv_sec) * 1'000'000'000 + static_cast<u64>(now.tv_nsec);
}

} // namespace

/// The fields of one record in front of its raw data.
struct PerfEvent::Fields {
    std::array<u64, std::size(kFields)> words;
    u32 count = 0;

    Fields(const PerfEvent& event) noexcept {
        for (const Field& field : kFields) {
            if ((event.attr_.sample_type & field.bit) == 0) continue;
            u64 value = 0;
            switch (field.what) {
            case Field::What::id: value = event.id_; break;
            case Field::What::nothing: break;
            case Field::What::thread:
                value = static_cast<u32>(::getpid()) | static_cast<u64>(::syscall(SYS_gettid)) << 32;
                break;
            case Field::What::time: value = now_ns(); break;
            case Field::What::cpu: value = event.cpu_; break;
            case Field::What::period: value = 1; break;
            }
            words[count++] = value;
        }
    }
};

PerfEvent::PerfEvent(const perf_event_attr& attr, u32 cpu, UniqueFd storage)
    : attr_(attr),
      cpu_(cpu),
      id_(g_last_id.fetch_add(1) + 1),
      storage_(std::move(storage)),
      enabled_(attr.disabled == 0) {}

Result<std::shared_ptr<PerfEvent>> PerfEvent::create(const perf_event_attr& attr, i32 pid, i32 cpu) {
    if (pid < 0 && cpu < 0) return fail(EINVAL, "an event needs a CPU or a thread");
    if (pid >= 0) return fail(EOPNOTSUPP, "events of one thread are not supported");
    if (static_cast<u32>(cpu) >= num_possible_cpus()) return fail(EINVAL, "there is no CPU {}", cpu);
    if (attr.sample_type >= PERF_SAMPLE_MAX) return fail(EINVAL, "unknown sample type");
    if ((attr.sample_type & ~kSampleTypes) != 0 || attr.read_format != 0)
        return fail(EOPNOTSUPP, "sample type {:#x} is not supported", attr.sample_type & ~kSampleTypes);
    UniqueFd storage(::memfd_create("perf_event", MFD_CLOEXEC | MFD_ALLOW_SEALING));
    if (!storage) return fail(errno, "cannot make a memfd: {}", std::strerror(errno));
    return std::shared_ptr<PerfEvent>(new PerfEvent(attr, static_cast<u32>(cpu), std::move(storage)));
}

Result<> PerfEvent::make_ring(u64 bytes, bool overwrite) {
    if (::ftruncate(storage_.get(), static_cast<off_t>(bytes)) != 0 ||
        ::syscall(SYS_fcntl, storage_.get(), F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW) != 0)
        return fail(ENOMEM, "cannot size a memfd to {} bytes", bytes);
    void* place = raw_mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, storage_.get());
    if (place == MAP_FAILED) return fail(ENOMEM, "cannot map {} bytes", bytes);
    auto ring = std::make_unique<Ring>();
    ring->pages = Mapping(place, bytes);
    ring->control = static_cast<perf_event_mmap_page*>(place);
    ring->data = ring->pages.data() + page_size();
    ring->size = bytes - page_size();
    ring->overwrite = overwrite;
    ring->control->data_offset = page_size();
    ring->control->data_size = ring->size;
    ring->control->size = offsetof(perf_event_mmap_page, __reserved);
    owned_ = std::move(ring);
    ring_.store(owned_.get(), std::memory_order_release);
    return {};
}

void* PerfEvent::map_for_user(void* address, u64 size, int protection, int flags, i64 offset) {
    const u64 page = page_size();
    const u64 bytes = round_up(size, page);
    if ((flags & MAP_SHARED) == 0 || offset != 0 || size == 0) return refuse(EINVAL);
    const u64 pages = bytes / page - 1;
    if (pages != 0 && !std::has_single_bit(pages)) return refuse(EINVAL);
    static std::mutex making; // two first calls at once
    const std::lock_guard guard(making);
    if (owned_ == nullptr) {
        if (!make_ring(bytes, (protection & PROT_WRITE) == 0)) return refuse(ENOMEM);
    } else if (owned_->pages.size() != bytes) {
        return refuse(EINVAL);
    }
    return raw_mmap(address, bytes, protection, flags, storage_.get());
}

bool PerfEvent::readable() const noexcept {
    const Ring* ring = ring_.load(std::memory_order_acquire);
    if (ring == nullptr) return false;
    return __atomic_load_n(&ring->control->data_head, __ATOMIC_ACQUIRE) !=
           __atomic_load_n(&ring->control->data_tail, __ATOMIC_ACQUIRE);
}

/// As Linux: the ring never becomes quite full, so that head and tail differ where there is something.
bool PerfEvent::has_room(const Ring& ring, u64 bytes) const noexcept {
    if (bytes > ring.size) return false;
    if (ring.overwrite) return true;
    const u64 tail = __atomic_load_n(&ring.control->data_tail, __ATOMIC_ACQUIRE);
    return ((tail - ring.head - 1) & (ring.size - 1)) >= bytes;
}

void PerfEvent::put(Ring& ring, const void* bytes, u64 size) noexcept {
    const u64 at = ring.head & (ring.size - 1);
    const u64 first = std::min(size, ring.size - at);
    if (first != 0) std::memcpy(ring.data + at, bytes, first);
    if (size != first) std::memcpy(ring.data, static_cast<const u8*>(bytes) + first, size - first);
    ring.head += size;
}

void PerfEvent::put_lost(Ring& ring) noexcept {
    const struct {
        perf_event_header header;
        u64 id;
        u64 lost;
    } record{{PERF_RECORD_LOST, 0, sizeof record}, id_, ring.pending_lost};
    put(ring, &record, sizeof record);
    ring.pending_lost = 0;
}

/// Wakes every wakeup_events events, or every wakeup_watermark bytes; by default at half of the ring.
bool PerfEvent::wants_wake(Ring& ring) const noexcept {
    ++ring.events;
    const u64 watermark =
        attr_.watermark && attr_.wakeup_watermark != 0 ? attr_.wakeup_watermark : ring.size / 2;
    const bool by_count = !attr_.watermark && attr_.wakeup_events != 0 && ring.events >= attr_.wakeup_events;
    if (!by_count && ring.head - ring.woken <= watermark) return false;
    ring.events = 0;
    ring.woken = ring.head;
    return true;
}

int PerfEvent::output(std::span<const std::span<const u8>> parts, u32 cpu) noexcept {
    if (!enabled_.load(std::memory_order_acquire) || cpu != cpu_) return -EOPNOTSUPP;
    Ring* ring = ring_.load(std::memory_order_acquire);
    if (ring == nullptr || ring->size == 0) return -ENOSPC;
    const Fields fields(*this);
    u64 length = 0;
    for (const auto part : parts) length += part.size();
    const bool raw = (attr_.sample_type & PERF_SAMPLE_RAW) != 0;
    // The size of raw data counts what fills it up to 8 bytes, its own 4 included.
    const u64 raw_bytes = raw ? round_up(length + sizeof(u32), 8) : 0;
    const u64 bytes = sizeof(perf_event_header) + u64{fields.count} * 8 + raw_bytes;

    bool wake = false;
    {
        const std::lock_guard guard(lock_);
        const u64 lost_bytes = ring->pending_lost != 0 ? 24 : 0;
        if (bytes > kLongestRecord || !has_room(*ring, bytes + lost_bytes)) {
            ++ring->pending_lost;
            lost_.fetch_add(1, std::memory_order_relaxed);
            return -ENOSPC;
        }
        if (lost_bytes != 0) put_lost(*ring);
        const perf_event_header header{PERF_RECORD_SAMPLE, 0, static_cast<u16>(bytes)};
        put(*ring, &header, sizeof header);
        put(*ring, fields.words.data(), u64{fields.count} * 8);
        if (raw) {
            const u32 size = static_cast<u32>(raw_bytes - sizeof(u32));
            put(*ring, &size, sizeof size);
            for (const auto part : parts) put(*ring, part.data(), part.size());
            constexpr u64 kZeros = 0;
            put(*ring, &kZeros, raw_bytes - sizeof(u32) - length);
        }
        __atomic_store_n(&ring->control->data_head, ring->head, __ATOMIC_SEQ_CST);
        wake = wants_wake(*ring);
    }
    if (wake) wakeup().wake();
    return 0;
}

} // namespace xdplane
