// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
#include <algorithm>
#include <cerrno>

#include "bpf/verifier/simulation.h"

/// What a program has to give back on every path: references to objects, and locks.
namespace xdplane {

u32 Verifier::acquire(Reference::Kind kind, const void* of) {
    const u32 id = new_id();
    cur_->refs.push_back({kind, id, insn_, of});
    return id;
}

/// No register or slot stands for the reference any more; what was sliced from it neither.
void Verifier::forget_reference(State& state, u32 ref, bool keep_reference) {
    if (!keep_reference) std::erase_if(state.refs, [&](const Reference& r) { return r.id == ref; });
    for_each_reg(state, [&](RegState& r) {
        if (r.ref != ref) return;
        r = privileged() ? RegState::unknown() : RegState{};
    });
}

bool Verifier::release_object(u32 number) {
    const RegState& r = reg(number);
    if (r.is_null()) return true; // null: nothing was got, nothing is given back
    const u32 ref = r.ref;
    const auto found = std::ranges::find_if(cur_->refs, [&](const Reference& held) {
        return held.kind == Reference::Kind::object && held.id == ref;
    });
    if (found == cur_->refs.end()) return reject(EINVAL, "reference has not been acquired before");
    forget_reference(*cur_, ref);
    return true;
}

/// `what` leaves the function. References are the main frame's to give back; locks those of whoever `locks`
/// asks.
bool Verifier::check_nothing_held(const char* what, bool locks) {
    if (locks && cur_->locks > 0)
        return reject(EINVAL, "{} cannot be used inside bpf_spin_lock-ed region", what);
    bool leaked = false;
    for (const Reference& r : cur_->refs) {
        if (r.kind != Reference::Kind::object || cur_->frames.size() > 1) continue;
        explain("Unreleased reference id={} alloc_insn={}", r.id, r.insn);
        leaked = true;
    }
    if (leaked) return reject(EINVAL, "{} would lead to reference leak", what);
    if (locks && cur_->rcu_locks > 0)
        return reject(EINVAL, "{} cannot be used inside bpf_rcu_read_lock-ed region", what);
    if (locks && cur_->preempt_off > 0)
        return reject(EINVAL, "{} cannot be used inside bpf_preempt_disable-ed region", what);
    return true;
}

/// bpf_spin_lock and bpf_spin_unlock: one lock at a time, of one place of one map.
bool Verifier::lock_argument(u32 number, bool lock) {
    const RegState& r = reg(number);
    if (!r.var.is_const())
        return reject(EINVAL,
                      "R{} doesn't have constant offset. bpf_spin_lock has to be at the constant offset",
                      number);
    const MapSpec& spec = r.map->spec();
    if (!spec.btf) return reject(EINVAL, "map '{}' has to have BTF in order to use bpf_spin_lock", spec.name);
    if (spec.record.spin_lock < 0) return reject(EINVAL, "map '{}' has no valid bpf_spin_lock", spec.name);
    const i64 off = r.off + static_cast<i64>(r.var.value());
    if (off != spec.record.spin_lock)
        return reject(EINVAL, "off {} doesn't point to 'struct bpf_spin_lock' that is at {}", off,
                      spec.record.spin_lock);
    if (lock) {
        if (cur_->locks > 0) return reject(EINVAL, "Locking two bpf_spin_locks are not allowed");
        cur_->refs.push_back({Reference::Kind::lock, r.id, insn_, r.map});
        ++cur_->locks;
        return true;
    }
    if (cur_->locks == 0) return reject(EINVAL, "bpf_spin_unlock without taking a lock");
    const auto held = std::ranges::find_if(
        cur_->refs, [](const Reference& ref) { return ref.kind == Reference::Kind::lock; });
    if (held == cur_->refs.end() || held->id != r.id || held->of != r.map)
        return reject(EINVAL, "bpf_spin_unlock of different lock");
    cur_->refs.erase(held);
    --cur_->locks;
    return true;
}

bool Verifier::timer_argument(u32 number, CallArguments& args) {
    const RegState& r = reg(number);
    if (!r.var.is_const())
        return reject(EINVAL, "R{} doesn't have constant offset. bpf_timer has to be at the constant offset",
                      number);
    const MapSpec& spec = r.map->spec();
    if (!spec.btf) return reject(EINVAL, "map '{}' has to have BTF in order to use bpf_timer", spec.name);
    if (spec.record.timer < 0) return reject(EINVAL, "map '{}' has no valid bpf_timer", spec.name);
    const i64 off = r.off + static_cast<i64>(r.var.value());
    if (off != spec.record.timer)
        return reject(EINVAL, "off {} doesn't point to 'struct bpf_timer' that is at {}", off,
                      spec.record.timer);
    args.map = r.map;
    args.inner_map = r.inner;
    args.map_uid = r.uid;
    args.timer = true;
    return true;
}

} // namespace xdplane
