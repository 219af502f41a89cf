// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
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
        {filter, "r0 = *(u16 *)(r1 + 18)", "w0 = 0; exit"},
        {filter, "r0 = *(u32 *)(r1 + 4)", load("r0", "u8", offsetof(XdpBuff, pkt_type))},
        // What means nothing here.
        {filter, "r0 = *(u32 *)(r1 + 44)", "w0 = 0; exit"},
        // The control block is bytes.
        {filter, "r0 = *(u64 *)(r1 + 48)", load("r0", "u64", cb)},
        {filter, "r0 = *(u32 *)(r1 + 64)", load("r0", "u32", cb + 16)},
        {filter, "r0 = *(u8 *)(r1 + 67)", load("r0", "u8", cb + 19)},
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

TEST(LowerCalls, SubProgramsHaveFunctions) {
    const Result<LoweredProgram> program = lower_text("call f\nexit\nf:\nr0 = 1\nexit");
    EXPECT_EQ(listing(program), "call 2; exit; r0 = 1; exit");
    ASSERT_TRUE(program);
    ASSERT_EQ(program->functions().size(), 2U);
    EXPECT_EQ(program->functions()[1].begin, 2U);
    EXPECT_EQ(program->functions()[1].end, 4U);
    EXPECT_FALSE(program->tail_calls());
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
        facts.const_key = 3;
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
