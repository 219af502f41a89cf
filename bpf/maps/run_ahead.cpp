// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
#include "bpf/maps/run_ahead.h"

#include <cstring>

#include "bpf/run/run_context.h"

namespace xdplane {
namespace {

std::atomic<RunAhead> g_mode{RunAhead::automatic};

/// Maps that use less than this stay in the core's own caches, and running ahead of them costs more than it
/// saves. Of larger ones trials tell (bpf/jit/ahead_trial.h).
constexpr u64 kLeastFootprint = u64{1} << 19;

Ahead::Notes* notes_of(Ahead& ahead, const Map& map) noexcept {
    for (u32 i = 0; i < ahead.maps; ++i)
        if (ahead.notes[i].map == &map) return &ahead.notes[i];
    if (ahead.maps == Ahead::kMaps) return nullptr;
    Ahead::Notes& fresh = ahead.notes[ahead.maps++];
    fresh.map = &map;
    fresh.pays = ahead_pays(map);
    fresh.count = 0;
    return &fresh;
}

KeyWords words_of(const Map& map, const void* key) noexcept {
    KeyWords words{};
    const u32 size = map.spec().key_size;
    if (size <= kKeyWordsBytes) std::memcpy(words.word.data(), key, size);
    return words;
}

} // namespace

void set_run_ahead(RunAhead mode) noexcept { g_mode.store(mode, std::memory_order_relaxed); }
RunAhead run_ahead_mode() noexcept { return g_mode.load(std::memory_order_relaxed); }

bool ahead_pays(const Map& map) noexcept {
    const RunAhead mode = run_ahead_mode();
    if (mode != RunAhead::automatic) return mode == RunAhead::on;
    return map.ops().ahead->footprint(map) >= kLeastFootprint;
}

bool Ahead::fetch() const noexcept {
    bool any = false;
    for (u32 i = 0; i < maps; ++i) {
        const Notes& list = notes[i];
        if (list.count == 0) continue;
        list.map->ops().ahead->fetch(*list.map, list.words.data(), list.count);
        any = true;
    }
    return any;
}

u64 ahead_visit(u64 site_address, u64 key, u64 word0, u64 word1, u64 word2) noexcept {
    const auto& site = *reinterpret_cast<const AheadSite*>(site_address);
    const void* const bytes = reinterpret_cast<const void*>(key);
    Ahead& ahead = *t_run.ahead;
    Ahead::Notes* const notes = notes_of(ahead, *site.map);
    const bool fetches = notes != nullptr && notes->pays;
    if (fetches && ahead.pass <= site.depth) {
        ahead.more |= site.followed || ahead.pass < site.depth;
        if (ahead.pass == site.depth && notes->count < kBurst) {
            const KeyWords words =
                site.in_words ? KeyWords{{word0, word1, word2}} : words_of(*site.map, bytes);
            u64* const note = &notes->words[u64{notes->count++} * kNoteWords];
            site.map->ops().ahead->note(*site.map, bytes, words, note);
        }
        return kAheadStop;
    }
    // A value is written through the pointer by nobody: the slice has no stores but to its stack.
    return reinterpret_cast<u64>(site.map->ops().ahead->peek(const_cast<Map&>(*site.map), bytes));
}

} // namespace xdplane
