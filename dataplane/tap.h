// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
#pragma once
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "bpf/prog/program.h"
#include "bpf/run/packet.h"
#include "dataplane/chain.h"
#include "dataplane/tap_ring.h"

/// Captures of live packets: what a client asks for, and what a worker does about it. Workers look at one
/// pointer per burst while there is none.
namespace xdplane {

/// Captures at once.
inline constexpr u32 kMaxTaps = 4;

enum class TapPoint : u8 {
    before, ///< the packet as it came in
    after,  ///< as the chain left it
};

/// Which packets are copied. All conditions must hold; one that is empty holds for all.
struct TapSpec {
    std::vector<std::string> ports; ///< that packets came in on
    u32 verdicts = 0;               ///< of the chain: bits, by enum Verdict
    u32 reasons = 0;                ///< that packets were dropped for: bits, by enum class Drop
    TapPoint at = TapPoint::before;
    u32 snaplen = kMaxTapSnaplen; ///< bytes of a packet
    /// A socket filter, which sees the packet as it is copied; null: all packets.
    std::shared_ptr<const Program> filter;
};

/// One worker's part of a capture: copies wait here until it is known what became of the packets. Only that
/// worker's.
class TapLane {
public:
    TapLane(const TapSpec& spec, const TapMemory& memory, u32 worker);

    void stage(const XdpBuff& packet, const void* origin, u16 port, u64 now) noexcept;
    /// One that no chain sees.
    void stage_unfit(const XdpBuff& packet, u16 port, u32 wire_len, u8 reason, u64 now) noexcept;
    /// The verdicts of the packets that received() has staged.
    void judge(const Burst& burst, const Verdicts& verdicts) noexcept;
    void left(const void* origin) noexcept;
    void died(const void* origin, u8 reason) noexcept;
    /// Into the ring with those that are wanted.
    void settle() noexcept;

    [[nodiscard]] TapPoint at() const { return spec_->at; }
    [[nodiscard]] bool wants_verdict(u8 verdict) const {
        return spec_->verdicts == 0 || (spec_->verdicts >> verdict & 1) != 0;
    }

private:
    struct Staged {
        const void* origin; ///< null once the packet is out of this worker's hands
        u32 at;             ///< of its TapRecord in copies_
        u32 size;
    };
    [[nodiscard]] bool passes(const XdpBuff& packet) const noexcept;
    [[nodiscard]] bool wanted(const TapRecord& record) const noexcept;
    void copy(const XdpBuff& packet, const void* origin, const TapRecord& record) noexcept;
    [[nodiscard]] TapRecord& record(const Staged& staged) noexcept;

    const TapSpec* spec_;
    TapWriter writer_;
    std::unique_ptr<u8[]> copies_; ///< room for a burst, of which the system gives what is used
    u32 used_ = 0;
    u32 count_ = 0;
    std::array<Staged, 2 * kBurst> staged_; ///< a burst, and those of it that no chain saw
};

/// A capture. Made and freed by the control thread, see Taps; lanes belong to the workers.
class Tap {
public:
    /// `ports`: true for those of spec.ports, by the data plane's number.
    static Result<std::unique_ptr<Tap>> make(TapSpec spec, std::vector<bool> ports, u32 workers);

    [[nodiscard]] bool takes(u16 port) const { return ports_[port]; }
    [[nodiscard]] TapLane& lane(u32 worker) { return *lanes_[worker]; }
    [[nodiscard]] const TapMemory& memory() const { return memory_; }

private:
    TapSpec spec_;
    std::vector<bool> ports_;
    TapMemory memory_;
    std::vector<std::unique_ptr<TapLane>> lanes_;
};

/// All captures that run; immutable, published by the control thread.
struct TapSet {
    std::vector<std::shared_ptr<Tap>> taps;
};

/// What a worker tells the captures of a burst, in this order. Everything but use() and on() is for when one
/// is on.
class WorkerTaps {
public:
    explicit WorkerTaps(u32 worker) : worker_(worker) {}

    /// Until the next call: the set stays alive between two quiescent points.
    void use(const TapSet* set) noexcept { set_ = set; }
    [[nodiscard]] bool on() const noexcept { return set_ != nullptr; }

    /// Before the first packet of a burst.
    void begin(u16 port) noexcept;
    /// A packet that programs can not work on; `packet` describes a copy.
    void unfit(const XdpBuff& packet, u32 wire_len, u8 reason) noexcept;
    void received(const Burst& burst) noexcept;
    void judged(const Burst& burst, const Verdicts& verdicts) noexcept;
    /// A packet left for a port or another worker; `origin`: as in XdpBuff.
    void left(const void* origin) noexcept;
    void died(const void* origin, u8 reason) noexcept;
    /// After the last packet.
    void settle() noexcept;

private:
    template<class Do>
    void each(const Do& act) const noexcept {
        for (const auto& tap : set_->taps)
            if (tap->takes(port_)) act(tap->lane(worker_));
    }

    const TapSet* set_ = nullptr;
    u32 worker_;
    u16 port_ = 0;
    u64 now_ = 0; ///< of the burst
};

} // namespace xdplane
