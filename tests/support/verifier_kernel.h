// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
#pragma once
#include <string>

#include "tests/support/verifier_cases.h"

namespace xdplane::test {

struct KernelVerdict {
    bool accepted = false;
    int error = 0; ///< errno of a rejection
    std::string log;
};

/// What the running kernel's verifier says of the case; `request` is that of make_request(). EPERM: programs
/// of unprivileged users cannot be loaded here, whatever is in them.
[[nodiscard]] Result<KernelVerdict> ask_kernel(const VerifierCase& one, VerifyRequest request,
                                               u32 log_level = 1);

} // namespace xdplane::test
