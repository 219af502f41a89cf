// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
#include "bpf/lower/split.h"

#include <algorithm>
#include <linux/bpf.h>
#include <span>
#include <utility>

#include "bpf/lower/draft.h"

namespace xdplane {
namespace {

constexpr u32 kPure[] = {BPF_FUNC_get_smp_processor_id};
constexpr u32 kClocks[] = {BPF_FUNC_ktime_get_ns, BPF_FUNC_ktime_get_boot_ns, BPF_FUNC_ktime_get_coarse_ns,
                           BPF_FUNC_ktime_get_tai_ns, BPF_FUNC_jiffies64};

class Splitter {
public:
    explicit Splitter(const LoweredProgram& program)
        : program_(program), size_(program.functions().front().end) {
        split_.halves.resize(size_);
    }

    std::shared_ptr<const Split> run() {
        walk_first();
        // Clocks go on from packet to packet as long as all of them are read in one half.
        walk_second();
        if (reads_clocks_in_both()) {
            clocks_are_private_ = false;
            split_.halves.assign(size_, 0);
            split_.stops.clear();
            walk_first();
            walk_second();
        }
        find_maps();
        if (split_.maps.empty() || hides_site()) return nullptr;
        return std::make_shared<const Split>(std::move(split_));
    }

private:
    [[nodiscard]] const LoweredInsn& insn(u32 i) const { return program_.insns()[i]; }
    [[nodiscard]] const Map& map_of(u32 i) const {
        return *program_.maps()[static_cast<u32>(insn(i).target)];
    }
    /// A lookup worth fetching for.
    [[nodiscard]] bool is_site(u32 i) const {
        return insn(i).op == Op::map_lookup && map_of(i).ops().ahead != nullptr;
    }

    [[nodiscard]] bool is_call_of(u32 i, std::span<const u32> helpers) const {
        const LoweredInsn& at = insn(i);
        return at.op == Op::call_helper && (at.flags & kKernelFunction) == 0 &&
               std::ranges::find(helpers, static_cast<u32>(at.target)) != helpers.end();
    }

    /// It changes registers and its stack only, and finds the same whatever happens to other packets.
    [[nodiscard]] bool is_private(u32 i) const {
        switch (info(insn(i).op).kind) {
        case OpKind::alu:
        case OpKind::endian:
        case OpKind::jump:
        case OpKind::may_goto:
        case OpKind::ja:
        case OpKind::ld_imm64:
        case OpKind::exit: return true;
        case OpKind::ldx:
        case OpKind::st:
        case OpKind::stx: return (insn(i).flags & kOwnMemory) != 0;
        default: break;
        }
        switch (insn(i).op) {
        case Op::nop:
        case Op::ctx_length: return true;
        case Op::map_lookup: return map_of(i).ops().array_like;
        case Op::call_helper: return is_call_of(i, kPure) || (clocks_are_private_ && is_call_of(i, kClocks));
        default: return false;
        }
    }

    /// Visits what is reached from the insns on the list: `enter(i)` says whether i is new and to be gone on
    /// from.
    template<class Enter>
    void walk(std::vector<u32> work, Enter enter) const {
        while (!work.empty()) {
            const u32 i = work.back();
            work.pop_back();
            for_successors(program_, i, [&](u32 next) {
                if (enter(next)) work.push_back(next);
            });
        }
    }

    void walk_first() {
        const auto enter = [&](u32 i) {
            const u8 half = is_private(i) ? Split::kFirst : Split::kStop;
            return std::exchange(split_.halves[i], half) == 0 && half == Split::kFirst;
        };
        if (enter(0)) walk({0}, enter);
        for (u32 i = 0; i < size_; ++i)
            if ((split_.halves[i] & Split::kStop) != 0) split_.stops.push_back(i);
    }

    [[nodiscard]] bool reads_clocks_in_both() const {
        bool first = false;
        bool other = false;
        for (u32 i = 0; i < program_.insns().size(); ++i) {
            if (!is_call_of(i, kClocks)) continue;
            first |= i < size_ && (split_.halves[i] & Split::kFirst) != 0;
            other |= i >= size_ || (split_.halves[i] & Split::kSecond) != 0;
        }
        return first && other;
    }

    void find_maps() {
        for (const u32 stop : split_.stops)
            if (is_site(stop) && std::ranges::find(split_.maps, &map_of(stop)) == split_.maps.end())
                split_.maps.push_back(&map_of(stop));
    }

    /// Some path makes its first lookup behind a stop of another kind.
    [[nodiscard]] bool hides_site() const {
        std::vector<bool> seen(size_);
        std::vector<u32> others;
        for (const u32 stop : split_.stops)
            if (!is_site(stop)) others.push_back(stop);
        bool hidden = false;
        walk(std::move(others), [&](u32 i) {
            if (is_site(i)) hidden = true;
            if (seen[i] || is_site(i)) return false;
            seen[i] = true;
            return true;
        });
        return hidden;
    }

    void walk_second() {
        for (const u32 stop : split_.stops) split_.halves[stop] |= Split::kSecond;
        std::vector<bool> seen(size_);
        walk(split_.stops, [&](u32 i) {
            if (seen[i]) return false;
            seen[i] = true;
            split_.halves[i] |= Split::kSecond | Split::kReached;
            return true;
        });
    }

    const LoweredProgram& program_;
    u32 size_; ///< insns of the main program
    bool clocks_are_private_ = true;
    Split split_;
};

} // namespace

std::shared_ptr<const Split> find_split(const LoweredProgram& program) {
    if (program.tail_calls() || program.functions().front().stack_depth > kMostSplitStack) return nullptr;
    return Splitter(program).run();
}

} // namespace xdplane
