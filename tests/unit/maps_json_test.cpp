// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
//
// Bytes to JSON and back by BTF, for the kinds of type that maps hold; and hex.
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <gtest/gtest.h>
#include <linux/btf.h>
#include <string>
#include <vector>

#include "bpf/maps/map_of_maps.h"
#include "dataplane/btf_json.h"
#include "dataplane/map_file.h"

namespace xdplane {
namespace {

/// A BTF blob put together type by type; add() returns the id.
class Blob {
public:
    u32 add(u32 kind, const char* name, u32 size_or_type, std::vector<u32> words = {}, u32 vlen = 0,
            bool flag = false) {
        const u32 info = kind << 24 | vlen | (flag ? 1U << 31 : 0);
        for (const u32 word : {text(name), info, size_or_type}) types_.push_back(word);
        types_.insert(types_.end(), words.begin(), words.end());
        return ++count_;
    }
    u32 text(const char* name) {
        if (*name == '\0') return 0;
        const u32 at = static_cast<u32>(strings_.size());
        strings_ += name;
        strings_ += '\0';
        return at;
    }
    [[nodiscard]] std::shared_ptr<const Btf> parse() const {
        btf_header header{};
        header.magic = BTF_MAGIC;
        header.version = BTF_VERSION;
        header.hdr_len = sizeof header;
        header.type_len = static_cast<u32>(types_.size() * 4);
        header.str_off = header.type_len;
        header.str_len = static_cast<u32>(strings_.size());
        std::vector<u8> bytes(sizeof header + header.type_len + header.str_len);
        std::memcpy(bytes.data(), &header, sizeof header);
        std::memcpy(bytes.data() + sizeof header, types_.data(), header.type_len);
        std::memcpy(bytes.data() + sizeof header + header.str_off, strings_.data(), header.str_len);
        auto btf = Btf::parse(bytes);
        EXPECT_TRUE(btf) << btf.error().message;
        return btf ? *btf : nullptr;
    }

private:
    u32 count_ = 0;
    std::vector<u32> types_;
    std::string strings_ = std::string(1, '\0');
};

/// struct all { s32 number; __be16 port; _Bool yes; char text[5]; enum color paint;
///              struct { u8 inner; }; u32 low : 4; u32 high : 12; u8 list[2]; } of 24 bytes
struct All {
    Blob blob;
    u32 type = 0;

    All() {
        const u32 s32 = blob.add(BTF_KIND_INT, "int", 4, {BTF_INT_SIGNED << 24 | 32});
        const u32 u16_ = blob.add(BTF_KIND_INT, "unsigned short", 2, {16});
        const u32 boolean = blob.add(BTF_KIND_INT, "_Bool", 1, {BTF_INT_BOOL << 24 | 8});
        const u32 character = blob.add(BTF_KIND_INT, "char", 1, {BTF_INT_SIGNED << 24 | 8});
        const u32 u8_ = blob.add(BTF_KIND_INT, "unsigned char", 1, {8});
        const u32 u32_ = blob.add(BTF_KIND_INT, "unsigned int", 4, {32});
        const u32 be16 = blob.add(BTF_KIND_TYPEDEF, "__be16", u16_);
        const u32 text = blob.add(BTF_KIND_ARRAY, "", 0, {character, u32_, 5});
        const u32 list = blob.add(BTF_KIND_ARRAY, "", 0, {u8_, u32_, 2});
        const u32 red = blob.text("RED");
        const u32 blue = blob.text("BLUE");
        const u32 color = blob.add(BTF_KIND_ENUM, "color", 4, {red, 0, blue, 7}, 2);
        const u32 inner_name = blob.text("inner");
        const u32 inner = blob.add(BTF_KIND_STRUCT, "", 4, {inner_name, u8_, 0}, 1);
        std::vector<u32> members;
        const auto member = [&](const char* name, u32 id, u32 bit, u32 bits) {
            members.insert(members.end(), {blob.text(name), id, bits << 24 | bit});
        };
        member("number", s32, 0, 0);
        member("port", be16, 32, 0);
        member("yes", boolean, 48, 0);
        member("text", text, 56, 0);
        member("paint", color, 96, 0);
        member("", inner, 128, 0);
        member("low", u32_, 160, 4);
        member("high", u32_, 164, 12);
        member("list", list, 176, 0);
        type = blob.add(BTF_KIND_STRUCT, "all", 24, members, 9, true);
    }
};

TEST(BtfJson, ThereAndBack) {
    All all;
    const auto btf = all.blob.parse();
    ASSERT_NE(btf, nullptr);
    const Json json = Json::parse(R"({"number": -2, "port": 443, "yes": true, "text": "abc", "paint": "BLUE",
                                      "inner": 9, "low": 5, "high": 2748, "list": [1, 2]})");
    std::vector<u8> bytes(24);
    const auto done = btf_from_json(*btf, all.type, json, bytes);
    ASSERT_TRUE(done) << done.error().message;
    EXPECT_EQ(to_hex(bytes), "feffffff"
                             "01bb"
                             "01"
                             "6162630000"
                             "07000000"
                             "09000000"
                             "c5ab"
                             "0102");
    EXPECT_EQ(btf_to_json(*btf, all.type, bytes), json);

