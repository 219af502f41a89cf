// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
#include <algorithm>
#include <cerrno>

#include "bpf/verifier/backtrack.h"
#include "bpf/verifier/simulation.h"

/// Not walking twice what is safe already. The thresholds are Linux's, so that state counts are alike.
namespace xdplane {
namespace {

/// Rounds of a loop, newest first, that the next one is compared with: a loop that goes on for ever is seen
/// by its last rounds, and a long one must not cost the square of its length.
constexpr u32 kComparedRounds = 64;

} // namespace

void Verifier::mark_stack_read(u32 frame, u32 slot) {
    const u64 bit = u64{1} << slot;
    for (State* state = cur_.get(); state->parent != nullptr; state = state->parent) {
        State& parent = *state->parent;
        if ((state->frames[frame].slots_written & bit) != 0) return; // what was there before does not matter
        if (frame >= parent.frames.size()) return;
        u64& read = parent.frames[frame].slots_read;
        if ((read & bit) != 0) return; // and so it is further up
        read |= bit;
    }
}

/// The current path goes on as `old` did: what that relied on, this one does.
void Verifier::take_over_marks(const State& old) {
    Wanted wanted;
    for (std::size_t f = 0; f < old.frames.size(); ++f) {
        const Frame& frame = old.frames[f];
        wanted.regs[f] = frame.regs_precise;
        wanted.slots[f] = frame.slots_precise;
        for (u64 left = frame.slots_read; left != 0; left &= left - 1)
            mark_stack_read(static_cast<u32>(f), static_cast<u32>(__builtin_ctzll(left)));
    }
    if (wanted.any()) backtrack(wanted, false);
}

Verifier::Visit Verifier::visit(u32 insn) {
    const u64 jumps = jumps_ - jumps_at_checkpoint_;
    const u64 insns = processed_ - processed_at_checkpoint_;
    const bool forced = insn == 0 || cur_->steps.size() > 4096;
    bool add = forced || (jumps >= 2 && insns >= 8);
    cur_->insn = insn;
    auto& here = checkpoints_[insn];
    u32 rounds = 0;
    for (std::size_t i = here.size(); i-- > 0;) {
        Checkpoint& old = *here[i];
        if (old.state.branches != 0) {
            // On the way to here: a loop. It may end, but not if nothing has changed.
            if (++rounds > kComparedRounds) break;
            if (states_match(old.state, *cur_, flow_.live_registers, Compare::exact)) {
                reject(EINVAL, "infinite loop detected at insn {}", insn);
                return Visit::failed;
            }
            // States of one loop seldom match; do not collect one each time round.
            if (!forced && jumps < 20 && insns < 100) add = false;
            continue;
        }
        if (states_match(old.state, *cur_, flow_.live_registers, Compare::covers)) {
            ++old.hits;
            take_over_marks(old.state);
            return Visit::pruned;
        }
        if (add && ++old.misses > old.hits * 3 + 3) {
            here.erase(here.begin() + static_cast<std::ptrdiff_t>(i));
            --live_states_;
        }
    }
    if (!add) return Visit::go_on;

    auto fresh = std::make_unique<Checkpoint>();
    State& state = fresh->state;
    state.frames = cur_->frames;
    state.parent = cur_->parent;
    state.branches = 1;
    state.insn = insn;
    state.steps = std::move(cur_->steps);
    state.links = std::move(cur_->links);
    cur_->steps.clear();
    cur_->links.clear();
    for (Frame& frame : cur_->frames) frame.slots_written = 0;
    cur_->parent = &state;
    here.push_back(std::move(fresh));
    jumps_at_checkpoint_ = jumps_;
    processed_at_checkpoint_ = processed_;
    ++total_states_;
    peak_states_ = std::max(peak_states_, ++live_states_);
    max_states_per_insn_ = std::max<u64>(max_states_per_insn_, here.size());
    return Visit::go_on;
}

} // namespace xdplane
