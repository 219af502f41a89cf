// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
//
// The same operations on a map of ours and on a map of the running kernel: same return codes, same contents.
#include <cerrno>
#include <cstring>
#include <fmt/format.h>
#include <gtest/gtest.h>
#include <linux/bpf.h>
#include <random>
#include <set>
#include <sys/syscall.h>
#include <vector>

#include "bpf/base/unique_fd.h"
#include "bpf/maps/map.h"

namespace xdplane {
namespace {

using Bytes = std::vector<u8>;

int kernel_bpf(int command, bpf_attr& attr) {
    const long rc = ::syscall(__NR_bpf, command, &attr, sizeof(attr));
    return rc < 0 ? -errno : static_cast<int>(rc);
}

/// fd or -errno.
int kernel_create(const MapSpec& spec) {
    bpf_attr attr{};
    attr.map_type = spec.type;
    attr.key_size = spec.key_size;
    attr.value_size = spec.value_size;
    attr.max_entries = spec.max_entries;
    attr.map_flags = spec.flags;
    return kernel_bpf(BPF_MAP_CREATE, attr);
}

class KernelMap {
public:
    explicit KernelMap(int fd) : fd_(fd) {}

    int element(int command, const void* key, void* value, u64 flags) const {
        bpf_attr attr{};
        attr.map_fd = static_cast<u32>(fd_.get());
        attr.key = reinterpret_cast<u64>(key);
        attr.value = reinterpret_cast<u64>(value);
        attr.flags = flags;
        return kernel_bpf(command, attr);
    }

private:
    UniqueFd fd_;
};

class MapsKernel : public ::testing::Test {
protected:
    void SetUp() override {
        const int fd =
            kernel_create({.type = BPF_MAP_TYPE_ARRAY, .key_size = 4, .value_size = 4, .max_entries = 1});
        if (fd < 0) GTEST_SKIP() << "the kernel refuses bpf(): " << std::strerror(-fd);
        ::close(fd);
    }
};

std::string describe(const MapSpec& spec) {
    return fmt::format("type {} key {} value {} entries {} flags {:#x}", spec.type, spec.key_size,
                       spec.value_size, spec.max_entries, spec.flags);
}

void compare_create(const MapSpec& spec) {
    const auto ours = create_map(spec);
    const int fd = kernel_create(spec);
    const UniqueFd owner(fd);
    EXPECT_EQ(ours ? 0 : -ours.error().code, fd < 0 ? fd : 0)
        << describe(spec) << ": " << (ours ? std::string("accepted") : ours.error().message);
}

constexpr u32 kTypes[] = {BPF_MAP_TYPE_HASH, BPF_MAP_TYPE_ARRAY, BPF_MAP_TYPE_PROG_ARRAY,
                          BPF_MAP_TYPE_PERCPU_HASH, BPF_MAP_TYPE_PERCPU_ARRAY};

TEST_F(MapsKernel, SizesAreAcceptedAndRefusedAlike) {
    constexpr u32 key_sizes[] = {0,        1,         3, 4, 5, 8, 512, 513, 4096, 1U << 20, (4U << 20) - 100,
                                 4U << 20, 0xffffffff};
    constexpr u32 value_sizes[] = {0,
                                   1,
                                   3,
                                   4,
                                   5,
                                   8,
                                   4096,
                                   32761,
                                   32768,
                                   32769,
                                   (4U << 20) - 100,
                                   4U << 20,
                                   (4U << 20) + 1,
                                   0x80000000,
                                   0x80000001,
                                   0xffffffff};
    for (const u32 type : kTypes)
        for (const u32 key_size : key_sizes)
            for (const u32 value_size : value_sizes)
                for (const u32 max_entries : {0U, 1U, 3U})
                    compare_create({.type = type,
                                    .key_size = key_size,
                                    .value_size = value_size,
                                    .max_entries = max_entries});
}

TEST_F(MapsKernel, TheLargestHashElementIsTheSame) {
    for (u32 value_size = (4U << 20) - 128; value_size < (4U << 20) + 8; ++value_size)
        compare_create({.type = BPF_MAP_TYPE_HASH,
                        .key_size = 4,
                        .value_size = value_size,
                        .max_entries = 1,
                        .flags = 1});
}

TEST_F(MapsKernel, FlagsAreAcceptedAndRefusedAlike) {
    for (const u32 type : kTypes) {
        MapSpec spec{.type = type, .key_size = 4, .value_size = 4, .max_entries = 4};
        for (u32 bit = 0; bit < 32; ++bit) {
            // INNER_MAP waits for maps of maps; the kernel reads BTF and tokens from more of bpf_attr for the
            // others.
            if (bit == 12 || (bit >= 13 && bit <= 19)) continue;
            spec.flags = 1U << bit;
            compare_create(spec);
            for (u32 other = 0; other < bit; ++other) {
                if (other == 12 || (other >= 13 && other <= 19)) continue;
                spec.flags = 1U << bit | 1U << other;
                compare_create(spec);
            }
        }
    }
}

TEST_F(MapsKernel, TooManyEntriesAreRefusedAlike) {
    for (const u32 max_entries : {0x80000001U, 0xffffffffU})
        for (const u32 type : {BPF_MAP_TYPE_HASH, BPF_MAP_TYPE_PERCPU_HASH})
            compare_create({.type = type, .key_size = 4, .value_size = 4, .max_entries = max_entries});
    // More than any machine's memory.
    compare_create(
        {.type = BPF_MAP_TYPE_ARRAY, .key_size = 4, .value_size = 0x7ffffff0, .max_entries = 0xffffffff});
}

/// A map of ours and one of the kernel's, given the same operations.
class Pair {
public:
    explicit Pair(const MapSpec& spec) : ours_(*create_map(spec)), kernel_(kernel_create(spec)) {
        value_size_ = ours_->syscall_value_size();
    }

