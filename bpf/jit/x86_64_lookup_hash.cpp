// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
//
// Lookups in hashes.
#include <algorithm>

#include "bpf/jit/x86_64_lookup.h"
#include "bpf/maps/hash_mix.h"

namespace xdplane::x86_64 {

using asmjit::Imm;
namespace x86 = asmjit::x86;

namespace {

u32 words_of(const HashMap::Layout& layout) { return (layout.key_size + 7) / 8; }

} // namespace

LookupEmitter::Outcome LookupEmitter::hash(Map& map, const Label& miss) {
    const HashMap::Layout layout = static_cast<const HashMap&>(map).layout();
    load_words(layout);
    if (noted_hash_) {
        a_.mov(x86::rax, *noted_hash_);
    } else {
        hash_words(layout);
    }
    chain(layout, miss);
    hash_value(layout);
    return Outcome::maybe;
}

void LookupEmitter::load_words(const HashMap::Layout& layout) {
    for (u32 i = 0; i < words_of(layout); ++i) {
        const u32 size = std::min(8U, layout.key_size - i * 8);
        // Bytes of the last word are loaded through what it replaces.
        const bool through_key = kWords[i].id() == kKey.id() && key_ == nullptr;
        load_key_word(through_key ? kBase : kWords[i], i * 8, size);
        if (through_key) a_.mov(kWords[i], kBase);
    }
}

void LookupEmitter::fetch_bucket(const HashMap::Layout& layout) {
    a_.mov(kElement.r32(), x86::eax);
    a_.and_(kElement.r32(), Imm(static_cast<i32>(layout.mask)));
    multiply(kElement, layout.head_stride);
    emit_.load_constant(kBase, address_of(layout.heads));
    a_.prefetcht0(x86::ptr(kBase, kElement));
}

/// eax = hash. Changes rdx and kBase.
void LookupEmitter::hash_words(const HashMap::Layout& layout) {
    emit_.load_constant(x86::rax, layout.hash_start);
    emit_.load_constant(kBase, kMixMultiplier);
    for (u32 i = 0; i < words_of(layout); ++i) {
        a_.xor_(x86::rax, kWords[i]);
        a_.mul(kBase); // rdx:rax
        a_.xor_(x86::rax, x86::rdx);
    }
    a_.mov(x86::rdx, x86::rax);
    a_.shr(x86::rdx, Imm(32));
    a_.xor_(x86::eax, x86::edx);
}

/// Whether the element has the hash in eax, and the key.
void LookupEmitter::compare_key(const HashMap::Layout& layout, const Label& differs) {
    a_.cmp(x86::dword_ptr(kElement, HashMap::Layout::kHash), x86::eax);
    a_.jne(differs);
    for (u32 i = 0; i < words_of(layout); ++i) {
        a_.cmp(kWords[i], x86::qword_ptr(kElement, HashMap::Layout::kKey + static_cast<i32>(i) * 8));
        a_.jne(differs);
    }
}

/// Leaves the element's address in kElement and, where values lie apart, its number + 1 in rdx.
void LookupEmitter::chain(const HashMap::Layout& layout, const Label& miss) {
    a_.or_(x86::eax, Imm(static_cast<i32>(HashMap::Layout::kUsed)));
    if (layout.lines) return line(layout, miss);
    const Label again = a_.newLabel();
    const Label compare = a_.newLabel();
    const Label next = a_.newLabel();
    a_.bind(again);
    a_.mov(kElement.r32(), x86::eax);
    a_.and_(kElement.r32(), Imm(static_cast<i32>(layout.mask)));
    emit_.load_constant(kBase, address_of(layout.heads));
    a_.mov(kElement.r32(), x86::dword_ptr(kBase, kElement, 2));
    emit_.load_constant(kBase, address_of(layout.first_element) - layout.element_size);
    a_.test(kElement.r32(), kElement.r32());
    a_.jz(miss);
    a_.bind(compare);
    if (layout.percpu_values != nullptr) a_.mov(x86::edx, kElement.r32());
    if (layout.element_size <= INT32_MAX) {
        multiply(kElement, layout.element_size);
    } else {
        emit_.load_constant(kBase, layout.element_size);
        a_.imul(kElement, kBase);
        emit_.load_constant(kBase, address_of(layout.first_element) - layout.element_size);
    }
    a_.add(kElement, kBase);
    compare_key(layout, next);
    cold_.push_back([self = *this, layout, next, compare, again, miss]() mutable {
        self.rest_of_chain(layout, next, compare, again, miss);
    });
}

/// The element in hand is another key's.
void LookupEmitter::rest_of_chain(const HashMap::Layout& layout, const Label& next, const Label& compare,
                                  const Label& again, const Label& miss) {
    const Label end = a_.newLabel();
    a_.bind(next);
    a_.mov(kElement.r32(), x86::dword_ptr(kElement, HashMap::Layout::kNext));
    a_.test(kElement.r32(), kElement.r32());
    a_.js(end);
    a_.inc(kElement.r32());
    a_.jmp(compare);
    a_.bind(end);
    a_.mov(x86::edx, x86::eax);
    a_.and_(x86::edx, Imm(static_cast<i32>(layout.mask)));
    a_.or_(x86::edx, Imm(static_cast<i32>(HashMap::Layout::kEnd)));
    a_.cmp(x86::edx, kElement.r32());
    a_.je(miss);
    a_.jmp(again);
}

/// The slot whose hash it is, without a jump that nobody could foresee.
void LookupEmitter::line(const HashMap::Layout& layout, const Label& miss) {
    const LineLabels labels{a_.newLabel(), a_.newLabel(), miss};
    const Gp second = x86::rdx;
    load_line(layout);
    a_.lea(second, x86::ptr(kElement, HashMap::Layout::kSlotSize));
    a_.cmp(x86::dword_ptr(kElement, HashMap::Layout::kHash), x86::eax);
    a_.cmovne(kElement, second);
    compare_key(layout, labels.rest);
    a_.bind(labels.found);
    cold_.push_back([self = *this, layout, labels]() mutable { self.rest_of_line(layout, labels); });
}

/// kElement = the line's first slot, kBase = where slots and elements begin.
void LookupEmitter::load_line(const HashMap::Layout& layout) {
    a_.mov(kElement.r32(), x86::eax);
    a_.and_(kElement.r32(), Imm(static_cast<i32>(layout.mask)));
    multiply(kElement, layout.head_stride);
    emit_.load_constant(kBase, address_of(layout.first_element));
    a_.add(kElement, kBase);
}

/// Slots and chain, until the line says that nothing has gone meanwhile.
void LookupEmitter::rest_of_line(const HashMap::Layout& layout, const LineLabels& labels) {
    const Gp gone = x86::r9d;
    const Gp line = x86::r10;
    const Label second = a_.newLabel();
    const Label chain = a_.newLabel();
    const Label element = a_.newLabel();
    const Label next = a_.newLabel();
    const Label end = a_.newLabel();
    a_.bind(labels.rest);
    load_line(layout);
    a_.mov(line, kElement);
    a_.mov(gone, x86::dword_ptr(line, HashMap::Layout::kGone));
    compare_key(layout, second);
    a_.jmp(labels.found);
    a_.bind(second);
    a_.add(kElement, Imm(HashMap::Layout::kSlotSize));
    compare_key(layout, chain);
    a_.jmp(labels.found);
    a_.bind(chain);
    a_.mov(kElement.r32(), x86::dword_ptr(line, HashMap::Layout::kNext));
    a_.sub(kElement.r32(), Imm(1));
    a_.jb(end);
    a_.bind(element);
    multiply(kElement, HashMap::Layout::kSlotSize);
    a_.add(kElement, kBase);
    compare_key(layout, next);
    a_.jmp(labels.found);
    a_.bind(next);
    a_.mov(kElement.r32(), x86::dword_ptr(kElement, HashMap::Layout::kNext));
    a_.test(kElement.r32(), kElement.r32());
    a_.jns(element);
    a_.mov(x86::edx, x86::eax);
    a_.and_(x86::edx, Imm(static_cast<i32>(layout.mask)));
    a_.or_(x86::edx, Imm(static_cast<i32>(HashMap::Layout::kEnd)));
    a_.cmp(x86::edx, kElement.r32());
    a_.jne(labels.rest);
    a_.bind(end);
    a_.cmp(gone, x86::dword_ptr(line, HashMap::Layout::kGone));
    a_.jne(labels.rest);
    a_.jmp(labels.miss);
}

void LookupEmitter::hash_value(const HashMap::Layout& layout) {
    if (layout.lru) {
        const Label referenced = a_.newLabel();
        const x86::Mem word = x86::dword_ptr(kElement, HashMap::Layout::kReferenced);
        a_.cmp(word, Imm(0));
        a_.jne(referenced);
        a_.mov(word, Imm(1));
        a_.bind(referenced);
    }
    if (layout.percpu_values == nullptr) {
        a_.lea(x86::rax, x86::ptr(kElement, static_cast<i32>(layout.value_offset)));
        return;
    }
    multiply(x86::rdx, layout.value_stride);
    emit_.load_constant(x86::rax, address_of(layout.percpu_values) - layout.value_stride);
    a_.add(x86::rax, x86::rdx);
    add_cpu(layout.cpu_stride);
}

} // namespace xdplane::x86_64
