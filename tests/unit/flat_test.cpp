// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
//
// Filters without jumps: which have such a form, and that bursts are judged as the interpreter judges.
#include "bpf/lower/flat.h"

#include <array>
#include <gtest/gtest.h>
#include <linux/bpf.h>
#include <random>
#include <sys/mman.h>
#include <unistd.h>

#include "bpf/interp/interpreter.h"
#include "bpf/isa/assembler.h"
#include "bpf/jit/disassemble.h"
#include "bpf/jit/jit.h"
#include "bpf/jit/x86_64.h"
#include "bpf/prog/program.h"
#include "bpf/verifier/verifier.h"
#include "pcap_replay/link_type.h"

namespace xdplane {
namespace {

constexpr u32 kPackets = 20'032;
static_assert(kPackets % kBurst == 0);

// --- packets: headers of what filters ask for, cut anywhere ---

class PacketMaker {
public:
    std::vector<u8> make() {
        bytes_.clear();
        for (int i = 0; i < 12; ++i) put8(any({0, 1, 2, 0xff}));
        for (u32 tags = any({0, 0, 0, 1, 2}); tags > 0; --tags) {
            put16(any({0x8100, 0x88a8, 0x9100}));
            put16(any({1, 5, 100}));
        }
        switch (any({0, 0, 0, 1, 1, 2, 3})) {
        case 0: ipv4(); break;
        case 1: ipv6(); break;
        case 2: arp(); break;
        default: put16(any({0x8847, 0x86dd, 0x0800, 60}));
        }
        while (bytes_.size() < 140) put8(static_cast<u32>(random_()));
        if (any({0, 0, 0, 1}) == 1) bytes_[random_() % bytes_.size()] = static_cast<u8>(random_());
        const u32 most = any({60, 80, 140});
        bytes_.resize(random_() % (most + 1));
        return {bytes_.begin(), bytes_.end()};
    }
    u32 any(std::initializer_list<u32> choices) { return choices.begin()[random_() % choices.size()]; }

private:
    void put8(u32 value) { bytes_.push_back(static_cast<u8>(value)); }
    void put16(u32 value) {
        put8(value >> 8);
        put8(value);
    }
    void put32(u32 value) {
        put16(value >> 16);
        put16(value);
    }
    u32 protocol() { return any({6, 6, 17, 17, 1, 58, 44, 50, static_cast<u32>(random_())}); }
    u32 address() { return any({0x0a000001, 0x0a010001, 0xc0a80105, 0xc0a90105, 0xe0000001}); }
    void ipv4() {
        put16(0x0800);
        const u32 words = any({5, 5, 5, 6, 15, 0, 3});
        put8(0x40 | words);
        put8(any({0, 4, 9}));
        put16(any({40, 60, 200}));
        put16(1);
        put16(any({0, 0, 0x4000, 0x2000, 0x1fff, 8}));
        put8(64);
        put8(protocol());
        put16(0);
        put32(address());
        put32(address());
        for (u32 i = 5; i < words; ++i) put32(static_cast<u32>(random_()));
        transport();
    }
    void ipv6() {
        put16(0x86dd);
        put32(0x60000000);
        put16(20);
        put8(protocol());
        put8(64);
        for (int i = 0; i < 2; ++i) {
            put32(0xfd000001);
            put32(any({0, 0, 1}));
            put32(0);
            put32(any({1, 2}));
        }
        transport();
    }
    void arp() {
        put16(any({0x0806, 0x8035}));
        put32(0x00010800);
        put32(0x06040001);
        for (int i = 0; i < 2; ++i) {
            put16(2);
            put32(7);
            put32(address());
        }
    }
    void transport() {
        put16(any({22, 53, 80, 443, 1500, 0x0800, static_cast<u32>(random_())}));
        put16(any({22, 53, 80, 443, 1500, static_cast<u32>(random_())}));
        put32(any({0x08000000, 0x00140000, 7}));
        put32(0);
        put8(any({0x50, 0x60, 0xf0}));
        put8(any({2, 16, 18, 4}));
        put16(512);
        put32(0);
        put32(0x47455420);
    }

