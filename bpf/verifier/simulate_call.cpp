// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
#include <algorithm>
#include <cerrno>
#include <linux/bpf.h>

#include "bpf/verifier/simulation.h"

/// Calls of functions: static ones are simulated where they are called, global ones on their own, callbacks
/// as often as they can be told apart.
namespace xdplane {

bool Verifier::simulate_call(const Insn& insn) {
    if (cur_->locks > 0) {
        const bool unlocks = insn.src == kCallHelper && insn.imm == BPF_FUNC_spin_unlock;
        if (insn.src == kCallHelper && !unlocks)
            return reject(EINVAL, "function calls are not allowed while holding a lock");
    }
    switch (insn.src) {
    case kCallHelper: return call_helper(insn);
    case kCallLocal: return enter_function();
    case kCallKfunc: return call_kfunc(insn);
    default: return reject(EINVAL, "BPF_CALL uses reserved fields");
    }
}

Frame Verifier::make_callee(u32 function) const {
    Frame callee;
    callee.regs[R10] = RegState::pointer(RegKind::stack);
    callee.regs[R10].frame = static_cast<u8>(cur_->frames.size());
    callee.call_site = static_cast<i32>(insn_);
    callee.function = function;
    return callee;
}

void Verifier::clear_caller_saved() {
    for (u32 r = R0; r <= R5; ++r) set_reg(r, RegState{});
}

bool Verifier::enter_function() {
    const u32 function = flow_.function_of(static_cast<u32>(flow_.targets[insn_]));
    if (is_global(function)) return call_global(function);
    if (cur_->frames.size() >= kMaxCallFrames)
        return reject(E2BIG, "the call stack of {} frames is too deep", cur_->frames.size() + 1);
    Frame callee = make_callee(function);
    for (u32 r = R1; r <= R5; ++r) callee.regs[r] = reg(r);
    clear_caller_saved();
    const u32 caller = cur_->frame_index();
    cur_->frames.push_back(std::move(callee));
    log_frames("caller:", caller, "callee:", caller + 1);
    touch_all();
    next_insn_ = static_cast<u32>(flow_.targets[insn_]);
    return true;
}

/// The arguments are checked by the function's BTF; what it does with them is verified once, on its own.
bool Verifier::call_global(u32 function) {
    GlobalPrototype prototype;
    if (cur_->locks > 0)
        return reject(EINVAL, "global function calls are not allowed while holding a lock,\n"
                              "use static function instead");
    if (!read_global_prototype(function, prototype)) return false;
    if (!check_global_arguments(prototype)) {
        explain("Caller passes invalid args into func#{} ('{}')", function, prototype.name);
        return false;
    }
    if (logging()) explain("Func#{} ('{}') is global and assumed valid.", function, prototype.name);
    functions_[function].called = true;
    cur_->steps.back().skipped = true;
    if (flow_.functions[function].moves_packet) {
        forget_packet_pointers(*cur_);
        writes_packet_ = true;
    }
    clear_caller_saved();
    set_reg(R0, RegState::unknown());
    return true;
}

bool Verifier::leave_function() {
    const Frame callee = frame();
    const RegState result = reg(R0);
    if (result.kind == RegKind::stack) return reject(EINVAL, "cannot return stack pointer to the caller");
    if (callee.in_callback) {
        if (!result.is_scalar()) return reject(EACCES, "R0 not a scalar value");
        if (!check_return_value("At callback return", callee.return_min, callee.return_max, false))
            return false;
        cur_->steps.back().callback = true;
        next_insn_ = static_cast<u32>(callee.call_site); // which decides about another round
        log_return();
        cur_->frames.pop_back();
        if (const State* before = previous_round(*cur_, next_insn_)) widen_imprecise(*before, *cur_);
        return true;
    }
    next_insn_ = static_cast<u32>(callee.call_site) + 1;
    cur_->frames[cur_->frames.size() - 2].regs[R0] = result;
    log_return();
    cur_->frames.pop_back();
    return true;
}

/// A tail call in a sub-program that succeeds, and a legacy load out of range, go back to the caller: another
/// path, on which the packet may be another one.
bool Verifier::leave_abnormally(const RegState& result) {
    if (frame().in_callback)
        return reject(EINVAL, "a callback cannot be left by a tail call or a failing load");
    State back = *cur_;
    const u32 after = static_cast<u32>(back.top().call_site) + 1;
    back.steps.back().abnormal = true;
    back.frames.pop_back();
    forget_packet_pointers(back);
    back.top().regs[R0] = result;
    return push_pending(after, std::move(back)) != nullptr;
}

void Verifier::set_callback_arguments(const HelperProto& helper, const CallArguments& args, Frame& callee) {
    const auto map_part = [&](RegKind kind) {
        RegState r = RegState::pointer(kind);
        r.map = args.map;
        r.inner = args.inner_map;
        r.uid = args.map_uid;
        return r;
    };
    const Frame& caller = frame();
    switch (helper.callback) {
    case Callback::none: break;
    case Callback::loop:
        callee.regs[R1] = RegState::unknown();
        callee.regs[R2] = caller.regs[R3];
        callee.return_max = 1;
        break;
    case Callback::for_each_map:
        callee.regs[R1] = map_part(RegKind::map_ptr);
        callee.regs[R2] = map_part(RegKind::map_key);
        callee.regs[R3] = map_part(RegKind::map_value);
        callee.regs[R3].id = args.map->spec().record.spin_lock >= 0 ? ++last_id_ : 0;
        callee.regs[R4] = caller.regs[R3];
        callee.return_max = 1;
        break;
    case Callback::timer:
        callee.regs[R1] = map_part(RegKind::map_ptr);
        callee.regs[R2] = map_part(RegKind::map_key);
        callee.regs[R3] = map_part(RegKind::map_value);
        break;
    case Callback::user_ringbuf:
        callee.regs[R1] = RegState::pointer(RegKind::dynptr);
        callee.regs[R1].dynptr = DynptrKind::local;
        callee.regs[R2] = caller.regs[R3];
        callee.return_max = 1;
        break;
    }
}

/// The callback is another path, from which this call comes back here to decide about the next round.
bool Verifier::push_callback(const HelperProto& helper, const CallArguments& args) {
    Frame callee = make_callee(args.function);
    FunctionUse& use = functions_[args.function];
    use.is_callback = true;
    set_callback_arguments(helper, args, callee);
    const u32 start = flow_.functions[args.function].begin;
    if (helper.callback == Callback::timer) {
        use.is_async_callback = true;
        callee.in_async_callback = true;
        callee.async_entries = frame().async_entries + 1;
        callee.call_site = -1;
        callee.regs[R10].frame = 0;
        State later;
        later.frames.push_back(std::move(callee));
        return push_pending(start, std::move(later)) != nullptr;
    }
    if (cur_->frames.size() >= kMaxCallFrames)
        return reject(E2BIG, "the call stack of {} frames is too deep", cur_->frames.size() + 1);
    callee.in_callback = true;
    State inside = *cur_;
    inside.steps.back().callback = true;
    inside.frames.push_back(std::move(callee));
    ++inside.callback_unroll_depth;
    ++inside.frames[inside.frames.size() - 2].callback_depth;
    if (push_pending(start, std::move(inside)) == nullptr) return false;
    frame().callback_depth = 0;
    return true;
}

/// Engines may loop in place where every path has the same callback and no flags.
void Verifier::note_loop_callback(u32 function) {
    InsnFacts& f = facts();
    const i32 start = static_cast<i32>(flow_.functions[function].begin);
    const bool plain = reg(R4).is_null();
    if (plain) mark_precise(R4);
    const bool same = plain && (f.callback == -1 || f.callback == start);
    f.callback = same && !other_callback_[insn_] ? start : -1;
    if (!same) other_callback_[insn_] = true;
}

bool Verifier::enter_callback(const HelperProto& helper, const CallArguments& args) {
    if (helper.callback == Callback::none) return true;
    if (helper.callback == Callback::loop) {
        note_loop_callback(args.function);
        mark_precise(R1);
        if (frame().callback_depth >= reg(R1).var.wide.umax) {
            frame().callback_depth = 0;
            return true;
        }
    }
    return push_callback(helper, args);
}

} // namespace xdplane
