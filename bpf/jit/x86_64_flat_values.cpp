// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
#include "bpf/jit/x86_64_flat.h"

#include <array>

namespace xdplane::x86_64 {
namespace {

using asmjit::Imm;
namespace x86 = asmjit::x86;
using Kind = Flat::Kind;
using Value = Flat::Value;

/// For values, results and constants; the first ones have the shortest code.
constexpr std::array kFree{x86::rbp, x86::r15, x86::r14, x86::r13, x86::r11, x86::r10,
                           x86::r9,  x86::r8,  x86::rbx, x86::rcx, x86::rax};

} // namespace

FlatValues::FlatValues(x86::Assembler& assembler, const Flat& flat)
    : a_(assembler),
      flat_(flat),
      free_(kFree.begin(), kFree.end()),
      uses_(flat.values.size()),
      kept_(flat.values.size()) {}

void FlatValues::use(i32 index) {
    if (index >= 0) ++uses_[static_cast<u32>(index)];
}

void FlatValues::use_operands() {
    for (std::size_t i = flat_.values.size(); i-- > 0;) {
        if (uses_[i] == 0) continue;
        use(flat_.values[i].a);
        use(flat_.values[i].b);
    }
}

Gp FlatValues::take() {
    if (free_.empty()) {
        failed_ = true;
        return x86::rax;
    }
    const Gp reg = free_.back();
    free_.pop_back();
    return reg;
}

std::optional<Gp> FlatValues::take_for_good() {
    if (free_.size() <= 1) {
        failed_ = true;
        return {};
    }
    const Gp reg = free_.front();
    free_.erase(free_.begin());
    return reg;
}

bool FlatValues::is_masked_load(const Value& masked) const {
    return masked.kind == Kind::alu && masked.code == Code::and_ && masked.b < 0 &&
           flat_.is_near(at(masked.a));
}

/// As cheap to load again as to keep.
bool FlatValues::is_cheap(const Value& value) const {
    return value.kind == Kind::constant || value.kind == Kind::field || flat_.is_near(value) ||
           is_masked_load(value);
}

bool FlatValues::is_needed_once(i32 index) const {
    const auto i = static_cast<u32>(index);
    return uses_[i] == 1 && !kept_[i];
}

Gp FlatValues::get(i32 index) {
    const auto i = static_cast<u32>(index);
    if (kept_[i]) return *kept_[i];
    const Value& wanted = flat_.values[i];
    const Gp reg = compute(wanted);
    if (uses_[i] > 1 && !is_cheap(wanted)) kept_[i] = reg;
    return reg;
}

void FlatValues::release(i32 index, const Gp& reg) {
    const auto i = static_cast<u32>(index);
    if (!is_cheap(flat_.values[i])) --uses_[i];
    if (kept_[i] && uses_[i] > 0) return;
    kept_[i].reset();
    give_back(reg);
}

/// As get(), and the register is the caller's, to change it.
Gp FlatValues::get_own(i32 index) {
    const Gp reg = get(index);
    const auto i = static_cast<u32>(index);
    if (!kept_[i] || uses_[i] == 1) {
        if (!is_cheap(flat_.values[i])) --uses_[i];
        kept_[i].reset();
        return reg;
    }
    const Gp own = take();
    a_.mov(own.r32(), reg.r32());
    release(index, reg);
    return own;
}

Gp FlatValues::compute(const Value& wanted) {
    switch (wanted.kind) {
    case Kind::constant: {
        const Gp reg = take();
        a_.mov(reg.r32(), Imm(wanted.imm));
        return reg;
    }
    case Kind::field: {
        const Gp reg = take();
        read(reg, x86::ptr(kPacket, static_cast<i32>(wanted.imm), wanted.size));
        return reg;
    }
    case Kind::load: {
        if (!flat_.is_near(wanted)) {
            const Gp reg = safe_offset(wanted);
            read(reg, x86::ptr(kData, reg, 0, 0, wanted.size));
            to_host_order(reg, wanted.size);
            return reg;
        }
        const Gp reg = take();
        read(reg, near(wanted));
        to_host_order(reg, wanted.size);
        return reg;
    }
    case Kind::alu: break;
    }
    return operate(wanted);
}

Gp FlatValues::operate(const Value& wanted) {
    // The second one first, so that the copy of the first is not there while it is made.
    const std::optional<Gp> second = wanted.b < 0 ? std::nullopt : std::optional(get(wanted.b));
    const Gp reg = get_own(wanted.a);
    const Gp dst = reg.r32();
    const auto with = [&](auto emit) {
        if (second) {
            emit(second->r32());
        } else {
            emit(Imm(static_cast<i32>(wanted.imm)));
        }
    };
    switch (wanted.code) {
    case Code::add: with([&](const auto& by) { a_.add(dst, by); }); break;
    case Code::sub: with([&](const auto& by) { a_.sub(dst, by); }); break;
    case Code::or_: with([&](const auto& by) { a_.or_(dst, by); }); break;
    case Code::and_: with([&](const auto& by) { a_.and_(dst, by); }); break;
    case Code::xor_: with([&](const auto& by) { a_.xor_(dst, by); }); break;
    case Code::mul: a_.imul(dst, dst, Imm(static_cast<i32>(wanted.imm))); break;
    case Code::lsh: a_.shl(dst, Imm(wanted.imm)); break;
    default: a_.shr(dst, Imm(wanted.imm)); break;
    }
    if (second) release(wanted.b, *second);
    return reg;
}

x86::Mem FlatValues::near(const Value& load) {
    return x86::ptr(kData, static_cast<i32>(load.imm), load.size);
}

void FlatValues::read(const Gp& reg, const x86::Mem& from) {
    if (from.size() == 4) {
        a_.mov(reg.r32(), from);
    } else {
        a_.movzx(reg.r32(), from);
    }
}

void FlatValues::to_host_order(const Gp& reg, u32 size) {
    if (size == 4) a_.bswap(reg.r32());
    if (size == 2) a_.rol(reg.r16(), Imm(8));
}

Gp FlatValues::safe_offset(const Value& load) {
    const Gp reg = take();
    const i32 offset = static_cast<i32>(load.imm);
    if (load.a < 0) {
        a_.mov(reg.r32(), Imm(offset));
        a_.cmp(kLength, Imm(offset + load.size));
        a_.cmovb(reg.r32(), kZero.r32());
        return reg;
    }
    const Gp index = get(load.a);
    const Gp end = take();
    a_.lea(end, x86::ptr(index, offset + load.size));
    a_.lea(reg, x86::ptr(index, offset));
    a_.cmp(end, kLength);
    a_.cmova(reg.r32(), kZero.r32());
    give_back(end);
    release(load.a, index);
    return reg;
}

} // namespace xdplane::x86_64
