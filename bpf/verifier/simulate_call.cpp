// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
#include <algorithm>
#include <cerrno>
#include <linux/bpf.h>

#include "bpf/verifier/simulation.h"

namespace xdplane {

bool Verifier::simulate_call(const Insn& insn) {
    switch (insn.src) {
    case kCallHelper: return call_helper(insn);
    case kCallLocal: return enter_function();
    case kCallKfunc: return reject(EINVAL, "calling kernel function #{} is not supported", insn.imm);
    default: return reject(EINVAL, "BPF_CALL uses reserved fields");
    }
}

/// Functions, static and global alike, are simulated where they are called.
bool Verifier::enter_function() {
    if (cur_->frames.size() >= kMaxCallFrames)
        return reject(E2BIG, "the call stack of {} frames is too deep", cur_->frames.size() + 1);
    Frame callee;
    for (u32 r = R1; r <= R5; ++r) callee.regs[r] = reg(r);
    callee.regs[R10] = RegState::pointer(RegKind::stack);
    callee.regs[R10].frame = static_cast<u8>(cur_->frames.size());
    callee.call_site = static_cast<i32>(insn_);
    callee.function = flow_.function_of(static_cast<u32>(flow_.targets[insn_]));
    for (u32 r = R0; r <= R5; ++r) set_reg(r, RegState{});
    cur_->frames.push_back(std::move(callee));
    next_insn_ = static_cast<u32>(flow_.targets[insn_]);
    return true;
}

void Verifier::forget_packet_pointers(State& state) {
    for_each_reg(state, [](RegState& r) {
        if (r.in_packet() || r.kind == RegKind::packet_end) r = RegState::unknown();
    });
}

/// A tail call in a sub-program that succeeds comes back to the caller, with any number in r0 and perhaps
/// another packet.
bool Verifier::return_from_tail_call() {
    State back = *cur_;
    const u32 after = static_cast<u32>(back.top().call_site) + 1;
    back.frames.pop_back();
    forget_packet_pointers(back);
    back.top().regs[R0] = RegState::unknown();
    return push_pending(after, std::move(back));
}

bool Verifier::call_helper(const Insn& insn) {
    const HelperProto* helper = find_helper(static_cast<u32>(insn.imm));
    if (helper == nullptr) return reject(EINVAL, "invalid func unknown#{}", insn.imm);
    if ((helper->use & request_.type->use_bit) == 0)
        return reject(EINVAL, "program of this type cannot use helper bpf_{}#{}", helper->name, helper->id);
    if (helper->gpl_only && !request_.gpl_compatible)
        return reject(EINVAL, "cannot call GPL-restricted function from non-GPL compatible program");

    CallArguments args;
    for (u32 i = 0; i < helper->args.size(); ++i) {
        if (helper->args[i] == Arg::none) break;
        if (!check_argument(*helper, i, args)) return false;
    }
    InsnFacts& f = facts();
    f.helper = helper;
    const bool first = helper_seen_[insn_] == 0;
    helper_seen_[insn_] = 1;
    f.map = first || f.map == args.map ? args.map : nullptr;
    if (helper->id == BPF_FUNC_tail_call) {
        const RegState& index = reg(R3);
        std::optional<u64> key;
        if (index.is_const()) {
            key = index.var.value() & 0xffffffff; // the index has 32 bits
            mark_precise(R3);
        }
        f.const_key = first || f.const_key == key ? key : std::nullopt;
        functions_[frame().function].tail_calls = true;
        // Which programs the prog array will hold, and what they do to the packet, is not known.
        writes_packet_ |= request_.type->packet_write;
        if (cur_->depth() > 0 && !return_from_tail_call()) return false;
    }
    if (helper->moves_packet) forget_packet_pointers(*cur_);
    writes_packet_ |= helper->writes_packet || helper->moves_packet;
    for (u32 r = R0; r <= R5; ++r) set_reg(r, RegState{});
    return set_helper_result(*helper, args);
}

bool Verifier::set_helper_result(const HelperProto& helper, const CallArguments& args) {
    switch (helper.ret) {
    case Ret::integer: set_reg(R0, RegState::unknown()); return true;
    case Ret::nothing: return true;
    case Ret::map_value_or_null: {
        if (args.map == nullptr) return reject(EFAULT, "verifier bug: a value of no map");
        RegState value = RegState::pointer(RegKind::map_value);
        value.or_null = true;
        value.id = new_id();
        value.map = args.map;
        set_reg(R0, value);
        return true;
    }
    }
    return reject(EFAULT, "verifier bug: unknown return of a helper");
}

} // namespace xdplane
