// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
#include "bpf/prog/classic.h"

#include <array>
#include <cerrno>
#include <cstddef>
#include <limits>
#include <linux/bpf.h>
#include <linux/filter.h>
#include <optional>

#include "bpf/isa/opcodes.h"

namespace xdplane {
namespace {

// Registers of the translation. r0 is both accumulator and what ld_abs writes; r6 is what ld_abs reads.
constexpr u8 kA = R0;
constexpr u8 kX = R7;
constexpr u8 kCtx = R6;
constexpr u8 kSavedA = R8;
constexpr u8 kTmp = R2;
constexpr u8 kTurns = R9;
constexpr u32 kScratchWords = BPF_MEMWORDS;
constexpr u32 kLargestOffset = std::numeric_limits<i32>::max();

constexpr i16 scratch_slot(u32 word) { return static_cast<i16>(-4 * static_cast<i32>(kScratchWords - word)); }

/// The eBPF rows of one classic operation, with a constant and with X.
struct AluRow {
    u16 code;
    Op by_constant;
    Op by_x;
};
constexpr std::array kAluRows{
    AluRow{BPF_ADD, Op::add32_imm, Op::add32_reg}, AluRow{BPF_SUB, Op::sub32_imm, Op::sub32_reg},
    AluRow{BPF_MUL, Op::mul32_imm, Op::mul32_reg}, AluRow{BPF_DIV, Op::div32_imm, Op::div32_reg},
    AluRow{BPF_MOD, Op::mod32_imm, Op::mod32_reg}, AluRow{BPF_AND, Op::and32_imm, Op::and32_reg},
    AluRow{BPF_OR, Op::or32_imm, Op::or32_reg},    AluRow{BPF_XOR, Op::xor32_imm, Op::xor32_reg},
    AluRow{BPF_LSH, Op::lsh32_imm, Op::lsh32_reg}, AluRow{BPF_RSH, Op::rsh32_imm, Op::rsh32_reg},
};

/// A conditional jump and its opposite, so that whichever way falls through needs no second jump.
struct JumpRow {
    u16 code;
    Op taken_constant, taken_x;
    Op not_taken_constant, not_taken_x; ///< Op::invalid where there is no opposite (jset)
};
constexpr std::array kJumpRows{
    JumpRow{BPF_JEQ, Op::jeq32_imm, Op::jeq32_reg, Op::jne32_imm, Op::jne32_reg},
    JumpRow{BPF_JGT, Op::jgt32_imm, Op::jgt32_reg, Op::jle32_imm, Op::jle32_reg},
    JumpRow{BPF_JGE, Op::jge32_imm, Op::jge32_reg, Op::jlt32_imm, Op::jlt32_reg},
    JumpRow{BPF_JSET, Op::jset32_imm, Op::jset32_reg, Op::invalid, Op::invalid},
};

struct LoadRow {
    u16 size;
    u8 bytes;
    Op absolute;
    Op indirect;
};
constexpr std::array kLoadRows{
    LoadRow{BPF_W, 4, Op::ld_abs32, Op::ld_ind32},
    LoadRow{BPF_H, 2, Op::ld_abs16, Op::ld_ind16},
    LoadRow{BPF_B, 1, Op::ld_abs8, Op::ld_ind8},
};

/// Packet metadata that Linux's dialect reads at SKF_AD_OFF + offset.
struct Ancillary {
    enum Source : u8 { context, context_be16, helper, constant, xor_x };
    u32 offset;
    Source source;
    u32 operand; ///< offset in struct __sk_buff, helper id or constant
};
constexpr std::array kAncillary{
    Ancillary{SKF_AD_PROTOCOL, Ancillary::context_be16, offsetof(__sk_buff, protocol)},
    Ancillary{SKF_AD_PKTTYPE, Ancillary::context, offsetof(__sk_buff, pkt_type)},
    Ancillary{SKF_AD_IFINDEX, Ancillary::context, offsetof(__sk_buff, ifindex)},
    Ancillary{SKF_AD_MARK, Ancillary::context, offsetof(__sk_buff, mark)},
    Ancillary{SKF_AD_QUEUE, Ancillary::context, offsetof(__sk_buff, queue_mapping)},
    Ancillary{SKF_AD_HATYPE, Ancillary::constant, 1}, // ARPHRD_ETHER
    Ancillary{SKF_AD_RXHASH, Ancillary::context, offsetof(__sk_buff, hash)},
    Ancillary{SKF_AD_CPU, Ancillary::helper, BPF_FUNC_get_smp_processor_id},
    Ancillary{SKF_AD_ALU_XOR_X, Ancillary::xor_x, 0},
    Ancillary{SKF_AD_VLAN_TAG, Ancillary::context, offsetof(__sk_buff, vlan_tci)},
    Ancillary{SKF_AD_VLAN_TAG_PRESENT, Ancillary::context, offsetof(__sk_buff, vlan_present)},
    Ancillary{SKF_AD_RANDOM, Ancillary::helper, BPF_FUNC_get_prandom_u32},
    Ancillary{SKF_AD_VLAN_TPID, Ancillary::context_be16, offsetof(__sk_buff, vlan_proto)},
};

template<class Table, class Match>
const auto* find_row(const Table& table, Match match) {
    for (const auto& row : table)
        if (match(row)) return &row;
    return static_cast<decltype(&table[0])>(nullptr);
}

class Translator {
public:
    Translator(std::span<const ClassicInsn> program, ClassicDialect dialect)
        : program_(program), dialect_(dialect), start_(program.size() + 1, 0) {}

