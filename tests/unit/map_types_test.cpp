// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
#include "bpf/maps/map_types.h"

#include <cerrno>
#include <gtest/gtest.h>
#include <set>
#include <string>

namespace xdplane {
namespace {

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
        EXPECT_NE(ops.erase, nullptr);
        EXPECT_NE(ops.next_key, nullptr);
        // What programs may read, bpf(2) reads and writes too.
        EXPECT_EQ(ops.lookup != nullptr, ops.copy_value != nullptr);
        EXPECT_EQ(ops.lookup != nullptr, ops.store_value != nullptr);
        EXPECT_EQ(ops.lookup != nullptr, ops.update != nullptr);
        EXPECT_EQ(ops.lookup_cpu != nullptr, ops.per_cpu);
        EXPECT_FALSE(ops.direct_value != nullptr && ops.per_cpu);

        const auto map =
            create_map({.type = row.type, .key_size = 4, .value_size = 4, .max_entries = 3, .name = "m"});
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
