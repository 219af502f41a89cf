// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
//
// Event, redirect and socket maps: the same calls of bpf(2) to xdplane and to the running kernel, the same
// answers.
#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <fmt/format.h>
#include <gtest/gtest.h>
#include <linux/btf.h>
#include <linux/perf_event.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>
#include <vector>

#include "bpf/syscall/bpf_system.h"
#include "tests/support/kernel_bpf.h"

namespace xdplane {
namespace {

constexpr u64 address(const void* pointer) { return reinterpret_cast<u64>(pointer); }

bpf_attr zero_attr() {
    bpf_attr attr;
    std::memset(static_cast<void*>(&attr), 0, sizeof attr);
    return attr;
}

perf_event_attr bpf_output() {
    perf_event_attr attr{};
    attr.size = sizeof attr;
    attr.type = PERF_TYPE_SOFTWARE;
    attr.config = PERF_COUNT_SW_BPF_OUTPUT;
    attr.sample_type = PERF_SAMPLE_RAW;
    attr.sample_period = 1;
    attr.wakeup_events = 1;
    return attr;
}

/// Who answers.
struct Side {
    const char* name;
    long (*bpf)(u32 command, void* attr, u32 size);
    long (*perf_event)(const perf_event_attr* attr, i32 pid, i32 cpu, i32 group, u64 flags);
    void (*close)(int fd);
};
const Side kOurs = {"xdplane", bpf_syscall,
                    [](const perf_event_attr* attr, i32 pid, i32 cpu, i32 group, u64 flags) {
                        return open_perf_event(attr, pid, cpu, group, flags);
                    },
                    close_object_fd};
const Side kKernel = {
    "kernel",
    [](u32 command, void* attr, u32 size) { return test::kernel_bpf(static_cast<int>(command), attr, size); },
    [](const perf_event_attr* attr, i32 pid, i32 cpu, i32 group, u64 flags) -> long {
        const long fd = ::syscall(SYS_perf_event_open, attr, pid, cpu, group, flags);
        return fd < 0 ? -errno : fd;
    },
    test::kernel_close};

/// Objects of one side that values may name.
class Env {
public:
    explicit Env(const Side& side) : side_(side) {
        hash = create({.type = BPF_MAP_TYPE_HASH, .key_size = 4, .value_size = 4, .max_entries = 1});
        plain = program(0);
        for_device = program(BPF_XDP_DEVMAP);
        for_cpu = program(BPF_XDP_CPUMAP);
        const perf_event_attr attr = bpf_output();
        event = keep(side_.perf_event(&attr, -1, 0, -1, PERF_FLAG_FD_CLOEXEC));
        socket = ::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
        file = ::open("/dev/null", O_RDONLY | O_CLOEXEC);
        btf = type_info();
    }
    ~Env() {
        for (const int fd : fds_) side_.close(fd);
        ::close(socket);
        ::close(file);
    }
    Env(const Env&) = delete;
    Env& operator=(const Env&) = delete;

    long call(u32 command, bpf_attr& attr) const { return side_.bpf(command, &attr, sizeof attr); }
    int create(const MapSpec& spec) {
        auto attr = zero_attr();
        attr.map_type = spec.type;
        attr.key_size = spec.key_size;
        attr.value_size = spec.value_size;
        attr.max_entries = spec.max_entries;
        attr.map_flags = spec.flags;
        if (spec.btf_key_type_id != 0) {
            attr.btf_fd = static_cast<u32>(btf);
            attr.btf_key_type_id = spec.btf_key_type_id;
            attr.btf_value_type_id = spec.btf_value_type_id;
        }
        return keep(call(BPF_MAP_CREATE, attr));
    }
    void drop(int fd) {
        if (fd < 0) return;
        side_.close(fd);
        std::erase(fds_, fd);
    }

