// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
// What lowering makes of what the verifier proves.
#include <gtest/gtest.h>

#include "tests/unit/lower_support.h"

namespace xdplane::test {
namespace {

/// Verified as an XDP program with these maps, fd by position.
std::string verified_listing(std::string_view text, const std::vector<std::shared_ptr<Map>>& maps = {}) {
    VerifyRequest request;
    request.type = find_program_type(BPF_PROG_TYPE_XDP);
    Result<std::vector<Insn>> insns = assemble(text);
    if (!insns) return "error: " + insns.error().message;
    request.insns = std::move(*insns);
    request.gpl_compatible = true;
    request.map_by_fd = [maps](i32 fd) -> Result<std::shared_ptr<Map>> {
        if (fd < 0 || static_cast<std::size_t>(fd) >= maps.size()) return fail(EBADF, "no map");
        return maps[static_cast<std::size_t>(fd)];
    };
    VerifierLog log;
    const Result<VerifiedProgram> program = verify(std::move(request), log);
    return program ? listing(lower(*program)) : "refused: " + log.reason;
}

TEST(LowerVerified, MasksThatChangeNothingGo) {
    ASSERT_EQ(offsetof(XdpBuff, ingress_ifindex), 44U); // what the program loads
    struct Case {
        const char* text;
        const char* lowered;
    };
    const Case cases[] = {
        {"r0 = *(u32 *)(r1 +12)\nr0 = r0\nw0 = w0", "r0 = *(u32 *)(r1 + 44)"},
        {"r0 = *(u32 *)(r1 +12)\nr0 >>= 24\nr0 &= 255", "r0 = *(u32 *)(r1 + 44); r0 >>= 24"},
        {"r0 = *(u32 *)(r1 +12)\nr0 >>= 24\nw0 &= 511", "r0 = *(u32 *)(r1 + 44); r0 >>= 24"},
        {"r0 = *(u32 *)(r1 +12)\nr0 >>= 24\nr0 &= -1", "r0 = *(u32 *)(r1 + 44); r0 >>= 24"},
        // These do change something.
        {"r0 = *(u32 *)(r1 +12)\nr0 >>= 23\nr0 &= 255", "r0 = *(u32 *)(r1 + 44); r0 >>= 23; r0 &= 255"},
        {"r0 = *(u32 *)(r1 +12)\nr0 >>= 24\nr0 &= 254", "r0 = *(u32 *)(r1 + 44); r0 >>= 24; r0 &= 254"},
        {"r0 = *(u32 *)(r1 +12)\nr0 -= 5\nw0 = w0", "r0 = *(u32 *)(r1 + 44); r0 -= 5; w0 = w0"},
        // What is known here need not be where somebody jumps in.
        {"r0 = 3\nr2 = *(u32 *)(r1 +12)\nif r2 == 7 goto out\nr0 = 4\nout:\nr0 &= 7",
         "r0 = 3; r2 = *(u32 *)(r1 + 44); if r2 == 7 goto 4; r0 = 4; r0 &= 7"},
    };
    for (const Case& c : cases)
        EXPECT_EQ(verified_listing(std::string(c.text) + "\nexit"), std::string(c.lowered) + "; exit")
            << c.text;
}

TEST(LowerVerified, PacketsAreReachedThroughXdpBuff) {
    EXPECT_EQ(verified_listing(R"(
        r0 = 2
        r2 = *(u32 *)(r1 + 0)
        r3 = *(u32 *)(r1 + 4)
        r4 = r2
        r4 += 14
        if r4 > r3 goto out
        r0 = *(u16 *)(r2 + 12)
    out:
        exit)"),
              "r0 = 2; r2 = *(u64 *)(r1 + 0); r3 = *(u64 *)(r1 + 8); r4 = r2; r4 += 14; "
              "if r4 > r3 goto 7; r0 = *(u16 *)(r2 + 12); exit");
}

TEST(LowerVerified, CodeThatCannotRunIsGone) {
    EXPECT_EQ(verified_listing(R"(
        r1 = 5
        if r1 == 5 goto yes
        r0 = 1
        exit
    yes:
        if r1 > 7 goto no
        r0 = 2
        exit
    no:
        r0 = 3
        exit)"),
              "r1 = 5; r0 = 2; exit");
}

TEST(LowerVerified, NumbersOfFrozenMapsAreConstants) {
    const auto make = [](bool frozen) {
        auto map = create_map({.type = BPF_MAP_TYPE_ARRAY,
                               .key_size = 4,
                               .value_size = 16,
                               .max_entries = 1,
                               .flags = BPF_F_RDONLY_PROG,
                               .name = "m"});
        const u32 key = 0;
        const i64 value[2] = {7, -2};
        EXPECT_EQ((*map)->ops().update(**map, &key, value, BPF_ANY), 0);
        if (frozen) (*map)->freeze();
        return *map;
    };
    const std::shared_ptr<Map> frozen = make(true);
    const char* load = "r1 = map[fd:0][0]+0\nr0 = *(u32 *)(r1 + 0)\nr0 &= 15\nexit";
    EXPECT_TRUE(verified_listing(load, {frozen}).ends_with("; r0 = 0x7 ll; exit"))
        << verified_listing(load, {frozen});
    EXPECT_TRUE(verified_listing(load, {make(false)}).ends_with("; r0 = *(u32 *)(r1 + 0); r0 &= 15; exit"));
    EXPECT_TRUE(verified_listing("r1 = map[fd:0][0]+0\nr0 = *(s16 *)(r1 + 8)\nexit", {frozen})
                    .ends_with("; r0 = 0xfffffffffffffffe ll; exit"));
    // Another number on each path.
    EXPECT_TRUE(verified_listing("r2 = *(u32 *)(r1 + 12)\nr3 = map[fd:0][0]+0\nif r2 == 7 goto load\n"
                                 "r3 += 8\nload:\nr0 = *(u8 *)(r3 + 0)\nexit",
                                 {frozen})
                    .ends_with("; r0 = *(u8 *)(r3 + 0); exit"));
}

TEST(LowerVerified, TailCallsWithAConstantIndexAreKnown) {
    const std::shared_ptr<Map> progs = make_map(BPF_MAP_TYPE_PROG_ARRAY, 4);
    EXPECT_EQ(verified_listing("r2 = map[fd:0]\nr3 = 2\ncall #12\nr0 = 1\nexit", {progs}),
              fmt::format("r2 = {:#x} ll; r3 = 2; tail call map 0 index 2; r0 = 1; exit",
                          reinterpret_cast<std::uintptr_t>(progs.get())));
    EXPECT_EQ(verified_listing("r2 = map[fd:0]\nr3 = *(u32 *)(r1 + 16)\ncall #12\nr0 = 1\nexit", {progs}),
              fmt::format("r2 = {:#x} ll; r3 = *(u32 *)(r1 + {}); tail call map 0 index ?; r0 = 1; exit",
                          reinterpret_cast<std::uintptr_t>(progs.get()), offsetof(XdpBuff, rx_queue)));
}

} // namespace
} // namespace xdplane::test