    Result<std::vector<Insn>> run() {
        if (auto ok = check(); !ok) return fail(ok.error());
        mark_reachable();
        prologue();
        for (index_ = 0; index_ < program_.size(); ++index_) {
            start_[index_] = out_.size();
            const std::size_t fixups = fixups_.size();
            auto ok = translate(program_[index_]);
            // What cannot be reached must be known, but need not be supported.
            if (!ok && (reachable_[index_] || ok.error().code == EINVAL)) return fail(ok.error());
            if (reachable_[index_]) continue;
            out_.resize(start_[index_]);
            fixups_.resize(fixups);
        }
        link();
        return std::move(out_);
    }

private:
    template<class... Args>
    std::unexpected<Error> refuse(int code, fmt::format_string<Args...> text, Args&&... args) const {
        return fail(code, "classic BPF instruction {}: {}", index_,
                    fmt::format(text, std::forward<Args>(args)...));
    }

    Result<> check() {
        if (program_.empty()) return fail(EINVAL, "classic BPF program is empty");
        if (program_.size() > kMaxClassicInsns)
            return fail(EINVAL, "classic BPF program has {} instructions; the limit is {}", program_.size(),
                        kMaxClassicInsns);
        for (index_ = 0; index_ < program_.size(); ++index_)
            if (auto ok = check(program_[index_]); !ok) return ok;
        index_ = program_.size() - 1;
        if (BPF_CLASS(program_.back().code) != BPF_RET)
            return refuse(EINVAL, "the program falls off its end");
        return {};
    }

    Result<> check(const ClassicInsn& insn) const {
        const std::size_t left = program_.size() - index_ - 1;
        if (insn.code > 0xff) return unknown(insn); // the rows below look at the low byte
        switch (BPF_CLASS(insn.code)) {
        case BPF_LD:
        case BPF_LDX:
            if (BPF_MODE(insn.code) == BPF_MEM && insn.k >= kScratchWords)
                return refuse(EINVAL, "scratch word {} of {}", insn.k, kScratchWords);
            return {};
        case BPF_ST:
        case BPF_STX:
            if (insn.k >= kScratchWords)
                return refuse(EINVAL, "scratch word {} of {}", insn.k, kScratchWords);
            return {};
        case BPF_JMP:
            if (BPF_OP(insn.code) == BPF_JA ? !lands(insn) : insn.jt >= left || insn.jf >= left)
                return refuse(EINVAL, "jump out of range");
            return {};
        case BPF_ALU: return check_alu(insn);
        default: return {};
        }
    }

    /// Where a JA goes, in libpcap's dialect possibly back.
    [[nodiscard]] i64 target(const ClassicInsn& ja) const {
        const auto next = static_cast<i64>(index_) + 1;
        return next + (dialect_ == ClassicDialect::libpcap ? i64{static_cast<i32>(ja.k)} : i64{ja.k});
    }
    [[nodiscard]] bool lands(const ClassicInsn& ja) const {
        return target(ja) >= 0 && target(ja) < static_cast<i64>(program_.size());
    }

