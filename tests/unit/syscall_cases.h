// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
#pragma once
#include <cerrno>
#include <cstring>
#include <gtest/gtest.h>
#include <linux/bpf.h>
#include <linux/btf.h>
#include <string>
#include <vector>

#include "bpf/base/types.h"

/// bpf(2) by its answers: tables of calls, right and wrong, whose results are what Linux gives. What the
/// files with such tables share.
namespace xdplane::test {

inline u64 address(const void* pointer) { return reinterpret_cast<u64>(pointer); }

inline bpf_attr zero_attr() {
    bpf_attr attr;
    std::memset(static_cast<void*>(&attr), 0, sizeof attr);
    return attr;
}

/// Who answers.
struct Side {
    const char* name;
    long (*bpf)(u32 command, void* attr, u32 size);
    void (*close_fd)(int fd);
};
extern const Side kOurs; ///< whose answers are tested

constexpr bpf_insn insn(u8 code, u8 dst, u8 src, i16 off, i32 imm) {
    return {.code = code,
            .dst_reg = static_cast<u8>(dst & 15),
            .src_reg = static_cast<u8>(src & 15),
            .off = off,
            .imm = imm};
}
constexpr bpf_insn mov(u8 dst, i32 imm) { return insn(BPF_ALU64 | BPF_MOV | BPF_K, dst, 0, 0, imm); }
constexpr bpf_insn leave() { return insn(BPF_JMP | BPF_EXIT, 0, 0, 0, 0); }
inline const bpf_insn kPassProgram[] = {mov(0, XDP_PASS), leave()};
inline const bpf_insn kNoExit[] = {mov(0, 0)};

/// The objects that cases use, made anew for each case on each side.
class Env {
public:
    explicit Env(const Side& side) : side_(side) {
        hash = map(BPF_MAP_TYPE_HASH, 4, 8, 4);
        array = map(BPF_MAP_TYPE_ARRAY, 4, 8, 4);
        per_cpu = map(BPF_MAP_TYPE_PERCPU_ARRAY, 4, 8, 1);
        read_only = map(BPF_MAP_TYPE_ARRAY, 4, 8, 1, BPF_F_RDONLY);
        write_only = map(BPF_MAP_TYPE_ARRAY, 4, 8, 1, BPF_F_WRONLY);
        mmapable = map(BPF_MAP_TYPE_ARRAY, 4, 8, 1, BPF_F_MMAPABLE);
        prog_array = map(BPF_MAP_TYPE_PROG_ARRAY, 4, 4, 2);
        xdp = program(BPF_PROG_TYPE_XDP);
        socket_filter = program(BPF_PROG_TYPE_SOCKET_FILTER);
        btf = type_info();
        u32 key = 1;
        u64 value = 7;
        auto attr = elem(hash, &key, &value);
        keep(call(BPF_MAP_UPDATE_ELEM, attr));
    }
    ~Env() {
        for (const int fd : fds_) side_.close_fd(fd);
    }
    Env(const Env&) = delete;
    Env& operator=(const Env&) = delete;

    long call(u32 command, bpf_attr& attr, u32 size = sizeof(bpf_attr)) const {
        return side_.bpf(command, &attr, size);
    }
    /// Remembers a result that may be a new fd; the test sees only that it is one.
    long fd(long result) {
        if (result < 0) return result;
        fds_.push_back(static_cast<int>(result));
        return 0;
    }
    void close(int fd) const { side_.close_fd(fd); }
    int map(u32 type, u32 key, u32 value, u32 entries, u32 flags = 0) {
        auto attr = zero_attr();
        attr.map_type = type;
        attr.key_size = key;
        attr.value_size = value;
        attr.max_entries = entries;
        attr.map_flags = flags;
        return keep(call(BPF_MAP_CREATE, attr));
    }
    int program(u32 type) {
        auto attr = load_attr(type);
        return keep(call(BPF_PROG_LOAD, attr));
    }
    static bpf_attr load_attr(u32 type) {
        auto attr = zero_attr();
        attr.prog_type = type;
        attr.insns = address(kPassProgram);
        attr.insn_cnt = 2;
        attr.license = address("GPL");
        return attr;
    }
    static bpf_attr elem(int map, const void* key, const void* value, u64 flags = 0) {
        auto attr = zero_attr();
        attr.map_fd = static_cast<u32>(map);
        attr.key = address(key);
        attr.value = address(value);
        attr.flags = flags;
        return attr;
    }
    int type_info() {
        struct {
            btf_header header = {BTF_MAGIC, BTF_VERSION, 0, sizeof(btf_header), 0, 16, 16, 8};
            u32 types[4] = {1, BTF_KIND_INT << 24, 4, 32};
            char strings[8] = "\0int\0\0\0";
        } const blob;
        auto attr = zero_attr();
        attr.btf = address(&blob);
        attr.btf_size = sizeof blob;
        return keep(call(BPF_BTF_LOAD, attr));
    }