    std::mt19937_64 random_{7};
    std::vector<u8> bytes_;
};

struct Packets {
    std::vector<std::vector<u8>> bytes;
    std::vector<XdpBuff> buffs;

    Packets() : bytes(kPackets), buffs(kPackets) {
        PacketMaker maker;
        for (u32 i = 0; i < kPackets; ++i) {
            bytes[i] = maker.make();
            XdpBuff& buff = buffs[i];
            buff.data = buff.data_meta = buff.hard_start = bytes[i].data();
            buff.data_end = buff.frame_end = buff.data + bytes[i].size();
            buff.wire_len = static_cast<u32>(bytes[i].size()) + maker.any({0, 0, 60, 1400});
        }
    }
};
Packets& packets() {
    static Packets all;
    return all;
}

// --- programs ---

Result<LoweredProgram> lowered(std::vector<Insn> insns) {
    VerifyRequest request;
    request.type = find_program_type(BPF_PROG_TYPE_SOCKET_FILTER);
    request.insns = std::move(insns);
    request.gpl_compatible = true;
    VerifierLog log;
    const auto verified = verify(std::move(request), log);
    if (!verified) return fail(verified.error());
    return lower(*verified);
}

Result<LoweredProgram> lowered_filter(const std::string& expression) {
    CaptureFormat format;
    format.link_type = 1;
    const auto classic = compile_filter(expression, format);
    if (!classic) return fail(classic.error());
    auto insns = translate_classic(*classic, ClassicDialect::libpcap);
    if (!insns) return fail(insns.error());
    return lowered(std::move(*insns));
}

/// A page for each packet of a burst, which ends where the page does, and nothing may be read behind it.
class GuardedPages {
public:
    GuardedPages() {
        pages_ = static_cast<u8*>(
            ::mmap(nullptr, 2 * kBurst * page_, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
        for (u32 i = 0; i < kBurst; ++i) ::mprotect(end(i), page_, PROT_NONE);
    }
    ~GuardedPages() { ::munmap(pages_, 2 * kBurst * page_); }
    GuardedPages(const GuardedPages&) = delete;
    GuardedPages& operator=(const GuardedPages&) = delete;

    void place(u32 slot, XdpBuff& buff) const {
        const u32 length = buff.length();
        u8* const data = end(slot) - length;
        std::copy(buff.data, buff.data_end, data);
        buff.data = buff.data_meta = buff.hard_start = data;
        buff.data_end = buff.frame_end = end(slot);
    }

private:
    [[nodiscard]] u8* end(u32 slot) const { return pages_ + (2 * slot + 1) * page_; }

    std::size_t page_ = static_cast<std::size_t>(::sysconf(_SC_PAGESIZE));
    u8* pages_;
};

/// Every packet's verdict in a burst is the interpreter's. Counts those that are not 0.
void expect_same_verdicts(const LoweredProgram& program, u32& wanted) {
    const auto reference = interpret(program);
    const auto compiled = jit(program);
    ASSERT_TRUE(compiled.has_value()) << compiled.error().message;
    const Entry& entry = (*compiled)->entry;
    const GuardedPages pages;
    std::array<XdpBuff, kBurst> burst;
    u32 size = kBurst; // then all smaller ones
    for (u32 i = 0; i < kPackets; i += size, size = size == 1 ? kBurst : size - 1) {
        size = std::min(size, kPackets - i);
        for (u32 k = 0; k < size; ++k) {
            burst[k] = packets().buffs[i + k];
            pages.place(k, burst[k]);
            burst[k].verdict = 0xdeadbeef;
        }
        entry.run_burst(&entry, burst.data(), size, &t_run);
        for (u32 k = 0; k < size; ++k) {
            const u32 expected = reference->entry.run(&reference->entry, &packets().buffs[i + k], &t_run);
            ASSERT_EQ(burst[k].verdict, expected) << "packet " << i + k << " of " << burst[k].length();
            wanted += expected != 0;
        }
    }
}

// --- expressions ---

struct FilterCase {
    const char* expression;
    bool flat = true;
};

const FilterCase kFilters[] = {
    {"ip"},
    {"arp"},
    {"not ip"},
    {"tcp"},
    {"udp"},
    {"icmp or icmp6"},
    {"tcp port 80"},
    {"port 53"},
    {"port 80 or port 443"},
    {"not port 22"},
    {"tcp portrange 1000-2000"},
    {"host 10.0.0.1"},
    {"host 10.1.0.1 and host 192.168.1.5"},
    {"host 10.0.0.1 or host 10.1.0.1 or host 192.168.1.5"},
    {"net 192.168.0.0/16 and tcp"},
    {"host fd00:1::1"},
    {"net fd00:1::/64"},
    {"src host 10.0.0.1 and dst port 53"},
    {"port 53 and host 10.0.0.1"},
    {"tcp[tcpflags] & tcp-syn != 0"},
    {"tcp[tcpflags] & (tcp-syn|tcp-ack) == tcp-syn"},
    {"tcp[((tcp[12:1] & 0xf0) >> 2):4] = 0x47455420"},
    {"icmp[icmptype] = 8"},
    {"ip[6:2] & 0x1fff != 0"},
    {"ip[2:2] > 100 and udp"},
    {"ip[2:2] <= 60"},
    {"ip[1] * 3 > 20"},
    {"ip[2:2] - 40 < 30"},
    {"ip[1] + 5 > 8 and ip[8] | 3 = 67"},
    {"ip[16:4] & 0xffff00ff = 0xc0a80005"},
    {"ip[2:2] & 0x0f0 = 0xc0"},
    {"ip[2:2] << 20 >= 0x80000000"},
    {"ether[0] & 1 != 0"},
    {"ip multicast"},
    {"vlan"},
    {"vlan 100"},
    {"vlan and tcp port 80"},
    {"mpls"},
    {"greater 70"},
    {"less 100 and udp"},
    {"len & 1 != 0"},
    {"ip[100] = 7 or ip6[90:4] > 0x7fffffff"},
    {"ip6 protochain 6", false},                 // jumps back
    {"ip[0] / 16 = 4", false},                   // divides
    {"udp[4:2] > ip[2:2]", false},               // scratch memory
    {"ip[4:4] > 0 and ip[ip[12:4]] > 3", false}, // an offset without a bound
    {"port 1 or port 2 or port 3 or port 4 or port 5 or port 6 or port 7 or port 8 or port 9 or port 10",
     false}, // too long
};

class FlatFilter : public testing::TestWithParam<FilterCase> {};

TEST_P(FlatFilter, JudgesAsTheInterpreter) {
    if (host_backend() == nullptr) GTEST_SKIP() << "no JIT for this machine";
    const auto program = lowered_filter(GetParam().expression);
    ASSERT_TRUE(program.has_value()) << program.error().message;
    EXPECT_EQ(program->flat() != nullptr, GetParam().flat);
    u32 wanted = 0;
    expect_same_verdicts(*program, wanted);
    if (!GetParam().flat) return;
    EXPECT_GT(wanted, 0U);
    EXPECT_LT(wanted, kPackets);
}

/// The code chooses instead of jumping: there are registers enough.
TEST(FlatFilters, HaveCode) {
    for (const FilterCase& filter : kFilters) {
        if (!filter.flat) continue;
        SCOPED_TRACE(filter.expression);
        const auto program = lowered_filter(filter.expression);
        ASSERT_TRUE(program.has_value()) << program.error().message;
        const auto code = x86_64::compile(*program);
        ASSERT_TRUE(code.has_value()) << code.error().message;
        const auto burst = std::span<const u8>(code->bytes).subspan(code->run_burst_offset);
        const auto listing = disassemble_machine_code(burst, 0);
        ASSERT_TRUE(listing.has_value());
        EXPECT_NE(listing->find("cmov"), std::string::npos) << *listing;
    }
}

std::string number(const auto& row) { return fmt::format("{:03}", row.index); }
INSTANTIATE_TEST_SUITE_P(Expressions, FlatFilter, testing::ValuesIn(kFilters),
                         [](const auto& row) { return number(row); });

// --- programs that libpcap does not make ---

struct ProgramCase {
    const char* text;
    bool flat;
};

const ProgramCase kPrograms[] = {
    // Results other than one constant and 0.
    {"r6 = r1\nr0 = *(u8 *)skb[0]\nif w0 > 1 goto a\nr0 = 5\nexit\na:\nif w0 == 2 goto b\nr0 = 6\nexit\nb:\n"
     "w0 = -1\nexit",
     true},
    // Different values of a register where paths meet.
    {"r6 = r1\nw7 = 20\nr0 = *(u8 *)skb[12]\nif w0 == 8 goto a\nw7 = 30\na:\nr0 = *(u8 *)skb[r7 + 3]\n"
     "if w0 > 9 goto b\nr0 = 1\nexit\nb:\nr0 = 0\nexit",
     true},
    {"r6 = r1\nr0 = *(u8 *)skb[12]\nr7 = r0\nr0 = *(u8 *)skb[13]\nif w0 == w7 goto a\nif w0 & w7 goto a\n"
     "w7 += w7\nw7 -= w0\nif w7 > 40 goto a\nw7 ^= w0\nw7 |= w0\nif w7 >= w0 goto b\na:\nr0 = 1\nexit\nb:\n"
     "r0 = 0\nexit",
     true},
    // 64 bits that 32 do not hold.
    {"r6 = r1\nr0 = *(u32 *)skb[0]\nr7 = r0\nr7 += r7\nr7 += 5\nif r7 > 100 goto a\nr0 = 1\nexit\na:\n"
     "r0 = 0\nexit",
     false},
    {"r6 = r1\nr0 = *(u32 *)skb[0]\nif w0 s> 3 goto a\nr0 = 1\nexit\na:\nr0 = 0\nexit", false},
    // A result that is not constant, and one that always is.
    {"r6 = r1\nr0 = *(u8 *)skb[0]\nexit", false},
    {"r0 = 7\nexit", false},
    // Negative offsets count from a header.
    {"r6 = r1\nr0 = *(u8 *)skb[-0x100000]\nif w0 > 3 goto a\nr0 = 1\nexit\na:\nr0 = 0\nexit", false},
    {"r6 = r1\nr0 = *(u8 *)skb[0]\nif w0 > 3 goto a\nr0 = 1\nexit\na:\n*(u32 *)(r6 + 48) = 1\nr0 = 0\nexit",
     false},
    {"r6 = r1\nr0 = *(u8 *)skb[0]\nif w0 > 3 goto a\nr0 = 1\nexit\na:\ncall bpf_get_smp_processor_id#8\n"
     "r0 = 0\nexit",
     false},
};

class FlatProgram : public testing::TestWithParam<ProgramCase> {};

TEST_P(FlatProgram, JudgesAsTheInterpreter) {
    if (host_backend() == nullptr) GTEST_SKIP() << "no JIT for this machine";
    auto insns = assemble(GetParam().text);
    ASSERT_TRUE(insns.has_value()) << insns.error().message;
    const auto program = lowered(std::move(*insns));
    ASSERT_TRUE(program.has_value()) << program.error().message;
    EXPECT_EQ(program->flat() != nullptr, GetParam().flat) << program->disassemble();
    u32 wanted = 0;
    expect_same_verdicts(*program, wanted);
}
INSTANTIATE_TEST_SUITE_P(Table, FlatProgram, testing::ValuesIn(kPrograms),
                         [](const auto& row) { return number(row); });

/// Values that paths bring to the same place in ever more combinations are not walked without end.
TEST(Flat, CombinationsAreBounded) {
    std::string text = "r6 = r1\nw7 = 0\n";
    for (int i = 0; i < 14; ++i)
        text += fmt::format("r0 = *(u8 *)skb[{}]\nif w0 == 8 goto a{}\nw7 += {}\na{}:\n", i, i, 1 << i, i);
    const auto insns = assemble(text + "if w7 > 100000 goto b\nr0 = 1\nexit\nb:\nr0 = 0\nexit");
    ASSERT_TRUE(insns.has_value()) << insns.error().message;
    const auto program = lowered(*insns);
    ASSERT_TRUE(program.has_value()) << program.error().message;
    EXPECT_EQ(program->flat(), nullptr);
}

} // namespace
} // namespace xdplane
