// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
#include "pcap_replay/mapped_file.h"

#include <cerrno>
#include <csignal>
#include <filesystem>
#include <fmt/format.h>
#include <fstream>
#include <gtest/gtest.h>
#include <string>
#include <sys/mman.h>
#include <unistd.h>
#include <vector>

#include "bpf/base/unique_fd.h"

#include <fcntl.h>

namespace xdplane {
namespace {

constexpr u64 kPage = 4096;
constexpr u64 kSize = 8 * kPage + 100;

class MappedFiles : public testing::Test {
protected:
    MappedFiles() : path_(testing::TempDir() + fmt::format("mapped_{}", ::getpid())) {
        std::ofstream(path_, std::ios::binary) << std::string(kSize, 'x');
    }
    ~MappedFiles() override { std::filesystem::remove(path_); }
    [[nodiscard]] UniqueFd open() const { return UniqueFd(::open(path_.c_str(), O_RDONLY | O_CLOEXEC)); }

    std::string path_;
};

u8 read_byte(const u8* at) { return *const_cast<const volatile u8*>(at); }

TEST_F(MappedFiles, HoldTheBytes) {
    const UniqueFd fd = open();
    const auto map = MappedFile::map(fd.get(), kSize);
    ASSERT_NE(map, nullptr);
    map->bring(0, kSize);
    EXPECT_FALSE(map->cut());
    EXPECT_EQ(read_byte(map->data() + kSize - 1), 'x');
    map->release(0, kSize);
    EXPECT_EQ(read_byte(map->data()), 'x');
    EXPECT_FALSE(map->cut());
}

TEST_F(MappedFiles, ArePagesOfZerosWhereTheFileIsGone) {
    const UniqueFd fd = open();
    const auto map = MappedFile::map(fd.get(), kSize);
    const auto other = MappedFile::map(fd.get(), kSize);
    ASSERT_NE(map, nullptr);
    map->bring(0, kSize);
    ASSERT_FALSE(map->cut());
    std::filesystem::resize_file(path_, 2 * kPage);
    EXPECT_EQ(read_byte(map->data() + kPage), 'x');
    EXPECT_FALSE(map->cut());
    EXPECT_EQ(read_byte(map->data() + 3 * kPage + 7), 0);
    EXPECT_TRUE(map->cut());
    EXPECT_EQ(read_byte(map->data() + kSize - 1), 0);
    EXPECT_EQ(read_byte(map->data() + kPage), 'x');
    EXPECT_FALSE(other->cut());
}

TEST_F(MappedFiles, SayThatPagesWereGoneWhenTheyWereBroughtIn) {
    const UniqueFd fd = open();
    const auto map = MappedFile::map(fd.get(), kSize);
    ASSERT_NE(map, nullptr);
    std::filesystem::resize_file(path_, 2 * kPage);
    map->bring(0, 2 * kPage);
    EXPECT_FALSE(map->cut());
    map->bring(kPage, 2 * kPage);
    EXPECT_TRUE(map->cut());
    EXPECT_EQ(read_byte(map->data() + kPage), 'x');
}

TEST_F(MappedFiles, AreAtMostSixtyFour) {
    const UniqueFd fd = open();
    EXPECT_EQ(MappedFile::map(fd.get(), 0), nullptr);
    std::vector<std::unique_ptr<MappedFile>> all;
    for (u32 i = 0; i < 64; ++i) ASSERT_NE(all.emplace_back(MappedFile::map(fd.get(), kSize)), nullptr);
    EXPECT_EQ(MappedFile::map(fd.get(), kSize), nullptr);
    all.pop_back();
    EXPECT_NE(MappedFile::map(fd.get(), kSize), nullptr);
}

/// A missing page of somebody else's mapping.
void read_beyond(const std::string& path) {
    const UniqueFd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
    const auto ours = MappedFile::map(fd.get(), kSize);
    const void* other = ::mmap(nullptr, kSize, PROT_READ, MAP_SHARED, fd.get(), 0);
    std::filesystem::resize_file(path, kPage);
    (void)read_byte(static_cast<const u8*>(other) + 2 * kPage);
    ::_exit(ours != nullptr ? 0 : 1);
}

TEST_F(MappedFiles, LeaveOtherSignalsToOthers) {
    GTEST_FLAG_SET(death_test_style, "threadsafe"); // a process in which nothing was mapped before
    EXPECT_EXIT(
        {
            struct sigaction theirs{};
            theirs.sa_handler = [](int) { ::_exit(42); };
            ::sigaction(SIGBUS, &theirs, nullptr);
            read_beyond(path_);
        },
        testing::ExitedWithCode(42), "");
}

} // namespace
} // namespace xdplane
