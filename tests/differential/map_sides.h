// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
#pragma once
#include <cerrno>
#include <cstring>
#include <fmt/format.h>
#include <gtest/gtest.h>
#include <linux/bpf.h>
#include <vector>

#include "bpf/isa/assembler.h"
#include "bpf/syscall/bpf_system.h"
#include "tests/support/kernel_bpf.h"

/// The same commands of bpf(2) to xdplane and to the running kernel.
namespace xdplane::sides {

using Bytes = std::vector<u8>;

struct Side {
    const char* name;
    long (*bpf)(u32 command, bpf_attr& attr);
    void (*close)(int fd);
};
inline constexpr Side kOurs = {
    "xdplane", [](u32 command, bpf_attr& attr) { return bpf_syscall(command, &attr, sizeof attr); },
    close_object_fd};
inline constexpr Side kKernel = {"kernel",
                                 [](u32 command, bpf_attr& attr) {
                                     return test::kernel_bpf(static_cast<int>(command), &attr, sizeof attr);
                                 },
                                 test::kernel_close};

inline bpf_attr zero_attr() {
    bpf_attr attr;
    std::memset(static_cast<void*>(&attr), 0, sizeof attr);
    return attr;
}
inline u64 address(const void* pointer) { return reinterpret_cast<u64>(pointer); }

struct Want {
    u32 type = 0;
    u32 key_size = 4;
    u32 value_size = 4;
    u32 max_entries = 1;
    u32 flags = 0;
    int inner = 0;
    u64 map_extra = 0;
    u32 numa_node = 0;

    [[nodiscard]] std::string text() const {
        return fmt::format("type {} key {} value {} entries {} flags {:#x} extra {} node {}", type, key_size,
                           value_size, max_entries, flags, map_extra, numa_node);
    }
};

/// fd or -errno.
inline long create(const Side& side, const Want& want) {
    bpf_attr attr = zero_attr();
    attr.map_type = want.type;
    attr.key_size = want.key_size;
    attr.value_size = want.value_size;
    attr.max_entries = want.max_entries;
    attr.map_flags = want.flags;
    attr.inner_map_fd = static_cast<u32>(want.inner);
    attr.map_extra = want.map_extra;
    attr.numa_node = want.numa_node;
    return side.bpf(BPF_MAP_CREATE, attr);
}

/// A map, a program, or an error: closed at the end.
class Object {
public:
    Object(const Side& side, long fd) : side_(&side), fd_(static_cast<int>(fd)) {}
    Object(const Side& side, const Want& want) : Object(side, create(side, want)) {}
    Object(Object&& other) noexcept : side_(other.side_), fd_(std::exchange(other.fd_, -1)) {}
    Object& operator=(Object&&) = delete;
    ~Object() {
        if (fd_ >= 0) side_->close(fd_);
    }

    [[nodiscard]] int fd() const { return fd_; }
    [[nodiscard]] const Side& side() const { return *side_; }

    long element(u32 command, const void* key, void* value, u64 flags = 0) const {
        bpf_attr attr = zero_attr();
        attr.map_fd = static_cast<u32>(fd_);
        attr.key = address(key);
        attr.value = address(value);
        attr.flags = flags;
        return side_->bpf(command, attr);
    }
    [[nodiscard]] bpf_map_info info() const {
        bpf_map_info info;
        std::memset(static_cast<void*>(&info), 0, sizeof info);
        bpf_attr attr = zero_attr();
        attr.info.bpf_fd = static_cast<u32>(fd_);
        attr.info.info_len = sizeof info;
        attr.info.info = address(&info);
        EXPECT_EQ(side_->bpf(BPF_OBJ_GET_INFO_BY_FD, attr), 0);
        return info;
    }
    /// All keys, in the map's order.
    [[nodiscard]] std::vector<Bytes> keys(u32 key_size, std::size_t most = 100'000) const {
        std::vector<Bytes> all;
        Bytes key(key_size);
        long rc = element(BPF_MAP_GET_NEXT_KEY, nullptr, key.data());
        for (; rc == 0 && all.size() < most;
             rc = element(BPF_MAP_GET_NEXT_KEY, all.back().data(), key.data()))
            all.push_back(key);
        EXPECT_EQ(rc, -ENOENT);
        return all;
    }

    /// PROG_TEST_RUN; the program's result or -errno.
    [[nodiscard]] long run(const Bytes& packet) const {
        bpf_attr attr = zero_attr();
        attr.test.prog_fd = static_cast<u32>(fd_);
        attr.test.data_in = address(packet.data());
        attr.test.data_size_in = static_cast<u32>(packet.size());
        attr.test.repeat = 1;
        const long rc = side_->bpf(BPF_PROG_TEST_RUN, attr);
        return rc != 0 ? rc : static_cast<long>(attr.test.retval);
    }

private:
    const Side* side_;
    int fd_;
};

/// An XDP program; "map[fd:0]" in its text is the map.
inline Object load_xdp(const Side& side, std::string_view text, int map) {
    auto insns = assemble(text);
    EXPECT_TRUE(insns) << insns.error().message;
    for (Insn& insn : *insns)
        if (insn.opcode == 0x18 && insn.src == kMapFd) insn.imm = map;
    static char log[1 << 16];
    log[0] = 0;
    bpf_attr attr = zero_attr();
    attr.prog_type = BPF_PROG_TYPE_XDP;
    attr.insns = address(insns->data());
    attr.insn_cnt = static_cast<u32>(insns->size());
    attr.license = address("GPL");
    attr.log_buf = address(log);
    attr.log_size = sizeof log;
    attr.log_level = 1;
    const long fd = side.bpf(BPF_PROG_LOAD, attr);
    EXPECT_GE(fd, 0) << side.name << ": " << log;
    return {side, fd};
}

/// The same map on both sides.
struct Pair {
    Object ours;
    Object kernels;

    explicit Pair(const Want& want) : ours(kOurs, want), kernels(kKernel, want) {
        EXPECT_GE(ours.fd(), 0) << want.text();
        EXPECT_GE(kernels.fd(), 0) << want.text();
    }
    Pair(Object a, Object b) : ours(std::move(a)), kernels(std::move(b)) {}

    /// Return code and what is behind `key` and `value` afterwards are the same.
    long both(u32 command, const Bytes* key, Bytes* value, u64 flags = 0) const {
        Bytes copy = value ? *value : Bytes();
        const void* k = key ? key->data() : nullptr;
        const long a = ours.element(command, k, value ? value->data() : nullptr, flags);
        const long b = kernels.element(command, k, value ? copy.data() : nullptr, flags);
        EXPECT_EQ(a, b) << "command " << command << " flags " << flags;
        if (value) {
            EXPECT_EQ(*value, copy) << "command " << command << " flags " << flags;
        }
        return b;
    }
};

class KernelMaps : public ::testing::Test {
protected:
    void SetUp() override {
        if (!test::kernel_bpf_allowed()) GTEST_SKIP() << "the kernel refuses bpf()";
    }
};

} // namespace xdplane::sides
