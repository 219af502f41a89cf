// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
//
// The adversary of the verifier: random programs, most of them nearly right. What it accepts runs on a
// machine that trusts nothing and on every engine, all with the same results; what registers and stack hold
// is compared with what was proved; and the running kernel is asked for its verdict and its results.
//
// XDPLANE_RANDOM_ROUNDS and XDPLANE_RANDOM_SEED ask for more or other programs, XDPLANE_RANDOM_REPORT=1 for
// the counts, XDPLANE_RANDOM_STRICT=1 to fail where only the kernel refuses for a reason that is not listed
// here.
#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <fmt/format.h>
#include <gtest/gtest.h>
#include <linux/bpf.h>
#include <map>
#include <sys/mman.h>

#include "bpf/isa/disassembler.h"
#include "bpf/lower/lowered.h"
#include "bpf/maps/map.h"
#include "bpf/run/run_context.h"
#include "bpf/verifier/verifier.h"
#include "tests/support/abstraction.h"
#include "tests/support/checked_machine.h"
#include "tests/support/engines.h"
#include "tests/support/kernel_bpf.h"
#include "tests/support/kernel_oracle.h"
#include "tests/support/random_program.h"

namespace xdplane::test {
namespace {

using Bytes = std::vector<u8>;

u64 number_from(const char* variable, u64 otherwise) {
    const char* text = std::getenv(variable);
    return text == nullptr ? otherwise : std::strtoull(text, nullptr, 10);
}

MapSpec spec_of(u32 map) {
    MapSpec spec;
    spec.type = map == kRandomHash ? BPF_MAP_TYPE_HASH : BPF_MAP_TYPE_ARRAY;
    spec.key_size = 4;
    spec.value_size = kRandomValueSizes[map];
    spec.max_entries = map == kRandomArray ? 4 : map == kRandomHash ? 8 : 1;
    spec.flags = map == kRandomRodata ? BPF_F_RDONLY_PROG : 0;
    return spec;
}

/// What an element holds at the start.
Bytes initial_value(u32 map, u32 key) {
    Bytes value(kRandomValueSizes[map]);
    for (u32 i = 0; i < value.size(); ++i)
        value[i] = map == kRandomRodata ? static_cast<u8>(i % 8 == 0 ? 3 + i : 0)
                                        : static_cast<u8>((i + key) % 3 == 0 ? 0 : i * 37 + key);
    return value;
}

/// Contents of every map, by map and key.
using Contents = std::map<std::pair<u32, u32>, Bytes>;

/// A map set of ours or of the running kernel. All calls return 0 or -errno.
class MapSet {
public:
    virtual ~MapSet() = default;
    virtual int update(u32 map, u32 key, const Bytes& value) = 0;
    virtual int erase(u32 map, u32 key) = 0;
    virtual int next(u32 map, const u32* key, u32& next) = 0;
    virtual int read(u32 map, u32 key, Bytes& value) = 0;

