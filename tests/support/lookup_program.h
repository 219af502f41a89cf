// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
#pragma once
#include <gtest/gtest.h>
#include <linux/bpf.h>

#include "bpf/isa/assembler.h"
#include "bpf/lower/lowered.h"

namespace xdplane::test {

/// XDP programs of a few lines over small maps, lowered.
class LookupProgramTest : public testing::Test {
protected:
    static std::shared_ptr<Map> make(u32 type, u32 key_size, u32 value_size, u32 flags = 0) {
        MapSpec spec;
        spec.type = type;
        spec.key_size = key_size;
        spec.value_size = value_size;
        spec.max_entries = 8;
        spec.flags = flags;
        return create_map(std::move(spec)).value();
    }

    /// Fds of the texts: 1 hash, 2 array, 3 LPM trie, 4 prog array, 5 LRU hash.
    std::vector<std::shared_ptr<Map>> maps_ = {
        make(BPF_MAP_TYPE_HASH, 4, 8),
        make(BPF_MAP_TYPE_ARRAY, 4, 8),
        make(BPF_MAP_TYPE_LPM_TRIE, 8, 8, BPF_F_NO_PREALLOC),
        make(BPF_MAP_TYPE_PROG_ARRAY, 4, 4),
        make(BPF_MAP_TYPE_LRU_HASH, 4, 8),
    };

    Result<LoweredProgram> lowered(const std::string& text) {
        VerifyRequest request;
        request.type = find_program_type(BPF_PROG_TYPE_XDP);
        auto insns = assemble(text);
        if (!insns) return fail(insns.error());
        request.insns = std::move(*insns);
        request.gpl_compatible = true;
        request.map_by_fd = [this](i32 fd) -> Result<std::shared_ptr<Map>> {
            return maps_.at(static_cast<u32>(fd - 1));
        };
        VerifierLog log;
        auto verified = verify(std::move(request), log);
        if (!verified) return fail(verified.error());
        return lower(*verified);
    }
};

/// A packet of 14 bytes or more at r2, and its first word on the stack, where r2 then points.
inline const std::string kKey = "r6 = r1\n"
                                "r2 = *(u32 *)(r1 + 0)\n"
                                "r3 = *(u32 *)(r1 + 4)\n"
                                "r4 = r2\n"
                                "r4 += 14\n"
                                "if r4 > r3 goto out\n"
                                "r7 = *(u32 *)(r2 + 0)\n"
                                "*(u32 *)(r10 - 4) = r7\n";
inline std::string lookup(u32 fd) {
    return fmt::format("r2 = r10\nr2 += -4\nr1 = map[fd:{}]\ncall bpf_map_lookup_elem#1\n", fd);
}
inline const std::string kOut = "out:\nr0 = 2\nexit\n";
inline const std::string kOrOut = "if r0 == 0 goto out\n";

} // namespace xdplane::test
