// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
#pragma once
#include <array>
#include <bit>

#include "bpf/base/mapping.h"
#include "bpf/maps/element_pool.h"
#include "bpf/maps/lpm_arena.h"
#include "bpf/maps/lpm_front.h"
#include "bpf/maps/lpm_shortcut.h"
#include "bpf/maps/map.h"
#include "bpf/maps/spin_lock.h"
#include "bpf/maps/words.h"

namespace xdplane {

/// A node of the trie covers 6 bits of the key, from bit 6 * k on: 32 bytes, two a cache line.
///
/// Prefixes that end within its bits are results: those of 0 to 5 of the bits in `internal` (as a heap: bit
/// 2^r + the r bits), those of all 6 in `leaves`, unless something longer begins with them: then they are
/// the prefix of 0 bits of a child. The children of a node lie side by side from `base` on, in the order of
/// their bits; so do the numbers of its results from `results` on, first the internal ones, then the leaves.
/// A single result is in `results` itself.
///
/// A skip node stands for up to 24 nodes that would have nothing but one child each: their bits, 48 in each
/// of the three words.
struct LpmNode {
    u64 internal;
    u64 children;
    u64 leaves;
    std::atomic<u32> base;    ///< of the children's block; replaced in place when a child changes
    std::atomic<u32> results; ///< block or element; a single element is replaced in place
};
static_assert(sizeof(LpmNode) == LpmArena::kUnit);

/// A node on its way: what an edit makes of it.
struct LpmNodeValue {
    static constexpr u64 kSkip = 1;
    static constexpr u32 kSkipMost = 24;

    u64 internal = 0;
    u64 children = 0;
    u64 leaves = 0;
    u32 base = LpmArena::kNone;
    u32 results = 0;

    [[nodiscard]] static LpmNodeValue load(const LpmNode& node) noexcept {
        return {node.internal, node.children, node.leaves, node.base.load(std::memory_order_relaxed),
                node.results.load(std::memory_order_relaxed)};
    }
    /// Where no reader is looking yet.
    void store(LpmNode& node) const noexcept {
        node.internal = internal;
        node.children = children;
        node.leaves = leaves;
        node.base.store(base, std::memory_order_relaxed);
        node.results.store(results, std::memory_order_relaxed);
    }
    [[nodiscard]] bool is_skip() const noexcept { return (internal & kSkip) != 0; }
    [[nodiscard]] u32 result_count() const noexcept {
        return static_cast<u32>(std::popcount(internal) + std::popcount(leaves));
    }
    [[nodiscard]] u32 child_count() const noexcept { return static_cast<u32>(std::popcount(children)); }
};

/// Bits of a key's data, first bit of the first byte first. What is behind the data is 0.
class LpmBits {
public:
    static constexpr u32 kMostInWords = 16;

    LpmBits(const u8* data, u32 bytes) noexcept : data_(data), bytes_(bytes) {
        if (bytes > kMostInWords) return;
        high_ = word_of(data, bytes);
        low_ = bytes <= 8 ? 0 : word_of(data + 8, bytes - 8);
    }
    /// Of up to 16 bytes: what window(0) and window(64) are.
    LpmBits(u64 high, u64 low) noexcept : data_(nullptr), bytes_(kMostInWords), high_(high), low_(low) {}
    /// 57 bits or more from bit `at` on, at the top of the word.
    [[nodiscard]] u64 window(u32 at) const noexcept {
        if (bytes_ <= kMostInWords) {
            const u64 word = at < 64 ? high_ : low_;
            const u64 next = at < 64 ? low_ : 0;
            return word << (at & 63) | next >> 1 >> (~at & 63);
        }
        const u32 byte = at / 8 < bytes_ - 8 ? at / 8 : bytes_ - 8;
        const u32 shift = at - byte * 8;
        return shift < 64 ? __builtin_bswap64(read_word(data_ + byte)) << shift : 0;
    }
    [[nodiscard]] u32 chunk(u32 at) const noexcept { return static_cast<u32>(window(at) >> 58); }

private:
    [[nodiscard]] static u64 word_of(const u8* data, u32 bytes) noexcept {
        return __builtin_bswap64(bytes >= 8 ? read_word(data) : read_partial(data, bytes));
    }