    int hash, plain, for_device, for_cpu, event, socket, file, btf = -1;

private:
    int keep(long result) {
        if (result > 0) fds_.push_back(static_cast<int>(result));
        return static_cast<int>(result);
    }
    int program(u32 attach_type) {
        const bpf_insn insns[] = {
            {.code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = 0, .src_reg = 0, .off = 0, .imm = 2},
            {.code = BPF_JMP | BPF_EXIT, .dst_reg = 0, .src_reg = 0, .off = 0, .imm = 0}};
        auto attr = zero_attr();
        attr.prog_type = BPF_PROG_TYPE_XDP;
        attr.insns = address(insns);
        attr.insn_cnt = 2;
        attr.license = address("GPL");
        attr.expected_attach_type = attach_type;
        return keep(call(BPF_PROG_LOAD, attr));
    }
    int type_info() {
        // Type 1: a 32-bit int; type 2: a 64-bit one.
        struct {
            btf_header header = {BTF_MAGIC, BTF_VERSION, 0, sizeof(btf_header), 0, 32, 32, 12};
            u32 types[8] = {1, BTF_KIND_INT << 24, 4, 32, 5, BTF_KIND_INT << 24, 8, 64};
            char strings[12] = "\0int\0long\0";
        } const blob;
        auto attr = zero_attr();
        attr.btf = address(&blob);
        attr.btf_size = sizeof blob;
        return keep(call(BPF_BTF_LOAD, attr));
    }