    void update(const Bytes& key, const Bytes& value, u64 flags) {
        Bytes copy = value;
        EXPECT_EQ(ours_->ops().store_value(*ours_, key.data(), value.data(), flags),
                  kernel_.element(BPF_MAP_UPDATE_ELEM, key.data(), copy.data(), flags))
            << "update, flags " << flags;
    }
    void erase(const Bytes& key) {
        EXPECT_EQ(ours_->ops().erase(*ours_, key.data()),
                  kernel_.element(BPF_MAP_DELETE_ELEM, key.data(), nullptr, 0))
            << "delete";
    }
    void lookup(const Bytes& key, u64 flags) {
        Bytes ours(value_size_, 0xee);
        Bytes kernels(value_size_, 0xee);
        EXPECT_EQ(ours_->ops().copy_value(*ours_, key.data(), ours.data(), flags),
                  kernel_.element(BPF_MAP_LOOKUP_ELEM, key.data(), kernels.data(), flags))
            << "lookup, flags " << flags;
        EXPECT_EQ(ours, kernels);
    }
    /// Hashes have orders of their own: the sets must be equal, and unknown keys lead to the first.
    void iterate(const Bytes& unknown, bool ordered) {
        std::vector<Bytes> ours;
        std::vector<Bytes> kernels;
        Bytes key(unknown.size());
        for (int rc = ours_->ops().next_key(*ours_, nullptr, key.data()); rc == 0;
             rc = ours_->ops().next_key(*ours_, ours.back().data(), key.data()))
            ours.push_back(key);
        for (int rc = kernel_.element(BPF_MAP_GET_NEXT_KEY, nullptr, key.data(), 0); rc == 0;
             rc = kernel_.element(BPF_MAP_GET_NEXT_KEY, kernels.back().data(), key.data(), 0))
            kernels.push_back(key);
        if (ordered) {
            EXPECT_EQ(ours, kernels);
        }
        EXPECT_EQ(ours.size(), kernels.size());
        EXPECT_EQ(std::set<Bytes>(ours.begin(), ours.end()), std::set<Bytes>(kernels.begin(), kernels.end()));

        Bytes after(unknown.size());
        Bytes kernel_after(unknown.size());
        const int rc = ours_->ops().next_key(*ours_, unknown.data(), after.data());
        EXPECT_EQ(rc, kernel_.element(BPF_MAP_GET_NEXT_KEY, unknown.data(), kernel_after.data(), 0));
        if (rc == 0) {
            EXPECT_EQ(after, ours.front());
        }
    }

