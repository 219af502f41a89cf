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

/// Linux keeps one cgroup storage, and one per CPU, for a program.
bool is_second_storage(const std::vector<std::shared_ptr<Map>>& maps, const Map& map) {
    const u32 type = map.spec().type;
    if (type != BPF_MAP_TYPE_CGROUP_STORAGE && type != BPF_MAP_TYPE_PERCPU_CGROUP_STORAGE) return false;
    return std::ranges::any_of(maps, [&](const auto& other) { return other->spec().type == type; });
}

} // namespace

bool Verifier::check_request() {
    if (request_.type == nullptr || !request_.type->loadable)
        return reject(EINVAL, "unsupported program type");
    const u32 type = request_.type->type;
    if (!privileged() && type != BPF_PROG_TYPE_SOCKET_FILTER && type != BPF_PROG_TYPE_CGROUP_SKB)
        return reject(EPERM, "programs of this type are for the privileged");
    const u32 limit = privileged() ? kMaxInsns : kMaxInsnsUnprivileged;
    if (request_.insns.empty() || request_.insns.size() > limit)
        return reject(E2BIG, "a program has 1 to {} insns, not {}", limit, request_.insns.size());
    return true;
}

/// Function information, if there is any, has a record for each function.
bool Verifier::check_function_info() {
    const auto& info = request_.functions;
    if (info.empty()) return true;
    if (info.size() != flow_.functions.size())
        return reject(EINVAL, "number of funcs in func_info doesn't match number of subprogs");
    for (std::size_t f = 0; f < info.size(); ++f)
        if (info[f].insn_off != flow_.functions[f].begin)
            return reject(EINVAL, "func_info BTF section doesn't match subprog layout in BPF program");
    return true;
}

/// A tail call and a failing legacy load return a number from the function that they are in.
bool Verifier::check_abnormal_returns() {
    for (u32 f = 1; f < flow_.functions.size(); ++f) {
        const Subprogram& function = flow_.functions[f];
        const bool known = !request_.functions.empty();
        if (known && returns_scalar(f)) continue;
        const char* why =
            known ? "only allowed in functions that return 'int'." : "not allowed in subprogs without BTF";
        if (function.legacy_loads) return reject(EINVAL, "LD_ABS is {}", why);
        if (function.tail_calls) return reject(EINVAL, "tail_call is {}", why);
    }
    return true;
}

/// What only the privileged may do with functions.
bool Verifier::check_functions_allowed() {
    if (privileged()) return true;
    for (const Insn& insn : request_.insns) {
        const bool calls = insn.opcode == 0x85 && (insn.src == kCallLocal || insn.src == kCallKfunc);
        const bool refers = insn.opcode == 0x18 && insn.src == kCodeAddr;
        if (calls || refers)
            return reject(EPERM, "loading/calling other bpf or kernel functions are allowed for CAP_BPF and "
                                 "CAP_SYS_ADMIN");
    }
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
    if (std::find(maps_.begin(), maps_.end(), *map) == maps_.end()) {
        if (is_second_storage(maps_, **map))
            return reject(EBUSY, "only one cgroup storage of each type is allowed");
        maps_.push_back(std::move(*map));
    }
    if (f.map->spec().record.spin_lock >= 0 && request_.type->type == BPF_PROG_TYPE_SOCKET_FILTER)
        return reject(EINVAL, "socket filter progs cannot use bpf_spin_lock yet");
    if (insn.src != kMapValue && insn.src != kMapIndexValue) return true;
    f.value_offset = static_cast<u32>(insn_at(i + 1).imm);
    if (f.map->ops().direct_value == nullptr)
        return reject(EINVAL, "no direct value access support for this map type");
    const bool there = f.map->ops().direct_value(*f.map) != nullptr; // arrays of one entry
    if (!there || f.value_offset >= f.map->spec().value_size || f.value_offset >= 1U << 29)
        return reject(EINVAL, "invalid access to map value pointer, value_size={} off={}",
                      f.map->spec().value_size, f.value_offset);
    return true;
}

