// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
#include "bpf/lower/lookup_keys.h"

#include <algorithm>
#include <array>
#include <map>

#include "bpf/lower/draft.h"
#include "bpf/lower/stack_pieces.h"

namespace xdplane {
namespace {

/// Of a register: nothing, or r10 + value, or a constant.
struct Known {
    enum class Kind : u8 { nothing, stack, constant };
    Kind kind = Kind::nothing;
    i64 value = 0;

    friend bool operator==(const Known&, const Known&) = default;
};

/// On every path to an insn.
struct State {
    std::array<Known, kRegisters> regs;
    StackPieces stack;

    State() { regs[R10] = {Known::Kind::stack, 0}; }
    void set(u8 reg, Known known) {
        regs[reg] = known;
        stack.forget_register(reg);
    }
    void intersect(const State& other) {
        for (u32 i = 0; i < kRegisters; ++i)
            if (regs[i] != other.regs[i]) regs[i] = {};
        stack.intersect(other.stack);
    }
};

/// States that wait for their insn at once; beyond it nothing is known there.
constexpr std::size_t kMostWaiting = 128;
/// The stack of a function.
constexpr i64 kLowest = -512;

class Walk {
public:
    Walk(const LoweredProgram& program, const VerifiedProgram& verified)
        : program_(program), verified_(verified), nothing_known_(program.insns().size()) {
        for (u32 i = 0; i < program.insns().size(); ++i) {
            const LoweredInsn& insn = program.insns()[i];
            // Of a loop, whose states come later.
            if (has_insn_target(insn) && static_cast<u32>(insn.target) <= i)
                nothing_known_[static_cast<u32>(insn.target)] = true;
        }
    }

    std::vector<LookupKey> run() {
        for (const LoweredFunction& function : program_.functions()) {
            state_ = State();
            reached_ = true;
            waiting_.clear();
            for (u32 i = function.begin; i < function.end; ++i) {
                arrive(i);
                if (reached_) step(i);
            }
        }
        return std::move(keys_);
    }

private:
    /// Joins the paths that jump here.
    void arrive(u32 i) {
        const auto jumped = waiting_.find(i);
        if (nothing_known_[i]) {
            state_ = State();
            reached_ = true;
        } else if (jumped != waiting_.end()) {
            if (reached_)
                state_.intersect(jumped->second);
            else
                state_ = std::move(jumped->second);
            reached_ = true;
        }
        if (jumped != waiting_.end()) waiting_.erase(jumped);
    }

    void jump_from(u32 i) {
        const u32 target = static_cast<u32>(program_.insns()[i].target);
        if (target <= i || nothing_known_[target]) return;
        const auto there = waiting_.find(target);
        if (there != waiting_.end())
            there->second.intersect(state_);
        else if (waiting_.size() < kMostWaiting)
            waiting_.emplace(target, state_);
        else
            nothing_known_[target] = true;
    }

    void step(u32 i) {
        const LoweredInsn& insn = program_.insns()[i];
        const OpcodeInfo& row = info(insn.op);
        switch (row.kind) {
        case OpKind::alu: state_.set(insn.dst, alu(insn, row, i)); return;
        case OpKind::endian:
        case OpKind::ldx:
        case OpKind::load_acquire: state_.set(insn.dst, constant_of(i)); return;
        case OpKind::ld_imm64: {
            const bool address = (insn.flags & kCodePointer) != 0;
            state_.set(insn.dst, address ? Known{} : Known{Known::Kind::constant, insn.imm});
            return;
        }
        case OpKind::st:
        case OpKind::stx:
        case OpKind::store_release: store(i, insn, row); return;
        case OpKind::atomic: atomic(i, insn, row); return;
        case OpKind::jump:
        case OpKind::may_goto: jump_from(i); return;
        case OpKind::ja:
            jump_from(i);
            reached_ = false;
            return;
        case OpKind::exit: reached_ = false; return;
        default: break;
        }
        other(i, insn);
    }

    void other(u32 i, const LoweredInsn& insn) {
        if (insn.op == Op::nop) return;
        if (insn.op == Op::ctx_length) {
            state_.set(insn.dst, {});
            return;
        }
        if (insn.op == Op::map_lookup) {
            note_key(i, insn);
        } else if (insn.op == Op::call_helper) {
            if (!leaves_stack(facts(i).helper)) state_.stack.clear();
        } else if (insn.op == Op::call_local || insn.op == Op::call_loop) {
            state_.stack.clear();
        }
        for (u8 reg = R0; reg <= R5; ++reg) state_.set(reg, {});
    }

