// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
#pragma once
#include <functional>
#include <memory>
#include <optional>
#include <vector>

#include "bpf/jit/x86_64_emitter.h"
#include "bpf/maps/array.h"
#include "bpf/maps/hash.h"
#include "bpf/maps/lpm_trie.h"

/// Lookups compiled for one map: its addresses and sizes are constants of the code. The same result as the
/// map's own lookup; tests compare the two.
namespace xdplane::x86_64 {

/// Code that is emitted behind the function, out of the way.
using ColdCode = std::vector<std::function<void()>>;

class LookupEmitter {
public:
    enum class Outcome {
        called, ///< rax is the result, 0 or not
        maybe,  ///< rax is the value; where there is none, the code jumps to `miss`, rax undefined
        always, ///< the same, but there is always one
        never,  ///< no code: there is none
    };

    /// There is code for it, which does not read r2 if it knows where the key is.
    [[nodiscard]] static bool is_compiled(const Map& map);

    /// There is code for note().
    [[nodiscard]] static bool can_note(const Map& map);
    /// The code for a lookup of this key reads nothing from the stack.
    [[nodiscard]] static bool needs_no_stack(const Map& map, const LookupKey& key);

    /// `key`: what is known of the key, or null. The key's address is in rsi, as r2.
    LookupEmitter(asmjit::x86::Assembler& assembler, Emitter& emitter, ColdCode& cold, const LookupKey* key)
        : a_(assembler), emit_(emitter), cold_(cold), key_(key) {}

    /// Changes r0-r5 and the scratch registers; keeps all others, and what lies on the stack.
    [[nodiscard]] Outcome emit(Map& map, const Label& miss);
    /// The same for a key that note() has seen, a while ago: its hash is there.
    [[nodiscard]] Outcome emit_noted(Map& map, const asmjit::x86::Mem& hash, const Label& miss);

    /// Code that notes the key for AheadOps::fetch: at notes[*count], which is counted up. Hashes: the hash
    /// goes to `hash` too, and its bucket is on its way. Changes what emit() does.
    void note(Map& map, const asmjit::x86::Mem& notes, const asmjit::x86::Mem& count,
              const asmjit::x86::Mem& hash);

private:
    /// Where the words of a key are kept. Longer keys are left to the map's function. The key's address is in
    /// the last one.
    static constexpr Gp kWords[] = {asmjit::x86::rdi, asmjit::x86::r8, asmjit::x86::r9, asmjit::x86::r10,
                                    asmjit::x86::rsi};
    static constexpr u32 kMostWords = std::size(kWords);
    static constexpr Gp kKey = asmjit::x86::rsi;
    static constexpr Gp kBase = asmjit::x86::r11; ///< an address or a factor
    static constexpr Gp kElement = asmjit::x86::rcx;

    /// A lookup leaves the register alone.
    static bool survives(u8 reg) { return reg >= R6; }
    /// The one piece that is all of an array's index, if it is known or in a register: any register, as an
    /// index is read before anything changes. Null: the index has to be loaded.
    static const KeyPiece* index_in_hand(const LookupKey* key);
    static u64 address_of(const void* pointer) { return reinterpret_cast<std::uintptr_t>(pointer); }

    using Code = Outcome (LookupEmitter::*)(Map&, const Label&);
    struct Row {
        u32 type; ///< enum bpf_map_type
        Code code;
    };
    static const Row kRows[];

    Outcome array(Map& map, const Label& miss);
    Outcome hash(Map& map, const Label& miss);
    Outcome lpm(Map& map, const Label& miss);
    Outcome call(Map& map);
    Outcome call_with_key(Map& map);

    // hash(), in x86_64_lookup_hash.cpp
    void load_words(const HashMap::Layout& layout);
    void hash_words(const HashMap::Layout& layout);
    void fetch_bucket(const HashMap::Layout& layout);
    void compare_key(const HashMap::Layout& layout, const Label& differs);
    void chain(const HashMap::Layout& layout, const Label& miss);
    void line(const HashMap::Layout& layout, const Label& miss);
    void load_line(const HashMap::Layout& layout);
    /// Where the search in a line leaves to, and comes back.
    struct LineLabels {
        Label rest;
        Label found;
        Label miss;
    };
    void rest_of_line(const HashMap::Layout& layout, const LineLabels& labels);
    void rest_of_chain(const HashMap::Layout& layout, const Label& next, const Label& compare,
                       const Label& again, const Label& miss);
    void hash_value(const HashMap::Layout& layout);

    // lpm(), in x86_64_lookup_trie.cpp
    /// Where lpm() leaves to, and comes back.
    struct LpmLabels {
        Label slow; ///< the front knows nothing
        Label more; ///< or not all
        Label found;
        Label miss;
    };
    void rest_of_lpm(Map& map, const LpmLabels& labels);
    Outcome lpm_words(Map& map);

    // Keys, in x86_64_lookup_keys.cpp
    [[nodiscard]] asmjit::x86::Mem key_bytes(u32 begin, u32 size) const;
    void load_key_word(const Gp& to, u32 begin, u32 size);
    void add_bytes(const Gp& to, bool first, u32 at, const KeyPiece& piece);
    void load_bytes(const Gp& to, u32 begin, u32 size);
    [[nodiscard]] std::vector<KeyPiece> pieces_of(u32 begin, u32 size) const;

    void multiply(const Gp& reg, u64 factor);
    void add_cpu(u64 cpu_stride);

    asmjit::x86::Assembler& a_;
    Emitter& emit_;
    ColdCode& cold_;
    const LookupKey* key_;
    std::shared_ptr<const LookupKey> settled_; ///< what `key_` points at, if its stores are long done
    std::optional<asmjit::x86::Mem> noted_hash_;
};

} // namespace xdplane::x86_64
