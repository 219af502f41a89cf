// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
//
// Events, redirects and pins through stock libbpf. Built twice: on xdplane's bpf(2), and (XDPLANE_ON_KERNEL)
// on the running kernel's, where all of it has to come out the same.
#include <array>
#include <bpf/bpf.h>
#include <bpf/btf.h>
#include <bpf/libbpf.h>
#include <cerrno>
#include <cstring>
#include <gtest/gtest.h>
#include <linux/perf_event.h>
#include <memory>
#include <sched.h>
#include <string>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <thread>
#include <unistd.h>
#include <vector>

#ifndef XDPLANE_ON_KERNEL
#include "bpf/syscall/bpf_system.h"
#endif

namespace {

using u32 = __u32;
using u64 = __u64;

std::string g_object;
bool g_bpf_fs = true; ///< /sys/fs/bpf is one

struct Event {
    u32 length;
    u32 number;
};

class Events : public testing::Test {
protected:
    void SetUp() override {
        libbpf_set_print([](libbpf_print_level, const char*, va_list) { return 0; });
        object = bpf_object__open_file(g_object.c_str(), nullptr);
        ASSERT_NE(object, nullptr);
        bpf_map__set_pin_path(map("xdplane_pinned"), nullptr);
        // The programs count on one CPU.
        ASSERT_EQ(sched_getaffinity(0, sizeof cpus, &cpus), 0);
        cpu = sched_getcpu();
        cpu_set_t one;
        CPU_ZERO(&one);
        CPU_SET(static_cast<unsigned>(cpu), &one);
        ASSERT_EQ(sched_setaffinity(0, sizeof one, &one), 0);
    }
    void TearDown() override {
        bpf_object__close(object);
        sched_setaffinity(0, sizeof cpus, &cpus);
    }
    void load() {
        ASSERT_EQ(bpf_object__load(object), 0);
        memory = mmap(nullptr, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, map_fd(".bss"), 0);
        ASSERT_NE(memory, MAP_FAILED);
    }
    bpf_map* map(const char* name) const {
        bpf_map* one = nullptr;
        bpf_object__for_each_map(one, object) {
            const std::string its = bpf_map__name(one);
            if (its == name || its.ends_with(name)) return one;
        }
        return nullptr;
    }
    int map_fd(const char* name) const { return bpf_map__fd(map(name)); }
    int program_fd(const char* name) const {
        return bpf_program__fd(bpf_object__find_program_by_name(object, name));
    }
    /// A global variable, by its offset in the section that BTF tells.
    template<class T>
    T& global(const char* name) {
        const btf* types = bpf_object__btf(object);
        const __s32 section = btf__find_by_name_kind(types, ".bss", BTF_KIND_DATASEC);
        const btf_type* type = btf__type_by_id(types, static_cast<u32>(section));
        const auto* info = reinterpret_cast<const btf_var_secinfo*>(type + 1);
        for (u32 i = 0; i < (type->info & 0xffff); ++i) {
            const btf_type* variable = btf__type_by_id(types, info[i].type);
            if (std::string(btf__name_by_offset(types, variable->name_off)) == name)
                return *reinterpret_cast<T*>(static_cast<char*>(memory) + info[i].offset);
        }
        ADD_FAILURE() << "no variable " << name;
        return *static_cast<T*>(memory);
    }
    u32 run(const char* program, u32 size = 64) {
        std::vector<unsigned char> packet(size, 0xab);
        bpf_test_run_opts options{};
        options.sz = sizeof options;
        options.data_in = packet.data();
        options.data_size_in = size;
        options.repeat = 1;
        EXPECT_EQ(bpf_prog_test_run_opts(program_fd(program), &options), 0) << program;
        return options.retval;
    }