    void reset() {
        for (u32 key = 0; next(kRandomHash, nullptr, key) == 0;) ASSERT_EQ(erase(kRandomHash, key), 0);
        for (u32 map = 0; map < kRandomRodata; ++map)
            for (u32 key = 0; key < (map == kRandomData ? 1U : 4U); ++key)
                ASSERT_EQ(update(map, key, initial_value(map, key)), 0);
    }
    Contents contents() {
        Contents all;
        for (u32 map = 0; map < kRandomMaps; ++map) {
            u32 key = 0;
            for (int more = next(map, nullptr, key); more == 0;) {
                Bytes value(kRandomValueSizes[map]);
                EXPECT_EQ(read(map, key, value), 0);
                all[{map, key}] = value;
                const u32 last = key;
                more = next(map, &last, key);
            }
        }
        return all;
    }
};

class OurMaps final : public MapSet {
public:
    OurMaps() {
        for (u32 i = 0; i < kRandomMaps; ++i) maps_.push_back(create_map(spec_of(i)).value());
        (void)update(kRandomRodata, 0, initial_value(kRandomRodata, 0));
        maps_[kRandomRodata]->freeze();
    }
    int update(u32 map, u32 key, const Bytes& value) override {
        return maps_[map]->ops().store_value(*maps_[map], &key, value.data(), 0);
    }
    int erase(u32 map, u32 key) override { return maps_[map]->ops().erase(*maps_[map], &key); }
    int next(u32 map, const u32* key, u32& next) override {
        return maps_[map]->ops().next_key(*maps_[map], key, &next);
    }
    int read(u32 map, u32 key, Bytes& value) override {
        return maps_[map]->ops().copy_value(*maps_[map], &key, value.data(), 0);
    }
    [[nodiscard]] Result<std::shared_ptr<Map>> get(i32 index) const {
        if (index < 0 || index >= kRandomMaps) return fail(EBADF, "no map {}", index);
        return maps_[static_cast<u32>(index)];
    }

private:
    std::vector<std::shared_ptr<Map>> maps_;
};

class KernelMaps final : public MapSet {
public:
    KernelMaps() {
        for (u32 i = 0; i < kRandomMaps; ++i) {
            const MapSpec spec = spec_of(i);
            bpf_attr attr = empty();
            attr.map_type = spec.type;
            attr.key_size = spec.key_size;
            attr.value_size = spec.value_size;
            attr.max_entries = spec.max_entries;
            attr.map_flags = spec.flags;
            fds_.emplace_back(static_cast<int>(kernel_bpf(BPF_MAP_CREATE, &attr, sizeof attr)));
        }
        (void)update(kRandomRodata, 0, initial_value(kRandomRodata, 0));
        bpf_attr attr = empty();
        attr.map_fd = static_cast<u32>(fds_[kRandomRodata].get());
        (void)kernel_bpf(BPF_MAP_FREEZE, &attr, sizeof attr);
    }
    int update(u32 map, u32 key, const Bytes& value) override {
        return element(BPF_MAP_UPDATE_ELEM, map, &key, const_cast<u8*>(value.data()));
    }
    int erase(u32 map, u32 key) override { return element(BPF_MAP_DELETE_ELEM, map, &key, nullptr); }
    int next(u32 map, const u32* key, u32& next) override {
        return element(BPF_MAP_GET_NEXT_KEY, map, key, &next);
    }
    int read(u32 map, u32 key, Bytes& value) override {
        return element(BPF_MAP_LOOKUP_ELEM, map, &key, value.data());
    }

    /// An fd, or -errno; `log` is filled if it is not null.
    int load(std::vector<Insn> insns, std::string* log) {
        for (std::size_t i = 0; i < insns.size(); ++i) {
            if (insns[i].opcode != 0x18) continue;
            const u32 map = static_cast<u32>(insns[i].imm);
            if (insns[i].src != kImm64 && map < kRandomMaps) insns[i].imm = fds_[map].get();
            ++i;
        }
        std::vector<char> text(log != nullptr ? 1 << 20 : 0);
        bpf_attr attr = empty();
        attr.prog_type = BPF_PROG_TYPE_XDP;
        attr.insns = reinterpret_cast<u64>(insns.data());
        attr.insn_cnt = static_cast<u32>(insns.size());
        attr.license = reinterpret_cast<u64>("GPL");
        if (log != nullptr) {
            attr.log_level = 1;
            attr.log_buf = reinterpret_cast<u64>(text.data());
            attr.log_size = static_cast<u32>(text.size());
        }
        const int fd = static_cast<int>(kernel_bpf(BPF_PROG_LOAD, &attr, sizeof attr));
        if (log != nullptr) *log = text.data();
        return fd;
    }

private:
    static bpf_attr empty() {
        bpf_attr attr;
        std::memset(&attr, 0, sizeof attr);
        return attr;
    }
    int element(int command, u32 map, const void* key, void* value) {
        bpf_attr attr = empty();
        attr.map_fd = static_cast<u32>(fds_[map].get());
        attr.key = reinterpret_cast<u64>(key);
        attr.value = reinterpret_cast<u64>(value);
        return static_cast<int>(kernel_bpf(command, &attr, sizeof attr));
    }
    std::vector<UniqueFd> fds_;
};

/// Memory for one packet between two stretches that fault, so wide that what is near the packet is the
/// packet's.
class Frame {
public:
    Frame()
        : area_(static_cast<u8*>(::mmap(nullptr, kArea, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0))),
          pages_(area_ + kFault - kPage) {
        ::mprotect(pages_ + kPage, 2 * kPage, PROT_READ | PROT_WRITE);
    }
    ~Frame() { ::munmap(area_, kArea); }
    Frame(const Frame&) = delete;
    Frame& operator=(const Frame&) = delete;

