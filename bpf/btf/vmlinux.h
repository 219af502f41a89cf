// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
#pragma once
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "bpf/base/result.h"
#include "bpf/base/types.h"

namespace xdplane {

/// The functions of the running kernel's BTF, by id and by name: libbpf turns the name of a kernel function
/// that a program calls into this id, so it has to be turned back. Immutable; any thread.
///
/// Only functions and their names are looked at, and nothing of the rest is kept: the whole BTF has a hundred
/// thousand types.
class KernelFunctions {
public:
    /// Errors: those of opening and reading the file; EINVAL for what is no BTF of this host.
    [[nodiscard]] static Result<KernelFunctions> read(const std::string& path);

    /// Empty if the id is none of a function.
    [[nodiscard]] std::string_view name(u32 btf_id) const;
    /// The first function of this name.
    [[nodiscard]] std::optional<u32> id(std::string_view name) const;
    [[nodiscard]] std::size_t size() const { return functions_.size(); }

private:
    struct Function {
        u32 id;
        u32 name; ///< offset into names_
    };
    friend class KernelFunctionScan;

    std::vector<Function> functions_; ///< ordered by id
    std::string names_;               ///< each ends in a NUL
};

/// Those of the running kernel, read at the first call from /sys/kernel/btf/vmlinux or, if it is set, from
/// $XDPLANE_VMLINUX_BTF, and kept. Where that fails every call says so again. Any thread.
[[nodiscard]] const Result<KernelFunctions>& kernel_functions();

} // namespace xdplane
