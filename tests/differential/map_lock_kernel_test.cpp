// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
//
// Values with a struct bpf_spin_lock and BPF_F_LOCK: the same commands to xdplane and to the running kernel.
#include <algorithm>
#include <linux/btf.h>
#include <random>

#include "tests/differential/map_sides.h"

namespace xdplane::sides {
namespace {

class MapLocks : public KernelMaps {};

constexpr u32 kKeyType = 1;
constexpr u32 kValueType = 3;
constexpr u32 kPlainType = 4;
constexpr u32 kValueSize = 20;

/// 1: u32; 2: struct bpf_spin_lock { u32 val; }; 3: { u32 a, b; struct bpf_spin_lock lock; u32 c, d; }; 4:
/// the same size without a lock.
long load_btf(const Side& side) {
    constexpr char strings[] = "\0u32\0bpf_spin_lock\0v\0a\0";
    constexpr u32 u32_name = 1;
    constexpr u32 lock_name = 5;
    constexpr u32 value_name = 19;
    constexpr u32 member_name = 21;
    std::vector<u32> types = {u32_name, BTF_KIND_INT << 24, 4, 32, lock_name, BTF_KIND_STRUCT << 24 | 1,
                              4,        member_name,        1, 0};
    for (const u32 third : {2U, 1U}) {
        types.insert(types.end(), {value_name, BTF_KIND_STRUCT << 24 | 5, kValueSize});
        for (u32 i = 0; i < 5; ++i) types.insert(types.end(), {member_name, i == 2 ? third : 1, i * 32});
    }
    btf_header header{};
    header.magic = BTF_MAGIC;
    header.version = BTF_VERSION;
    header.hdr_len = sizeof header;
    header.type_len = static_cast<u32>(types.size() * 4);
    header.str_off = header.type_len;
    header.str_len = sizeof strings - 1;
    Bytes blob(sizeof header + header.type_len + header.str_len);
    std::memcpy(blob.data(), &header, sizeof header);
    std::memcpy(blob.data() + sizeof header, types.data(), header.type_len);
    std::memcpy(blob.data() + sizeof header + header.str_off, strings, header.str_len);
    bpf_attr attr = zero_attr();
    attr.btf = address(blob.data());
    attr.btf_size = static_cast<u32>(blob.size());
    return side.bpf(BPF_BTF_LOAD, attr);
}

long create_with_btf(const Side& side, const Want& want, int btf, u32 value_type) {
    bpf_attr attr = zero_attr();
    attr.map_type = want.type;
    attr.key_size = want.key_size;
    attr.value_size = want.value_size;
    attr.max_entries = want.max_entries;
    attr.map_flags = want.flags;
    attr.btf_fd = static_cast<u32>(btf);
    attr.btf_key_type_id = kKeyType;
    attr.btf_value_type_id = value_type;
    return side.bpf(BPF_MAP_CREATE, attr);
}

TEST_F(MapLocks, OnlySomeMapsMayHaveThem) {
    const Object ours(kOurs, load_btf(kOurs));
    const Object kernels(kKernel, load_btf(kKernel));
    ASSERT_GE(ours.fd(), 0);
    ASSERT_GE(kernels.fd(), 0);
    for (const u32 type : {BPF_MAP_TYPE_HASH, BPF_MAP_TYPE_ARRAY, BPF_MAP_TYPE_PERCPU_HASH,
                           BPF_MAP_TYPE_PERCPU_ARRAY, BPF_MAP_TYPE_LRU_HASH, BPF_MAP_TYPE_LRU_PERCPU_HASH})
        for (const u32 flags : {0U, u32{BPF_F_RDONLY_PROG}, u32{BPF_F_RDONLY}}) {
            const Want want{.type = type, .value_size = kValueSize, .flags = flags};
            const Object a(kOurs, create_with_btf(kOurs, want, ours.fd(), kValueType));
            const Object b(kKernel, create_with_btf(kKernel, want, kernels.fd(), kValueType));
            EXPECT_EQ(std::min(a.fd(), 0), std::min(b.fd(), 0)) << want.text();
        }
}

TEST_F(MapLocks, CommandsAnswerAlike) {
    const Object ours(kOurs, load_btf(kOurs));
    const Object kernels(kKernel, load_btf(kKernel));
    std::mt19937 random(1);
    for (const u32 type : {BPF_MAP_TYPE_HASH, BPF_MAP_TYPE_ARRAY})
        for (const u32 value_type : {kValueType, kPlainType}) {
            const Want want{.type = type, .value_size = kValueSize, .max_entries = 4};
            const Pair pair(Object(kOurs, create_with_btf(kOurs, want, ours.fd(), value_type)),
                            Object(kKernel, create_with_btf(kKernel, want, kernels.fd(), value_type)));
            ASSERT_GE(pair.ours.fd(), 0);
            for (u32 step = 0; step < 1500 && !HasFailure(); ++step) {
                SCOPED_TRACE(want.text() + fmt::format(" value type {} step {}", value_type, step));
                Bytes key(4);
                key[0] = static_cast<u8>(random() % 6);
                Bytes value(kValueSize);
                for (u8& byte : value) byte = static_cast<u8>(random());
                const u32 commands[] = {BPF_MAP_UPDATE_ELEM, BPF_MAP_UPDATE_ELEM,
                                        BPF_MAP_UPDATE_ELEM, BPF_MAP_LOOKUP_ELEM,
                                        BPF_MAP_LOOKUP_ELEM, BPF_MAP_LOOKUP_AND_DELETE_ELEM};
                const u32 command = commands[random() % std::size(commands)];
                const u64 flags = (random() % 2) * BPF_F_LOCK |
                                  (command == BPF_MAP_UPDATE_ELEM && random() % 3 == 0 ? random() % 4 : 0);
                pair.both(command, &key, &value, flags);
            }
        }
}

} // namespace
} // namespace xdplane::sides
