// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
#include "bpf/jit/x86_64_lookup.h"

#include <algorithm>
#include <bit>
#include <linux/bpf.h>

#include "bpf/maps/hash_mix.h"
#include "bpf/maps/run_ahead.h"
#include "bpf/run/run_context.h"

namespace xdplane::x86_64 {

using asmjit::Imm;
namespace x86 = asmjit::x86;

namespace {

/// Where the words of a key are kept. Longer keys are left to the map's function. The key's address is in
/// the last one.
constexpr Gp kWords[] = {x86::rdi, x86::r8, x86::r9, x86::r10, x86::rsi};
constexpr u32 kMostWords = std::size(kWords);
constexpr Gp kKey = x86::rsi;
constexpr Gp kBase = x86::r11; ///< an address or a factor
constexpr Gp kElement = x86::rcx;

u64 address_of(const void* pointer) { return reinterpret_cast<std::uintptr_t>(pointer); }

/// Bytes that one load takes of `size`: a power of two.
u32 loaded_at_once(u32 size) { return std::min(8U, std::bit_floor(size)); }

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

u32 words_of(const HashMap::Layout& layout) { return (layout.key_size + 7) / 8; }

bool survives_lookup(u8 reg) { return reg >= R6; }

} // namespace

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

bool LookupEmitter::needs_no_stack(const Map& map, const LookupKey& key) {
    if (!map.ops().array_like || key.pieces.size() != 1) return false;
    const KeyPiece& piece = key.pieces[0];
    const bool loaded = piece.kind == KeyPiece::Kind::memory ||
                        (piece.kind == KeyPiece::Kind::in_register && !survives_lookup(piece.reg));
    return !loaded && piece.begin == 0 && piece.size == sizeof(u32);
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
    const std::vector<KeyPiece> pieces = pieces_of(0, sizeof(u32));
    const bool constant = pieces.size() == 1 && pieces[0].kind == KeyPiece::Kind::constant;
    if (constant) {
        if (pieces[0].constant >= array.count()) return Outcome::never;
        emit_.load_constant(x86::rax, address_of(array.values()) + pieces[0].constant * array.stride());
    } else {
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

// --- hashes ---

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

// --- tries ---

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

// --- keys ---

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
            else if (!whole || !survives_lookup(piece.reg))
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
