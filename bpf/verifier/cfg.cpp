// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
#include "bpf/verifier/cfg.h"

#include <algorithm>
#include <array>
#include <cerrno>

#include "bpf/isa/register_use.h"

namespace xdplane {
namespace {

bool writes_dst(const OpcodeInfo& row) {
    return row.kind == OpKind::alu || row.kind == OpKind::endian || row.kind == OpKind::ldx ||
           row.kind == OpKind::ld_imm64;
}

/// Why an insn has no row.
std::unexpected<Error> explain_invalid(const Insn& insn) {
    const bool known_byte = std::any_of(kOpcodes.begin(), kOpcodes.end(), [&](const OpcodeInfo& row) {
        return row.version != 0 && row.opcode == insn.opcode;
    });
    if (!known_byte) return fail(EINVAL, "unknown opcode {:02x}", insn.opcode);
    switch (insn.opcode & 7) {
    case 0x00: return fail(EINVAL, "BPF_LD_[ABS|IND] uses reserved fields");
    case 0x01: return fail(EINVAL, "BPF_LDX uses reserved fields");
    case 0x02: return fail(EINVAL, "BPF_ST uses reserved fields");
    case 0x03:
        if ((insn.opcode & 0xe0) != 0xc0) return fail(EINVAL, "BPF_STX uses reserved fields");
        if (std::ranges::any_of(kOpcodes, [&](const OpcodeInfo& row) {
                return row.kind == OpKind::atomic && row.atomic == static_cast<u32>(insn.imm);
            }))
            return fail(EINVAL, "invalid atomic operand size");
        return fail(EINVAL, "BPF_ATOMIC uses invalid atomic opcode {:02x}", static_cast<u32>(insn.imm));
    case 0x05:
    case 0x06:
        if (insn.opcode == 0x85 && insn.src == kCallKfunc && insn.off < 0)
            return fail(EINVAL, "negative offset disallowed for kernel module function call");
        if (insn.opcode == 0x85 && insn.src == kCallKfunc && insn.off > 0)
            return fail(EINVAL, "invalid module BTF fd specified"); // there are no modules
        if (insn.opcode == 0x85) return fail(EINVAL, "BPF_CALL uses reserved fields");
        if (insn.opcode == 0x95) return fail(EINVAL, "BPF_EXIT uses reserved fields");
        if (insn.opcode == 0xe5) return fail(EINVAL, "invalid may_goto imm {}", insn.imm);
        if ((insn.opcode & 0xf0) == 0) return fail(EINVAL, "BPF_JA uses reserved fields");
        return fail(EINVAL, "BPF_JMP/JMP32 uses reserved fields");
    default: break;
    }
    if (is_addr_space_cast(insn))
        return fail(EINVAL,
                    "addr_space_cast insn can only be used in a program that has an associated arena");
    if ((insn.opcode & 0xf0) == 0xd0) return fail(EINVAL, "BPF_END uses reserved fields");
    if ((insn.opcode & 0xf0) == 0x80) return fail(EINVAL, "BPF_NEG uses reserved fields");
    if ((insn.opcode & 0xf0) == 0xb0) return fail(EINVAL, "BPF_MOV uses reserved fields");
    return fail(EINVAL, "BPF_ALU uses reserved fields");
}

class Analysis {
public:
    Analysis(std::span<const Insn> insns, const ControlFlowRules& rules)
        : insns_(insns), rules_(rules), count_(static_cast<u32>(insns.size())) {}

    Result<ControlFlow> run() {
        flow_.ops.assign(count_, Op::invalid);
        flow_.targets.assign(count_, -1);
        flow_.marks.assign(count_, 0);
        flow_.traits.assign(count_, {});
        if (auto r = decode_all(); !r) return fail(r.error());
        find_traits();
        find_functions();
        if (auto r = check_jumps(); !r) return fail(r.error());
        if (auto r = check_reachable(); !r) return fail(r.error());
        mark_points();
        find_function_traits();
        find_live_registers();
        return std::move(flow_);
    }

private:
    [[nodiscard]] const OpcodeInfo& row(u32 i) const { return info(flow_.ops[i]); }
    [[nodiscard]] bool second_slot(u32 i) const { return i > 0 && flow_.ops[i - 1] == Op::ld_imm64; }

