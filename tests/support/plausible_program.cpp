// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
#include "tests/support/plausible_program.h"

#include <fmt/format.h>
#include <iterator>
#include <linux/bpf.h>

/// Registers between pieces: r6 context, r7 data, r8 data_end, r9 a number. Stack: numbers at -8 to -32,
/// scratch at -64 to -33, written.
namespace xdplane::test {

namespace {

enum Maps : u32 { kArray = 1, kHash, kPercpuArray, kPercpuHash, kLru, kLpm, kPrograms, kRing };

} // namespace

const std::vector<PlausibleMap>& plausible_maps() {
    static const std::vector<PlausibleMap> kMaps = {
        {BPF_MAP_TYPE_ARRAY, 4, 32, 8, 0},        {BPF_MAP_TYPE_HASH, 4, 32, 8, 0},
        {BPF_MAP_TYPE_PERCPU_ARRAY, 4, 32, 8, 0}, {BPF_MAP_TYPE_PERCPU_HASH, 4, 32, 8, 0},
        {BPF_MAP_TYPE_LRU_HASH, 4, 32, 8, 0},     {BPF_MAP_TYPE_LPM_TRIE, 8, 32, 8, BPF_F_NO_PREALLOC},
        {BPF_MAP_TYPE_PROG_ARRAY, 4, 4, 4, 0},    {BPF_MAP_TYPE_RINGBUF, 0, 0, 4096, 0},
    };
    return kMaps;
}

u32 PlausibleProgram::about(u32 n) {
    if (!mistake()) return n;
    return one_in(2) || n == 0 ? n + 1 : n - 1;
}

void PlausibleProgram::load_packet() {
    if (!direct_) return;
    const u32 at = type_ == BPF_PROG_TYPE_XDP ? 0 : 76;
    line(fmt::format("r7 = *(u32 *)(r6 + {})", at));
    line(fmt::format("r8 = *(u32 *)(r6 + {})", at + 4));
}

void PlausibleProgram::begin() {
    line("r6 = r1");
    for (i32 off = -64; off < 0; off += 8) line(fmt::format("*(u64 *)(r10 {}) = {}", off, pick(0, 3)));
    load_packet();
    if (direct_) {
        line("r2 = r7");
        line("r2 += 34");
        line("if r2 > r8 goto out");
        line(fmt::format("r9 = *({} *)(r7 + {})", any("u8", "u16", "u32", "u64", "s8", "s32"), pick(0, 26)));
        line("r3 = *(u64 *)(r7 + 8)");
        line("*(u64 *)(r10 - 16) = r3");
        return;
    }
    line("r1 = r6\nr2 = 12\nr3 = r10\nr3 += -8\nr4 = 8\ncall bpf_skb_load_bytes#26");
    line("r9 = *(u64 *)(r10 - 8)");
}

void PlausibleProgram::bounded(const std::string& reg, u32 most, const std::string& skip) {
    if (mistake()) return;
    const std::string w = "w" + reg.substr(1);
    switch (pick(0, 9)) {
    case 0: line(fmt::format("{} &= {}", reg, about(most))); break;
    case 1: line(fmt::format("{} &= {}", w, about(most))); break;
    case 2: line(fmt::format("if {} > {} goto {}", reg, about(most), skip)); break;
    case 3: line(fmt::format("if {} >= {} goto {}", reg, about(most + 1), skip)); break;
    case 4:
        line(fmt::format("if {} s> {} goto {}\nif {} s< 0 goto {}", reg, about(most), skip, reg, skip));
        break;
    case 5: line(fmt::format("{} = {}\nif {} > {} goto {}", w, w, w, about(most), skip)); break;
    case 6: line(fmt::format("{} %= {}", reg, about(most + 1))); break;
    case 7: {
        const std::string in = label();
        line(fmt::format("if {} < {} goto {}\ngoto {}\n{}:", reg, about(most + 1), in, skip, in));
        break;
    }
    case 8: line(fmt::format("r5 = {}\nif {} > r5 goto {}", about(most), reg, skip)); break;
    default: line(fmt::format("r5 = {}\nif r5 < {} goto {}", about(most), reg, skip)); break;
    }
}

void PlausibleProgram::check_end(const std::string& pointer, const std::string& skip) {
    if (mistake()) return;
    const std::string in = label();
    switch (pick(0, 7)) {
    case 0: line(fmt::format("if {} > r8 goto {}", pointer, skip)); return;
    case 1: line(fmt::format("if {} >= r8 goto {}", pointer, skip)); return;
    case 2: line(fmt::format("if r8 < {} goto {}", pointer, skip)); return;
    case 3: line(fmt::format("if r8 <= {} goto {}", pointer, skip)); return;
    case 4: line(fmt::format("if {} <= r8 goto {}", pointer, in)); break;
    case 5: line(fmt::format("if {} < r8 goto {}", pointer, in)); break;
    case 6: line(fmt::format("if r8 >= {} goto {}", pointer, in)); break;
    default: line(fmt::format("if r8 > {} goto {}", pointer, in)); break;
    }
    line(fmt::format("goto {}\n{}:", skip, in));
}

void PlausibleProgram::packet() {
    if (!direct_) return;
    const std::string skip = label();
    const u32 size = pick(1, 60);
    line(fmt::format("r2 = r7\nr2 += {}", size));
    check_end("r2", skip);
    const u32 width = size >= 8 ? 8 : size >= 4 ? 4 : 1;
    const std::string name = fmt::format("u{}", width * 8);
    if (one_in(2))
        line(fmt::format("r3 = *({} *)(r7 + {})", name, about(size - width)));
    else
        line(fmt::format("r3 = *({} *)(r2 - {})", name, about(size)));
    if (one_in(3) && type_ != BPF_PROG_TYPE_CGROUP_SKB) line("*(u8 *)(r7 + 0) = r3");
    line("r9 ^= r3");
    line(skip + ":");
}

void PlausibleProgram::packet_variable() {
    if (!direct_) return;
    const std::string skip = label();
    line("r3 = r9");
    bounded("r3", (1U << pick(1, 8)) - 1, skip);
    line(one_in(2) ? "r2 = r7\nr2 += r3" : "r2 = r3\nr2 += r7");
    const u32 size = pick(1, 20);
    line(fmt::format("r4 = r2\nr4 += {}", size));
    if (one_in(4)) line("*(u64 *)(r10 - 24) = r2");
    check_end("r4", skip);
    if (one_in(4)) line("r2 = *(u64 *)(r10 - 24)");
    line(fmt::format("r9 = *(u8 *)(r2 + {})", about(size - 1)));
    line(skip + ":\n*(u64 *)(r10 - 24) = r9");
}

void PlausibleProgram::lookup() {
    const u32 map = pick(kArray, kLpm);
    const std::string skip = label();
    line("*(u64 *)(r10 - 40) = r9");
    if (one_in(3)) line(fmt::format("*(u32 *)(r10 - 40) = {}", pick(0, 9)));
    line(fmt::format("r2 = r10\nr2 += -40\nr1 = map[fd:{}]\ncall bpf_map_lookup_elem#1", map));
    if (!mistake()) {
        if (one_in(2)) {
            line(fmt::format("if r0 == 0 goto {}", skip));
        } else {
            const std::string in = label();
            line(fmt::format("if r0 != 0 goto {}\ngoto {}\n{}:", in, skip, in));
        }
    }
    switch (pick(0, 3)) {
    case 0: line(fmt::format("r9 = *(u64 *)(r0 + {})", about(24))); break;
    case 1: line(fmt::format("*(u32 *)(r0 + {}) = r9", about(28))); break;
    case 2: line("r1 = 1\nlock *(u64 *)(r0 + 8) += r1"); break;
    default:
        line("r3 = r9");
        bounded("r3", 31, skip);
        line("r0 += r3\nr9 = *(u8 *)(r0 + 0)");
        break;
    }
    line(skip + ":");
}

void PlausibleProgram::update() {
    line("*(u64 *)(r10 - 40) = r9\nr2 = r10\nr2 += -40\nr3 = r10");
    line(fmt::format("r3 += -{}", mistake() ? 24U : pick(0, 1) == 0 ? 64U : 32U));
    line(fmt::format("r4 = {}\nr1 = map[fd:{}]\ncall bpf_map_update_elem#2", pick(0, 2), pick(kArray, kLpm)));
    line("r9 = r0");
}

void PlausibleProgram::counted_loop() {
    const std::string top = label();
    line(fmt::format("r1 = 0\n{}:", top));
    if (one_in(2)) line("r9 += r1");
    if (one_in(3)) line("r2 = r10\nr2 += -64\n*(u8 *)(r2 + 0) = r1");
    if (direct_ && one_in(3)) {
        const std::string skip = label();
        line("r2 = r7\nr2 += r1\nr3 = r2\nr3 += 1");
        check_end("r3", skip);
        line("r4 = *(u8 *)(r2 + 0)\nr9 ^= r4\n" + skip + ":");
    }
    line(fmt::format("r1 += {}", mistake() ? 0 : pick(1, 3)));
    line(fmt::format("if {} {} {} goto {}", any("r1", "w1"), any("<", "s<", "<="), pick(1, 40), top));
}

void PlausibleProgram::loop_by_register() {
    const std::string top = label();
    const std::string skip = label();
    line("r3 = r9");
    bounded("r3", (1U << pick(1, 4)) - 1, skip);
    line(fmt::format("r1 = 0\n{}:\nif r1 >= r3 goto {}", top, skip));
    if (one_in(2)) line("r2 = r10\nr2 += -64\nr2 += r1\n*(u8 *)(r2 + 0) = 7");
    line(fmt::format("r1 += 1\ngoto {}\n{}:", top, skip));
}

void PlausibleProgram::may_goto_loop() {
    const std::string top = label();
    const std::string skip = label();
    line(fmt::format("{}:\nmay_goto {}", top, skip));
    line(any("r9 += 1", "r9 ^= 5", "w9 *= 3", "r1 = r9"));
    if (one_in(3)) line(fmt::format("if r9 == {} goto {}", pick(0, 100), skip));
    line(fmt::format("goto {}\n{}:", top, skip));
    // Where someone relies on what the loop counted, each round is another state: a million insns, and slow.
    line("r9 = *(u64 *)(r10 - 8)");
}

void PlausibleProgram::callback_loop() {
    uses_callback_ = true;
    line(fmt::format("r1 = {}\nr2 = subprog[each]\nr3 = r10\nr3 += -48\nr4 = 0\ncall bpf_loop#181",
                     one_in(3) ? "r9" : std::to_string(pick(1, 30))));
    line("r9 = *(u64 *)(r10 - 48)");
}

void PlausibleProgram::spill() {
    const i32 off = -8 * static_cast<i32>(pick(1, 4));
    line(fmt::format("*(u64 *)(r10 {}) = r9\nr3 = *(u64 *)(r10 {})", off, off));
    const std::string skip = label();
    bounded("r3", 31, skip);
    if (one_in(2)) line(fmt::format("r3 = *(u64 *)(r10 {})", off));
    line("r2 = r10\nr2 += -64\nr2 += r3\nr9 = *(u8 *)(r2 + 0)\n" + skip + ":");
}

void PlausibleProgram::partial_spill() {
    const std::string width = any("u8", "u16", "u32");
    line(fmt::format("*({} *)(r10 - 32) = r9", width));
    line(fmt::format("r3 = *({} *)(r10 - 32)", any("u8", "u16", "u32", "u64", "s8", "s32")));
    const std::string skip = label();
    bounded("r3", 15, skip);
    if (one_in(3)) line("*(u16 *)(r10 - 30) = 0\nr3 = *(u64 *)(r10 - 32)\nr3 &= 15");
    line("r2 = r10\nr2 += -64\nr2 += r3\n*(u8 *)(r2 + 0) = 1\n" + skip + ":");
}

void PlausibleProgram::function_call() {
    if (one_in(2)) {
        uses_function_ = true;
        line("r1 = r9\nr2 = 7\ncall number");
        if (!mistake()) line("r0 &= 15");
        line("r2 = r10\nr2 += -64\nr2 += r0\nr9 = *(u8 *)(r2 + 0)");
        return;
    }
    uses_pointer_function_ = true;
    line(fmt::format("r1 = r10\nr1 += -{}\nr2 = r9\ncall pointer\nr9 ^= r0", mistake() ? 4 : 40));
}

void PlausibleProgram::tail_call() {
    if (one_in(2))
        line(fmt::format("r3 = {}", pick(0, 5)));
    else
        line("r3 = r9");
    line("r1 = r6\nr2 = map[fd:7]\ncall bpf_tail_call#12");
}

void PlausibleProgram::move_packet() {
    if (!direct_ || type_ == BPF_PROG_TYPE_CGROUP_SKB) return;
    line("r1 = r6");
    if (type_ == BPF_PROG_TYPE_XDP)
        line(fmt::format("r2 = {}\ncall {}", static_cast<i32>(pick(0, 16)) - 8,
                         any("bpf_xdp_adjust_head#44", "bpf_xdp_adjust_tail#65")));
    else
        line(fmt::format("r2 = {}\ncall bpf_skb_pull_data#39", pick(0, 60)));
    if (mistake()) return;
    load_packet();
}

void PlausibleProgram::atomic() {
    line("r1 = r9");
    switch (pick(0, 4)) {
    case 0: line("lock *(u64 *)(r10 - 16) += r1"); break;
    case 1: line("r1 = atomic64_fetch_add((u64 *)(r10 - 16), r1)\nr9 = r1"); break;
    case 2: line("r1 = atomic_xchg((u32 *)(r10 - 16), r1)\nr9 = r1"); break;
    case 3: line("r0 = 3\nr0 = atomic64_cmpxchg((u64 *)(r10 - 24), r0, r1)\nr9 = r0"); break;
    default: line(fmt::format("lock *(u32 *)(r10 - {}) |= r1", mistake() ? 15 : 16)); break;
    }
}

void PlausibleProgram::stack_variable() {
    const std::string skip = label();
    line("r3 = r9");
    bounded("r3", 31, skip);
    line(fmt::format("r2 = r10\nr2 += r3\n{}", one_in(2) ? fmt::format("r9 = *(u8 *)(r2 - {})", about(64))
                                                         : fmt::format("*(u8 *)(r2 - {}) = 5", about(64))));
    line(skip + ":");
}

void PlausibleProgram::record() {
    const std::string skip = label();
    const u32 size = 8 * pick(1, 4);
    line(fmt::format("r1 = map[fd:8]\nr2 = {}\nr3 = 0\ncall bpf_ringbuf_reserve#131", size));
    if (!mistake()) line(fmt::format("if r0 == 0 goto {}", skip));
    line(fmt::format("*(u64 *)(r0 + {}) = r9", about(size - 8)));
    if (!mistake())
        line(fmt::format("r1 = r0\nr2 = 0\ncall {}",
                         any("bpf_ringbuf_submit#132", "bpf_ringbuf_discard#133")));
    line(skip + ":");
}

void PlausibleProgram::socket() {
    if (type_ != BPF_PROG_TYPE_XDP && type_ != BPF_PROG_TYPE_SCHED_CLS) return;
    const std::string skip = label();
    line("r1 = r6\nr2 = r10\nr2 += -64\nr3 = 12\nr4 = -1\nr5 = 0\n");
    line("call " + any("bpf_sk_lookup_tcp#84", "bpf_sk_lookup_udp#85"));
    if (!mistake()) line(fmt::format("if r0 == 0 goto {}", skip));
    if (one_in(2)) line(fmt::format("r9 = *(u32 *)(r0 + {})", any("4", "8", "12")));
    if (!mistake()) line("r1 = r0\ncall bpf_sk_release#86");
    line(skip + ":");
}

void PlausibleProgram::narrow() {
    for (u32 n = pick(1, 4); n > 0; --n)
        line(any("w9 += 7", "w9 -= 3", "w9 <<= 3", "w9 >>= 5", "w9 s>>= 4", "w9 *= 5", "w9 /= 3", "w9 %= 10",
                 "w9 = -w9", "w9 &= 1023", "w9 |= 64", "r9 = be16 r9", "r9 = bswap32 r9", "w9 ^= 21"));
}

void PlausibleProgram::signs() {
    line(any("r9 = (s8)r9", "r9 = (s16)r9", "r9 = (s32)r9", "w9 = (s8)w9", "w9 = (s16)w9", "r9 s/= 3",
             "w9 s%= 7", "r9 <<= 32\nr9 s>>= 32", "r9 <<= 56\nr9 >>= 56"));
}

void PlausibleProgram::branch() {
    const std::string other = label();
    line(fmt::format("if {} {} {} goto {}", any("r9", "w9"), any("==", "!=", ">", "s>", "<", "&", "s<="),
                     pick(0, 200), other));
    line(fmt::format("r9 = {}", pick(0, 40)));
    if (one_in(2)) line("*(u64 *)(r10 - 8) = r9");
    line(other + ":");
}

void PlausibleProgram::functions() {
    if (uses_function_)
        line("number:\nr0 = r1\nif r0 > 100 goto number_small\nr0 += r2\nexit\nnumber_small:\nr0 = 3\nexit");
    if (uses_pointer_function_)
        line("pointer:\nr0 = *(u64 *)(r1 + 0)\nif r2 > 3 goto pointer_out\nr1 += r2\n*(u8 *)(r1 + 0) = 9\n"
             "pointer_out:\nexit");
    if (uses_callback_)
        line(one_in(2)
                 ? "each:\nr3 = *(u64 *)(r2 + 0)\nr3 += r1\n*(u64 *)(r2 + 0) = r3\nr0 = 0\nexit"
                 : "each:\n*(u64 *)(r2 + 0) = r1\nr0 = 0\nif r1 < 9 goto each_out\nr0 = 1\neach_out:\nexit");
}

void PlausibleProgram::make() {
    static constexpr u32 kTypes[] = {BPF_PROG_TYPE_XDP, BPF_PROG_TYPE_XDP, BPF_PROG_TYPE_SCHED_CLS,
                                     BPF_PROG_TYPE_SOCKET_FILTER, BPF_PROG_TYPE_CGROUP_SKB};
    static constexpr Piece kPieces[] = {
        &PlausibleProgram::packet,         &PlausibleProgram::packet_variable,
        &PlausibleProgram::lookup,         &PlausibleProgram::lookup,
        &PlausibleProgram::counted_loop,   &PlausibleProgram::loop_by_register,
        &PlausibleProgram::may_goto_loop,  &PlausibleProgram::callback_loop,
        &PlausibleProgram::spill,          &PlausibleProgram::partial_spill,
        &PlausibleProgram::function_call,  &PlausibleProgram::tail_call,
        &PlausibleProgram::move_packet,    &PlausibleProgram::atomic,
        &PlausibleProgram::stack_variable, &PlausibleProgram::record,
        &PlausibleProgram::socket,         &PlausibleProgram::narrow,
        &PlausibleProgram::signs,          &PlausibleProgram::branch,
        &PlausibleProgram::branch,         &PlausibleProgram::update};
    type_ = kTypes[pick(0, std::size(kTypes) - 1)];
    direct_ = type_ != BPF_PROG_TYPE_SOCKET_FILTER;
    begin();
    for (u32 n = pick(2, 10); n > 0; --n) (this->*kPieces[pick(0, std::size(kPieces) - 1)])();
    line(type_ == BPF_PROG_TYPE_CGROUP_SKB && !mistake() ? "r0 = r9\nr0 &= 1" : "r0 = r9");
    line(direct_ ? "exit\nout:\nr0 = 1\nexit" : "exit");
    functions();
}

} // namespace xdplane::test
