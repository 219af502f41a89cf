// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
//
// Classic BPF: what libpcap accepts translates, passes the verifier, and judges as bpf_filter() does on every
// engine. What Linux's dialect accepts passes the verifier too.
//
// Input: length of the packet (1 byte), bytes cut off on the wire (1), the packet, the program.
#include <cstdio>
#include <cstdlib>
#include <linux/bpf.h>
#include <vector>

#include "bpf/lower/lowered.h"
#include "bpf/prog/classic.h"
#include "bpf/run/run_context.h"
#include "bpf/verifier/verifier.h"
#include "tests/fuzz/guarded_frame.h"
#include "tests/fuzz/input.h"
#include "tests/fuzz/target.h"
#include "tests/support/engines.h"
#include "tests/support/pcap_oracle.h"

using namespace xdplane;
using fuzz::GuardedFrame;

namespace {

/// Writes every word of scratch memory first: libpcap leaves it undefined, Linux refuses to read it. Jumps
/// are relative, so this may stand in front of any program.
std::vector<ClassicInsn> with_scratch_memory(std::vector<ClassicInsn> program) {
    constexpr u16 kLoad = 0x00;
    constexpr u16 kLoadX = 0x01;
    constexpr u16 kStore = 0x02;
    std::vector<ClassicInsn> whole;
    for (u32 word = 0; word < 16; ++word) {
        whole.push_back({kLoad, 0, 0, word * 0x01010101});
        whole.push_back({kStore, 0, 0, word});
    }
    whole.push_back({kLoad, 0, 0, 0});
    whole.push_back({kLoadX, 0, 0, 0});
    whole.insert(whole.end(), program.begin(), program.end());
    return whole;
}

VerifiedProgram verified(const std::vector<Insn>& insns) {
    VerifyRequest request;
    request.type = find_program_type(BPF_PROG_TYPE_SOCKET_FILTER);
    request.insns = insns;
    request.gpl_compatible = true;
    VerifierLog log;
    auto result = verify(std::move(request), log);
    if (!result) {
        std::fprintf(stderr, "the verifier refuses a translation: %s\n", result.error().message.c_str());
        std::abort();
    }
    return std::move(*result);
}

u32 run(const Executable& program, std::span<const u8> packet, u32 wire_len, GuardedFrame::Flush flush) {
    static GuardedFrame frame;
    XdpBuff buff;
    frame.fill(packet, flush, buff);
    buff.wire_len = wire_len;
    const auto before = frame.bytes();
    const u32 result = program.entry.run(&program.entry, &buff, &t_run);
    if (frame.bytes() != before) std::abort();
    return result;
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    fuzz::Input input({data, size});
    const auto length = input.take<u8>();
    const u32 cut = input.take<u8>();
    const auto packet = input.take(std::size_t{length});
    std::vector<ClassicInsn> program;
    while (!input.empty() && program.size() < kMaxClassicInsns - 64)
        program.push_back(input.take<ClassicInsn>());
    const u32 wire_len = static_cast<u32>(packet.size()) + cut;

    if (const auto insns = translate_classic(program, ClassicDialect::linux_kernel)) {
        const VerifiedProgram whole = verified(*insns);
        for (const TestEngine& engine : test_engines()) {
            const auto executable = engine.make(std::move(*lower(whole)));
            if (!executable) std::abort();
            for (const auto flush : {GuardedFrame::Flush::end, GuardedFrame::Flush::start})
                run(**executable, packet, wire_len, flush);
        }
    }

    program = with_scratch_memory(program);
    if (!libpcap_accepts(program)) return 0;
    const auto insns = translate_classic(program, ClassicDialect::libpcap);
    if (!insns) {
        // libpcap looks at some bits of an opcode only, and aborts when it meets what they let through.
        if (insns.error().message.find("unknown opcode") != std::string::npos) return 0;
        std::fprintf(stderr, "libpcap accepts what we do not: %s\n", insns.error().message.c_str());
        std::abort();
    }
    const VerifiedProgram whole = verified(*insns);
    const u32 expected = libpcap_run(program, packet, wire_len);
    for (const TestEngine& engine : test_engines()) {
        const auto executable = engine.make(std::move(*lower(whole)));
        if (!executable) std::abort();
        for (const auto flush : {GuardedFrame::Flush::end, GuardedFrame::Flush::start}) {
            const u32 result = run(**executable, packet, wire_len, flush);
            if (result == expected) continue;
            std::fprintf(stderr, "%s: %u, libpcap: %u\n", engine.name, result, expected);
            std::abort();
        }
    }
    return 0;
}