    Result<> decode_all() {
        for (u32 i = 0; i < count_; ++i) {
            const Insn& insn = insns_[i];
            if (insn.dst > R10 || insn.src > R10) {
                // src of calls and ld_imm64 is not a register, but small there too.
                return fail(EINVAL, "R{} is invalid", insn.dst > R10 ? insn.dst : insn.src);
            }
            const Op op = decode(insn);
            if (op == Op::invalid) return explain_invalid(insn);
            flow_.ops[i] = op;
            if (auto r = check_fields(i); !r) return r;
            if (op == Op::ld_imm64) {
                if (auto r = check_second_slot(i); !r) return r;
                ++i;
            }
        }
        return {};
    }

    Result<> check_fields(u32 i) const {
        const Insn& insn = insns_[i];
        const OpcodeInfo& r = row(i);
        if (insn.dst == R10 && writes_dst(r)) return fail(EACCES, "frame pointer is read only");
        if (r.kind == OpKind::atomic && r.operand == Operand::fetch && r.code != Code::cmpxchg &&
            insn.src == R10)
            return fail(EACCES, "frame pointer is read only");
        if (r.kind != OpKind::alu || r.operand != Operand::imm) return {};
        const bool divides =
            r.code == Code::div || r.code == Code::mod || r.code == Code::sdiv || r.code == Code::smod;
        if (divides && insn.imm == 0) return fail(EINVAL, "div by zero");
        const bool shifts = r.code == Code::lsh || r.code == Code::rsh || r.code == Code::arsh;
        if (shifts && (insn.imm < 0 || insn.imm >= r.width))
            return fail(EINVAL, "invalid shift {}", insn.imm);
        return {};
    }

    Result<> check_second_slot(u32 i) {
        if (i + 1 >= count_) return fail(EINVAL, "invalid bpf_ld_imm64 insn");
        const Insn& second = insns_[i + 1];
        if (second.opcode != 0 || second.dst != 0 || second.src != 0 || second.off != 0)
            return fail(EINVAL, "invalid bpf_ld_imm64 insn");
        if (insns_[i].src > kMapIndexValue) return fail(EINVAL, "unrecognized bpf_ld_imm64 insn");
        const bool one_word =
            insns_[i].src == kMapFd || insns_[i].src == kMapIndex || insns_[i].src == kCodeAddr;
        if (one_word && second.imm != 0) return fail(EINVAL, "unrecognized bpf_ld_imm64 insn");
        return {};
    }

    /// Where the insn may go besides the next one; -1 if nowhere.
    [[nodiscard]] i64 destination(u32 i) const {
        const Insn& insn = insns_[i];
        switch (row(i).kind) {
        case OpKind::may_goto:
        case OpKind::jump: return i64{i} + 1 + insn.off;
        case OpKind::ja: return i64{i} + 1 + (flow_.ops[i] == Op::ja32 ? insn.imm : insn.off);
        case OpKind::call: return insn.src == kCallLocal ? i64{i} + 1 + insn.imm : -1;
        case OpKind::ld_imm64: return insn.src == kCodeAddr ? i64{i} + 1 + insn.imm : -1;
        default: return -1;
        }
    }
    [[nodiscard]] bool starts_function(u32 i) const {
        const OpKind kind = row(i).kind;
        return (kind == OpKind::call && insns_[i].src == kCallLocal) ||
               (kind == OpKind::ld_imm64 && insns_[i].src == kCodeAddr);
    }

    void find_functions() {
        std::vector<u32> starts{0};
        for (u32 i = 0; i < count_; ++i)
            if (flow_.ops[i] != Op::invalid && starts_function(i))
                if (const i64 to = destination(i); to >= 0 && to < count_)
                    starts.push_back(static_cast<u32>(to));
        std::sort(starts.begin(), starts.end());
        starts.erase(std::unique(starts.begin(), starts.end()), starts.end());
        for (std::size_t k = 0; k < starts.size(); ++k)
            flow_.functions.push_back({starts[k], k + 1 < starts.size() ? starts[k + 1] : count_});
    }