    /// The packet as Linux's PROG_TEST_RUN lays it out if `room`, else ending where the fault begins.
    XdpBuff fill(const Bytes& bytes, bool room) {
        std::memset(pages_ + kPage, 0, 2 * kPage);
        XdpBuff packet{};
        packet.frame_end = pages_ + 3 * kPage;
        packet.data =
            room ? packet.frame_end - (kFrameSize - kFrameTail) + kHeadroom : packet.frame_end - bytes.size();
        packet.data_meta = packet.data;
        packet.data_end = packet.data + bytes.size();
        packet.hard_start = packet.data - kHeadroom;
        packet.ingress_ifindex = 1;
        std::memcpy(packet.data, bytes.data(), bytes.size());
        return packet;
    }

private:
    static constexpr std::size_t kPage = 4096;
    static constexpr std::size_t kFault = 0x40000;
    static constexpr std::size_t kArea = 2 * kFault + 2 * kPage;
    u8* area_;
    u8* pages_;
};

/// One packet's fate.
struct Fate {
    u32 result = 0;
    Bytes packet; ///< metadata and packet
};
struct Outcome {
    std::vector<Fate> fates;
    Contents maps;
};

std::string show(const Fate& fate) {
    std::string text = fmt::format("{:#x}", fate.result);
    for (const u8 byte : fate.packet) text += fmt::format(" {:02x}", byte);
    return text;
}

std::string listing(const std::vector<Insn>& insns) {
    std::string text;
    for (u32 i = 0; i < insns.size(); i += slots(insns[i]))
        text += fmt::format("{:4}: {}\n", i, disassemble(insns, i));
    return text;
}

/// Refusals of the kernel that are not about what the program may do to memory, and what they are.
constexpr std::pair<const char*, const char*> kKernelOnly[] = {
    {"BPF program is too large", "the kernel needs more than a million steps"},
};

class Adversary : public testing::Test {
protected:
    struct Counts {
        u64 programs = 0, ours = 0, kernel = 0, both = 0, only_ours = 0, only_kernel = 0, runs = 0,
            unspecified = 0, kernel_runs = 0, insns_checked = 0, bounds_checked = 0;
        std::map<std::string, u64> refused_here;                  ///< by message, where the kernel accepts
        std::map<std::string, std::pair<u64, u64>> refused_there; ///< by the kernel's message: count, a seed
    };

    void one(u64 seed);
    void check_states(VerifyRequest request, const VerifiedProgram& verified);
    void run_all(RandomProgram& source, const VerifiedProgram& verified, int kernel_fd);
    void compare(const std::string& name, const Outcome& expected, std::size_t valid, const Outcome& got);
    void report() const;

