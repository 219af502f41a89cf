// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
#include "bpf/verifier/simulation.h"

#include <cerrno>
#include <linux/bpf.h>

namespace xdplane {
namespace {

/// Branches that may wait at once (Linux's BPF_COMPLEXITY_LIMIT_JMP_SEQ).
constexpr std::size_t kMaxPending = 8192;

} // namespace

Verifier::~Verifier() = default;

bool Verifier::check_read(u32 index) {
    if (reg(index).kind == RegKind::not_init) return reject(EACCES, "R{} !read_ok", index);
    return true;
}

bool Verifier::simulate() {
    checkpoints_.resize(request_.insns.size());
    cur_ = std::make_unique<State>();
    cur_->frames.emplace_back();
    reg(R1) = RegState::pointer(RegKind::ctx);
    reg(R10) = RegState::pointer(RegKind::stack);
    for (insn_ = 0;;) {
        if (++processed_ > kMaxInsns)
            return reject(E2BIG, "BPF program is too large. Processed {} insn", processed_);
        bool path_ends = false;
        if (flow_.prune_points[insn_] != 0) {
            switch (visit(insn_)) {
            case Visit::failed: return false;
            case Visit::pruned: path_ends = true; break;
            case Visit::go_on: break;
            }
        }
        if (!path_ends && !step(path_ends)) return false;
        if (!path_ends) {
            insn_ = next_insn_;
            continue;
        }
        finish_path();
        if (pending_.empty()) return true;
        if (log_.level == kLogBasic) log_.text.resize(pending_.back().log_size);
        cur_ = std::move(pending_.back().state);
        pending_.pop_back();
        insn_ = cur_->insn;
        if (log_.level >= kLogBasic && log_.level != kLogStats)
            log_.text +=
                fmt::format("\nfrom {} to {}: ", cur_->steps.empty() ? 0 : cur_->steps.back().insn, insn_);
        log_all_registers();
    }
}

bool Verifier::step(bool& path_ends) {
    const OpcodeInfo& row = info(flow_.ops[insn_]);
    const Insn& insn = insn_at(insn_);
    facts().reached = true;
    next_insn_ = insn_ + 1;
    touched_ = 0;
    log_insn();
    cur_->steps.push_back({insn_, cur_->depth()});
    bool ok = true;
    switch (row.kind) {
    case OpKind::alu: ok = simulate_alu(row, insn); break;
    case OpKind::endian:
        ok = check_read(insn.dst);
        if (ok) simulate_endian(row, insn);
        break;
    case OpKind::ldx: ok = simulate_load(row, insn); break;
    case OpKind::st:
    case OpKind::stx: ok = simulate_store(row, insn); break;
    case OpKind::atomic: ok = simulate_atomic(row, insn); break;
    case OpKind::jump: ok = simulate_jump(row, insn); break;
    case OpKind::ja:
        ++jumps_;
        next_insn_ = static_cast<u32>(flow_.targets[insn_]);
        break;
    case OpKind::call:
        ++jumps_;
        ok = simulate_call(insn);
        break;
    case OpKind::exit: ok = simulate_exit(path_ends); break;
    case OpKind::ld_imm64: ok = simulate_ld_imm64(insn); break;
    case OpKind::ld_abs:
    case OpKind::ld_ind: ok = simulate_legacy_load(row, insn); break;
    case OpKind::lowered: ok = reject(EINVAL, "unknown opcode {:02x}", insn.opcode); break;
    }
    if (ok) log_state();
    return ok;
}

bool Verifier::simulate_exit(bool& path_ends) {
    if (cur_->depth() > 0) {
        const RegState result = reg(R0);
        if (result.kind == RegKind::stack) return reject(EINVAL, "cannot return stack pointer to the caller");
        next_insn_ = static_cast<u32>(frame().call_site) + 1;
        cur_->frames.pop_back();
        set_reg(R0, result);
        return true;
    }
    if (!check_read(R0)) return false;
    const ProgramType& type = *request_.type;
    const bool limited = type.return_min > std::numeric_limits<i32>::min() ||
                         type.return_max < i64{std::numeric_limits<i32>::max()};
    if (limited) {
        if (!reg(R0).is_scalar())
            return reject(EINVAL, "At program exit the register R0 is not a known value ({})",
                          kind_name(reg(R0)));
        // The caller takes 32 bits of r0.
        const Bounds<u32>& r0 = reg(R0).var.narrow;
        if (r0.smin < type.return_min || r0.smax > type.return_max)
            return reject(EINVAL,
                          "At program exit the register R0 has smin={} smax={} should have been in [{}, {}]",
                          r0.smin, r0.smax, type.return_min, type.return_max);
        mark_precise(R0);
    }
    path_ends = true;
    return true;
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
    case kVarAddr: return reject(EINVAL, "addresses of kernel variables are not supported");
    case kCodeAddr: return reject(EINVAL, "addresses of functions (callbacks) are not supported yet");
    default: return reject(EINVAL, "unrecognized bpf_ld_imm64 insn");
    }
}

bool Verifier::simulate_legacy_load(const OpcodeInfo& row, const Insn& insn) {
    if (!request_.type->legacy_loads)
        return reject(EINVAL, "BPF_LD_[ABS|IND] instructions not allowed for this program type");
    // A load out of range ends the whole program, which only the main program's frame can do.
    if (cur_->depth() > 0) return reject(EINVAL, "BPF_LD_[ABS|IND] is not supported in sub-programs");
    if (!check_read(R6)) return false;
    const RegState& ctx = reg(R6);
    if (ctx.kind != RegKind::ctx || ctx.off != 0 || !ctx.var.is_const() || ctx.var.value() != 0)
        return reject(EINVAL, "at the time of BPF_LD_ABS|IND R6 != pointer to skb");
    if (row.kind == OpKind::ld_ind && !check_read(insn.src)) return false;
    for (u32 r = R0; r <= R5; ++r) set_reg(r, RegState{});
    set_reg(R0, RegState::scalar(Range::unknown()));
    return true;
}

bool Verifier::push_pending(u32 insn, State state) {
    if (pending_.size() >= kMaxPending)
        return reject(E2BIG, "The sequence of {} jumps is too complex.", pending_.size() + 1);
    state.insn = insn;
    if (state.parent != nullptr) ++state.parent->branches;
    pending_.push_back({std::make_unique<State>(std::move(state)), log_.text.size()});
    return true;
}

void Verifier::finish_path() {
    for (State* state = cur_->parent; state != nullptr && --state->branches == 0;) {
        // Everything from here on has been walked: the marks are complete, the way here is not needed.
        State* parent = state->parent;
        state->parent = nullptr;
        state->steps = {};
        state->links = {};
        state = parent;
    }
}

} // namespace xdplane