    const u8* data_;
    u32 bytes_;
    u64 high_ = 0; ///< of data of up to 16 bytes
    u64 low_ = 0;
};

inline constexpr u32 kLpmShortcutFrom = 512; ///< entries
static_assert(kLpmShortcutFrom >= kLpmFrontFrom[0], "tries that have no front have no shortcuts");
inline constexpr u32 kLpmShortcutFromBytes = 5; ///< of data: those of shorter keys have nothing to gain

/// BPF_MAP_TYPE_LPM_TRIE (Documentation/bpf/map_lpm_trie.rst): the longest prefix in the map that the key
/// begins with. A multibit trie (LpmNode), its chains compressed: Eatherton's tree bitmap.
///
/// Readers take no lock and meet no half-done change: a writer, under the map's lock, builds what changes
/// beside the old (for most updates a node, its results, and the copy of the node's siblings) and publishes
/// it by one store to the parent's `base`. What it replaces waits until the readers are quiescent. An update
/// of a prefix that exists replaces its element alone. Values have stable addresses, until their entry is
/// replaced or deleted; they stay what they were until the reader is quiescent, with the HashMap's
/// reservation: when all spare elements wait, one is reused early.
///
/// A lookup reads the entry of its first bits (LpmFront), or two, then a node for each 6 further bits of the
/// longest match (skip nodes: 144), then the number of the result (if the node has several), then the value.
/// Changes of a prefix shorter than the front's 12 or 18 bits rewrite all entries that it covers, and their
/// blocks: 1024 for 8 bits of 18, about 3 us; all of them for a default route, about 1 ms; blocks about 0.1
/// us each.
///
/// Longer keys than IPv4's may share more bits than a front has, so tries of them have shortcuts as well,
/// from kLpmShortcutFrom entries on: hashes of their first 24 to 60 bits (LpmShortcut), one by as many bits
/// as most prefixes have, one by fewer for most of the others. A lookup looks there first. What their bits
/// are is chosen again when entries have changed half as often as there are, and a table that is full is made
/// anew: a pause of about 0.2 us an entry. A default route is in all of their entries too: 0.1 us each.
///
/// Memory, committed as it is touched: per entry an element, the value rounded up to 8 and in front and the
/// key (its prefix length and its bytes) behind it, rounded up to 16, 32, 64 or a multiple of 64; and at most
/// two nodes of 32 bytes, 4 bytes of result, and a skip node for each 144 bits that it shares with no other.
/// 100,000 IPv4 prefixes with 8-byte values: 16 + about 52 bytes each. And the front with its blocks: 128 MB
/// at most, and about 170 bytes for each of those 100,000. And shortcuts: 32 to 128 bytes for an entry of
/// each; 100,000 IPv6 prefixes, most of them /48, take about 170 bytes each in all.
class LpmTrie final : public Map {
public:
    static Result<std::shared_ptr<Map>> create(MapSpec spec);
    ~LpmTrie() override;

    // Data path. Keys are struct bpf_lpm_trie_key: u32 prefix length, then the data.
    [[nodiscard]] u64* lookup(const u8* key) const noexcept;
    /// The same for data of up to 16 bytes, as two big-endian numbers; what is behind it is 0.
    [[nodiscard]] u64* lookup_words(u64 high, u64 low, u32 length) const noexcept;
    /// The rest of a lookup for compiled code, of a key of up to 8 bytes: `window` has all of its bits, and
    /// the word of the front, or of a block, that is its own has more.
    [[nodiscard]] u64* lookup_more(u64 window, const std::atomic<u64>& word, u32 length) const noexcept;
    /// -EINVAL, -EEXIST, -ENOENT; -ENOSPC: the map is full; -ENOMEM.
    int update(const u8* key, const u8* value, u64 flags) noexcept;
    int erase(const u8* key) noexcept;

    // Control thread, which is no reader of the Reclaimer: these take the lock.
    int copy_value(const u8* key, u8* value);
    /// Linux's order: what is more specific first (post-order of the binary trie); the first one after a key
    /// that is not in the map.
    int next_key(const u8* key, u8* next);