    bpf_object* object = nullptr;
    void* memory = nullptr;
    cpu_set_t cpus{};
    int cpu = 0;
};

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

/// A stock perf buffer, and what came out of it.
struct StreamReader {
    struct Sample {
        int cpu;
        std::string bytes;
    };
    StreamReader(int fd, size_t pages) : buffer(perf_buffer__new(fd, pages, take, lost, this, nullptr)) {
        EXPECT_NE(buffer, nullptr) << std::strerror(errno);
    }
    ~StreamReader() { perf_buffer__free(buffer); }
    StreamReader(const StreamReader&) = delete;
    StreamReader& operator=(const StreamReader&) = delete;
    static void take(void* context, int cpu, void* data, u32 size) {
        static_cast<StreamReader*>(context)->samples.push_back(
            {cpu, std::string(static_cast<const char*>(data), size)});
    }
    static void lost(void* context, int, u64 count) {
        static_cast<StreamReader*>(context)->lost_samples += count;
    }
    perf_buffer* buffer;
    std::vector<Sample> samples;
    u64 lost_samples = 0;
};

TEST_F(Events, PerfBufferGetsDataAndPacketBytes) {
    load();
    StreamReader reader(map_fd("stream"), 1);
    EXPECT_EQ(perf_buffer__poll(reader.buffer, 0), 0);
    u32 number = 0;
    for (const u32 appended : {0U, 1U, 7U, 14U, 64U}) {
        global<u64>("flags") = BPF_F_CURRENT_CPU | u64{appended} << 32;
        run("to_stream");
        ASSERT_EQ(global<__s64>("result"), 0);
        ASSERT_EQ(perf_buffer__poll(reader.buffer, 1000), 1);
        ASSERT_EQ(reader.samples.size(), ++number);
        const auto& sample = reader.samples.back();
        EXPECT_EQ(sample.cpu, cpu);
        Event event;
        std::memcpy(&event, sample.bytes.data(), sizeof event);
        EXPECT_EQ(event.length, 64U);
        EXPECT_EQ(event.number, number - 1);
        // Filled up so that the record is a multiple of 8 bytes.
        EXPECT_EQ(sample.bytes.size(), (sizeof event + appended + 4 + 7) / 8 * 8 - 4);
        EXPECT_EQ(sample.bytes.substr(8, appended), std::string(appended, '\xab'));
    }
    EXPECT_EQ(perf_buffer__poll(reader.buffer, 0), 0);
}

TEST_F(Events, PerfBufferErrorsAreTold) {
    load();
    const auto output = [&](u64 with) {
        global<u64>("flags") = with;
        run("to_stream");
        return global<__s64>("result");
    };
    EXPECT_EQ(output(BPF_F_CURRENT_CPU), -ENOENT) << "nobody reads";
    EXPECT_EQ(output(1000), -E2BIG);
    StreamReader reader(map_fd("stream"), 1);
    EXPECT_EQ(output(BPF_F_CURRENT_CPU), 0);
    EXPECT_EQ(output(static_cast<u64>(cpu)), 0);
    EXPECT_EQ(output(BPF_F_CURRENT_CPU | u64{65} << 32), -EFAULT) << "more than the packet has";
    EXPECT_EQ(output(BPF_F_CURRENT_CPU | u64{1} << 52), -EINVAL);
    EXPECT_EQ(output(BPF_F_CURRENT_CPU | u64{0xfffff} << 32), -EFAULT);
    const int other = 1 - cpu;
    if (sysconf(_SC_NPROCESSORS_ONLN) == 2) {
        EXPECT_EQ(output(static_cast<u64>(other)), -EOPNOTSUPP);
    }
    EXPECT_EQ(perf_buffer__consume(reader.buffer), 0);
    EXPECT_EQ(reader.samples.size(), 2U);
}

TEST_F(Events, PerfBufferTellsOfLostSamples) {
    load();
    StreamReader reader(map_fd("stream"), 1);
    global<u64>("flags") = BPF_F_CURRENT_CPU;
    u32 sent = 0;
    for (;; ++sent) {
        run("to_stream");
        if (global<__s64>("result") != 0) break;
    }
    EXPECT_EQ(global<__s64>("result"), -ENOSPC);
    EXPECT_EQ(sent, 4095U / 24);
    run("to_stream");
    perf_buffer__poll(reader.buffer, 1000);
    EXPECT_EQ(reader.samples.size(), sent);
    EXPECT_EQ(reader.lost_samples, 0U) << "told with the next sample";
    run("to_stream");
    perf_buffer__poll(reader.buffer, 1000);
    EXPECT_EQ(reader.lost_samples, 2U);
    EXPECT_EQ(reader.samples.size(), sent + 1);
}

TEST_F(Events, PerfBufferWaitsForAnotherThread) {
    load();
    StreamReader reader(map_fd("stream"), 4);
    global<u64>("flags") = BPF_F_CURRENT_CPU;
    for (int round = 0; round < 20; ++round) {
        std::jthread sender([&] { run("to_stream"); });
        ASSERT_EQ(perf_buffer__poll(reader.buffer, 20000), 1);
    }
}

TEST_F(Events, SocketFiltersReachThePerfBuffer) {
    load();
    StreamReader reader(map_fd("stream"), 1);
    global<u64>("flags") = BPF_F_CURRENT_CPU | u64{4} << 32;
    run("from_socket");
    ASSERT_EQ(global<__s64>("result"), 0);
    ASSERT_EQ(perf_buffer__poll(reader.buffer, 1000), 1);
    EXPECT_EQ(reader.samples[0].bytes.substr(8, 4), std::string(4, '\xab'));
}

TEST_F(Events, PerfEventsLeaveWithTheMapsFd) {
    load();
    const int fd = map_fd("stream");
    auto reader = std::make_unique<StreamReader>(fd, 1);
    u32 index = static_cast<u32>(cpu);
    u32 value = 0;
    EXPECT_EQ(bpf_map_lookup_elem(fd, &index, &value), -524);
    EXPECT_EQ(bpf_map_delete_elem(fd, &index), 0);
    EXPECT_EQ(bpf_map_delete_elem(fd, &index), -ENOENT);
}

TEST_F(Events, RedirectsFollowTheMap) {
    load();
    const int fd = map_fd("ports");
    bpf_devmap_val port{};
    port.ifindex = 1;
    u32 index = 2;
    ASSERT_EQ(bpf_map_update_elem(fd, &index, &port, 0), 0);
    index = 3;
    port.bpf_prog.fd = program_fd("leaves");
    ASSERT_EQ(bpf_map_update_elem(fd, &index, &port, 0), 0);
    ASSERT_EQ(bpf_map_lookup_elem(fd, &index, &port), 0);
    EXPECT_EQ(port.ifindex, 1U);
    EXPECT_NE(port.bpf_prog.id, 0U);
    for (u32 key = 0; key < 6; ++key)
        for (u64 flags = 0; flags < 64; ++flags) {
            global<u32>("key") = key;
            global<u64>("flags") = flags;
            const bool unknown = (flags & ~u64{3 | BPF_F_BROADCAST | BPF_F_EXCLUDE_INGRESS}) != 0;
            const bool hit = key == 2 || key == 3 || (flags & BPF_F_BROADCAST) != 0;
            const u64 expected = unknown ? u64{XDP_ABORTED} : hit ? u64{XDP_REDIRECT} : flags & 3;
            ASSERT_EQ(run("to_port"), expected) << "key " << key << " flags " << flags;
        }
    global<u32>("key") = 2;
    EXPECT_EQ(run("looks_up"), 101U);
    global<u32>("key") = 1;
    EXPECT_EQ(run("looks_up"), u32{XDP_DROP});
    port.bpf_prog.fd = program_fd("to_port");
    index = 0;
    EXPECT_EQ(bpf_map_update_elem(fd, &index, &port, 0), -EINVAL) << "not loaded for a devmap";
}

class Pins : public Events {
protected:
    void SetUp() override {
        if (!g_bpf_fs) GTEST_SKIP() << "no bpf file system here";
        Events::SetUp();
        ASSERT_EQ(mkdir(directory.c_str(), 0700), 0) << std::strerror(errno);
    }
    void TearDown() override {
        if (!g_bpf_fs) return;
        rmdir((directory + "/deep").c_str());
        EXPECT_EQ(rmdir(directory.c_str()), 0) << std::strerror(errno);
        Events::TearDown();
    }
    /// BPF_OBJ_GET with flags.
    static int get(const std::string& path, u32 flags) {
        bpf_attr attr;
        std::memset(&attr, 0, sizeof attr);
        attr.pathname = reinterpret_cast<u64>(path.c_str());
        attr.file_flags = flags;
        const long fd = syscall(__NR_bpf, BPF_OBJ_GET, &attr, sizeof attr);
        return fd < 0 ? -errno : static_cast<int>(fd);
    }
    const std::string directory = "/sys/fs/bpf/xdplane_test";
};

TEST_F(Pins, ErrorsAreLinuxs) {
    load();
    const int fd = map_fd("ring");
    const std::string path = directory + "/ring";
    EXPECT_EQ(bpf_obj_pin(fd, path.c_str()), 0);
    EXPECT_EQ(bpf_obj_pin(fd, path.c_str()), -EEXIST);
    EXPECT_EQ(bpf_obj_pin(fd, directory.c_str()), -EEXIST);
    EXPECT_EQ(bpf_obj_pin(fd, "/sys/fs/bpf/xdplane_missing/ring"), -ENOENT);
    EXPECT_EQ(bpf_obj_pin(fd, (path + "/below").c_str()), -ENOTDIR);
    EXPECT_EQ(bpf_obj_pin(fd, (directory + "/a.b").c_str()), -EPERM);
    EXPECT_EQ(bpf_obj_pin(fd, "/tmp/xdplane_no_bpf_fs"), -EPERM);
    EXPECT_EQ(bpf_obj_pin(fd, "/tmp"), -EEXIST);
    EXPECT_EQ(bpf_obj_pin(fd, "/tmp/xdplane_missing/ring"), -ENOENT);
    EXPECT_EQ(bpf_obj_pin(fd, "/dev/null/ring"), -ENOTDIR);
    EXPECT_EQ(bpf_obj_pin(fd, ""), -ENOENT);
    EXPECT_EQ(bpf_obj_pin(fd, (directory + "/" + std::string(256, 'a')).c_str()), -ENAMETOOLONG);
    EXPECT_EQ(bpf_obj_pin(fd, std::string(5000, 'a').c_str()), -ENAMETOOLONG);
    EXPECT_EQ(bpf_obj_pin(fd, nullptr), -EFAULT);
    EXPECT_EQ(bpf_obj_pin(-1, (directory + "/x").c_str()), -EINVAL);
    EXPECT_EQ(bpf_obj_pin(0, (directory + "/x").c_str()), -EINVAL);
    EXPECT_EQ(bpf_obj_pin(bpf_object__btf_fd(object), (directory + "/x").c_str()), -EINVAL);

    EXPECT_EQ(bpf_obj_get("/sys/fs/bpf/xdplane_missing"), -ENOENT);
    EXPECT_EQ(bpf_obj_get(directory.c_str()), -EACCES);
    EXPECT_EQ(bpf_obj_get((path + "/below").c_str()), -ENOTDIR);
    EXPECT_EQ(bpf_obj_get("/tmp"), -EACCES);
    EXPECT_EQ(bpf_obj_get("/tmp/xdplane_missing"), -ENOENT);
    EXPECT_EQ(bpf_obj_get(""), -ENOENT);
    EXPECT_EQ(bpf_obj_get(nullptr), -EFAULT);
    EXPECT_EQ(get(path, BPF_F_RDONLY | BPF_F_WRONLY), -EINVAL);
    EXPECT_EQ(get(path, 1), -EINVAL);

    EXPECT_EQ(mkdir(directory.c_str(), 0700), -1);
    EXPECT_EQ(errno, EEXIST);
    EXPECT_EQ(mkdir((path + "/below").c_str(), 0700), -1);
    EXPECT_EQ(errno, ENOTDIR);
    EXPECT_EQ(mkdir((directory + "/a.b").c_str(), 0700), -1);
    EXPECT_EQ(errno, EPERM);
    EXPECT_EQ(unlink(directory.c_str()), -1);
    EXPECT_EQ(errno, EISDIR);
    EXPECT_EQ(rmdir(directory.c_str()), -1);
    EXPECT_EQ(errno, ENOTEMPTY);
    EXPECT_EQ(rmdir(path.c_str()), -1);
    EXPECT_EQ(errno, ENOTDIR);
    EXPECT_EQ(unlink(path.c_str()), 0);
    EXPECT_EQ(unlink(path.c_str()), -1);
    EXPECT_EQ(errno, ENOENT);
}

TEST_F(Pins, PathsAreResolved) {
    load();
    const int fd = map_fd("ring");
    EXPECT_EQ(bpf_obj_pin(fd, (directory + "/../xdplane_test/./ring").c_str()), 0);
    const int again = bpf_obj_get(("//sys/fs//bpf/xdplane_test/ring"));
    EXPECT_GE(again, 0);
    close(again);
    EXPECT_EQ(unlink((directory + "/ring").c_str()), 0);
}

TEST_F(Pins, ModesAreKept) {
    load();
    const std::string path = directory + "/ports";
    ASSERT_EQ(bpf_obj_pin(map_fd("ports"), path.c_str()), 0);
    const int reader = get(path, BPF_F_RDONLY);
    ASSERT_GE(reader, 0);
    u32 key = 0;
    bpf_devmap_val port{};
    EXPECT_EQ(bpf_map_update_elem(reader, &key, &port, 0), -EPERM);
    EXPECT_EQ(bpf_map_lookup_elem(reader, &key, &port), -ENOENT);
    close(reader);
    EXPECT_EQ(unlink(path.c_str()), 0);
}

TEST_F(Pins, HoldTheirObjects) {
    load();
    const std::string path = directory + "/deep/counts";
    EXPECT_EQ(bpf_program__pin(bpf_object__find_program_by_name(object, "counts"), path.c_str()), 0)
        << "makes the directory";
    ASSERT_EQ(bpf_map__pin(map("xdplane_pinned"), (directory + "/map").c_str()), 0);
    run("counts");
    bpf_object__close(object);
    object = nullptr;
    const int program = bpf_obj_get(path.c_str());
    ASSERT_GE(program, 0);
    std::vector<unsigned char> packet(64);
    bpf_test_run_opts options{};
    options.sz = sizeof options;
    options.data_in = packet.data();
    options.data_size_in = 64;
    EXPECT_EQ(bpf_prog_test_run_opts(program, &options), 0);
    const int map_fd = bpf_obj_get((directory + "/map").c_str());
    ASSERT_GE(map_fd, 0);
    u32 key = 0;
    u64 count = 0;
    EXPECT_EQ(bpf_map_lookup_elem(map_fd, &key, &count), 0);
    EXPECT_EQ(count, 2U);
    bpf_map_info info{};
    u32 size = sizeof info;
    ASSERT_EQ(bpf_obj_get_info_by_fd(map_fd, &info, &size), 0);
    close(map_fd);
    close(program);
    const int by_id = bpf_map_get_fd_by_id(info.id);
    EXPECT_GE(by_id, 0) << "the pin holds it";
    close(by_id);
    EXPECT_EQ(unlink(path.c_str()), 0);
    EXPECT_EQ(unlink((directory + "/map").c_str()), 0);
#ifndef XDPLANE_ON_KERNEL
    EXPECT_EQ(bpf_map_get_fd_by_id(info.id), -ENOENT); // the kernel frees a little later
#endif
}

TEST_F(Pins, ByNameIsSharedByObjects) {
    bpf_object__close(object);
    bpf_object_open_opts options{};
    options.sz = sizeof options;
    options.pin_root_path = directory.c_str();
    object = bpf_object__open_file(g_object.c_str(), &options);
    load();
    bpf_object* second = bpf_object__open_file(g_object.c_str(), &options);
    ASSERT_NE(second, nullptr);
    ASSERT_EQ(bpf_object__load(second), 0);
    bpf_map* pinned = bpf_object__find_map_by_name(second, "xdplane_pinned");
    EXPECT_TRUE(bpf_map__is_pinned(pinned));
    run("counts");
    u32 key = 0;
    u64 count = 0;
    EXPECT_EQ(bpf_map_lookup_elem(bpf_map__fd(pinned), &key, &count), 0);
    EXPECT_EQ(count, 1U);
    EXPECT_EQ(bpf_map__unpin(pinned, nullptr), 0);
    EXPECT_EQ(bpf_map__unpin(pinned, nullptr), -ENOENT);
    bpf_object__close(second);
}

TEST_F(Pins, AllMapsArePinnedAndUnpinned) {
    load();
    EXPECT_EQ(bpf_object__pin_maps(object, directory.c_str()), 0);
    const int fd = bpf_obj_get((directory + "/ring").c_str());
    EXPECT_GE(fd, 0);
    close(fd);
    EXPECT_EQ(bpf_object__unpin_maps(object, directory.c_str()), 0);
    EXPECT_EQ(bpf_obj_get((directory + "/ring").c_str()), -ENOENT);
}

#ifdef XDPLANE_ON_KERNEL
/// A bpf file system of our own, where others see none of it.
bool prepare(const std::string&) {
    const bool mounted = unshare(CLONE_NEWNS) == 0 &&
                         mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr) == 0 &&
                         mount("bpf", "/sys/fs/bpf", "bpf", 0, nullptr) == 0;
    g_bpf_fs = mounted;
    const int map = bpf_map_create(BPF_MAP_TYPE_RINGBUF, "probe", 0, 0, 4096, nullptr);
    if (map >= 0) close(map);
    return map >= 0;
}
#else
bool prepare(const std::string& engine) {
    xdplane::set_engine(engine == "jit" ? xdplane::Engine::jit : xdplane::Engine::interpreter);
    return true;
}
#endif

} // namespace

int main(int argc, char** argv) {
    testing::InitGoogleTest(&argc, argv);
    if (argc < 3) return 2;
    g_object = argv[1];
    constexpr int kSkipped = 77;
    if (!prepare(argv[2])) {
        std::puts("skipped: the kernel refuses bpf()");
        return kSkipped;
    }
    return RUN_ALL_TESTS();
}
