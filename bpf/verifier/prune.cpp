// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
#include <algorithm>
#include <cerrno>
#include <linux/bpf.h>

#include "bpf/verifier/backtrack.h"
#include "bpf/verifier/simulation.h"

/// Not walking twice what is safe already. The thresholds are Linux's (is_state_visited), so that state
/// counts are alike.
///
/// A checkpoint's marks say what the paths from it relied on, and are complete when all of them are finished.
/// Loops through callbacks and iterators end where a path comes back to a checkpoint on its own way with a
/// state that it covers: marks are missing then, so such checkpoints compare every number, and when the
/// loop's outermost checkpoint is finished, marks go round its loop ends until nothing changes
/// (settle_loops).
namespace xdplane {
namespace {

/// A state is kept at a prune point after so many jumps and insns; in a loop later.
constexpr u64 kJumpsBetween = 2;
constexpr u64 kInsnsBetween = 8;
constexpr u64 kJumpsInLoop = 20;
constexpr u64 kInsnsInLoop = 100;
constexpr u32 kLongHistory = 40;
constexpr std::size_t kMaxStatesUnprivileged = 64; // BPF_COMPLEXITY_LIMIT_STATES

} // namespace

/// Returns whether a mark was new.
bool Verifier::mark_stack_read(State& path, u32 frame, u32 slot) {
    const u64 bit = u64{1} << slot;
    bool changed = false;
    for (State* state = &path; state->parent != nullptr; state = state->parent) {
        State& parent = *state->parent;
        if (frame >= state->frames.size()) return changed;
        if ((state->frames[frame].slots_written & bit) != 0) return changed; // what was there does not matter
        if (frame >= parent.frames.size()) return changed;
        u64& read = parent.frames[frame].slots_read;
        if ((read & bit) != 0) return changed; // and so it is further up
        read |= bit;
        changed = true;
    }
    return changed;
}

void Verifier::mark_stack_read(u32 frame, u32 slot) { (void)mark_stack_read(*cur_, frame, slot); }

/// The path goes on as `old` did: what that relied on, this one does. Returns whether a mark was new.
bool Verifier::take_over_marks(const State& old, State& path) {
    Wanted wanted;
    bool changed = false;
    for (std::size_t f = 0; f < old.frames.size(); ++f) {
        const Frame& frame = old.frames[f];
        wanted.regs[f] = frame.regs_precise;
        wanted.slots[f] = frame.slots_precise;
        for (u64 left = frame.slots_read; left != 0; left &= left - 1)
            changed |= mark_stack_read(path, static_cast<u32>(f), static_cast<u32>(__builtin_ctzll(left)));
    }
    if (wanted.any()) changed |= backtrack(path, wanted, false);
    return changed;
}

/// The current path ends at `hit`, whose marks are not complete, nor are those of what leads there.
void Verifier::note_loop(State& hit) {
    has_loops_ = true;
    State* top = hit.branches > 0 ? &hit : hit.open_loop;
    if (hit.marks_incomplete() && hit.open_loop->depth < top->depth) top = hit.open_loop;
    for (State* state = cur_->parent; state != nullptr; state = state->parent) {
        if (!state->marks_incomplete() || top->depth < state->open_loop->depth) state->open_loop = top;
        if (state == top) break;
    }
    loop_ends_.push_back({std::make_unique<State>(*cur_), &hit});
}

void Verifier::settle_loops() {
    const auto ready = [](const LoopEnd& end) {
        return end.hit->branches == 0 && !end.hit->marks_incomplete();
    };
    if (std::ranges::none_of(loop_ends_, ready)) return;
    for (bool changed = true; changed;) {
        changed = false;
        for (LoopEnd& end : loop_ends_)
            if (ready(end)) changed |= take_over_marks(*end.hit, *end.state);
    }
    std::erase_if(loop_ends_, ready);
}

void Verifier::note_history() {
    if (cur_->history_at == processed_) return;
    cur_->history_at = processed_;
    ++cur_->history;
}

/// A checkpoint on the way to here: a loop.
Verifier::Look Verifier::look_at_unfinished(Checkpoint& old, u32 insn) {
    const CompareContext context{flow_.live_registers, privileged()};
    const State& before = old.state;
    const CallTraits& call = flow_.traits[insn];
    const Frame& top = before.top();
    if (top.in_async_callback && top.async_entries != cur_->top().async_entries) return Look::miss;
    if (call.iterates) {
        if (iterator_active(reg(R1)) && states_match(before, *cur_, context, Compare::within))
            return Look::loop_hit;
        return Look::loop_miss;
    }
    if (is_may_goto(insn) && before.may_goto_depth != cur_->may_goto_depth &&
        states_match(before, *cur_, context, Compare::within))
        return Look::loop_hit;
    if (call.calls_back)
        return states_match(before, *cur_, context, Compare::within) ? Look::loop_hit : Look::loop_miss;
    if (before.may_goto_depth == cur_->may_goto_depth &&
        before.callback_unroll_depth == cur_->callback_unroll_depth &&
        !iterator_depths_differ(before, *cur_) && states_match(before, *cur_, context, Compare::exact)) {
        reject(EINVAL, "infinite loop detected at insn {}", insn);
        return Look::failed;
    }
    return Look::loop_miss;
}

Verifier::Visit Verifier::hit(Checkpoint& old, bool loop) {
    ++old.hits;
    (void)take_over_marks(old.state, *cur_);
    if (loop) note_loop(old.state);
    return Visit::pruned;
}

bool Verifier::keep_checkpoint(u32 insn) {
    auto fresh = std::make_unique<Checkpoint>();
    State& state = fresh->state;
    state = State(*cur_, State::Marks{});
    state.branches = 1;
    state.insn = insn;
    state.steps = std::move(cur_->steps);
    state.links = std::move(cur_->links);
    cur_->steps.clear();
    cur_->links.clear();
    cur_->history = 0;
    for (Frame& frame : cur_->frames) frame.slots_written = 0;
    cur_->parent = &state;
    cur_->depth = state.depth + 1;
    checkpoints_[insn].push_back(std::move(fresh));
    jumps_at_checkpoint_ = jumps_;
    processed_at_checkpoint_ = processed_;
    ++total_states_;
    peak_states_ = std::max(peak_states_, ++live_states_);
    return count_bytes(state);
}

Verifier::Visit Verifier::visit(u32 insn) {
    const CompareContext context{flow_.live_registers, privileged()};
    const u64 jumps = jumps_ - jumps_at_checkpoint_;
    const u64 insns = processed_ - processed_at_checkpoint_;
    const bool force_point = flow_.is(insn, kForcePoint);
    const bool forced =
        force_point || cur_->history > kLongHistory || (request_.flags & BPF_F_TEST_STATE_FREQ) != 0;
    bool add = forced || (jumps >= kJumpsBetween && insns >= kInsnsBetween);
    cur_->insn = insn;
    auto& here = checkpoints_[insn];
    std::size_t seen = 0;
    for (std::size_t i = here.size(); i-- > 0;) {
        Checkpoint& old = *here[i];
        if (old.state.top().call_site != cur_->top().call_site) continue; // Linux keeps these apart
        ++seen;
        Look look = Look::miss;
        if (old.state.branches != 0) {
            look = look_at_unfinished(old, insn);
            // States of one loop seldom match; do not collect one each time round.
            if (look == Look::loop_miss && !forced && jumps < kJumpsInLoop && insns < kInsnsInLoop)
                add = false;
        } else {
            const bool loop = old.state.marks_incomplete();
            const bool all_numbers = loop || request_.compare_all_numbers;
            if (states_match(old.state, *cur_, context, all_numbers ? Compare::within : Compare::covers))
                look = loop ? Look::loop_hit : Look::hit;
        }
        if (look == Look::failed) return Visit::failed;
        if (look == Look::hit || look == Look::loop_hit) return hit(old, look == Look::loop_hit);
        if (add) ++old.misses;
        const u32 patience = force_point && old.state.branches > 0 ? 64 : 3;
        if (old.misses > old.hits * patience + patience) {
            // Others may still walk back through it.
            if (old.state.branches > 0 || has_loops_)
                evicted_.push_back(std::move(here[i]));
            else
                state_bytes_ -= std::min(state_bytes_, old.state.bytes());
            here.erase(here.begin() + static_cast<std::ptrdiff_t>(i));
            --live_states_;
        }
    }
    max_states_per_insn_ = std::max<u64>(max_states_per_insn_, seen);
    if (!privileged() && seen > kMaxStatesUnprivileged) add = false;
    if (add && !keep_checkpoint(insn)) return Visit::failed;
    return Visit::go_on;
}

/// The checkpoint of the round before the one that `from` is in, at a call of a callback or iterator.
const State* Verifier::previous_round(const State& from, u32 insn) {
    for (const State* state = from.parent; state != nullptr; state = state->parent)
        if (state->insn == insn && state->branches > 0 && same_call_sites(*state, from)) return state;
    return nullptr;
}

} // namespace xdplane
