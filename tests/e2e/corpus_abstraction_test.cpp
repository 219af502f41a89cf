// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
//
// The corpus of real-sized programs (tests/programs), run on packets while the interpreter checks at every
// insn that registers and stack are within a state that the verifier proved safe. The argument is the list of
// objects; those that are refused are for other tests.
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <fstream>
#include <gtest/gtest.h>
#include <random>
#include <string>
#include <vector>

#include "bpf/libbpf/object.h"
#include "bpf/syscall/bpf_system.h"
#include "tests/support/watched_engine.h"

namespace xdplane {
namespace {

using Bytes = std::vector<u8>;

/// Packets of the kinds that the programs look for, then filled up and damaged at random.
std::vector<Bytes> make_packets() {
    static const Bytes kEthernet = {2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2};
    const std::vector<Bytes> kStarts = {
        // IPv4: TCP SYN to port 80; UDP to 53, 123, 4789 and 6081; ICMP echo; a GRE or IPIP payload.
        {8,  0, 0x45, 0, 0, 60, 0, 1, 0, 0,    64, 6,    0,    0, 10, 0, 0, 1, 10, 0, 0,    2, 4, 1, 0,
         80, 0, 0,    0, 1, 0,  0, 0, 0, 0xa0, 2,  0xff, 0xff, 0, 0,  0, 0, 2, 4,  5, 0xb4, 4, 2, 8, 10},
        {8,  0, 0x45, 0, 0, 60, 0, 1, 0, 0, 64, 17, 0, 0, 10, 0, 0,   1,   10,  0, 0,   2,   4, 1, 0, 53, 0,
         40, 0, 0,    0, 1, 1,  0, 0, 1, 0, 0,  0,  0, 0, 0,  3, 'w', 'w', 'w', 2, 'd', 'e', 0, 0, 1, 0,  1},
        {8, 0, 0x45, 0, 0, 76, 0, 1, 0, 0,   64, 17, 0, 0, 10,  0,
         0, 1, 10,   0, 0, 2,  4, 1, 0, 123, 0,  56, 0, 0, 0x23},
        {8, 0, 0x45, 0, 0, 90, 0, 1, 0,    0,    64, 17, 0, 0, 10, 0,
         0, 1, 10,   0, 0, 2,  4, 1, 0x12, 0xb5, 0,  70, 0, 0, 8},
        {8, 0, 0x45, 0, 0, 90, 0, 1, 0,    0,    64, 17, 0, 0, 10, 0,
         0, 1, 10,   0, 0, 2,  4, 1, 0x17, 0xc1, 0,  70, 0, 0, 1},
        {8, 0, 0x45, 0, 0, 60, 0, 1, 0, 0, 64, 1, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2, 8, 0, 0, 0, 0, 1, 0, 2},
        {8, 0, 0x46, 0, 0, 60, 0, 1, 0, 0, 64, 4, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2, 1, 1, 1, 0, 0x45},
        // IPv6: TCP, extension headers, ICMPv6 neighbour solicitation.
        {0x86, 0xdd, 0x60, 0, 0, 0, 0, 20, 6, 64, 0xfe, 0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1},
        {0x86, 0xdd, 0x60, 0, 0, 0, 0, 40, 0, 64, 0xfe, 0x80, 0, 0, 0, 0, 0,  0, 0, 0, 0, 0, 0, 0, 0, 1,
         0xfe, 0x80, 0,    0, 0, 0, 0, 0,  0, 0,  0,    0,    0, 0, 0, 2, 43, 0, 1, 4, 0, 0, 0, 0, 6, 0},
        {0x86, 0xdd, 0x60, 0, 0,    0,    0, 32, 58, 255, 0xfe, 0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0,   0,
         0,    0,    0,    1, 0xfe, 0x80, 0, 0,  0,  0,   0,    0,    0, 0, 0, 0, 0, 0, 0, 2, 135, 0},
        {0x81, 0, 0, 5, 8, 0, 0x45, 0, 0, 60, 0, 1, 0, 0, 64, 6},      // a VLAN
        {0x88, 0xa8, 0, 5, 0x81, 0, 0, 6, 8, 0, 0x45, 0, 0, 60},       // two
        {8, 6, 0, 1, 8, 0, 6, 4, 0, 1, 2, 0, 0, 0, 0, 2, 10, 0, 0, 1}, // ARP
    };
    std::mt19937 random(1);
    std::vector<Bytes> packets;
    for (const Bytes& start : kStarts)
        for (u32 round = 0; round < 4; ++round) {
            Bytes packet = kEthernet;
            packet.insert(packet.end(), start.begin(), start.end());
            packet.resize(std::max<std::size_t>(packet.size(), 60 + random() % 140));
            for (std::size_t i = 12 + start.size(); i < packet.size(); ++i)
                packet[i] = static_cast<u8>(round == 0 ? 0 : random() % (round == 1 ? 256 : 4));
            if (round == 3) packet[14 + random() % (packet.size() - 14)] = static_cast<u8>(random());
            packets.push_back(std::move(packet));
        }
    return packets;
}

u64 run_programs(bpf_object* object, const std::vector<Bytes>& packets) {
    u64 runs = 0;
    bpf_program* program = nullptr;
    bpf_object__for_each_program(program, object) {
        for (const Bytes& packet : packets) {
            Bytes out(4096);
            LIBBPF_OPTS(bpf_test_run_opts, options);
            options.data_in = packet.data();
            options.data_size_in = static_cast<u32>(packet.size());
            options.data_out = out.data();
            options.data_size_out = static_cast<u32>(out.size());
            if (bpf_prog_test_run_opts(bpf_program__fd(program), &options) == 0) ++runs;
        }
    }
    return runs;
}

class CorpusAbstraction : public testing::Test {
public:
    static inline std::string s_list;
};

TEST_F(CorpusAbstraction, WhatRunsIsWithinWhatWasProved) {
    set_engine(Engine::interpreter);
    const std::vector<Bytes> packets = make_packets();
    std::ifstream list(s_list);
    u64 objects = 0;
    u64 runs = 0;
    test::WatchedPrograms total;
    for (std::string path; std::getline(list, path);) {
        if (path.empty()) continue;
        {
            auto object = Object::open(path);
            ASSERT_TRUE(object) << object.error().message;
            if (!(*object)->load()) {
                (void)test::take_watched_programs();
                continue;
            }
            ++objects;
            runs += run_programs((*object)->handle(), packets);
        }
        const test::WatchedPrograms watched = test::take_watched_programs();
        for (const std::string& violation : watched.violations) ADD_FAILURE() << path << ": " << violation;
        total.programs += watched.programs;
        total.unchecked += watched.unchecked;
        total.insns_checked += watched.insns_checked;
        total.bounds_checked += watched.bounds_checked;
    }
    std::printf("%llu objects, %llu programs (%llu without states), %llu runs, %llu insns, %llu bounds\n",
                static_cast<unsigned long long>(objects), static_cast<unsigned long long>(total.programs),
                static_cast<unsigned long long>(total.unchecked), static_cast<unsigned long long>(runs),
                static_cast<unsigned long long>(total.insns_checked),
                static_cast<unsigned long long>(total.bounds_checked));
    EXPECT_GT(objects, 30U);
    EXPECT_GT(total.insns_checked, 100'000U);
}

} // namespace
} // namespace xdplane

int main(int argc, char** argv) {
    testing::InitGoogleTest(&argc, argv);
    if (argc != 2) return 2;
    xdplane::CorpusAbstraction::s_list = argv[1];
    return RUN_ALL_TESTS();
}
