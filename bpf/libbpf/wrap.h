// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
#pragma once

namespace xdplane {

/// True, and a reference that makes the linker take the wrappers along.
[[nodiscard]] bool libbpf_is_wrapped();

/// While it lives, what libbpf asks bpf(2) for on this thread goes to the running kernel. For comparisons: an
/// object opened in a scope is loaded, used and closed in one.
class KernelScope {
public:
    KernelScope();
    ~KernelScope();
    KernelScope(const KernelScope&) = delete;
    KernelScope& operator=(const KernelScope&) = delete;

private:
    bool before_;
};

} // namespace xdplane
