// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
#include "tests/differential/program_generator.h"

#include <algorithm>
#include <cstddef>
#include <linux/bpf.h>

#include "bpf/run/packet.h"

namespace xdplane {
namespace {

/// splitmix64 (Steele, Lea and Flood, OOPSLA 2014): the standard library's distributions differ by library.
/// Nor may two draws be arguments of one call, whose order differs by compiler.
class Random {
public:
    explicit Random(u64 seed) : state_(seed) {}
    u64 next() {
        u64 z = state_ += 0x9e3779b97f4a7c15;
        z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
        z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
        return z ^ (z >> 31);
    }
    u32 below(u32 limit) { return static_cast<u32>(next() % limit); }
    bool chance(u32 percent) { return below(100) < percent; }
    /// Numbers where arithmetic has its edges come more often than others.
    u64 number() {
        static constexpr u64 kEdges[] = {
            0,       1,          2,          7,          31,          32,         63,         64,
            0x7f,    0x80,       0xff,       0x7fff,     0x8000,      0xffff,     0x7fffffff, 0x80000000,
            ~u64{0}, 0xffffffff, 1ULL << 32, 1ULL << 63, ~0ULL << 31, ~0ULL >> 1, ~0ULL - 1};
        if (chance(50)) return kEdges[below(std::size(kEdges))];
        return next() >> below(64);
    }

private:
    u64 state_;
};

class Generator {
public:
    explicit Generator(u64 seed) : random_(seed) {}

    RandomProgram run() {
        functions_ = random_.chance(50) ? 1 + random_.below(2) : 0;
        main_program();
        for (u32 i = 0; i < functions_; ++i) {
            // Linux refuses a function that nothing calls.
            const bool called =
                std::ranges::any_of(calls_, [i](const auto& call) { return call.second == i; });
            if (called) function(i);
        }
        for (const auto& [insn, callee] : calls_)
            out_.insns[insn].imm = static_cast<i32>(starts_[callee]) - static_cast<i32>(insn) - 1;
        return std::move(out_);
    }

private:
    // Where things are in the function being written.

    std::vector<u8> scalars_; ///< registers that hold scalars
    int packet_ = -1;         ///< register with the packet's start, -1: no access here
    int value_ = -1;          ///< register with the map value
    static constexpr u32 kStack = 64;

    u32 here() const { return static_cast<u32>(out_.insns.size()); }
    u32 add(Op op, u32 dst = 0, u32 src = 0, i32 off = 0, i32 imm = 0) {
        out_.insns.push_back(
            encode(op, static_cast<u8>(dst), static_cast<u8>(src), static_cast<i16>(off), imm));
        return here() - 1;
    }
    void add_wide(u32 dst, u64 value, u8 kind = kImm64) {
        add(Op::ld_imm64, dst, kind, 0, static_cast<i32>(value));
        out_.insns.push_back({0, 0, 0, 0, static_cast<i32>(value >> 32)});
    }
    void add_value_address(u32 dst) {
        out_.load_value.push_back(here());
        add_wide(dst, 0);
    }
    u8 scalar() { return scalars_[random_.below(static_cast<u32>(scalars_.size()))]; }
    /// Rows of one kind, chosen evenly.
    Op row(OpKind kind) {
        static const auto kByKind = [] {
            std::vector<std::vector<Op>> rows(static_cast<u32>(OpKind::lowered) + 1);
            for (const OpcodeInfo& info : kOpcodes)
                if (info.version > 0) rows[static_cast<u32>(info.kind)].push_back(info.op);
            return rows;
        }();
        const auto& rows = kByKind[static_cast<u32>(kind)];
        return rows[random_.below(static_cast<u32>(rows.size()))];
    }
    void set(u32 dst) {
        if (random_.chance(50)) {
            add_wide(dst, random_.number());
        } else {
            const Op op = random_.chance(50) ? Op::mov64_imm : Op::mov32_imm;
            add(op, dst, 0, 0, static_cast<i32>(random_.number()));
        }
    }

    // Single operations. All keep scalars scalar.

