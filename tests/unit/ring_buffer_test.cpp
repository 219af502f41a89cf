// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
#include "bpf/maps/ring_buffer.h"

#include <array>
#include <cerrno>
#include <cstring>
#include <gtest/gtest.h>
#include <poll.h>
#include <thread>
#include <vector>

namespace xdplane {
namespace {

const u64 kPage = static_cast<u64>(::sysconf(_SC_PAGESIZE));

std::shared_ptr<RingBuffer> ring(u32 pages = 1, u32 type = BPF_MAP_TYPE_RINGBUF) {
    auto map = create_map({.type = type, .max_entries = static_cast<u32>(pages * kPage), .name = "events"});
    EXPECT_TRUE(map) << map.error().message;
    return std::dynamic_pointer_cast<RingBuffer>(*map);
}

/// A consumer as libbpf is one: it knows the mapped pages only.
class Consumer {
public:
    explicit Consumer(const RingBuffer& ring) : size_(ring.data_size()) {
        control_ = ring.map_for_user(nullptr, kPage, PROT_READ | PROT_WRITE, MAP_SHARED, 0);
        data_ = ring.map_for_user(nullptr, kPage + 2 * size_, PROT_READ, MAP_SHARED, static_cast<i64>(kPage));
        EXPECT_NE(control_, MAP_FAILED);
        EXPECT_NE(data_, MAP_FAILED);
    }
    ~Consumer() {
        ::munmap(control_, kPage);
        ::munmap(data_, kPage + 2 * size_);
    }
    Consumer(const Consumer&) = delete;
    Consumer& operator=(const Consumer&) = delete;

