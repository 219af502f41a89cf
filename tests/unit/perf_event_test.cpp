// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
#include "bpf/maps/perf_event.h"

#include <array>
#include <cerrno>
#include <cstring>
#include <gtest/gtest.h>
#include <poll.h>
#include <sys/mman.h>
#include <thread>
#include <vector>

#include "bpf/maps/perf_event_array.h"
#include "bpf/run/run_context.h"

namespace xdplane {
namespace {

const u64 kPage = static_cast<u64>(::sysconf(_SC_PAGESIZE));

perf_event_attr attributes(u64 sample_type = PERF_SAMPLE_RAW) {
    perf_event_attr attr{};
    attr.size = sizeof attr;
    attr.type = PERF_TYPE_SOFTWARE;
    attr.config = PERF_COUNT_SW_BPF_OUTPUT;
    attr.sample_type = sample_type;
    attr.sample_period = 1;
    attr.wakeup_events = 1;
    return attr;
}

std::shared_ptr<PerfEvent> event(const perf_event_attr& attr = attributes()) {
    auto made = PerfEvent::create(attr, -1, 0);
    EXPECT_TRUE(made) << made.error().message;
    return *made;
}

int put(PerfEvent& to, const void* bytes, u64 size, u32 cpu = 0) {
    const std::array<std::span<const u8>, 1> parts{std::span(static_cast<const u8*>(bytes), size)};
    return to.output(parts, cpu);
}

/// The ring as user space has it.
class Reader {
public:
    explicit Reader(PerfEvent& event, u64 pages = 1) : size_(kPage * (1 + pages)) {
        memory_ = event.map_for_user(nullptr, size_, PROT_READ | PROT_WRITE, MAP_SHARED, 0);
        EXPECT_NE(memory_, MAP_FAILED);
    }
    ~Reader() { ::munmap(memory_, size_); }
    Reader(const Reader&) = delete;
    Reader& operator=(const Reader&) = delete;

