// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
#include "bpf/jit/x86_64_lookup.h"

#include <algorithm>
#include <bit>
#include <linux/bpf.h>

#include "bpf/maps/run_ahead.h"
#include "bpf/run/run_context.h"

namespace xdplane::x86_64 {

using asmjit::Imm;
namespace x86 = asmjit::x86;

const LookupEmitter::Row LookupEmitter::kRows[] = {
    {BPF_MAP_TYPE_ARRAY, &LookupEmitter::array},   {BPF_MAP_TYPE_PERCPU_ARRAY, &LookupEmitter::array},
    {BPF_MAP_TYPE_HASH, &LookupEmitter::hash},     {BPF_MAP_TYPE_PERCPU_HASH, &LookupEmitter::hash},
    {BPF_MAP_TYPE_LRU_HASH, &LookupEmitter::hash}, {BPF_MAP_TYPE_LRU_PERCPU_HASH, &LookupEmitter::hash},
    {BPF_MAP_TYPE_LPM_TRIE, &LookupEmitter::lpm},
};

bool LookupEmitter::is_compiled(const Map& map) {
    return map.spec().key_size <= kMostWords * 8 &&
           std::ranges::find(kRows, map.spec().type, &Row::type) != std::end(kRows);
}

const KeyPiece* LookupEmitter::index_in_hand(const LookupKey* key) {
    if (key == nullptr || key->pieces.size() != 1) return nullptr;
    const KeyPiece& piece = key->pieces[0];
    const bool whole = piece.begin == 0 && piece.size == sizeof(u32);
    return whole && piece.kind != KeyPiece::Kind::memory ? &piece : nullptr;
}

bool LookupEmitter::needs_no_stack(const Map& map, const LookupKey& key) {
    return map.ops().array_like && index_in_hand(&key) != nullptr;
}

LookupEmitter::Outcome LookupEmitter::emit(Map& map, const Label& miss) {
    if (!is_compiled(map)) return call(map);
    return (this->*std::ranges::find(kRows, map.spec().type, &Row::type)->code)(map, miss);
}

bool LookupEmitter::can_note(const Map& map) { return is_compiled(map) && map.ops().ahead != nullptr; }

/// Loads as wide as they can be: the key's stores, of whatever width, have reached the cache.
LookupEmitter::Outcome LookupEmitter::emit_noted(Map& map, const x86::Mem& hash, const Label& miss) {
    if (key_ != nullptr) {
        LookupKey key = *key_;
        std::erase_if(key.pieces,
                      [](const KeyPiece& piece) { return piece.kind != KeyPiece::Kind::constant; });
        settled_ = std::make_shared<const LookupKey>(std::move(key));
        key_ = settled_.get();
    }
    noted_hash_ = hash;
    return emit(map, miss);
}

void LookupEmitter::note(Map& map, const x86::Mem& notes, const x86::Mem& count, const x86::Mem& hash) {
    static_assert(kNoteWords == 3);
    const auto next_note = [&] {
        a_.mov(x86::ecx, count);
        a_.inc(count);
        a_.lea(x86::rcx, x86::ptr(x86::rcx, x86::rcx, 1));
        a_.lea(kBase, x86::ptr(x86::rsp, x86::rcx, 3, notes.offsetLo32()));
    };
    if (map.spec().type != BPF_MAP_TYPE_LPM_TRIE) {
        const HashMap::Layout layout = static_cast<const HashMap&>(map).layout();
        load_words(layout);
        hash_words(layout);
        fetch_bucket(layout);
        a_.mov(hash, x86::rax);
        next_note();
        a_.mov(x86::qword_ptr(kBase), x86::rax);
        return;
    }
    next_note();
    const u32 bytes = std::min(map.spec().key_size, kKeyWordsBytes);
    for (u32 at = 0; at < bytes; at += 8) {
        load_key_word(x86::rax, at, std::min(8U, bytes - at));
        a_.mov(x86::qword_ptr(kBase, static_cast<i32>(at)), x86::rax);
    }
}

LookupEmitter::Outcome LookupEmitter::call(Map& map) {
    emit_.load_constant(x86::rdi, address_of(&map));
    emit_.load_constant(x86::rax, reinterpret_cast<std::uintptr_t>(map.ops().lookup));
    a_.call(x86::rax);
    return Outcome::called;
}

/// Where is_compiled() has said that r2 is not read.
LookupEmitter::Outcome LookupEmitter::call_with_key(Map& map) {
    if (key_ != nullptr) a_.lea(kKey, x86::ptr(machine_reg(R10, 64), key_->stack_offset));
    return call(map);
}

void LookupEmitter::multiply(const Gp& reg, u64 factor) {
    if (std::has_single_bit(factor)) {
        if (factor > 1) a_.shl(reg, Imm(std::countr_zero(factor)));
    } else if (factor <= INT32_MAX) {
        a_.imul(reg, reg, Imm(static_cast<i32>(factor)));
    } else {
        emit_.load_constant(kBase, factor);
        a_.imul(reg, kBase);
    }
}

/// rax += RunContext::cpu * cpu_stride. Changes rcx and kBase.
void LookupEmitter::add_cpu(u64 cpu_stride) {
    a_.mov(x86::ecx, x86::dword_ptr(kContext, offsetof(RunContext, cpu)));
    multiply(x86::rcx, cpu_stride);
    a_.add(x86::rax, x86::rcx);
}

LookupEmitter::Outcome LookupEmitter::array(Map& map, const Label& miss) {
    const auto& array = static_cast<const ArrayMap&>(map);
    const KeyPiece* const index = index_in_hand(key_);
    const bool constant = index != nullptr && index->kind == KeyPiece::Kind::constant;
    if (constant) {
        if (index->constant >= array.count()) return Outcome::never;
        emit_.load_constant(x86::rax, address_of(array.values()) + index->constant * array.stride());
    } else {
        if (index != nullptr)
            add_bytes(x86::rax, true, 0, *index);
        else
            load_key_word(x86::rax, 0, sizeof(u32));
        a_.cmp(x86::eax, Imm(static_cast<i32>(array.count())));
        a_.jae(miss);
        multiply(x86::rax, array.stride());
        emit_.load_constant(kBase, address_of(array.values()));
        a_.add(x86::rax, kBase);
    }
    if (array.cpu_stride() != 0) add_cpu(array.cpu_stride());
    return constant ? Outcome::always : Outcome::maybe;
}

} // namespace xdplane::x86_64
