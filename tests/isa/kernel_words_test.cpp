// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
#include <charconv>
#include <gtest/gtest.h>
#include <linux/bpf.h>
#include <set>
#include <sstream>

#include "bpf/helpers/helper.h"
#include "bpf/isa/assembler.h"
#include "bpf/isa/disassembler.h"
#include "tests/isa/isa_case.h"
#include "tests/support/kernel_oracle.h"
#include "tests/support/places.h"

/// The disassembler against the running kernel's verifier log, line by line.
namespace xdplane {
namespace {

DisasmOptions linux_words() {
    DisasmOptions options;
    options.opcode = true;
    options.helper_name = [](u32 id) {
        const HelperProto* helper = find_helper(id);
        return helper == nullptr ? std::string() : std::string("bpf_") + helper->name;
    };
    return options;
}

/// "9: (79) r3 = *(u64 *)(r1 +0)          ; R3=scalar()": index and text; false for other lines.
bool parse_line(std::string_view line, u32& index, std::string_view& text) {
    const auto [end, error] = std::from_chars(line.data(), line.data() + line.size(), index);
    if (error != std::errc()) return false;
    line.remove_prefix(static_cast<std::size_t>(end - line.data()));
    if (!line.starts_with(": (")) return false;
    text = line.substr(2);
    text = text.substr(0, text.find(';'));
    text = text.substr(0, text.find_last_not_of(' ') + 1);
    return true;
}

/// Rows seen in the log are added to `seen`.
void compare(u32 type, const std::vector<Insn>& insns, std::set<Op>& seen) {
    std::istringstream log(kernel::verifier_log(type, insns));
    const DisasmOptions options = linux_words();
    for (std::string line; std::getline(log, line);) {
        u32 index = 0;
        std::string_view text;
        if (!parse_line(line, index, text) || index >= insns.size()) continue;
        // A map's address is the kernel's own affair.
        if (insns[index].opcode == info(Op::ld_imm64).opcode && insns[index].src != kImm64) continue;
        ASSERT_EQ(disassemble(insns, index, options), text) << line;
        seen.insert(decode(insns[index]));
    }
}

TEST(KernelWords, EveryRowReadsAsInTheVerifiersLog) {
    if (const std::string refused = kernel::why_unavailable(); !refused.empty()) GTEST_SKIP() << refused;
    const auto cases = read_isa_cases(source_path("tests/isa"));
    ASSERT_TRUE(cases) << cases.error().message;
    const Result<UniqueFd> map = kernel::create_array(64);
    ASSERT_TRUE(map) << map.error().message;
    std::set<Op> seen;
    for (const IsaCase& c : *cases) {
        if (!c.kernel_skip.empty() || !c.error.empty()) continue;
        std::vector<Insn> insns;
        if (!c.packet) { // r1 = memory, as in isa_test
            insns.push_back(encode(Op::ld_imm64, R1, kMapValue, 0, map->get()));
            insns.push_back({0, 0, 0, 0, 0});
            insns.push_back(encode(Op::mov64_imm, R2, 0, 0, 1));
        }
        insns.insert(insns.end(), c.insns.begin(), c.insns.end());
        compare(c.packet ? BPF_PROG_TYPE_SCHED_CLS : BPF_PROG_TYPE_XDP, insns, seen);
        if (HasFatalFailure()) return;
    }
    const auto calls = assemble("call #5\ncall #8\ncall #7\nr0 = 0\nexit");
    ASSERT_TRUE(calls);
    compare(BPF_PROG_TYPE_XDP, *calls, seen);
    for (const OpcodeInfo& row : kOpcodes) {
        if (row.version == 0) continue;
        EXPECT_TRUE(seen.contains(row.op)) << row.name << " was never in the log";
    }
}

} // namespace
} // namespace xdplane
