// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
#pragma once
#include <array>
#include <cstring>
#include <fmt/format.h>
#include <string>
#include <vector>

#include "bpf/helpers/helper.h"
#include "bpf/isa/insn.h"

/// Programs that call helpers one after another and boil every result down to one number.
namespace xdplane {

/// One call: after the context, where it takes one, constants, or addresses in a buffer on the stack.
struct HelperCall {
    static constexpr i64 kBufferMark = i64{0x7eb0} << 48;
    /// The address of byte `at` of the buffer, as an argument.
    static constexpr i64 buffer(i64 at = 0) { return kBufferMark + at; }

    u32 helper;
    std::vector<i64> arguments;
    bool ctx = true;
};

[[nodiscard]] inline std::string describe(const std::vector<HelperCall>& calls) {
    std::string text;
    for (const HelperCall& call : calls) {
        const HelperProto* row = find_helper(call.helper);
        text += fmt::format("{}(", row != nullptr ? row->name : "?");
        for (const i64 argument : call.arguments)
            text += (argument >> 48) == (HelperCall::kBufferMark >> 48)
                        ? fmt::format("buffer+{} ", argument - HelperCall::kBufferMark)
                        : fmt::format("{:#x} ", static_cast<u64>(argument));
        text += ") ";
    }
    return text;
}

/// What is read of the context at the end.
struct CtxRead {
    u32 offset;
    u32 size; ///< 1, 2, 4 or 8
};

class CallProgram {
public:
    static constexpr u32 kBuffer = 256;
    using Buffer = std::array<u64, kBuffer / 8>;

    [[nodiscard]] static std::vector<Insn> make(const std::vector<HelperCall>& calls, const Buffer& buffer,
                                                const std::vector<CtxRead>& reads, u32 result_mask = ~0U) {
        CallProgram program;
        program.add(0xbf, R6, R1, 0, 0); // r6 = ctx
        program.add(0xb7, R9, 0, 0, 0);  // r9 = digest
        program.fill(buffer);
        for (const HelperCall& call : calls) program.call(call);
        for (u32 i = 0; i < buffer.size(); ++i) {
            program.add(0x79, R0, R10, offset_of(i), 0);
            program.digest();
        }
        for (const CtxRead& read : reads) {
            const u8 width = read.size == 1 ? 0x10 : read.size == 2 ? 0x08 : read.size == 4 ? 0x00 : 0x18;
            program.add(0x61 | width, R0, R6, static_cast<i32>(read.offset), 0);
            program.digest();
        }
        program.add(0xbf, R0, R9, 0, 0);
        if (result_mask != ~0U) program.add(0x57, R0, 0, 0, result_mask);
        program.add(0x95, 0, 0, 0, 0);
        return std::move(program.insns_);
    }

private:
    static i32 offset_of(u32 word) { return 8 * static_cast<i32>(word) - static_cast<i32>(kBuffer); }

    void add(u32 opcode, u8 dst, u8 src, i32 off, i64 imm) {
        insns_.push_back({static_cast<u8>(opcode), dst, src, static_cast<i16>(off), static_cast<i32>(imm)});
    }
    void constant(u8 dst, u64 value) {
        add(0x18, dst, 0, 0, static_cast<i64>(value));
        add(0, 0, 0, 0, static_cast<i64>(value >> 32));
    }
    void fill(const Buffer& buffer) {
        for (u32 i = 0; i < buffer.size(); ++i) {
            constant(R0, buffer[i]);
            add(0x7b, R10, R0, offset_of(i), 0);
        }
    }
    void call(const HelperCall& call) {
        u8 reg = R1;
        if (call.ctx) add(0xbf, reg++, R6, 0, 0);
        for (const i64 argument : call.arguments) {
            if ((argument >> 48) == (HelperCall::kBufferMark >> 48)) {
                add(0xbf, reg, R10, 0, 0);
                add(0x07, reg++, 0, 0, argument - HelperCall::kBufferMark - kBuffer);
            } else {
                constant(reg++, static_cast<u64>(argument));
            }
        }
        add(0x85, 0, 0, 0, call.helper);
        digest();
    }
    /// digest = digest * 31 + r0
    void digest() {
        add(0x27, R9, 0, 0, 31);
        add(0x0f, R9, R0, 0, 0);
    }

    std::vector<Insn> insns_;
};

} // namespace xdplane