    int hash, array, per_cpu, read_only, write_only, mmapable, prog_array, xdp, socket_filter, btf;

private:
    int keep(long result) {
        if (result > 0) fds_.push_back(static_cast<int>(result));
        return static_cast<int>(result);
    }
    const Side& side_;
    std::vector<int> fds_;
};

struct Case {
    const char* name;
    long (*run)(Env&);
    long result;
};

class SyscallCases : public testing::TestWithParam<Case> {};
inline std::string name_of_case(const testing::TestParamInfo<Case>& row) { return row.param.name; }

inline u32 g_key = 1;
inline u64 g_value = 5;
inline u64 g_out[1024];

inline long update(Env& env, int map, u64 flags) {
    auto attr = env.elem(map, &g_key, &g_value, flags);
    return env.call(BPF_MAP_UPDATE_ELEM, attr);
}

inline long lookup(Env& env, int map, u64 flags = 0) {
    auto attr = env.elem(map, &g_key, g_out, flags);
    return env.call(BPF_MAP_LOOKUP_ELEM, attr);
}

inline long with_key(u32 key, long (*run)(Env&), Env& env) {
    g_key = key;
    const long result = run(env);
    g_key = 1;
    return result;
}

inline long set_slot(Env& env, u32 index, int program, u64 flags = 0) {
    u32 value = static_cast<u32>(program);
    auto attr = env.elem(env.prog_array, &index, &value, flags);
    return env.call(BPF_MAP_UPDATE_ELEM, attr);
}

template<class Edit>
long test_run(Env& env, int program, Edit edit) {
    static u8 in[5000];
    static u8 out[5000];
    auto attr = zero_attr();
    attr.test.prog_fd = static_cast<u32>(program);
    attr.test.data_in = address(in);
    attr.test.data_size_in = 64;
    attr.test.data_out = address(out);
    attr.test.data_size_out = sizeof out;
    edit(attr);
    const long result = env.call(BPF_PROG_TEST_RUN, attr);
    // What came back counts too: a call that worked gives its return value and sizes.
    return result < 0
               ? result
               : attr.test.retval * 1000000L + attr.test.data_size_out * 1000L + attr.test.ctx_size_out;
}
inline xdp_md g_md;
template<class Edit>
long test_run_md(Env& env, Edit edit) {
    g_md = {};
    g_md.data_end = 64;
    return test_run(env, env.xdp, [&](bpf_attr& a) {
        a.test.ctx_in = address(&g_md);
        a.test.ctx_size_in = sizeof g_md;
        edit(a);
    });
}
inline long get_info(Env& env, int fd, void* info, u32 size) {
    auto attr = zero_attr();
    attr.info.bpf_fd = static_cast<u32>(fd);
    attr.info.info = address(info);
    attr.info.info_len = size;
    const long result = env.call(BPF_OBJ_GET_INFO_BY_FD, attr);
    return result < 0 ? result : attr.info.info_len;
}
inline long freeze(Env& env, int map) {
    auto attr = zero_attr();
    attr.map_fd = static_cast<u32>(map);
    return env.call(BPF_MAP_FREEZE, attr);
}

} // namespace xdplane::test
