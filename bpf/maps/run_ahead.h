// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
#pragma once
#include <array>

#include "bpf/maps/map.h"
#include "bpf/run/packet.h"

/// Running ahead: before a burst is judged, slices of its program (lower/slice.h) find the keys that it will
/// look up, and the maps fetch the cache lines of all those lookups at once. Nothing here changes a map or a
/// packet: what is fetched in vain, or goes stale before it is used, costs time and nothing else.
namespace xdplane {

/// What a map keeps of a key between note() and fetch(): words of its own choice.
inline constexpr u32 kNoteWords = 3;

/// A key of at most 24 bytes as words, the last one's missing bytes 0. Longer ones: garbage.
struct KeyWords {
    std::array<u64, 3> word;
};
inline constexpr u32 kKeyWordsBytes = sizeof(KeyWords);

struct AheadOps {
    /// Bytes that lookups of random keys read: of entries that are there. Any thread.
    u64 (*footprint)(const Map&) noexcept;
    /// Notes a key, and may prefetch where its lookup begins. `words` are those of the key: whoever built it
    /// in pieces should not have it read in larger ones. Read word by word for the same reason: copies of
    /// them, which compilers make in larger pieces, would wait for the stores.
    void (*note)(const Map&, const void* key, const KeyWords& words, u64* note) noexcept;
    /// Prefetches the rest of these lookups. Called by the same thread, a reader of the Reclaimer, which has
    /// not been quiescent since.
    void (*fetch)(const Map&, const u64* notes, u32 count) noexcept;
    /// A lookup that leaves no trace.
    void* (*peek)(Map&, const void* key) noexcept;
};

enum class RunAhead : u8 {
    off,
    on,        ///< for every map that has AheadOps
    automatic, ///< for maps of which more is in use than the core's own caches hold
};
/// For all bursts from now on, of all threads. Any thread; automatic at first.
void set_run_ahead(RunAhead mode) noexcept;
[[nodiscard]] RunAhead run_ahead_mode() noexcept;

/// Whether to run ahead of lookups in this map now. Data path: a map that fills up or empties changes it.
[[nodiscard]] bool ahead_pays(const Map& map) noexcept;

/// A lookup of a program, as its slice knows it. Lookups of one pass are fetched together: `depth` counts
/// those that may come before this one.
struct AheadSite {
    const Map* map;
    u32 depth;
    bool followed; ///< other lookups may come behind it
    bool in_words; ///< ahead_visit() gets the key's words as well
};
/// Passes over a burst: lookups of this depth and beyond are not fetched ahead.
inline constexpr u32 kAheadPasses = 4;

/// One pass, and what it has noted: `t_run.ahead` of the thread that makes it.
struct Ahead {
    static constexpr u32 kMaps = 4;
    struct Notes {
        const Map* map;
        bool pays;
        u32 count;
        std::array<u64, u64{kBurst} * kNoteWords> words;
    };

    u32 pass;
    bool more; ///< there are lookups for another pass
    u32 maps;
    std::array<Notes, kMaps> notes;

    void begin(u32 number) noexcept {
        pass = number;
        more = false;
        maps = 0;
    }
    /// Lookups that were noted are fetched. False if there are none.
    bool fetch() const noexcept;
};

/// What a slice does in the place of a lookup, a HelperFn: notes the key, or looks it up if it belongs to an
/// earlier pass. Returns kAheadStop where the slice is to end, else the value or 0.
[[nodiscard]] u64 ahead_visit(u64 site, u64 key, u64 word0, u64 word1, u64 word2) noexcept;
inline constexpr u64 kAheadStop = 1;

} // namespace xdplane
