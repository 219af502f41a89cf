// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
#include <cstdlib>
#include <fmt/ranges.h>
#include <gtest/gtest.h>
#include <linux/bpf.h>
#include <map>
#include <random>

#include "bpf/isa/disassembler.h"
#include "tests/support/engines.h"

/// Random programs that look up, insert and delete in maps of every kind that engines compile lookups for,
/// with keys that are put together in pieces, on packets of which many have the same keys: the same verdicts
/// and the same maps afterwards, on every engine, packet by packet and as a burst.
///
///   XDPLANE_MAP_PROGRAMS=N        how many (default 200)
///   XDPLANE_MAP_PROGRAMS_SEED=S   of the first; the next have S+1, S+2, ...
namespace xdplane {
namespace {

constexpr u32 kMaps = 4;
constexpr u32 kPacketBytes = 64;
constexpr u32 kValueSize = 8;
constexpr u32 kTypes[] = {BPF_MAP_TYPE_ARRAY,
                          BPF_MAP_TYPE_PERCPU_ARRAY,
                          BPF_MAP_TYPE_HASH,
                          BPF_MAP_TYPE_HASH,
                          BPF_MAP_TYPE_PERCPU_HASH,
                          BPF_MAP_TYPE_LRU_HASH,
                          BPF_MAP_TYPE_LRU_PERCPU_HASH,
                          BPF_MAP_TYPE_LPM_TRIE};
constexpr u32 kKeySizes[] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 11, 12, 13, 16, 16, 20, 24, 29, 32, 36, 40, 44};

struct MapKind {
    u32 type;
    u32 key_size;
    u32 entries;
};

class Generator {
public:
    explicit Generator(u64 seed) : random_(seed * 0x9e3779b97f4a7c15ULL + 1) {}

    [[nodiscard]] u32 pick(u32 low, u32 high) { return low + static_cast<u32>(random_() % (high - low + 1)); }
    bool one_in(u32 n) { return pick(1, n) == 1; }

    std::vector<MapKind> maps() {
        for (u32 i = 0; i < kMaps; ++i) {
            MapKind kind{kTypes[pick(0, std::size(kTypes) - 1)], 4, pick(1, 12)};
            const bool array = kind.type == BPF_MAP_TYPE_ARRAY || kind.type == BPF_MAP_TYPE_PERCPU_ARRAY;
            if (kind.type == BPF_MAP_TYPE_LPM_TRIE)
                kind.key_size = 8;
            else if (!array)
                kind.key_size = kKeySizes[pick(0, std::size(kKeySizes) - 1)];
            maps_.push_back(kind);
        }
        return maps_;
    }

    /// r7 is the packet, r9 what it has seen.
    std::vector<Insn> program() {
        const u8 end = one_in(2) ? u8{R8} : u8{R3}; // registers that are left are the loop's
        if (one_in(2)) emit(Op::mov64_reg, R6, R1);
        emit(Op::ldx32, R7, R1, 0);
        emit(Op::ldx32, end, R1, 4);
        emit(Op::mov64_imm, R9, 0, 0, 1);
        emit(Op::mov64_reg, R2, R7);
        emit(Op::add64_imm, R2, 0, 0, kPacketBytes);
        const std::size_t out = jump(Op::jgt64_reg, R2, end);
        for (u32 i = pick(2, 6); i > 0; --i) operation();
        land(out);
        emit(Op::mov64_reg, R0, R9);
        emit(Op::exit);
        return insns_;
    }

    std::vector<u8> packet() {
        std::vector<u8> bytes(kPacketBytes);
        for (u8& byte : bytes) byte = static_cast<u8>(pick(0, 2));
        return bytes;
    }

private:
    void emit(Op op, u8 dst = 0, u8 src = 0, i32 off = 0, i32 imm = 0) {
        insns_.push_back(encode(op, dst, src, static_cast<i16>(off), imm));
    }
    std::size_t jump(Op op, u8 dst = 0, u8 src = 0, i32 imm = 0) {
        emit(op, dst, src, 0, imm);
        return insns_.size() - 1;
    }
    void land(std::size_t at) { insns_[at].off = static_cast<i16>(insns_.size() - at - 1); }

    void packet_byte(u8 reg) { emit(Op::ldx8, reg, R7, static_cast<i32>(pick(0, kPacketBytes - 1))); }

    void store(i32 off, u32 size) {
        static constexpr Op kImm[] = {Op::st8, Op::st16, Op::st32, Op::st64};
        static constexpr Op kReg[] = {Op::stx8, Op::stx16, Op::stx32, Op::stx64};
        const auto row = static_cast<std::size_t>(std::countr_zero(size));
        if (one_in(3)) {
            emit(kImm[row], R10, 0, off, one_in(2) ? 0 : static_cast<i32>(pick(0, 2)) - 1);
            return;
        }
        const u8 reg = static_cast<u8>(one_in(3) ? u32{R0} : pick(R3, R5));
        if (one_in(4))
            emit(Op::mov64_imm, reg, 0, 0, static_cast<i32>(pick(0, 3)) - 1);
        else
            packet_byte(reg);
        emit(kReg[row], R10, reg, off);
    }

