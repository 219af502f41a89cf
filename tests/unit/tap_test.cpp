// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
// The rings between workers and the client of a capture.
#include "dataplane/tap_ring.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <thread>

namespace xdplane {
namespace {

constexpr u32 kSmall = 4096;

TapMemory make(u32 workers = 1, u32 ring = kSmall) {
    auto memory = TapMemory::make(workers, ring);
    EXPECT_TRUE(memory) << memory.error().message;
    return std::move(*memory);
}

TapReader reader_of(const TapMemory& memory) {
    auto opened = TapMemory::open(UniqueFd(::dup(memory.fd())));
    EXPECT_TRUE(opened) << opened.error().message;
    return TapReader(std::move(*opened));
}

/// A record whose bytes all are `value`.
std::vector<u8> record(u64 stamp, u32 captured, u8 value) {
    const TapRecord header{.timestamp_ns = stamp,
                           .captured = captured,
                           .wire_len = captured,
                           .port = 0,
                           .verdict = 1,
                           .reason = TapRecord::kNone,
                           .unused = 0};
    std::vector<u8> bytes(header.size(), value);
    std::memcpy(bytes.data(), &header, sizeof header);
    return bytes;
}
bool put(TapWriter& writer, const std::vector<u8>& bytes) {
    return writer.put(bytes.data(), static_cast<u32>(bytes.size()));
}

/// Stamps of what is there.
std::vector<u64> stamps(TapReader& reader, u64 until = ~u64{0}) {
    std::vector<u64> all;
    const auto read = reader.read(until, [&](const TapRecord& one, const u8* bytes) {
        all.push_back(one.timestamp_ns);
        for (u32 i = 0; i < one.captured; ++i) EXPECT_EQ(bytes[i], static_cast<u8>(one.captured));
    });
    EXPECT_TRUE(read) << read.error().message;
    return all;
}

TEST(TapRing, RecordsOfAllLengthsComeBackAcrossTheEnd) {
    const TapMemory memory = make();
    TapWriter writer(memory, 0);
    TapReader reader = reader_of(memory);
    for (u32 i = 0; i < 3000; ++i) {
        ASSERT_TRUE(put(writer, record(i, i % 200, static_cast<u8>(i % 200)))) << i;
        writer.publish();
        ASSERT_EQ(stamps(reader), std::vector<u64>{i});
    }
    EXPECT_EQ(reader.matched(), 3000U);
    EXPECT_EQ(reader.lost(), 0U);
}

TEST(TapRing, WhatHasNoRoomIsLostAndCounted) {
    const TapMemory memory = make();
    TapWriter writer(memory, 0);
    TapReader reader = reader_of(memory);
    const auto one = record(1, 1000, static_cast<u8>(1000));
    for (u32 i = 1; i <= 5; ++i) EXPECT_EQ(put(writer, one), i * one.size() <= kSmall);
    EXPECT_EQ(stamps(reader).size(), 0U) << "nothing is seen before publish()";
    writer.publish();
    EXPECT_EQ(stamps(reader).size(), 4U);
    EXPECT_EQ(reader.matched(), 5U);
    EXPECT_EQ(reader.lost(), 1U);
    EXPECT_TRUE(put(writer, one)) << "there is room again";
}

TEST(TapRing, WorkersAreMergedByTime) {
    const TapMemory memory = make(3);
    TapReader reader = reader_of(memory);
    std::vector<TapWriter> writers;
    for (u32 worker = 0; worker < 3; ++worker) writers.emplace_back(memory, worker);
    for (const u64 stamp : {10, 40, 50}) ASSERT_TRUE(put(writers[0], record(stamp, 8, 8)));
    for (const u64 stamp : {20, 30, 60}) ASSERT_TRUE(put(writers[2], record(stamp, 8, 8)));
    for (TapWriter& writer : writers) writer.publish();
    EXPECT_EQ(stamps(reader, 35), (std::vector<u64>{10, 20, 30}));
    ASSERT_TRUE(put(writers[1], record(35, 8, 8)));
    writers[1].publish();
    EXPECT_EQ(stamps(reader), (std::vector<u64>{35, 40, 50, 60}));
}

TEST(TapRing, AHalfFullRingIsNotKeptWaiting) {
    const TapMemory memory = make();
    TapWriter writer(memory, 0);
    TapReader reader = reader_of(memory);
    const auto late = record(100, 1000, static_cast<u8>(1000));
    ASSERT_TRUE(put(writer, late) && put(writer, late) && put(writer, late));
    writer.publish();
    EXPECT_EQ(stamps(reader, 50).size(), 1U);
    EXPECT_EQ(stamps(reader, 100).size(), 2U);
}

TEST(TapRing, ReaderAndWriterAtOnce) {
    const TapMemory memory = make();
    TapReader reader = reader_of(memory);
    constexpr u64 kRecords = 20000;
    std::atomic<bool> done = false;
    std::thread worker([&] {
        TapWriter writer(memory, 0);
        for (u64 i = 0; i < kRecords; ++i) {
            const auto length = static_cast<u32>(i % 300);
            (void)put(writer, record(i, length, static_cast<u8>(length)));
            if (i % 7 == 0) writer.publish();
        }
        writer.publish();
        done = true;
    });
    u64 read = 0;
    u64 next = 0;
    for (bool last = false; !last;) {
        last = done;
        for (const u64 stamp : stamps(reader)) {
            ASSERT_GE(stamp, next);
            next = stamp + 1;
            ++read;
        }
    }
    worker.join();
    EXPECT_EQ(reader.matched(), kRecords);
    EXPECT_EQ(read + reader.lost(), kRecords);
}

TEST(TapRing, ATailThatCanNotBeCostsTheClientItsCapture) {
    const TapMemory memory = make();
    TapWriter writer(memory, 0);
    for (const u64 tail : {u64{1} << 60, ~u64{0}, u64{1}}) {
        memory.ends(0).tail.store(tail);
        for (int i = 0; i < 100; ++i) (void)put(writer, record(1, 100, 100));
        writer.publish();
    }
    EXPECT_GT(memory.ends(0).lost.load(), 0U);
}

TEST(TapRing, ADamagedRingIsAnError) {
    const auto read = [](const TapMemory& memory) {
        TapReader reader = reader_of(memory);
        return reader.read(~u64{0}, [](const TapRecord&, const u8*) {});
    };
    const TapMemory memory = make();
    for (const u64 head : {u64{8}, u64{kSmall + 8}, ~u64{0}}) {
        memory.ends(0).head.store(head);
        EXPECT_FALSE(read(memory)) << head;
    }
    auto long_one = record(1, 8, 8);
    const u32 too_long = kMaxTapSnaplen + 1;
    std::memcpy(long_one.data() + offsetof(TapRecord, captured), &too_long, sizeof too_long);
    std::memcpy(memory.ring(0), long_one.data(), long_one.size());
    memory.ends(0).head.store(kSmall);
    EXPECT_FALSE(read(memory));
}

TEST(TapRing, ItsMemoryCanNotBeCut) {
    const TapMemory memory = make();
    EXPECT_NE(::ftruncate(memory.fd(), 4096), 0);
    EXPECT_NE(::ftruncate(memory.fd(), 1 << 20), 0);
}

TEST(TapRing, OnlyItsOwnMemoryIsOpened) {
    EXPECT_FALSE(TapMemory::open(UniqueFd()));
    EXPECT_FALSE(TapMemory::open(UniqueFd(::open("/dev/null", O_RDWR))));
    EXPECT_FALSE(TapMemory::open(UniqueFd(::open("/proc/self/exe", O_RDONLY))));
    UniqueFd file(::memfd_create("x", MFD_CLOEXEC));
    std::array<u8, 24> first{};
    const TapMemory memory = make();
    ASSERT_EQ(::pread(memory.fd(), first.data(), first.size(), 0), static_cast<ssize_t>(first.size()));
    ASSERT_EQ(::write(file.get(), first.data(), first.size()), static_cast<ssize_t>(first.size()));
    EXPECT_FALSE(TapMemory::open(std::move(file))) << "shorter than it says";
}

} // namespace
} // namespace xdplane
