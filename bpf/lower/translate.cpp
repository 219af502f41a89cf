// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
#include <algorithm>
#include <bit>
#include <cerrno>
#include <linux/bpf.h>

#include "bpf/lower/draft.h"

namespace xdplane {
namespace {

class Translator {
public:
    explicit Translator(Draft& draft) : program_(draft.program), out_(draft.insns) {}

    Result<> run() {
        out_.reserve(program_.insns().size());
        u32 function = 0;
        for (u32 i = 0; i < program_.insns().size(); ++i) {
            const InsnFacts& facts = program_.facts()[i];
            // The second slot of ld_imm64 has no row of its own.
            if (facts.reached && facts.op != Op::invalid)
                if (Result<> done = translate(i); !done) return done;
            if (function < program_.functions().size() && i + 1 == program_.functions()[function].end) {
                close_function(program_.functions()[function], i);
                ++function;
            }
        }
        return {};
    }

private:
    Result<> translate(u32 i) {
        const Insn& insn = program_.insns()[i];
        const InsnFacts& facts = program_.facts()[i];
        origin_ = i;
        switch (info(facts.op).kind) {
        case OpKind::alu:
        case OpKind::endian:
        case OpKind::ld_abs:
        case OpKind::ld_ind:
        case OpKind::exit: add(facts.op, insn.dst, insn.src, 0, insn.imm); return {};
        case OpKind::ldx:
        case OpKind::st:
        case OpKind::stx:
        case OpKind::atomic:
        case OpKind::load_acquire:
        case OpKind::store_release: return memory(insn, facts);
        case OpKind::may_goto: add(Op::may_goto, 0, 0, facts.target, 0); return {};
        case OpKind::jump: jump(insn, facts); return {};
        case OpKind::ja: add(Op::ja, 0, 0, facts.target, 0); return {};
        case OpKind::call: return call(insn, facts);
        case OpKind::ld_imm64: return load_imm64(insn, facts);
        case OpKind::lowered: break;
        }
        return fail(EINVAL, "insn {}: {} is not an instruction of programs", i, info(facts.op).name);
    }

    Result<> memory(const Insn& insn, const InsnFacts& facts) {
        if (info(facts.op).kind == OpKind::ldx && facts.constant) {
            add(Op::ld_imm64, insn.dst, 0, 0, static_cast<i64>(*facts.constant));
            return {};
        }
        if (facts.base != PtrKind::ctx) {
            add(facts.op, insn.dst, insn.src, insn.off, insn.imm);
            return {};
        }
        const OpKind kind = info(facts.op).kind;
        const bool plain = kind == OpKind::ldx || kind == OpKind::st || kind == OpKind::stx;
        if (facts.field == nullptr || !plain)
            return fail(EFAULT, "insn {}: context access without a field", origin_);
        rewrite_ctx_access(insn, facts, origin_, out_);
        return {};
    }

    void jump(const Insn& insn, const InsnFacts& facts) {
        if (facts.never_taken) return;
        if (facts.always_taken) {
            add(Op::ja, 0, 0, facts.target, 0);
        } else {
            add(facts.op, insn.dst, insn.src, facts.target, insn.imm);
        }
    }

    Result<> call(const Insn& insn, const InsnFacts& facts) {
        if (insn.src == kCallLocal) {
            add(Op::call_local, 0, 0, facts.target, 0);
            return {};
        }
        const bool kernel_function = insn.src == kCallKfunc;
        if ((insn.src != kCallHelper && !kernel_function) || facts.helper == nullptr ||
            facts.helper->is_kfunc != kernel_function)
            return fail(EINVAL, "insn {}: call of an unknown function {}", origin_, insn.imm);
        if (!kernel_function && facts.helper->id == BPF_FUNC_tail_call) {
            const i64 index = facts.constant ? i64{static_cast<u32>(*facts.constant)} : -1;
            add(Op::tail_call, 0, 0, map_index(facts.map), index);
            return {};
        }
        if (facts.helper->callback == Callback::loop && facts.callback >= 0) {
            add(Op::call_loop, 0, 0, facts.callback, 0);
            return {};
        }
        const bool read_only = !program_.type().packet_write && facts.helper->fn_read_only != nullptr;
        const HelperFn fn =
            read_only ? facts.helper->fn_read_only : facts.helper->fn_for(program_.type().use_bit);
        if (fn == nullptr)
            return fail(EINVAL, "insn {}: helper {} has no implementation", origin_, facts.helper->name);
        if (!kernel_function && facts.helper->id == BPF_FUNC_map_lookup_elem && lookup(facts.map)) return {};
        add(Op::call_helper, 0, 0, static_cast<i32>(facts.helper->id),
            static_cast<i64>(reinterpret_cast<std::uintptr_t>(fn)));
        if (kernel_function) out_.back().insn.flags = kKernelFunction;
        return {};
    }