    // Data path: see AheadOps.
    /// About what its entries take.
    [[nodiscard]] u64 footprint() const noexcept;
    void fetch(const u64* notes, u32 count) const noexcept;

    /// What compiled code knows of a trie. Constant through its life.
    struct Layout {
        u32 data_size;                  ///< bytes of the key behind its prefix length
        const std::atomic<u64>* in_use; ///< LpmFront::in_use()
    };
    [[nodiscard]] Layout layout() const noexcept { return {data_size_, &front_.in_use()}; }

    [[nodiscard]] u32 size() const noexcept { return count_.load(std::memory_order_relaxed); }
    [[nodiscard]] u64 memory_bytes() const override;
    [[nodiscard]] u64 reused_early() const override { return pool_.reused_early(); }

private:
    class Edit;
    class FrontFill;
    class ShortcutFill;
    class Descents;
    struct Start {
        const LpmNode* node; ///< null: nothing is longer than what was found
        u32 at;
        u64* value; ///< found so far; null: none
    };
    /// Where a descent begins: below what the front knows, if the key is long enough for it.
    [[nodiscard]] Start begin(const LpmBits& bits, u32 length) const noexcept;
    [[nodiscard]] Start begin(LpmFrontEntry entry, const LpmBits& bits, u32 length) const noexcept;
    [[nodiscard]] Start begin(LpmFrontEntry entry) const noexcept;
    /// Of a shortcut by `width` bits: value or node.
    [[nodiscard]] Start begin(LpmFrontEntry entry, u32 width) const noexcept;
    [[nodiscard]] u64* lookup_short(u64 window, u32 length) const noexcept;
    [[nodiscard]] u64* find_words(LpmFrontEntry entry, u32 width, u64 high, u64 low,
                                  u32 length) const noexcept;
    [[nodiscard]] LpmFrontEntry shortcut(u64 window, u32 length, u32& width) const noexcept;
    [[nodiscard]] u64* find_below(const Start& start, const LpmBits& bits, u32 length) const noexcept;
    [[nodiscard]] std::atomic<u64>* front_entry(const LpmBits& bits, u32 width) const noexcept {
        return front_.table(width) + (bits.window(0) >> (64 - width));
    }
    [[nodiscard]] static std::atomic<u64>* block_entry(LpmFrontEntry entry, const LpmBits& bits) noexcept {
        // In numbers: callers may find out later that there is no block.
        const u64 index = bits.window(0) >> (64 - kLpmWithBlock) & (kLpmBlockWords - 1);
        return reinterpret_cast<std::atomic<u64>*>(reinterpret_cast<std::uintptr_t>(entry.block()) +
                                                   index * sizeof(u64));
    }
    [[nodiscard]] std::atomic<u64>* front_block(const std::atomic<u64>& entry) noexcept;
    void retire_front_block(const std::atomic<u64>* block) noexcept;
    /// A node on the way down: the one at `slot` of the block of `units` nodes that `base` names.
    struct Step {
        std::atomic<u32>* base;
        u16 slot;
        u16 units;
        u32 at; ///< first bit
    };
    /// Where a prefix is, or where it would have to be: the last step of the path is the node that has it, or
    /// that has to change.
    struct Place {
        static constexpr u32 kMaxSteps = 2048 / 6 + 2;
        std::array<Step, kMaxSteps> steps;
        u32 count = 0;
        bool exists = false;
        u32 matched = 0; ///< at a skip node: chunks of it that the prefix has
    };

    explicit LpmTrie(MapSpec spec);
    Result<> allocate();