    const Side& side_;
    std::vector<int> fds_;
};

class EventMapsKernel : public ::testing::Test {
protected:
    void SetUp() override {
        if (!test::kernel_bpf_allowed()) GTEST_SKIP() << "the kernel refuses bpf()";
    }
    Env ours{kOurs};
    Env kernel{kKernel};
};

std::string describe(const MapSpec& spec) {
    return fmt::format("type {} key {} value {} entries {} flags {:#x} btf {}", spec.type, spec.key_size,
                       spec.value_size, spec.max_entries, spec.flags, spec.btf_key_type_id);
}

constexpr u32 kTypes[] = {
    BPF_MAP_TYPE_PERF_EVENT_ARRAY, BPF_MAP_TYPE_STACK_TRACE, BPF_MAP_TYPE_CGROUP_ARRAY,
    BPF_MAP_TYPE_DEVMAP,           BPF_MAP_TYPE_SOCKMAP,     BPF_MAP_TYPE_CPUMAP,
    BPF_MAP_TYPE_XSKMAP,           BPF_MAP_TYPE_SOCKHASH,    BPF_MAP_TYPE_REUSEPORT_SOCKARRAY,
    BPF_MAP_TYPE_SK_STORAGE,       BPF_MAP_TYPE_DEVMAP_HASH, BPF_MAP_TYPE_RINGBUF,
    BPF_MAP_TYPE_USER_RINGBUF,
};

/// Attributes that the type takes.
MapSpec good_spec(u32 type) {
    MapSpec spec{.type = type, .key_size = 4, .value_size = 4, .max_entries = 3};
    if (type == BPF_MAP_TYPE_STACK_TRACE) spec.value_size = 64;
    if (type == BPF_MAP_TYPE_RINGBUF || type == BPF_MAP_TYPE_USER_RINGBUF) {
        spec.key_size = spec.value_size = 0;
        spec.max_entries = 4096;
    }
    if (type == BPF_MAP_TYPE_SK_STORAGE) {
        spec.max_entries = 0;
        spec.flags = BPF_F_NO_PREALLOC;
        spec.btf_key_type_id = spec.btf_value_type_id = 1;
    }
    return spec;
}

class CreateKernel : public EventMapsKernel {
protected:
    void compare(const MapSpec& spec) {
        const int a = ours.create(spec);
        const int b = kernel.create(spec);
        EXPECT_EQ(std::min(a, 0), std::min(b, 0)) << describe(spec);
        ours.drop(a);
        kernel.drop(b);
    }
};

TEST_F(CreateKernel, SizesAreAcceptedAndRefusedAlike) {
    for (const u32 type : kTypes)
        for (const u32 key : {0U, 1U, 3U, 4U, 5U, 8U, 512U, 513U})
            for (const u32 value : {0U, 1U, 4U, 5U, 8U, 12U, 16U, 64U, 1016U, 1024U, 4096U})
                for (const u32 entries : {0U, 1U, 3U, 4096U, 12288U, 65536U}) {
                    MapSpec spec = good_spec(type);
                    spec.key_size = key;
                    spec.value_size = value;
                    spec.max_entries = entries;
                    // How many CPUs a kernel is built for differs.
                    const bool many = entries >= 64 && entries < 65536;
                    if (type != BPF_MAP_TYPE_CPUMAP || !many) compare(spec);
                }
}

TEST_F(CreateKernel, FlagsAreAcceptedAndRefusedAlike) {
    for (const u32 type : kTypes)
        for (u32 bit = 0; bit < 32; ++bit) {
            // The kernel reads more of bpf_attr for these: BTF of structures, links, file descriptors,
            // tokens.
            if (bit >= 13 && bit <= 19) continue;
            MapSpec spec = good_spec(type);
            spec.flags ^= 1U << bit;
            compare(spec);
        }
}

TEST_F(CreateKernel, BtfIsAcceptedAndRefusedAlike) {
    for (const u32 type : kTypes)
        for (const u32 id : {0U, 1U, 2U, 3U}) {
            MapSpec spec = good_spec(type);
            spec.btf_key_type_id = spec.btf_value_type_id = id;
            compare(spec);
        }
}

TEST_F(CreateKernel, LimitsAreTheSame) {
    for (const u32 entries : {0x80000000U, 0x80000001U, 0xffffffffU})
        compare({.type = BPF_MAP_TYPE_DEVMAP_HASH,
                 .key_size = 4,
                 .value_size = 8,
                 .max_entries = entries ^ 1U << 31 ? entries : 0xfffffff0U});
    for (const u32 entries : {0x80000001U, 0xffffffffU})
        compare({.type = BPF_MAP_TYPE_STACK_TRACE, .key_size = 4, .value_size = 8, .max_entries = entries});
    for (u32 frames = 125; frames < 130; ++frames) {
        MapSpec spec = good_spec(BPF_MAP_TYPE_STACK_TRACE);
        spec.value_size = frames * 8;
        compare(spec);
        spec.value_size = frames * 32;
        spec.flags = 1U << 5; // BPF_F_STACK_BUILD_ID
        compare(spec);
    }
    MapSpec storage = good_spec(BPF_MAP_TYPE_SK_STORAGE);
    storage.btf_value_type_id = 3; // fails later than sizes do
    for (storage.value_size = 65300; storage.value_size < 65540; ++storage.value_size) compare(storage);
}

/// A value as each side writes it: some are fds.
struct Value {
    const char* name;
    u64 (*make)(const Env&);
};

u64 device(u32 ifindex, int fd) { return ifindex | u64{static_cast<u32>(fd)} << 32; }

constexpr Value kValues[] = {
    {"zero", [](const Env&) -> u64 { return 0; }},
    {"minus one", [](const Env&) -> u64 { return ~u32{0}; }},
    {"all ones", [](const Env&) -> u64 { return ~u64{0}; }},
    {"closed fd", [](const Env&) -> u64 { return 9999; }},
    {"file", [](const Env& e) -> u64 { return static_cast<u64>(e.file); }},
    {"map", [](const Env& e) -> u64 { return static_cast<u64>(e.hash); }},
    {"program", [](const Env& e) -> u64 { return static_cast<u64>(e.plain); }},
    {"perf event", [](const Env& e) -> u64 { return static_cast<u64>(e.event); }},
};
// Interface 1 is there on every machine, and a queue of 1 packet is one.
constexpr Value kRedirectValues[] = {
    {"nothing", [](const Env&) { return device(0, 0); }},
    {"nothing, program", [](const Env& e) { return device(0, e.for_device); }},
    {"one", [](const Env&) { return device(1, 0); }},
    {"one, fd -1", [](const Env&) { return device(1, -1); }},
    {"one, closed fd", [](const Env&) { return device(1, 9999); }},
    {"one, file", [](const Env& e) { return device(1, e.file); }},
    {"one, map", [](const Env& e) { return device(1, e.hash); }},
    {"one, plain program", [](const Env& e) { return device(1, e.plain); }},
    {"one, devmap program", [](const Env& e) { return device(1, e.for_device); }},
    {"one, cpumap program", [](const Env& e) { return device(1, e.for_cpu); }},
};

/// Every call on a map of each side.
class Pair {
public:
    Pair(Env& ours, Env& kernel, const MapSpec& spec)
        : ours_(ours), kernel_(kernel), spec_(spec), a_(ours.create(spec)), b_(kernel.create(spec)) {
        EXPECT_GE(a_, 0);
        EXPECT_GE(b_, 0);
    }
    ~Pair() {
        ours_.drop(a_);
        kernel_.drop(b_);
    }
    Pair(const Pair&) = delete;
    Pair& operator=(const Pair&) = delete;

