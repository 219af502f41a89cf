// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
// Ring buffers of programs and of users.
#include <cerrno>
#include <cstring>
#include <sys/epoll.h>
#include <thread>
#include <unistd.h>

#include "tests/e2e/events_support.h"

namespace xdplane::test {
namespace {

/// A stock ring buffer, and what came out of it.
struct RingReader {
    explicit RingReader(int fd) : ring(ring_buffer__new(fd, take, this, nullptr)) {
        EXPECT_NE(ring, nullptr);
    }
    ~RingReader() { ring_buffer__free(ring); }
    RingReader(const RingReader&) = delete;
    RingReader& operator=(const RingReader&) = delete;
    static int take(void* context, void* data, size_t size) {
        auto& self = *static_cast<RingReader*>(context);
        EXPECT_EQ(size, sizeof(Event));
        self.events.push_back(*static_cast<const Event*>(data));
        return self.stop_with;
    }
    ring_buffer* ring;
    std::vector<Event> events;
    int stop_with = 0;
};

TEST_F(Events, RingBufferIsPolled) {
    load();
    RingReader reader(map_fd("ring"));
    EXPECT_EQ(ring_buffer__poll(reader.ring, 0), 0) << "nothing there";
    for (u32 i = 0; i < 3; ++i) run("to_ring", 60 + i);
    EXPECT_EQ(ring_buffer__poll(reader.ring, 1000), 3);
    ASSERT_EQ(reader.events.size(), 3U);
    for (u32 i = 0; i < 3; ++i) {
        EXPECT_EQ(reader.events[i].length, 60 + i);
        EXPECT_EQ(reader.events[i].number, i);
    }
    EXPECT_EQ(ring_buffer__poll(reader.ring, 0), 0) << "consumed: no longer readable";
    run("to_ring");
    EXPECT_EQ(ring_buffer__poll(reader.ring, 1000), 1);
    EXPECT_EQ(ring_buffer__poll(reader.ring, 0), 0);
}

TEST_F(Events, RingBufferWaitsForAnotherThread) {
    load();
    RingReader reader(map_fd("ring"));
    for (int round = 0; round < 20; ++round) {
        std::jthread sender([&] { run("to_ring"); });
        ASSERT_EQ(ring_buffer__poll(reader.ring, 20000), 1);
    }
}

TEST_F(Events, RingBufferStaysReadableUntilItIsEmpty) {
    load();
    RingReader reader(map_fd("ring"));
    run("to_ring");
    run("to_ring");
    reader.stop_with = -1;
    EXPECT_EQ(ring_buffer__poll(reader.ring, 1000), -1) << "the callback's";
    reader.stop_with = 0;
    EXPECT_EQ(ring_buffer__poll(reader.ring, 1000), 1);
    EXPECT_EQ(reader.events.size(), 2U);
}

TEST_F(Events, RingBufferIsReadableAtOnceIfThereIsSomething) {
    load();
    run("to_ring");
    RingReader reader(map_fd("ring"));
    EXPECT_EQ(ring_buffer__poll(reader.ring, 1000), 1);
}

TEST_F(Events, RingBufferFlagsDecideOnWaking) {
    load();
    RingReader reader(map_fd("ring"));
    global<u64>("flags") = BPF_RB_NO_WAKEUP;
    run("to_ring");
    EXPECT_EQ(ring_buffer__poll(reader.ring, 0), 0);
    global<u64>("flags") = 0;
    run("to_ring");
    EXPECT_EQ(ring_buffer__poll(reader.ring, 0), 0) << "the consumer waits for the record before";
    global<u64>("flags") = BPF_RB_FORCE_WAKEUP;
    run("to_ring");
    EXPECT_EQ(ring_buffer__poll(reader.ring, 1000), 3);
    global<u64>("flags") = BPF_RB_NO_WAKEUP;
    run("to_ring");
    EXPECT_EQ(ring_buffer__consume(reader.ring), 1);
    global<u64>("flags") = 4;
    run("to_ring");
    EXPECT_EQ(global<__s64>("result"), -EINVAL);
}

TEST_F(Events, RingBufferFillsUpAndQueriesTell) {
    load();
    u32 sent = 0;
    for (;; ++sent) {
        run("to_ring");
        if (global<__s64>("result") != 0) break;
    }
    EXPECT_EQ(global<__s64>("result"), -EAGAIN);
    EXPECT_EQ(sent, 4096U / 16 - 1);
    RingReader reader(map_fd("ring"));
    EXPECT_EQ(ring_buffer__consume(reader.ring), static_cast<int>(sent));
    run("to_ring");
    const u64* answers = &global<u64>("answers");
    EXPECT_EQ(answers[0], 16U);
    EXPECT_EQ(answers[1], 4096U);
    EXPECT_EQ(answers[2], u64{sent} * 16);
    EXPECT_EQ(answers[3], u64{sent} * 16 + 16);
}

TEST_F(Events, RingBufferEpollsBesideOthers) {
    load();
    const int epoll = epoll_create1(EPOLL_CLOEXEC);
    int pipe_fds[2];
    ASSERT_EQ(pipe(pipe_fds), 0);
    epoll_event wanted{.events = EPOLLIN, .data = {.u64 = 1}};
    ASSERT_EQ(epoll_ctl(epoll, EPOLL_CTL_ADD, pipe_fds[0], &wanted), 0);
    wanted.data.u64 = 2;
    ASSERT_EQ(epoll_ctl(epoll, EPOLL_CTL_ADD, map_fd("ring"), &wanted), 0);
    EXPECT_EQ(epoll_ctl(epoll, EPOLL_CTL_ADD, map_fd("ring"), &wanted), -1);
    EXPECT_EQ(errno, EEXIST);
    epoll_event got[4];
    EXPECT_EQ(epoll_wait(epoll, got, 4, 0), 0);
    ASSERT_EQ(write(pipe_fds[1], "x", 1), 1);
    ASSERT_EQ(epoll_wait(epoll, got, 4, 1000), 1);
    EXPECT_EQ(u64{got[0].data.u64}, 1U); // a copy: the struct is packed
    run("to_ring");
    ASSERT_EQ(epoll_wait(epoll, got, 4, 1000), 2);
    ASSERT_EQ(epoll_ctl(epoll, EPOLL_CTL_DEL, map_fd("ring"), nullptr), 0);
    ASSERT_EQ(epoll_wait(epoll, got, 4, 0), 1);
    EXPECT_EQ(epoll_ctl(epoll, EPOLL_CTL_DEL, map_fd("ring"), nullptr), -1);
    EXPECT_EQ(errno, ENOENT);
    EXPECT_EQ(epoll_ctl(epoll, EPOLL_CTL_ADD, program_fd("counts"), &wanted), -1);
    EXPECT_EQ(errno, EPERM) << "nothing to wait for";
    for (const int fd : {epoll, pipe_fds[0], pipe_fds[1]}) close(fd);
}

TEST_F(Events, RecordsAreReservedSubmittedAndDiscarded) {
    bpf_program* reserves = bpf_object__find_program_by_name(object, "reserves");
    bpf_program__set_autoload(reserves, true);
    static std::string log;
    log.clear();
    libbpf_set_print([](libbpf_print_level, const char* format, va_list list) {
        char line[16384];
        vsnprintf(line, sizeof line, format, list);
        log += line;
        return 0;
    });
    if (bpf_object__load(object) != 0 && log.find("is not supported yet") != std::string::npos)
        GTEST_SKIP() << "the verifier does not know reserved records yet";
    memory = mmap(nullptr, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, map_fd(".bss"), 0);
    RingReader reader(map_fd("ring"));
    EXPECT_EQ(run("reserves"), u32{XDP_PASS});
    EXPECT_EQ(run("reserves"), u32{XDP_DROP});
    EXPECT_EQ(run("reserves"), u32{XDP_PASS});
    EXPECT_EQ(ring_buffer__poll(reader.ring, 1000), 2);
    ASSERT_EQ(reader.events.size(), 2U);
    EXPECT_EQ(reader.events[1].number, 2U);
}

TEST_F(Events, RingBufferLooksAsConsumersKnowIt) {
    load();
    run("to_ring", 60);
    run("to_ring", 61);
    void* pages = mmap(nullptr, 4 * 4096, PROT_READ, MAP_SHARED, map_fd("ring"), 0);
    ASSERT_NE(pages, MAP_FAILED);
    const auto word = [pages](size_t offset) {
        u32 value = 0;
        std::memcpy(&value, static_cast<char*>(pages) + offset, sizeof value);
        return value;
    };
    EXPECT_EQ(word(0), 0U) << "consumed";
    EXPECT_EQ(word(4096), 32U) << "produced";
    for (const u32 data : {2 * 4096U, 3 * 4096U}) {
        EXPECT_EQ(word(data), 8U) << "length";
        EXPECT_EQ(word(data + 4), 3U) << "pages";
        EXPECT_EQ(word(data + 8), 60U);
        EXPECT_EQ(word(data + 16), 8U);
        EXPECT_EQ(word(data + 24), 61U);
    }
    munmap(pages, 4 * 4096);
}

TEST_F(Events, UserRingBufferTakesSamples) {
    const int fd = bpf_map_create(BPF_MAP_TYPE_USER_RINGBUF, "commands", 0, 0, 4096, nullptr);
    ASSERT_GE(fd, 0);
    user_ring_buffer* ring = user_ring_buffer__new(fd, nullptr);
    ASSERT_NE(ring, nullptr);
    void* sample = user_ring_buffer__reserve(ring, 16);
    ASSERT_NE(sample, nullptr);
    std::memset(sample, 0x5a, 16);
    user_ring_buffer__submit(ring, sample);
    EXPECT_EQ(user_ring_buffer__reserve(ring, 4096), nullptr);
    EXPECT_EQ(errno, E2BIG);
    EXPECT_EQ(user_ring_buffer__reserve(ring, 4080), nullptr);
    EXPECT_EQ(errno, ENOSPC);
    void* pages = mmap(nullptr, 3 * 4096, PROT_READ, MAP_SHARED, fd, 0);
    ASSERT_NE(pages, MAP_FAILED);
    u64 produced = 0;
    std::memcpy(&produced, static_cast<char*>(pages) + 4096, sizeof produced);
    EXPECT_EQ(produced, 24U);
    munmap(pages, 3 * 4096);
    EXPECT_EQ(mmap(nullptr, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0), MAP_FAILED);
    EXPECT_EQ(errno, EPERM);
    user_ring_buffer__free(ring);
    close(fd);
}

TEST_F(Events, RingBufferMappingsAreLimited) {
    load();
    const int fd = map_fd("ring");
    const auto map_it = [fd](size_t size, int protection, off_t offset, int flags = MAP_SHARED) {
        void* place = mmap(nullptr, size, protection, flags, fd, offset);
        if (place == MAP_FAILED) return errno;
        munmap(place, size);
        return 0;
    };
    EXPECT_EQ(map_it(4096, PROT_READ | PROT_WRITE, 0), 0);
    EXPECT_EQ(map_it(4096, PROT_READ | PROT_WRITE, 4096), EPERM);
    EXPECT_EQ(map_it(8192, PROT_READ | PROT_WRITE, 0), EPERM);
    EXPECT_EQ(map_it(4 * 4096, PROT_READ, 0), 0);
    EXPECT_EQ(map_it(3 * 4096, PROT_READ, 4096), 0);
    EXPECT_EQ(map_it(4 * 4096, PROT_READ, 4096), EINVAL);
    EXPECT_EQ(map_it(4096, PROT_READ, 4 * 4096), EINVAL);
    EXPECT_EQ(map_it(4096, PROT_READ, 0, MAP_PRIVATE), EINVAL);
    EXPECT_EQ(bpf_map_freeze(fd), 0);
}

} // namespace
} // namespace xdplane::test
