// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
#pragma once
#include "tests/support/filter_case.h"

namespace xdplane::test {

/// The main() of a filter test binary: `BINARY OBJECT_DIR CASE_DIR`, after GoogleTest's own options. A
/// GoogleTest case for each filter case (suite: the object's name), and one for each object that fails unless
/// every program in it has a case. A case of which anything could not be compared counts as skipped, naming
/// what; a failed comparison fails it all the same.
int run_filter_suite(int argc, char** argv, const FilterEngine& engine);

} // namespace xdplane::test
