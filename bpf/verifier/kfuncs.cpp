// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
#include <cerrno>

#include "bpf/btf/vmlinux.h"
#include "bpf/helpers/kfunc_table.h"
#include "bpf/verifier/simulation.h"

/// Kernel functions: named by an id in the running kernel's BTF, known here by rows like those of helpers.
namespace xdplane {
namespace {

const HelperProto* known_kfunc(const Insn& insn) {
    const auto& kernel = kernel_functions();
    return kernel ? find_kfunc(kernel->name(static_cast<u32>(insn.imm))) : nullptr;
}

u8 count_arguments(const HelperProto& helper) {
    u8 count = 0;
    while (count < helper.args.size() && helper.args[count] != Arg::none) ++count;
    return count;
}

} // namespace

CallTraits call_traits(const Insn& insn) {
    const HelperProto* row = insn.src == kCallHelper  ? find_helper(static_cast<u32>(insn.imm))
                             : insn.src == kCallKfunc ? known_kfunc(insn)
                                                      : nullptr;
    CallTraits traits;
    if (row == nullptr) return traits;
    traits.calls_later = row->callback == Callback::timer;
    traits.calls_back = row->callback != Callback::none && !traits.calls_later;
    traits.iterates = row->iterator == IteratorUse::next;
    traits.moves_packet = row->moves_packet;
    traits.tail_calls = !row->is_kfunc && row->id == BPF_FUNC_tail_call;
    traits.arguments = count_arguments(*row);
    return traits;
}

bool Verifier::is_may_goto(u32 insn) const { return flow_.ops[insn] == Op::may_goto; }

bool Verifier::call_kfunc(const Insn& insn) {
    if (!request_.gpl_compatible)
        return reject(EINVAL, "cannot call kernel function from non-GPL compatible program");
    if (!privileged())
        return reject(EPERM, "loading/calling other bpf or kernel functions are allowed for CAP_BPF and "
                             "CAP_SYS_ADMIN");
    const auto& kernel = kernel_functions();
    if (!kernel)
        return reject(EINVAL, "kernel btf_id {} is not a function: {}", insn.imm, kernel.error().message);
    const std::string_view name = kernel->name(static_cast<u32>(insn.imm));
    if (name.empty()) return reject(EINVAL, "kernel btf_id {} is not a function", insn.imm);
    const HelperProto* row = find_kfunc(name);
    if (row == nullptr) return reject(EINVAL, "calling kernel function {} is not supported", name);
    if ((row->use & request_.type->use_bit) == 0)
        return reject(EACCES, "calling kernel function {} is not allowed", name);
    if (name.starts_with("bpf_xdp_metadata_rx_"))
        return reject(EINVAL, "metadata kfuncs require device-bound program");
    if (cur_->locks > 0 && row->iterator == IteratorUse::none)
        return reject(EINVAL, "function calls are not allowed while holding a lock");
    return call_prototype(*row);
}

/// Sections that kernel functions open and close.
bool Verifier::check_section(const HelperProto& helper) {
    switch (helper.section) {
    case Section::none: return true;
    case Section::rcu_begin:
        if (cur_->rcu_locks > 0)
            return reject(EINVAL, "nested rcu read lock (kernel function {})", helper.name);
        ++cur_->rcu_locks;
        return true;
    case Section::rcu_end:
        if (cur_->rcu_locks == 0)
            return reject(EINVAL, "unmatched rcu read unlock (kernel function {})", helper.name);
        --cur_->rcu_locks;
        return true;
    case Section::preempt_off: ++cur_->preempt_off; return true;
    case Section::preempt_on:
        if (cur_->preempt_off == 0)
            return reject(EINVAL, "unmatched attempt to enable preemption (kernel function {})", helper.name);
        --cur_->preempt_off;
        return true;
    }
    return true;
}

} // namespace xdplane
