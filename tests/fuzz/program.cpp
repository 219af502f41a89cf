// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
//
// Instructions as bpf(2) takes them: decoded, verified, lowered, run by every engine, one packet at a time
// and as a burst: the same verdict, packet and maps, and nothing touched around the packet.
//
// Input: flags (1 byte: bit 0 socket filter, bit 1 strict alignment, bit 2 a log), length of the packet (1),
// instructions. Map fds are 1 to 5; see make_maps().
#include <cstdio>
#include <cstdlib>
#include <linux/bpf.h>
#include <map>
#include <random>
#include <vector>

#include "bpf/base/reclaimer.h"
#include "bpf/isa/disassembler.h"
#include "bpf/lower/lowered.h"
#include "bpf/run/run_context.h"
#include "bpf/verifier/verifier.h"
#include "tests/fuzz/guarded_frame.h"
#include "tests/fuzz/input.h"
#include "tests/fuzz/target.h"
#include "tests/support/engines.h"

using namespace xdplane;
using fuzz::GuardedFrame;

namespace {

constexpr u32 kMaxInput = 1024; // instructions

using Maps = std::vector<std::shared_ptr<Map>>;

Maps make_maps() {
    const auto make = [](u32 type, u32 value_size, u32 entries, u32 flags) {
        MapSpec spec;
        spec.type = type;
        spec.key_size = 4;
        spec.value_size = value_size;
        spec.max_entries = entries;
        spec.flags = flags;
        auto map = create_map(spec);
        if (!map) std::abort();
        return std::move(*map);
    };
    Maps maps = {make(BPF_MAP_TYPE_ARRAY, 64, 1, 0), make(BPF_MAP_TYPE_HASH, 16, 4, 0),
                 make(BPF_MAP_TYPE_PERCPU_ARRAY, 8, 3, 0), make(BPF_MAP_TYPE_PROG_ARRAY, 4, 4, 0),
                 make(BPF_MAP_TYPE_ARRAY, 32, 1, BPF_F_RDONLY_PROG)};
    const u32 zero = 0;
    const std::vector<u8> constants(32, 7);
    if (maps[4]->ops().store_value(*maps[4], &zero, constants.data(), BPF_ANY) != 0) std::abort();
    maps[4]->freeze();
    return maps;
}

using Contents = std::map<std::pair<std::size_t, std::vector<u8>>, std::vector<u8>>;

bool has_values(const Map& map) { return map.spec().type != BPF_MAP_TYPE_PROG_ARRAY; }

std::vector<std::vector<u8>> keys_of(Map& map) {
    std::vector<std::vector<u8>> keys;
    std::vector<u8> key(map.spec().key_size);
    const void* last = nullptr;
    while (keys.size() <= map.spec().max_entries && map.ops().next_key(map, last, key.data()) == 0) {
        keys.push_back(key);
        last = keys.back().data();
    }
    return keys;
}

Contents contents_of(const Maps& maps) {
    Contents contents;
    for (std::size_t i = 0; i < maps.size(); ++i) {
        if (!has_values(*maps[i])) continue;
        for (const auto& key : keys_of(*maps[i])) {
            auto& value = contents[{i, key}];
            value.resize(maps[i]->syscall_value_size());
            if (maps[i]->ops().copy_value(*maps[i], key.data(), value.data(), 0) != 0) std::abort();
        }
    }
    return contents;
}

void clear(const Maps& maps) {
    for (const auto& map : maps) {
        if (!has_values(*map) || map->frozen()) continue;
        const std::vector<u8> zeros(map->syscall_value_size());
        for (const auto& key : keys_of(*map)) {
            const int done = map->ops().array_like ? map->ops().store_value(*map, key.data(), zeros.data(), 0)
                                                   : map->ops().erase(*map, key.data());
            if (done != 0) std::abort();
        }
    }
}

struct Outcome {
    std::vector<u32> verdicts;
    std::vector<std::ptrdiff_t> bounds;
    std::vector<std::vector<u8>> frames;
    Contents maps;
    bool operator==(const Outcome&) const = default;
};

void run_on(const Entry& entry, XdpBuff& buff, bool burst) {
    const int reader = Reclaimer::instance().online();
    t_run = {};
    t_run.seed = 42;
    t_run.clock = Clock::capture;
    t_run.random_by_packet = true;
    if (burst)
        entry.run_burst(&entry, &buff, 1, &t_run);
    else
        buff.verdict = entry.run(&entry, &buff, &t_run);
    Reclaimer::instance().offline(reader);
}

/// Runs it on one packet at each end of the frame. `shift` moves the stack.
[[gnu::noinline]] Outcome run(const Executable& program, std::span<const u8> packet, const Maps& maps,
                              GuardedFrame& frame, bool burst, unsigned shift) {
    if (shift != 0) {
        volatile char moved[64];
        moved[0] = 1;
        Outcome outcome = run(program, packet, maps, frame, burst, shift - 1);
        moved[1] = moved[0]; // not a tail call
        return outcome;
    }
    Outcome outcome;
    clear(maps);
    for (const auto flush : {GuardedFrame::Flush::end, GuardedFrame::Flush::start}) {
        XdpBuff buff;
        frame.fill(packet, flush, buff);
        buff.wire_len = static_cast<u32>(packet.size());
        buff.ingress_ifindex = 3;
        buff.timestamp_ns = 1'000'000'007;
        run_on(program.entry, buff, burst);
        if (!frame.intact() || buff.data < buff.hard_start || buff.data > buff.data_end ||
            buff.data_meta > buff.data || buff.data_end > buff.frame_end) {
            std::fprintf(stderr, "the program left its frame\n");
            std::abort();
        }
        outcome.verdicts.push_back(buff.verdict);
        outcome.bounds.insert(outcome.bounds.end(), {buff.data - buff.hard_start, buff.data_end - buff.data,
                                                     buff.data - buff.data_meta});
        outcome.frames.push_back(frame.bytes());
    }
    outcome.maps = contents_of(maps);
    return outcome;
}

void print(const std::vector<Insn>& insns) {
    for (u32 i = 0; i < insns.size(); i += slots(insns[i]))
        std::fprintf(stderr, "%4u: %s\n", i, disassemble(insns, i).c_str());
}

void compare(const VerifiedProgram& verified, const std::vector<Insn>& insns, std::span<const u8> packet,
             const Maps& maps) {
    static GuardedFrame frame;
    static GuardedFrame other_frame;
    bool first = true;
    Outcome expected;
    for (const TestEngine& engine : test_engines()) {
        auto lowered = lower(verified);
        if (!lowered) {
            std::fprintf(stderr, "verified, but not lowered: %s\n", lowered.error().message.c_str());
            std::abort();
        }
        const auto executable = engine.make(std::move(*lowered));
        if (!executable) {
            std::fprintf(stderr, "lowered, but not made: %s\n", executable.error().message.c_str());
            std::abort();
        }
        if (first) {
            expected = run(**executable, packet, maps, frame, false, 0);
            // The privileged may look at addresses: such a program may say anything.
            if (run(**executable, packet, maps, other_frame, false, 0) != expected) return;
            if (run(**executable, packet, maps, frame, false, 7) != expected) return;
        }
        first = false;
        for (const bool burst : {false, true}) {
            if (run(**executable, packet, maps, frame, burst, 0) == expected) continue;
            std::fprintf(stderr, "%s differs%s\n", engine.name, burst ? " in a burst" : "");
            print(insns);
            std::abort();
        }
    }
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    fuzz::Input input({data, size});
    const auto flags = input.take<u8>();
    std::vector<u8> packet(input.take<u8>());
    for (std::size_t i = 0; i < packet.size(); ++i) packet[i] = static_cast<u8>(i * 37 + 1);
    VerifyRequest request;
    while (!input.empty() && request.insns.size() < kMaxInput) request.insns.push_back(input.take<Insn>());
    if (request.insns.empty()) return 0;

    static const Maps maps = make_maps();
    request.type = find_program_type((flags & 1) != 0 ? BPF_PROG_TYPE_SOCKET_FILTER : BPF_PROG_TYPE_XDP);
    request.flags = (flags & 2) != 0 ? BPF_F_STRICT_ALIGNMENT : 0;
    request.gpl_compatible = true;
    request.map_by_fd = [](i32 fd) -> Result<std::shared_ptr<Map>> {
        if (fd < 1 || static_cast<std::size_t>(fd) > maps.size()) return fail(EBADF, "fd {} is not open", fd);
        return maps[static_cast<std::size_t>(fd) - 1];
    };
    const std::vector<Insn> insns = request.insns;
    VerifierLog log;
    log.level = (flags & 4) != 0 ? kLogVerbose : kLogOff;
    const auto verified = verify(std::move(request), log);
    if (!verified) {
        if (verified.error().code <= 0 || log.reason.empty()) std::abort();
        return 0;
    }
    compare(*verified, insns, packet, maps);
    return 0;
}

/// Whole instructions, so that there is something left for the verifier to accept.
extern "C" size_t LLVMFuzzerCustomMutator(uint8_t* data, size_t size, size_t max_size, unsigned seed) {
    constexpr size_t kHeader = 2;
    std::minstd_rand random(seed);
    const auto pick = [&random](size_t below) { return static_cast<size_t>(random() >> 4) % below; };
    const size_t count = size < kHeader ? 0 : (size - kHeader) / sizeof(Insn);
    if (count == 0 || pick(8) == 0) return LLVMFuzzerMutate(data, size, max_size);
    u8* at = data + kHeader + pick(count) * sizeof(Insn);
    Insn insn{};
    std::memcpy(&insn, at, sizeof insn);
    switch (pick(7)) {
    case 0: { // another operation on the same registers
        const auto op = static_cast<Op>(pick(kOps));
        if (info(op).version != 0) insn = encode(op, insn.dst, insn.src, insn.off, insn.imm);
        break;
    }
    case 1: insn.dst = pick(11) & 15; break;
    case 2: insn.src = pick(11) & 15; break;
    case 3: insn.off = static_cast<i16>(static_cast<int>(pick(40)) - 20); break;
    case 4: {
        constexpr i32 kEdges[] = {0, 1, -1, 2, 4, 8, 14, 31, 32, 63, 64, 255, 0x7fffffff, -0x7fffffff - 1};
        insn.imm = kEdges[pick(std::size(kEdges))];
        break;
    }
    case 5: { // doubled
        if (size + sizeof insn > max_size) return size;
        const auto tail = size - static_cast<size_t>(at - data);
        std::memmove(at + sizeof insn, at, tail);
        return size + sizeof insn;
    }
    default: { // removed
        const auto tail = size - static_cast<size_t>(at - data) - sizeof insn;
        std::memmove(at, at + sizeof insn, tail);
        return size - sizeof insn;
    }
    }
    std::memcpy(at, &insn, sizeof insn);
    return size;
}
