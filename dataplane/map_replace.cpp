// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
#include "dataplane/map_replace.h"

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <linux/bpf.h>
#include <mutex>
#include <thread>
#include <vector>

#include "bpf/base/reclaimer.h"
#include "bpf/maps/special_fields.h"
#include "bpf/maps/words.h"
#include "bpf/run/run_context.h"

namespace xdplane {
namespace {

/// Longer than any burst takes.
constexpr auto kLongestBurst = std::chrono::seconds(10);

bool is_replaceable(u32 type) {
    return type == BPF_MAP_TYPE_HASH || type == BPF_MAP_TYPE_PERCPU_HASH || type == BPF_MAP_TYPE_LPM_TRIE ||
           type == BPF_MAP_TYPE_ARRAY || type == BPF_MAP_TYPE_PERCPU_ARRAY;
}

bool all_zero(std::span<const u8> bytes) {
    return std::ranges::all_of(bytes, [](u8 byte) { return byte == 0; });
}

/// Holds on to elements while it writes in them: a reader of the Reclaimer, as workers are.
class Reader {
public:
    Reader() : slot_(Reclaimer::instance().online()) {}
    ~Reader() {
        if (slot_ >= 0) Reclaimer::instance().offline(slot_);
    }
    Reader(const Reader&) = delete;
    Reader& operator=(const Reader&) = delete;
    [[nodiscard]] bool ready() const { return slot_ >= 0; }
    void quiescent() { Reclaimer::instance().quiescent(slot_); }

    /// Repeats what found no memory: a map keeps what was unlinked until every worker has passed a burst
    /// boundary, and one that does not get its CPU may be late.
    template<class Change>
    [[nodiscard]] int change(Change&& step) {
        int code = step();
        for (u32 tries = 0; code == -ENOMEM && tries < 4 && wait_for_others(); ++tries) code = step();
        quiescent();
        return code;
    }

private:
    /// False if a worker does not come back.
    [[nodiscard]] bool wait_for_others() {
        const u64 stamp = Reclaimer::instance().stamp();
        const auto deadline = std::chrono::steady_clock::now() + kLongestBurst;
        quiescent();
        while (!Reclaimer::instance().passed(stamp)) {
            if (std::chrono::steady_clock::now() > deadline) return false;
            std::this_thread::sleep_for(std::chrono::microseconds(50));
        }
        return true;
    }

    int slot_;
};

/// Writes the given bits of a value that programs use; false if they are there already. Bits that are not
/// given may change meanwhile, and are left to whoever changes them.
bool write_words(u64* value, const u8* bits, const u8* mask, u32 size, const MapRecord& record) {
    bool changed = false;
    for (u32 at = 0; at < size; at += 8) {
        const u32 bytes = std::min(size - at, 8U);
        u64 given = bytes == 8 ? read_word(mask + at) : read_partial(mask + at, bytes);
        for (u32 half = 0; half < 2; ++half)
            if (record.overlaps(at + half * 4, i64{at} + half * 4 + 4))
                given &= ~(0xffffffffULL << (32 * half));
        if (given == 0) continue;
        const u64 wanted = (bytes == 8 ? read_word(bits + at) : read_partial(bits + at, bytes)) & given;
        u64* const word = value + at / 8;
        u64 old = load_word(word);
        while ((old & given) != wanted) {
            changed = true;
            if (__atomic_compare_exchange_n(word, &old, (old & ~given) | wanted, true, __ATOMIC_RELAXED,
                                            __ATOMIC_RELAXED))
                break;
        }
    }
    return changed;
}

class Replacement {
public:
    Replacement(Map& map, const MapEntries& entries, const KeyIndex& index)
        : map_(map), entries_(entries), index_(index), present_(entries.size()) {}

    Result<Replaced> run() {
        Reader reader;
        if (!reader.ready()) return fail(EBUSY, "there are {} readers already", Reclaimer::kMaxReaders);
        find_present(reader);
        const u64 fresh = index_.size() - done_.kept;
        const u64 before = done_.kept + stale_.size() / map_.spec().key_size;
        const bool room = map_.ops().array_like || before + fresh <= map_.spec().max_entries;
        if (!room)
            if (auto removed = remove_stale(reader); !removed) return fail(removed.error());
        if (auto added = add_fresh(reader); !added) return fail(added.error());
        if (room)
            if (auto removed = remove_stale(reader); !removed) return fail(removed.error());
        return done_;
    }

private:
    /// Goes through the map: what is in both gets what the file gives, what is in the map alone is noted.
    void find_present(Reader& reader) {
        const MapOps& ops = map_.ops();
        std::vector<u8> key(map_.spec().key_size);
        std::vector<u8> next(key.size());
        // A map that is written while it is read may give keys twice and for ever: its size is a bound.
        u64 steps = u64{map_.spec().max_entries} * 2;
        for (int error = ops.next_key(map_, nullptr, next.data()); error == 0 && steps != 0; --steps) {
            key.swap(next);
            look_at(key);
            reader.quiescent();
            error = ops.next_key(map_, key.data(), next.data());
        }
    }

