// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
#pragma once
#include <array>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "bpf/isa/insn.h"
#include "bpf/maps/map.h"
#include "bpf/prog/program_type.h"
#include "bpf/prog/run_stats.h"
#include "bpf/run/context_use.h"
#include "bpf/run/entry.h"
#include "bpf/run/run_context.h"

namespace xdplane {

class Btf;

/// What an engine makes of a lowered program: its entries, and whatever memory they live in.
class Executable {
public:
    virtual ~Executable() = default;
    Entry entry;
};

/// A program ready to run. Immutable; keeps its maps and its executable alive; shared by fds, prog arrays and
/// generations on the control side. Workers use plain pointers between two quiescent points.
class Program {
public:
    struct Parts {
        const ProgramType* type = nullptr;
        std::string name;        ///< at most 15 characters
        std::array<u8, 8> tag{}; ///< of the loaded insns, as Linux computes it (truncated SHA-1)
        std::vector<Insn> insns; ///< as loaded, map fds replaced by ids
        std::vector<std::shared_ptr<Map>> maps;
        std::unique_ptr<Executable> executable;
        std::vector<u8> jited;                        ///< machine code, empty for the interpreter
        std::function<std::string()> lowered_listing; ///< LoweredProgram::disassemble()
        bool jit = false;
        bool gpl_compatible = false;
        bool writes_packet = true;
        ContextUse context_use;
        u64 insns_processed = 0;
        u64 loaded_at_ns = 0; ///< CLOCK_BOOTTIME
        std::shared_ptr<const Btf> btf;
    };

    explicit Program(Parts parts) : parts_(std::move(parts)) {}

    [[nodiscard]] const Parts& parts() const { return parts_; }
    [[nodiscard]] const Entry& entry() const { return parts_.executable->entry; }

    /// Runs on one packet / on a burst. The calling thread's t_run must be set up. Data path.
    u32 run(XdpBuff& packet) const noexcept {
        const Entry& e = entry();
        return e.run(&e, &packet, &t_run);
    }
    void run_burst(Burst& burst) const noexcept {
        const Entry& e = entry();
        e.run_burst(&e, burst.packets.data(), burst.count, &t_run);
    }

    u32 id = 0; ///< of *_GET_NEXT_ID; set once by syscall/
    mutable RunStats run_stats;

private:
    Parts parts_;
};

} // namespace xdplane