    void update(u32 key, const Value& value, u64 flags) {
        EXPECT_EQ(element(ours_, a_, BPF_MAP_UPDATE_ELEM, &key, value.make(ours_), flags).result,
                  element(kernel_, b_, BPF_MAP_UPDATE_ELEM, &key, value.make(kernel_), flags).result)
            << "update of " << key << " to " << value.name << ", flags " << flags;
    }
    /// Calls that give something back: what it is must be the same, but for ids of programs.
    void read(u32 command, const u32* key, u64 flags) {
        const Answer a = element(ours_, a_, command, key, 0, flags);
        const Answer b = element(kernel_, b_, command, key, 0, flags);
        EXPECT_EQ(a.result, b.result)
            << "command " << command << " key " << (key ? *key : 0) << " flags " << flags;
        EXPECT_EQ(static_cast<u32>(a.value), static_cast<u32>(b.value)) << "command " << command;
        EXPECT_EQ(a.value >> 32 != 0, b.value >> 32 != 0) << "command " << command;
    }
    void read_all(u32 last) {
        for (u32 key = 0; key <= last; ++key) {
            read(BPF_MAP_LOOKUP_ELEM, &key, 0);
            read(BPF_MAP_GET_NEXT_KEY, &key, 0);
        }
        const u32 beyond = ~u32{0};
        read(BPF_MAP_LOOKUP_ELEM, &beyond, 0);
        read(BPF_MAP_GET_NEXT_KEY, nullptr, 0);
    }
    void freeze() {
        auto attr = zero_attr();
        attr.map_fd = static_cast<u32>(a_);
        auto other = attr;
        other.map_fd = static_cast<u32>(b_);
        EXPECT_EQ(ours_.call(BPF_MAP_FREEZE, attr), kernel_.call(BPF_MAP_FREEZE, other));
    }
    void compare_info() {
        bpf_map_info a{};
        bpf_map_info b{};
        info(ours_, a_, a);
        info(kernel_, b_, b);
        EXPECT_EQ(a.type, b.type);
        EXPECT_EQ(a.key_size, b.key_size);
        EXPECT_EQ(a.value_size, b.value_size);
        EXPECT_EQ(a.max_entries, b.max_entries);
        EXPECT_EQ(a.map_flags, b.map_flags);
    }

private:
    struct Answer {
        long result;
        u64 value;
    };
    Answer element(const Env& side, int map, u32 command, const u32* key, u64 value, u64 flags) const {
        // As large as any value here.
        u64 buffer[512] = {value};
        u32 key_bytes[128] = {key != nullptr ? *key : 0};
        auto attr = zero_attr();
        attr.map_fd = static_cast<u32>(map);
        attr.key = key != nullptr && spec_.key_size != 0 ? address(key_bytes) : 0;
        attr.value = command == BPF_MAP_DELETE_ELEM ? 0 : address(buffer);
        attr.flags = flags;
        const long result = side.call(command, attr);
        return {result, result < 0 ? 0 : buffer[0]};
    }
    static void info(const Env& side, int map, bpf_map_info& into) {
        auto attr = zero_attr();
        attr.info.bpf_fd = static_cast<u32>(map);
        attr.info.info = address(&into);
        attr.info.info_len = sizeof into;
        EXPECT_EQ(side.call(BPF_OBJ_GET_INFO_BY_FD, attr), 0);
    }