    Result<> check_jumps() {
        for (const Subprogram& function : flow_.functions) {
            for (u32 i = function.begin; i < function.end; ++i) {
                if (flow_.ops[i] == Op::invalid) continue;
                if (auto r = check_jump(function, i); !r) return r;
            }
            const u32 last = second_slot(function.end - 1) ? function.end - 2 : function.end - 1;
            if (row(last).kind != OpKind::exit && row(last).kind != OpKind::ja)
                return fail(EINVAL, "last insn is not an exit or jmp");
        }
        return {};
    }

    Result<> check_jump(const Subprogram& function, u32 i) {
        const OpKind kind = row(i).kind;
        const bool jumps = kind == OpKind::jump || kind == OpKind::ja || kind == OpKind::may_goto;
        if (!jumps && !starts_function(i)) return {};
        const i64 to = destination(i);
        const i64 begin = jumps ? function.begin : 0;
        const i64 end = jumps ? function.end : count_;
        if (to < begin || to >= end) {
            if (jumps) return fail(EINVAL, "jump out of range from insn {} to {}", i, to);
            return fail(EINVAL, "call to invalid destination");
        }
        if (second_slot(static_cast<u32>(to)))
            return fail(EINVAL, "jump into the middle of ldimm64 insn {}", to - 1);
        flow_.targets[i] = static_cast<i32>(to);
        return {};
    }

    /// Where control may go from insn i, calls entering their function.
    void successors(u32 i, std::vector<u32>& out) const {
        const OpKind kind = row(i).kind;
        if (kind != OpKind::exit && kind != OpKind::ja)
            out.push_back(i + (kind == OpKind::ld_imm64 ? 2 : 1)); // exists: no function falls off its end
        if (flow_.targets[i] >= 0) out.push_back(static_cast<u32>(flow_.targets[i]));
    }

    /// Depth first over tree, forward, cross and back edges.
    Result<> check_reachable() {
        enum class Colour : u8 { white, grey, black };
        struct Visit {
            u32 insn;
            u8 next;
            u8 count;
            std::array<u32, 2> to;
        };
        std::vector<Colour> colours(count_, Colour::white);
        finished_.reserve(count_);
        std::vector<Visit> path;
        std::vector<u32> scratch;
        const auto enter = [&](u32 i) {
            colours[i] = Colour::grey;
            scratch.clear();
            successors(i, scratch);
            Visit visit{i, 0, static_cast<u8>(scratch.size()), {}};
            std::ranges::copy(scratch, visit.to.begin());
            path.push_back(visit);
        };
        enter(0);
        while (!path.empty()) {
            Visit& visit = path.back();
            if (visit.next == visit.count) {
                colours[visit.insn] = Colour::black;
                finished_.push_back(visit.insn);
                path.pop_back();
                continue;
            }
            const u32 to = visit.to[visit.next++];
            if (colours[to] == Colour::grey && !rules_.loops)
                return fail(EINVAL, "back-edge from insn {} to {}", visit.insn, to);
            if (colours[to] == Colour::white) enter(to);
        }
        for (u32 i = 0; i < count_; ++i)
            if (colours[i] == Colour::white && !second_slot(i)) return fail(EINVAL, "unreachable insn {}", i);
        return {};
    }

    /// Once: kernel functions are looked up by name.
    void find_traits() {
        for (u32 i = 0; i < count_ && rules_.traits; ++i)
            if (flow_.ops[i] == Op::call && insns_[i].src != kCallLocal)
                flow_.traits[i] = rules_.traits(insns_[i]);
    }

    void mark(u32 i, u8 marks) { flow_.marks[i] |= marks; }

