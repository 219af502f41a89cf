// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
#include "bpf/btf/btf.h"

#include <cerrno>
#include <cstring>
#include <gtest/gtest.h>
#include <linux/btf.h>
#include <random>
#include <string>

#include "tests/support/kernel_bpf.h"

using namespace xdplane;

namespace {

/// A BTF blob written by hand: types as words, strings by name.
class Blob {
public:
    u32 string(const std::string& text) {
        if (text.empty()) return 0;
        const u32 at = static_cast<u32>(strings_.size());
        strings_ += text;
        strings_ += '\0';
        return at;
    }
    u32 add(std::initializer_list<u32> words) {
        words_.insert(words_.end(), words);
        return ++types_;
    }
    u32 type(BtfKind kind, const std::string& name, u32 size_or_type, std::initializer_list<u32> rest = {},
             u32 vlen = 0, bool flag = false) {
        const u32 off = string(name);
        add({off, static_cast<u32>(kind) << 24 | vlen | (flag ? 1U << 31 : 0), size_or_type});
        words_.insert(words_.end(), rest);
        return types_;
    }
    u32 integer() { return type(BtfKind::int_, "int", 4, {BTF_INT_SIGNED << 24 | 32}); }

    [[nodiscard]] std::vector<u8> bytes() const {
        btf_header h{};
        h.magic = BTF_MAGIC;
        h.version = BTF_VERSION;
        h.hdr_len = sizeof h;
        h.type_len = static_cast<u32>(words_.size() * 4);
        h.str_off = h.type_len;
        h.str_len = static_cast<u32>(strings_.size());
        std::vector<u8> out(sizeof h + h.type_len + h.str_len);
        std::memcpy(out.data(), &h, sizeof h);
        if (!words_.empty()) std::memcpy(out.data() + sizeof h, words_.data(), h.type_len);
        std::memcpy(out.data() + sizeof h + h.type_len, strings_.data(), h.str_len);
        return out;
    }

private:
    std::vector<u32> words_;
    std::string strings_ = std::string(1, '\0');
    u32 types_ = 0;
};

int parse_error(std::span<const u8> bytes) {
    const auto r = Btf::parse(bytes);
    return r ? 0 : r.error().code;
}

int kernel_error(std::span<const u8> bytes) {
    bpf_attr attr;
    std::memset(&attr, 0, sizeof attr);
    attr.btf = reinterpret_cast<__u64>(bytes.data());
    attr.btf_size = static_cast<u32>(bytes.size());
    const long fd = test::kernel_bpf(BPF_BTF_LOAD, &attr, sizeof attr);
    if (fd < 0) return static_cast<int>(-fd);
    test::kernel_close(static_cast<int>(fd));
    return 0;
}

/// One blob: what parse() must say of it, and the kernel with it.
struct Case {
    const char* name;
    void (*build)(Blob&);
    int error;
};

constexpr auto kI = BtfKind::int_;
constexpr auto kP = BtfKind::ptr;
constexpr auto kS = BtfKind::struct_;

const Case kCases[] = {
    {"Int", [](Blob& b) { b.integer(); }, 0},
    {"IntTooManyBits", [](Blob& b) { b.type(kI, "x", 4, {64}); }, EINVAL},
    {"IntUnknownEncoding", [](Blob& b) { b.type(kI, "x", 4, {3U << 24 | 32}); }, 524},
    {"IntWithVlen", [](Blob& b) { b.type(kI, "x", 4, {32}, 1); }, EINVAL},
    {"IntWithFlag", [](Blob& b) { b.type(kI, "x", 4, {32}, 0, true); }, EINVAL},
    {"IntCutShort", [](Blob& b) { b.type(kI, "x", 4); }, EINVAL},
    {"UnknownKind", [](Blob& b) { b.add({0, 31U << 24, 0}); }, EINVAL},
    {"KindZero", [](Blob& b) { b.add({0, 0, 0}); }, EINVAL},
    {"ReservedInfoBits", [](Blob& b) { b.add({0, 2U << 24 | 1U << 20, 0}); }, EINVAL},
    {"NameOutOfRange", [](Blob& b) { b.add({999, 1U << 24, 4, 32}); }, EINVAL},
    {"Pointer", [](Blob& b) { b.type(kP, "", b.integer()); }, 0},
    {"PointerToVoid", [](Blob& b) { b.type(kP, "", 0); }, 0},
    {"NamedPointer", [](Blob& b) { b.type(kP, "p", 0); }, EINVAL},
    {"PointerOutOfRange", [](Blob& b) { b.type(kP, "", 7); }, EINVAL},
    {"PointerToItself", [](Blob& b) { b.type(kP, "", 1); }, EEXIST},
    {"TypedefLoop",
     [](Blob& b) {
         b.type(BtfKind::typedef_, "a", 2);
         b.type(BtfKind::typedef_, "b", 1);
     },
     EEXIST},
    {"TypedefWithoutName", [](Blob& b) { b.type(BtfKind::typedef_, "", b.integer()); }, EINVAL},
    {"TypedefNotIdentifier", [](Blob& b) { b.type(BtfKind::typedef_, "a b", b.integer()); }, EINVAL},
    {"PointerThroughConstToItself",
     [](Blob& b) {
         b.type(kP, "", 2);
         b.type(BtfKind::const_, "", 1);
     },
     EEXIST},
    {"StructWithPointerToItself",
     [](Blob& b) {
         b.type(kS, "list", 8, {b.string("next"), 2, 0}, 1);
         b.type(kP, "", 1);
     },
     0},
    {"StructInItself", [](Blob& b) { b.type(kS, "s", 8, {b.string("s"), 1, 0}, 1); }, EEXIST},
    {"StructMemberBehindEnd",
     [](Blob& b) {
         const u32 i = b.integer();
         b.type(kS, "s", 4, {b.string("m"), i, 64}, 1);
     },
     EINVAL},
    {"StructMembersUnsorted",
     [](Blob& b) {
         const u32 i = b.integer();
         b.type(kS, "s", 8, {b.string("m"), i, 32, b.string("n"), i, 0}, 2);
     },
     EINVAL},
    {"StructMemberVoid", [](Blob& b) { b.type(kS, "s", 8, {b.string("m"), 0, 0}, 1); }, EINVAL},
    {"StructVlenTooLong", [](Blob& b) { b.type(kS, "s", 8, {b.string("m"), 1, 0}, 60000); }, EINVAL},
    {"UnionMemberNotAtZero",
     [](Blob& b) {
         const u32 i = b.integer();
         b.type(BtfKind::union_, "u", 8, {b.string("m"), i, 32}, 1);
     },
     EINVAL},
    {"Array",
     [](Blob& b) {
         const u32 i = b.integer();
         b.type(BtfKind::array, "", 0, {i, i, 4});
     },
     0},
    {"ArrayOfVoid",
     [](Blob& b) {
         const u32 i = b.integer();
         b.type(BtfKind::array, "", 0, {0, i, 4});
     },
     EINVAL},
    {"ArrayTooBig",
     [](Blob& b) {
         const u32 i = b.integer();
         b.type(BtfKind::array, "", 0, {i, i, 0x80000000});
     },
     EINVAL},
    {"ArrayIndexNotInt",
     [](Blob& b) {
         const u32 i = b.integer();
         const u32 p = b.type(kP, "", i);
         b.type(BtfKind::array, "", 0, {i, p, 4});
     },
     EINVAL},
    {"ArrayWithSize",
     [](Blob& b) {
         const u32 i = b.integer();
         b.type(BtfKind::array, "", 1, {i, i, 4});
     },
     EINVAL},
    {"Enum", [](Blob& b) { b.type(BtfKind::enum_, "e", 4, {b.string("A"), 1}, 1); }, 0},
    {"EnumOddSize", [](Blob& b) { b.type(BtfKind::enum_, "e", 3, {b.string("A"), 1}, 1); }, EINVAL},
    {"EnumValueWithoutName", [](Blob& b) { b.type(BtfKind::enum_, "e", 4, {0, 1}, 1); }, EINVAL},
    {"Enum64", [](Blob& b) { b.type(BtfKind::enum64, "e", 8, {b.string("A"), 1, 2}, 1); }, 0},
    {"Forward", [](Blob& b) { b.type(BtfKind::fwd, "f", 0); }, 0},
    {"ForwardWithType", [](Blob& b) { b.type(BtfKind::fwd, "f", 1); }, EINVAL},
    {"Func",
     [](Blob& b) {
         const u32 i = b.integer();
         const u32 p = b.type(BtfKind::func_proto, "", i, {b.string("x"), i}, 1);
         b.type(BtfKind::func, "f", p, {}, BTF_FUNC_GLOBAL);
     },
     0},
    {"FuncExtern",
     [](Blob& b) {
         const u32 p = b.type(BtfKind::func_proto, "", 0);
         b.type(BtfKind::func, "f", p, {}, BTF_FUNC_EXTERN);
     },
     EINVAL},
    {"FuncOfInt", [](Blob& b) { b.type(BtfKind::func, "f", b.integer()); }, EINVAL},
    {"FuncUnnamedArgument",
     [](Blob& b) {
         const u32 i = b.integer();
         const u32 p = b.type(BtfKind::func_proto, "", i, {0, i}, 1);
         b.type(BtfKind::func, "f", p);
     },
     EINVAL},
    {"ProtoArgumentOutOfRange", [](Blob& b) { b.type(BtfKind::func_proto, "", 0, {b.string("x"), 9}, 1); },
     EINVAL},
    {"VarAndSection",
     [](Blob& b) {
         const u32 i = b.integer();
         const u32 v = b.type(BtfKind::var, "v", i, {1});
         b.type(BtfKind::datasec, ".data", 4, {v, 0, 4}, 1);
     },
     0},
    {"VarExtern",
     [](Blob& b) {
         const u32 i = b.integer();
         b.type(BtfKind::var, "v", i, {2});
     },
     EINVAL},
    {"VarOfVoid", [](Blob& b) { b.type(BtfKind::var, "v", 0, {1}); }, EINVAL},
    {"SectionWithoutSize",
     [](Blob& b) {
         const u32 i = b.integer();
         const u32 v = b.type(BtfKind::var, "v", i, {1});
         b.type(BtfKind::datasec, ".data", 0, {v, 0, 4}, 1);
     },
     EINVAL},
    {"SectionVarTooShort",
     [](Blob& b) {
         const u32 i = b.integer();
         const u32 v = b.type(BtfKind::var, "v", i, {1});
         b.type(BtfKind::datasec, ".data", 4, {v, 0, 2}, 1);
     },
     EINVAL},
    {"SectionVarsOverlap",
     [](Blob& b) {
         const u32 i = b.integer();
         const u32 v = b.type(BtfKind::var, "v", i, {1});
         const u32 w = b.type(BtfKind::var, "w", i, {1});
         b.type(BtfKind::datasec, ".data", 8, {v, 0, 4, w, 2, 4}, 2);
     },
     EINVAL},
    // clang describes a section so in which all objects are nameless: .rodata of constant initialisers.
    {"SectionWithoutVariables", [](Blob& b) { b.type(BtfKind::datasec, ".rodata", 16); }, 0},
    {"SectionWithoutAnything", [](Blob& b) { b.type(BtfKind::datasec, ".rodata", 0); }, EINVAL},
    {"SectionOfInt",
     [](Blob& b) {
         const u32 i = b.integer();
         b.type(BtfKind::datasec, ".data", 4, {i, 0, 4}, 1);
     },
     EINVAL},
    {"Float", [](Blob& b) { b.type(BtfKind::float_, "float", 4); }, 0},
    {"FloatOddSize", [](Blob& b) { b.type(BtfKind::float_, "float", 5); }, EINVAL},
    {"DeclTag",
     [](Blob& b) {
         const u32 i = b.integer();
         const u32 s = b.type(kS, "s", 4, {b.string("m"), i, 0}, 1);
         b.type(BtfKind::decl_tag, "tag", s, {0});
     },
     0},
    {"DeclTagComponentOutOfRange",
     [](Blob& b) {
         const u32 i = b.integer();
         const u32 s = b.type(kS, "s", 4, {b.string("m"), i, 0}, 1);
         b.type(BtfKind::decl_tag, "tag", s, {1});
     },
     EINVAL},
    {"DeclTagOfInt",
     [](Blob& b) {
         const u32 i = b.integer();
         b.type(BtfKind::decl_tag, "tag", i, {~0U});
     },
     EINVAL},
    {"TypeTag", [](Blob& b) { b.type(kP, "", b.type(BtfKind::type_tag, "user", b.integer())); }, 0},
    {"Empty", [](Blob&) {}, EINVAL},
};

class BtfCases : public testing::TestWithParam<Case> {};

TEST_P(BtfCases, Parses) {
    Blob blob;
    GetParam().build(blob);
    EXPECT_EQ(parse_error(blob.bytes()), GetParam().error);
}

TEST_P(BtfCases, AsTheKernel) {
    if (!test::kernel_bpf_allowed()) GTEST_SKIP() << "the kernel refuses bpf()";
    Blob blob;
    GetParam().build(blob);
    EXPECT_EQ(kernel_error(blob.bytes()), GetParam().error);
}

INSTANTIATE_TEST_SUITE_P(All, BtfCases, testing::ValuesIn(kCases),
                         [](const auto& row) { return std::string(row.param.name); });

/// Everything at once, for queries and as the seed of mutations.
Blob rich() {
    Blob b;
    const u32 i = b.integer();                                                                     // 1
    const u32 c = b.type(BtfKind::const_, "", i);                                                  // 2
    const u32 t = b.type(BtfKind::typedef_, "number", c);                                          // 3
    const u32 a = b.type(BtfKind::array, "", 0, {t, i, 5});                                        // 4
    const u32 p = b.type(kP, "", 6);                                                               // 5
    b.type(kS, "node", 32, {b.string("next"), p, 0, b.string("values"), a, 64}, 2);                // 6
    const u32 proto = b.type(BtfKind::func_proto, "", i, {b.string("n"), p, 0, 0}, 2);             // 7
    b.type(BtfKind::func, "walk", proto, {}, BTF_FUNC_GLOBAL);                                     // 8
    const u32 v = b.type(BtfKind::var, "count", t, {1});                                           // 9
    b.type(BtfKind::datasec, ".bss", 4, {v, 0, 4}, 1);                                             // 10
    b.type(BtfKind::enum_, "e", 4, {b.string("A"), 1, b.string("B"), ~0U}, 2, true);               // 11
    b.type(kS, "flags", 4, {b.string("x"), i, 3U << 24, b.string("y"), i, 5U << 24 | 3}, 2, true); // 12
    return b;
}

TEST(Btf, AnswersQueries) {
    const auto bytes = rich().bytes();
    const auto parsed = Btf::parse(bytes);
    ASSERT_TRUE(parsed) << parsed.error().message;
    const Btf& btf = **parsed;
    EXPECT_EQ(btf.type_count(), 13U);
    EXPECT_TRUE(std::equal(bytes.begin(), bytes.end(), btf.bytes().begin(), btf.bytes().end()));
    EXPECT_EQ(btf.find("node", kS), 6U);
    EXPECT_EQ(btf.find("node", kI), std::nullopt);
    EXPECT_EQ(btf.resolve(3), 1U);
    EXPECT_EQ(btf.size_of(3), 4U);
    EXPECT_EQ(btf.size_of(4), 20U);
    EXPECT_EQ(btf.size_of(5), 8U);
    EXPECT_EQ(btf.size_of(9), 4U);
    EXPECT_EQ(btf.size_of(7), std::nullopt);
    EXPECT_EQ(btf.func_linkage(8), BtfLinkage::global);
    EXPECT_EQ(btf.target(8), 7U);
    ASSERT_EQ(btf.members(6).size(), 2U);
    EXPECT_EQ(btf.members(6)[1].name, "values");
    EXPECT_EQ(btf.members(6)[1].bit_offset, 64U);
    EXPECT_EQ(btf.members(12)[1].bitfield_size, 5U);
    EXPECT_EQ(btf.members(12)[1].bit_offset, 3U);
    EXPECT_EQ(btf.params(7).size(), 2U);
    EXPECT_EQ(btf.variables(10)[0].type, 9U);
    EXPECT_EQ(btf.enumerators(11)[1].value, ~u64{0});
    EXPECT_EQ(btf.integer(1).bits, 32);
    EXPECT_TRUE(btf.integer(1).is_signed);
    EXPECT_EQ(btf.array(4).count, 5U);
    EXPECT_EQ(btf.kind(999), BtfKind::void_);
    EXPECT_EQ(btf.string(1 << 30), "");
    EXPECT_EQ(btf.resolve(999), 0U);
}

TEST(Btf, ObjectFilesMayLeaveSectionsUnfinished) {
    Blob b;
    const u32 i = b.integer();
    const u32 v = b.type(BtfKind::var, "v", i, {2});
    b.type(BtfKind::datasec, ".data", 0, {v, 0, 4}, 1);
    EXPECT_FALSE(Btf::parse(b.bytes()));
    EXPECT_TRUE(Btf::parse(b.bytes(), Btf::Source::object_file));
}

TEST(Btf, HeaderIsChecked) {
    struct {
        std::size_t at;
        u8 value;
        int error;
    } const edits[] = {{0, 0, EINVAL}, {2, 9, 524},     {3, 1, 524},     {4, 8, EINVAL}, {4, 0xff, E2BIG},
                       {8, 4, EINVAL}, {12, 1, EINVAL}, {16, 1, EINVAL}, {20, 0, EINVAL}};
    for (const auto& e : edits) {
        auto bytes = rich().bytes();
        bytes[e.at] = e.value;
        EXPECT_EQ(parse_error(bytes), e.error) << "byte " << e.at;
        if (test::kernel_bpf_allowed()) {
            EXPECT_EQ(kernel_error(bytes), e.error) << "byte " << e.at;
        }
    }
}

TEST(Btf, EveryTruncationIsRefused) {
    const auto bytes = rich().bytes();
    for (std::size_t n = 0; n < bytes.size(); ++n) EXPECT_NE(parse_error({bytes.data(), n}), 0) << n;
}

/// Asks everything of every id: what parse() lets through must be harmless.
void walk(const Btf& btf) {
    for (u32 id = 0; id <= btf.type_count(); ++id) {
        static_cast<void>(btf.size_of(id));
        static_cast<void>(btf.name(id).size() + btf.members(id).size() + btf.params(id).size() +
                          btf.variables(id).size() + btf.enumerators(id).size());
        static_cast<void>(btf.integer(id).bits + btf.array(id).count + btf.resolve(id));
    }
}

TEST(Btf, MutationsAreParsedAsTheKernelDoes) {
    const auto seed = rich().bytes();
    std::mt19937 random(20260101);
    int accepted = 0;
    int differ = 0;
    const bool oracle = test::kernel_bpf_allowed();
    for (int round = 0; round < 4000; ++round) {
        auto bytes = seed;
        for (u32 n = 1 + random() % 3; n > 0; --n)
            bytes[random() % bytes.size()] = static_cast<u8>(random() % 4 != 0 ? random() % 16 : random());
        const auto parsed = Btf::parse(bytes);
        if (parsed) walk(**parsed);
        static_cast<void>(Btf::parse(bytes, Btf::Source::object_file));
        accepted += parsed ? 1 : 0;
        if (oracle && (kernel_error(bytes) == 0) != parsed.has_value()) ++differ;
    }
    EXPECT_GT(accepted, 40);
    // Linux knows a few finer points of bit-fields and names; nothing may drift far from it.
    EXPECT_LT(differ, 40);
    RecordProperty("differ", differ);
}

TEST(Btf, LongChainsEnd) {
    Blob chain;
    for (u32 i = 0; i < 200'000; ++i) chain.type(BtfKind::const_, "", i + 2);
    chain.integer();
    EXPECT_EQ(parse_error(chain.bytes()), E2BIG);
}

} // namespace
