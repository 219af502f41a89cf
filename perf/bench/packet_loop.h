// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
#pragma once
#include <memory>
#include <vector>

#include "bpf/run/packet.h"
#include "perf/bench/engines.h"
#include "perf/bench/subject.h"

namespace xdplane::bench {

/// A subject in this process that takes bursts of packets. Packets are copied to where a port would put them,
/// a few bursts ahead, with the clock stopped: what is measured is the program, on packets in the first level
/// of the cache, not the way they came.
class PacketLoop : public Subject {
public:
    explicit PacketLoop(const EngineSetup& setup);

    [[nodiscard]] Result<u64> check(u32 packets) final;
    [[nodiscard]] Result<Slice> run(double ns) final;
    [[nodiscard]] std::vector<double> burst_times(double ns) final;

protected:
    /// Judges packets and stores the return values in their verdicts. t_run is set up.
    virtual void judge(XdpBuff* packets, u32 count) noexcept = 0;
    /// Called before packets are judged by check(), run() and burst_times().
    virtual void begin() {}
    /// Linear in the values of the maps that are to be compared: what a pass adds is the difference.
    [[nodiscard]] virtual u64 contents() { return 0; }
    /// Control thread, while packets are judged: overwrites an entry of the case's first map.
    virtual void update(u32 /*index*/) {}

private:
    static constexpr u32 kAhead = 4 * kBurst;

    void lay_ready(u32 count);
    [[nodiscard]] u64 sum_up(u32 count) const;
    /// All that was taken, but for what took four times the median: there another process had the CPU.
    [[nodiscard]] Slice without_interruptions();

    const PacketSet& packets_;
    u32 cpu_;
    bool bytes_;
    u32 updates_;
    std::size_t next_ = 0;
    u64 stride_;
    std::vector<u8> memory_;
    std::vector<double> taken_; ///< ticks of each kAhead packets of the current slice
    std::unique_ptr<XdpBuff[]> ready_;
};

/// One step of a checksum over a sequence.
[[nodiscard]] constexpr u64 mix_in(u64 sum, u64 word) {
    return (sum ^ word) * 0x9e3779b97f4a7c15 + (sum >> 29);
}
[[nodiscard]] u64 mix_in_packet(u64 sum, std::span<const u8> bytes);
/// A checksum that adds up: of a key and its value, linear in the words of the value.
[[nodiscard]] u64 entry_sum(const void* key, u32 key_size, const void* value, u32 value_size);

} // namespace xdplane::bench
