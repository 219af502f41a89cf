// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
#include "bpf/maps/lpm_trie.h"

#include <algorithm>
#include <cerrno>
#include <mutex>

#include "bpf/maps/lpm_skip.h"
#include "bpf/maps/memory.h"
#include "bpf/maps/poison.h"
#include "bpf/maps/rows.h"
#include "bpf/run/packet.h"
#include "bpf/run/run_context.h"

namespace xdplane {
namespace {

constexpr u32 kNone = ElementPool::kNone;
constexpr u32 kPrefixBytes = 4;
constexpr u32 kMaxData = 256;
/// Linux's KMALLOC_MAX_SIZE less the largest data and its node's header.
constexpr u64 kMaxValue = kMaxAllocation - kMaxData - 24;
/// Units of the arena that deletes may still take when updates get none.
constexpr u32 kReserve = 4096;

Result<> check_spec(const MapSpec& spec) {
    const u32 unknown = spec.flags & ~(kAccessFlags | BPF_F_NO_PREALLOC | BPF_F_NUMA_NODE);
    if (spec.max_entries == 0) return fail(EINVAL, "max_entries is 0");
    if ((spec.flags & BPF_F_NO_PREALLOC) == 0) return fail(EINVAL, "a trie needs BPF_F_NO_PREALLOC");
    if (unknown != 0) return fail(EINVAL, "map flags {:#x} are not allowed", unknown);
    if (spec.key_size <= kPrefixBytes || spec.key_size > kPrefixBytes + kMaxData)
        return fail(EINVAL, "key size {} is not {} to {}", spec.key_size, kPrefixBytes + 1,
                    kPrefixBytes + kMaxData);
    if (spec.value_size == 0) return fail(EINVAL, "value size is 0");
    if (spec.value_size > kMaxValue)
        return fail(EINVAL, "value size {} is more than {}", spec.value_size, kMaxValue);
    return {};
}

u32 prefix_length(const u8* key) noexcept {
    u32 length;
    std::memcpy(&length, key, kPrefixBytes);
    return length;
}

} // namespace

LpmTrie::LpmTrie(MapSpec spec)
    : Map(kLpmTrieOps, std::move(spec)),
      data_size_(this->spec().key_size - kPrefixBytes),
      max_length_(data_size_ * 8),
      value_size_(this->spec().value_size),
      max_entries_(this->spec().max_entries) {}

LpmTrie::~LpmTrie() { unpoison(elements_.data(), elements_used_ * element_size_); }

Result<std::shared_ptr<Map>> LpmTrie::create(MapSpec spec) {
    if (auto checked = check_spec(spec); !checked) return fail(checked.error());
    const std::shared_ptr<LpmTrie> map(new LpmTrie(std::move(spec)));
    if (auto done = map->allocate(); !done) return fail(done.error());
    return map;
}

Result<> LpmTrie::allocate() {
    key_offset_ = static_cast<u32>(round_up(value_size_, 8));
    const u64 needed = u64{key_offset_} + spec().key_size;
    element_size_ = needed > kCacheLine ? round_up(needed, kCacheLine) : std::bit_ceil(needed);
    // Linux allocates entries as they come, so any number may be asked for: no more than fit can come.
    constexpr u64 kMost = 1U << 31;
    const u64 fit = max_map_bytes() / (element_size_ + LpmArena::kUnit) + 1;
    capacity_ = static_cast<u32>(std::min({u64{max_entries_}, fit, kMost}));
    const u64 elements = u64{capacity_} + 4 * kBurst * num_possible_cpus();
    auto memory = map_memory(elements * element_size_, true);
    if (!memory) return fail(memory.error());
    elements_ = std::move(*memory);
    auto pool = ElementPool::create(
        {.first = elements_.data(), .size = element_size_, .total = static_cast<u32>(elements)}, true);
    if (!pool) return fail(pool.error());
    pool_ = std::move(*pool);
    // Four times what entries can need, for blocks that wait or are of other sizes: only addresses.
    const u64 per_entry = 4 + max_length_ / (LpmNodeValue::kSkipMost * kChunkBits);
    const u64 blocks = std::min(u64{capacity_}, u64{1} << kLpmFrontBits.back()) * kLpmBlockUnits;
    auto arena = LpmArena::create(4 * per_entry * capacity_ + 2 * blocks + (u64{1} << 16), kReserve);
    if (!arena) return fail(arena.error());
    arena_ = std::move(*arena);
    auto front = LpmFront::create(max_length_, elements, arena_.units());
    if (!front) return fail(front.error());
    front_ = std::move(*front);
    if (data_size_ >= kLpmShortcutFromBytes && front_.possible())
        for (LpmShortcut& shortcut : shortcuts_) {
            auto made = LpmShortcut::create(capacity_);
            if (!made) return fail(made.error());
            shortcut = std::move(*made);
        }
    const u32 root = arena_.take(1, false);
    LpmNodeValue{}.store(*block(root));
    root_.store(root, std::memory_order_release);
    return {};
}

u64 LpmTrie::memory_bytes() const {
    const std::lock_guard guard(lock_);
    u64 bytes =
        arena_.used_bytes() + front_.used_bytes() + count_.load(std::memory_order_relaxed) * element_size_;
    for (const LpmShortcut& shortcut : shortcuts_) bytes += shortcut.touched_bytes();
    return bytes;
}

u64* LpmTrie::lookup(const u8* key) const noexcept {
    const u32 length = prefix_length(key);
    const LpmBits bits(key + kPrefixBytes, data_size_);
    if (data_size_ < kLpmShortcutFromBytes) return lookup_short(bits.window(0), length);
    if (data_size_ <= LpmBits::kMostInWords) return lookup_words(bits.window(0), bits.window(64), length);
    if (length > max_length_) return nullptr;
    u32 width = 0;
    const LpmFrontEntry entry = shortcut(bits.window(0), length, width);
    const Start start = entry.is_block() ? begin(bits, length) : begin(entry, width);
    return start.node == nullptr ? start.value : find_below(start, bits, length);
}

u64* LpmTrie::lookup_short(u64 window, u32 length) const noexcept {
    if (length > max_length_) return nullptr;
    const LpmBits bits(window, 0);
    const Start start = begin(bits, length);
    return start.node == nullptr ? start.value : find_below(start, bits, length);
}

u64* LpmTrie::lookup_words(u64 high, u64 low, u32 length) const noexcept {
    if (length > max_length_) return nullptr;
    u32 width = 0;
    const LpmFrontEntry entry = shortcut(high, length, width);
    return entry.has_more() ? find_words(entry, width, high, low, length) : entry.value();
}

/// The rest of it: what the shortcuts do not know. Not in line, so that the rest of lookups is short.
__attribute__((noinline)) u64* LpmTrie::find_words(LpmFrontEntry entry, u32 width, u64 high, u64 low,
                                                   u32 length) const noexcept {
    const LpmBits bits(high, low);
    const Start start = entry.is_block() ? begin(bits, length) : begin(entry, width);
    return start.node == nullptr ? start.value : find_below(start, bits, length);
}

u64* LpmTrie::lookup_more(u64 window, const std::atomic<u64>& word, u32 length) const noexcept {
    // Compiled code has read it already; here it is read so that all see what it leads to (and it may be
    // another).
    const LpmBits bits(window, 0);
    const Start start = begin(LpmFrontEntry(word.load(std::memory_order_acquire)), bits, length);
    return start.node == nullptr ? start.value : find_below(start, bits, length);
}

/// In line twice: where all bits are in a register, and where they are not.
inline __attribute__((always_inline)) u64* LpmTrie::find_below(const Start& start, const LpmBits& bits,
                                                               u32 length) const noexcept {
    const LpmNode* node = start.node;
    const LpmNode* best = nullptr;
    u64 found = 0; // of the best's internal ones
    u64 leaf = 0;
    // How far a key goes is all that jumps depend on.
    for (u32 at = start.at;;) {
        const u32 left = length - at;
        if ((node->internal & LpmNodeValue::kSkip) != 0) {
            const u32 chunks = skip_chunks(*node);
            if (left < chunks * kChunkBits || !skip_fits(*node, bits, at)) break;
            at += chunks * kChunkBits;
            node = block(node->base.load(std::memory_order_acquire));
            continue;
        }
        const u32 chunk = bits.chunk(at);
        const u64 one = u64{1} << chunk;
        u64 inside = node->internal & kLpmAncestors[chunk];
        leaf = node->leaves & one;
        if (left < kChunkBits) {
            inside &= lpm_no_longer_than(left);
            leaf = 0;
        }
        const bool here = (inside | leaf) != 0;
        best = select(here, node, best);
        found = select(here, inside, found);
        if (left < kChunkBits || (node->children & one) == 0) break;
        node = block(node->base.load(std::memory_order_acquire)) + std::popcount(node->children & (one - 1));
        at += kChunkBits;
    }
    if (best == nullptr) return start.value;
    return value_of(result(*best, rank_in(*best, found, leaf)));
}

void LpmTrie::find(const LpmBits& bits, u32 length, Place& place) const noexcept {
    Step step{const_cast<std::atomic<u32>*>(&root_), 0, 1, 0};
    place.count = 0;
    place.exists = false;
    while (true) {
        place.steps[place.count++] = step;
        LpmNode& node = node_at(step);
        const u32 left = length - step.at;
        if ((node.internal & LpmNodeValue::kSkip) != 0) {
            const u32 chunks = skip_chunks(node);
            place.matched = skip_matches(node, bits, step.at, std::min(chunks, left / kChunkBits));
            if (place.matched != chunks) return;
            step = {&node.base, 0, 1, step.at + chunks * kChunkBits};
            continue;
        }
        const u32 chunk = bits.chunk(step.at);
        if (left < kChunkBits) {
            place.exists = (node.internal >> ((1U << left) | chunk >> (kChunkBits - left)) & 1) != 0;
            return;
        }
        if ((node.children >> chunk & 1) == 0) {
            place.exists = left == kChunkBits && (node.leaves >> chunk & 1) != 0;
            return;
        }
        step = {&node.base, static_cast<u16>(std::popcount(node.children & lpm_below(chunk))),
                static_cast<u16>(std::popcount(node.children)), step.at + kChunkBits};
    }
}

u32 LpmTrie::rank_of(const LpmNodeValue& node, const LpmBits& bits, u32 at, u32 length) noexcept {
    const u32 chunk = bits.chunk(at);
    const u32 left = length - at;
    if (left < kChunkBits)
        return static_cast<u32>(
            std::popcount(node.internal & lpm_below((1U << left) | chunk >> (kChunkBits - left))));
    return static_cast<u32>(std::popcount(node.internal) + std::popcount(node.leaves & lpm_below(chunk)));
}

u32 LpmTrie::take_element(const u8* key, const u8* value) noexcept {
    // One exists, since no more than capacity_ are linked; but a bin that was found empty may have been
    // given one a moment later.
    u32 element = pool_.take(true);
    while (element == kNone) element = pool_.take(true);
    elements_used_ = std::max(elements_used_, u64{element} + 1);
    unpoison(value_of(element), element_size_);
    store_words(value_of(element), value, value_size_);
    store_words(value_of(element) + key_offset_ / 8, key, spec().key_size);
    return element;
}

int LpmTrie::update(const u8* key, const u8* value, u64 flags) noexcept {
    const u32 length = prefix_length(key);
    if (flags > BPF_EXIST || length > max_length_) return -EINVAL;
    const LpmBits bits(key + kPrefixBytes, data_size_);
    const std::lock_guard guard(lock_);
    Place place;
    find(bits, length, place);
    if (place.exists) {
        if (flags == BPF_NOEXIST) return -EEXIST;
        replace(place, bits, length, take_element(key, value));
        return 0;
    }
    if (flags == BPF_EXIST) return -ENOENT;
    const u32 count = count_.load(std::memory_order_relaxed);
    if (count == max_entries_) return -ENOSPC;
    if (count == capacity_) return -ENOMEM;
    const u32 element = take_element(key, value);
    if (!insert(place, bits, length, element)) {
        pool_.give_back(element);
        return -ENOMEM;
    }
    count_.store(count + 1, std::memory_order_relaxed);
    ++lengths_[std::min<std::size_t>(length, lengths_.size() - 1)];
    grow_front(count + 1);
    renew_shortcuts();
    return 0;
}

void LpmTrie::replace(const Place& place, const LpmBits& bits, u32 length, u32 element) noexcept {
    const Step& step = place.steps[place.count - 1];
    LpmNode& node = node_at(step);
    const LpmNodeValue value = LpmNodeValue::load(node);
    std::atomic<u32>& slot = value.result_count() == 1
                                 ? node.results
                                 : result_block(value.results)[rank_of(value, bits, step.at, length)];
    const u32 old = slot.exchange(element, std::memory_order_acq_rel);
    if (length <= kLpmWithBlock) refill_front(bits, length);
    if (length <= LpmShortcut::kMostBits) refill_shortcuts(bits, length);
    pool_.give_back(old);
}

int LpmTrie::erase(const u8* key) noexcept {
    const u32 length = prefix_length(key);
    if (length > max_length_) return -EINVAL;
    const LpmBits bits(key + kPrefixBytes, data_size_);
    const std::lock_guard guard(lock_);
    Place place;
    find(bits, length, place);
    if (!place.exists) return -ENOENT;
    const u32 element = remove(place, bits, length);
    if (element == kNone) return -ENOMEM;
    pool_.give_back(element);
    count_.fetch_sub(1, std::memory_order_relaxed);
    --lengths_[std::min<std::size_t>(length, lengths_.size() - 1)];
    renew_shortcuts();
    return 0;
}

int LpmTrie::copy_value(const u8* key, u8* value) {
    // A writer's lock: until it is given back, nothing that this lookup meets is reused.
    const std::lock_guard guard(lock_);
    const u64* found = lookup(key);
    if (found == nullptr) return -ENOENT;
    copy_words(value, found, value_size_);
    return 0;
}

namespace {

LpmTrie& trie(Map& map) noexcept { return static_cast<LpmTrie&>(map); }
const u8* bytes(const void* memory) noexcept { return static_cast<const u8*>(memory); }

Result<std::shared_ptr<Map>> create(MapSpec spec) { return LpmTrie::create(std::move(spec)); }
void* lookup(Map& map, const void* key) noexcept { return trie(map).lookup(bytes(key)); }
int update(Map& map, const void* key, const void* value, u64 flags) noexcept {
    return trie(map).update(bytes(key), bytes(value), flags);
}
int erase(Map& map, const void* key) noexcept { return trie(map).erase(bytes(key)); }
int copy_value(Map& map, const void* key, void* value, u64 flags) {
    return flags != 0 ? -EINVAL : trie(map).copy_value(bytes(key), static_cast<u8*>(value));
}
int store_value(Map& map, const void* key, const void* value, u64 flags) {
    return update(map, key, value, flags);
}
int next_key(Map& map, const void* key, void* next) {
    return trie(map).next_key(bytes(key), static_cast<u8*>(next));
}

} // namespace

constinit const MapOps kLpmTrieOps = {.name = "lpm_trie",
                                      .create = create,
                                      .lookup = lookup,
                                      .update = update,
                                      .erase = erase,
                                      .copy_value = copy_value,
                                      .store_value = store_value,
                                      .next_key = next_key,
                                      .direct_value = nullptr,
                                      .per_cpu = false,
                                      .array_like = false,
                                      .batch = kBatchLookup | kBatchUpdate | kBatchDelete,
                                      .ahead = &kLpmAhead};

} // namespace xdplane