    void look_at(const std::vector<u8>& key) {
        if (map_.ops().array_like && is_off(key)) return;
        std::vector<u8>& normal = normal_;
        normal = key;
        entries_.normalize(normal);
        const u32 entry = index_.find(normal);
        if (entry == KeyIndex::kNone) {
            stale_.insert(stale_.end(), key.begin(), key.end());
        } else if (!present_[entry]) {
            present_[entry] = true;
            keep(entry);
        }
    }

    bool is_off(const std::vector<u8>& key) {
        scratch_.resize(map_.syscall_value_size());
        return map_.ops().copy_value(map_, key.data(), scratch_.data(), 0) != 0 || all_zero(scratch_);
    }

    void keep(u32 entry) {
        ++done_.kept;
        if (entries_.value_number(entry) != MapEntries::kNothingGiven && write_given(entry)) ++done_.changed;
    }

    bool write_given(u32 entry) {
        const MapSpec& spec = map_.spec();
        const u8* key = entries_.key(entry);
        const u8* bits = entries_.bits(entry).data();
        const u8* mask = entries_.mask(entry).data();
        if (!map_.ops().per_cpu) {
            auto* value = static_cast<u64*>(map_.ops().lookup(map_, key));
            if (value == nullptr) return false; // a program has just deleted it
            if (spec.record.spin_lock < 0)
                return write_words(value, bits, mask, spec.value_size, spec.record);
            ValueLock lock(value, spec.record);
            const std::lock_guard held(lock);
            return write_words(value, bits, mask, spec.value_size, spec.record);
        }
        bool changed = false;
        for (u32 cpu = 0; cpu < num_possible_cpus(); ++cpu) {
            auto* value = static_cast<u64*>(map_.ops().lookup_cpu(map_, key, cpu));
            const std::size_t at = round_up(spec.value_size, 8) * cpu;
            if (value != nullptr)
                changed |= write_words(value, bits + at, mask + at, spec.value_size, spec.record);
        }
        return changed;
    }

    /// In an array an entry may be new and stay all 0, if that is what the file gives.
    Result<> add_fresh(Reader& reader) {
        const u64 flags = map_.ops().array_like ? BPF_ANY : BPF_NOEXIST;
        for (const u32 entry : index_) {
            if (present_[entry]) continue;
            const std::vector<u8> value = entries_.whole_value(entry);
            const int code = reader.change(
                [&] { return map_.ops().store_value(map_, entries_.key(entry), value.data(), flags); });
            if (code == -EEXIST) // a program was faster
                keep(entry);
            else if (code == 0)
                ++done_.added;
            else
                return entries_.error(
                    entry, -code,
                    fmt::format("cannot be added: {}; the map now has {} of the new entries, {} old ones "
                                "were deleted",
                                std::strerror(-code), done_.added, done_.removed));
        }
        return {};
    }

    Result<> remove_stale(Reader& reader) {
        const std::vector<u8> zeros(map_.syscall_value_size());
        const std::size_t size = map_.spec().key_size;
        for (std::size_t at = 0; at < stale_.size(); at += size) {
            const u8* key = stale_.data() + at;
            const int code = reader.change([&] {
                return map_.ops().array_like ? map_.ops().store_value(map_, key, zeros.data(), BPF_ANY)
                                             : map_.ops().erase(map_, key);
            });
            if (code == 0) ++done_.removed;
            if (code != 0 && code != -ENOENT)
                return fail(-code, "an old entry cannot be deleted: {}; {} were, and {} new ones added",
                            std::strerror(-code), done_.removed, done_.added);
        }
        return {};
    }

    Map& map_;
    const MapEntries& entries_;
    const KeyIndex& index_;
    std::vector<bool> present_;
    std::vector<u8> stale_; ///< keys of the map, as they are there
    std::vector<u8> scratch_;
    std::vector<u8> normal_;
    Replaced done_;
};

} // namespace

Result<Replaced> replace_entries(Map& map, const MapEntries& entries) {
    if (!is_replaceable(map.spec().type))
        return fail(EOPNOTSUPP, "a map of type {} can not be brought to the contents of a file",
                    map.ops().name);
    const auto index = KeyIndex::make(entries, map.spec().key_size);
    if (!index) return fail(index.error());
    if (index->size() > map.spec().max_entries)
        return fail(E2BIG, "{} entries, and the map has room for {} (max_entries)", index->size(),
                    map.spec().max_entries);
    return Replacement(map, entries, *index).run();
}

} // namespace xdplane
