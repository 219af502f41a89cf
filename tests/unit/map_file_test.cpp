// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
//
// Lists and CSV that maps are filled from, and maps that are brought to their contents while they are used.
#include "dataplane/map_file.h"

#include <atomic>
#include <cstring>
#include <fstream>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>
#include <string>
#include <sys/stat.h>
#include <thread>
#include <unistd.h>
#include <vector>

#include "bpf/btf/btf.h"
#include "bpf/run/run_context.h"
#include "dataplane/map_replace.h"
#include "tests/support/btf_builder.h"
#include "tests/support/reader.h"

namespace xdplane {
namespace {

NamedMap named(MapSpec spec) {
    auto map = create_map(std::move(spec));
    EXPECT_TRUE(map) << map.error().message;
    return {"object", "m", map ? *map : nullptr};
}

MapSpec trie(u32 key_size, u32 max_entries = 8) {
    return {.type = BPF_MAP_TYPE_LPM_TRIE,
            .key_size = key_size,
            .value_size = 4,
            .max_entries = max_entries,
            .flags = BPF_F_NO_PREALLOC};
}
MapSpec hash(u32 key_size, u32 value_size = 4, u32 max_entries = 16) {
    return {.type = BPF_MAP_TYPE_HASH,
            .key_size = key_size,
            .value_size = value_size,
            .max_entries = max_entries};
}

Result<MapEntries> parse(const NamedMap& map, const std::string& text,
                         MapFileFormat format = MapFileFormat::list) {
    return parse_map_file(map, text, "f", format);
}
std::string error_of(const NamedMap& map, const std::string& text,
                     MapFileFormat format = MapFileFormat::list) {
    const auto entries = parse(map, text, format);
    return entries ? "accepted" : entries.error().message;
}
/// "ADDED/REMOVED/KEPT/CHANGED", or the error.
std::string replace(const NamedMap& map, const std::string& text,
                    MapFileFormat format = MapFileFormat::list) {
    const auto entries = parse(map, text, format);
    if (!entries) return entries.error().message;
    const auto done = replace_entries(*map.map, *entries);
    if (!done) return done.error().message;
    return fmt::format("{}/{}/{}/{}", done->added, done->removed, done->kept, done->changed);
}
/// "KEY=VALUE ..." in hex.
std::string contents(const NamedMap& map) {
    const auto dump = nlohmann::json::parse(dump_maps({&map, 1}));
    std::string text;
    for (const auto& entry : dump["maps"][0]["entries"])
        text += (text.empty() ? "" : " ") + entry["key"].get<std::string>() + "=" +
                (entry["value"].is_string() ? entry["value"].get<std::string>() : entry["value"].dump());
    return text;
}

/// struct key { u16 vlan; __be16 port; };
/// struct entry { u32 verdict; struct { u16 rate; u16 burst; } limits; u64 packets; };
struct Typed {
    test::BtfBuilder btf;
    u32 key;
    u32 entry;
    Typed() {
        const u32 u16_ = btf.integer("unsigned short", 2);
        const u32 u32_ = btf.integer("unsigned int", 4);
        const u32 u64_ = btf.integer("unsigned long", 8);
        const u32 be16 = btf.type_definition("__be16", u16_);
        key = btf.structure("key", 4, {{"vlan", u16_, 0}, {"port", be16, 2}});
        const u32 limits = btf.structure("limits", 4, {{"rate", u16_, 0}, {"burst", u16_, 2}});
        entry =
            btf.structure("entry", 16, {{"verdict", u32_, 0}, {"limits", limits, 4}, {"packets", u64_, 8}});
    }
    [[nodiscard]] MapSpec spec(u32 type = BPF_MAP_TYPE_HASH) const {
        const std::string blob = btf.blob();
        auto parsed = Btf::parse({reinterpret_cast<const u8*>(blob.data()), blob.size()});
        EXPECT_TRUE(parsed) << parsed.error().message;
        return {.type = type,
                .key_size = 4,
                .value_size = 16,
                .max_entries = 8,
                .btf_key_type_id = type == BPF_MAP_TYPE_HASH ? key : 0,
                .btf_value_type_id = entry,
                .btf = *parsed};
    }
};

TEST(MapList, PrefixesOfBothFamilies) {
    const NamedMap v4 = named(trie(8));
    EXPECT_EQ(replace(v4, "\xef\xbb\xbf# head\r\n10.0.0.0/8\r\n\n  192.0.2.1\t; one\n203.0.113.0/24 0x # \n"),
              "f:5: value: has 0 hex digits, and 4 bytes need 8");
    EXPECT_EQ(contents(v4), "") << "nothing is changed by a wrong line";
    EXPECT_EQ(replace(v4, "\xef\xbb\xbf# h\xe9"
                          "ad\r\n10.0.0.0/8\r\n\n  192.0.2.1\t; one\n203.0.113.0/24 7 # x"),
              "3/0/0/0");
    EXPECT_EQ(contents(v4), "080000000a000000=00000000 18000000cb007100=07000000 20000000c0000201=00000000");
    const NamedMap v6 = named(trie(20));
    EXPECT_EQ(replace(v6, "2001:db8::/32\n::/0\n2001:db8::1\n"), "3/0/0/0");
}

TEST(MapList, WrongPrefixesSayWhereAndWhy) {
    const NamedMap v4 = named(trie(8));
    const NamedMap v6 = named(trie(20));
    EXPECT_EQ(error_of(v4, "10.0.0.0/8\n10.1.2.3/8\n"),
              "f:2: '10.1.2.3/8' has bits behind its length; the prefix is 10.0.0.0/8");
    EXPECT_EQ(error_of(v6, "2001:db8::1/64"),
              "f:1: '2001:db8::1/64' has bits behind its length; the prefix is 2001:db8::/64");
    EXPECT_EQ(error_of(v4, "::/0"), "f:1: '::/0': keys of this map are IPv4 prefixes");
    EXPECT_EQ(error_of(v6, "10.0.0.0/8"), "f:1: '10.0.0.0/8': keys of this map are IPv6 prefixes");
    for (const char* wrong :
         {"10.0.0.0/33", "10.0.0.0/", "10.0.0.0/-1", "10.0.0.0/8x", "10.0.0.0/99999999999"})
        EXPECT_EQ(error_of(v4, wrong), fmt::format("f:1: '{}' has no prefix length of 0 to 32", wrong));
    for (const char* wrong : {"10.0.0/8", "/8", "host", "10.0.0.256", "[10.0.0.0/8]", "10.0.0.0.0"})
        EXPECT_EQ(error_of(v4, wrong), fmt::format("f:1: '{}' is no address or prefix", wrong));
    EXPECT_EQ(error_of(v4, "10.0.0.0/8\n\x01\n"), "f:2: a character that is not plain ASCII");
    EXPECT_EQ(error_of(v4, "10.0.0.0/8\nh\xc3\xb6st\n"), "f:2: a character that is not plain ASCII");
    EXPECT_EQ(error_of(v4, std::string(5000, '1')), "f:1: the line has more than 4096 characters");
    EXPECT_EQ(error_of(v4, std::string(100, '1')),
              fmt::format("f:1: '{}...' is no address or prefix", std::string(48, '1')));
    EXPECT_EQ(error_of(v4, "10.0.0.0/8 1\n10.0.0.0/8 2\n"),
              "f:2: the key of line 1 again, with another value");
    EXPECT_EQ(error_of(v4, "10.0.0.0/8 1\n10.0.0.0/8 1\n"), "accepted");
    EXPECT_EQ(error_of(named(trie(7)), "10.0.0.0/8"),
              "f: map m: keys of 3 bytes are neither IPv4 nor IPv6 prefixes");
}

TEST(MapList, NumbersAddressesAndHex) {
    const NamedMap ports = named(hash(2));
    EXPECT_EQ(replace(ports, "22\n0x50\n8000-8002\n"), "5/0/0/0");
    EXPECT_EQ(contents(ports), "1600=00000000 401f=00000000 411f=00000000 421f=00000000 5000=00000000");
    EXPECT_EQ(error_of(ports, "1\n65536"), "f:2: 65536 does not fit 2 bytes");
    EXPECT_EQ(error_of(ports, "80-"), "f:1: '80-' is no range of numbers");
    EXPECT_EQ(error_of(ports, "80-79"), "f:1: '80-79' is no range of numbers");
    EXPECT_EQ(error_of(ports, "65000-65536"), "f:1: 65536 does not fit 2 bytes");
    EXPECT_EQ(error_of(named(hash(8)), "0-18446744073709551615"),
              "f:1: '0-18446744073709551615' are more than 65536 numbers");
    EXPECT_EQ(error_of(ports, "-1"), "f:1: '-1' is no number");
    EXPECT_EQ(error_of(ports, "http"), "f:1: 'http' is no number");

    const NamedMap addresses = named(hash(4));
    EXPECT_EQ(replace(addresses, "10.0.0.1\n7\n"), "2/0/0/0");
    EXPECT_EQ(contents(addresses), "07000000=00000000 0a000001=00000000");
    EXPECT_EQ(error_of(addresses, "::1"), "f:1: '::1' is no number or address");
    EXPECT_EQ(replace(named(hash(16)), "::1\n"), "1/0/0/0");
    EXPECT_EQ(error_of(named(hash(16)), "10.0.0.1\n"),
              "f:1: '10.0.0.1': keys of this map are IPv6 addresses");

    const NamedMap macs = named(hash(6));
    EXPECT_EQ(replace(macs, "02:00:00:00:00:01\n"), "1/0/0/0");
    EXPECT_EQ(contents(macs), "020000000001=00000000");
    EXPECT_EQ(error_of(macs, "02:00"), "f:1: '02:00': has 4 hex digits, and 6 bytes need 12");
}

TEST(MapList, ByBtf) {
    const Typed typed;
    const NamedMap fields = named(typed.spec());
    EXPECT_EQ(
        error_of(fields, "80"),
        "f: map m: keys of this map have several fields, and a word does not say them: use CSV or JSON");
    const NamedMap array = named(typed.spec(BPF_MAP_TYPE_ARRAY));
    EXPECT_EQ(replace(array, "3 {\"verdict\": 2, \"limits\": {\"rate\": 1}}"), "1/0/0/0");
    EXPECT_EQ(error_of(array, "3 {\"verdict\": 2"), "f:1: value: '{' is not a hex digit");
    EXPECT_EQ(error_of(array, "3 {\"x\": 2}"), "f:1: value: there is no member 'x'");
    EXPECT_EQ(error_of(array, "8"), "f:1: index 8, and the array ends at 7");
}

TEST(MapCsv, ColumnsByName) {
    const Typed typed;
    const NamedMap map = named(typed.spec());
    EXPECT_EQ(replace(map,
                      "# who\nvlan,port,verdict,limits.burst,value.packets\n"
                      "1,80,2,5,\n \"2\" , 0x51 ,\"3\",,9\n",
                      MapFileFormat::csv),
              "2/0/0/0");
    EXPECT_EQ(contents(map), "01000050=02000000000005000000000000000000 "
                             "02000051=03000000000000000900000000000000");
    const auto error = [&](const std::string& text) { return error_of(map, text, MapFileFormat::csv); };
    EXPECT_EQ(error("vlan,nope\n"), "f:1: column 'nope': neither key nor value has such a field");
    EXPECT_EQ(error("key,verdict\n"),
              "f:1: column 'key': keys of this map have several fields: a column for each");
    EXPECT_EQ(error("verdict\n"), "f:1: no column says the key");
    EXPECT_EQ(error("vlan,vlan\n"), "f:1: a second column is called 'vlan'");
    EXPECT_EQ(error("vlan,port\n1\n"), "f:2: 1 cells, and the header has 2");
    EXPECT_EQ(error("vlan,port\n1,2,3\n"), "f:2: 3 cells, and the header has 2");
    EXPECT_EQ(error("vlan,port\n1,\n"), "f:2: port: is empty");
    EXPECT_EQ(error("vlan,port\n1,70000\n"), "f:2: port: 70000 does not fit 16 bits");
    EXPECT_EQ(error("vlan,port\n1,x\n"), "f:2: port: \"x\" is no value of this type");
    EXPECT_EQ(error("vlan,port\n1,10.0.0.1\n"), "f:2: port: '10.0.0.1' does not fit 2 bytes");
    EXPECT_EQ(error("vlan,port\n1,\"2\n"), "f:2: a quote is not closed on its line");
    EXPECT_EQ(error("vlan,port\n1,\"2\"3\n"), "f:2: text behind a closing quote");
    EXPECT_EQ(error("vlan,port,verdict\n1,2,3\n1,2,4\n"), "f:3: the key of line 2 again, with another value");
    EXPECT_EQ(error(""), "f: map m: has no header line");
    EXPECT_EQ(error(std::string(64, ',')), "f:1: more than 64 columns");
    EXPECT_EQ(error("vlan,key.value.port\n"),
              "f:1: column 'key.value.port': neither key nor value has such a field");
}

TEST(MapCsv, WordsForWholeKeysAndValues) {
    const NamedMap map = named(trie(8));
    EXPECT_EQ(replace(map, "prefix,value\n10.0.0.0/8,5\n10.0.0.1,\"01 02 03 04\"\n", MapFileFormat::csv),
              "2/0/0/0");
    EXPECT_EQ(contents(map), "080000000a000000=05000000 200000000a000001=01020304");
    EXPECT_EQ(error_of(map, "prefix,key\n", MapFileFormat::csv), "f:1: two columns say the key");
    EXPECT_EQ(error_of(map, "prefix,verdict\n", MapFileFormat::csv),
              "f:1: column 'verdict': there is no BTF that knows such a field");
}

TEST(MapFile, FormatsByNameAndBeginning) {
    EXPECT_EQ(map_file_format("a.json", ""), MapFileFormat::json);
    EXPECT_EQ(map_file_format("a.csv", "[]"), MapFileFormat::csv);
    EXPECT_EQ(map_file_format("a.txt", " \n[]"), MapFileFormat::json);
    EXPECT_EQ(map_file_format("a", "{"), MapFileFormat::json);
    EXPECT_EQ(map_file_format("a", "10.0.0.0/8"), MapFileFormat::list);
    EXPECT_EQ(map_file_format("a", ""), MapFileFormat::list);
}

TEST(MapFile, WhatIsNoFileIsRefused) {
    const NamedMap map = named(hash(4));
    const auto error = [&](const std::string& path) {
        const auto entries = read_map_file(map, path, FileKind::regular);
        return entries ? "accepted" : entries.error().message;
    };
    EXPECT_EQ(error("/nowhere/x"), "/nowhere/x: map m: No such file or directory");
    EXPECT_EQ(error("/tmp"), "/tmp: map m: Is a directory");
    EXPECT_EQ(error("/dev/zero"), "/dev/zero: map m: is no regular file");
    const std::string fifo = testing::TempDir() + "map_file_fifo" + std::to_string(::getpid());
    ::unlink(fifo.c_str());
    ASSERT_EQ(::mkfifo(fifo.c_str(), 0600), 0);
    EXPECT_EQ(error(fifo), fifo + ": map m: is no regular file") << "and nobody waits for a writer";
    ::unlink(fifo.c_str());
}

TEST(MapFile, MapsThatTakeNoList) {
    const NamedMap queue = named({.type = BPF_MAP_TYPE_QUEUE, .value_size = 2, .max_entries = 3});
    EXPECT_EQ(error_of(queue, "1"), "f: map m: maps without keys are filled from JSON only");
    const NamedMap programs =
        named({.type = BPF_MAP_TYPE_PROG_ARRAY, .key_size = 4, .value_size = 4, .max_entries = 3});
    EXPECT_EQ(error_of(programs, "1"), "f: map m: a program array is filled by its object file only");
    const NamedMap lru =
        named({.type = BPF_MAP_TYPE_LRU_HASH, .key_size = 4, .value_size = 4, .max_entries = 8});
    EXPECT_EQ(replace(lru, "1"), "a map of type lru_hash can not be brought to the contents of a file");
    const NamedMap frozen = named(hash(4));
    frozen.map->freeze();
    EXPECT_EQ(error_of(frozen, "1"), "f: map m: the map is frozen");
}

TEST(MapReplace, KeepsWhatIsInBoth) {
    const Typed typed;
    const NamedMap map = named(typed.spec());
    const std::string head = "vlan,port,verdict\n";
    EXPECT_EQ(replace(map, head + "1,1,1\n2,2,1\n3,3,1\n", MapFileFormat::csv), "3/0/0/0");
    // What a program counts stays, whatever the file gives besides.
    const u8 key[4] = {2, 0, 0, 2};
    auto* value = static_cast<u8*>(map.map->ops().lookup(*map.map, key));
    ASSERT_NE(value, nullptr);
    value[8] = 77;
    EXPECT_EQ(replace(map, head + "2,2,1\n3,3,9\n4,4,1\n", MapFileFormat::csv), "1/1/2/1");
    EXPECT_EQ(map.map->ops().lookup(*map.map, key), value) << "the element itself";
    EXPECT_EQ(contents(map), "02000002=01000000000000004d00000000000000 "
                             "03000003=09000000000000000000000000000000 "
                             "04000004=01000000000000000000000000000000");
    EXPECT_EQ(
        replace(map, "", MapFileFormat::list),
        "f: map m: keys of this map have several fields, and a word does not say them: use CSV or JSON");
    EXPECT_EQ(replace(map, "[]", MapFileFormat::json), "0/3/0/0");
}

TEST(MapReplace, AMapThatIsTooSmallIsToldBeforehand) {
    const NamedMap map = named(hash(4, 4, 3));
    EXPECT_EQ(replace(map, "1\n2\n3\n"), "3/0/0/0");
    EXPECT_EQ(replace(map, "4\n5\n6\n7\n"), "4 entries, and the map has room for 3 (max_entries)");
    EXPECT_EQ(contents(map), "01000000=00000000 02000000=00000000 03000000=00000000");
    EXPECT_EQ(replace(map, "3\n4\n5\n"), "2/2/1/0") << "old ones have to make room";
    EXPECT_EQ(replace(map, "3\n3\n3\n3\n4\n"), "0/1/2/0") << "the same line again is no entry";
    EXPECT_EQ(replace(map, "[{\"key\": 1, \"value\": 1}, {\"key\": 1, \"value\": 2}]", MapFileFormat::json),
              "f: map m: entry 1: the key of entry 0 again, with another value");
}

TEST(MapReplace, ArraysAreOnAndOff) {
    for (const u32 type : {BPF_MAP_TYPE_ARRAY, BPF_MAP_TYPE_PERCPU_ARRAY}) {
        const NamedMap map = named({.type = type, .key_size = 4, .value_size = 1, .max_entries = 4});
        EXPECT_EQ(replace(map, "1\n3 7\n"), "2/0/0/0");
        u32 index = 3;
        std::vector<u8> value(map.map->syscall_value_size());
        ASSERT_EQ(map.map->ops().copy_value(*map.map, &index, value.data(), 0), 0);
        EXPECT_EQ(value[0], 7);
        EXPECT_EQ(replace(map, "3\n0\n"), "1/1/1/0");
        ASSERT_EQ(map.map->ops().copy_value(*map.map, &index, value.data(), 0), 0);
        EXPECT_EQ(value[0], 7) << "a value that is not given is left alone";
        EXPECT_EQ(error_of(map, "4"), "f:1: index 4, and the array ends at 3");
    }
}

TEST(MapReplace, PerCpuCountersGoOn) {
    const NamedMap map =
        named({.type = BPF_MAP_TYPE_PERCPU_HASH, .key_size = 2, .value_size = 8, .max_entries = 4});
    EXPECT_EQ(replace(map, "1\n2\n"), "2/0/0/0");
    const u8 key[2] = {1, 0};
    auto* counter = static_cast<u64*>(map.map->ops().lookup_cpu(*map.map, key, num_possible_cpus() - 1));
    ASSERT_NE(counter, nullptr);
    *counter = 5;
    EXPECT_EQ(replace(map, "1\n3\n"), "1/1/1/0");
    EXPECT_EQ(*counter, 5U);
    EXPECT_EQ(replace(map, "1 6\n3\n"), "0/0/2/1") << "what is given is every CPU's";
    EXPECT_EQ(*counter, 6U);
}

TEST(MapReplace, TriesTellPrefixesApartByTheirLength) {
    const NamedMap map = named(trie(8));
    // A program's own entry, with bits behind its length.
    const u8 key[8] = {8, 0, 0, 0, 10, 9, 9, 9};
    const u32 value = 3;
    ASSERT_EQ(map.map->ops().store_value(*map.map, key, &value, BPF_ANY), 0);
    EXPECT_EQ(replace(map, "10.0.0.0/8\n10.0.0.0/9\n"), "1/0/1/0");
    EXPECT_EQ(replace(map, "[{\"key\": \"2100000000000000\", \"value\": 1}]", MapFileFormat::json),
              "f: map m: entry 0: a prefix length of 33, and the map's keys have 32 bits");
}

/// A worker looks up, all the time, what stays in the map, and counts in its values; lists come and go.
TEST(MapReplace, WhatStaysIsNeverMissing) {
    const NamedMap maps[] = {named(trie(8, 3000)), named(hash(4, 4, 3000))};
    for (const NamedMap& map : maps) {
        const bool is_trie = map.map->spec().key_size == 8;
        const std::string stays = is_trie ? "10.0.0.0/8\n" : "10.0.0.0\n";
        std::string lists[2] = {stays, stays};
        for (int i = 1; i < 2000; ++i)
            lists[i % 2] += fmt::format("10.{}.{}.{}\n", i / 256 + 1, i % 256, is_trie ? "0/24" : "7");
        ASSERT_EQ(replace(map, lists[0]), "1000/0/0/0"); // 999 even numbers, and what stays
        std::atomic<bool> stop = false;
        std::atomic<u64> rounds = 0;
        u64 missing = 0;
        u32 counted = 0;
        std::thread worker([&] {
            const Reader reader;
            const u8 prefix[8] = {32, 0, 0, 0, 10, 200, 0, 1};
            const u8 address[4] = {10, 0, 0, 0};
            while (!stop) {
                auto* value = static_cast<u32*>(map.map->ops().lookup(*map.map, is_trie ? prefix : address));
                if (value == nullptr) {
                    ++missing;
                } else {
                    __atomic_fetch_add(value, 1, __ATOMIC_RELAXED);
                    ++counted;
                }
                reader.quiescent();
                ++rounds;
            }
        });
        while (rounds == 0) std::this_thread::yield();
        for (int round = 0; round < 20; ++round) {
            const std::string expected = round % 2 == 0 ? "1000/999/1/0" : "999/1000/1/0";
            EXPECT_EQ(replace(map, lists[(round + 1) % 2]), expected);
        }
        stop = true;
        worker.join();
        EXPECT_EQ(missing, 0U);
        u32 value = 0;
        const u8 prefix[8] = {8, 0, 0, 0, 10, 0, 0, 0};
        const u8 address[4] = {10, 0, 0, 0};
        ASSERT_EQ(map.map->ops().copy_value(*map.map, is_trie ? prefix : address, &value, 0), 0);
        EXPECT_EQ(value, counted) << "not one count is lost";
    }
}

TEST(MapFile, LoadMapTakesEveryFormat) {
    const NamedMap map = named(hash(4));
    const std::string path = testing::TempDir() + "map_file_list" + std::to_string(::getpid());
    std::ofstream(path) << "1\n2 5\n";
    auto done = load_map(map, path);
    ASSERT_TRUE(done) << done.error().message;
    EXPECT_EQ(contents(map), "01000000=00000000 02000000=05000000");
    std::ofstream(path) << "3\nx\n";
    done = load_map(map, path);
    ASSERT_FALSE(done);
    EXPECT_EQ(done.error().message, path + ":2: 'x' is no number or address");
    EXPECT_EQ(contents(map), "01000000=00000000 02000000=05000000");
    ::unlink(path.c_str());
}

} // namespace
} // namespace xdplane