    /// False if only the helper can tell which map it is.
    bool lookup(const Map* map) {
        const i32 index = map_index(map);
        if (index < 0 || map->ops().lookup == nullptr) return false;
        add(Op::map_lookup, 0, 0, index, static_cast<i64>(reinterpret_cast<std::uintptr_t>(map)));
        return true;
    }

    Result<> load_imm64(const Insn& insn, const InsnFacts& facts) {
        const u64 next_imm = static_cast<u32>(program_.insns()[origin_ + 1].imm);
        switch (insn.src) {
        case kImm64:
            add(Op::ld_imm64, insn.dst, 0, 0, static_cast<i64>(next_imm << 32 | static_cast<u32>(insn.imm)));
            return {};
        case kMapFd:
        case kMapIndex:
            if (facts.map == nullptr) break;
            address(insn.dst, facts.map);
            return {};
        case kMapValue:
        case kMapIndexValue: {
            if (facts.map == nullptr || facts.map->ops().direct_value == nullptr) break;
            const u8* const value = facts.map->ops().direct_value(*facts.map);
            if (value == nullptr) break;
            address(insn.dst, value + facts.value_offset);
            return {};
        }
        case kCodeAddr:
            if (facts.target < 0) break;
            // Nobody can call what was never simulated: no path to a call goes on with this address.
            if (!program_.facts()[static_cast<u32>(facts.target)].reached) {
                add(Op::ld_imm64, insn.dst, 0, 0, 0);
                return {};
            }
            add(Op::ld_imm64, insn.dst, 0, facts.target, 0);
            out_.back().insn.flags = kCodePointer;
            return {};
        default: break;
        }
        return fail(EINVAL, "insn {}: the address it loads is not known", origin_);
    }

    void address(u8 dst, const void* pointer) {
        add(Op::ld_imm64, dst, 0, 0, static_cast<i64>(reinterpret_cast<std::uintptr_t>(pointer)));
    }

    /// -1 if the map is not known, or not one of the program's.
    [[nodiscard]] i32 map_index(const Map* map) const {
        const auto& maps = program_.maps();
        const auto found = std::ranges::find(maps, map, [](const auto& owner) { return owner.get(); });
        return map == nullptr || found == maps.end() ? -1 : static_cast<i32>(found - maps.begin());
    }

    /// A function that the verifier accepted ends in exit or a jump. Engines rely on it, so it is made true
    /// for the unverified programs of tests as well: those return r0 as it is.
    void close_function(const FunctionFacts& function, u32 last) {
        const bool empty = out_.empty() || out_.back().origin < function.begin;
        if (empty || ends_block(out_.back().insn.op)) return;
        origin_ = last;
        add(Op::exit, 0, 0, 0, 0);
    }

    void add(Op op, u8 dst, u8 src, i32 off_or_target, i64 imm) {
        out_.push_back({make_insn(op, dst, src, off_or_target, imm), origin_});
    }

    const VerifiedProgram& program_;
    std::vector<DraftInsn>& out_;
    u32 origin_ = 0;
};

} // namespace

LoweredInsn make_insn(Op op, u8 dst, u8 src, i32 off_or_target, i64 imm) {
    LoweredInsn insn;
    insn.op = op;
    insn.dst = dst;
    insn.src = src;
    insn.off = off_or_target;
    insn.imm = imm;
    return insn;
}

bool has_insn_target(const LoweredInsn& insn) {
    const OpKind kind = info(insn.op).kind;
    return kind == OpKind::jump || kind == OpKind::may_goto || kind == OpKind::ja || starts_function(insn);
}

bool starts_function(const LoweredInsn& insn) {
    return insn.op == Op::call_local || insn.op == Op::call_loop ||
           (insn.op == Op::ld_imm64 && (insn.flags & kCodePointer) != 0);
}

namespace {

/// Arrays that the program does not write, and no other maps.
bool only_reads(const VerifiedProgram& program, u64 maps) {
    if (maps == kAnyMap) return false;
    for (; maps != 0; maps &= maps - 1) {
        const Map& map = *program.maps()[static_cast<u32>(std::countr_zero(maps))];
        if (!map.ops().array_like || program.writes_map(map)) return false;
    }
    return true;
}

/// See kOwnMemory. Values of hashes are not, which come and go.
bool is_own_memory(const VerifiedProgram& program, OpKind kind, const InsnFacts& facts) {
    if (kind == OpKind::st || kind == OpKind::stx) return facts.base == PtrKind::stack;
    if (kind != OpKind::ldx) return false;
    switch (facts.base) {
    case PtrKind::ctx:
    case PtrKind::stack:
    case PtrKind::packet:
    case PtrKind::packet_meta: return true;
    case PtrKind::map_value: return only_reads(program, facts.loads);
    default: return false;
    }
}

} // namespace

Result<> translate(Draft& draft) {
    if (Result<> done = Translator(draft).run(); !done) return done;
    for (DraftInsn& entry : draft.insns)
        if (is_own_memory(draft.program, info(entry.insn.op).kind, draft.program.facts()[entry.origin]))
            entry.insn.flags |= kOwnMemory;
    return {};
}

} // namespace xdplane