    void alu() {
        const Op op = row(OpKind::alu);
        const OpcodeInfo& row_info = info(op);
        i32 imm = static_cast<i32>(random_.number());
        // Linux refuses what a constant shows to be wrong.
        switch (row_info.code) {
        case Code::lsh:
        case Code::rsh:
        case Code::arsh: imm &= row_info.width - 1; break;
        case Code::div:
        case Code::mod:
        case Code::sdiv:
        case Code::smod: imm = imm == 0 ? 3 : imm; break;
        default: break;
        }
        const u32 dst = scalar();
        const u32 src = row_info.operand == Operand::reg ? scalar() : 0;
        add(op, dst, src, 0, row_info.operand == Operand::imm ? imm : 0);
    }

    /// A register and displacement that `bytes` can be loaded from or stored to; packet and value need no
    /// alignment, the stack does.
    void place(u32 bytes, bool aligned, bool atomic, u32& base, i32& off) {
        const u32 kind = random_.below(3);
        if (kind == 0 && value_ >= 0) {
            base = static_cast<u32>(value_);
            off = static_cast<i32>(random_.below(RandomProgram::kMapBytes - bytes + 1));
            if (aligned) off -= off % static_cast<i32>(bytes);
        } else if (kind == 1 && packet_ >= 0 && !atomic) {
            base = static_cast<u32>(packet_);
            off = static_cast<i32>(random_.below(RandomProgram::kPacketBytes - bytes + 1));
        } else {
            base = R10;
            off = -static_cast<i32>(bytes * (1 + random_.below(kStack / bytes)));
        }
    }

    void memory() {
        static constexpr OpKind kKinds[] = {OpKind::ldx, OpKind::ldx, OpKind::st, OpKind::stx,
                                            OpKind::atomic};
        const OpKind kind = kKinds[random_.below(5)];
        const Op op = row(kind);
        u32 base = 0;
        i32 off = 0;
        place(info(op).width / 8U, kind == OpKind::atomic, kind == OpKind::atomic, base, off);
        switch (kind) {
        case OpKind::ldx: add(op, scalar(), base, off); break;
        case OpKind::st: add(op, base, 0, off, static_cast<i32>(random_.number())); break;
        default: {
            // cmpxchg compares with r0, which must be a scalar in this function.
            if (info(op).code == Code::cmpxchg && std::ranges::find(scalars_, R0) == scalars_.end()) return;
            add(op, base, scalar(), off);
        }
        }
    }

    /// A load from the map value at an index that only the mask bounds.
    void variable_load() {
        if (value_ < 0) return memory();
        const u32 dst = scalar();
        add(random_.chance(50) ? Op::and64_imm : Op::and32_imm, dst, 0, 0, 31);
        add(Op::add64_reg, dst, static_cast<u32>(value_));
        static constexpr Op kLoads[] = {Op::ldx8,  Op::ldx16,  Op::ldx32, Op::ldx64,
                                        Op::ldxs8, Op::ldxs16, Op::ldxs32};
        const Op load = kLoads[random_.below(7)];
        add(load, dst, dst, static_cast<i32>(random_.below(24)));
    }

    void operation() {
        const u32 kind = random_.below(100);
        if (kind < 50) return alu();
        if (kind < 58) {
            const Op op = row(OpKind::endian);
            add(op, scalar());
            return;
        }
        if (kind < 63) return set(scalar());
        if (kind < 70) return variable_load();
        memory();
    }

    // Control flow.

    u32 conditional() {
        const Op op = row(OpKind::jump);
        const bool imm = info(op).operand == Operand::imm;
        const u32 dst = scalar();
        const u32 src = imm ? 0 : scalar();
        return add(op, dst, src, 0, imm ? static_cast<i32>(random_.number()) : 0);
    }
    void land_here(u32 jump) {
        const u32 distance = here() - jump - 1;
        if (out_.insns[jump].opcode == info(Op::ja32).opcode)
            out_.insns[jump].imm = static_cast<i32>(distance);
        else
            out_.insns[jump].off = static_cast<i16>(distance);
    }

    void if_else(u32 depth) {
        const u32 to_else = conditional();
        block(1 + random_.below(5), depth + 1);
        if (random_.chance(50)) return land_here(to_else);
        const u32 to_end = add(random_.chance(50) ? Op::ja32 : Op::ja);
        land_here(to_else);
        block(1 + random_.below(5), depth + 1);
        land_here(to_end);
    }

