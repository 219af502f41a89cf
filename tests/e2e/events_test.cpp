// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
//
// Events, redirects and pins through stock libbpf. Built twice: on xdplane's bpf(2), and (XDPLANE_ON_KERNEL)
// on the running kernel's, where all of it has to come out the same.
#include <cerrno>
#include <cstdio>
#ifdef XDPLANE_ON_KERNEL
#include <sys/mount.h>
#include <unistd.h>
#else
#include "bpf/syscall/bpf_system.h"
#endif
#include "tests/e2e/events_support.h"

namespace xdplane::test {
namespace {

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
    set_engine(engine == "jit" ? Engine::jit : Engine::interpreter);
    return true;
}
#endif

} // namespace
} // namespace xdplane::test

int main(int argc, char** argv) {
    testing::InitGoogleTest(&argc, argv);
    if (argc < 3) return 2;
    xdplane::test::g_object = argv[1];
    constexpr int kSkipped = 77;
    if (!xdplane::test::prepare(argv[2])) {
        std::puts("skipped: the kernel refuses bpf()");
        return kSkipped;
    }
    return RUN_ALL_TESTS();
}
