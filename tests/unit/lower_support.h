// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
#pragma once
#include <functional>
#include <linux/bpf.h>
#include <memory>
#include <span>
#include <sstream>
#include <stdexcept>
#include <string>
#include <vector>

#include "bpf/isa/assembler.h"
#include "bpf/lower/lowered.h"
#include "tests/support/unverified_program.h"

/// What the tests of lowering share: programs as text, with facts that nobody has proved, and what becomes of
/// them as text.
namespace xdplane::test {

using Amend = decltype(UnverifiedProgram::Options::amend);

/// Changes the facts of one insn.
inline Amend fact(u32 index, std::function<void(InsnFacts&)> change) {
    return [=](std::span<const Insn>, std::vector<InsnFacts>& facts, std::vector<FunctionFacts>&) {
        change(facts[index]);
    };
}

/// Accesses with r1 as base are those of a context of this type.
inline Amend context_in_r1(const ProgramType& type) {
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

inline Result<LoweredProgram> lower_text(std::string_view text, UnverifiedProgram::Options options = {}) {
    Result<std::vector<Insn>> insns = assemble(text);
    if (!insns) return fail(insns.error());
    Result<VerifiedProgram> program = UnverifiedProgram::make(std::move(*insns), options);
    if (!program) return fail(program.error());
    return lower(*program);
}

/// The insns without their numbers, separated by "; ".
inline std::string listing(const Result<LoweredProgram>& program) {
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

inline u64 some_helper(u64, u64, u64, u64, u64) noexcept { return 0; }

inline HelperProto proto(u32 id, bool needs_context) {
    HelperProto row{.id = id, .name = "x", .fn = some_helper, .ret = Ret::integer, .args = {}};
    row.needs_context = needs_context;
    if (id == BPF_FUNC_tail_call) row.fn = nullptr;
    return row;
}

/// A lookup, one that needs the context, tail calls, and one that has no implementation.
inline const HelperProto* helpers(u32 id) {
    static const HelperProto kPlain = proto(BPF_FUNC_map_lookup_elem, false);
    static const HelperProto kRandom = proto(BPF_FUNC_get_prandom_u32, true);
    static const HelperProto kTail = proto(BPF_FUNC_tail_call, false);
    static const HelperProto kMissing = {
        .id = BPF_FUNC_redirect, .name = "redirect", .fn = nullptr, .ret = Ret::integer, .args = {}};
    for (const HelperProto* row : {&kPlain, &kRandom, &kTail, &kMissing})
        if (row->id == id) return row;
    return nullptr;
}

inline std::shared_ptr<Map> make_map(u32 type, u32 value_size, u32 entries = 4) {
    Result<std::shared_ptr<Map>> map = create_map({.type = type,
                                                   .key_size = 4,
                                                   .value_size = value_size,
                                                   .max_entries = entries,
                                                   .flags = 0,
                                                   .name = "m"});
    if (!map) throw std::runtime_error(map.error().message);
    return *map;
}

} // namespace xdplane::test