    // Readers and writers.
    [[nodiscard]] LpmNode* block(u32 first) const noexcept {
        return reinterpret_cast<LpmNode*>(arena_.at(first));
    }
    [[nodiscard]] std::atomic<u32>* result_block(u32 first) const noexcept {
        return reinterpret_cast<std::atomic<u32>*>(arena_.at(first));
    }
    [[nodiscard]] const std::atomic<u32>* result_at(const LpmNode& node, u32 rank) const noexcept;
    [[nodiscard]] u32 result(const LpmNode& node, u32 rank) const noexcept {
        // Acquire: pairs with the store that published the element.
        return result_at(node, rank)->load(std::memory_order_acquire);
    }
    /// Number among the node's results: the leaf if it is not 0, else the longest of `found`.
    [[nodiscard]] static u32 rank_in(const LpmNode& node, u64 found, u64 leaf) noexcept;
    [[nodiscard]] u64* value_of(u32 element) const noexcept {
        return reinterpret_cast<u64*>(elements_.data() + element * element_size_);
    }
    [[nodiscard]] u8* key_of(u32 element) const noexcept {
        return elements_.data() + element * element_size_ + key_offset_;
    }

    // With the lock.
    [[nodiscard]] LpmNode& node_at(const Step& step) const noexcept {
        return block(step.base->load(std::memory_order_relaxed))[step.slot];
    }
    void find(const LpmBits& bits, u32 length, Place& place) const noexcept;
    /// Number among the node's results of the prefix that ends in it.
    [[nodiscard]] static u32 rank_of(const LpmNodeValue& node, const LpmBits& bits, u32 at,
                                     u32 length) noexcept;
    [[nodiscard]] u32 take_element(const u8* key, const u8* value) noexcept;
    void replace(const Place& place, const LpmBits& bits, u32 length, u32 element) noexcept;
    [[nodiscard]] bool insert(const Place& place, const LpmBits& bits, u32 length, u32 element) noexcept;
    [[nodiscard]] u32 remove(const Place& place, const LpmBits& bits, u32 length) noexcept;
    void refill_front(const LpmBits& bits, u32 length) noexcept;
    void move_front(u32 first, u64 children, u32 at, const LpmBits& bits) noexcept;
    void follow(const Place& place, u32 depth, const LpmNodeValue& old, const LpmBits& bits,
                u32 length) noexcept;
    void grow_front(u32 count) noexcept;
    [[nodiscard]] u32 best_of(const LpmNode& node, u32 chunk, u32 best) const noexcept;
    void refill_shortcuts(const LpmBits& bits, u32 length) noexcept;
    void move_shortcuts(u32 first, u64 children, u32 at, const LpmBits& bits) noexcept;
    [[nodiscard]] u64 shortcut_gain(u32 bits, u32 below) const noexcept;
    void renew_shortcuts() noexcept;

    // Elements in the order of next_key(); kNone if there is none.
    struct Position {
        u32 slot;
        u32 depth; ///< of 6 bits: 6 for leaves and children
    };
    [[nodiscard]] u32 first_result(const LpmNode* node) const noexcept;
    [[nodiscard]] u32 result_in(const LpmNode& node, u32 slot) const noexcept;
    [[nodiscard]] u32 result_after(const LpmNode& node, Position position) const noexcept;
    [[nodiscard]] u32 successor(const Place& place, const LpmBits& bits, u32 length) const noexcept;

