// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
//
// Who may call which helper: everything that a program type may call here, it may call in the kernel, under
// the same licence.
#include <cstring>
#include <fmt/format.h>
#include <gtest/gtest.h>
#include <linux/bpf.h>
#include <string>
#include <vector>

#include "bpf/helpers/helper.h"
#include "bpf/isa/insn.h"
#include "bpf/prog/program_type.h"
#include "tests/support/kernel_bpf.h"

namespace xdplane {
namespace {

enum class Answer { yes, not_this_type, gpl_only };

/// The kernel looks at type and licence before it looks at arguments, of which there are none here.
Answer ask(u32 type, u32 helper, const char* license) {
    const Insn insns[] = {{0x85, 0, 0, 0, static_cast<i32>(helper)}, {0x95, 0, 0, 0, 0}};
    std::vector<char> log(16384);
    bpf_attr attr{};
    attr.prog_type = type;
    attr.insns = reinterpret_cast<u64>(insns);
    attr.insn_cnt = 2;
    attr.license = reinterpret_cast<u64>(license);
    attr.log_level = 1;
    attr.log_size = static_cast<u32>(log.size());
    attr.log_buf = reinterpret_cast<u64>(log.data());
    const long fd = test::kernel_bpf(BPF_PROG_LOAD, &attr, sizeof(attr));
    if (fd >= 0) {
        test::kernel_close(static_cast<int>(fd));
        return Answer::yes;
    }
    const std::string text(log.data());
    if (text.find("GPL") != std::string::npos) return Answer::gpl_only;
    const bool refused =
        text.find("cannot use helper") != std::string::npos || text.find("unknown func") != std::string::npos;
    return refused ? Answer::not_this_type : Answer::yes;
}

TEST(HelperRulesKernel, TypesAndLicences) {
    if (!test::kernel_bpf_allowed()) GTEST_SKIP() << "the kernel refuses bpf()";
    for (const u32 type : {BPF_PROG_TYPE_XDP, BPF_PROG_TYPE_SOCKET_FILTER}) {
        const ProgramType& row = *find_program_type(type);
        for (const HelperProto& helper : helper_table()) {
            SCOPED_TRACE(fmt::format("{} in {}", helper.name, row.name));
            const bool allowed = (helper.use & row.use_bit) != 0;
            EXPECT_EQ(ask(type, helper.id, "GPL"), allowed ? Answer::yes : Answer::not_this_type);
            if (allowed) {
                EXPECT_EQ(ask(type, helper.id, "Proprietary"),
                          helper.gpl_only ? Answer::gpl_only : Answer::yes);
            }
        }
    }
}

} // namespace
} // namespace xdplane
