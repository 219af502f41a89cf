// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
#include "bpf/lower/stack_pieces.h"

#include <algorithm>

namespace xdplane {
namespace {

using Piece = StackPieces::Piece;

u64 low_bytes(u64 value, i32 bytes) { return bytes >= 8 ? value : value & ((u64{1} << (bytes * 8)) - 1); }

/// The bytes of it that lie in [begin, end), of which there are some.
Piece cut(Piece piece, i32 begin, i32 end) {
    begin = std::max(begin, piece.begin);
    end = std::min(end, piece.end);
    if (begin == piece.begin && end == piece.end) return piece;
    // A register is read whole or not at all.
    if (piece.kind == KeyPiece::Kind::in_register) piece.kind = KeyPiece::Kind::memory;
    piece.constant = piece.kind == KeyPiece::Kind::constant
                         ? low_bytes(piece.constant >> ((begin - piece.begin) * 8), end - begin)
                         : 0;
    if (piece.kind == KeyPiece::Kind::memory) piece.reg = 0;
    piece.begin = begin;
    piece.end = end;
    return piece;
}

} // namespace

void StackPieces::forget(i32 begin, i32 end) {
    std::vector<Piece> kept;
    kept.reserve(pieces_.size() + 1);
    for (const Piece& piece : pieces_) {
        if (piece.begin < begin) kept.push_back(cut(piece, piece.begin, begin));
        if (piece.end > end) kept.push_back(cut(piece, end, piece.end));
    }
    std::erase_if(kept, [](const Piece& piece) { return piece.begin >= piece.end; });
    pieces_ = std::move(kept);
}

void StackPieces::store(const Piece& piece) {
    forget(piece.begin, piece.end);
    const auto at = std::ranges::lower_bound(pieces_, piece.begin, {}, &Piece::begin);
    Piece& placed = *pieces_.insert(at, piece);
    if (placed.kind == KeyPiece::Kind::constant)
        placed.constant = low_bytes(placed.constant, placed.end - placed.begin);
}

void StackPieces::forget_register(u8 reg) {
    for (Piece& piece : pieces_) {
        if (piece.kind != KeyPiece::Kind::in_register || piece.reg != reg) continue;
        piece.kind = KeyPiece::Kind::memory;
        piece.reg = 0;
    }
}

void StackPieces::intersect(const StackPieces& other) {
    std::vector<Piece> both;
    auto a = pieces_.begin();
    auto b = other.pieces_.begin();
    while (a != pieces_.end() && b != other.pieces_.end()) {
        const i32 begin = std::max(a->begin, b->begin);
        const i32 end = std::min(a->end, b->end);
        if (begin < end) {
            Piece piece = cut(*a, begin, end);
            if (piece != cut(*b, begin, end)) piece = {begin, end, KeyPiece::Kind::memory, 0, 0};
            both.push_back(piece);
        }
        if (a->end < b->end)
            ++a;
        else
            ++b;
    }
    pieces_ = std::move(both);
}

std::vector<Piece> StackPieces::within(i32 begin, i32 end) const {
    std::vector<Piece> out;
    for (const Piece& piece : pieces_)
        if (piece.begin < end && piece.end > begin) out.push_back(cut(piece, begin, end));
    return out;
}

} // namespace xdplane