    u32 data_size_;
    u32 max_length_;
    u32 value_size_;
    u32 max_entries_;
    u32 capacity_ = 0; ///< of max_entries, what the machine's memory has room for
    u32 key_offset_ = 0;
    u64 element_size_ = 0;
    Mapping elements_;
    ElementPool pool_;
    LpmArena arena_;
    std::atomic<u32> root_{LpmArena::kNone}; ///< block of one node; written under lock_, read by workers
    LpmFront front_;                         ///< written under lock_, read by workers
    std::atomic<u32> front_blocks_{0};       ///< written under lock_
    /// By more bits, and by fewer. Written under lock_, read by workers.
    std::array<LpmShortcut, 2> shortcuts_;
    mutable SpinLock lock_;         ///< guards the rest, and every change
    std::atomic<u32> count_{0};     ///< written under the lock
    u64 elements_used_ = 0;         ///< elements from here on were never used
    std::array<u32, 65> lengths_{}; ///< entries by prefix length; the last: and longer
    u32 until_choice_ = 0;          ///< changes until the shortcuts' bits are chosen again
};

// Parts of every lookup, a few instructions each: always in line.

inline __attribute__((always_inline)) const std::atomic<u32>* LpmTrie::result_at(const LpmNode& node,
                                                                                 u32 rank) const noexcept {
    const u32 results = node.results.load(std::memory_order_acquire);
    const int count = std::popcount(node.internal) + std::popcount(node.leaves);
    const std::atomic<u32>* const in_block = result_block(results) + rank;
    return select<const std::atomic<u32>*>(count == 1, &node.results, in_block);
}

/// What the shortcuts know of a key of `length` bits, by how many bits; a block if they know nothing.
inline __attribute__((always_inline)) LpmFrontEntry LpmTrie::shortcut(u64 window, u32 length,
                                                                      u32& width) const noexcept {
    for (const LpmShortcut& each : shortcuts_) {
        const LpmShortcutTable table = each.table();
        if (!table.exists()) break;
        width = table.bits();
        if (length < width) continue;
        const LpmFrontEntry entry = table.find(window);
        if (!entry.is_block()) return entry;
    }
    return LpmFrontEntry(LpmShortcutTable::kAbsent);
}

inline __attribute__((always_inline)) LpmTrie::Start LpmTrie::begin(const LpmBits& bits,
                                                                    u32 length) const noexcept {
    const u32 width = front_.bits();
    if (width == 0 || length < width) return {block(root_.load(std::memory_order_acquire)), 0, nullptr};
    return begin(LpmFrontEntry(front_entry(bits, width)->load(std::memory_order_acquire)), bits, length);
}
inline __attribute__((always_inline)) LpmTrie::Start LpmTrie::begin(LpmFrontEntry entry, const LpmBits& bits,
                                                                    u32 length) const noexcept {
    if (entry.is_block()) {
        if (length < kLpmWithBlock) return {block(root_.load(std::memory_order_acquire)), 0, nullptr};
        entry = LpmFrontEntry(block_entry(entry, bits)->load(std::memory_order_acquire));
    }
    return entry.has_more() ? begin(entry) : Start{nullptr, 0, entry.value()};
}
inline __attribute__((always_inline)) LpmTrie::Start LpmTrie::begin(LpmFrontEntry entry) const noexcept {
    return {block(entry.node()), entry.at(),
            entry.element() == LpmFrontEntry::kNoElement ? nullptr : value_of(entry.element())};
}

inline __attribute__((always_inline)) LpmTrie::Start LpmTrie::begin(LpmFrontEntry entry,
                                                                    u32 width) const noexcept {
    if (!entry.has_more()) return {nullptr, 0, entry.value()};
    Start start = begin(entry);
    start.at = width - start.at;
    return start;
}

/// The bits of `internal` for prefixes of 0 to 5 bits of a chunk.
[[nodiscard]] constexpr u64 lpm_ancestors(u32 chunk) noexcept {
    u64 mask = 0;
    for (u32 r = 0; r < 6; ++r) mask |= u64{1} << ((1U << r) | (chunk >> (6 - r)));
    return mask;
}
inline constexpr std::array<u64, 64> kLpmAncestors = [] {
    std::array<u64, 64> masks{};
    for (u32 chunk = 0; chunk < 64; ++chunk) masks[chunk] = lpm_ancestors(chunk);
    return masks;
}();
[[nodiscard]] constexpr u64 lpm_below(u32 bit) noexcept { return (u64{1} << bit) - 1; }
/// The bits of `internal` for prefixes of at most `length` bits.
[[nodiscard]] constexpr u64 lpm_no_longer_than(u32 length) noexcept {
    return length >= 5 ? ~u64{0} : lpm_below(2U << length);
}

inline __attribute__((always_inline)) u32 LpmTrie::rank_in(const LpmNode& node, u64 found,
                                                           u64 leaf) noexcept {
    const u64 shorter = lpm_below(63 - static_cast<u32>(std::countl_zero(found | 1)));
    const u64 before = select(leaf != 0, ~u64{0}, shorter);
    const u64 leaves_before = select(leaf != 0, leaf - 1, u64{0});
    return static_cast<u32>(std::popcount(node.internal & before) +
                            std::popcount(node.leaves & leaves_before));
}

} // namespace xdplane
