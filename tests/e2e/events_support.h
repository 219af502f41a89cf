// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
#pragma once
#include <bpf/bpf.h>
#include <bpf/btf.h>
#include <bpf/libbpf.h>
#include <gtest/gtest.h>
#include <sched.h>
#include <string>
#include <sys/mman.h>
#include <vector>

/// What the tests of events, redirects and pins share. Built with stock libbpf alone.
namespace xdplane::test {

using u32 = __u32;
using u64 = __u64;

inline std::string g_object;
inline bool g_bpf_fs = true; ///< /sys/fs/bpf is one

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

} // namespace xdplane::test
