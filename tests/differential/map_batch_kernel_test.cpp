// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
//
// Batch commands, maps of maps and BTF of maps: the same commands to xdplane and to the running kernel.
#include <algorithm>
#include <linux/btf.h>
#include <map>
#include <random>

#include "tests/differential/map_sides.h"

namespace xdplane::sides {
namespace {

class MapBatches : public KernelMaps {};

struct BatchCall {
    u32 count = 0;
    u64 element_flags = 0;
    u64 flags = 0;
    const void* in = nullptr;
    void* out = nullptr;
};

/// Return code; `count` as it comes back.
long batch(const Object& map, u32 command, void* keys, void* values, const BatchCall& call, u32& count) {
    bpf_attr attr = zero_attr();
    attr.batch.map_fd = static_cast<u32>(map.fd());
    attr.batch.keys = address(keys);
    attr.batch.values = address(values);
    attr.batch.count = call.count;
    attr.batch.elem_flags = call.element_flags;
    attr.batch.flags = call.flags;
    attr.batch.in_batch = address(call.in);
    attr.batch.out_batch = address(call.out);
    const long rc = map.side().bpf(command, attr);
    count = attr.batch.count;
    return rc;
}

constexpr u32 kBatchCommands[] = {BPF_MAP_LOOKUP_BATCH, BPF_MAP_LOOKUP_AND_DELETE_BATCH, BPF_MAP_UPDATE_BATCH,
                                  BPF_MAP_DELETE_BATCH};

constexpr Want kWants[] = {
    {.type = BPF_MAP_TYPE_HASH, .max_entries = 8},
    {.type = BPF_MAP_TYPE_PERCPU_HASH, .max_entries = 8},
    {.type = BPF_MAP_TYPE_LRU_HASH, .max_entries = 8},
    {.type = BPF_MAP_TYPE_LRU_PERCPU_HASH, .max_entries = 8},
    {.type = BPF_MAP_TYPE_ARRAY, .max_entries = 8},
    {.type = BPF_MAP_TYPE_PERCPU_ARRAY, .max_entries = 8},
    {.type = BPF_MAP_TYPE_LPM_TRIE, .key_size = 8, .max_entries = 8, .flags = BPF_F_NO_PREALLOC},
    {.type = BPF_MAP_TYPE_QUEUE, .key_size = 0, .max_entries = 8},
    {.type = BPF_MAP_TYPE_STACK, .key_size = 0, .max_entries = 8},
    {.type = BPF_MAP_TYPE_BLOOM_FILTER, .key_size = 0, .max_entries = 8},
    {.type = BPF_MAP_TYPE_PROG_ARRAY, .max_entries = 8},
};

/// Keys 0, 1, ...; for tries prefixes of 32 bits.
Bytes keys_of(const Want& want, u32 count) {
    Bytes keys(std::size_t{count} * want.key_size);
    for (u32 i = 0; i < count; ++i) {
        u8* key = keys.data() + std::size_t{i} * want.key_size;
        if (want.type == BPF_MAP_TYPE_LPM_TRIE) {
            const u32 length = 32;
            std::memcpy(key, &length, 4);
            std::memcpy(key + 4, &i, 4);
        } else if (want.key_size == 4)
            std::memcpy(key, &i, 4);
    }
    return keys;
}

// Sizes, flags, cursors and null pointers, on an empty map and on one with entries in it.
TEST_F(MapBatches, CommandsAnswerAlike) {
    for (const Want& want : kWants)
        for (const u32 command : kBatchCommands)
            for (const bool filled : {false, true}) {
                SCOPED_TRACE(want.text() + fmt::format(" command {} filled {}", command, filled));
                const BatchCall calls[] = {{0},       {8},    {8, BPF_F_LOCK}, {8, 1},      {8, 0, 1},
                                           {0, 0, 1}, {0, 1}, {8, 2},          {0, u64{8}}, {8, ~u64{0}}};
                for (const BatchCall& each : calls)
                    for (u32 null = 0; null < 5; ++null) {
                        const Pair pair(want);
                        long rc[2];
                        u32 count[2];
                        for (u32 side = 0; side < 2; ++side) {
                            const Object& map = side == 0 ? pair.ours : pair.kernels;
                            Bytes keys = keys_of(want, 8);
                            Bytes values(4096, 7);
                            u32 ignored = 0;
                            if (filled)
                                (void)batch(map, BPF_MAP_UPDATE_BATCH, keys.data(), values.data(), {8},
                                            ignored);
                            Bytes cursor(16, 0x7f);
                            Bytes out(16);
                            BatchCall call = each;
                            call.out = null == 3 ? nullptr : out.data();
                            call.in = null == 4 ? cursor.data() : nullptr;
                            rc[side] = batch(map, command, null == 1 ? nullptr : keys.data(),
                                             null == 2 ? nullptr : values.data(), call, count[side]);
                        }
                        EXPECT_EQ(rc[0], rc[1]) << each.count << " " << each.element_flags << " "
                                                << each.flags << " null " << null;
                        EXPECT_EQ(count[0], count[1]) << each.count << " " << each.element_flags << " "
                                                      << each.flags << " null " << null;
                    }
            }
}

/// Walks a map in batches: what it held. The order of hashes is their own.
std::map<Bytes, Bytes> walk(const Object& map, const Want& want, u32 value_size, u32 room, bool take,
                            std::vector<long>& codes) {
    std::map<Bytes, Bytes> all;
    Bytes cursor(16);
    bool first = true;
    for (u32 step = 0; step < 1000; ++step) {
        Bytes keys(std::size_t{room} * want.key_size);
        Bytes values(std::size_t{room} * value_size);
        Bytes out(16);
        u32 count = 0;
        const long rc = batch(
            map, take ? BPF_MAP_LOOKUP_AND_DELETE_BATCH : BPF_MAP_LOOKUP_BATCH, keys.data(), values.data(),
            {.count = room, .in = first ? nullptr : cursor.data(), .out = out.data()}, count);
        first = false;
        for (u32 i = 0; i < count; ++i) {
            const auto key = keys.begin() + i * want.key_size;
            const auto value = values.begin() + i * static_cast<i64>(value_size);
            all.emplace(Bytes(key, key + want.key_size), Bytes(value, value + value_size));
        }
        if (rc == -ENOSPC) {
            codes.push_back(rc);
            room *= 2;
        } else if (rc != 0) {
            codes.push_back(rc);
            return all;
        }
        cursor = out;
    }
    ADD_FAILURE() << "no end";
    return all;
}

TEST_F(MapBatches, WalksFindTheSameEntries) {
    std::mt19937 random(1);
    for (Want want : kWants) {
        if (want.key_size == 0 || want.type == BPF_MAP_TYPE_PROG_ARRAY) continue;
        want.max_entries = 300;
        const bool lru = want.type == BPF_MAP_TYPE_LRU_HASH || want.type == BPF_MAP_TYPE_LRU_PERCPU_HASH;
        const u32 stride = want.type == BPF_MAP_TYPE_PERCPU_HASH ||
                                   want.type == BPF_MAP_TYPE_LRU_PERCPU_HASH ||
                                   want.type == BPF_MAP_TYPE_PERCPU_ARRAY
                               ? 8 * static_cast<u32>(::sysconf(_SC_NPROCESSORS_CONF))
                               : 4;
        for (const u32 room : {8U, 64U, 512U}) {
            SCOPED_TRACE(want.text() + fmt::format(" room {}", room));
            const Pair pair(want);
            const u32 entries = lru ? 50 : 250;
            Bytes keys = keys_of(want, entries);
            Bytes values(std::size_t{entries} * stride);
            for (u8& byte : values) byte = static_cast<u8>(random());
            for (const Object* map : {&pair.ours, &pair.kernels}) {
                u32 count = 0;
                EXPECT_EQ(batch(*map, BPF_MAP_UPDATE_BATCH, keys.data(), values.data(), {entries}, count), 0);
                EXPECT_EQ(count, entries);
            }
            std::vector<long> codes[2];
            const auto ours = walk(pair.ours, want, stride, room, false, codes[0]);
            EXPECT_EQ(ours, walk(pair.kernels, want, stride, room, false, codes[1]));
            EXPECT_EQ(codes[0].back(), codes[1].back());
            const auto taken = walk(pair.ours, want, stride, room, true, codes[0]);
            EXPECT_EQ(taken, walk(pair.kernels, want, stride, room, true, codes[1]));
            EXPECT_EQ(codes[0].back(), codes[1].back());
            if (codes[0].back() == -ENOENT) {
                EXPECT_EQ(taken, ours);
                EXPECT_TRUE(pair.ours.keys(want.key_size).empty());
            }
        }
    }
}

/// Maps for the inside, of one side.
struct Inner {
    explicit Inner(const Side& side) {
        for (const Want& want : wants()) maps.emplace_back(side, want);
    }
    static std::vector<Want> wants() {
        return {{.type = BPF_MAP_TYPE_ARRAY, .value_size = 8, .max_entries = 4},
                {.type = BPF_MAP_TYPE_ARRAY, .value_size = 8, .max_entries = 4},
                {.type = BPF_MAP_TYPE_ARRAY, .value_size = 8, .max_entries = 5},
                {.type = BPF_MAP_TYPE_ARRAY, .value_size = 8, .max_entries = 4, .flags = BPF_F_INNER_MAP},
                {.type = BPF_MAP_TYPE_ARRAY, .value_size = 8, .max_entries = 9, .flags = BPF_F_INNER_MAP},
                {.type = BPF_MAP_TYPE_ARRAY, .value_size = 4, .max_entries = 4},
                {.type = BPF_MAP_TYPE_ARRAY, .value_size = 8, .max_entries = 4, .flags = BPF_F_RDONLY_PROG},
                {.type = BPF_MAP_TYPE_HASH, .value_size = 8, .max_entries = 4},
                {.type = BPF_MAP_TYPE_HASH, .value_size = 8, .max_entries = 70},
                {.type = BPF_MAP_TYPE_HASH, .value_size = 8, .max_entries = 4, .flags = BPF_F_NO_PREALLOC},
                {.type = BPF_MAP_TYPE_PERCPU_ARRAY, .value_size = 8, .max_entries = 4},
                {.type = BPF_MAP_TYPE_PERCPU_ARRAY, .value_size = 8, .max_entries = 5},
                {.type = BPF_MAP_TYPE_LRU_HASH, .value_size = 8, .max_entries = 4},
                {.type = BPF_MAP_TYPE_LPM_TRIE, .key_size = 8, .flags = BPF_F_NO_PREALLOC},
                {.type = BPF_MAP_TYPE_QUEUE, .key_size = 0, .max_entries = 5},
                {.type = BPF_MAP_TYPE_QUEUE, .key_size = 0, .max_entries = 6},
                {.type = BPF_MAP_TYPE_BLOOM_FILTER, .key_size = 0, .max_entries = 5},
                {.type = BPF_MAP_TYPE_PROG_ARRAY, .max_entries = 5}};
    }
    std::vector<Object> maps;
};

long created(const Side& side, Want want, int inner, std::vector<Object>& keep) {
    want.inner = inner;
    const long fd = create(side, want);
    keep.emplace_back(side, fd);
    return std::min(fd, 0L);
}

constexpr u32 kOuterTypes[] = {BPF_MAP_TYPE_ARRAY_OF_MAPS, BPF_MAP_TYPE_HASH_OF_MAPS};

TEST_F(MapBatches, MapsOfMapsTakeTheSameTemplatesAndMaps) {
    const Inner ours(kOurs);
    const Inner kernels(kKernel);
    const auto wants = Inner::wants();
    for (const u32 type : kOuterTypes)
        for (std::size_t t = 0; t < wants.size(); ++t) {
            SCOPED_TRACE(fmt::format("outer {} of {}", type, wants[t].text()));
            std::vector<Object> outer;
            const Want want{.type = type, .max_entries = 2};
            const long rc = created(kOurs, want, ours.maps[t].fd(), outer);
            ASSERT_EQ(rc, created(kKernel, want, kernels.maps[t].fd(), outer));
            if (rc != 0) continue;
            for (std::size_t i = 0; i < wants.size(); ++i) {
                u32 key = 1;
                int our_fd = ours.maps[i].fd();
                int kernel_fd = kernels.maps[i].fd();
                EXPECT_EQ(outer[0].element(BPF_MAP_UPDATE_ELEM, &key, &our_fd),
                          outer[1].element(BPF_MAP_UPDATE_ELEM, &key, &kernel_fd))
                    << wants[i].text();
            }
            // None fits a second time: maps of maps of maps.
            std::vector<Object> third;
            EXPECT_EQ(created(kOurs, want, outer[0].fd(), third),
                      created(kKernel, want, outer[1].fd(), third));
        }
}

TEST_F(MapBatches, MapsOfMapsAreMadeAndRefusedAlike) {
    const Inner ours(kOurs);
    const Inner kernels(kKernel);
    const auto compare = [&](const Want& want, int our_fd, int kernel_fd) {
        std::vector<Object> keep;
        EXPECT_EQ(created(kOurs, want, our_fd, keep), created(kKernel, want, kernel_fd, keep)) << want.text();
    };
    for (const u32 type : kOuterTypes) {
        for (const u32 key : {0U, 1U, 4U, 8U, 600U})
            for (const u32 value : {0U, 4U, 8U})
                for (const u32 entries : {0U, 1U, 5U}) {
                    const Want want{
                        .type = type, .key_size = key, .value_size = value, .max_entries = entries};
                    compare(want, ours.maps[0].fd(), kernels.maps[0].fd());
                    compare(want, -1, -1);
                    compare(want, 0, 0); // no map, but open
                }
        for (u32 bit = 0; bit < 32; ++bit)
            if (bit < 13 || bit > 19)
                compare({.type = type, .flags = 1U << bit}, ours.maps[0].fd(), kernels.maps[0].fd());
    }
}

TEST_F(MapBatches, MapsOfMapsAnswerAlike) {
    std::mt19937 random(7);
    const Inner ours(kOurs);
    const Inner kernels(kKernel);
    for (const u32 type : kOuterTypes) {
        std::vector<Object> outer;
        const Want want{.type = type, .max_entries = 5};
        ASSERT_EQ(created(kOurs, want, ours.maps[0].fd(), outer), 0);
        ASSERT_EQ(created(kKernel, want, kernels.maps[0].fd(), outer), 0);
        for (u32 step = 0; step < 400 && !HasFailure(); ++step) {
            SCOPED_TRACE(fmt::format("type {} step {}", type, step));
            const u32 key = random() % 8;
            const u32 which = random() % 3;
            int fds[2] = {ours.maps[which].fd(), kernels.maps[which].fd()};
            if (random() % 20 == 0) fds[0] = fds[1] = 4000;
            u64 flags = random() % 4 == 0 ? random() % 9 : 0;
            const u32 commands[] = {BPF_MAP_UPDATE_ELEM, BPF_MAP_UPDATE_ELEM, BPF_MAP_LOOKUP_ELEM,
                                    BPF_MAP_DELETE_ELEM, BPF_MAP_LOOKUP_AND_DELETE_ELEM};
            const u32 command = commands[random() % std::size(commands)];
            if (command == BPF_MAP_DELETE_ELEM) flags = 0;
            const long rc =
                outer[0].element(command, &key, command == BPF_MAP_DELETE_ELEM ? nullptr : &fds[0], flags);
            EXPECT_EQ(rc, outer[1].element(command, &key, command == BPF_MAP_DELETE_ELEM ? nullptr : &fds[1],
                                           flags))
                << command << " " << flags;
            // What a lookup gives is the id of the same map.
            for (u32 i = 0; rc == 0 && command == BPF_MAP_LOOKUP_ELEM && i < 2; ++i) {
                EXPECT_EQ(static_cast<u32>(fds[0]) == ours.maps[i].info().id,
                          static_cast<u32>(fds[1]) == kernels.maps[i].info().id);
            }
        }
        auto a = outer[0].keys(4);
        auto b = outer[1].keys(4);
        std::sort(a.begin(), a.end());
        std::sort(b.begin(), b.end());
        EXPECT_EQ(a, b);
    }
}

TEST_F(MapBatches, MapsOfMapsGoInBatches) {
    for (const u32 type : kOuterTypes) {
        std::vector<u32> numbers[2];
        long codes[2][6];
        for (u32 side = 0; side < 2; ++side) {
            const Side& which = side == 0 ? kOurs : kKernel;
            const Inner inner(which);
            std::vector<Object> outer;
            ASSERT_EQ(created(which, {.type = type, .max_entries = 4}, inner.maps[0].fd(), outer), 0);
            u32 keys[4] = {0, 1, 2, 3};
            int fds[4] = {inner.maps[0].fd(), inner.maps[1].fd(), inner.maps[0].fd(), inner.maps[2].fd()};
            u32 out[4] = {};
            u32 cursor[4] = {};
            u32 count = 0;
            // The fourth does not fit.
            codes[side][0] = batch(outer[0], BPF_MAP_UPDATE_BATCH, keys, fds, {4}, count);
            codes[side][1] = count;
            codes[side][2] =
                batch(outer[0], BPF_MAP_LOOKUP_BATCH, keys, out, {.count = 4, .out = cursor}, count);
            codes[side][3] = count;
            for (u32 i = 0; i < count; ++i)
                numbers[side].push_back(keys[i] * 10 + (out[i] == inner.maps[0].info().id   ? 0
                                                        : out[i] == inner.maps[1].info().id ? 1
                                                                                            : 9));
            std::sort(numbers[side].begin(), numbers[side].end());
            codes[side][4] = batch(outer[0], BPF_MAP_LOOKUP_AND_DELETE_BATCH, keys, out,
                                   {.count = 4, .out = cursor}, count);
            codes[side][5] = batch(outer[0], BPF_MAP_DELETE_BATCH, keys, nullptr, {2}, count);
        }
        EXPECT_EQ(numbers[0], numbers[1]);
        EXPECT_EQ(numbers[0], (std::vector<u32>{0, 11, 20}));
        for (u32 i = 0; i < 6; ++i) EXPECT_EQ(codes[0][i], codes[1][i]) << type << " " << i;
    }
}

// The outer map keeps the inner one, whose fds are all closed.
TEST_F(MapBatches, AnInnerMapIsKeptByTheOuterOne) {
    for (const Side* side : {&kOurs, &kKernel})
        for (const u32 type : kOuterTypes) {
            SCOPED_TRACE(side->name);
            std::vector<Object> outer;
            u32 id = 0;
            const u32 key = 0;
            {
                const Object inner(*side, Want{.type = BPF_MAP_TYPE_HASH});
                id = inner.info().id;
                ASSERT_EQ(created(*side, {.type = type}, inner.fd(), outer), 0);
                int fd = inner.fd();
                ASSERT_EQ(outer[0].element(BPF_MAP_UPDATE_ELEM, &key, &fd), 0);
            }
            bpf_attr attr = zero_attr();
            attr.map_id = id;
            const Object again(*side, side->bpf(BPF_MAP_GET_FD_BY_ID, attr));
            EXPECT_GE(again.fd(), 0);
            u32 value = 0;
            EXPECT_EQ(outer[0].element(BPF_MAP_LOOKUP_ELEM, &key, &value), 0);
            EXPECT_EQ(value, id);
        }
}

/// u32; struct k of two u32; struct v of one; as BTF ids 1 to 3.
long load_btf(const Side& side) {
    const struct {
        btf_header header = {BTF_MAGIC, BTF_VERSION, 0, sizeof(btf_header), 0, 64, 64, 14};
        u32 types[16] = {
            1,  BTF_KIND_INT << 24,     4, 32, 5, BTF_KIND_STRUCT << 24 | 2, 8, 7, 1, 0, 9, 1, 32,
            11, BTF_KIND_TYPEDEF << 24, 2};
        char strings[14] = "\0u32\0k\0a\0b\0t";
    } blob;
    bpf_attr attr = zero_attr();
    attr.btf = address(&blob);
    attr.btf_size = sizeof(btf_header) + 64 + 14;
    return side.bpf(BPF_BTF_LOAD, attr);
}

TEST_F(MapBatches, BtfOfMapsIsAcceptedAndRefusedAlike) {
    const Inner ours(kOurs);
    const Inner kernels(kKernel);
    const Object our_btf(kOurs, load_btf(kOurs));
    const Object kernel_btf(kKernel, load_btf(kKernel));
    ASSERT_GE(our_btf.fd(), 0);
    ASSERT_GE(kernel_btf.fd(), 0);
    std::vector<Want> wants(std::begin(kWants), std::end(kWants));
    for (const u32 type : kOuterTypes) wants.push_back({.type = type});
    for (const Want& want : wants)
        for (u32 key = 0; key < 4; ++key)
            for (u32 value = 0; value < 4; ++value) {
                long rc[2];
                for (u32 side = 0; side < 2; ++side) {
                    const Side& which = side == 0 ? kOurs : kKernel;
                    bpf_attr attr = zero_attr();
                    attr.map_type = want.type;
                    attr.key_size = want.key_size;
                    attr.value_size = want.value_size;
                    attr.max_entries = want.max_entries;
                    attr.map_flags = want.flags;
                    attr.inner_map_fd = static_cast<u32>((side == 0 ? ours : kernels).maps[0].fd());
                    attr.btf_fd = static_cast<u32>((side == 0 ? our_btf : kernel_btf).fd());
                    attr.btf_key_type_id = key;
                    attr.btf_value_type_id = value;
                    const Object map(which, which.bpf(BPF_MAP_CREATE, attr));
                    rc[side] = std::min(map.fd(), 0);
                }
                EXPECT_EQ(rc[0], rc[1]) << want.text() << " key " << key << " value " << value;
            }
}

} // namespace
} // namespace xdplane::sides