bool Verifier::resolve_maps() {
    facts_.resize(request_.insns.size());
    seen_.resize(request_.insns.size());
    other_callback_.resize(request_.insns.size());
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

/// Frames and stack of the deepest chain of calls from the main program and from each callback that is called
/// later, on a stack of its own; recursion.
bool Verifier::check_call_graph() {
    for (u32 i = 0; i < facts_.size(); ++i) {
        const bool calls = facts_[i].op == Op::call && insn_at(i).src == kCallLocal;
        const bool refers = facts_[i].op == Op::ld_imm64 && insn_at(i).src == kCodeAddr;
        if (!calls && !refers) continue;
        const u32 callee = flow_.function_of(static_cast<u32>(facts_[i].target));
        if (refers && functions_[callee].is_async_callback) continue;
        auto& callees = functions_[flow_.function_of(i)].callees;
        if (std::ranges::find(callees, callee) == callees.end()) callees.push_back(callee);
    }
    if (!check_call_graph_from(0)) return false;
    for (u32 f = 1; f < functions_.size(); ++f)
        if (functions_[f].is_async_callback && !check_call_graph_from(f)) return false;
    return true;
}

bool Verifier::check_call_graph_from(u32 root) {
    const u32 count = static_cast<u32>(functions_.size());
    const auto own_stack = [&](u32 f) {
        return request_.jit ? round_up(functions_[f].stack_depth, 16)
                            : round_up(std::max(functions_[f].stack_depth, 1U), 32);
    };
    // Longest chains, frame by frame: kMaxCallFrames rounds reach everything legal.
    std::vector<u32> above(count, 0); // stack of the callers
    std::vector<u8> at_level(count, 0);
    at_level[root] = 1;
    for (u32 level = 1;; ++level) {
        std::vector<u8> next(count, 0);
        std::vector<u32> next_above(count, 0);
        bool more = false;
        for (u32 f = 0; f < count; ++f) {
            if (at_level[f] == 0) continue;
            if (f != root && functions_[f].tail_calls && above[f] >= kTailCallStack)
                return reject(
                    EACCES,
                    "tail_calls are not allowed when call stack of previous frames is {} bytes. Too large",
                    above[f]);
            const u32 depth = above[f] + own_stack(f);
            if (depth > kStackSize)
                return reject(EACCES, "combined stack size of {} calls is {}. Too large", level, depth);
            for (const u32 callee : functions_[f].callees) {
                next[callee] = 1;
                more = true;
                next_above[callee] = std::max(next_above[callee], depth);
            }
        }
        if (!more) return true;
        if (level >= kMaxCallFrames) return reject(E2BIG, "the call stack of {} frames is too deep !", level);
        at_level = std::move(next);
        above = std::move(next_above);
    }
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
        f.is_callback = functions_[i].is_callback;
        f.is_global = is_global(i);
        f.reads_uninit_stack = functions_[i].reads_uninit_stack;
        program.tail_calls_ |= f.tail_calls;
        program.functions_.push_back(f);
    }
    program.values_ = find_values(request_.insns, facts_, program.functions_);
    program.insns_ = std::move(request_.insns);
    program.facts_ = std::move(facts_);
    program.maps_ = std::move(maps_);
    program.writes_packet_ = writes_packet_;
    program.written_ = std::move(written_);
    program.insns_processed_ = processed_;
    return program;
}

bool VerifiedProgram::writes_map(const Map& map) const {
    return std::ranges::any_of(written_, [&](const Map* known) { return known == nullptr || known == &map; });
}

Result<VerifiedProgram> Verifier::run() {
    if (check_request()) {
        start_clock();
        const bool safe = run_passes();
        log_stats();
        if (safe) return finish();
    }
    explain_error();
    return fail(error_);
}

void Verifier::explain_error() {
    log_.explanation = explain_rejection({.message = log_.reason,
                                          .insns = request_.insns,
                                          .flow = flow_,
                                          .facts = facts_,
                                          .btf = request_.btf.get(),
                                          .lines = request_.lines,
                                          .state = cur_.get(),
                                          .insn = insn_,
                                          .simulated = cur_ != nullptr && !simulated_});
}

bool Verifier::run_passes() {
    if (!check_functions_allowed()) return false;
    log_functions();
    auto flow = analyse_control_flow(request_.insns, {.loops = privileged(), .traits = call_traits});
    if (!flow) return reject_with(flow.error().code, flow.error().message);
    flow_ = std::move(*flow);
    functions_.resize(flow_.functions.size());
    if (!check_function_info() || !check_abnormal_returns() || !resolve_maps()) return false;
    log_live_registers();
    if (!simulate_all()) return false;
    simulated_ = true;
    return check_call_graph() && check_prog_arrays();
}

Result<VerifiedProgram> verify(VerifyRequest request, VerifierLog& log) {
    return Verifier(std::move(request), log).run();
}

} // namespace xdplane
