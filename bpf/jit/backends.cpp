// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
#include <algorithm>

#include "bpf/jit/backend.h"
#include "bpf/jit/x86_64.h"

namespace xdplane {
namespace {

#if defined(__x86_64__)
constexpr bool kHostIsX86 = true;
#else
constexpr bool kHostIsX86 = false;
#endif

constexpr JitBackend kBackends[] = {
    {"x86-64", kHostIsX86, &x86_64::compile},
};

} // namespace

std::span<const JitBackend> jit_backends() { return kBackends; }

const JitBackend* host_backend() {
    const auto* const found = std::ranges::find_if(kBackends, &JitBackend::host);
    return found == std::end(kBackends) ? nullptr : found;
}

} // namespace xdplane
