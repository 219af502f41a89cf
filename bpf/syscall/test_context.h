// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
#pragma once
#include <algorithm>
#include <cstring>
#include <span>
#include <vector>

#include "bpf/base/types.h"

/// The context structures of BPF_PROG_TEST_RUN, which callers give and take in any length.
namespace xdplane {

inline constexpr u32 kTestLoopback = 1; ///< ifindex: where Linux's test packets seem to come from

template<class T>
T context_from(std::span<const u8> bytes) {
    T ctx{};
    if (!bytes.empty()) std::memcpy(&ctx, bytes.data(), std::min(bytes.size(), sizeof ctx));
    return ctx;
}
template<class T>
void context_to(const T& ctx, std::vector<u8>& out) {
    const auto* bytes = reinterpret_cast<const u8*>(&ctx);
    out.assign(bytes, bytes + sizeof ctx);
}

} // namespace xdplane
