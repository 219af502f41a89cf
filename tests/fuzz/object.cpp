// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
//
// Object files: one line of error, or programs that stock libbpf loads and that run on a packet.
#include <cstdio>
#include <cstdlib>
#include <elf.h>
#include <linux/bpf.h>
#include <random>

#include "bpf/libbpf/object.h"
#include "bpf/syscall/test_run.h"
#include "tests/fuzz/input.h"
#include "tests/fuzz/target.h"

using namespace xdplane;

namespace {

void expect_one_line(const Error& error) {
    if (error.code > 0 && error.message.starts_with("fuzz.bpf.o: ") &&
        error.message.find('\n') == std::string::npos)
        return;
    std::fprintf(stderr, "%d '%s'\n", error.code, error.message.c_str());
    std::abort();
}

void run(const Program& program) {
    std::vector<u8> packet(100);
    for (std::size_t i = 0; i < packet.size(); ++i) packet[i] = static_cast<u8>(i);
    TestRun test;
    test.data = packet;
    const u32 type = program.parts().type->type;
    if (type == BPF_PROG_TYPE_XDP)
        (void)test.run_xdp(program);
    else if ((program.parts().type->use_bit & kUseSkb) != 0)
        (void)test.run_skb(program);
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    const auto object = Object::open({data, size}, "fuzz.bpf.o");
    if (!object) {
        expect_one_line(object.error());
        return 0;
    }
    if (const auto loaded = (*object)->load(); !loaded) {
        expect_one_line(loaded.error());
        return 0;
    }
    for (const auto& info : (*object)->programs())
        if (const auto program = (*object)->program(info.name)) run(*program);
    return 0;
}

/// Half of the time, a field where libbpf looks: a section header, or a word of a section's contents.
extern "C" size_t LLVMFuzzerCustomMutator(uint8_t* data, size_t size, size_t max_size, unsigned seed) {
    constexpr u64 kEdges[] = {0,    1,          2,          4,          7,          8,        16,
                              0x7f, 0xff,       0xffff,     0x10000,    0x7fffffff, 1U << 31, 0xfffffff8,
                              ~0U,  1ULL << 32, ~0ULL >> 1, 1ULL << 63, ~0ULL - 7,  ~0ULL};
    std::minstd_rand random(seed);
    const auto pick = [&random](u64 below) { return static_cast<u64>(random() >> 3) % below; };
    Elf64_Ehdr header{};
    if (size >= sizeof header) std::memcpy(&header, data, sizeof header);
    const bool sound = header.e_shnum != 0 && header.e_shoff < size &&
                       u64{header.e_shnum} * sizeof(Elf64_Shdr) <= size - header.e_shoff;
    if (!sound || pick(2) == 0) return LLVMFuzzerMutate(data, size, max_size);
    u8* at = data + header.e_shoff + pick(header.e_shnum) * sizeof(Elf64_Shdr);
    Elf64_Shdr section{};
    std::memcpy(&section, at, sizeof section);
    u64 value = kEdges[pick(std::size(kEdges))];
    if (pick(3) == 0) { // of the header: name, type, flags, ... in steps of 4
        const u64 field = 4 * pick(sizeof section / 4);
        std::memcpy(at + field, &value, std::min<u64>(pick(2) == 0 ? 4 : 8, sizeof section - field));
        return size;
    }
    const bool contents = section.sh_type != SHT_NOBITS && section.sh_size >= 8 && section.sh_offset < size &&
                          section.sh_size <= size - section.sh_offset;
    if (!contents) return size;
    at = data + section.sh_offset + pick(section.sh_size / 4) * 4;
    const u64 room = std::min<u64>(8, static_cast<u64>(data + size - at));
    if (pick(2) == 0) { // near what it was
        std::memcpy(&value, at, std::min<u64>(4, room));
        value += pick(5) - 2;
    }
    std::memcpy(at, &value, std::min(room, u64{1} << pick(4)));
    return size;
}