    // What is not named stays.
    ASSERT_TRUE(btf_from_json(*btf, all.type, Json::parse(R"({"high": 1})"), bytes));
    EXPECT_EQ(to_hex(bytes).substr(40), "15000102");
}

TEST(BtfJson, WrongValuesNameTheMember) {
    All all;
    const auto btf = all.blob.parse();
    ASSERT_NE(btf, nullptr);
    const struct {
        const char* json;
        const char* error;
    } cases[] = {
        {R"({"nomber": 1})", "there is no member 'nomber'"},
        {R"({"port": 65536})", "port: 65536 does not fit 16 bits"},
        {R"({"port": -40000})", "port: -40000 does not fit 16 bits"},
        {R"({"low": 16})", "low: 16 does not fit 4 bits"},
        {R"({"number": 1.5})", "number: 1.5 is not a whole number"},
        {R"({"paint": "GREEN"})", "paint: \"GREEN\" is no value of this type"},
        {R"({"text": "abcde"})", "text: \"abcde\" is longer than its array"},
        {R"({"list": [1, 2, 3]})", "list: has 3 elements of 2"},
        {R"({"list": [1, 256]})", "list: [1]: 256 does not fit 8 bits"},
        {R"([1])", "[1] is not an object of members"},
    };
    for (const auto& c : cases) {
        std::vector<u8> bytes(24);
        const auto done = btf_from_json(*btf, all.type, Json::parse(c.json), bytes);
        ASSERT_FALSE(done) << c.json;
        EXPECT_EQ(done.error().message, c.error);
    }
}

TEST(BtfJson, TypesLargerThanTheirBytesHaveNoForm) {
    All all;
    const auto btf = all.blob.parse();
    ASSERT_NE(btf, nullptr);
    std::vector<u8> bytes(23);
    EXPECT_TRUE(btf_to_json(*btf, all.type, bytes).is_null());
    EXPECT_TRUE(btf_to_json(*btf, 999, bytes).is_null());
    EXPECT_FALSE(btf_from_json(*btf, all.type, Json::object(), bytes));
}

TEST(Hex, ReadsWhatPeopleWrite) {
    u8 bytes[4];
    for (const char* text : {"0a0100ff", "0x0A0100FF", "0a 01 00 ff", "0a:01:00:ff", " 0a01\n00ff "}) {
        ASSERT_TRUE(from_hex(text, bytes)) << text;
        EXPECT_EQ(to_hex(bytes), "0a0100ff") << text;
    }
    for (const char* text : {"", "0a0100f", "0a0100ff0", "0a0100ff00", "0a0100fg", "-a0100ff"})
        EXPECT_FALSE(from_hex(text, bytes)) << text;
}

NamedMap named(MapSpec spec) {
    auto map = create_map(std::move(spec));
    EXPECT_TRUE(map) << map.error().message;
    return {"object", "m", map ? *map : nullptr};
}

/// load_map() of a text: empty, or its error without the file's name.
std::string load(const NamedMap& map, const std::string& text) {
    char path[] = "/tmp/maps_json_test_XXXXXX";
    const int fd = ::mkstemp(path);
    EXPECT_GE(fd, 0);
    ::close(fd);
    std::ofstream(path) << text;
    const auto done = load_map(map, path);
    std::remove(path);
    return done ? "" : done.error().message.substr(std::string(path).size());
}

/// The entries of a dump, without what is around them.
std::string entries(const NamedMap& map) {
    const Json dump = Json::parse(dump_maps({&map, 1}));
    return dump["maps"][0]["entries"].dump();
}

const MapSpec kTrie{.type = BPF_MAP_TYPE_LPM_TRIE,
                    .key_size = 8,
                    .value_size = 4,
                    .max_entries = 4,
                    .flags = BPF_F_NO_PREALLOC};

TEST(MapsJson, TriesShowAndTakePrefixes) {
    const NamedMap map = named(kTrie);
    EXPECT_EQ(load(map, R"([{"prefix": "10.0.0.0/8", "value": 1}, {"prefix": "10.1.2.3", "value": 2},
                            {"key": "0000000000000000", "value": 3}])"),
              "");
    const std::string expected = R"([{"key":"0000000000000000","prefix":"0.0.0.0/0","value":"03000000"},)"
                                 R"({"key":"080000000a000000","prefix":"10.0.0.0/8","value":"01000000"},)"
                                 R"({"key":"200000000a010203","prefix":"10.1.2.3/32","value":"02000000"}])";
    EXPECT_EQ(entries(map), expected);
    const NamedMap again = named(kTrie);
    EXPECT_EQ(load(again, dump_maps({&map, 1})), "");
    EXPECT_EQ(entries(again), expected);

