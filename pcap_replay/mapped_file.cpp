// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
#include "pcap_replay/mapped_file.h"

#include <array>
#include <atomic>
#include <cerrno>
#include <csignal>
#include <mutex>
#include <sys/mman.h>
#include <unistd.h>

namespace xdplane {
namespace {

constexpr std::uintptr_t kPage = 4096;

/// What the handler of the signal looks at.
struct Slot {
    std::atomic<std::uintptr_t> begin{0}; ///< 0: free
    std::atomic<std::uintptr_t> end{0};
    std::atomic<bool> cut{false};
};
constinit std::array<Slot, 64> g_slots;
std::mutex g_slots_lock; ///< of who takes one
struct sigaction g_before;

/// Only system calls and atomics: a signal's handler.
void on_missing_page(int signal, siginfo_t* info, void* context) {
    const auto address = reinterpret_cast<std::uintptr_t>(info->si_addr);
    for (Slot& slot : g_slots) {
        const std::uintptr_t end = slot.end.load(std::memory_order_acquire);
        if (address < slot.begin.load(std::memory_order_acquire) || address >= end) continue;
        const int before = errno;
        const std::uintptr_t page = address & ~(kPage - 1);
        void* const zeros = ::mmap(reinterpret_cast<void*>(page), end - page, PROT_READ,
                                   MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED | MAP_NORESERVE, -1, 0);
        errno = before;
        if (zeros == MAP_FAILED) break;
        slot.cut.store(true, std::memory_order_release);
        return;
    }
    if ((g_before.sa_flags & SA_SIGINFO) != 0) return g_before.sa_sigaction(signal, info, context);
    if (g_before.sa_handler != SIG_DFL && g_before.sa_handler != SIG_IGN) return g_before.sa_handler(signal);
    // Not ours: what happens without a handler happens when the access is made again.
    ::sigaction(signal, &g_before, nullptr);
}

void install() {
    static const int once = [] {
        struct sigaction ours{};
        ours.sa_sigaction = on_missing_page;
        ours.sa_flags = SA_SIGINFO;
        return ::sigaction(SIGBUS, &ours, &g_before);
    }();
    (void)once;
}

} // namespace

std::unique_ptr<MappedFile> MappedFile::map(int fd, u64 size) {
    void* const address = size == 0 ? MAP_FAILED : ::mmap(nullptr, size, PROT_READ, MAP_SHARED, fd, 0);
    if (address == MAP_FAILED) return nullptr;
    Mapping memory(address, size);
    install();
    const std::lock_guard guard(g_slots_lock);
    for (u32 i = 0; i < g_slots.size(); ++i) {
        Slot& slot = g_slots[i];
        if (slot.begin.load(std::memory_order_relaxed) != 0) continue;
        const auto begin = reinterpret_cast<std::uintptr_t>(address);
        slot.cut.store(false, std::memory_order_relaxed);
        slot.end.store((begin + size + kPage - 1) & ~(kPage - 1), std::memory_order_release);
        slot.begin.store(begin, std::memory_order_release);
        return std::unique_ptr<MappedFile>(new MappedFile(std::move(memory), i));
    }
    return nullptr;
}

MappedFile::~MappedFile() {
    g_slots[slot_].end.store(0, std::memory_order_release);
    const std::lock_guard guard(g_slots_lock);
    g_slots[slot_].begin.store(0, std::memory_order_release);
}

void MappedFile::bring(u64 offset, u64 size) const {
    // A fault enters the pages around its own as well, of whatever the cache holds in large pieces: half as
    // much work as MADV_POPULATE_READ, which looks up each page once more.
    const auto* const bytes = static_cast<const volatile u8*>(memory_.data());
    for (u64 page = offset & ~u64{kPage - 1}; page < offset + size; page += kPage) (void)bytes[page];
}

void MappedFile::release(u64 offset, u64 size) const {
    const u64 begin = (offset + kPage - 1) & ~u64{kPage - 1};
    const u64 end = (offset + size) & ~u64{kPage - 1};
    if (begin < end) (void)::madvise(memory_.data() + begin, end - begin, MADV_DONTNEED);
}

bool MappedFile::cut() const noexcept { return g_slots[slot_].cut.load(std::memory_order_acquire); }

} // namespace xdplane
