// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
#pragma once
#include <array>
#include <atomic>
#include <mutex>
#include <vector>

#include "bpf/base/types.h"

namespace xdplane {

/// The one answer to "when may this be freed": quiescent-state based reclamation (McKenney's QSBR, the scheme
/// of liburcu-qsbr and rte_rcu_qsbr, kept here because bpf/ never includes DPDK).
///
/// A reader (a worker) goes online once, and says quiescent() between two bursts, when it holds no pointer
/// into shared structures. A writer unlinks an object, then asks for a stamp(): once passed(stamp) is true,
/// no reader can still hold the object. With no reader online every stamp has passed at once, which is what
/// tests and the control-only tools see.
///
/// Threads: everything here may be called from any thread. online/offline/quiescent of one slot only from the
/// thread that owns the slot.
class Reclaimer {
public:
    static constexpr u32 kMaxReaders = 256;

    /// Takes a free reader slot; -1 if all kMaxReaders are taken. The reader starts online.
    [[nodiscard]] int online();
    void offline(int slot);

    /// Reader: "I hold nothing". One acquire load and one release store to a line of its own.
    void quiescent(int slot) noexcept {
        readers_[static_cast<u32>(slot)].seen.store(epoch_.load(std::memory_order_acquire),
                                                    std::memory_order_release);
    }

    /// Writer, after unlinking: the stamp to wait for. Starts a new epoch.
    [[nodiscard]] u64 stamp() noexcept { return epoch_.fetch_add(1, std::memory_order_acq_rel) + 1; }
    /// True once every online reader has been quiescent since stamp() was taken.
    [[nodiscard]] bool passed(u64 stamp) const noexcept;

    /// Frees `object` with `destroy` once every reader has moved on. Allocates, so control thread only; the
    /// data path keeps its own limbo lists with stamp() and passed(). Frees what is due on the way.
    void retire(void* object, void (*destroy)(void*));
    template<class T>
    void retire(T* object) {
        retire(const_cast<std::remove_const_t<T>*>(object), [](void* p) { delete static_cast<T*>(p); });
    }
    /// Frees what is due; returns how many objects still wait.
    std::size_t collect();
    /// Waits until everything retired so far is freed. Never from a thread that is an online reader.
    void drain();

    /// The process has one, shared by all maps and generations.
    static Reclaimer& instance();
    ~Reclaimer();

private:
    static constexpr u64 kOffline = ~u64{0};
    struct alignas(kCacheLine) Reader {
        std::atomic<u64> seen{kOffline}; ///< written by the reader alone, read by writers
        std::atomic<bool> taken{false};  ///< written under online()/offline()
    };
    struct Retired {
        void* object;
        void (*destroy)(void*);
        u64 stamp;
    };

    alignas(kCacheLine) std::atomic<u64> epoch_{1}; ///< written by writers, read by everyone
    std::array<Reader, kMaxReaders> readers_;
    std::atomic<u32> high_water_{0}; ///< slots that were ever taken: passed() looks no further
    std::mutex lock_;                ///< guards retired_
    std::vector<Retired> retired_;
};

} // namespace xdplane
