// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
#include <algorithm>
#include <gtest/gtest.h>
#include <linux/bpf.h>
#include <sstream>

#include "bpf/isa/assembler.h"
#include "bpf/lower/draft.h"
#include "tests/support/unverified_program.h"

/// What lowering makes of programs and of what was proved about them.
namespace xdplane {
namespace {

using Amend = decltype(UnverifiedProgram::Options::amend);

/// Accesses with r1 as base are those of a context of this type.
Amend context_in_r1(const ProgramType& type) {
    return [&type](std::span<const Insn> insns, std::vector<InsnFacts>& facts, std::vector<FunctionFacts>&) {
        for (std::size_t i = 0; i < insns.size(); ++i) {
            const OpKind kind = facts[i].op == Op::invalid ? OpKind::exit : info(facts[i].op).kind;
            const bool writes = kind == OpKind::st || kind == OpKind::stx;
            if (!(kind == OpKind::ldx && insns[i].src == R1) && !(writes && insns[i].dst == R1)) continue;
            facts[i].base = PtrKind::ctx;
            facts[i].field = type.find_field(insns[i].off, info(facts[i].op).width / 8U, writes);
        }
    };
}

Result<LoweredProgram> lower_text(std::string_view text, UnverifiedProgram::Options options = {}) {
    Result<std::vector<Insn>> insns = assemble(text);
    if (!insns) return fail(insns.error());
    Result<VerifiedProgram> program = UnverifiedProgram::make(std::move(*insns), options);
    if (!program) return fail(program.error());
    return lower(*program);
}

/// The insns without their numbers, separated by "; ".
std::string listing(const Result<LoweredProgram>& program) {
    if (!program) return "error: " + program.error().message;
    std::string out;
    std::istringstream lines(program->disassemble());
    for (std::string line; std::getline(lines, line);) {
        if (line[0] != ' ') continue; // the name of a function
        if (!out.empty()) out += "; ";
        out += line.substr(7);
    }
    return out;
}

std::string lower_ctx(u32 type, std::string_view text) {
    const ProgramType& row = *find_program_type(type);
    return listing(lower_text(std::string(text) + "\nexit", {.type = &row, .amend = context_in_r1(row)}));
}

struct ContextCase {
    u32 type;
    const char* access;
    std::string lowered;
};

std::string load(const char* dst, const char* width, std::size_t offset) {
    return fmt::format("{} = *({} *)(r1 + {}); exit", dst, width, offset);
}

TEST(LowerContext, AccessesBecomeThoseOfXdpBuff) {
    constexpr u32 xdp = BPF_PROG_TYPE_XDP;
    constexpr u32 filter = BPF_PROG_TYPE_SOCKET_FILTER;
    constexpr u32 sched = BPF_PROG_TYPE_SCHED_CLS;
    const std::size_t cb = offsetof(XdpBuff, cb);
    const ContextCase cases[] = {
        {xdp, "r2 = *(u32 *)(r1 + 0)", load("r2", "u64", offsetof(XdpBuff, data))},
        {xdp, "r2 = *(u32 *)(r1 + 4)", load("r2", "u64", offsetof(XdpBuff, data_end))},
        {xdp, "r1 = *(u32 *)(r1 + 8)", load("r1", "u64", offsetof(XdpBuff, data_meta))},
        {xdp, "r0 = *(u32 *)(r1 + 12)", load("r0", "u32", offsetof(XdpBuff, ingress_ifindex))},
        {xdp, "r0 = *(u32 *)(r1 + 16)", load("r0", "u32", offsetof(XdpBuff, rx_queue))},
        // Narrow loads take the byte of the field.
        {filter, "r0 = *(u8 *)(r1 + 10)", load("r0", "u8", offsetof(XdpBuff, mark) + 2)},
        {filter, "r0 = *(u16 *)(r1 + 10)", load("r0", "u16", offsetof(XdpBuff, mark) + 2)},
        // Fields that are narrower in XdpBuff: their upper bytes are 0.
        {filter, "r0 = *(u32 *)(r1 + 16)", load("r0", "u16", offsetof(XdpBuff, protocol))},
        {filter, "r0 = *(u8 *)(r1 + 17)", load("r0", "u8", offsetof(XdpBuff, protocol) + 1)},
        {filter, "r0 = *(u8 *)(r1 + 18)", "w0 = 0; exit"},
        // As in Linux, which narrows only what is wider than what was asked for.
        {filter, "r0 = *(u16 *)(r1 + 18)", load("r0", "u16", offsetof(XdpBuff, protocol))},
        {filter, "r0 = *(u8 *)(r1 + 6)", load("r0", "u8", offsetof(XdpBuff, pkt_type))},
        {filter, "r0 = *(u8 *)(r1 + 22)", "w0 = 0; exit"},
        {filter, "r0 = *(u32 *)(r1 + 4)", load("r0", "u8", offsetof(XdpBuff, pkt_type))},
        // What means nothing here.
        {filter, "r0 = *(u32 *)(r1 + 44)", "w0 = 0; exit"},
        // The control block is bytes.
        {filter, "r0 = *(u64 *)(r1 + 48)", load("r0", "u64", cb)},
        {filter, "r0 = *(u32 *)(r1 + 64)", load("r0", "u32", cb + 16)},
        {filter, "r0 = *(u8 *)(r1 + 67)", load("r0", "u8", cb + 19)},
        {sched, "r0 = *(u64 *)(r1 + 168)", "w0 = 0; exit"},
        {sched, "r0 = *(u64 *)(r1 + 152)", load("r0", "u64", offsetof(XdpBuff, skb.tstamp))},
        {sched, "r0 = *(u8 *)(r1 + 180)", load("r0", "u8", offsetof(XdpBuff, skb.tstamp_type))},
        {sched, "*(u32 *)(r1 + 44) = r3",
         fmt::format("*(u16 *)(r1 + {}) = r3; exit", offsetof(XdpBuff, skb.tc_index))},
        {sched, "*(u32 *)(r1 + 12) = 7",
         fmt::format("*(u16 *)(r1 + {}) = 7; exit", offsetof(XdpBuff, skb.queue_mapping))},
        {sched, "*(u32 *)(r1 + 12) = 65535", "exit"},
        {filter, "*(u32 *)(r1 + 52) = r3", fmt::format("*(u32 *)(r1 + {}) = r3; exit", cb + 4)},
        {filter, "*(u16 *)(r1 + 54) = -2", fmt::format("*(u16 *)(r1 + {}) = -2; exit", cb + 6)},
        {filter, "*(u64 *)(r1 + 56) = r3", fmt::format("*(u64 *)(r1 + {}) = r3; exit", cb + 8)},
    };
    for (const ContextCase& c : cases) EXPECT_EQ(lower_ctx(c.type, c.access), c.lowered) << c.access;
}

TEST(LowerContext, LengthIsOneInsnAndNarrowingItMore) {
    static constexpr CtxField kLength[] = {{.name = "len",
                                            .begin = 0,
                                            .end = 4,
                                            .value = CtxValue::scalar,
                                            .access = CtxAccess::length,
                                            .offset = 0,
                                            .width = 32,
                                            .writable = false,
                                            .narrow_allowed = true}};
    ProgramType type = UnverifiedProgram::kRawType;
    type.ctx = kLength;
    const auto lowered = [&](const char* text) {
        return listing(lower_text(text, {.type = &type, .amend = context_in_r1(type)}));
    };
    EXPECT_EQ(lowered("r1 = *(u32 *)(r1 + 0)\nexit"), "w1 = length(r1); exit");
    EXPECT_EQ(lowered("r0 = *(u16 *)(r1 + 0)\nexit"), "w0 = length(r1); w0 &= 65535; exit");
    EXPECT_EQ(lowered("r0 = *(u8 *)(r1 + 1)\nexit"), "w0 = length(r1); w0 >>= 8; w0 &= 255; exit");
}

TEST(LowerContext, RefusesAnAccessWithoutAField) {
    EXPECT_EQ(lower_ctx(BPF_PROG_TYPE_XDP, "r0 = *(u32 *)(r1 + 20)"),
              "error: lower: insn 0: context access without a field");
}

TEST(LowerContext, OtherAccessesStay) {
    EXPECT_EQ(listing(lower_text("r0 = *(u8 *)(r1 + 3)\n*(u16 *)(r10 -8) = r0\nexit")),
              "r0 = *(u8 *)(r1 + 3); *(u16 *)(r10 - 8) = r0; exit");
}

// --- control flow ---

/// Changes the facts of one insn.
Amend fact(u32 index, std::function<void(InsnFacts&)> change) {
    return [=](std::span<const Insn>, std::vector<InsnFacts>& facts, std::vector<FunctionFacts>&) {
        change(facts[index]);
    };
}

constexpr const char* kBranch = R"(
    if r1 == 5 goto far
    r0 = 1
    exit
far:
    r0 = 2
    exit
)";

TEST(LowerControl, TargetsAreAbsolute) {
    EXPECT_EQ(listing(lower_text(kBranch)), "if r1 == 5 goto 3; r0 = 1; exit; r0 = 2; exit");
    EXPECT_EQ(listing(lower_text("again:\nr1 -= 1\nif w1 s> w2 goto again\ngotol again")),
              "r1 -= 1; if w1 s> w2 goto 0; goto 0");
    EXPECT_EQ(listing(lower_text("r2 = 0x123456789 ll\nif r2 > r1 goto out\nr2 = 0\nout:\nexit")),
              "r2 = 0x123456789 ll; if r2 > r1 goto 3; r2 = 0; exit");
}

TEST(LowerControl, TargetsMoveWithExpansions) {
    const ProgramType& type = *find_program_type(BPF_PROG_TYPE_SOCKET_FILTER);
    EXPECT_EQ(listing(lower_text("if r2 == 0 goto out\nr3 = *(u32 *)(r1 + 44)\nout:\nexit",
                                 {.type = &type, .amend = context_in_r1(type)})),
              "if r2 == 0 goto 2; w3 = 0; exit");
}

TEST(LowerControl, BranchesThatAlwaysGoOneWayFold) {
    const auto always = [](InsnFacts& facts) { facts.always_taken = true; };
    const auto never = [](InsnFacts& facts) { facts.never_taken = true; };
    EXPECT_EQ(listing(lower_text(kBranch, {.amend = fact(0, always)})), "goto 3; r0 = 1; exit; r0 = 2; exit");
    EXPECT_EQ(listing(lower_text(kBranch, {.amend = fact(0, never)})), "r0 = 1; exit; r0 = 2; exit");
}

TEST(LowerControl, DeadCodeAndJumpsAcrossItGo) {
    const Amend amend = [](std::span<const Insn>, std::vector<InsnFacts>& facts,
                           std::vector<FunctionFacts>&) {
        facts[0].always_taken = true;
        facts[1].reached = false;
        facts[2].reached = false;
    };
    const Result<LoweredProgram> program = lower_text(kBranch, {.amend = amend});
    EXPECT_EQ(listing(program), "r0 = 2; exit");
    ASSERT_TRUE(program);
    EXPECT_EQ(program->origins(), (std::vector<u32>{3, 4}));
    EXPECT_EQ(program->functions().size(), 1U);
}

TEST(LowerControl, APassMayInsertAndDeleteFreely) {
    Result<std::vector<Insn>> insns = assemble("if r1 == 0 goto out\nr0 = 1\ngoto out\nout:\nexit");
    ASSERT_TRUE(insns);
    const Result<VerifiedProgram> program = UnverifiedProgram::make(std::move(*insns));
    ASSERT_TRUE(program);
    Draft draft{*program, {}};
    ASSERT_TRUE(translate(draft));
    ASSERT_EQ(draft.insns.size(), 4U);
    drop_jumps_to_next(draft);
    ASSERT_EQ(draft.insns.size(), 3U);
    EXPECT_EQ(draft.insns[0].insn.target, 3);
    EXPECT_EQ(draft.find(3), 2U);
}

TEST(LowerControl, AProgramNeverRunsOffItsEnd) { EXPECT_EQ(listing(lower_text("r0 = 1")), "r0 = 1; exit"); }

// --- calls and addresses ---

u64 some_helper(u64, u64, u64, u64, u64) noexcept { return 0; }

HelperProto proto(u32 id, bool needs_context) {
    HelperProto row{.id = id, .name = "x", .fn = some_helper, .ret = Ret::integer, .args = {}};
    row.needs_context = needs_context;
    if (id == BPF_FUNC_tail_call) row.fn = nullptr;
    return row;
}

const HelperProto* helpers(u32 id) {
    static const HelperProto kPlain = proto(BPF_FUNC_map_lookup_elem, false);
    static const HelperProto kRandom = proto(BPF_FUNC_get_prandom_u32, true);
    static const HelperProto kTail = proto(BPF_FUNC_tail_call, false);
    static const HelperProto kMissing = {
        .id = BPF_FUNC_redirect, .name = "redirect", .fn = nullptr, .ret = Ret::integer, .args = {}};
    for (const HelperProto* row : {&kPlain, &kRandom, &kTail, &kMissing})
        if (row->id == id) return row;
    return nullptr;
}

TEST(LowerCalls, HelpersAreAddressesAndSayIfTheyNeedTheContext) {
    const Result<LoweredProgram> plain = lower_text("call #1\nexit", {.helper = helpers});
    EXPECT_EQ(listing(plain), "call bpf_map_lookup_elem#1; exit");
    ASSERT_TRUE(plain);
    EXPECT_EQ(plain->insns()[0].imm, static_cast<i64>(reinterpret_cast<std::uintptr_t>(&some_helper)));
    EXPECT_FALSE(plain->needs_context());
    const Result<LoweredProgram> random = lower_text("call #7\nexit", {.helper = helpers});
    ASSERT_TRUE(random);
    EXPECT_TRUE(random->needs_context());
    EXPECT_EQ(listing(lower_text("call #23\nexit", {.helper = helpers})),
              "error: lower: insn 0: helper redirect has no implementation");
}

std::shared_ptr<Map> make_map(u32 type, u32 value_size, u32 entries = 4) {
    Result<std::shared_ptr<Map>> map = create_map({.type = type,
                                                   .key_size = 4,
                                                   .value_size = value_size,
                                                   .max_entries = entries,
                                                   .flags = 0,
                                                   .name = "m"});
    if (!map) throw std::runtime_error(map.error().message);
    return *map;
}

TEST(LowerCalls, LookupsKnowTheirMapWhereItWasProved) {
    const std::shared_ptr<Map> other = make_map(BPF_MAP_TYPE_ARRAY, 4);
    const std::shared_ptr<Map> hash = make_map(BPF_MAP_TYPE_HASH, 8);
    UnverifiedProgram::Options options{.helper = helpers, .maps = {other, hash}};
    EXPECT_EQ(listing(lower_text("call #1\nexit", options)), "call bpf_map_lookup_elem#1; exit");
    options.amend = fact(0, [&](InsnFacts& facts) { facts.map = hash.get(); });
    const Result<LoweredProgram> known = lower_text("call #1\nexit", options);
    EXPECT_EQ(listing(known), "r0 = lookup in m; exit");
    ASSERT_TRUE(known);
    EXPECT_EQ(known->insns()[0].target, 1);
    EXPECT_EQ(known->insns()[0].imm, static_cast<i64>(reinterpret_cast<std::uintptr_t>(hash.get())));
    // A map that is not among the program's, as an inner one may be.
    options.maps = {other};
    EXPECT_EQ(listing(lower_text("call #1\nexit", options)), "call bpf_map_lookup_elem#1; exit");
}

TEST(LowerCalls, SubProgramsHaveFunctions) {
    const Result<LoweredProgram> program = lower_text("call f\nexit\nf:\nr0 = 1\nexit");
    EXPECT_EQ(listing(program), "call 2; exit; r0 = 1; exit");
    ASSERT_TRUE(program);
    ASSERT_EQ(program->functions().size(), 2U);
    EXPECT_EQ(program->functions()[1].begin, 2U);
    EXPECT_EQ(program->functions()[1].end, 4U);
    EXPECT_FALSE(program->tail_calls());
}

// --- passes ---

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

TEST(LowerPasses, AddressesOfMapsThatLookupsKnowGo) {
    const std::shared_ptr<Map> map = make_map(BPF_MAP_TYPE_ARRAY, 4);
    UnverifiedProgram::Options options{.helper = helpers, .maps = {map}};
    options.amend = [&](std::span<const Insn>, std::vector<InsnFacts>& facts, std::vector<FunctionFacts>&) {
        for (InsnFacts& each : facts)
            if (each.op == Op::call) each.map = map.get();
    };
    const auto lowered = [&](std::string_view text) { return listing(lower_text(text, options)); };
    EXPECT_EQ(lowered("r1 = map[fd:0]\nr2 = r10\nr2 += -4\ncall #1\nexit"),
              "r2 = r10; r2 += -4; r0 = lookup in m; exit");
    // Somebody reads it, or may.
    for (const char* text :
         {"r1 = map[fd:0]\nr3 = r1\ncall #1\nexit", "r1 = map[fd:0]\n*(u64 *)(r10 -8) = r1\ncall #1\nexit",
          "r1 = map[fd:0]\nif r2 == 0 goto out\ncall #1\nout:\nexit",
          "r1 = map[fd:0]\nagain:\ncall #1\nif r0 != 0 goto again\nexit", "r1 = map[fd:0]\nexit",
          "r6 = map[fd:0]\ncall #1\nexit", "r1 = map[fd:0]\ncall #7\nexit"})
        EXPECT_NE(lowered(text).find(" = 0x"), std::string::npos) << text << "\n" << lowered(text);
}

// --- keys of lookups ---

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

TEST(LowerAddresses, MapsAndTheirValues) {
    const std::shared_ptr<Map> array = make_map(BPF_MAP_TYPE_ARRAY, 64, 1);
    const Result<LoweredProgram> program =
        lower_text("r1 = map[fd:0]\nr2 = map[fd:0][0]+24\nexit", {.maps = {array}});
    ASSERT_TRUE(program) << program.error().message;
    ASSERT_EQ(program->insns().size(), 3U);
    EXPECT_EQ(program->insns()[0].imm, static_cast<i64>(reinterpret_cast<std::uintptr_t>(array.get())));
    EXPECT_EQ(program->insns()[1].imm,
              static_cast<i64>(reinterpret_cast<std::uintptr_t>(array->ops().direct_value(*array) + 24)));
    EXPECT_EQ(program->maps(), std::vector{array});
    // No value of these has an address of its own.
    for (const u32 type : {BPF_MAP_TYPE_HASH, BPF_MAP_TYPE_ARRAY})
        EXPECT_FALSE(lower_text("r2 = map[fd:0][0]+24\nexit", {.maps = {make_map(type, 64)}})) << type;
}

TEST(LowerAddresses, SubProgramsForCallbacks) {
    const Result<LoweredProgram> program = lower_text("r1 = subprog[f]\nexit\nf:\nr0 = 1\nexit");
    EXPECT_EQ(listing(program), "r1 = code 2; exit; r0 = 1; exit");
}

TEST(LowerTailCalls, KnowTheirMapAndIndexWhereTheyWereProved) {
    const std::shared_ptr<Map> other = make_map(BPF_MAP_TYPE_ARRAY, 4);
    const std::shared_ptr<Map> progs = make_map(BPF_MAP_TYPE_PROG_ARRAY, 4);
    UnverifiedProgram::Options options{.helper = helpers, .maps = {other, progs}};
    const char* text = "call #12\nr0 = 0\nexit";
    const Result<LoweredProgram> unknown = lower_text(text, options);
    EXPECT_EQ(listing(unknown), "tail call map ? index ?; r0 = 0; exit");
    options.amend = fact(0, [&](InsnFacts& facts) {
        facts.map = progs.get();
        facts.constant = 3;
    });
    const Result<LoweredProgram> known = lower_text(text, options);
    EXPECT_EQ(listing(known), "tail call map 1 index 3; r0 = 0; exit");
    ASSERT_TRUE(known);
    EXPECT_TRUE(known->tail_calls());
    EXPECT_TRUE(known->needs_context());
    EXPECT_TRUE(known->functions()[0].tail_calls);
}

// --- what the verifier proves ---

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

// --- text ---

TEST(LowerDisassembly, ReadsLikeTheProgram) {
    const char* text = R"(
        w1 += 5
        r1 s/= r2
        r1 = (s8)r2
        r1 = -r1
        r1 = be16 r1
        lock *(u64 *)(r10 -8) += r1
        r1 = atomic64_fetch_or((u64 *)(r10 -8), r1)
        r0 = atomic_cmpxchg((u32 *)(r10 -8), r0, r1)
        r0 = *(s8 *)(r2 - 1)
        r0 = *(u16 *)skb[12]
        r0 = *(u8 *)skb[r1 + 23]
        if r1 & 7 goto out
        r0 = 0
    out:
        exit)";
    EXPECT_EQ(listing(lower_text(text)),
              "w1 += 5; r1 s/= r2; r1 = (s8)r2; r1 = -r1; r1 = be16 r1; lock *(u64 *)(r10 - 8) += r1; "
              "r1 = atomic_or(*(u64 *)(r10 - 8), r1); r0 = atomic_cmpxchg(*(u32 *)(r10 - 8), r0, w1); "
              "r0 = *(s8 *)(r2 - 1); r0 = packet u16 at 12; r0 = packet u8 at w1 + 23; "
              "if r1 & 7 goto 13; r0 = 0; exit");
}

} // namespace
} // namespace xdplane
