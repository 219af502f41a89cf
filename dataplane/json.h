// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
#pragma once
#include <nlohmann/json_fwd.hpp>

namespace xdplane {

/// Objects keep the order in which their members were written.
using Json = nlohmann::ordered_json;

} // namespace xdplane
