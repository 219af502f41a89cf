// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
#include <algorithm>

#include "bpf/lower/draft.h"

namespace xdplane {

Op load_op(u32 bits) {
    switch (bits) {
    case 8: return Op::ldx8;
    case 16: return Op::ldx16;
    case 32: return Op::ldx32;
    default: return Op::ldx64;
    }
}

namespace {

Op store_op(OpKind kind, u32 bits) {
    const bool from_register = kind == OpKind::stx;
    switch (bits) {
    case 8: return from_register ? Op::stx8 : Op::st8;
    case 16: return from_register ? Op::stx16 : Op::st16;
    case 32: return from_register ? Op::stx32 : Op::st32;
    default: return from_register ? Op::stx64 : Op::st64;
    }
}

Op sign_extension(u32 bits) {
    switch (bits) {
    case 8: return Op::movsx8_64;
    case 16: return Op::movsx16_64;
    default: return Op::movsx32_64;
    }
}

/// An access of `bits` that starts `delta` bytes into a field.
struct Access {
    const CtxField& field;
    u32 delta;
    u32 bits;

    /// Linux narrows what it has loaded only where that is wider than what was asked for.
    [[nodiscard]] bool is_whole() const {
        return !field.bytes && field.access != CtxAccess::flag && bits >= field.width;
    }
    /// Bits that XdpBuff holds for it; 0 if it only covers the zeros of a field that is narrower in XdpBuff
    /// than in the program's view.
    [[nodiscard]] u32 stored_bits() const {
        if (field.bytes) return bits;
        if (is_whole()) return field.width;
        return field.width > delta * 8 ? std::min(bits, field.width - delta * 8) : 0;
    }
    [[nodiscard]] i32 offset() const { return static_cast<i32>(field.offset + (is_whole() ? 0 : delta)); }
};

class Rewriter {
public:
    Rewriter(u32 origin, std::vector<DraftInsn>& out) : origin_(origin), out_(out) {}

    void load(const Insn& insn, const OpcodeInfo& row, const Access& access) {
        switch (access.field.access) {
        case CtxAccess::direct:
        case CtxAccess::queue_mapping:
        case CtxAccess::flag:
            if (access.stored_bits() == 0) {
                add(Op::mov32_imm, insn.dst, 0, 0, 0);
            } else {
                add(load_op(access.stored_bits()), insn.dst, insn.src, access.offset(), 0);
            }
            break;
        case CtxAccess::pointer: add(Op::ldx64, insn.dst, insn.src, access.field.offset, 0); return;
        case CtxAccess::zero: add(Op::mov32_imm, insn.dst, 0, 0, 0); return;
        case CtxAccess::length:
            add(Op::ctx_length, insn.dst, insn.src, 0, 0);
            if (access.delta > 0) add(Op::rsh32_imm, insn.dst, 0, 0, access.delta * 8);
            if (access.bits < 32) add(Op::and32_imm, insn.dst, 0, 0, (i64{1} << access.bits) - 1);
            break;
        }
        if (row.code != Code::none) add(sign_extension(row.width), insn.dst, insn.dst, 0, 0);
    }

    void store(const Insn& insn, const OpcodeInfo& row, const Access& access) {
        if (access.stored_bits() == 0) return;
        if (access.field.access == CtxAccess::queue_mapping) {
            constexpr i64 none = 0xffff;                            // Linux's NO_QUEUE_MAPPING
            if (row.kind == OpKind::st && insn.imm >= none) return; // as Linux: -1 is less
            if (row.kind == OpKind::stx) add(Op::jge64_imm, insn.src, 0, static_cast<i32>(origin_ + 1), none);
        }
        add(store_op(row.kind, access.stored_bits()), insn.dst, insn.src, access.offset(), insn.imm);
    }

private:
    void add(Op op, u8 dst, u8 src, i32 off, i64 imm) {
        out_.push_back({make_insn(op, dst, src, off, imm), origin_});
    }

    u32 origin_;
    std::vector<DraftInsn>& out_;
};

} // namespace

void rewrite_ctx_access(const Insn& insn, const InsnFacts& facts, u32 origin, std::vector<DraftInsn>& out) {
    const OpcodeInfo& row = info(facts.op);
    const Access access{*facts.field, static_cast<u32>(insn.off) - facts.field->begin, row.width};
    Rewriter rewriter(origin, out);
    if (row.kind == OpKind::ldx) {
        rewriter.load(insn, row, access);
    } else {
        rewriter.store(insn, row, access);
    }
}

} // namespace xdplane