    /// The next record with its header, or nothing.
    std::vector<u8> next() {
        const u64 head = __atomic_load_n(&control()->data_head, __ATOMIC_ACQUIRE);
        const u64 tail = control()->data_tail;
        if (head == tail) return {};
        perf_event_header header;
        copy(&header, tail, sizeof header);
        std::vector<u8> record(header.size);
        copy(record.data(), tail, header.size);
        __atomic_store_n(&control()->data_tail, tail + header.size, __ATOMIC_RELEASE);
        return record;
    }
    perf_event_mmap_page* control() { return static_cast<perf_event_mmap_page*>(memory_); }

private:
    void copy(void* to, u64 at, u64 size) {
        const u64 data = size_ - kPage;
        for (u64 i = 0; i < size; ++i)
            static_cast<u8*>(to)[i] = static_cast<u8*>(memory_)[kPage + (at + i) % data];
    }
    u64 size_;
    void* memory_;
};

perf_event_header header_of(const std::vector<u8>& record) {
    perf_event_header header{};
    if (record.size() >= sizeof header) std::memcpy(&header, record.data(), sizeof header);
    return header;
}
u64 word(const std::vector<u8>& record, std::size_t number) {
    u64 value = 0;
    std::memcpy(&value, record.data() + number * 8, 8);
    return value;
}

TEST(PerfEvent, SamplesAreFilledUpToEightBytes) {
    const auto ring = event();
    Reader reader(*ring);
    EXPECT_EQ(reader.control()->data_offset, kPage);
    EXPECT_EQ(reader.control()->data_size, kPage);
    for (u32 round = 0; round < 100; ++round) {
        for (u32 size = 0; size < 40; ++size) {
            std::vector<u8> bytes(size, static_cast<u8>(size + 1));
            ASSERT_EQ(put(*ring, bytes.data(), size), 0);
            const auto record = reader.next();
            ASSERT_EQ(header_of(record).type, u32{PERF_RECORD_SAMPLE});
            ASSERT_EQ(record.size(), 8 + (size + 4 + 7) / 8 * 8);
            u32 raw = 0;
            std::memcpy(&raw, record.data() + 8, 4);
            ASSERT_EQ(raw, record.size() - 12);
            bytes.resize(raw);
            ASSERT_EQ(std::vector<u8>(record.begin() + 12, record.end()), bytes);
        }
    }
}

TEST(PerfEvent, WhatFindsNoRoomIsCountedAndTold) {
    const auto ring = event();
    EXPECT_EQ(put(*ring, "x", 1), -ENOSPC) << "nobody has mapped it";
    Reader reader(*ring);
    int sent = 0;
    while (put(*ring, "12345678", 8) == 0) ++sent;
    EXPECT_EQ(sent, static_cast<int>((kPage - 1) / 24));
    EXPECT_EQ(put(*ring, "12345678", 8), -ENOSPC);
    EXPECT_EQ(ring->lost(), 2U);
    EXPECT_EQ(header_of(reader.next()).type, u32{PERF_RECORD_SAMPLE});
    EXPECT_EQ(put(*ring, "12345678", 8), -ENOSPC) << "room for one, and not for the note";
    while (!reader.next().empty()) {
    }
    EXPECT_EQ(put(*ring, "12345678", 8), 0);
    const auto lost = reader.next();
    EXPECT_EQ(header_of(lost).type, u32{PERF_RECORD_LOST});
    ASSERT_EQ(lost.size(), 24U);
    EXPECT_EQ(word(lost, 1), ring->id());
    EXPECT_EQ(word(lost, 2), 3U);
    EXPECT_EQ(header_of(reader.next()).type, u32{PERF_RECORD_SAMPLE});
    EXPECT_TRUE(reader.next().empty());
    std::vector<u8> large(70000);
    EXPECT_EQ(put(*ring, large.data(), large.size()), -ENOSPC);
}

TEST(PerfEvent, FieldsStandInOrder) {
    const auto ring = event(attributes(
        PERF_SAMPLE_IDENTIFIER | PERF_SAMPLE_IP | PERF_SAMPLE_TID | PERF_SAMPLE_TIME | PERF_SAMPLE_ADDR |
        PERF_SAMPLE_ID | PERF_SAMPLE_STREAM_ID | PERF_SAMPLE_CPU | PERF_SAMPLE_PERIOD | PERF_SAMPLE_RAW));
    Reader reader(*ring);
    ASSERT_EQ(put(*ring, "abcd", 4), 0);
    const auto record = reader.next();
    ASSERT_EQ(record.size(), 8U + 9 * 8 + 8);
    EXPECT_EQ(word(record, 1), ring->id());
    EXPECT_EQ(word(record, 2), 0U);
    EXPECT_EQ(static_cast<u32>(word(record, 3)), static_cast<u32>(::getpid()));
    EXPECT_NE(word(record, 4), 0U) << "time";
    EXPECT_EQ(word(record, 6), ring->id());
    EXPECT_EQ(word(record, 8), 0U) << "CPU";
    EXPECT_EQ(word(record, 9), 1U) << "period";
    EXPECT_EQ(std::memcmp(record.data() + 84, "abcd", 4), 0);
}

TEST(PerfEvent, OnlyItsOwnCpuAndOnlyWhileItIsOn) {
    auto attr = attributes();
    attr.disabled = 1;
    const auto ring = event(attr);
    Reader reader(*ring);
    EXPECT_EQ(put(*ring, "x", 1), -EOPNOTSUPP);
    ring->enable(true);
    EXPECT_EQ(put(*ring, "x", 1), 0);
    EXPECT_EQ(put(*ring, "x", 1, 1), -EOPNOTSUPP);
    ring->enable(false);
    EXPECT_EQ(put(*ring, "x", 1), -EOPNOTSUPP);
}

TEST(PerfEvent, MappingsDecideTheSizeOnce) {
    const auto map = [](PerfEvent& of, u64 pages, int flags = MAP_SHARED, i64 offset = 0) {
        void* place = of.map_for_user(nullptr, pages * kPage, PROT_READ | PROT_WRITE, flags, offset);
        if (place == MAP_FAILED) return errno;
        ::munmap(place, pages * kPage);
        return 0;
    };
    const auto ring = event();
    EXPECT_EQ(map(*ring, 4), EINVAL) << "3 pages of data";
    EXPECT_EQ(map(*ring, 3, MAP_PRIVATE), EINVAL);
    EXPECT_EQ(map(*ring, 3, MAP_SHARED, static_cast<i64>(kPage)), EINVAL);
    EXPECT_EQ(map(*ring, 3), 0);
    EXPECT_EQ(map(*ring, 3), 0);
    EXPECT_EQ(map(*ring, 2), EINVAL);
    const auto bare = event();
    EXPECT_EQ(map(*bare, 1), 0);
    EXPECT_EQ(put(*bare, "x", 1), -ENOSPC) << "no data pages";
}

TEST(PerfEvent, ReadOnlyMappingsAreWrittenOver) {
    const auto ring = event();
    void* place = ring->map_for_user(nullptr, 2 * kPage, PROT_READ, MAP_SHARED, 0);
    ASSERT_NE(place, MAP_FAILED);
    for (int i = 0; i < 1000; ++i) ASSERT_EQ(put(*ring, "12345678", 8), 0);
    EXPECT_EQ(static_cast<perf_event_mmap_page*>(place)->data_head, 24000U);
    ::munmap(place, 2 * kPage);
}

TEST(PerfEvent, WakesByEventsOrBytes) {
    const auto wakes = [](const perf_event_attr& attr, int events) {
        const auto ring = event(attr);
        Reader reader(*ring, 2);
        const int fd = *ring->wakeup().arm();
        int count = 0;
        for (int i = 0; i < events; ++i) {
            EXPECT_EQ(put(*ring, "12345678", 8), 0);
            pollfd waiting{.fd = fd, .events = POLLIN, .revents = 0};
            if (::poll(&waiting, 1, 0) != 1) continue;
            ++count;
            while (!reader.next().empty()) {
            }
            ring->wakeup().settle([&] { return ring->readable(); });
        }
        return count;
    };
    auto attr = attributes();
    EXPECT_EQ(wakes(attr, 30), 30);
    attr.wakeup_events = 10;
    EXPECT_EQ(wakes(attr, 30), 3);
    attr.watermark = 1;
    attr.wakeup_watermark = 100;
    EXPECT_EQ(wakes(attr, 30), 6) << "more than 100 bytes are 5 records";
}

TEST(PerfEvent, AReaderThatLiesHarmsNobody) {
    const auto ring = event();
    Reader reader(*ring);
    for (const u64 lie : {~u64{0}, u64{1} << 63, u64{12345}}) {
        reader.control()->data_tail = lie;
        reader.control()->data_size = ~u64{0};
        reader.control()->data_offset = lie;
        for (int i = 0; i < 500; ++i) put(*ring, "1234567890", 10);
    }
}

TEST(PerfEvent, ManyWritersLoseNothing) {
    const auto ring = event();
    Reader reader(*ring, 4);
    constexpr u32 kEach = 5000;
    std::vector<std::jthread> writers;
    for (u32 number = 0; number < 2; ++number)
        writers.emplace_back([&ring, number] {
            for (u32 i = 0; i < kEach;) {
                const std::array<u32, 2> bytes = {number, i};
                if (put(*ring, bytes.data(), 8) == 0)
                    ++i;
                else
                    std::this_thread::yield();
            }
        });
    std::array<u32, 2> next{};
    for (u32 total = 0; total < 2 * kEach;) {
        const auto record = reader.next();
        if (record.empty()) std::this_thread::yield();
        if (record.empty() || header_of(record).type != PERF_RECORD_SAMPLE) continue;
        std::array<u32, 2> bytes;
        std::memcpy(bytes.data(), record.data() + 12, 8);
        ASSERT_EQ(bytes[1], next[bytes[0]]++);
        ++total;
    }
}

TEST(PerfEvent, WhatIsNotSupportedIsRefused) {
    const auto code = [](const perf_event_attr& attr, i32 pid, i32 cpu) {
        const auto made = PerfEvent::create(attr, pid, cpu);
        return made ? 0 : made.error().code;
    };
    EXPECT_EQ(code(attributes(), -1, 0), 0);
    EXPECT_EQ(code(attributes(), -1, -1), EINVAL);
    EXPECT_EQ(code(attributes(), -1, 1 << 20), EINVAL);
    EXPECT_EQ(code(attributes(), 0, -1), EOPNOTSUPP) << "a thread's own";
    EXPECT_EQ(code(attributes(PERF_SAMPLE_CALLCHAIN), -1, 0), EOPNOTSUPP);
    EXPECT_EQ(code(attributes(PERF_SAMPLE_MAX), -1, 0), EINVAL);
}

TEST(PerfEventArray, SlotsAreFoundByFlags) {
    t_run = {};
    const auto map = std::dynamic_pointer_cast<PerfEventArray>(*create_map(
        {.type = BPF_MAP_TYPE_PERF_EVENT_ARRAY, .key_size = 4, .value_size = 4, .max_entries = 2}));
    const std::array<std::span<const u8>, 1> parts{};
    EXPECT_EQ(map->output(parts, 0), -ENOENT);
    EXPECT_EQ(map->output(parts, 2), -E2BIG);
    EXPECT_EQ(map->output(parts, BPF_F_CURRENT_CPU), -ENOENT);
    const auto ring = event();
    Reader reader(*ring);
    EXPECT_EQ(map->set(0, ring, BPF_EXIST), -EINVAL);
    EXPECT_EQ(map->set(2, ring, BPF_ANY), -E2BIG);
    EXPECT_EQ(map->set(0, ring, BPF_ANY), 0);
    EXPECT_EQ(map->set(1, ring, BPF_ANY), 0);
    EXPECT_EQ(map->output(parts, BPF_F_CURRENT_CPU), 0);
    EXPECT_EQ(map->output(parts, 1), 0) << "the event's CPU counts, not the slot";
    t_run.cpu = 1;
    EXPECT_EQ(map->output(parts, 0), -EOPNOTSUPP);
    t_run = {};
    EXPECT_EQ(map->erase(1), 0);
    EXPECT_EQ(map->erase(1), -ENOENT);
    EXPECT_EQ(map->erase(2), -E2BIG);
    map->last_fd_closed();
    EXPECT_EQ(map->output(parts, 0), -ENOENT);
    EXPECT_EQ(ring.use_count(), 1);
}

} // namespace
} // namespace xdplane