    /// Calls `take(bytes, length)` for each record that is there; returns how many.
    template<class Take>
    int consume(Take take) {
        int count = 0;
        u64 at = consumed().load(std::memory_order_acquire);
        while (at < produced().load(std::memory_order_acquire)) {
            auto* header = reinterpret_cast<std::atomic<u32>*>(bytes() + (at & (size_ - 1)));
            const u32 length = header->load(std::memory_order_acquire);
            if ((length & BPF_RINGBUF_BUSY_BIT) != 0) break;
            const u32 size = length & ~u32{BPF_RINGBUF_DISCARD_BIT};
            if (size == length) {
                take(reinterpret_cast<const u8*>(header) + BPF_RINGBUF_HDR_SZ, size);
                ++count;
            }
            at += (size + BPF_RINGBUF_HDR_SZ + 7) / 8 * 8;
            consumed().store(at, std::memory_order_release);
        }
        return count;
    }
    std::atomic<u64>& consumed() { return *static_cast<std::atomic<u64>*>(control_); }
    std::atomic<u64>& produced() { return *static_cast<std::atomic<u64>*>(data_); }
    u8* bytes() { return static_cast<u8*>(data_) + kPage; }

private:
    u64 size_;
    void* control_;
    void* data_;
};

bool send(RingBuffer& to, const void* bytes, u64 size, u64 flags = 0) {
    void* record = to.reserve(size);
    if (record == nullptr) return false;
    std::memcpy(record, bytes, size);
    RingBuffer::commit(record, flags, false);
    return true;
}

bool signalled(int fd) {
    pollfd waiting{.fd = fd, .events = POLLIN, .revents = 0};
    return ::poll(&waiting, 1, 0) == 1;
}

TEST(RingBuffer, RecordsArriveInOrderAndWrap) {
    const auto events = ring();
    Consumer consumer(*events);
    u32 sent = 0;
    u32 got = 0;
    for (u32 round = 0; round < 300; ++round) {
        for (u32 i = 0; i < 3; ++i) {
            std::array<u32, 100> bytes;
            bytes.fill(sent);
            ASSERT_TRUE(send(*events, bytes.data(), 4 + (sent % 99) * 4));
            ++sent;
        }
        consumer.consume([&](const u8* bytes, u32 size) {
            ASSERT_EQ(size, 4 + (got % 99) * 4);
            for (u32 i = 0; i < size; i += 4) {
                u32 word;
                std::memcpy(&word, bytes + i, 4);
                ASSERT_EQ(word, got);
            }
            ++got;
        });
    }
    EXPECT_EQ(got, sent);
    EXPECT_FALSE(events->readable());
}

TEST(RingBuffer, BusyRecordsHoldBackThoseBehindAndDiscardedOnesAreSkipped) {
    const auto events = ring();
    Consumer consumer(*events);
    void* first = events->reserve(8);
    void* second = events->reserve(8);
    void* third = events->reserve(8);
    RingBuffer::commit(second, 0, false);
    RingBuffer::commit(third, 0, true);
    int seen = 0;
    const auto count = [&](const u8*, u32) { ++seen; };
    EXPECT_EQ(consumer.consume(count), 0);
    EXPECT_TRUE(events->readable()) << "as Linux: not consumed, whether committed or not";
    RingBuffer::commit(first, 0, false);
    EXPECT_EQ(consumer.consume(count), 2);
    EXPECT_EQ(events->query(BPF_RB_CONS_POS), 48U);
}

TEST(RingBuffer, ReserveKnowsItsLimits) {
    const auto events = ring();
    EXPECT_EQ(events->reserve(kPage), nullptr);
    EXPECT_EQ(events->reserve(kPage - BPF_RINGBUF_HDR_SZ), nullptr) << "a full ring would look empty";
    EXPECT_EQ(events->reserve(RingBuffer::kMaxRecord + u64{1}), nullptr);
    EXPECT_EQ(events->reserve(~u64{0}), nullptr);
    void* most = events->reserve(kPage - 16);
    ASSERT_NE(most, nullptr);
    EXPECT_EQ(events->reserve(0), nullptr);
    RingBuffer::commit(most, 0, false);
    EXPECT_EQ(events->reserve(0), nullptr) << "not consumed yet";
    events->consumer_position() = events->query(BPF_RB_PROD_POS);
    void* empty = events->reserve(0);
    ASSERT_NE(empty, nullptr);
    RingBuffer::commit(empty, 0, false);
}

TEST(RingBuffer, AConsumerThatLiesHarmsNobody) {
    const auto events = ring();
    for (const u64 lie : {~u64{0}, u64{1} << 63, u64{4097}, u64{7}}) {
        events->consumer_position() = lie;
        for (int i = 0; i < 100; ++i) {
            if (void* record = events->reserve(64)) {
                std::memset(record, 0xff, 64);
                RingBuffer::commit(record, 0, i % 2 == 0);
            }
        }
    }
    // What is not committed is never written over, whatever the consumer says.
    events->consumer_position() = events->query(BPF_RB_PROD_POS);
    auto* pending = static_cast<u8*>(events->reserve(1000));
    ASSERT_NE(pending, nullptr);
    std::memset(pending, 0x11, 1000);
    for (int i = 0; i < 100; ++i) {
        events->consumer_position() = events->query(BPF_RB_PROD_POS);
        if (void* record = events->reserve(500)) {
            std::memset(record, 0x22, 500);
            RingBuffer::commit(record, 0, false);
        }
    }
    for (int i = 0; i < 1000; ++i) ASSERT_EQ(pending[i], 0x11);
    RingBuffer::commit(pending, 0, false);
}

TEST(RingBuffer, QueriesTellPositions) {
    const auto events = ring(2);
    EXPECT_EQ(events->query(BPF_RB_RING_SIZE), 2 * kPage);
    EXPECT_TRUE(send(*events, "12345", 5));
    EXPECT_TRUE(send(*events, "12345678", 8));
    events->consumer_position() = 16;
    EXPECT_EQ(events->query(BPF_RB_PROD_POS), 32U);
    EXPECT_EQ(events->query(BPF_RB_CONS_POS), 16U);
    EXPECT_EQ(events->query(BPF_RB_AVAIL_DATA), 16U);
    EXPECT_EQ(events->query(4), 0U);
    EXPECT_EQ(events->query(~u64{0}), 0U);
}

TEST(RingBuffer, MappingsAreLimitedAsOnLinux) {
    const auto events = ring();
    const auto map = [&](const RingBuffer& of, u64 size, int protection, u64 offset) {
        void* place = of.map_for_user(nullptr, size, protection, MAP_SHARED, static_cast<i64>(offset));
        if (place == MAP_FAILED) return errno;
        // Every byte can be read.
        u64 sum = 0;
        for (u64 i = 0; i < size; i += kPage) sum += static_cast<volatile u8*>(place)[i];
        ::munmap(place, size);
        return static_cast<int>(sum & 0);
    };
    constexpr int kRead = PROT_READ;
    constexpr int kBoth = PROT_READ | PROT_WRITE;
    EXPECT_EQ(map(*events, kPage, kBoth, 0), 0);
    EXPECT_EQ(map(*events, 2 * kPage, kBoth, 0), EPERM);
    EXPECT_EQ(map(*events, kPage, kBoth, kPage), EPERM);
    EXPECT_EQ(map(*events, 4 * kPage, kRead, 0), 0);
    EXPECT_EQ(map(*events, 3 * kPage, kRead, kPage), 0);
    EXPECT_EQ(map(*events, kPage, kRead, 3 * kPage), 0);
    EXPECT_EQ(map(*events, 2 * kPage, kRead, 3 * kPage), EINVAL);
    EXPECT_EQ(map(*events, kPage, kRead, 4 * kPage), EINVAL);
    EXPECT_EQ(map(*events, 5 * kPage, kRead, 0), EINVAL);
    EXPECT_EQ(map(*events, kPage, kRead, 100), EINVAL);
    EXPECT_EQ(map(*events, 0, kRead, 0), EINVAL);

    const auto commands = ring(1, BPF_MAP_TYPE_USER_RINGBUF);
    EXPECT_EQ(map(*commands, kPage, kBoth, 0), EPERM);
    EXPECT_EQ(map(*commands, kPage, kRead, 0), 0);
    EXPECT_EQ(map(*commands, 3 * kPage, kBoth, kPage), 0);
}

TEST(RingBuffer, WakesWhoWaitsForThisRecord) {
    const auto events = ring();
    Consumer consumer(*events);
    EXPECT_TRUE(send(*events, "a", 1)) << "nobody waits yet";
    const int fd = *events->wakeup().arm();
    EXPECT_EQ(*events->wakeup().arm(), fd);
    const auto settle = [&] {
        events->wakeup().settle([&] { return events->readable(); });
        return signalled(fd);
    };
    EXPECT_FALSE(signalled(fd));
    const auto nothing = [](const u8*, u32) {};
    EXPECT_TRUE(send(*events, "b", 1));
    EXPECT_FALSE(signalled(fd)) << "the consumer is behind and will come by";
    EXPECT_TRUE(send(*events, "c", 1, BPF_RB_FORCE_WAKEUP));
    EXPECT_TRUE(settle());
    consumer.consume(nothing);
    EXPECT_FALSE(settle()) << "all consumed";
    EXPECT_TRUE(send(*events, "d", 1));
    EXPECT_TRUE(settle());
    EXPECT_TRUE(settle()) << "level-triggered";
    consumer.consume(nothing);
    EXPECT_FALSE(settle());
    EXPECT_TRUE(send(*events, "e", 1, BPF_RB_NO_WAKEUP));
    EXPECT_FALSE(settle());
    consumer.consume(nothing);
    // A discarded record wakes too: it is to be skipped.
    RingBuffer::commit(events->reserve(8), 0, true);
    EXPECT_TRUE(settle());
    consumer.consume(nothing);
    EXPECT_FALSE(settle());
    // Of two, the first is the one that is waited for.
    void* first = events->reserve(8);
    void* second = events->reserve(8);
    RingBuffer::commit(second, 0, false);
    EXPECT_FALSE(signalled(fd));
    RingBuffer::commit(first, 0, false);
    EXPECT_TRUE(settle());
}

TEST(RingBuffer, ManyProducersLoseNothing) {
    constexpr u32 kProducers = 3;
    constexpr u32 kEach = 8000;
    const auto events = ring();
    const int fd = *events->wakeup().arm();
    std::vector<std::jthread> producers;
    for (u32 number = 0; number < kProducers; ++number) {
        producers.emplace_back([&events, number] {
            for (u32 i = 0; i < kEach;) {
                const std::array<u32, 4> bytes = {number, i, ~number, ~i};
                void* record = events->reserve(8 + i % 2 * 8);
                if (record == nullptr) {
                    std::this_thread::yield();
                    continue;
                }
                std::memcpy(record, bytes.data(), 8);
                // Some think better of it, and try again.
                const bool discard = i % 7 == 3 && i % 2 == 1;
                RingBuffer::commit(record, 0, discard);
                if (discard) {
                    while ((record = events->reserve(8)) == nullptr) std::this_thread::yield();
                    std::memcpy(record, bytes.data(), 8);
                    RingBuffer::commit(record, 0, false);
                }
                ++i;
            }
        });
    }
    Consumer consumer(*events);
    std::array<u32, kProducers> next{};
    u32 total = 0;
    while (total < kProducers * kEach) {
        total += static_cast<u32>(consumer.consume([&](const u8* bytes, u32) {
            std::array<u32, 2> record;
            std::memcpy(record.data(), bytes, 8);
            ASSERT_LT(record[0], kProducers);
            ASSERT_EQ(record[1], next[record[0]]++);
        }));
        if (HasFatalFailure() || total == kProducers * kEach) break;
        // As epoll_wait() does it. Nobody who waits is forgotten: there is no timeout to save it.
        events->wakeup().settle([&] { return events->readable(); });
        pollfd waiting{.fd = fd, .events = POLLIN, .revents = 0};
        ASSERT_EQ(::poll(&waiting, 1, 20000), 1);
    }
    EXPECT_EQ(total, kProducers * kEach);
}

} // namespace
} // namespace xdplane