    [[nodiscard]] const InsnFacts& facts(u32 i) const { return verified_.facts()[program_.origins()[i]]; }

    /// What the verifier knows of the register that the insn writes.
    [[nodiscard]] Known constant_of(u32 i) const {
        const NumberBounds bounds = verified_.values().result(program_.origins()[i]);
        if (!bounds.is_const()) return {};
        return {Known::Kind::constant, static_cast<i64>(bounds.min)};
    }

    [[nodiscard]] Known alu(const LoweredInsn& insn, const OpcodeInfo& row, u32 i) const {
        if (row.code == Code::mov && row.operand == Operand::imm)
            return {Known::Kind::constant,
                    row.width == 64 ? insn.imm : static_cast<i64>(static_cast<u32>(insn.imm))};
        if (row.width == 64 && row.code == Code::mov && state_.regs[insn.src].kind != Known::Kind::nothing)
            return state_.regs[insn.src];
        Known known = state_.regs[insn.dst];
        if (insn.op == Op::add64_imm && known.kind == Known::Kind::stack) {
            known.value += insn.imm;
            return known;
        }
        return constant_of(i);
    }

    /// True if the insn writes this function's stack at r10 + `begin`; if it may do so anywhere, nothing is
    /// known of the stack any more.
    bool stack_target(u32 i, const LoweredInsn& insn, i64& begin) {
        const Known& base = state_.regs[insn.dst];
        if (base.kind == Known::Kind::stack) {
            begin = base.value + insn.off;
            if (begin >= kLowest && begin < 0) return true;
        }
        const PtrKind kind = facts(i).base;
        if (kind == PtrKind::none || kind == PtrKind::stack || kind == PtrKind::mixed) state_.stack.clear();
        return false;
    }

    void store(u32 i, const LoweredInsn& insn, const OpcodeInfo& row) {
        i64 at = 0;
        if (!stack_target(i, insn, at)) return;
        StackPieces::Piece piece{static_cast<i32>(at), static_cast<i32>(at + row.width / 8),
                                 KeyPiece::Kind::in_register, insn.src, 0};
        const Known& src = state_.regs[insn.src];
        if (row.kind == OpKind::st || src.kind == Known::Kind::constant) {
            piece.kind = KeyPiece::Kind::constant;
            piece.constant = static_cast<u64>(row.kind == OpKind::st ? insn.imm : src.value);
            piece.reg = 0;
        }
        state_.stack.store(piece);
    }

    void atomic(u32 i, const LoweredInsn& insn, const OpcodeInfo& row) {
        i64 at = 0;
        if (stack_target(i, insn, at))
            state_.stack.forget(static_cast<i32>(at), static_cast<i32>(at + row.width / 8));
        if (row.operand == Operand::fetch) state_.set(row.code == Code::cmpxchg ? u8{R0} : insn.src, {});
    }

    void note_key(u32 i, const LoweredInsn& insn) {
        const Known& key = state_.regs[R2];
        const u32 size = program_.maps()[static_cast<u32>(insn.target)]->spec().key_size;
        if (key.kind != Known::Kind::stack || size > 255) return;
        const i32 begin = static_cast<i32>(key.value);
        LookupKey& found = keys_.emplace_back(LookupKey{i, begin, {}});
        for (const StackPieces::Piece& piece : state_.stack.within(begin, begin + static_cast<i32>(size)))
            found.pieces.push_back({static_cast<u8>(piece.begin - begin),
                                    static_cast<u8>(piece.end - piece.begin), piece.kind, piece.reg,
                                    piece.constant});
    }

    const LoweredProgram& program_;
    const VerifiedProgram& verified_;
    std::vector<bool> nothing_known_; ///< by insn
    std::map<u32, State> waiting_;    ///< of the insns that jumps went to
    State state_;
    bool reached_ = true;
    std::vector<LookupKey> keys_;
};

} // namespace

std::vector<LookupKey> find_lookup_keys(const LoweredProgram& program, const VerifiedProgram& verified) {
    return Walk(program, verified).run();
}

} // namespace xdplane