    Result<> check_alu(const ClassicInsn& insn) const {
        const u16 operation = BPF_OP(insn.code);
        if (BPF_SRC(insn.code) == BPF_X) return {};
        if ((operation == BPF_DIV || operation == BPF_MOD) && insn.k == 0)
            return refuse(EINVAL, "division by the constant 0");
        if (dialect_ == ClassicDialect::linux_kernel && (operation == BPF_LSH || operation == BPF_RSH) &&
            insn.k >= 32)
            return refuse(EINVAL, "shift by {}", insn.k);
        return {};
    }

    void mark_reachable() {
        reachable_.assign(program_.size(), false);
        std::vector<std::size_t> todo{0};
        while (!todo.empty()) {
            index_ = todo.back();
            todo.pop_back();
            if (reachable_[index_]) continue;
            reachable_[index_] = true;
            const ClassicInsn& insn = program_[index_];
            if (BPF_CLASS(insn.code) == BPF_RET || always_ends(insn)) continue;
            if (BPF_CLASS(insn.code) != BPF_JMP) {
                todo.push_back(index_ + 1);
            } else if (BPF_OP(insn.code) == BPF_JA) {
                todo.push_back(static_cast<std::size_t>(target(insn)));
                loops_ |= target(insn) <= static_cast<i64>(index_);
            } else {
                todo.push_back(index_ + 1 + insn.jt);
                todo.push_back(index_ + 1 + insn.jf);
            }
        }
    }

    /// A load that libpcap finds out of range in any packet.
    [[nodiscard]] bool always_ends(const ClassicInsn& insn) const {
        const u16 load = BPF_CLASS(insn.code);
        const u16 mode = BPF_MODE(insn.code);
        return dialect_ == ClassicDialect::libpcap && insn.k > kLargestOffset &&
               ((load == BPF_LD && (mode == BPF_ABS || mode == BPF_IND)) ||
                (load == BPF_LDX && mode == BPF_MSH));
    }

    void prologue() {
        emit(Op::mov64_reg, kCtx, R1);
        emit(Op::mov32_imm, kA, 0, 0, 0);
        emit(Op::mov32_imm, kX, 0, 0, 0);
        if (loops_) emit(Op::mov64_imm, kTurns, 0, 0, 0);
        // Scratch words start as 0 where they are read at all; the verifier refuses uninitialised stack.
        std::array<bool, kScratchWords> read{};
        for (std::size_t i = 0; i < program_.size(); ++i) {
            const u16 code = program_[i].code;
            if (reachable_[i] && (BPF_CLASS(code) == BPF_LD || BPF_CLASS(code) == BPF_LDX) &&
                BPF_MODE(code) == BPF_MEM)
                read[program_[i].k] = true;
        }
        for (u32 word = 0; word < kScratchWords; ++word)
            if (read[word]) emit(Op::st32, R10, 0, scratch_slot(word), 0);
    }

    Result<> translate(const ClassicInsn& insn) {
        switch (BPF_CLASS(insn.code)) {
        case BPF_LD: return load_a(insn);
        case BPF_LDX: return load_x(insn);
        case BPF_ST: return store(insn, BPF_ST, kA);
        case BPF_STX: return store(insn, BPF_STX, kX);
        case BPF_ALU: return alu(insn);
        case BPF_JMP: return jump(insn);
        case BPF_RET: return ret(insn);
        case BPF_MISC:
            if (insn.code == (BPF_MISC | BPF_TAX)) return emit(Op::mov32_reg, kX, kA), Result<>{};
            if (insn.code == (BPF_MISC | BPF_TXA)) return emit(Op::mov32_reg, kA, kX), Result<>{};
            break;
        default: break;
        }
        return unknown(insn);
    }

    Result<> load_a(const ClassicInsn& insn) {
        switch (insn.code) {
        case BPF_LD | BPF_IMM: return emit(Op::mov32_imm, kA, 0, 0, static_cast<i32>(insn.k)), Result<>{};
        case BPF_LD | BPF_MEM: return emit(Op::ldx32, kA, R10, scratch_slot(insn.k)), Result<>{};
        case BPF_LD | BPF_W | BPF_LEN: return load_length(kA), Result<>{};
        default: break;
        }
        const auto* row =
            find_row(kLoadRows, [&](const LoadRow& r) { return r.size == BPF_SIZE(insn.code); });
        if (row == nullptr) return unknown(insn);
        if (BPF_MODE(insn.code) == BPF_ABS) return load_absolute(*row, insn.k);
        if (BPF_MODE(insn.code) == BPF_IND) return load_indirect(*row, insn.k);
        return unknown(insn);
    }

