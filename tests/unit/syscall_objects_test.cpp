// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
// Objects behind fds: who keeps them, and what a program has become once it is loaded.
#include "bpf/syscall/bpf_system.h"

#include <atomic>
#include <fcntl.h>
#include <sys/mman.h>
#include <thread>
#include <unistd.h>

#include "tests/unit/syscall_cases.h"

namespace xdplane::test {
namespace {

/// How many maps live on our side.
int live_maps() {
    int count = 0;
    auto attr = zero_attr();
    while (bpf_syscall(BPF_MAP_GET_NEXT_ID, &attr, sizeof attr) == 0) {
        ++count;
        const u32 id = attr.next_id;
        attr = zero_attr();
        attr.start_id = id;
    }
    return count;
}

TEST(Objects, LiveAsLongAsAnFdIsOpen) {
    const int before = live_maps();
    {
        Env env(kOurs);
        EXPECT_GT(live_maps(), before);
    }
    EXPECT_EQ(live_maps(), before);
}

TEST(Objects, DuplicatedFdsCount) {
    const int before = live_maps();
    auto attr = zero_attr();
    attr.map_type = BPF_MAP_TYPE_HASH;
    attr.key_size = attr.value_size = attr.max_entries = 4;
    const int fd = static_cast<int>(bpf_syscall(BPF_MAP_CREATE, &attr, sizeof attr));
    ASSERT_GT(fd, 0);
    EXPECT_TRUE(fcntl(fd, F_GETFD) & FD_CLOEXEC);
    const int copy = dup(fd); // behind our back
    const auto map = map_from_fd(fd).get();
    close_object_fd(fd);
    EXPECT_EQ(map_from_fd(copy).get(), map);
    EXPECT_EQ(map_from_fd(fd), nullptr);
    EXPECT_EQ(live_maps(), before + 1);
    close(copy); // behind our back too
    EXPECT_EQ(live_maps(), before);
}

TEST(Objects, StaleNumbersNameNothing) {
    auto attr = zero_attr();
    attr.map_type = BPF_MAP_TYPE_ARRAY;
    attr.key_size = attr.value_size = attr.max_entries = 4;
    const int fd = static_cast<int>(bpf_syscall(BPF_MAP_CREATE, &attr, sizeof attr));
    ASSERT_GT(fd, 0);
    close(fd);
    const int other = memfd_create("other", MFD_CLOEXEC);
    ASSERT_EQ(other, fd) << "the lowest free number";
    EXPECT_EQ(map_from_fd(other), nullptr);
    close(other);
}

TEST(Objects, HoldersOutliveFds) {
    std::shared_ptr<Map> kept;
    u32 id = 0;
    {
        Env env(kOurs);
        kept = map_from_fd(env.mmapable);
        ASSERT_NE(kept, nullptr);
        id = kept->id;
    }
    auto attr = zero_attr();
    attr.map_id = id;
    const long fd = bpf_syscall(BPF_MAP_GET_FD_BY_ID, &attr, sizeof attr);
    ASSERT_GT(fd, 0);
    EXPECT_EQ(map_from_fd(static_cast<int>(fd)), kept);
    close_object_fd(static_cast<int>(fd));
    kept.reset();
    EXPECT_EQ(bpf_syscall(BPF_MAP_GET_FD_BY_ID, &attr, sizeof attr), -ENOENT);
}

TEST(Objects, FreezeWaitsForWritableMappings) {
    Env env(kOurs);
    ASSERT_EQ(check_object_mmap(env.mmapable, PROT_READ | PROT_WRITE, MAP_SHARED), 0);
    void* memory = mmap(nullptr, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, env.mmapable, 0);
    ASSERT_NE(memory, MAP_FAILED);
    EXPECT_EQ(freeze(env, env.mmapable), -EBUSY);
    munmap(memory, 4096);
    EXPECT_EQ(freeze(env, env.mmapable), 0);
    EXPECT_EQ(check_object_mmap(env.mmapable, PROT_READ | PROT_WRITE, MAP_SHARED), -EPERM);
    EXPECT_EQ(check_object_mmap(env.mmapable, PROT_READ, MAP_SHARED), 0);
    EXPECT_EQ(check_object_mmap(env.hash, PROT_READ, MAP_SHARED), -524);
    EXPECT_EQ(check_object_mmap(0, PROT_READ, MAP_SHARED), 1);
}

TEST(Objects, ThreadsMayComeAndGo) {
    const int before = live_maps();
    {
        std::vector<std::jthread> threads;
        std::atomic<u32> wrong{0};
        for (int t = 0; t < 4; ++t) {
            threads.emplace_back([&wrong] {
                for (u32 i = 0; i < 200; ++i) {
                    auto attr = zero_attr();
                    attr.map_type = i % 2 == 0 ? BPF_MAP_TYPE_ARRAY : BPF_MAP_TYPE_HASH;
                    attr.key_size = 4;
                    attr.value_size = 8 + i % 8;
                    attr.max_entries = 4;
                    const int fd = static_cast<int>(bpf_syscall(BPF_MAP_CREATE, &attr, sizeof attr));
                    const auto map = map_from_fd(fd);
                    if (!map || map->spec().value_size != 8 + i % 8) ++wrong;
                    attr = zero_attr();
                    static_cast<void>(bpf_syscall(BPF_MAP_GET_NEXT_ID, &attr, sizeof attr));
                    close_object_fd(fd);
                }
            });
        }
        threads.clear();
        EXPECT_EQ(wrong.load(), 0U);
    }
    EXPECT_EQ(live_maps(), before);
}

TEST(Objects, ProgramArraysBreakCycles) {
    std::weak_ptr<const Program> program;
    {
        Env env(kOurs);
        // A program that refers to the array that holds it.
        bpf_insn insns[] = {insn(BPF_LD | BPF_IMM | BPF_DW, 2, BPF_PSEUDO_MAP_FD, 0, env.prog_array),
                            insn(0, 0, 0, 0, 0), mov(0, XDP_DROP), leave()};
        auto attr = env.load_attr(BPF_PROG_TYPE_XDP);
        attr.insns = address(insns);
        attr.insn_cnt = 4;
        const long fd = bpf_syscall(BPF_PROG_LOAD, &attr, sizeof attr);
        ASSERT_EQ(env.fd(fd), 0) << fd;
        ASSERT_EQ(set_slot(env, 0, static_cast<int>(fd)), 0);
        program = program_from_fd(static_cast<int>(fd));
        EXPECT_FALSE(program.expired());
    }
    EXPECT_TRUE(program.expired());
}

TEST(Programs, TagIsTheSha1OfTheInstructions) {
    // printf '\xb7\0\0\0\2\0\0\0\x95\0\0\0\0\0\0\0' | sha1sum
    Env env(kOurs);
    const auto program = program_from_fd(env.xdp);
    ASSERT_NE(program, nullptr);
    const std::array<u8, 8> expected = {0x3b, 0x18, 0x51, 0x87, 0xf1, 0x85, 0x5c, 0x4c};
    EXPECT_EQ(program->parts().tag, expected);
}

/// Newer kernels put what lies behind data_end into a second buffer; packets here have one.
TEST(Programs, TestRunHasOneBuffer) {
    Env env(kOurs);
    EXPECT_EQ(test_run_md(env, [](bpf_attr&) { g_md.data_end = 60; }), -EINVAL);
    EXPECT_EQ(test_run(env, env.xdp, [](bpf_attr& a) { a.test.data_size_in = 4096 - 256 - 320 + 1; }),
              -EINVAL);
}

TEST(Programs, EngineIsChosenAtLoad) {
    for (const Engine wanted : {Engine::jit, Engine::interpreter}) {
        set_engine(wanted);
        Env env(kOurs);
        const auto program = program_from_fd(env.xdp);
        ASSERT_NE(program, nullptr);
        EXPECT_EQ(program->parts().jit, wanted == Engine::jit);
        EXPECT_EQ(program->parts().jited.empty(), wanted != Engine::jit);
    }
    set_engine(Engine::jit);
}

TEST(Programs, LogKeepsItsEnd) {
    Env env(kOurs);
    auto attr = env.load_attr(BPF_PROG_TYPE_XDP);
    char whole[4096] = {};
    attr.log_level = 2;
    attr.log_buf = address(whole);
    attr.log_size = sizeof whole;
    ASSERT_EQ(env.fd(bpf_syscall(BPF_PROG_LOAD, &attr, sizeof attr)), 0);
    const std::string text = whole;
    char part[128] = {}; // the smallest that is taken
    ASSERT_GT(text.size(), sizeof part);
    attr.log_buf = address(part);
    attr.log_size = sizeof part;
    EXPECT_EQ(bpf_syscall(BPF_PROG_LOAD, &attr, sizeof attr), -ENOSPC);
    EXPECT_EQ(std::strlen(part), sizeof part - 1);
    EXPECT_EQ(text.substr(text.size() - 5), std::string(part).substr(sizeof part - 6));
    attr.log_level = 2 | 8; // BPF_LOG_FIXED
    EXPECT_EQ(bpf_syscall(BPF_PROG_LOAD, &attr, sizeof attr), -ENOSPC);
    EXPECT_EQ(text.substr(0, sizeof part - 1), part);
}

} // namespace
} // namespace xdplane::test