    OurMaps maps_;
    std::unique_ptr<KernelMaps> kernel_;
    Frame frame_;
    Counts counts_;
};

/// A message without its numbers.
std::string shape_of(const std::string& message) {
    std::string shape;
    for (const char c : message) {
        if (std::isdigit(static_cast<unsigned char>(c)) == 0)
            shape += c;
        else if (shape.empty() || shape.back() != 'N')
            shape += 'N';
    }
    return shape;
}

/// The line of the kernel's log that says why.
std::string reason_of(const std::string& log) {
    std::vector<std::string> lines;
    std::size_t at = 0;
    while (at < log.size()) {
        const std::size_t end = std::min(log.find('\n', at), log.size());
        const std::string line = log.substr(at, end - at);
        if (!line.empty() && line.rfind("processed ", 0) != 0) lines.push_back(line);
        at = end + 1;
    }
    return lines.empty() ? "" : lines.back();
}

bool uses_helper(const std::vector<Insn>& insns, i32 id) {
    return std::any_of(insns.begin(), insns.end(), [id](const Insn& insn) {
        return insn.opcode == 0x85 && insn.src == kCallHelper && insn.imm == id;
    });
}

void Adversary::compare(const std::string& name, const Outcome& expected, std::size_t valid,
                        const Outcome& got) {
    for (std::size_t i = 0; i < valid; ++i)
        ASSERT_EQ(show(got.fates[i]), show(expected.fates[i])) << name << ", packet " << i;
    if (valid < expected.fates.size()) return;
    for (const auto& [key, value] : expected.maps) {
        const auto other = got.maps.find(key);
        ASSERT_NE(other, got.maps.end()) << name << ": map " << key.first << " has no key " << key.second;
        ASSERT_EQ(other->second, value) << name << ": map " << key.first << " key " << key.second;
    }
    ASSERT_EQ(got.maps.size(), expected.maps.size()) << name << ": more elements";
}

void Adversary::run_all(RandomProgram& source, const VerifiedProgram& verified, int kernel_fd) {
    const bool room = uses_helper(verified.insns(), BPF_FUNC_xdp_adjust_tail);
    // What the kernel refuses is the more suspicious.
    std::vector<Bytes> packets(kernel_ && kernel_fd < 0 ? 64 : 4);
    for (Bytes& packet : packets) packet = source.packet();

    Outcome expected;
    std::size_t valid = packets.size(); // results up to here are the same for everyone
    maps_.reset();
    for (std::size_t i = 0; i < packets.size(); ++i) {
        XdpBuff packet = frame_.fill(packets[i], room);
        const CheckedRun run = run_checked(verified, packet);
        ++counts_.runs;
        ASSERT_EQ(run.violation, "") << "packet " << i << ": " << show({0, packets[i]});
        if (run.unspecified) valid = std::min(valid, i);
        expected.fates.push_back({static_cast<u32>(run.result), Bytes(packet.data_meta, packet.data_end)});
    }
    expected.maps = maps_.contents();
    counts_.unspecified += valid < packets.size();

    for (const TestEngine& engine : test_engines()) {
        auto lowered = lower(verified);
        ASSERT_TRUE(lowered) << lowered.error().message;
        const auto executable = engine.make(std::move(*lowered));
        ASSERT_TRUE(executable) << engine.name << ": " << executable.error().message;
        Outcome got;
        maps_.reset();
        for (const Bytes& bytes : packets) {
            XdpBuff packet = frame_.fill(bytes, room);
            const Entry& entry = (*executable)->entry;
            const u32 result = entry.run(&entry, &packet, &t_run);
            got.fates.push_back({result, Bytes(packet.data_meta, packet.data_end)});
        }
        got.maps = maps_.contents();
        compare(engine.name, expected, valid, got);
        if (HasFatalFailure()) return;
    }
    if (kernel_fd < 0 || valid == 0) return;
    Outcome got;
    kernel_->reset();
    for (const Bytes& bytes : packets) {
        const auto run = kernel::run(kernel_fd, bytes);
        ASSERT_TRUE(run) << run.error().message;
        got.fates.push_back({run->result, run->packet});
        ++counts_.kernel_runs;
    }
    got.maps = kernel_->contents();
    compare("the running kernel", expected, valid, got);
}

/// What every register and every slot of the stack holds is within a state of the verification.
void Adversary::check_states(VerifyRequest request, const VerifiedProgram& verified) {
    RandomProgram source(counts_.programs); // for packets
    RecordedStates states;
    states.record(std::move(request));
    auto lowered = lower(verified);
    ASSERT_TRUE(lowered) << lowered.error().message;
    AbstractionCheck check(verified, *lowered, states);
    const auto executable = interpret_watched(*lowered, check);
    maps_.reset();
    const bool room = uses_helper(verified.insns(), BPF_FUNC_xdp_adjust_tail);
    for (u32 i = 0; i < 4; ++i) {
        XdpBuff packet = frame_.fill(source.packet(), room);
        (void)executable->entry.run(&executable->entry, &packet, &t_run);
        ASSERT_EQ(check.violation(), "");
    }
    counts_.insns_checked += check.insns_checked();
    counts_.bounds_checked += check.bounds_checked();
}

void Adversary::one(u64 seed) {
    RandomProgram source(seed);
    const std::vector<Insn> insns = source.make();
    SCOPED_TRACE(fmt::format("seed {}\n{}", seed, listing(insns)));
    ++counts_.programs;
    VerifyRequest request;
    request.type = find_program_type(BPF_PROG_TYPE_XDP);
    request.insns = insns;
    request.gpl_compatible = true;
    request.map_by_fd = [this](i32 fd) { return maps_.get(fd); };
    VerifierLog log;
    const auto verified = verify(request, log);
    const UniqueFd fd(kernel_ ? kernel_->load(insns, nullptr) : -1);
    const bool kernel_accepts = fd.get() >= 0;
    counts_.ours += verified.has_value();
    counts_.kernel += kernel_accepts;
    counts_.both += verified && kernel_accepts;
    if (!verified) {
        if (kernel_accepts) {
            ++counts_.only_kernel;
            ++counts_.refused_here[shape_of(log.reason)];
            if (std::getenv("XDPLANE_RANDOM_SHOW") != nullptr &&
                shape_of(log.reason).find(std::getenv("XDPLANE_RANDOM_SHOW")) != std::string::npos)
                fmt::print("seed {}: {}\n", seed, log.reason);
        }
        return;
    }
    if (kernel_ && !kernel_accepts) {
        ++counts_.only_ours;
        std::string text;
        (void)UniqueFd(kernel_->load(insns, &text));
        const std::string reason = reason_of(text);
        auto& [count, example] = counts_.refused_there[shape_of(reason)];
        ++count;
        example = seed;
        const bool listed =
            std::any_of(std::begin(kKernelOnly), std::end(kKernelOnly),
                        [&](const auto& known) { return text.find(known.first) != std::string::npos; });
        if (number_from("XDPLANE_RANDOM_STRICT", 0) != 0) {
            EXPECT_TRUE(listed) << "accepted here, refused by the kernel: " << reason << "\n"
                                << text.substr(text.size() > 6000 ? text.size() - 6000 : 0);
        }
    }
    run_all(source, *verified, fd.get());
    if (!HasFatalFailure()) check_states(std::move(request), *verified);
}

void Adversary::report() const {
    fmt::print("{} programs: {} accepted here, {} by the kernel, {} by both, {} here only, {} there only; {} "
               "runs, {} "
               "on the kernel, {} programs with unspecified results\n",
               counts_.programs, counts_.ours, counts_.kernel, counts_.both, counts_.only_ours,
               counts_.only_kernel, counts_.runs, counts_.kernel_runs, counts_.unspecified);
    fmt::print("{} insns within their states, {} results within their bounds\n", counts_.insns_checked,
               counts_.bounds_checked);
    std::vector<std::pair<u64, std::string>> top;
    for (const auto& [message, count] : counts_.refused_here) top.emplace_back(count, message);
    std::sort(top.rbegin(), top.rend());
    for (const auto& [count, message] : top) fmt::print("  refused here only {:6}: {}\n", count, message);
    for (const auto& [message, seen] : counts_.refused_there)
        fmt::print("  refused there only {:6}: {} (seed {})\n", seen.first, message, seen.second);
}

TEST_F(Adversary, AcceptedProgramsAreSafeAndMeanTheSameEverywhere) {
    const std::string refused = kernel::why_unavailable();
    if (refused.empty()) kernel_ = std::make_unique<KernelMaps>();
    const u64 first = number_from("XDPLANE_RANDOM_SEED", 1);
    const u64 rounds = number_from("XDPLANE_RANDOM_ROUNDS", 5000);
    for (u64 seed = first; seed < first + rounds && !HasFailure(); ++seed) one(seed);
    if (std::getenv("XDPLANE_RANDOM_REPORT") != nullptr) report();
    RecordProperty("programs", static_cast<int>(counts_.programs));
    RecordProperty("accepted", static_cast<int>(counts_.ours));
    RecordProperty("accepted_by_both", static_cast<int>(counts_.both));
    if (HasFailure()) return;
    EXPECT_GT(counts_.ours * 5, rounds) << "most programs are refused: nothing is proved";
    if (!refused.empty()) GTEST_SKIP() << "not compared with the kernel: " << refused;
}

} // namespace
} // namespace xdplane::test
