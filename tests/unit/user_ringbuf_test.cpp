// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
#include <cerrno>
#include <cstring>
#include <gtest/gtest.h>
#include <linux/bpf.h>
#include <vector>

#include "bpf/helpers/dynptr.h"
#include "bpf/helpers/helper.h"
#include "bpf/maps/ring_buffer.h"
#include "bpf/run/callback.h"

/// bpf_user_ringbuf_drain against producers that keep the rules and others that do not.
namespace xdplane {
namespace {

/// What the callback saw, and when it stops.
struct Seen {
    std::vector<std::vector<u8>> samples;
    std::size_t stop_after = ~std::size_t{0};
    Map* drain_again = nullptr; ///< a map that the callback tries to drain, too
    i64 again = 0;
};

class UserRingbuf : public testing::Test {
protected:
    UserRingbuf()
        : map_(create_map({.type = BPF_MAP_TYPE_USER_RINGBUF, .max_entries = 4096}).value()),
          ring_(static_cast<RingBuffer&>(*map_)) {
        entry_.code = reinterpret_cast<i64>(static_cast<CallbackFn>(take)) - reinterpret_cast<i64>(&entry_);
    }

    static u64 take(u64 dynptr, u64 context, u64, u64, RunContext*, const CallbackEntry* entry) noexcept {
        Seen& seen = *reinterpret_cast<Seen*>(context);
        const Dynptr& sample = *reinterpret_cast<const Dynptr*>(dynptr);
        std::vector<u8> bytes(sample.size());
        EXPECT_EQ(dynptr_read(bytes.data(), sample.size(), sample, 0, 0), 0);
        seen.samples.push_back(bytes);
        if (seen.drain_again != nullptr)
            seen.again = call(*seen.drain_again, reinterpret_cast<u64>(entry), context, 0);
        return seen.samples.size() >= seen.stop_after ? 1 : 0;
    }
    static i64 call(Map& map, u64 callback, u64 context, u64 flags) {
        return static_cast<i64>(find_helper(BPF_FUNC_user_ringbuf_drain)
                                    ->fn(reinterpret_cast<u64>(&map), callback, context, flags, 0));
    }
    i64 drain(u64 flags = 0) {
        return call(*map_, reinterpret_cast<u64>(&entry_), reinterpret_cast<u64>(&seen_), flags);
    }
    /// A header as user space writes it, and bytes of `value` behind it.
    void produce(u32 length, u8 value, u32 bits = 0) {
        u64 at = ring_.producer_position().load();
        u8* header = ring_.data() + (at & (ring_.data_size() - 1));
        std::memset(header + 8, value, length);
        const u32 word = length | bits;
        std::memcpy(header, &word, 4);
        at += 8 + (length + 7) / 8 * 8;
        ring_.producer_position().store(at);
    }
    void set_header(u64 at, u32 word) { std::memcpy(ring_.data() + at, &word, 4); }

    std::shared_ptr<Map> map_;
    RingBuffer& ring_;
    CallbackEntry entry_{};
    Seen seen_;
};

TEST_F(UserRingbuf, SamplesArriveInOrderAndWrap) {
    u8 value = 0;
    for (u32 round = 0; round < 100; ++round) {
        seen_.samples.clear();
        const u8 first = value;
        for (u32 i = 0; i < 3; ++i) produce(200 + value % 7, value), ++value;
        EXPECT_EQ(drain(), 3);
        for (u32 i = 0; i < 3; ++i) {
            const u8 expected = static_cast<u8>(first + i);
            ASSERT_EQ(seen_.samples[i], std::vector<u8>(200 + expected % 7, expected));
        }
        EXPECT_EQ(ring_.consumer_position().load(), ring_.producer_position().load());
    }
}

TEST_F(UserRingbuf, NothingIsThere) { EXPECT_EQ(drain(), 0); }

TEST_F(UserRingbuf, CallbackStops) {
    for (u8 i = 0; i < 5; ++i) produce(8, i);
    seen_.stop_after = 2;
    EXPECT_EQ(drain(), 2);
    EXPECT_EQ(ring_.consumer_position().load(), 32U);
}

TEST_F(UserRingbuf, DiscardedSamplesAreSkippedAndBusyOnesWaitedFor) {
    produce(8, 1, BPF_RINGBUF_DISCARD_BIT);
    produce(8, 2);
    produce(8, 3, BPF_RINGBUF_BUSY_BIT);
    produce(8, 4);
    EXPECT_EQ(drain(), 1);
    EXPECT_EQ(seen_.samples[0][0], 2);
    set_header(32, 8);
    EXPECT_EQ(drain(), 2);
}

TEST_F(UserRingbuf, OneAtATime) {
    produce(8, 1);
    seen_.drain_again = map_.get();
    EXPECT_EQ(drain(), 1);
    EXPECT_EQ(seen_.again, -EBUSY);
    EXPECT_EQ(drain(), 0);
}

TEST_F(UserRingbuf, Flags) {
    produce(8, 1);
    EXPECT_EQ(drain(4), -EINVAL);
    EXPECT_EQ(drain(BPF_RB_NO_WAKEUP), 1);
    EXPECT_EQ(drain(BPF_RB_FORCE_WAKEUP), 0);
}

TEST_F(UserRingbuf, PositionsThatAreNone) {
    produce(8, 1);
    ring_.producer_position().store(12);
    EXPECT_EQ(drain(), -EINVAL);
    ring_.producer_position().store(8);
    EXPECT_EQ(drain(), -EINVAL); // the sample does not fit
    ring_.consumer_position().store(64);
    EXPECT_EQ(drain(), 0);
    EXPECT_TRUE(seen_.samples.empty());
}

TEST_F(UserRingbuf, LengthsThatAreNone) {
    ring_.producer_position().store(u64{1} << 40);
    for (const u32 length : {4096U - 7, 4096U, 0x3fffffffU}) {
        set_header(0, length);
        EXPECT_EQ(drain(), -E2BIG) << length;
    }
    // Shortest of all, and the longest that fits.
    ring_.producer_position().store(8);
    set_header(0, 0);
    EXPECT_EQ(drain(), 1);
    ring_.producer_position().store(8 + 4096);
    set_header(8, 4096 - 8);
    EXPECT_EQ(drain(), 1);
    EXPECT_EQ(seen_.samples[1].size(), 4096U - 8);
}

} // namespace
} // namespace xdplane
