// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
#include "tests/differential/step_predictor.h"

#include <fmt/format.h>

#include "bpf/isa/disassembler.h"
#include "bpf/verifier/describe.h"

namespace xdplane::test {
namespace {

std::string reg_name(u32 reg) { return fmt::format("R{}", reg); }

std::string text_of(const StateText& state, u32 reg) {
    const auto it = state.find(reg_name(reg));
    return it == state.end() ? "" : it->second;
}

bool is_move(Code code) {
    return code == Code::mov || code == Code::movsx8 || code == Code::movsx16 || code == Code::movsx32;
}

} // namespace

std::string StepPredictor::follow(const std::vector<LogStep>& steps) {
    for (std::size_t i = 0; i < steps.size() && difference_.empty(); ++i) {
        if (steps[i].kind == LogStep::Kind::insn)
            follow_insn(steps[i], i + 1 < steps.size() ? &steps[i + 1] : nullptr);
        else
            follow_branch(steps[i]);
    }
    if (difference_.empty() && !pending_.empty())
        differ(pending_.back().insn, "the kernel never took the other way");
    return difference_;
}

void StepPredictor::differ(u32 insn, const std::string& what) {
    DisasmOptions options;
    options.opcode = true;
    difference_ = fmt::format("insn {}: {}\n", insn, disassemble(insns_, insn, options));
    for (const u32 reg : {u32{insns_[insn].dst}, u32{insns_[insn].src}})
        difference_ += fmt::format("before: R{}={}\n", reg, text_of(before_, reg));
    difference_ += what;
}

void StepPredictor::expect(const LogStep& step, u32 reg, const Range& range) {
    std::string kernel = without_id(text_of(step.state, reg));
    if (kernel.empty()) return; // the log ends here
    ++compared_;
    if (kernel.starts_with('P')) kernel.erase(0, 1);
    const std::string ours = describe(RegState::scalar(range), 0);
    if (ours != kernel)
        differ(step.insn, fmt::format("kernel: R{}={}\nours:   R{}={}", reg, kernel, reg, ours));
}

StepPredictor::Operands StepPredictor::operands_of(const Insn& insn, const StateText& state) const {
    Operands out;
    out.dst = read_scalar(text_of(state, insn.dst));
    if (info(decode(insn)).operand == Operand::reg)
        out.src = read_scalar(text_of(state, insn.src));
    else
        out.src = ScalarText{Range::constant(static_cast<u64>(i64{insn.imm}))};
    return out;
}

std::optional<Range> StepPredictor::predict(const Insn& insn) const {
    const Op op = decode(insn);
    if (op == Op::invalid) return std::nullopt;
    const OpcodeInfo& row = info(op);
    const Operands in = operands_of(insn, before_);
    switch (row.kind) {
    case OpKind::alu:
        if (!in.src || (!in.dst && !is_move(row.code))) return std::nullopt;
        return range_alu(row.code, row.width, in.dst ? in.dst->range : Range(), in.src->range);
    case OpKind::endian:
        if (!in.dst) return std::nullopt;
        return range_swap(row.code, row.width, in.dst->range);
    case OpKind::ldx:
        return row.code == Code::none ? Range::of_width(row.width) : range_sign_extend(Range(), row.width);
    default: return std::nullopt;
    }
}

void StepPredictor::follow_insn(const LogStep& step, const LogStep* next) {
    const Insn& insn = insns_[step.insn];
    const Op op = decode(insn);
    if (op != Op::invalid && info(op).kind == OpKind::jump) {
        follow_jump(step, next);
    } else {
        follow_fork(step);
        if (const auto range = predict(insn)) expect(step, insn.dst, *range);
    }
    for (const auto& [name, text] : step.state) before_[name] = text;
}

/// One number becomes two paths.
void StepPredictor::follow_fork(const LogStep& step) {
    const Insn& insn = insns_[step.insn];
    const Op op = decode(insn);
    if (op == Op::invalid || info(op).kind != OpKind::alu) return;
    const Operands in = operands_of(insn, before_);
    if (!in.dst || !in.src) {
        unsure_.push_back(step.insn);
        return;
    }
    const auto fork = range_fork(info(op).code, in.dst->range, in.src->range);
    if (!fork) return;
    before_[reg_name(insn.dst)] = describe(RegState::scalar(fork->zero), 0);
    pending_.push_back({step.insn, before_});
    before_[reg_name(insn.dst)] = describe(RegState::scalar(fork->minus_one), 0);
}

void StepPredictor::follow_jump(const LogStep& step, const LogStep* next) {
    const Insn& insn = insns_[step.insn];
    const OpcodeInfo& row = info(decode(insn));
    const Operands in = operands_of(insn, before_);
    if (!in.dst || !in.src) {
        unsure_.push_back(step.insn);
        forget_all_linked(); // which are linked to these is not known either: constants are printed without
                             // id
        return;
    }
    ++compared_;
    const auto outcome = range_outcome(row.code, row.width, in.dst->range, in.src->range);
    if (!outcome) {
        pending_.push_back({step.insn, before_});
        compare_refined(step, false, before_);
        return;
    }
    const u32 to = step.insn + 1 + (*outcome ? static_cast<u32>(insn.off) : 0);
    if (next != nullptr && next->kind == LogStep::Kind::insn && next->insn != to)
        differ(step.insn, fmt::format("the kernel goes to {}, ours to {}", next->insn, to));
}

void StepPredictor::compare_refined(const LogStep& step, bool outcome, const StateText& before) {
    const Insn& insn = insns_[step.insn];
    const OpcodeInfo& row = info(decode(insn));
    Operands in = operands_of(insn, before);
    if (!in.dst || !in.src) return;
    const bool with_reg = row.operand == Operand::reg;
    const bool same = with_reg && insn.dst == insn.src;
    const bool linked = with_reg && !same && in.dst->id != 0 && in.dst->id == in.src->id;
    Range& other = same ? in.dst->range : in.src->range;
    if (!range_refine(row.code, outcome, row.width, in.dst->range, other)) return;
    if (!linked) {
        expect(step, insn.dst, in.dst->range);
        if (with_reg && !same) expect(step, insn.src, other);
    }
    forget_linked(in.dst->id);
    forget_linked(in.src->id);
}

/// The kernel narrows these too, and does not print them.
void StepPredictor::forget_linked(u32 id) {
    if (id == 0) return;
    for (auto& [name, text] : before_)
        if (const auto scalar = read_scalar(text); scalar && scalar->id == id) text.clear();
}

void StepPredictor::forget_all_linked() {
    for (auto& [name, text] : before_)
        if (const auto scalar = read_scalar(text); scalar && scalar->id != 0) text.clear();
}

void StepPredictor::follow_branch(const LogStep& step) {
    if (!started_) {
        started_ = true;
        before_ = step.state;
        return;
    }
    if (step.kind == LogStep::Kind::safe && !step.pending) return; // the path ends
    // What the kernel did not go both ways at is above what it takes up now.
    const auto later = [&] { return pending_.empty() || unsure_.back() > pending_.back().insn; };
    while (!unsure_.empty() && unsure_.back() != step.insn && later()) unsure_.pop_back();
    if (!unsure_.empty() && unsure_.back() == step.insn) {
        unsure_.pop_back();
    } else if (pending_.empty() || pending_.back().insn != step.insn) {
        differ(step.insn, "the kernel sees two ways here, ours one");
    } else {
        before_ = std::move(pending_.back().before);
        pending_.pop_back();
        const u32 dst = insns_[step.insn].dst;
        if (step.kind == LogStep::Kind::branch && step.insn != step.to)
            compare_refined(step, true, StateText(before_));
        else if (const auto zero = read_scalar(text_of(before_, dst)); zero && step.insn == step.to)
            expect(step, dst, zero->range);
    }
    before_ = step.state;
}

} // namespace xdplane::test
