// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
// Loads that are joined, and what is known of the keys of lookups.
#include <algorithm>
#include <gtest/gtest.h>

#include "tests/unit/lower_support.h"

namespace xdplane::test {
namespace {

TEST(LowerPasses, HalvesThatAreJoinedAreLoadedAtOnce) {
    struct Case {
        const char* text;
        const char* lowered;
    };
    const Case cases[] = {
        {"r3 = *(u8 *)(r7 +12)\nr2 = *(u8 *)(r7 +13)\nw2 <<= 8\nw2 |= w3",
         "r3 = *(u8 *)(r7 + 12); r2 = *(u16 *)(r7 + 12)"},
        // The address may go with it.
        {"r3 = *(u16 *)(r2 +2)\nr4 = r5\nr2 = *(u16 *)(r2 +4)\nr2 <<= 16\nr2 |= r3",
         "r3 = *(u16 *)(r2 + 2); r4 = r5; r2 = *(u32 *)(r2 + 2)"},
        {"r3 = *(u32 *)(r7 +0)\nr2 = *(u32 *)(r7 +4)\nr2 <<= 32\nr2 |= r3",
         "r3 = *(u32 *)(r7 + 0); r2 = *(u64 *)(r7 + 0)"},
        // Halves of halves.
        {"r1 = *(u8 *)(r7 +0)\nr2 = *(u8 *)(r7 +1)\nr2 <<= 8\nr2 |= r1\n"
         "r3 = *(u8 *)(r7 +2)\nr4 = *(u8 *)(r7 +3)\nr4 <<= 8\nr4 |= r3\nr4 <<= 16\nr4 |= r2",
         "r1 = *(u8 *)(r7 + 0); r2 = *(u16 *)(r7 + 0); r3 = *(u8 *)(r7 + 2); r4 = *(u32 *)(r7 + 0)"},
    };
    for (const Case& c : cases)
        EXPECT_EQ(listing(lower_text(std::string(c.text) + "\nexit")), std::string(c.lowered) + "; exit");
}

TEST(LowerPasses, HalvesThatAreNotOneNumberStay) {
    const char* const texts[] = {
        // Not side by side; the other way round; of another width; from elsewhere.
        "r3 = *(u8 *)(r7 +12)\nr2 = *(u8 *)(r7 +14)\nw2 <<= 8\nw2 |= w3",
        "r3 = *(u8 *)(r7 +13)\nr2 = *(u8 *)(r7 +12)\nw2 <<= 8\nw2 |= w3",
        "r3 = *(u16 *)(r7 +12)\nr2 = *(u8 *)(r7 +14)\nw2 <<= 8\nw2 |= w3",
        "r3 = *(u8 *)(r6 +12)\nr2 = *(u8 *)(r7 +13)\nw2 <<= 8\nw2 |= w3",
        // Another shift, another sum; 32 bits have no room for 64.
        "r3 = *(u8 *)(r7 +12)\nr2 = *(u8 *)(r7 +13)\nw2 <<= 9\nw2 |= w3",
        "r3 = *(u8 *)(r7 +12)\nr2 = *(u8 *)(r7 +13)\nw2 <<= 8\nw2 ^= w3",
        "r3 = *(u32 *)(r7 +0)\nr2 = *(u32 *)(r7 +4)\nr2 <<= 32\nw2 |= w3",
        // Memory, the base or the lower half may have changed; somebody jumps in.
        "r3 = *(u8 *)(r7 +12)\n*(u8 *)(r6 +0) = r1\nr2 = *(u8 *)(r7 +13)\nw2 <<= 8\nw2 |= w3",
        "r3 = *(u8 *)(r7 +12)\nr7 += 1\nr2 = *(u8 *)(r7 +13)\nw2 <<= 8\nw2 |= w3",
        "r3 = *(u8 *)(r7 +12)\nr3 += 1\nr2 = *(u8 *)(r7 +13)\nw2 <<= 8\nw2 |= w3",
        "r3 = *(u8 *)(r7 +12)\nif r1 == 0 goto 1\nr3 = 1\nr2 = *(u8 *)(r7 +13)\nw2 <<= 8\nw2 |= w3",
        "r3 = *(u8 *)(r3 +12)\nr2 = *(u8 *)(r3 +13)\nw2 <<= 8\nw2 |= w3",
    };
    for (const char* text : texts) {
        const std::string lowered = listing(lower_text(std::string(text) + "\nexit"));
        EXPECT_NE(lowered.find("w2 <<= "), lowered.find("r2 <<= ")) << text << "\n" << lowered;
        EXPECT_FALSE(lowered.starts_with("error")) << text << "\n" << lowered;
    }
}

/// "begin+size what" for each piece of the key of the program's only lookup.
std::string key_of_lookup(std::string_view stores, u32 key_size) {
    Result<std::shared_ptr<Map>> hash =
        create_map({.type = BPF_MAP_TYPE_HASH, .key_size = key_size, .value_size = 8, .max_entries = 4});
    if (!hash) return "error: " + hash.error().message;
    Map* const map = hash->get();
    const auto amend = [map](std::span<const Insn> insns, std::vector<InsnFacts>& facts,
                             std::vector<FunctionFacts>&) {
        for (std::size_t i = 0; i < insns.size(); ++i) {
            if (facts[i].op == Op::invalid) continue;
            const OpKind kind = info(facts[i].op).kind;
            if (kind == OpKind::call && insns[i].imm == BPF_FUNC_map_lookup_elem) facts[i].map = map;
            if (kind == OpKind::stx || kind == OpKind::st)
                facts[i].base = insns[i].dst == R6 ? PtrKind::packet : PtrKind::stack;
        }
    };
    const Result<LoweredProgram> program = lower_text(fmt::format("{}\ncall #1\nexit", stores),
                                                      {.helper = helpers, .maps = {*hash}, .amend = amend});
    if (!program) return "error: " + program.error().message;
    const auto& insns = program->insns();
    const auto lookup = std::ranges::find(insns, Op::map_lookup, &LoweredInsn::op);
    const LookupKey* key = program->key_of(static_cast<u32>(lookup - insns.begin()));
    if (key == nullptr) return "anywhere";
    std::string out = fmt::format("{}:", key->stack_offset);
    for (const KeyPiece& piece : key->pieces) {
        out += fmt::format(" {}+{}", piece.begin, piece.size);
        if (piece.kind == KeyPiece::Kind::in_register) out += fmt::format("=r{}", piece.reg);
        if (piece.kind == KeyPiece::Kind::constant) out += fmt::format("={:#x}", piece.constant);
    }
    return out;
}

TEST(LowerKeys, ArePiecesAsTheyWereStored) {
    constexpr const char* kAt16 = "\nr2 = r10\nr2 += -16";
    struct Case {
        const char* stores;
        u32 key_size;
        const char* key;
    };
    const Case cases[] = {
        {"*(u32 *)(r10 -16) = r7\n*(u16 *)(r10 -12) = r8\n*(u16 *)(r10 -10) = r4", 8,
         "-16: 0+4=r7 4+2=r8 6+2=r4"},
        // What is behind the key is not its.
        {"*(u64 *)(r10 -16) = r7", 4, "-16: 0+4"},
        // The register has another value by now; so has the one that held the stack's address.
        {"*(u32 *)(r10 -16) = r7\nr7 = r8", 4, "-16: 0+4"},
        {"*(u32 *)(r10 -16) = r2", 4, "-16: 0+4"},
        // Constants, of stores and of registers; a struct of zeros and its fields.
        {"r3 = -2\n*(u64 *)(r10 -16) = r3", 8, "-16: 0+8=0xfffffffffffffffe"},
        {"*(u64 *)(r10 -16) = 0\n*(u64 *)(r10 -8) = 0\n*(u32 *)(r10 -14) = r7\n*(u8 *)(r10 -8) = 255", 12,
         "-16: 0+2=0x0 2+4=r7 6+2=0x0 8+1=0xff 9+3=0x0"},
        // Nothing is known of what was not stored here.
        {"*(u16 *)(r10 -12) = r7", 8, "-16: 4+2=r7"},
        // Through another register; to other memory; to the stack, but nobody knows where.
        {"r3 = r10\nr3 += -20\n*(u32 *)(r3 +4) = r7", 4, "-16: 0+4=r7"},
        {"*(u32 *)(r10 -16) = r7\n*(u32 *)(r6 -16) = r8", 4, "-16: 0+4=r7"},
        {"*(u32 *)(r10 -16) = r7\nr3 = r10\nr3 += r8\n*(u32 *)(r3 -16) = r8", 4, "-16:"},
        {"*(u32 *)(r10 -16) = r7\nr3 = r10\nr3 += -16\nlock *(u32 *)(r3 +0) += r8", 4, "-16:"},
        // Where paths meet, what both know.
        {"*(u64 *)(r10 -16) = r7\nif r8 == 0 goto out\n*(u16 *)(r10 -16) = r9\nout:", 8, "-16: 0+2 2+6"},
        {"if r8 == 0 goto other\n*(u32 *)(r10 -16) = 5\ngoto out\nother:\n*(u32 *)(r10 -16) = 6\nout:", 4,
         "-16: 0+4"},
        {"if r8 == 0 goto other\n*(u32 *)(r10 -16) = 5\ngoto out\nother:\n*(u32 *)(r10 -16) = 5\nout:", 4,
         "-16: 0+4=0x5"},
        // A loop comes round with anything.
        {"*(u32 *)(r10 -16) = r7\nagain:\nr8 += 1\nif r8 != 9 goto again", 4, "-16:"},
    };
    for (const Case& c : cases)
        EXPECT_EQ(key_of_lookup(std::string(c.stores) + kAt16, c.key_size), c.key) << c.stores;
    EXPECT_EQ(key_of_lookup("r2 = r6", 4), "anywhere");
    EXPECT_EQ(key_of_lookup("*(u32 *)(r10 -16) = r7\nr2 = r10\nr2 += r8", 4), "anywhere");
}

TEST(LowerKeys, AreUnknownBehindACallThatMayWriteThem) {
    constexpr const char* kStore = "*(u32 *)(r10 -16) = 7\n";
    constexpr const char* kKey = "r2 = r10\nr2 += -16";
    // bpf_get_prandom_u32 has no pointer; a kernel function, or a sub-program, may do anything.
    EXPECT_EQ(key_of_lookup(fmt::format("{}call #7\n{}", kStore, kKey), 4), "-16: 0+4=0x7");
    EXPECT_EQ(key_of_lookup(
                  fmt::format("goto main\nmain:\n{}call f\n{}\ncall #1\nexit\nf:\nr2 = r1", kStore, kKey), 4),
              "-16:");
}

} // namespace
} // namespace xdplane::test