    /// A move that a compiler might jump over.
    void move() {
        switch (random_.below(5)) {
        case 0: add(Op::mov64_imm, scalar(), 0, 0, static_cast<i32>(random_.number())); return;
        case 1: add(Op::mov32_imm, scalar(), 0, 0, static_cast<i32>(random_.number())); return;
        case 2: add(Op::mov64_reg, scalar(), scalar()); return;
        case 3: add(Op::mov32_reg, scalar(), scalar()); return;
        default: add(Op::add64_imm, scalar(), 0, 0, static_cast<i32>(random_.number())); return;
        }
    }

    /// A choice between values, as compilers write it; perhaps with a jump out on the way. The registers that
    /// were moved last are often overwritten where that leads.
    void choice() {
        if (random_.chance(50)) move();
        const u32 over = conditional();
        for (u32 i = random_.below(3); i > 0; --i) move();
        const bool leaves = random_.chance(50);
        const u32 out = leaves ? conditional() : 0;
        for (u32 i = random_.below(3); i > 0; --i) move();
        land_here(over);
        if (!leaves) return;
        for (u32 i = random_.below(3); i > 0; --i) operation();
        land_here(out);
        if (random_.chance(50)) set(scalar());
    }

    /// A constant that is mostly read only where a jump leads to.
    void verdict() {
        const u32 dst = scalar();
        u32 jumps[3];
        const u32 count = 1 + random_.below(3);
        for (u32 i = 0; i < count; ++i) {
            if (i == 0 || random_.chance(50))
                add(Op::mov32_imm, dst, 0, 0, static_cast<i32>(random_.number()));
            if (random_.chance(50)) operation();
            if (random_.chance(30))
                add(random_.chance(50) ? Op::and64_imm : Op::and32_imm, scalar(), 0, 0, 0x1f);
            jumps[i] = conditional();
        }
        set(dst);
        for (u32 i = random_.below(3); i > 0; --i) operation();
        for (u32 i = 0; i < count; ++i) land_here(jumps[i]);
    }

    void loop() {
        if (scalars_.size() < 4) return;
        const u32 at = random_.below(static_cast<u32>(scalars_.size()));
        const u8 counter = scalars_[at];
        // Fetching atomics may write r0 as well, so it is no counter.
        if (counter == R0) return;
        scalars_.erase(scalars_.begin() + at);
        add(Op::mov64_imm, counter, 0, 0, 0);
        const u32 start = here();
        for (u32 i = 1 + random_.below(4); i > 0; --i) operation();
        add(Op::add64_imm, counter, 0, 0, 1);
        const Op again = random_.chance(50) ? Op::jlt64_imm : Op::jne64_imm;
        const u32 back = add(again, counter, 0, 0, static_cast<i32>(1 + random_.below(6)));
        out_.insns[back].off = static_cast<i16>(static_cast<i32>(start) - static_cast<i32>(back) - 1);
        scalars_.push_back(counter);
    }

    void call() {
        if (in_function_ || functions_ == 0) return alu();
        const u32 insn = add(Op::call, 0, kCallLocal);
        calls_.emplace_back(insn, random_.below(functions_));
        for (u32 i = R1; i <= R5; ++i) set(i);
    }

    void block(u32 operations, u32 depth) {
        for (u32 i = 0; i < operations; ++i) {
            const u32 kind = random_.below(100);
            if (kind < 10 && depth < 3 && branches_ < 8) {
                ++branches_;
                if_else(depth);
            } else if (kind < 13 && depth == 0 && loops_ < 2) {
                ++loops_;
                loop();
            } else if (kind < 16) {
                call();
            } else if (kind < 24 && branches_ < 10) {
                ++branches_;
                choice();
            } else if (kind < 28 && branches_ < 10) {
                ++branches_;
                verdict();
            } else {
                operation();
            }
        }
    }

    void fill_stack() {
        for (u32 off = 8; off <= kStack; off += 8)
            add(Op::st64, R10, 0, -static_cast<i32>(off), static_cast<i32>(random_.number()));
    }
    /// dst gets a hash of every scalar and of the stack; other scalars are used up.
    void fold(u32 dst) {
        for (const u8 reg : scalars_) {
            if (reg == dst) continue;
            add(Op::mul64_imm, dst, 0, 0, 0x01000193);
            add(Op::xor64_reg, dst, reg);
        }
        const u8 other = scalars_[0] == dst ? scalars_[1] : scalars_[0];
        for (u32 off = 8; off <= kStack; off += 8) {
            add(Op::ldx64, other, R10, -static_cast<i32>(off));
            add(Op::mul64_imm, dst, 0, 0, 0x01000193);
            add(Op::xor64_reg, dst, other);
        }
    }

