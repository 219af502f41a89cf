// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
#include "bpf/maps/map_types.h"

#include <cerrno>
#include <gtest/gtest.h>
#include <set>
#include <string>

namespace xdplane {
namespace {

/// What a map of the type must be asked for with.
MapSpec good_spec(u32 type) {
    MapSpec spec{.type = type, .key_size = 4, .value_size = 4, .max_entries = 3, .name = "m"};
    switch (type) {
    case BPF_MAP_TYPE_LPM_TRIE:
        spec.key_size = 8;
        spec.flags = BPF_F_NO_PREALLOC;
        break;
    case BPF_MAP_TYPE_QUEUE:
    case BPF_MAP_TYPE_STACK:
    case BPF_MAP_TYPE_BLOOM_FILTER: spec.key_size = 0; break;
    case BPF_MAP_TYPE_ARRAY_OF_MAPS:
    case BPF_MAP_TYPE_HASH_OF_MAPS: spec.inner = *create_map(good_spec(BPF_MAP_TYPE_HASH)); break;
    case BPF_MAP_TYPE_RINGBUF:
    case BPF_MAP_TYPE_USER_RINGBUF:
        spec.key_size = spec.value_size = 0;
        spec.max_entries = 65536; // whole pages everywhere
        break;
    case BPF_MAP_TYPE_STACK_TRACE: spec.value_size = 8; break;
    case BPF_MAP_TYPE_CGROUP_STORAGE:
    case BPF_MAP_TYPE_PERCPU_CGROUP_STORAGE:
        spec.key_size = 16;
        spec.max_entries = 0;
        break;
    case BPF_MAP_TYPE_SK_STORAGE:
        spec.max_entries = 0;
        spec.flags = BPF_F_NO_PREALLOC;
        spec.btf_key_type_id = spec.btf_value_type_id = 1;
        break;
    default: break;
    }
    return spec;
}

TEST(MapTypes, RowsAreOrderedUniqueAndComplete) {
    u32 last = 0;
    std::set<std::string> names;
    for (const MapType& row : map_types()) {
        ASSERT_NE(row.ops, nullptr);
        const MapOps& ops = *row.ops;
        ASSERT_NE(ops.name, nullptr);
        SCOPED_TRACE(ops.name);
        EXPECT_GT(row.type, last);
        last = row.type;
        EXPECT_EQ(find_map_ops(row.type), row.ops);
        EXPECT_TRUE(names.insert(ops.name).second);
        EXPECT_NE(ops.create, nullptr);
        // What programs may read, bpf(2) reads too, and writes what programs may write.
        if (ops.lookup != nullptr || ops.peek != nullptr) {
            EXPECT_NE(ops.copy_value, nullptr);
        }
        if (ops.update != nullptr || ops.push != nullptr) {
            EXPECT_NE(ops.store_value, nullptr);
        }
        EXPECT_EQ(ops.copy_batch != nullptr && ops.take_value == nullptr,
                  row.type == BPF_MAP_TYPE_HASH_OF_MAPS);
        EXPECT_TRUE(ops.copy_batch == nullptr || (ops.batch & kBatchLookup) != 0);
        EXPECT_EQ(ops.lookup_cpu != nullptr, ops.per_cpu);
        EXPECT_FALSE(ops.direct_value != nullptr && ops.per_cpu);

        const auto map = create_map(good_spec(row.type));
        ASSERT_TRUE(map) << map.error().message;
        EXPECT_EQ(&(*map)->ops(), row.ops);
        EXPECT_EQ((*map)->spec().name, "m");
    }
}

TEST(MapTypes, UnknownTypesAndBadNamesAreRefused) {
    for (const u32 type : {0U, 200U, ~0U}) {
        const auto map = create_map({.type = type, .key_size = 4, .value_size = 4, .max_entries = 1});
        ASSERT_FALSE(map);
        EXPECT_EQ(map.error().code, EINVAL);
    }
    MapSpec spec{.type = BPF_MAP_TYPE_ARRAY, .key_size = 4, .value_size = 4, .max_entries = 1};
    spec.name = "fifteen_letters";
    EXPECT_TRUE(create_map(spec));
    spec.name += 's';
    EXPECT_FALSE(create_map(spec));
}

} // namespace
} // namespace xdplane