    MapSpec spec = kTrie;
    spec.key_size = 20;
    const NamedMap v6 = named(spec);
    EXPECT_EQ(load(v6, R"([{"prefix": "2001:db8::/32", "value": 1}])"), "");
    EXPECT_NE(entries(v6).find("2001:db8::/32"), std::string::npos);
}

TEST(MapsJson, BadPrefixesNameTheEntry) {
    const NamedMap map = named(kTrie);
    for (const char* prefix :
         {"10.0.0.0/33", "10.0.0.0/", "10.0.0.0/8x", "10.0.0/8", "2001::/16", "/8", ""}) {
        const std::string error = load(map, fmt::format(R"([{{"prefix": "{}", "value": 1}}])", prefix));
        EXPECT_NE(error.find("entry 0: key: \""), std::string::npos) << error;
    }
    EXPECT_EQ(load(map, R"([{"value": 1}])"), ": map m: entry 0: key: is missing");
    const NamedMap hash =
        named({.type = BPF_MAP_TYPE_HASH, .key_size = 8, .value_size = 4, .max_entries = 4});
    EXPECT_EQ(load(hash, R"([{"prefix": "10.0.0.0/8", "value": 1}])"),
              ": map m: entry 0: has an unknown part 'prefix'");
}

TEST(MapsJson, QueuesAndStacksComeBackInOrder) {
    for (const u32 type : {BPF_MAP_TYPE_QUEUE, BPF_MAP_TYPE_STACK}) {
        const MapSpec spec{.type = type, .value_size = 2, .max_entries = 3};
        const NamedMap map = named(spec);
        EXPECT_EQ(load(map, R"([{"value": 1}, {"value": 2}, {"value": 3}])"), "");
        const std::string expected = R"([{"value":"0100"},{"value":"0200"},{"value":"0300"}])";
        EXPECT_EQ(entries(map), expected);
        EXPECT_EQ(load(map, R"([{"value": 4}])"),
                  ": map m: entry 0: cannot be stored: Argument list too long");
        const NamedMap again = named(spec);
        EXPECT_EQ(load(again, dump_maps({&map, 1})), "");
        EXPECT_EQ(entries(again), expected);
    }
    const NamedMap filter = named({.type = BPF_MAP_TYPE_BLOOM_FILTER, .value_size = 4, .max_entries = 3});
    EXPECT_EQ(load(filter, R"([{"value": 7}])"), "");
    u32 value = 7;
    EXPECT_EQ(filter.map->ops().peek(*filter.map, &value), 0);
    EXPECT_EQ(entries(filter), "[]");
}

TEST(MapsJson, MapsOfMapsShowWhatIsInTheInnerOnes) {
    const NamedMap inner =
        named({.type = BPF_MAP_TYPE_ARRAY, .key_size = 4, .value_size = 4, .max_entries = 2, .name = "in"});
    for (const u32 type : {BPF_MAP_TYPE_ARRAY_OF_MAPS, BPF_MAP_TYPE_HASH_OF_MAPS}) {
        const NamedMap map =
            named({.type = type, .key_size = 4, .value_size = 4, .max_entries = 300, .inner = inner.map});
        for (const u32 key : {256U, 1U}) ASSERT_EQ(set_inner_map(*map.map, &key, inner.map, BPF_ANY), 0);
        const std::string held =
            R"("map":"in","entries":[{"key":"00000000","value":"00000000"},{"key":"01000000","value":"00000000"}])";
        const std::string low = R"({"key":"01000000",)" + held + "}";
        const std::string high = R"({"key":"00010000",)" + held + "}";
        // Arrays in the order of their index, hashes in that of their keys' bytes.
        EXPECT_EQ(entries(map), type == BPF_MAP_TYPE_ARRAY_OF_MAPS ? "[" + low + "," + high + "]"
                                                                   : "[" + high + "," + low + "]");
        EXPECT_EQ(load(map, "[]"), ": map m: a map of maps is filled by its object file only");
    }
}

} // namespace
} // namespace xdplane