    /// Where Linux marks them (check_cfg), so that states are kept and compared at the same places.
    void mark_points() {
        for (u32 i = 0; i < count_; ++i) {
            if (flow_.ops[i] == Op::invalid) continue;
            const OpKind kind = row(i).kind;
            if (flow_.targets[i] >= 0) mark(static_cast<u32>(flow_.targets[i]), kPrunePoint | kJumpPoint);
            if (kind == OpKind::jump) mark(i, kPrunePoint);
            if (kind == OpKind::may_goto) mark(i, kPrunePoint | kForcePoint);
            if (starts_function(i)) {
                mark(i, kPrunePoint);
                mark(i + (kind == OpKind::ld_imm64 ? 2 : 1), kPrunePoint | kJumpPoint);
            }
            const CallTraits& call = flow_.traits[i];
            if (call.calls_back) mark(i, kPrunePoint | kJumpPoint | kForcePoint);
            if (call.calls_later) mark(i, kPrunePoint);
            if (call.iterates) {
                mark(i, kPrunePoint | kForcePoint);
                mark(i + 1, kPrunePoint | kForcePoint);
            }
        }
    }

    void find_function_traits() {
        for (Subprogram& function : flow_.functions) {
            for (u32 i = function.begin; i < function.end; ++i) {
                if (flow_.ops[i] == Op::invalid) continue;
                const CallTraits& call = flow_.traits[i];
                function.moves_packet |= call.moves_packet;
                function.tail_calls |= call.tail_calls;
                function.legacy_loads |= row(i).kind == OpKind::ld_abs || row(i).kind == OpKind::ld_ind;
            }
        }
        // Through calls, until nothing changes: call graphs are small.
        for (bool changed = true; changed;) {
            changed = false;
            for (u32 i = 0; i < count_; ++i) {
                if (flow_.ops[i] == Op::invalid || !starts_function(i)) continue;
                Subprogram& caller = flow_.functions[flow_.function_of(i)];
                if (caller.moves_packet) continue;
                const Subprogram& callee =
                    flow_.functions[flow_.function_of(static_cast<u32>(flow_.targets[i]))];
                caller.moves_packet = callee.moves_packet;
                changed |= callee.moves_packet;
            }
        }
    }

    /// Backwards to the fixed point. In the order in which the depth-first search left the insns, successors
    /// come first but for back edges, however the program is laid out: a turn per nested loop is enough.
    void find_live_registers() {
        flow_.live_registers.assign(count_, 0);
        for (bool changed = true; changed;) {
            changed = false;
            for (const u32 i : finished_) {
                const OpKind kind = row(i).kind;
                u16 after = 0;
                if (kind != OpKind::exit && kind != OpKind::ja)
                    after = flow_.live_registers[i + (kind == OpKind::ld_imm64 ? 2 : 1)];
                if (kind == OpKind::jump || kind == OpKind::ja || kind == OpKind::may_goto)
                    after |= flow_.live_registers[static_cast<u32>(flow_.targets[i])];
                RegisterUse use = register_use(row(i), insns_[i].dst, insns_[i].src);
                if (kind == OpKind::call)
                    use.reads = static_cast<u16>(((1U << flow_.traits[i].arguments) - 1) << 1);
                const u16 before = static_cast<u16>((after & ~use.writes) | use.reads | register_bit(R10));
                changed |= before != flow_.live_registers[i];
                flow_.live_registers[i] = before;
            }
        }
    }

    std::span<const Insn> insns_;
    const ControlFlowRules& rules_;
    u32 count_;
    ControlFlow flow_;
    std::vector<u32> finished_; ///< insns in the order in which the depth-first search left them
};

} // namespace

u32 ControlFlow::function_of(u32 insn) const {
    const auto after = std::upper_bound(functions.begin(), functions.end(), insn,
                                        [](u32 i, const Subprogram& f) { return i < f.begin; });
    return static_cast<u32>(after - functions.begin()) - 1;
}

Result<ControlFlow> analyse_control_flow(std::span<const Insn> insns, const ControlFlowRules& rules) {
    return Analysis(insns, rules).run();
}

} // namespace xdplane