    void main_program() {
        // Calls use up r0-r5, so pointers stay above there; without calls any register may hold anything.
        std::vector<u8> registers = {R6, R7, R8, R9, R0, R1, R2, R3, R4, R5};
        shuffle(registers.begin(), functions_ > 0 ? registers.begin() + 4 : registers.end());
        packet_ = registers[0];
        value_ = registers[1];
        scalars_.assign(registers.begin() + 2, registers.end());

        // The context comes in r1. The packet's end is loaded last and over it.
        const u32 end = packet_ == R1 ? u32{scalars_[0]} : u32{R1};
        const u32 context = end;
        const u32 limit = other_than({static_cast<u32>(packet_), end});
        if (context != R1) add(Op::mov64_reg, context, R1);
        out_.load_data = add(Op::ldx32, static_cast<u32>(packet_), context, offsetof(xdp_md, data));
        out_.load_data_end = add(Op::ldx32, end, context, offsetof(xdp_md, data_end));
        add(Op::mov64_reg, limit, static_cast<u32>(packet_));
        add(Op::add64_imm, limit, 0, 0, RandomProgram::kPacketBytes);
        const u32 enough = add(Op::jle64_reg, limit, end);
        add(Op::mov64_imm, R0, 0, 0, 77);
        add(Op::exit);
        out_.insns[enough].off = 2;
        add_value_address(static_cast<u32>(value_));
        for (const u8 reg : scalars_) set(reg);
        fill_stack();

        block(10 + random_.below(40), 0);
        finish_main();
    }

    void finish_main() {
        // r0 may be a pointer's register.
        const u8 dst = scalars_[random_.below(static_cast<u32>(scalars_.size()))];
        fold(dst);
        add(Op::stx64, static_cast<u32>(value_), dst, 8 * static_cast<i32>(random_.below(8)));
        if (dst != R0) add(Op::mov64_reg, R0, dst);
        add(Op::exit);
    }

    /// Takes r1-r5, uses every register, returns a hash.
    void function(u32 index) {
        starts_[index] = here();
        in_function_ = true;
        branches_ = 5; // not many: the verifier walks them at every call
        loops_ = 0;
        packet_ = -1;
        value_ = R9;
        add_value_address(R9);
        for (const u8 reg : {R0, R6, R7, R8}) set(reg);
        scalars_ = {R0, R1, R2, R3, R4, R5, R6, R7, R8};
        fill_stack();
        block(5 + random_.below(15), 0);
        fold(R0);
        add(Op::exit);
    }

    u32 other_than(std::initializer_list<u32> taken) {
        for (u32 reg = R0; reg <= R9; ++reg)
            if (std::ranges::find(taken, reg) == taken.end()) return reg;
        return R0;
    }
    template<class It>
    void shuffle(It begin, It end) {
        for (auto left = end - begin; left > 1; --left)
            std::swap(begin[left - 1], begin[random_.below(static_cast<u32>(left))]);
    }

    Random random_;
    RandomProgram out_;
    u32 functions_ = 0;
    bool in_function_ = false;
    u32 branches_ = 0;
    u32 loops_ = 0;
    std::vector<std::pair<u32, u32>> calls_;
    u32 starts_[2] = {};
};

} // namespace

RandomProgram generate_program(u64 seed) { return Generator(seed).run(); }

std::vector<Insn> RandomProgram::for_bpf(int map_fd) const {
    std::vector<Insn> all = insns;
    for (const u32 at : load_value) {
        all[at].src = kMapValue;
        all[at].imm = map_fd;
        all[at + 1].imm = 0;
    }
    return all;
}

std::vector<Insn> RandomProgram::raw(void* value) const {
    std::vector<Insn> all = insns;
    const auto widen = [&all](u32 at, std::size_t offset) {
        all[at] = encode(Op::ldx64, all[at].dst, all[at].src, static_cast<i16>(offset), 0);
    };
    widen(load_data, offsetof(XdpBuff, data));
    widen(load_data_end, offsetof(XdpBuff, data_end));
    for (const u32 at : load_value) {
        const u64 address = reinterpret_cast<u64>(value);
        all[at].imm = static_cast<i32>(address);
        all[at + 1].imm = static_cast<i32>(address >> 32);
    }
    return all;
}

} // namespace xdplane
