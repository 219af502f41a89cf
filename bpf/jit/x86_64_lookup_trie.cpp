// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
//
// Lookups in tries.
#include <algorithm>
#include <linux/bpf.h>

#include "bpf/jit/x86_64_lookup.h"

namespace xdplane::x86_64 {

using asmjit::Imm;
namespace x86 = asmjit::x86;

namespace {

/// The first bytes of a trie's key, as a big-endian number: 4 where the front is compiled, else 8.
constexpr Gp kWindow = x86::r8;

/// The word of a trie's front that the key leads to; or the next bytes of the key.
constexpr Gp kWord = x86::r9;

const u64* more_of_trie(const LpmTrie* trie, u64 window, const std::atomic<u64>* word, u32 length) noexcept {
    return trie->lookup_more(window, *word, length);
}

const u64* words_of_trie(const LpmTrie* trie, u64 high, u64 low, u32 length) noexcept {
    return trie->lookup_words(high, low, length);
}

} // namespace

/// The first bits of the key by the trie's table of them (LpmFront); the trie's function for what it has not,
/// and for keys that are likely to be in none.
LookupEmitter::Outcome LookupEmitter::lpm(Map& map, const Label& miss) {
    const LpmTrie::Layout layout = static_cast<const LpmTrie&>(map).layout();
    constexpr u32 kLength = sizeof(u32);
    constexpr u32 kWidest = kLpmWithBlock;
    const u32 most = layout.data_size * 8;
    if (layout.data_size >= kLpmShortcutFromBytes) return lpm_words(map);
    const std::vector<KeyPiece> length = pieces_of(0, kLength);
    const bool constant = length.size() == 1 && length[0].kind == KeyPiece::Kind::constant;
    if (most < kWidest || (constant && (length[0].constant < kWidest || length[0].constant > most)))
        return call_with_key(map);
    const LpmLabels labels{a_.newLabel(), a_.newLabel(), a_.newLabel(), miss};
    if (!constant) {
        load_key_word(x86::rax, 0, kLength);
        a_.sub(x86::eax, Imm(kWidest));
        a_.cmp(x86::eax, Imm(most - kWidest));
        a_.ja(labels.slow);
    }
    load_key_word(x86::rax, kLength, layout.data_size);
    emit_.load_constant(kBase, address_of(layout.in_use));
    a_.mov(x86::rcx, x86::qword_ptr(kBase));
    a_.bswap(x86::eax);
    a_.test(x86::rcx, x86::rcx);
    a_.jz(labels.slow);
    a_.mov(kWindow.r32(), x86::eax);
    a_.mov(x86::edx, x86::eax);
    static_assert(kLpmFrontBits.back() <= 32); // a shift of 32 bits is by 32 less than that of 64
    a_.shr(x86::eax, x86::cl);
    a_.and_(x86::rcx, Imm(-4096));
    // The word of the table, or that of the block which it leads to; without a jump that nobody can foresee.
    // Words with a block's address are those from kBlocks on.
    constexpr u64 kBlocks = u64{LpmFrontEntry::kBlock} << LpmFrontEntry::kKindShift;
    emit_.load_constant(kBase, kBlocks);
    a_.lea(kWord, x86::ptr(x86::rcx, x86::rax, 3));
    a_.shr(x86::edx, Imm(32 - kLpmWithBlock - 3));
    a_.and_(x86::edx, Imm((kLpmBlockWords - 1) << 3));
    a_.sub(x86::rdx, kBase);
    a_.mov(x86::rax, x86::qword_ptr(kWord));
    a_.add(x86::rdx, x86::rax);
    a_.cmp(x86::rax, kBase);
    a_.cmovae(kWord, x86::rdx);
    a_.mov(x86::rax, x86::qword_ptr(kWord));
    a_.test(x86::rax, x86::rax);
    a_.js(labels.more);
    a_.jz(miss);
    a_.bind(labels.found);
    cold_.push_back([self = *this, &map, labels]() mutable { self.rest_of_lpm(map, labels); });
    return Outcome::maybe;
}

void LookupEmitter::rest_of_lpm(Map& map, const LpmLabels& labels) {
    const Label called = a_.newLabel();
    a_.bind(labels.more);
    load_key_word(x86::rcx, 0, sizeof(u32));
    a_.mov(x86::rdx, kWord);
    a_.mov(x86::rsi, kWindow);
    a_.shl(x86::rsi, Imm(32));
    emit_.load_constant(x86::rdi, address_of(&map));
    emit_.load_constant(x86::rax, reinterpret_cast<std::uintptr_t>(&more_of_trie));
    a_.call(x86::rax);
    a_.jmp(called);
    a_.bind(labels.slow);
    (void)call_with_key(map);
    a_.bind(called);
    a_.test(x86::rax, x86::rax);
    a_.jnz(labels.found);
    a_.jmp(labels.miss);
}

/// The trie's function, with the key in registers: nobody reads from the stack what was written in pieces.
LookupEmitter::Outcome LookupEmitter::lpm_words(Map& map) {
    constexpr u32 kLength = sizeof(u32);
    constexpr u32 kWordBytes = 8;
    const u32 size = static_cast<const LpmTrie&>(map).layout().data_size;
    if (size > LpmBits::kMostInWords) return call_with_key(map);
    load_key_word(kWindow, kLength, std::min(kWordBytes, size));
    a_.bswap(kWindow);
    if (size > kWordBytes) {
        load_key_word(kWord, kLength + kWordBytes, size - kWordBytes);
        a_.bswap(kWord);
    } else {
        a_.xor_(kWord.r32(), kWord.r32());
    }
    load_key_word(x86::rcx, 0, kLength);
    a_.mov(x86::rsi, kWindow);
    a_.mov(x86::rdx, kWord);
    emit_.load_constant(x86::rdi, address_of(&map));
    emit_.load_constant(x86::rax, reinterpret_cast<std::uintptr_t>(&words_of_trie));
    a_.call(x86::rax);
    return Outcome::called;
}

} // namespace xdplane::x86_64