    Env& ours_;
    Env& kernel_;
    MapSpec spec_;
    int a_;
    int b_;
};

constexpr u64 kFlags[] = {BPF_ANY, BPF_NOEXIST, BPF_EXIST, 3, 8, u64{1} << 40};
constexpr u32 kKeys[] = {0, 2, 3, ~u32{0}};

TEST_F(EventMapsKernel, EveryCallOfEveryTypeIsAnsweredAlike) {
    for (const u32 type : kTypes) {
        for (const u32 value_size : {4U, 8U}) {
            MapSpec spec = good_spec(type);
            if (spec.value_size == 4) spec.value_size = value_size;
            if (type == BPF_MAP_TYPE_SK_STORAGE) spec.btf_value_type_id = value_size / 4;
            const bool four_only = type == BPF_MAP_TYPE_PERF_EVENT_ARRAY ||
                                   type == BPF_MAP_TYPE_CGROUP_ARRAY || type == BPF_MAP_TYPE_XSKMAP;
            if (four_only && value_size != 4) continue;
            SCOPED_TRACE(describe(spec));
            const bool redirect = type == BPF_MAP_TYPE_DEVMAP || type == BPF_MAP_TYPE_DEVMAP_HASH ||
                                  type == BPF_MAP_TYPE_CPUMAP;
            Pair pair(ours, kernel, spec);
            pair.compare_info();
            for (const u32 key : kKeys) {
                for (const Value& value : kValues) {
                    // Numbers that mean something else there: see RedirectMapsAreFilledAlike.
                    if (redirect && value.make(ours) != 0) continue;
                    for (const u64 flags : kFlags) pair.update(key, value, flags);
                    for (const u64 flags : {0ULL, 1ULL, 4ULL}) pair.read(BPF_MAP_LOOKUP_ELEM, &key, flags);
                }
                pair.read(BPF_MAP_LOOKUP_AND_DELETE_ELEM, &key, 0);
                pair.read(BPF_MAP_GET_NEXT_KEY, &key, 0);
                pair.read(BPF_MAP_DELETE_ELEM, &key, 0);
                pair.read(BPF_MAP_DELETE_ELEM, &key, 0);
            }
            pair.read(BPF_MAP_GET_NEXT_KEY, nullptr, 0);
            pair.read(BPF_MAP_LOOKUP_ELEM, nullptr, 0);
            pair.freeze();
            pair.update(0, kValues[0], 0);
            pair.read(BPF_MAP_DELETE_ELEM, kKeys, 0);
            pair.freeze();
        }
    }
}

TEST_F(EventMapsKernel, RedirectMapsAreFilledAlike) {
    for (const u32 type : {BPF_MAP_TYPE_DEVMAP, BPF_MAP_TYPE_DEVMAP_HASH, BPF_MAP_TYPE_CPUMAP})
        for (const u32 value_size : {4U, 8U})
            for (const u64 flags : kFlags) {
                MapSpec spec = good_spec(type);
                spec.value_size = value_size;
                SCOPED_TRACE(describe(spec));
                Pair pair(ours, kernel, spec);
                for (const u32 key : {0U, 1U, 2U, 3U, 100U}) {
                    for (const Value& value : kRedirectValues) {
                        pair.update(key, value, flags);
                        pair.update(key, value, BPF_ANY);
                        pair.read_all(4);
                    }
                }
                for (const u32 key : {1U, 1U, 100U, 0U, 2U}) {
                    pair.read(BPF_MAP_DELETE_ELEM, &key, 0);
                    pair.read_all(4);
                }
            }
}

TEST_F(EventMapsKernel, SocketsAreNotTaken) {
    // What Linux says of a socket of the wrong kind, and what is said here of any.
    const Value udp{"UDP socket", [](const Env& e) { return static_cast<u64>(e.socket); }};
    Pair pair(ours, kernel, good_spec(BPF_MAP_TYPE_XSKMAP));
    pair.update(0, udp, 0);
    pair.update(3, udp, 0);
}

TEST_F(EventMapsKernel, PerfEventsAreOpenedAlike) {
    const auto compare = [&](const char* what, perf_event_attr attr, i32 cpu, u64 flags, i32 group = -1) {
        const long a = kOurs.perf_event(&attr, -1, cpu, group, flags);
        const long b = kKernel.perf_event(&attr, -1, cpu, group, flags);
        EXPECT_EQ(std::min(a, 0L), std::min(b, 0L)) << what;
        if (a > 0) close_object_fd(static_cast<int>(a));
        if (b > 0) test::kernel_close(static_cast<int>(b));
    };
    compare("plain", bpf_output(), 0, 0);
    compare("no CPU", bpf_output(), -1, 0);
    compare("CPU too high", bpf_output(), 100000, 0);
    compare("unknown flags", bpf_output(), 0, 1U << 20);
    compare("close on exec", bpf_output(), 0, PERF_FLAG_FD_CLOEXEC);
    auto attr = bpf_output();
    attr.size = 8;
    compare("short", attr, 0, 0);
    attr.size = 1U << 16;
    compare("long", attr, 0, 0);
    attr.size = 0;
    compare("of the first version", attr, 0, 0);
    attr = bpf_output();
    attr.sample_type = u64{1} << 60;
    compare("unknown sample type", attr, 0, 0);
}

} // namespace
} // namespace xdplane
