// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
#pragma once
#include <vector>

#include "bpf/lower/lowered.h"

namespace xdplane {

/// What is known of the bytes of a stack frame: which of them one store wrote together, and what.
class StackPieces {
public:
    /// Bytes [begin, end), counted from r10.
    struct Piece {
        i32 begin;
        i32 end;
        KeyPiece::Kind kind;
        u8 reg;       ///< kind in_register: the low bytes of it
        u64 constant; ///< kind constant: the low bytes of it

        friend bool operator==(const Piece&, const Piece&) = default;
    };

    void clear() { pieces_.clear(); }
    /// Nothing is known of these bytes any more.
    void forget(i32 begin, i32 end);
    void store(const Piece& piece);
    /// The register gets another value.
    void forget_register(u8 reg);
    /// What is known both here and there: where paths meet.
    void intersect(const StackPieces& other);
    /// The part of what is known that lies in [begin, end), in order.
    [[nodiscard]] std::vector<Piece> within(i32 begin, i32 end) const;

private:
    std::vector<Piece> pieces_; ///< in order, apart from each other
};

} // namespace xdplane
