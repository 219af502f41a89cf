// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
#pragma once
#include <span>

#include "bpf/maps/map.h"

namespace xdplane {

/// A row per enum bpf_map_type that exists here; find_map_ops() looks them up.
struct MapType {
    u32 type;
    const MapOps* ops;
};
[[nodiscard]] std::span<const MapType> map_types();

} // namespace xdplane
