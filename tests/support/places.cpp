// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
#include "tests/support/places.h"

namespace xdplane {

std::string source_path(std::string_view relative) {
    return std::string(XDPLANE_SOURCE_ROOT "/").append(relative);
}

std::string build_path(std::string_view relative) {
    return std::string(XDPLANE_BUILD_ROOT "/").append(relative);
}

} // namespace xdplane
