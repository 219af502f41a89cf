// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
#pragma once
#include <cstddef>

#if defined(__SANITIZE_ADDRESS__)
#define XDPLANE_ASAN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define XDPLANE_ASAN 1
#endif
#endif
#ifdef XDPLANE_ASAN
#include <sanitizer/asan_interface.h>
#endif

/// Elements that no reader may hold any more are poisoned in builds with AddressSanitizer, so that a stale
/// pointer is found where it is used; elsewhere these do nothing.
namespace xdplane {

#ifdef XDPLANE_ASAN
inline constexpr bool kPoisons = true;
#else
inline constexpr bool kPoisons = false;
#endif

inline void poison([[maybe_unused]] const void* memory, [[maybe_unused]] std::size_t size) noexcept {
#ifdef XDPLANE_ASAN
    __asan_poison_memory_region(memory, size);
#endif
}
inline void unpoison([[maybe_unused]] const void* memory, [[maybe_unused]] std::size_t size) noexcept {
#ifdef XDPLANE_ASAN
    __asan_unpoison_memory_region(memory, size);
#endif
}

} // namespace xdplane
