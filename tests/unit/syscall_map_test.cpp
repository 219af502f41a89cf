// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
// Making maps, and their elements.
#include "tests/unit/syscall_cases.h"

namespace xdplane::test {
namespace {

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

long erase(Env& env, int map) {
    auto attr = env.elem(map, &g_key, nullptr);
    return env.call(BPF_MAP_DELETE_ELEM, attr);
}

const Case kCases[] = {
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
};

INSTANTIATE_TEST_SUITE_P(Maps, SyscallCases, testing::ValuesIn(kCases), name_of_case);

} // namespace
} // namespace xdplane::test
