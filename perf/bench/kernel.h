// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
#pragma once
#include <linux/bpf.h>
#include <memory>
#include <string>

#include "bpf/base/result.h"
#include "perf/bench/engines.h"

struct bpf_object;

namespace xdplane::bench {

struct ObjectCloser {
    void operator()(bpf_object* object) const; ///< whoever's object: closing takes no bpf(2)
};
using KernelObject = std::unique_ptr<bpf_object, ObjectCloser>;

/// Empty if bpf(2) of the running kernel lets this process load programs; else why not.
[[nodiscard]] const std::string& kernel_refusal();

/// Opens an object; nothing is loaded. For the running kernel, inside a KernelScope.
[[nodiscard]] Result<KernelObject> open_kernel_object(std::span<const u8> bytes, const std::string& name);

} // namespace xdplane::bench
