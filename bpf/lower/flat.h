// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
#pragma once
#include <memory>
#include <vector>

#include "bpf/lower/lowered.h"

namespace xdplane {

/// A small filter as a graph of decisions that an engine may take in any order, and all of them for every
/// packet, so that no jump depends on what packets hold. The program is run with symbols for what it loads:
/// every value is a constant, a load or an operation on such, and every jump a choice between two results.
///
/// It knows packets of `shortest` bytes and more; shorter ones are the ordinary code's.
struct Flat {
    enum class Kind : u8 { constant, load, field, alu };
    /// 32 bits, zero-extended.
    struct Value {
        Kind kind = Kind::constant;
        Code code = Code::none; ///< alu: add, sub, mul, or_, and_, lsh, rsh, xor_
        u8 size = 0;            ///< load, field: bytes
        i32 a = -1;             ///< alu: the first operand; load: what is added to imm; -1: nothing
        i32 b = -1;             ///< alu: the second operand; -1: imm
        u32 imm = 0;            ///< constant; load: offset into the packet; field: offset into the XdpBuff
        u32 most = 0;           ///< no value is greater

        friend bool operator==(const Value&, const Value&) = default;
    };
    /// What the program returns: a constant, or what a step comes to.
    struct Outcome {
        i32 step = -1; ///< -1: `constant`
        u32 constant = 0;

        friend bool operator==(const Outcome&, const Outcome&) = default;
    };
    struct Step {
        Code code =
            Code::none; ///< jeq, jne, jgt, jge, jlt, jle, jset; none: whether load `value` is in range
        i32 value = -1;
        i32 other = -1; ///< -1: imm
        u32 imm = 0;
        Outcome yes;
        Outcome no;

        friend bool operator==(const Step&, const Step&) = default;
    };

    std::vector<Value> values; ///< behind their operands
    std::vector<Step> steps;   ///< behind those that they choose from; the last one is the result
    u32 shortest = 0;

    /// A load that every packet of `shortest` bytes has. Others have a step, and what they load is read only
    /// by results that the step chooses; an engine that loads in any case loads from somewhere else.
    [[nodiscard]] bool is_near(const Value& value) const {
        return value.kind == Kind::load && value.a < 0 && value.imm + value.size <= shortest;
    }
};

/// Null if the main program has calls, maps, stores, jumps back, loads of other memory, a result that is not
/// constant, operations that are not in the list above, offsets into the packet that may be negative, nothing
/// to decide, or so many decisions that all of them take longer than the jumps of one path.
[[nodiscard]] std::shared_ptr<const Flat> find_flat(const LoweredProgram& program);

} // namespace xdplane
