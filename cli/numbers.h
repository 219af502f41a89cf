// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
#pragma once
#include <boost/program_options.hpp>

#include "bpf/base/types.h"

/// Numbers of options, which are declared as strings: Boost would let negative ones wrap around. What is
/// wrong is a UsageError that has the option, what it was given, and what it may be.
namespace xdplane::cli {

/// A whole number, decimal, or hexadecimal behind 0x.
[[nodiscard]] u64 whole_number(const boost::program_options::variables_map& values, const char* option,
                               u64 least, u64 most);

/// Seconds, with a fraction. `least` 0: above that.
[[nodiscard]] double seconds(const boost::program_options::variables_map& values, const char* option,
                             double least, double most);

} // namespace xdplane::cli
