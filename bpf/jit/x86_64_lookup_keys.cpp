// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
//
// The bytes of a key, from wherever they are cheapest to have.
#include <algorithm>
#include <bit>

#include "bpf/jit/x86_64_lookup.h"

namespace xdplane::x86_64 {

using asmjit::Imm;
namespace x86 = asmjit::x86;

namespace {

/// Bytes that one load takes of `size`: a power of two.
u32 loaded_at_once(u32 size) { return std::min(8U, std::bit_floor(size)); }

} // namespace

x86::Mem LookupEmitter::key_bytes(u32 begin, u32 size) const {
    const i32 at = static_cast<i32>(begin);
    return key_ != nullptr ? x86::ptr(machine_reg(R10, 64), key_->stack_offset + at, size)
                           : x86::ptr(kKey, at, size);
}

/// Bytes [begin, begin + size) of the key, without a gap: what nothing is known of are pieces too.
std::vector<KeyPiece> LookupEmitter::pieces_of(u32 begin, u32 size) const {
    std::vector<KeyPiece> out;
    const u32 end = begin + size;
    u32 at = begin;
    const auto unknown_until = [&](u32 to) {
        if (at < to)
            out.push_back({static_cast<u8>(at), static_cast<u8>(to - at), KeyPiece::Kind::memory, 0, 0});
        at = std::max(at, to);
    };
    if (key_ != nullptr) {
        for (KeyPiece piece : key_->pieces) {
            const u32 piece_end = piece.begin + u32{piece.size};
            if (piece_end <= at || piece.begin >= end) continue;
            unknown_until(piece.begin);
            const u32 cut_end = std::min(piece_end, end);
            const bool whole = piece.begin == at && piece_end == cut_end;
            // What is not the whole store is loaded, as are registers that the lookup itself changes.
            if (piece.kind == KeyPiece::Kind::constant)
                piece.constant >>= (at - piece.begin) * 8;
            else if (!whole || !survives(piece.reg))
                piece.kind = KeyPiece::Kind::memory;
            piece.begin = static_cast<u8>(at);
            piece.size = static_cast<u8>(cut_end - at);
            if (piece.kind == KeyPiece::Kind::constant && piece.size < 8)
                piece.constant &= (u64{1} << (piece.size * 8)) - 1;
            out.push_back(piece);
            at = cut_end;
        }
    }
    unknown_until(end);
    return out;
}

/// to = those bytes, zero-extended. Changes rdx.
void LookupEmitter::load_key_word(const Gp& to, u32 begin, u32 size) {
    bool first = true;
    u64 constant = 0;
    for (const KeyPiece& piece : pieces_of(begin, size)) {
        if (piece.kind == KeyPiece::Kind::constant) {
            constant |= piece.constant << ((piece.begin - begin) * 8);
            continue;
        }
        add_bytes(to, first, begin, piece);
        first = false;
    }
    if (first) {
        emit_.load_constant(to, constant);
    } else if (constant != 0) {
        emit_.load_constant(x86::rdx, constant);
        a_.or_(to, x86::rdx);
    }
}

/// Puts the piece's bytes, counted from byte `at` of the key, into `to`.
void LookupEmitter::add_bytes(const Gp& to, bool first, u32 at, const KeyPiece& piece) {
    u32 begin = piece.begin;
    const u32 end = begin + piece.size;
    while (begin < end) {
        const u32 size = loaded_at_once(end - begin);
        const Gp part = first ? to : x86::rdx;
        if (piece.kind == KeyPiece::Kind::in_register) {
            const Gp from = machine_reg(piece.reg, size * 8);
            if (size < 4) {
                a_.movzx(part.r32(), from);
            } else {
                a_.mov(sized(part, size * 8), from);
            }
        } else {
            load_bytes(part, begin, size);
        }
        if (begin > at) a_.shl(part.r64(), Imm((begin - at) * 8));
        if (!first) a_.or_(to.r64(), part.r64());
        first = false;
        begin += size;
    }
}

void LookupEmitter::load_bytes(const Gp& to, u32 begin, u32 size) {
    const x86::Mem from = key_bytes(begin, size);
    if (size < 4) {
        a_.movzx(to.r32(), from);
    } else {
        a_.mov(sized(to, size * 8), from);
    }
}

} // namespace xdplane::x86_64
