// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
#include "bpf/verifier/verifier.h"

#include <algorithm>
#include <cerrno>
#include <linux/bpf.h>

#include "bpf/maps/prog_array.h"
#include "bpf/verifier/simulation.h"

namespace xdplane {
namespace {

/// Linux: a program that may tail-call needs room below for its callers.
constexpr u32 kTailCallStack = 256;

u32 round_up(u32 value, u32 to) { return (value + to - 1) / to * to; }

} // namespace

bool Verifier::check_request() {
    if (request_.type == nullptr || !request_.type->loadable)
        return reject(EINVAL, "unsupported program type");
    if (!request_.privileged) return reject(EPERM, "programs of unprivileged users are not supported yet");
    if (request_.insns.empty() || request_.insns.size() > kMaxInsns)
        return reject(E2BIG, "a program has 1 to {} insns, not {}", kMaxInsns, request_.insns.size());
    return true;
}

bool Verifier::resolve_map(u32 i) {
    const Insn& insn = insn_at(i);
    const bool by_index = insn.src == kMapIndex || insn.src == kMapIndexValue;
    const auto& resolve = by_index ? request_.map_by_index : request_.map_by_fd;
    if (!resolve)
        return reject(by_index ? EPROTO : EBADF, "fd {} is not pointing to valid bpf_map", insn.imm);
    auto map = resolve(insn.imm);
    if (!map) return reject(map.error().code, "fd {} is not pointing to valid bpf_map", insn.imm);
    InsnFacts& f = facts_[i];
    f.map = map->get();
    if (std::find(maps_.begin(), maps_.end(), *map) == maps_.end()) maps_.push_back(std::move(*map));
    if (insn.src != kMapValue && insn.src != kMapIndexValue) return true;
    f.value_offset = static_cast<u32>(insn_at(i + 1).imm);
    if (f.map->ops().direct_value == nullptr || f.map->ops().direct_value(*f.map) == nullptr)
        return reject(EINVAL, "no direct value access support for this map type");
    if (f.value_offset >= f.map->spec().value_size || f.value_offset >= 1U << 29)
        return reject(EINVAL, "invalid access to map value pointer, value_size={} off={}",
                      f.map->spec().value_size, f.value_offset);
    return true;
}

bool Verifier::resolve_maps() {
    facts_.resize(request_.insns.size());
    helper_seen_.resize(request_.insns.size());
    for (u32 i = 0; i < facts_.size(); ++i) {
        InsnFacts& f = facts_[i];
        f.op = flow_.ops[i];
        f.target = flow_.targets[i];
        f.always_taken = f.never_taken = f.op != Op::invalid && info(f.op).kind == OpKind::jump;
        if (f.op != Op::ld_imm64) continue;
        const u8 kind = insn_at(i).src;
        const bool is_map =
            kind == kMapFd || kind == kMapValue || kind == kMapIndex || kind == kMapIndexValue;
        if (is_map && !resolve_map(i)) return false;
    }
    return true;
}

/// Frames and stack of the deepest chain of calls; recursion.
bool Verifier::check_call_graph() {
    const u32 count = static_cast<u32>(functions_.size());
    for (u32 i = 0; i < facts_.size(); ++i) {
        if (facts_[i].op != Op::call || insn_at(i).src != kCallLocal) continue;
        auto& callees = functions_[flow_.function_of(i)].callees;
        const u32 callee = flow_.function_of(static_cast<u32>(facts_[i].target));
        if (std::find(callees.begin(), callees.end(), callee) == callees.end()) callees.push_back(callee);
    }
    const auto own_stack = [&](u32 f) {
        return request_.jit ? round_up(functions_[f].stack_depth, 16)
                            : round_up(std::max(functions_[f].stack_depth, 1U), 32);
    };
    // Longest chains from the main program, frame by frame: kMaxCallFrames rounds reach everything legal.
    std::vector<u32> above(count, 0); // stack of the callers
    std::vector<u8> at_level(count, 0);
    at_level[0] = 1;
    for (u32 level = 1;; ++level) {
        std::vector<u8> next(count, 0);
        bool more = false;
        for (u32 f = 0; f < count; ++f) {
            if (at_level[f] == 0) continue;
            for (const u32 callee : functions_[f].callees) {
                next[callee] = 1;
                more = true;
                above[callee] = std::max(above[callee], above[f] + own_stack(f));
            }
        }
        if (!more) break;
        if (level >= kMaxCallFrames)
            return reject(E2BIG, "the call stack of {} frames is too deep !", level + 1);
        at_level = std::move(next);
    }
    for (u32 f = 0; f < count; ++f) {
        if (above[f] + own_stack(f) > kStackSize)
            return reject(EACCES, "combined stack size of calls is {}. Too large", above[f] + own_stack(f));
        if (f != 0 && functions_[f].tail_calls && above[f] >= kTailCallStack)
            return reject(
                EACCES,
                "tail_calls are not allowed when call stack of previous frames is {} bytes. Too large",
                above[f]);
    }
    return true;
}

/// A prog array's programs are all of one kind; the first one that uses it says which.
bool Verifier::check_prog_arrays() {
    for (const auto& map : maps_) {
        auto* array = dynamic_cast<ProgArray*>(map.get());
        if (array != nullptr && !array->compatible({request_.type->type, request_.jit}))
            return reject(EINVAL, "prog array {} holds programs of another type or engine", map->spec().name);
    }
    return true;
}

VerifiedProgram Verifier::finish() {
    VerifiedProgram program;
    program.type_ = request_.type;
    for (u32 i = 0; i < facts_.size(); ++i) {
        InsnFacts& f = facts_[i];
        if (!f.reached) f.always_taken = f.never_taken = false;
        if (i > 0 && facts_[i - 1].op == Op::ld_imm64 && f.op == Op::invalid)
            f.reached = facts_[i - 1].reached;
    }
    for (u32 i = 0; i < functions_.size(); ++i) {
        FunctionFacts f;
        f.begin = flow_.functions[i].begin;
        f.end = flow_.functions[i].end;
        f.stack_depth = functions_[i].stack_depth;
        f.tail_calls = functions_[i].tail_calls;
        program.tail_calls_ |= f.tail_calls;
        program.functions_.push_back(f);
    }
    program.insns_ = std::move(request_.insns);
    program.facts_ = std::move(facts_);
    program.maps_ = std::move(maps_);
    program.writes_packet_ = writes_packet_;
    program.insns_processed_ = processed_;
    return program;
}

Result<VerifiedProgram> Verifier::run() {
    if (!check_request()) return fail(error_);
    auto flow = analyse_control_flow(request_.insns);
    if (!flow) {
        reject_with(flow.error().code, flow.error().message);
        return fail(error_);
    }
    flow_ = std::move(*flow);
    functions_.resize(flow_.functions.size());
    if (!resolve_maps()) return fail(error_);
    const bool safe = simulate() && check_call_graph() && check_prog_arrays();
    log_stats();
    if (!safe) return fail(error_);
    return finish();
}

Result<VerifiedProgram> verify(VerifyRequest request, VerifierLog& log) {
    return Verifier(std::move(request), log).run();
}

} // namespace xdplane
