// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
#pragma once
#include "bpf/verifier/cfg.h"
#include "bpf/verifier/explain.h"
#include "bpf/verifier/state.h"

namespace xdplane {

/// The path that led to a rejection, walked backwards.
class RejectedPath {
public:
    explicit RejectedPath(const Rejection& rejection);

    enum class Source : u8 {
        unknown,
        unwritten,
        clobbered,
        number,
        context,
        stack,
        map,
        call,
        memory,
        argument
    };
    /// Where a value came from: what the insns that made it did, the nearest first.
    struct Origin {
        Source source = Source::unknown;
        std::size_t step = 0; ///< of the path
        std::vector<ExplainedInsn> notes;
    };
    /// The register's value before the last step, in the frame of that.
    [[nodiscard]] Origin origin_of(u32 reg) const;
    /// The first call behind `step` after which pointers to the packet are gone.
    [[nodiscard]] std::optional<ExplainedInsn> moved_packet_since(std::size_t step) const;
    /// The jump backwards that the path took most often.
    [[nodiscard]] std::optional<ExplainedInsn> busiest_loop() const;
    void add_branches(Explanation& out) const;

    [[nodiscard]] ExplainedInsn describe_insn(u32 insn, std::string what) const;

private:
    struct Place {
        u32 frame;
        bool is_slot;
        u32 index;
    };
    static constexpr u32 kDepth = 4;
    [[nodiscard]] Origin trace(Place place, std::size_t end, u32 depth) const;
    bool step_back(std::size_t at, Place& place, u32 depth, Origin& origin) const;
    bool back_over_slot(const Step& step, Place& place, Origin& origin) const;
    bool back_over_call(const Step& step, Place& place, Origin& origin) const;
    bool back_over_alu(std::size_t at, Place& place, u32 depth, Origin& origin) const;
    bool back_over_load(std::size_t at, Place& place, Origin& origin) const;
    bool end_at(Origin& origin, Source source, u32 insn, std::string what) const;
    void note(Origin& origin, u32 insn, std::string what) const;
    void begin_of_path(const Place& place, Origin& origin) const;
    [[nodiscard]] SourceLine source_of(u32 insn) const;
    [[nodiscard]] const OpcodeInfo& row(u32 insn) const { return info(rejection_.flow.ops[insn]); }

    const Rejection& rejection_;
    std::vector<const Step*> path_; ///< oldest first
};

} // namespace xdplane
