// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
// Pins below /sys/fs/bpf.
#include <cerrno>
#include <cstring>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "tests/e2e/events_support.h"

namespace xdplane::test {
namespace {

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

} // namespace
} // namespace xdplane::test
