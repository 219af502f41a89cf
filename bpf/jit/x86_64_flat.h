// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
#pragma once
#include <optional>
#include <vector>

#include "bpf/jit/x86_64_emitter.h"
#include "bpf/lower/flat.h"

namespace xdplane::x86_64 {

/// The values of a small filter's flat form (lower/flat.h): which is in which register, and the code that
/// computes it. How often each is needed is said first; a register is free again when nobody needs its value
/// any more.
class FlatValues {
public:
    static constexpr Gp kPacket = asmjit::x86::r12; ///< the body of the program leaves it alone
    static constexpr Gp kData = asmjit::x86::rdi;   ///< the packet's first byte
    static constexpr Gp kLength = asmjit::x86::rsi; ///< of the packet
    static constexpr Gp kZero = asmjit::x86::rdx;

    FlatValues(asmjit::x86::Assembler& assembler, const Flat& flat);

    /// Somebody will need it once. -1: nothing.
    void use(i32 index);
    /// After that: whatever is needed needs its operands.
    void use_operands();

    [[nodiscard]] const Flat::Value& at(i32 index) const { return flat_.values[static_cast<u32>(index)]; }
    /// A load from a known offset, and a mask: compared where it lies.
    [[nodiscard]] bool is_masked_load(const Flat::Value& masked) const;
    /// It is in no register, and needed only once more.
    [[nodiscard]] bool is_needed_once(i32 index) const;
    /// One that is_needed_once(), by whoever computes it without get().
    void used(i32 index) { --uses_[static_cast<u32>(index)]; }

    Gp take();
    void give_back(const Gp& reg) { free_.push_back(reg); }
    /// A register that is never given back, with the shortest code; none if too few are left.
    std::optional<Gp> take_for_good();
    /// Registers did not suffice: the code is no good.
    [[nodiscard]] bool failed() const { return failed_; }

    /// The register of a value for one of its uses, which is over at the next release() of it.
    Gp get(i32 index);
    void release(i32 index, const Gp& reg);

    [[nodiscard]] static asmjit::x86::Mem near(const Flat::Value& load);
    void read(const Gp& reg, const asmjit::x86::Mem& from);
    /// The offset of a load that may be out of range, a new register: 0 if it is.
    Gp safe_offset(const Flat::Value& load);

private:
    [[nodiscard]] bool is_cheap(const Flat::Value& value) const;
    Gp get_own(i32 index);
    Gp compute(const Flat::Value& wanted);
    Gp operate(const Flat::Value& wanted);
    void to_host_order(const Gp& reg, u32 size);

    asmjit::x86::Assembler& a_;
    const Flat& flat_;
    std::vector<Gp> free_;
    std::vector<u32> uses_;               ///< of each value, that are still to come
    std::vector<std::optional<Gp>> kept_; ///< where values are that somebody still needs
    bool failed_ = false;
};

} // namespace xdplane::x86_64