    [[nodiscard]] u32 value_size() const { return value_size_; }

private:
    std::shared_ptr<Map> ours_;
    KernelMap kernel_;
    u32 value_size_;
};

void compare_operations(const MapSpec& spec, u32 seed) {
    SCOPED_TRACE(describe(spec) + fmt::format(" seed {}", seed));
    std::mt19937 random(seed);
    Pair pair(spec);
    const bool ordered = spec.type == BPF_MAP_TYPE_ARRAY || spec.type == BPF_MAP_TYPE_PERCPU_ARRAY;
    const auto random_key = [&] {
        Bytes key(spec.key_size);
        key[0] = static_cast<u8>(random() % (spec.max_entries + spec.max_entries / 2 + 1));
        return key;
    };
    constexpr u64 flags[] = {BPF_ANY,    BPF_ANY, BPF_NOEXIST, BPF_EXIST,    3,
                             BPF_F_LOCK, 5,       8,           u64{1} << 40, ~u64{0}};
    for (u32 step = 0; step < 1500 && !::testing::Test::HasFailure(); ++step) {
        SCOPED_TRACE(fmt::format("step {}", step));
        const Bytes key = random_key();
        const u32 what = random() % 10;
        if (what < 5) {
            Bytes value(pair.value_size());
            for (u8& byte : value) byte = static_cast<u8>(random());
            pair.update(key, value, flags[random() % (random() % 4 == 0 ? std::size(flags) : 2)]);
        } else if (what < 7)
            pair.erase(key);
        else
            pair.lookup(key, random() % 8 == 0 ? flags[random() % std::size(flags)] : 0);
        if (step % 100 == 0) pair.iterate(Bytes(spec.key_size, 0xff), ordered);
    }
}

TEST_F(MapsKernel, RandomOperationsGiveTheSameCodesAndContents) {
    u32 seed = 1;
    for (const u32 type : {BPF_MAP_TYPE_ARRAY, BPF_MAP_TYPE_PERCPU_ARRAY})
        for (const u32 value_size : {1U, 4U, 8U, 12U, 61U})
            for (const u32 max_entries : {1U, 7U, 40U})
                compare_operations(
                    {.type = type, .key_size = 4, .value_size = value_size, .max_entries = max_entries},
                    seed++);
    for (const u32 type : {BPF_MAP_TYPE_HASH, BPF_MAP_TYPE_PERCPU_HASH})
        for (const u32 key_size : {1U, 4U, 8U, 13U, 40U})
            for (const u32 value_size : {1U, 8U, 61U})
                for (const u32 max_entries : {1U, 7U, 40U}) {
                    ++seed;
                    compare_operations({.type = type,
                                        .key_size = key_size,
                                        .value_size = value_size,
                                        .max_entries = max_entries,
                                        .flags = seed % 2 == 0 ? u32{BPF_F_NO_PREALLOC} : 0U},
                                       seed);
                }
}

TEST_F(MapsKernel, ProgArraysHaveTheSameKeysAndDeletes) {
    Pair pair({.type = BPF_MAP_TYPE_PROG_ARRAY, .key_size = 4, .value_size = 4, .max_entries = 3});
    pair.erase({0, 0, 0, 0});
    pair.erase({2, 0, 0, 0});
    pair.erase({3, 0, 0, 0});
    pair.iterate(Bytes(4, 0xff), true);
}

} // namespace
} // namespace xdplane
