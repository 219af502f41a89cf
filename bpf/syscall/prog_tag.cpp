// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
#include "bpf/syscall/prog_tag.h"

#include <boost/uuid/detail/sha1.hpp>

#include "bpf/isa/opcodes.h"

namespace xdplane {

std::array<u8, 8> program_tag(std::span<const Insn> insns) {
    const u8 wide = encode(Op::ld_imm64, 0, 0, 0, 0).opcode;
    boost::uuids::detail::sha1 hash;
    bool second_slot = false;
    for (Insn insn : insns) {
        if (!second_slot && insn.opcode == wide && (insn.src == kMapFd || insn.src == kMapValue)) {
            second_slot = true;
            insn.imm = 0;
        } else {
            if (second_slot && insn.opcode == 0 && insn.dst == 0 && insn.src == 0 && insn.off == 0)
                insn.imm = 0;
            second_slot = false;
        }
        hash.process_bytes(&insn, sizeof insn);
    }
    boost::uuids::detail::sha1::digest_type digest;
    hash.get_digest(digest);
    std::array<u8, 8> tag{};
    for (u32 i = 0; i < tag.size(); ++i) tag[i] = static_cast<u8>(digest[i / 4] >> (24 - i % 4 * 8));
    return tag;
}

} // namespace xdplane
