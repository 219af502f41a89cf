// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
// bpf(2) by its answers: tables of calls, right and wrong, whose results are what Linux gives. Every case
// runs on xdplane's bpf_syscall() and, where it is allowed, on the running kernel.
#include "bpf/syscall/bpf_system.h"

#include <atomic>
#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <gtest/gtest.h>
#include <linux/btf.h>
#include <string>
#include <sys/mman.h>
#include <thread>
#include <unistd.h>
#include <vector>

#include "bpf/run/run_context.h"
#include "tests/support/kernel_bpf.h"
#ifdef XDPLANE_REMOTE
#include "tests/unit/remote_side.h"
#endif

using namespace xdplane;

namespace {

constexpr u64 address(const void* pointer) { return reinterpret_cast<u64>(pointer); }

bpf_attr zero_attr() {
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
#ifdef XDPLANE_REMOTE
// The same answers, from behind a socket.
constexpr Side kOurs = {"remote", test::remote_bpf, test::remote_close};
#else
long ask_kernel(u32 command, void* attr, u32 size) {
    return test::kernel_bpf(static_cast<int>(command), attr, size);
}
constexpr Side kOurs = {"xdplane", bpf_syscall, close_object_fd};
constexpr Side kKernel = {"kernel", ask_kernel, test::kernel_close};
#endif

constexpr bpf_insn insn(u8 code, u8 dst, u8 src, i16 off, i32 imm) {
    return {.code = code,
            .dst_reg = static_cast<u8>(dst & 15),
            .src_reg = static_cast<u8>(src & 15),
            .off = off,
            .imm = imm};
}
constexpr bpf_insn mov(u8 dst, i32 imm) { return insn(BPF_ALU64 | BPF_MOV | BPF_K, dst, 0, 0, imm); }
constexpr bpf_insn leave() { return insn(BPF_JMP | BPF_EXIT, 0, 0, 0, 0); }
const bpf_insn kPassProgram[] = {mov(0, XDP_PASS), leave()};
const bpf_insn kNoExit[] = {mov(0, 0)};

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

u32 g_key = 1;
u64 g_value = 5;
u64 g_out[1024];

long update(Env& env, int map, u64 flags) {
    auto attr = env.elem(map, &g_key, &g_value, flags);
    return env.call(BPF_MAP_UPDATE_ELEM, attr);
}
long lookup(Env& env, int map, u64 flags = 0) {
    auto attr = env.elem(map, &g_key, g_out, flags);
    return env.call(BPF_MAP_LOOKUP_ELEM, attr);
}
long erase(Env& env, int map) {
    auto attr = env.elem(map, &g_key, nullptr);
    return env.call(BPF_MAP_DELETE_ELEM, attr);
}
long with_key(u32 key, long (*run)(Env&), Env& env) {
    g_key = key;
    const long result = run(env);
    g_key = 1;
    return result;
}
template<class Edit>
long create(Env& env, Edit edit) {
    auto attr = zero_attr();
    attr.map_type = BPF_MAP_TYPE_HASH;
    attr.key_size = 4;
    attr.value_size = 4;
    attr.max_entries = 1;
    edit(attr);
    return env.fd(env.call(BPF_MAP_CREATE, attr));
}
template<class Edit>
long load(Env& env, Edit edit) {
    auto attr = env.load_attr(BPF_PROG_TYPE_XDP);
    edit(attr);
    return env.fd(env.call(BPF_PROG_LOAD, attr));
}
long set_slot(Env& env, u32 index, int program, u64 flags = 0) {
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
xdp_md g_md;
__sk_buff g_skb;
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
long get_info(Env& env, int fd, void* info, u32 size) {
    auto attr = zero_attr();
    attr.info.bpf_fd = static_cast<u32>(fd);
    attr.info.info = address(info);
    attr.info.info_len = size;
    const long result = env.call(BPF_OBJ_GET_INFO_BY_FD, attr);
    return result < 0 ? result : attr.info.info_len;
}
long freeze(Env& env, int map) {
    auto attr = zero_attr();
    attr.map_fd = static_cast<u32>(map);
    return env.call(BPF_MAP_FREEZE, attr);
}
char g_log[4096];

/// One run of the XDP program with statistics on, one without.
long runs_counted(Env& e) {
    const auto run = [&] {
        static u8 packet[64] = {};
        auto a = zero_attr();
        a.test.prog_fd = static_cast<u32>(e.xdp);
        a.test.data_in = reinterpret_cast<u64>(packet);
        a.test.data_size_in = sizeof packet;
        a.test.repeat = 7;
        return e.call(BPF_PROG_TEST_RUN, a);
    };
    auto on = zero_attr();
    const long fd = e.call(BPF_ENABLE_STATS, on);
    if (fd < 0) return fd;
    if (const long failed = run(); failed < 0) return failed;
    e.close(static_cast<int>(fd));
    if (const long failed = run(); failed < 0) return failed;
    bpf_prog_info info{};
    if (const long failed = get_info(e, e.xdp, &info, sizeof info); failed < 0) return failed;
    return info.run_time_ns == 0 && info.run_cnt != 0 ? -ERANGE : static_cast<long>(info.run_cnt);
}

const Case kCases[] = {
    // The call itself.
    {"CommandUnknown",
     [](Env& e) {
         auto a = zero_attr();
         return e.call(9999, a);
     },
     -EINVAL},
    {"SizeOverAPage",
     [](Env& e) {
         static u8 big[8192];
         std::memset(big, 0, sizeof big);
         return e.call(BPF_MAP_CREATE, *reinterpret_cast<bpf_attr*>(big), 8192);
     },
     -E2BIG},
    {"TailNotZero",
     [](Env& e) {
         static u8 big[512];
         std::memset(big, 0, sizeof big);
         big[511] = 1;
         return e.call(BPF_MAP_CREATE, *reinterpret_cast<bpf_attr*>(big), 512);
     },
     -E2BIG},
    {"UnusedFieldNotZero",
     [](Env& e) {
         auto a = e.elem(e.hash, &g_key, &g_value);
         a.flags = 1; // not a field of MAP_DELETE_ELEM
         return e.call(BPF_MAP_DELETE_ELEM, a);
     },
     -EINVAL},
    {"SizeZero",
     [](Env& e) {
         auto a = zero_attr();
         return e.call(BPF_MAP_CREATE, a, 0);
     },
     -EINVAL},
    // MAP_CREATE.
    {"CreateHash", [](Env& e) { return create(e, [](bpf_attr&) {}); }, 0},
    {"CreateTypeUnknown", [](Env& e) { return create(e, [](bpf_attr& a) { a.map_type = 999; }); }, -EINVAL},
    {"CreateNoKey", [](Env& e) { return create(e, [](bpf_attr& a) { a.key_size = 0; }); }, -EINVAL},
    {"CreateNoEntries", [](Env& e) { return create(e, [](bpf_attr& a) { a.max_entries = 0; }); }, -EINVAL},
    {"CreateFlagsBoth",
     [](Env& e) { return create(e, [](bpf_attr& a) { a.map_flags = BPF_F_RDONLY | BPF_F_WRONLY; }); },
     -EINVAL},
    {"CreateMapExtra", [](Env& e) { return create(e, [](bpf_attr& a) { a.map_extra = 1; }); }, -EINVAL},
    {"CreateNamed", [](Env& e) { return create(e, [](bpf_attr& a) { std::strcpy(a.map_name, "a_Z.9"); }); },
     0},
    {"CreateNameBad", [](Env& e) { return create(e, [](bpf_attr& a) { std::strcpy(a.map_name, "a-b"); }); },
     -EINVAL},
    {"CreateNameEndless",
     [](Env& e) { return create(e, [](bpf_attr& a) { std::memset(a.map_name, 'a', 16); }); }, -EINVAL},
    {"CreateKeyTypeAlone", [](Env& e) { return create(e, [](bpf_attr& a) { a.btf_key_type_id = 1; }); },
     -EINVAL},
    {"CreateBtfFdBad",
     [](Env& e) {
         return create(e, [](bpf_attr& a) {
             a.btf_fd = 9999;
             a.btf_key_type_id = a.btf_value_type_id = 1;
         });
     },
     -EBADF},
    {"CreateBtfFdOfMap",
     [](Env& e) {
         return create(e, [&](bpf_attr& a) {
             a.btf_fd = static_cast<u32>(e.hash);
             a.btf_key_type_id = a.btf_value_type_id = 1;
         });
     },
     -EINVAL},
    {"CreateWithBtf",
     [](Env& e) {
         return create(e, [&](bpf_attr& a) {
             a.btf_fd = static_cast<u32>(e.btf);
             a.btf_key_type_id = a.btf_value_type_id = 1;
         });
     },
     0},
    {"CreateBtfSizeDiffers",
     [](Env& e) {
         return create(e, [&](bpf_attr& a) {
             a.value_size = 8;
             a.btf_fd = static_cast<u32>(e.btf);
             a.btf_key_type_id = a.btf_value_type_id = 1;
         });
     },
     -EINVAL},
    {"CreateBtfTypeUnknown",
     [](Env& e) {
         return create(e, [&](bpf_attr& a) {
             a.btf_fd = static_cast<u32>(e.btf);
             a.btf_key_type_id = a.btf_value_type_id = 9;
         });
     },
     -EINVAL},
    {"CreateBtfArrayWithoutKey",
     [](Env& e) {
         return create(e, [&](bpf_attr& a) {
             a.map_type = BPF_MAP_TYPE_ARRAY;
             a.btf_fd = static_cast<u32>(e.btf);
             a.btf_value_type_id = 1;
         });
     },
     -EINVAL},
    // Elements.
    {"LookupPresent", [](Env& e) { return lookup(e, e.hash); }, 0},
    {"LookupAbsent", [](Env& e) { return with_key(9, [](Env& x) { return lookup(x, x.hash); }, e); },
     -ENOENT},
    {"LookupOutOfRange", [](Env& e) { return with_key(9, [](Env& x) { return lookup(x, x.array); }, e); },
     -ENOENT},
    {"LookupFlags", [](Env& e) { return lookup(e, e.hash, 1); }, -EINVAL},
    {"LookupLock", [](Env& e) { return lookup(e, e.hash, BPF_F_LOCK); }, -EINVAL},
    {"LookupFdBad", [](Env& e) { return lookup(e, 9999); }, -EBADF},
    {"LookupFdOfProgram", [](Env& e) { return lookup(e, e.xdp); }, -EINVAL},
    {"LookupFdOfFile", [](Env& e) { return lookup(e, 0) == -EBADF ? -EINVAL : lookup(e, 0); }, -EINVAL},
    {"LookupWriteOnly", [](Env& e) { return with_key(0, [](Env& x) { return lookup(x, x.write_only); }, e); },
     -EPERM},
    {"LookupNoKey",
     [](Env& e) {
         auto a = e.elem(e.hash, nullptr, g_out);
         return e.call(BPF_MAP_LOOKUP_ELEM, a);
     },
     -EFAULT},
    {"LookupNoValue",
     [](Env& e) {
         auto a = e.elem(e.hash, &g_key, nullptr);
         return e.call(BPF_MAP_LOOKUP_ELEM, a);
     },
     -EFAULT},
    {"UpdateAny", [](Env& e) { return update(e, e.hash, BPF_ANY); }, 0},
    {"UpdateNoexistPresent", [](Env& e) { return update(e, e.hash, BPF_NOEXIST); }, -EEXIST},
    {"UpdateExistAbsent",
     [](Env& e) { return with_key(9, [](Env& x) { return update(x, x.hash, BPF_EXIST); }, e); }, -ENOENT},
    {"UpdateFlagsUnknown", [](Env& e) { return update(e, e.hash, 8); }, -EINVAL},
    {"UpdateArrayNoexist", [](Env& e) { return update(e, e.array, BPF_NOEXIST); }, -EEXIST},
    {"UpdateArrayOutOfRange",
     [](Env& e) { return with_key(4, [](Env& x) { return update(x, x.array, 0); }, e); }, -E2BIG},
    {"UpdateFull",
     [](Env& e) {
         for (u32 k = 10; k < 13; ++k)
             if (const long r = with_key(k, [](Env& x) { return update(x, x.hash, 0); }, e); r != 0) return r;
         return with_key(20, [](Env& x) { return update(x, x.hash, 0); }, e);
     },
     -E2BIG},
    {"UpdateReadOnly",
     [](Env& e) { return with_key(0, [](Env& x) { return update(x, x.read_only, 0); }, e); }, -EPERM},
    {"UpdateNoValue",
     [](Env& e) {
         auto a = e.elem(e.hash, &g_key, nullptr);
         return e.call(BPF_MAP_UPDATE_ELEM, a);
     },
     -EFAULT},
    {"DeletePresent", [](Env& e) { return erase(e, e.hash); }, 0},
    {"DeleteAbsent", [](Env& e) { return with_key(9, [](Env& x) { return erase(x, x.hash); }, e); }, -ENOENT},
    {"DeleteFromArray", [](Env& e) { return erase(e, e.array); }, -EINVAL},
    {"NextKeyFirst",
     [](Env& e) {
         u32 next = 99;
         auto a = e.elem(e.hash, nullptr, &next);
         const long r = e.call(BPF_MAP_GET_NEXT_KEY, a);
         return r != 0 ? r : long{next};
     },
     1},
    {"NextKeyEnd",
     [](Env& e) {
         u32 next = 0;
         auto a = e.elem(e.hash, &g_key, &next);
         return e.call(BPF_MAP_GET_NEXT_KEY, a);
     },
     -ENOENT},
    {"NextKeyOfArray",
     [](Env& e) {
         u32 next = 99;
         auto a = e.elem(e.array, &g_key, &next);
         const long r = e.call(BPF_MAP_GET_NEXT_KEY, a);
         return r != 0 ? r : long{next};
     },
     2},
    {"NextKeyWriteOnly",
     [](Env& e) {
         u32 next = 0;
         auto a = e.elem(e.write_only, nullptr, &next);
         return e.call(BPF_MAP_GET_NEXT_KEY, a);
     },
     -EPERM},
    {"TakePresent",
     [](Env& e) {
         auto a = e.elem(e.hash, &g_key, g_out);
         const long r = e.call(BPF_MAP_LOOKUP_AND_DELETE_ELEM, a);
         return r != 0 ? r : long(g_out[0]);
     },
     7},
    {"TakeAbsent",
     [](Env& e) {
         u32 k = 9;
         auto a = e.elem(e.hash, &k, g_out);
         return e.call(BPF_MAP_LOOKUP_AND_DELETE_ELEM, a);
     },
     -ENOENT},
    {"TakeFromArray",
     [](Env& e) {
         auto a = e.elem(e.array, &g_key, g_out);
         return e.call(BPF_MAP_LOOKUP_AND_DELETE_ELEM, a);
     },
     -524},
    {"TakeFlags",
     [](Env& e) {
         auto a = e.elem(e.hash, &g_key, g_out, 1);
         return e.call(BPF_MAP_LOOKUP_AND_DELETE_ELEM, a);
     },
     -EINVAL},
    {"Freeze", [](Env& e) { return freeze(e, e.array); }, 0},
    {"FreezeTwice",
     [](Env& e) {
         static_cast<void>(freeze(e, e.array));
         return freeze(e, e.array);
     },
     -EPERM},
    {"FreezeReadOnlyFd", [](Env& e) { return freeze(e, e.read_only); }, -EPERM},
    {"FreezeThenWrite",
     [](Env& e) {
         static_cast<void>(freeze(e, e.array));
         return update(e, e.array, 0);
     },
     -EPERM},
    {"FreezeThenRead",
     [](Env& e) {
         static_cast<void>(freeze(e, e.array));
         return lookup(e, e.array);
     },
     0},
    {"FreezeFdOfProgram", [](Env& e) { return freeze(e, e.xdp); }, -EINVAL},
    // Program arrays.
    {"SlotSet", [](Env& e) { return set_slot(e, 0, e.xdp); }, 0},
    {"SlotOutOfRange", [](Env& e) { return set_slot(e, 2, e.xdp); }, -E2BIG},
    {"SlotFlags", [](Env& e) { return set_slot(e, 0, e.xdp, BPF_NOEXIST); }, -EINVAL},
    {"SlotFdBad", [](Env& e) { return set_slot(e, 0, 9999); }, -EBADF},
    {"SlotFdOfMap", [](Env& e) { return set_slot(e, 0, e.hash); }, -EINVAL},
    {"SlotOtherType",
     [](Env& e) {
         const long r = set_slot(e, 0, e.xdp);
         return r != 0 ? r : set_slot(e, 1, e.socket_filter);
     },
     -EINVAL},
    {"SlotLookupEmpty", [](Env& e) { return lookup(e, e.prog_array); }, -ENOENT},
    {"SlotDeleteEmpty", [](Env& e) { return erase(e, e.prog_array); }, -ENOENT},
    {"SlotDelete",
     [](Env& e) {
         const long r = set_slot(e, 1, e.xdp);
         return r != 0 ? r : erase(e, e.prog_array);
     },
     0},
    {"SlotHoldsTheId",
     [](Env& e) {
         static_cast<void>(set_slot(e, 1, e.xdp));
         u32 id = 0;
         auto a = e.elem(e.prog_array, &g_key, &id);
         if (const long r = e.call(BPF_MAP_LOOKUP_ELEM, a); r != 0) return r;
         bpf_prog_info info{};
         static_cast<void>(get_info(e, e.xdp, &info, sizeof info));
         return long{info.id == id};
     },
     1},
    // PROG_LOAD.
    {"Load", [](Env& e) { return load(e, [](bpf_attr&) {}); }, 0},
    {"LoadNoInsns", [](Env& e) { return load(e, [](bpf_attr& a) { a.insn_cnt = 0; }); }, -E2BIG},
    {"LoadTooManyInsns", [](Env& e) { return load(e, [](bpf_attr& a) { a.insn_cnt = 1000001; }); }, -E2BIG},
    {"LoadInsnsNull", [](Env& e) { return load(e, [](bpf_attr& a) { a.insns = 0; }); }, -EFAULT},
    {"LoadLicenseNull", [](Env& e) { return load(e, [](bpf_attr& a) { a.license = 0; }); }, -EFAULT},
    {"LoadTypeUnknown", [](Env& e) { return load(e, [](bpf_attr& a) { a.prog_type = 999; }); }, -EINVAL},
    {"LoadFlagsUnknown", [](Env& e) { return load(e, [](bpf_attr& a) { a.prog_flags = 1U << 30; }); },
     -EINVAL},
    {"LoadNameBad", [](Env& e) { return load(e, [](bpf_attr& a) { std::strcpy(a.prog_name, "a b"); }); },
     -EINVAL},
    {"LoadNoExit",
     [](Env& e) {
         return load(e, [](bpf_attr& a) {
             a.insns = address(kNoExit);
             a.insn_cnt = 1;
         });
     },
     -EINVAL},
    {"LoadLogBufferWithoutLevel",
     [](Env& e) {
         return load(e, [](bpf_attr& a) {
             a.log_buf = address(g_log);
             a.log_size = sizeof g_log;
         });
     },
     -EINVAL},
    {"LoadLogSizeWithoutBuffer",
     [](Env& e) {
         return load(e, [](bpf_attr& a) {
             a.log_level = 1;
             a.log_size = sizeof g_log;
         });
     },
     -EINVAL},
    {"LoadLogLevelUnknown",
     [](Env& e) {
         return load(e, [](bpf_attr& a) {
             a.log_level = 16;
             a.log_buf = address(g_log);
             a.log_size = sizeof g_log;
         });
     },
     -EINVAL},
    {"LoadLog",
     [](Env& e) {
         return load(e, [](bpf_attr& a) {
             a.log_level = 1;
             a.log_buf = address(g_log);
             a.log_size = sizeof g_log;
         });
     },
     0},
    {"LoadLogTooSmall",
     [](Env& e) {
         return load(e, [](bpf_attr& a) {
             a.log_level = 1;
             a.log_buf = address(g_log);
             a.log_size = 8;
         });
     },
     -ENOSPC},
    {"LoadLogTooSmallAndRejected",
     [](Env& e) {
         return load(e, [](bpf_attr& a) {
             a.insns = address(kNoExit);
             a.insn_cnt = 1;
             a.log_level = 2;
             a.log_buf = address(g_log);
             a.log_size = 4;
         });
     },
     -ENOSPC},
    {"LoadBtfFdBad",
     [](Env& e) {
         static bpf_func_info f{0, 1};
         return load(e, [](bpf_attr& a) {
             a.prog_btf_fd = 9999;
             a.func_info = address(&f);
             a.func_info_cnt = 1;
             a.func_info_rec_size = 8;
         });
     },
     -EBADF},
    {"LoadFuncInfoOfInt",
     [](Env& e) {
         static bpf_func_info f{0, 1};
         return load(e, [&](bpf_attr& a) {
             a.prog_btf_fd = static_cast<u32>(e.btf);
             a.func_info = address(&f);
             a.func_info_cnt = 1;
             a.func_info_rec_size = 8;
         });
     },
     -EINVAL},
    {"LoadFuncInfoSizeBad",
     [](Env& e) {
         static bpf_func_info f{0, 1};
         return load(e, [&](bpf_attr& a) {
             a.prog_btf_fd = static_cast<u32>(e.btf);
             a.func_info = address(&f);
             a.func_info_cnt = 1;
             a.func_info_rec_size = 4;
         });
     },
     -EINVAL},
    {"LoadAttachProgFdBad", [](Env& e) { return load(e, [](bpf_attr& a) { a.attach_prog_fd = 9999; }); },
     -EINVAL},
    {"LoadFdIndexWithoutArray",
     [](Env& e) {
         static bpf_insn by_index[] = {insn(BPF_LD | BPF_IMM | BPF_DW, 2, 5, 0, 0), insn(0, 0, 0, 0, 0),
                                       mov(0, 2), leave()};
         return load(e, [](bpf_attr& a) {
             a.insns = address(by_index);
             a.insn_cnt = 4;
         });
     },
     -EPROTO},
    {"LoadFdIndexOutside",
     [](Env& e) {
         static bpf_insn by_index[] = {insn(BPF_LD | BPF_IMM | BPF_DW, 2, 5, 0, 1 << 28), insn(0, 0, 0, 0, 0),
                                       mov(0, 2), leave()};
         return load(e, [](bpf_attr& a) {
             static int fds[1] = {-1};
             a.insns = address(by_index);
             a.insn_cnt = 4;
             a.fd_array = address(fds);
         });
     },
     -EFAULT},
    // PROG_BIND_MAP.
    {"Bind",
     [](Env& e) {
         auto a = zero_attr();
         a.prog_bind_map.prog_fd = static_cast<u32>(e.xdp);
         a.prog_bind_map.map_fd = static_cast<u32>(e.hash);
         return e.call(BPF_PROG_BIND_MAP, a);
     },
     0},
    {"BindFlags",
     [](Env& e) {
         auto a = zero_attr();
         a.prog_bind_map.prog_fd = static_cast<u32>(e.xdp);
         a.prog_bind_map.map_fd = static_cast<u32>(e.hash);
         a.prog_bind_map.flags = 1;
         return e.call(BPF_PROG_BIND_MAP, a);
     },
     -EINVAL},
    {"BindSwapped",
     [](Env& e) {
         auto a = zero_attr();
         a.prog_bind_map.prog_fd = static_cast<u32>(e.hash);
         a.prog_bind_map.map_fd = static_cast<u32>(e.xdp);
         return e.call(BPF_PROG_BIND_MAP, a);
     },
     -EINVAL},
    // PROG_TEST_RUN: retval, size out, ctx size out.
    {"RunXdp", [](Env& e) { return test_run(e, e.xdp, [](bpf_attr&) {}); }, 2064000},
    {"RunSmallest", [](Env& e) { return test_run(e, e.xdp, [](bpf_attr& a) { a.test.data_size_in = 14; }); },
     2014000},
    {"RunTooShort", [](Env& e) { return test_run(e, e.xdp, [](bpf_attr& a) { a.test.data_size_in = 13; }); },
     -EINVAL},
    {"RunLargest",
     [](Env& e) { return test_run(e, e.xdp, [](bpf_attr& a) { a.test.data_size_in = 4096 - 256 - 320; }); },
     5520000},
    {"RunNoRoomOut",
     [](Env& e) { return test_run(e, e.xdp, [](bpf_attr& a) { a.test.data_size_out = 10; }); }, -ENOSPC},
    {"RunNoLimitOut",
     [](Env& e) { return test_run(e, e.xdp, [](bpf_attr& a) { a.test.data_size_out = 0; }); }, 2064000},
    {"RunDataOutNull",
     [](Env& e) {
         return test_run(e, e.xdp, [](bpf_attr& a) {
             a.test.data_out = 0;
             a.test.data_size_out = 0;
         });
     },
     2064000},
    {"RunRepeat", [](Env& e) { return test_run(e, e.xdp, [](bpf_attr& a) { a.test.repeat = 10; }); },
     2064000},
    {"RunFlagsUnknown", [](Env& e) { return test_run(e, e.xdp, [](bpf_attr& a) { a.test.flags = 64; }); },
     -EINVAL},
    {"RunBatchWithoutLive",
     [](Env& e) { return test_run(e, e.xdp, [](bpf_attr& a) { a.test.batch_size = 4; }); }, -EINVAL},
    {"RunFdBad", [](Env& e) { return test_run(e, 9999, [](bpf_attr&) {}); }, -EBADF},
    {"RunFdOfMap", [](Env& e) { return test_run(e, e.hash, [](bpf_attr&) {}); }, -EINVAL},
    {"RunCtxSizeWithoutCtx",
     [](Env& e) { return test_run(e, e.xdp, [](bpf_attr& a) { a.test.ctx_size_in = 8; }); }, -EINVAL},
    {"RunCtx",
     [](Env& e) {
         return test_run_md(e, [](bpf_attr& a) {
             a.test.ctx_out = address(&g_md);
             a.test.ctx_size_out = sizeof g_md;
         });
     },
     2064024},
    {"RunCtxOutTooSmall",
     [](Env& e) {
         return test_run_md(e, [](bpf_attr& a) {
             a.test.ctx_out = address(&g_md);
             a.test.ctx_size_out = 8;
         });
     },
     -ENOSPC},
    {"RunCtxMeta", [](Env& e) { return test_run_md(e, [](bpf_attr&) { g_md.data = 8; }); }, 2064000},
    {"RunCtxMetaOdd", [](Env& e) { return test_run_md(e, [](bpf_attr&) { g_md.data = 6; }); }, -EINVAL},
    {"RunCtxMetaSet", [](Env& e) { return test_run_md(e, [](bpf_attr&) { g_md.data_meta = 4; }); }, -EINVAL},
    {"RunCtxEgress", [](Env& e) { return test_run_md(e, [](bpf_attr&) { g_md.egress_ifindex = 1; }); },
     -EINVAL},
    {"RunCtxQueueWithoutDevice",
     [](Env& e) { return test_run_md(e, [](bpf_attr&) { g_md.rx_queue_index = 1; }); }, -EINVAL},
    {"RunSocketFilter", [](Env& e) { return test_run(e, e.socket_filter, [](bpf_attr&) {}); }, 2064000},
    {"RunSocketFilterTooShort",
     [](Env& e) { return test_run(e, e.socket_filter, [](bpf_attr& a) { a.test.data_size_in = 13; }); },
     -EINVAL},
    {"RunSocketFilterBatch",
     [](Env& e) { return test_run(e, e.socket_filter, [](bpf_attr& a) { a.test.batch_size = 1; }); },
     -EINVAL},
    {"RunSocketFilterCtxReadOnlyField",
     [](Env& e) {
         g_skb = {};
         g_skb.len = 5;
         return test_run(e, e.socket_filter, [](bpf_attr& a) {
             a.test.ctx_in = address(&g_skb);
             a.test.ctx_size_in = sizeof g_skb;
         });
     },
     -EINVAL},
    {"RunSocketFilterCtx",
     [](Env& e) {
         g_skb = {};
         g_skb.mark = 5;
         return test_run(e, e.socket_filter,
                         [](bpf_attr& a) {
                             a.test.ctx_in = address(&g_skb);
                             a.test.ctx_size_in = sizeof g_skb;
                             a.test.ctx_out = address(&g_skb);
                             a.test.ctx_size_out = sizeof g_skb;
                         }) *
                    100 +
                g_skb.mark + g_skb.ifindex;
     },
     206419206},
    // OBJ_GET_INFO_BY_FD: the size that comes back.
    {"InfoOfMap",
     [](Env& e) {
         bpf_map_info i{};
         return get_info(e, e.hash, &i, sizeof i);
     },
     sizeof(bpf_map_info)},
    {"InfoShort",
     [](Env& e) {
         bpf_map_info i{};
         return get_info(e, e.hash, &i, 8);
     },
     8},
    {"InfoTailNotZero",
     [](Env& e) {
         static u8 i[1024];
         std::memset(i, 0, sizeof i);
         i[1000] = 1;
         return get_info(e, e.hash, i, sizeof i);
     },
     -E2BIG},
    {"InfoOfProgram",
     [](Env& e) {
         bpf_prog_info i{};
         return get_info(e, e.xdp, &i, sizeof i) * 10 + i.type;
     },
     sizeof(bpf_prog_info) * 10 + BPF_PROG_TYPE_XDP},
    {"InfoOfBtf",
     [](Env& e) {
         bpf_btf_info i{};
         const long r = get_info(e, e.btf, &i, sizeof i);
         return r < 0 ? r : long{i.btf_size};
     },
     48},
    {"InfoFdBad",
     [](Env& e) {
         bpf_map_info i{};
         return get_info(e, 9999, &i, sizeof i);
     },
     -EBADFD},
    {"InfoFuncRecSize",
     [](Env& e) {
         bpf_prog_info i{};
         i.nr_func_info = 1;
         i.func_info_rec_size = 4;
         return get_info(e, e.xdp, &i, sizeof i);
     },
     -EINVAL},
    {"InfoLoadedBy",
     [](Env& e) {
         bpf_prog_info i{};
         static_cast<void>(get_info(e, e.xdp, &i, sizeof i));
         return long{i.created_by_uid == getuid()} + 10 * long{i.gpl_compatible} +
                100 * long{i.load_time > 0};
     },
     111},
    // Statistics.
    {"StatsOfNoKind",
     [](Env& e) {
         auto a = zero_attr();
         a.enable_stats.type = 1;
         return e.call(BPF_ENABLE_STATS, a);
     },
     -EINVAL},
    {"StatsMore",
     [](Env& e) {
         auto a = zero_attr();
         a.map_type = 0;
         a.key_size = 1;
         return e.call(BPF_ENABLE_STATS, a);
     },
     -EINVAL},
    {"StatsAreNoInfo",
     [](Env& e) {
         auto a = zero_attr();
         const long fd = e.call(BPF_ENABLE_STATS, a);
         if (e.fd(fd) < 0) return fd;
         bpf_map_info i{};
         return get_info(e, static_cast<int>(fd), &i, sizeof i);
     },
     -EINVAL},
    {"StatsCountWhileTheyAreOn", runs_counted, 7},
    // Ids.
    {"NextIdBeyond",
     [](Env& e) {
         auto a = zero_attr();
         a.start_id = 0x7fffffff;
         return e.call(BPF_MAP_GET_NEXT_ID, a);
     },
     -EINVAL},
    {"NextLinkBeyond",
     [](Env& e) {
         auto a = zero_attr();
         a.start_id = 0x7fffffff;
         return e.call(BPF_LINK_GET_NEXT_ID, a);
     },
     -EINVAL},
    {"LinkByIdUnknown",
     [](Env& e) {
         auto a = zero_attr();
         a.link_id = 0x7ffffff0;
         return e.call(BPF_LINK_GET_FD_BY_ID, a);
     },
     -ENOENT},
    {"FdByIdUnknown",
     [](Env& e) {
         auto a = zero_attr();
         a.map_id = 0x7ffffff0;
         return e.call(BPF_MAP_GET_FD_BY_ID, a);
     },
     -ENOENT},
    {"FdByIdFlags",
     [](Env& e) {
         auto a = zero_attr();
         a.map_id = 1;
         a.open_flags = 1;
         return e.call(BPF_MAP_GET_FD_BY_ID, a);
     },
     -EINVAL},
    {"FdByIdProgFlags",
     [](Env& e) {
         auto a = zero_attr();
         a.prog_id = 1;
         a.open_flags = 8;
         return e.call(BPF_PROG_GET_FD_BY_ID, a);
     },
     -EINVAL},
    {"FdByIdReadOnly",
     [](Env& e) {
         bpf_map_info i{};
         static_cast<void>(get_info(e, e.array, &i, sizeof i));
         auto a = zero_attr();
         a.map_id = i.id;
         a.open_flags = BPF_F_RDONLY;
         const long fd = e.call(BPF_MAP_GET_FD_BY_ID, a);
         if (e.fd(fd) < 0) return fd;
         return update(e, static_cast<int>(fd), 0);
     },
     -EPERM},
};

class SyscallCases : public testing::TestWithParam<Case> {};

TEST_P(SyscallCases, AnswersAsLinuxDoes) {
    Env env(kOurs);
    EXPECT_EQ(GetParam().run(env), GetParam().result);
}

#ifndef XDPLANE_REMOTE
TEST_P(SyscallCases, AsTheKernel) {
    if (!test::kernel_bpf_allowed()) GTEST_SKIP() << "the kernel refuses bpf()";
    Env env(kKernel);
    EXPECT_EQ(GetParam().run(env), GetParam().result);
}
#endif

INSTANTIATE_TEST_SUITE_P(All, SyscallCases, testing::ValuesIn(kCases),
                         [](const auto& row) { return std::string(row.param.name); });

#ifndef XDPLANE_REMOTE
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

#endif

} // namespace