    Result<> load_absolute(const LoadRow& row, u32 k) {
        if (dialect_ == ClassicDialect::libpcap) {
            if (k > kLargestOffset)
                end_with_zero();
            else
                emit(row.absolute, 0, 0, 0, static_cast<i32>(k));
            return {};
        }
        const auto offset = static_cast<i32>(k);
        if (offset < SKF_AD_OFF || offset >= SKF_AD_OFF + SKF_AD_MAX) {
            emit(row.absolute, 0, 0, 0, offset);
            return {};
        }
        return load_ancillary(k - static_cast<u32>(SKF_AD_OFF));
    }

    Result<> load_ancillary(u32 offset) {
        const auto* row = find_row(kAncillary, [&](const Ancillary& a) { return a.offset == offset; });
        if (row == nullptr)
            return refuse(EOPNOTSUPP, "packet metadata at SKF_AD_OFF + {} is not available", offset);
        switch (row->source) {
        case Ancillary::context: emit(Op::ldx32, kA, kCtx, static_cast<i16>(row->operand)); break;
        case Ancillary::context_be16:
            emit(Op::ldx32, kA, kCtx, static_cast<i16>(row->operand));
            emit(Op::be16, kA, 0);
            break;
        case Ancillary::helper: emit(Op::call, 0, 0, 0, static_cast<i32>(row->operand)); break;
        case Ancillary::constant: emit(Op::mov32_imm, kA, 0, 0, static_cast<i32>(row->operand)); break;
        case Ancillary::xor_x: emit(Op::xor32_reg, kA, kX); break;
        }
        return {};
    }

    Result<> load_indirect(const LoadRow& row, u32 k) {
        if (dialect_ == ClassicDialect::linux_kernel) {
            emit(row.indirect, 0, kX, 0, static_cast<i32>(k));
            return {};
        }
        if (k > kLargestOffset) {
            end_with_zero();
            return {};
        }
        // X and k are unsigned and their sum does not wrap; no packet reaches 2 GiB.
        emit(Op::mov32_reg, kTmp, kX);
        emit(Op::add64_imm, kTmp, 0, 0, static_cast<i32>(k));
        emit(Op::jle64_imm, kTmp, 0, 2, static_cast<i32>(kLargestOffset));
        end_with_zero();
        emit(row.indirect, 0, kTmp, 0, 0);
        return {};
    }

    Result<> load_x(const ClassicInsn& insn) {
        switch (insn.code) {
        case BPF_LDX | BPF_IMM: return emit(Op::mov32_imm, kX, 0, 0, static_cast<i32>(insn.k)), Result<>{};
        case BPF_LDX | BPF_MEM: return emit(Op::ldx32, kX, R10, scratch_slot(insn.k)), Result<>{};
        case BPF_LDX | BPF_W | BPF_LEN: return load_length(kX), Result<>{};
        case BPF_LDX | BPF_B | BPF_MSH: {
            // X = 4 * (packet[k] & 15), the length of an IPv4 header; A keeps its value.
            emit(Op::mov32_reg, kSavedA, kA);
            if (auto ok = load_absolute(kLoadRows[2], insn.k); !ok || always_ends(insn)) return ok;
            emit(Op::and32_imm, kA, 0, 0, 15);
            emit(Op::lsh32_imm, kA, 0, 0, 2);
            emit(Op::mov32_reg, kX, kA);
            emit(Op::mov32_reg, kA, kSavedA);
            return {};
        }
        default: return unknown(insn);
        }
    }

    Result<> store(const ClassicInsn& insn, u16 code, u8 from) {
        if (insn.code != code) return unknown(insn);
        emit(Op::stx32, R10, from, scratch_slot(insn.k));
        return {};
    }

    Result<> alu(const ClassicInsn& insn) {
        if (insn.code == (BPF_ALU | BPF_NEG)) return emit(Op::neg32, kA, 0), Result<>{};
        const auto* row = find_row(kAluRows, [&](const AluRow& r) { return r.code == BPF_OP(insn.code); });
        if (row == nullptr) return unknown(insn);
        const bool shift = row->code == BPF_LSH || row->code == BPF_RSH;
        if (BPF_SRC(insn.code) == BPF_K) {
            emit(row->by_constant, kA, 0, 0, static_cast<i32>(shift ? insn.k & 31 : insn.k));
            return {};
        }
        if (row->code == BPF_DIV || row->code == BPF_MOD) { // by zero: the packet is not wanted
            emit(Op::jne32_imm, kX, 0, 2, 0);
            end_with_zero();
        }
        if (shift && dialect_ == ClassicDialect::libpcap) {
            emit(Op::jlt32_imm, kX, 0, 2, 32);
            emit(Op::mov32_imm, kA, 0, 0, 0);
            emit(Op::ja, 0, 0, 1);
        }
        emit(row->by_x, kA, kX);
        return {};
    }