    /// Stores of any widths over all of [off, off + size), which is aligned to 8.
    void cover(i32 off, i32 size) {
        for (i32 at = 0; at < size;) {
            u32 width = 1U << pick(0, 3);
            while (at % static_cast<i32>(width) != 0) width /= 2;
            store(off + at, width);
            at += static_cast<i32>(width);
        }
    }

    void some_store(i32 off, i32 size) {
        const u32 width = 1U << pick(0, 3);
        const i32 slots = (size + 7) / 8 * 8 / static_cast<i32>(width);
        store(off + static_cast<i32>(pick(0, static_cast<u32>(slots - 1)) * width), width);
    }

    /// The key's place on the stack.
    i32 make_key(const MapKind& kind) {
        const i32 size = static_cast<i32>(kind.key_size);
        const i32 off = -64 - 48 * static_cast<i32>(pick(0, 1));
        if (kind.type == BPF_MAP_TYPE_ARRAY || kind.type == BPF_MAP_TYPE_PERCPU_ARRAY) {
            array_index(off);
            return off;
        }
        if (one_in(2))
            for (i32 at = 0; at < size; at += 8) emit(Op::st64, R10, 0, off + at, 0);
        if (!one_in(3) || size % 8 != 0)
            cover(off, (size + 7) / 8 * 8);
        else
            cover(off, size);
        for (u32 i = pick(0, 2); i > 0; --i) some_store(off, size);
        if (one_in(2)) { // two ways
            packet_byte(R3);
            const std::size_t other = jump(Op::jeq64_imm, R3, 0, 1);
            some_store(off, size);
            land(other);
        }
        if (kind.type == BPF_MAP_TYPE_LPM_TRIE) emit(Op::st32, R10, 0, off, static_cast<i32>(pick(0, 32)));
        return off;
    }

    void array_index(i32 off) {
        if (one_in(3)) {
            emit(Op::st32, R10, 0, off, static_cast<i32>(pick(0, 12)));
            return;
        }
        packet_byte(R5);
        if (one_in(2)) emit(Op::mul64_imm, R5, 0, 0, static_cast<i32>(pick(1, 5)));
        emit(Op::stx32, R10, R5, off);
    }

    void arguments(u32 map, i32 off) {
        if (one_in(4)) {
            emit(Op::mov64_reg, R4, R10);
            emit(Op::mov64_reg, R2, R4);
        } else {
            emit(Op::mov64_reg, R2, R10);
        }
        emit(Op::add64_imm, R2, 0, 0, off);
        emit(Op::ld_imm64, R1, kMapFd, 0, static_cast<i32>(map));
        insns_.push_back({});
    }

    void operation() {
        const u32 map = pick(0, kMaps - 1);
        const MapKind& kind = maps_[map];
        const i32 off = make_key(kind);
        arguments(map, off);
        const bool array = kind.type == BPF_MAP_TYPE_ARRAY || kind.type == BPF_MAP_TYPE_PERCPU_ARRAY;
        const u32 what = pick(0, 5);
        if (what == 0 && !array) {
            emit(Op::call, 0, 0, 0, BPF_FUNC_map_delete_elem);
            emit(Op::add64_reg, R9, R0);
        } else if (what <= 2) {
            emit(Op::mov64_reg, R3, R10);
            emit(Op::add64_imm, R3, 0, 0, -8);
            emit(Op::stx64, R10, R9, -8);
            emit(Op::mov64_imm, R4, 0, 0, static_cast<i32>(pick(0, 2)));
            emit(Op::call, 0, 0, 0, BPF_FUNC_map_update_elem);
            emit(Op::add64_reg, R9, R0);
        } else {
            if (what == 3 && kind.key_size <= kPacketBytes && kind.type != BPF_MAP_TYPE_LPM_TRIE)
                emit(Op::mov64_reg, R2, R7); // a key of which nothing is known
            emit(Op::call, 0, 0, 0, BPF_FUNC_map_lookup_elem);
            result();
        }
    }

    void result() {
        if (one_in(3)) emit(Op::mov64_reg, R1, R0); // not a test at once
        if (one_in(2)) {
            const std::size_t none = jump(Op::jeq64_imm, R0, 0, 0);
            use_value();
            land(none);
        } else {
            const std::size_t found = jump(Op::jne64_imm, R0, 0, 0);
            emit(Op::mul64_imm, R9, 0, 0, 3);
            emit(Op::add64_reg, R9, R0);
            const std::size_t over = jump(Op::ja);
            land(found);
            use_value();
            land(over);
        }
        emit(Op::add64_imm, R9, 0, 0, 7);
    }

    void use_value() {
        emit(Op::ldx64, R1, R0, 0);
        emit(Op::add64_reg, R9, R1);
        emit(Op::add64_imm, R1, 0, 0, 1);
        emit(Op::stx64, R0, R1, 0);
    }

