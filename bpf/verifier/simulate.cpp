// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
#include "bpf/verifier/simulation.h"

#include <algorithm>
#include <cerrno>
#include <linux/bpf.h>

namespace xdplane {
namespace {

/// Branches that may wait at once (Linux's BPF_COMPLEXITY_LIMIT_JMP_SEQ).
constexpr std::size_t kMaxPending = 8192;
/// Memory for all states of a program; Linux has no such limit but the machine's.
constexpr u64 kMaxStateBytes = u64{1} << 30;

} // namespace

Verifier::~Verifier() = default;

bool Verifier::check_read(u32 index) {
    touch(index);
    if (reg(index).kind == RegKind::not_init) return reject(EACCES, "R{} !read_ok", index);
    return true;
}

/// The main program, then each global function that something verified so far calls.
bool Verifier::simulate_all() {
    if (!simulate_function(0)) return false;
    forget_log(0);
    for (bool more = true; more;) {
        more = false;
        for (u32 f = 1; f < functions_.size(); ++f) {
            if (!functions_[f].called || functions_[f].verified) continue;
            functions_[f].verified = true;
            more = true;
            if (!simulate_function(f)) return false;
            forget_log(0);
            if (logging())
                explain("Func#{} ('{}') is safe for any args that match its prototype", f, function_name(f));
        }
    }
    return true;
}

bool Verifier::simulate_function(u32 function) {
    if (function != 0 && logging()) explain("Validating {}() func#{}...", function_name(function), function);
    checkpoints_.clear();
    checkpoints_.resize(request_.insns.size());
    evicted_.clear();
    loop_ends_.clear();
    pending_.clear();
    has_loops_ = false;
    live_states_ = 0;
    state_bytes_ = 0;
    cur_ = std::make_unique<State>();
    cur_->frames.emplace_back();
    frame().function = function;
    insn_ = flow_.functions[function].begin;
    reg(R10) = RegState::pointer(RegKind::stack);
    if (function == 0) {
        reg(R1) = RegState::pointer(RegKind::ctx);
    } else if (!set_global_arguments(function)) {
        return false;
    }
    previous_insn_ = 0;
    new_path_ = false;
    touch_all();
    return simulate();
}

bool Verifier::simulate() {
    for (;;) {
        if (++processed_ > kMaxInsns)
            return reject(E2BIG, "BPF program is too large. Processed {} insn", processed_);
        bool path_ends = false;
        if (flow_.is(insn_, kPrunePoint)) {
            switch (visit(insn_)) {
            case Visit::failed: return false;
            case Visit::pruned:
                path_ends = true;
                log_safe();
                break;
            case Visit::go_on: break;
            }
        }
        if (!path_ends && flow_.is(insn_, kJumpPoint)) note_history();
        if (!path_ends && !step(path_ends)) return false;
        if (!path_ends) {
            insn_ = next_insn_;
            continue;
        }
        finish_path();
        if (pending_.empty()) return true;
        Pending next = std::move(pending_.back());
        pending_.pop_back();
        start_path(std::move(next));
    }
}

void Verifier::start_path(Pending pending) {
    forget_log(pending.log_size);
    cur_ = std::move(pending.state);
    state_bytes_ -= std::min(state_bytes_, cur_->bytes());
    insn_ = cur_->insn;
    previous_insn_ = pending.from;
    new_path_ = true;
    touch_all();
}

bool Verifier::step(bool& path_ends) {
    const OpcodeInfo& row = info(flow_.ops[insn_]);
    const Insn& insn = insn_at(insn_);
    facts().reached = true;
    next_insn_ = insn_ + 1;
    log_insn();
    previous_insn_ = static_cast<i32>(insn_);
    if (request_.observer) request_.observer(insn_, *cur_);
    cur_->steps.push_back({insn_, cur_->frame_index()});
    bool ok = true;
    switch (row.kind) {
    case OpKind::alu: ok = simulate_alu(row, insn); break;
    case OpKind::endian: ok = check_read(insn.dst) && simulate_endian(row, insn); break;
    case OpKind::ldx: ok = simulate_load(row, insn); break;
    case OpKind::st:
    case OpKind::stx: ok = simulate_store(row, insn); break;
    case OpKind::atomic: ok = simulate_atomic(row, insn); break;
    case OpKind::load_acquire: ok = simulate_ordered(row, insn, false); break;
    case OpKind::store_release: ok = simulate_ordered(row, insn, true); break;
    case OpKind::may_goto:
        ++jumps_;
        ok = simulate_may_goto();
        break;
    case OpKind::jump:
        ++jumps_;
        ok = simulate_jump(row, insn);
        break;
    case OpKind::ja:
        ++jumps_;
        next_insn_ = static_cast<u32>(flow_.targets[insn_]);
        break;
    case OpKind::call:
        ++jumps_;
        ok = simulate_call(insn);
        break;
    case OpKind::exit:
        ++jumps_;
        ok = simulate_exit(path_ends);
        break;
    case OpKind::ld_imm64: ok = simulate_ld_imm64(insn); break;
    case OpKind::ld_abs:
    case OpKind::ld_ind: ok = simulate_legacy_load(row, insn); break;
    case OpKind::lowered: ok = reject(EINVAL, "unknown opcode {:02x}", insn.opcode); break;
    }
    return ok;
}

/// r0 is a number in [min, max], read as 32 bits or as 64.
bool Verifier::check_return_value(const char* where, i64 min, i64 max, bool narrow) {
    const RegState& r0 = reg(R0);
    mark_precise(R0);
    const i64 smin = narrow ? i64{r0.var.narrow.smin} : r0.var.wide.smin;
    const i64 smax = narrow ? i64{r0.var.narrow.smax} : r0.var.wide.smax;
    if (smin >= min && smax <= max) return true;
    std::string has;
    if (r0.var.wide.smin > std::numeric_limits<i64>::min()) has += fmt::format(" smin={}", r0.var.wide.smin);
    if (r0.var.wide.smax < std::numeric_limits<i64>::max()) has += fmt::format(" smax={}", r0.var.wide.smax);
    if (has.empty()) has = " unknown scalar value";
    return reject(EINVAL, "{} the register R0 has{} should have been in [{}, {}]", where, has, min, max);
}

bool Verifier::simulate_exit(bool& path_ends) {
    const bool ends_all = cur_->frames.size() == 1;
    if (!check_nothing_held("BPF_EXIT instruction in main prog", ends_all)) return false;
    if (!ends_all) return leave_function();
    path_ends = true;
    if (frame().in_async_callback) {
        if (!check_read(R0)) return false;
        if (!reg(R0).is_scalar())
            return reject(EINVAL, "At async callback return the register R0 is not a known value ({})",
                          kind_name(reg(R0)));
        return check_return_value("At async callback return", 0, 0, false);
    }
    if (!check_read(R0)) return false;
    if (leaks(reg(R0))) return reject(EACCES, "R0 leaks addr as return value");
    if (frame().function != 0) {
        if (!reg(R0).is_scalar())
            return reject(EINVAL, "At subprogram exit the register R0 is not a scalar value ({})",
                          kind_name(reg(R0)));
        return true;
    }
    const ProgramType& type = *request_.type;
    const bool limited = type.return_min > std::numeric_limits<i32>::min() ||
                         type.return_max < i64{std::numeric_limits<i32>::max()};
    if (!limited) return true;
    if (!reg(R0).is_scalar())
        return reject(EINVAL, "At program exit the register R0 is not a known value ({})",
                      kind_name(reg(R0)));
    return check_return_value("At program exit", type.return_min, type.return_max, true);
}

bool Verifier::simulate_ld_imm64(const Insn& insn) {
    next_insn_ = insn_ + 2;
    const u64 low = static_cast<u32>(insn.imm);
    const u64 high = static_cast<u32>(insn_at(insn_ + 1).imm);
    switch (insn.src) {
    case kImm64: set_reg(insn.dst, RegState::constant(high << 32 | low)); return true;
    case kMapFd:
    case kMapIndex: {
        RegState r = RegState::pointer(RegKind::map_ptr);
        r.map = facts().map;
        set_reg(insn.dst, r);
        return true;
    }
    case kMapValue:
    case kMapIndexValue: {
        RegState r = RegState::pointer(RegKind::map_value);
        r.map = facts().map;
        r.off = static_cast<i32>(facts().value_offset);
        set_reg(insn.dst, r);
        return true;
    }
    case kCodeAddr: {
        RegState r = RegState::pointer(RegKind::func);
        r.uid = flow_.function_of(static_cast<u32>(flow_.targets[insn_]));
        if (request_.functions.empty()) return reject(EINVAL, "missing btf func_info");
        if (r.uid == 0 || is_global(r.uid)) return reject(EINVAL, "callback function not static");
        set_reg(insn.dst, r);
        return true;
    }
    case kVarAddr: return reject(EINVAL, "addresses of kernel variables are not supported");
    default: return reject(EINVAL, "unrecognized bpf_ld_imm64 insn");
    }
}

bool Verifier::simulate_legacy_load(const OpcodeInfo& row, const Insn& insn) {
    if (!request_.type->legacy_loads)
        return reject(EINVAL, "BPF_LD_[ABS|IND] instructions not allowed for this program type");
    if (!check_read(R6)) return false;
    if (!check_nothing_held("BPF_LD_[ABS|IND]", true)) return false;
    const RegState& ctx = reg(R6);
    if (ctx.kind != RegKind::ctx) return reject(EINVAL, "at the time of BPF_LD_ABS|IND R6 != pointer to skb");
    if (row.kind == OpKind::ld_ind && !check_read(insn.src)) return false;
    if (!check_unmodified(R6)) return false;
    // A load out of range ends the function, which returns 0.
    if (cur_->frames.size() > 1 && !leave_abnormally(RegState::constant(0))) return false;
    clear_caller_saved();
    set_reg(R0, RegState::unknown());
    return true;
}

/// Accounts for a state that is kept.
bool Verifier::count_bytes(const State& state) {
    state_bytes_ += state.bytes();
    if (state_bytes_ <= kMaxStateBytes) return true;
    return reject(ENOMEM, "The states of the program take more than {} MB", kMaxStateBytes >> 20);
}

State* Verifier::push_pending(u32 insn, State state) {
    if (pending_.size() >= kMaxPending) {
        reject(E2BIG, "The sequence of {} jumps is too complex.", pending_.size() + 1);
        return nullptr;
    }
    state.insn = insn;
    if (state.parent != nullptr) ++state.parent->branches;
    pending_.push_back(
        {std::make_unique<State>(std::move(state)), log_.text.size(), static_cast<i32>(insn_)});
    return pending_.back().state.get();
}

void Verifier::finish_path() {
    for (State* state = cur_->parent; state != nullptr && --state->branches == 0;) {
        State* parent = state->parent;
        if (!has_loops_) {
            // Everything from here on has been walked: the marks are complete, the way here is not needed.
            state->parent = nullptr;
            state->steps = {};
            state->links = {};
        }
        state = parent;
    }
    if (!loop_ends_.empty()) settle_loops();
}

} // namespace xdplane