    Result<> jump(const ClassicInsn& insn) {
        const std::size_t next = index_ + 1;
        if (insn.code == (BPF_JMP | BPF_JA)) {
            if (target(insn) <= static_cast<i64>(index_)) { // a bound, which the verifier counts down with us
                emit(Op::add64_imm, kTurns, 0, 0, 1);
                emit(Op::jle64_imm, kTurns, 0, 2, static_cast<i32>(kMaxClassicTurns));
                end_with_zero();
            }
            jump_to(static_cast<std::size_t>(target(insn)));
            return {};
        }
        const auto* row = find_row(kJumpRows, [&](const JumpRow& r) { return r.code == BPF_OP(insn.code); });
        if (row == nullptr) return unknown(insn);
        const bool by_x = BPF_SRC(insn.code) == BPF_X;
        const auto branch = [&](Op constant, Op x, std::size_t target) {
            fixups_.push_back({out_.size(), target});
            emit(by_x ? x : constant, kA, by_x ? kX : u8{0}, 0, by_x ? 0 : static_cast<i32>(insn.k));
        };
        const Op opposite = row->not_taken_constant;
        if (insn.jt == insn.jf) {
            jump_to(next + insn.jt);
        } else if (insn.jt == 0 && opposite != Op::invalid) {
            branch(opposite, row->not_taken_x, next + insn.jf);
        } else {
            branch(row->taken_constant, row->taken_x, next + insn.jt);
            jump_to(next + insn.jf);
        }
        return {};
    }

    Result<> ret(const ClassicInsn& insn) {
        if (insn.code == (BPF_RET | BPF_K))
            emit(Op::mov32_imm, kA, 0, 0, static_cast<i32>(insn.k));
        else if (insn.code != (BPF_RET | BPF_A))
            return unknown(insn);
        emit(Op::exit, 0, 0);
        return {};
    }

    Result<> unknown(const ClassicInsn& insn) const {
        return refuse(EINVAL, "unknown opcode {:#06x}", insn.code);
    }

    void load_length(u8 into) { emit(Op::ldx32, into, kCtx, offsetof(__sk_buff, len)); }

    void end_with_zero() {
        emit(Op::mov32_imm, kA, 0, 0, 0);
        emit(Op::exit, 0, 0);
    }

    void jump_to(std::size_t target) {
        if (target == index_ + 1) return;
        fixups_.push_back({out_.size(), target});
        emit(Op::ja, 0, 0);
    }

    void emit(Op op, u8 dst, u8 src, i16 off = 0, i32 imm = 0) {
        out_.push_back(encode(op, dst, src, off, imm));
    }

    /// Fills jump distances once every start is known. Conditional jumps span at most 255 classic
    /// instructions; only JA can need the 32-bit form.
    void link() {
        for (const Fixup& fixup : fixups_) {
            const auto distance =
                static_cast<i32>(static_cast<i64>(start_[fixup.target]) - static_cast<i64>(fixup.at) - 1);
            Insn& insn = out_[fixup.at];
            if (insn.opcode == info(Op::ja).opcode && distance != static_cast<i16>(distance))
                insn = encode(Op::ja32, 0, 0, 0, distance);
            else
                insn.off = static_cast<i16>(distance);
        }
    }

    struct Fixup {
        std::size_t at;     ///< in out_
        std::size_t target; ///< in program_
    };

    std::span<const ClassicInsn> program_;
    ClassicDialect dialect_;
    std::size_t index_ = 0;
    bool loops_ = false; ///< some JA goes back
    std::vector<bool> reachable_;
    std::vector<std::size_t> start_; ///< of each classic instruction in out_
    std::vector<Fixup> fixups_;
    std::vector<Insn> out_;
};

} // namespace

Result<std::vector<Insn>> translate_classic(std::span<const ClassicInsn> program, ClassicDialect dialect) {
    return Translator(program, dialect).run();
}

} // namespace xdplane