    std::mt19937_64 random_;
    std::vector<MapKind> maps_;
    std::vector<Insn> insns_;
};

std::vector<std::shared_ptr<Map>> make_maps(const std::vector<MapKind>& kinds) {
    std::vector<std::shared_ptr<Map>> maps;
    for (const MapKind& kind : kinds) {
        Result<std::shared_ptr<Map>> map =
            create_map({.type = kind.type,
                        .key_size = kind.key_size,
                        .value_size = kValueSize,
                        .max_entries = kind.entries,
                        .flags = kind.type == BPF_MAP_TYPE_LPM_TRIE ? u32{BPF_F_NO_PREALLOC} : 0,
                        .name = "m"});
        if (!map) throw std::runtime_error(map.error().message);
        maps.push_back(*map);
    }
    return maps;
}

using Contents = std::map<std::vector<u8>, std::vector<u8>>;

Contents contents(Map& map) {
    Contents all;
    std::vector<u8> key(map.spec().key_size);
    std::vector<u8> next(map.spec().key_size);
    std::vector<u8> value(map.syscall_value_size());
    for (int error = map.ops().next_key(map, nullptr, next.data()); error == 0;
         error = map.ops().next_key(map, key.data(), next.data())) {
        key = next;
        EXPECT_EQ(map.ops().copy_value(map, key.data(), value.data(), 0), 0);
        all[key] = value;
    }
    return all;
}

struct Outcome {
    std::vector<u32> verdicts;
    std::vector<Contents> maps;
    std::string lowered;
};

Result<Outcome> run(const TestEngine& engine, bool burst, const std::vector<MapKind>& kinds,
                    const std::vector<Insn>& insns, std::vector<std::vector<u8>> bytes) {
    const std::vector<std::shared_ptr<Map>> maps = make_maps(kinds);
    VerifyRequest request;
    request.type = find_program_type(BPF_PROG_TYPE_XDP);
    request.insns = insns;
    request.map_by_fd = [&maps](i32 fd) -> Result<std::shared_ptr<Map>> {
        return maps[static_cast<std::size_t>(fd)];
    };
    VerifierLog log;
    const Result<VerifiedProgram> verified = verify(std::move(request), log);
    if (!verified) return fail(EINVAL, "{}", log.reason);
    Result<LoweredProgram> lowered = lower(*verified);
    if (!lowered) return fail(lowered.error());
    Outcome outcome;
    outcome.lowered = lowered->disassemble();
    const auto executable = engine.make(std::move(*lowered));
    if (!executable) return fail(executable.error());

    std::vector<XdpBuff> packets(bytes.size());
    for (std::size_t i = 0; i < packets.size(); ++i) {
        packets[i] = {};
        packets[i].data = packets[i].data_meta = packets[i].hard_start = bytes[i].data();
        packets[i].data_end = packets[i].frame_end = bytes[i].data() + bytes[i].size();
    }
    const Entry& entry = (*executable)->entry;
    if (burst)
        entry.run_burst(&entry, packets.data(), static_cast<u32>(packets.size()), &t_run);
    else
        for (XdpBuff& packet : packets) packet.verdict = entry.run(&entry, &packet, &t_run);
    for (const XdpBuff& packet : packets) outcome.verdicts.push_back(packet.verdict);
    for (const auto& map : maps) outcome.maps.push_back(contents(*map));
    return outcome;
}

void check(u64 seed) {
    Generator generator(seed);
    const std::vector<MapKind> kinds = generator.maps();
    const std::vector<Insn> insns = generator.program();
    std::vector<std::vector<u8>> packets;
    for (u32 i = 0; i < 40; ++i) packets.push_back(generator.packet());
    packets[7].resize(kPacketBytes - 1);

    const Result<Outcome> expected = run(test_engines()[0], false, kinds, insns, packets);
    ASSERT_TRUE(expected) << "seed " << seed << ": " << expected.error().message;
    for (const TestEngine& engine : test_engines()) {
        for (const bool burst : {false, true}) {
            SCOPED_TRACE(fmt::format("seed {}, {} {}\n{}", seed, engine.name, burst ? "burst" : "scalar",
                                     expected->lowered));
            const Result<Outcome> outcome = run(engine, burst, kinds, insns, packets);
            ASSERT_TRUE(outcome) << outcome.error().message;
            ASSERT_EQ(outcome->verdicts, expected->verdicts);
            for (u32 i = 0; i < kMaps; ++i)
                ASSERT_EQ(outcome->maps[i], expected->maps[i]) << "map " << i << " of type " << kinds[i].type;
        }
    }
}

u64 from_environment(const char* name, u64 otherwise) {
    const char* text = std::getenv(name);
    return text != nullptr ? std::strtoull(text, nullptr, 0) : otherwise;
}

TEST(RandomMapPrograms, AreTheSameOnEveryEngineAndInBursts) {
    const u64 first = from_environment("XDPLANE_MAP_PROGRAMS_SEED", 1);
    const u64 count = from_environment("XDPLANE_MAP_PROGRAMS", 200);
    for (u64 seed = first; seed < first + count && !testing::Test::HasFatalFailure(); ++seed) check(seed);
}

} // namespace
} // namespace xdplane
