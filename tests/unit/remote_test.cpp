// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
// bpf(2) over a socket: what comes back, and when objects go.
#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <fcntl.h>
#include <memory>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>
#include <vector>

#include "bpf/remote/served_call.h"
#include "bpf/remote/user_memory.h"
#include "tests/support/eventually.h"
#include "tests/unit/remote_support.h"

namespace xdplane::test {
namespace {

using namespace remote;

TEST_F(Remote, ElementsGoThereAndBack) {
    const UniqueFd map(static_cast<int>(make_map()));
    ASSERT_GE(map.get(), 0);
    const u32 key = 3;
    const u64 value = 77;
    EXPECT_EQ(element(BPF_MAP_UPDATE_ELEM, map.get(), &key, &value), 0);
    u64 read = 0;
    EXPECT_EQ(element(BPF_MAP_LOOKUP_ELEM, map.get(), &key, &read), 0);
    EXPECT_EQ(read, 77U);
    EXPECT_EQ(element(BPF_MAP_DELETE_ELEM, map.get(), &key, nullptr), 0);
    EXPECT_EQ(element(BPF_MAP_LOOKUP_ELEM, map.get(), &key, &read), -ENOENT);
}

TEST_F(Remote, OnlyWhatWasWrittenIsWritten) {
    std::array<u32, 16> guarded{};
    guarded.fill(0xa5a5a5a5);
    const UniqueFd map(static_cast<int>(make_map(BPF_MAP_TYPE_ARRAY)));
    const u32 key = 0;
    EXPECT_EQ(element(BPF_MAP_LOOKUP_ELEM, map.get(), &key, &guarded[4]), 0);
    EXPECT_EQ(guarded[3], 0xa5a5a5a5);
    EXPECT_EQ(guarded[4], 0U);
    EXPECT_EQ(guarded[5], 0U);
    EXPECT_EQ(guarded[6], 0xa5a5a5a5);
    const u32 beyond = 99;
    guarded.fill(0xa5a5a5a5);
    EXPECT_EQ(element(BPF_MAP_LOOKUP_ELEM, map.get(), &beyond, &guarded[4]), -ENOENT);
    EXPECT_EQ(guarded[4], 0xa5a5a5a5);
}

TEST_F(Remote, BadAddressesAreErrors) {
    const UniqueFd map(static_cast<int>(make_map()));
    const u32 key = 3;
    const auto* const nowhere = reinterpret_cast<const void*>(16);
    u64 value = 1;
    EXPECT_EQ(element(BPF_MAP_UPDATE_ELEM, map.get(), nowhere, &value), -EFAULT);
    EXPECT_EQ(element(BPF_MAP_UPDATE_ELEM, map.get(), &key, nowhere), -EFAULT);
    EXPECT_EQ(element(BPF_MAP_UPDATE_ELEM, map.get(), &key, &value), 0);
    EXPECT_EQ(element(BPF_MAP_LOOKUP_ELEM, map.get(), &key, nowhere), -EFAULT);
    EXPECT_EQ(forward(BPF_MAP_CREATE, reinterpret_cast<void*>(16), 64), -EFAULT);
    EXPECT_EQ(element(BPF_MAP_LOOKUP_ELEM, map.get(), &key, &value), 0) << "it goes on";
}

TEST_F(Remote, StrangersAreRefused) {
    const u32 key = 0;
    u64 value = 0;
    const UniqueFd memory(memfd_create("bpf-map", MFD_CLOEXEC));
    const UniqueFd socket(::socket(AF_UNIX, SOCK_STREAM, 0));
    EXPECT_EQ(element(BPF_MAP_LOOKUP_ELEM, memory.get(), &key, &value), -EINVAL);
    EXPECT_EQ(element(BPF_MAP_LOOKUP_ELEM, socket.get(), &key, &value), -EINVAL);
    EXPECT_EQ(element(BPF_MAP_LOOKUP_ELEM, 9999, &key, &value), -EBADF);
    EXPECT_EQ(element(BPF_MAP_LOOKUP_ELEM, -1, &key, &value), -EBADF);
}

TEST_F(Remote, ObjectsGoWithTheirLastFdAnywhere) {
    const int map = static_cast<int>(make_map());
    const u32 id = id_of(map);
    ASSERT_TRUE(lives(id));
    const int copy = dup(map);
    int pair[2];
    ASSERT_EQ(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
    const pid_t child = fork();
    if (child == 0) {
        char byte;
        (void)!read(pair[1], &byte, 1); // keeps both fds until told
        _exit(0);
    }
    close(map);
    close(copy);
    const UniqueFd other(static_cast<int>(make_map())); // the server has seen what there was to see
    EXPECT_TRUE(lives(id)) << "the child has it";
    (void)!write(pair[0], "x", 1);
    waitpid(child, nullptr, 0);
    EXPECT_TRUE(eventually([&] { return !lives(id); }));
    close(pair[0]);
    close(pair[1]);
}

TEST_F(Remote, ProgramArraysKeepTheirProgramsWhileSomebodyHasOne) {
    const UniqueFd array([] {
        auto attr = zero_attr();
        attr.map_type = BPF_MAP_TYPE_PROG_ARRAY;
        attr.key_size = attr.value_size = 4;
        attr.max_entries = 1;
        return static_cast<int>(forward(BPF_MAP_CREATE, &attr, sizeof attr));
    }());
    const bpf_insn pass[] = {
        {.code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = 0, .src_reg = 0, .off = 0, .imm = 2},
        {.code = BPF_JMP | BPF_EXIT, .dst_reg = 0, .src_reg = 0, .off = 0, .imm = 0}};
    auto attr = zero_attr();
    attr.prog_type = BPF_PROG_TYPE_XDP;
    attr.insns = address(pass);
    attr.insn_cnt = 2;
    attr.license = address("GPL");
    int program = static_cast<int>(forward(BPF_PROG_LOAD, &attr, sizeof attr));
    ASSERT_GE(program, 0);
    const u32 key = 0;
    ASSERT_EQ(element(BPF_MAP_UPDATE_ELEM, array.get(), &key, &program), 0);
    close(program);
    u32 id = 0;
    {
        // Another fd for it comes and goes, of the server's own even.
        auto get = zero_attr();
        get.map_id = id_of(array.get());
        const UniqueFd again(static_cast<int>(forward(BPF_MAP_GET_FD_BY_ID, &get, sizeof get)));
        EXPECT_TRUE(lives(id_of(array.get())));
    }
    const UniqueFd other(static_cast<int>(make_map()));
    EXPECT_EQ(element(BPF_MAP_LOOKUP_ELEM, array.get(), &key, &id), 0);
    EXPECT_NE(id, 0U);
}

TEST_F(Remote, ChildrenHaveConnectionsOfTheirOwn) {
    const UniqueFd map(static_cast<int>(make_map()));
    const u32 key = 1;
    u64 value = 5;
    ASSERT_EQ(element(BPF_MAP_UPDATE_ELEM, map.get(), &key, &value), 0);
    std::vector<pid_t> children;
    for (int i = 0; i < 4; ++i) {
        children.push_back(fork());
        if (children.back() != 0) continue;
        long wrong = 0;
        for (int n = 0; n < 100; ++n)
            wrong += element(BPF_MAP_LOOKUP_ELEM, map.get(), &key, &value) != 0 || value != 5;
        _exit(wrong == 0 ? 0 : 1);
    }
    for (int n = 0; n < 100; ++n) EXPECT_EQ(element(BPF_MAP_LOOKUP_ELEM, map.get(), &key, &value), 0);
    for (const pid_t child : children) {
        int status = -1;
        waitpid(child, &status, 0);
        EXPECT_EQ(status, 0);
    }
}

TEST_F(Remote, ConnectionsThatAProgramClosedAreMadeAnew) {
    const UniqueFd map(static_cast<int>(make_map()));
    for (int fd = 3; fd < 2000; ++fd)
        if (struct stat st{}; fd != map.get() && fstat(fd, &st) == 0 && S_ISSOCK(st.st_mode)) {
            sockaddr_un peer{};
            socklen_t size = sizeof peer;
            if (getpeername(fd, reinterpret_cast<sockaddr*>(&peer), &size) == 0 &&
                server_.path() == peer.sun_path)
                dup2(STDERR_FILENO, fd);
        }
    EXPECT_NE(id_of(map.get()), 0U);
}

TEST(Handles, AreCountedAndComeBack) {
    constexpr rlim_t kWanted = Handles::kMaxHandles + 512;
    rlimit limit{};
    getrlimit(RLIMIT_NOFILE, &limit);
    if (limit.rlim_max < kWanted) GTEST_SKIP() << "only " << limit.rlim_max << " fds";
    const rlimit more{.rlim_cur = kWanted, .rlim_max = limit.rlim_max};
    setrlimit(RLIMIT_NOFILE, &more);
    auto made = Handles::make();
    ASSERT_TRUE(made);
    Handles& handles = **made;
    auto map = create_map({.type = BPF_MAP_TYPE_ARRAY, .key_size = 4, .value_size = 4, .max_entries = 1});
    ASSERT_TRUE(map);
    const std::weak_ptr<Map> watched = *map;
    std::vector<UniqueFd> fds;
    int result = 0;
    while (result >= 0 && fds.size() <= Handles::kMaxHandles) {
        result = handles.open(*map, O_RDWR);
        if (result >= 0) fds.emplace_back(result);
    }
    EXPECT_EQ(result, -EMFILE);
    EXPECT_EQ(fds.size(), Handles::kMaxHandles);
    map->reset();
    EXPECT_FALSE(watched.expired());
    fds.clear();
    handles.collect();
    EXPECT_EQ(handles.size(), 0U);
    EXPECT_TRUE(watched.expired());
    setrlimit(RLIMIT_NOFILE, &limit);
}

TEST_F(Remote, LongTestRunsEnd) {
    const bpf_insn pass[] = {
        {.code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = 0, .src_reg = 0, .off = 0, .imm = 2},
        {.code = BPF_JMP | BPF_EXIT, .dst_reg = 0, .src_reg = 0, .off = 0, .imm = 0}};
    auto attr = zero_attr();
    attr.prog_type = BPF_PROG_TYPE_XDP;
    attr.insns = address(pass);
    attr.insn_cnt = 2;
    attr.license = address("GPL");
    const UniqueFd program(static_cast<int>(forward(BPF_PROG_LOAD, &attr, sizeof attr)));
    ASSERT_GE(program.get(), 0);
    const u8 packet[64] = {};
    attr = zero_attr();
    attr.test.prog_fd = static_cast<u32>(program.get());
    attr.test.data_in = address(packet);
    attr.test.data_size_in = sizeof packet;
    attr.test.repeat = 1000;
    EXPECT_EQ(forward(BPF_PROG_TEST_RUN, &attr, sizeof attr), 0);
    EXPECT_EQ(attr.test.retval, 2U);
    attr.test.repeat = ~0U;
    EXPECT_EQ(forward(BPF_PROG_TEST_RUN, &attr, sizeof attr), -EINTR);
}

TEST(Paths, AreTakenByTheirLetters) {
    EXPECT_EQ(absolute_path("/sys/fs/bpf/../bpf//a/./b/"), "/sys/fs/bpf/a/b");
    EXPECT_EQ(absolute_path("/../.."), "/");
    EXPECT_TRUE(absolute_path("x").ends_with("/x"));
    EXPECT_TRUE(is_pin_path("/sys/fs/bpf"));
    EXPECT_TRUE(is_pin_path("/sys/fs/bpf/x"));
    EXPECT_FALSE(is_pin_path("/sys/fs/bpfx"));
}

/// Without anybody there: an error, one line, no wait.
TEST(Gone, IsAnInputOutputError) {
    setenv(kSocketVariable, "/nonexistent/socket", 1);
    EXPECT_EQ(make_map(), -EIO);
    setenv(kSocketVariable, std::string(200, 'x').c_str(), 1);
    EXPECT_EQ(make_map(), -EIO);
}

} // namespace
} // namespace xdplane::test
