// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
#pragma once
#include <array>
#include <memory>
#include <string>
#include <vector>

#include "bpf/prog/program.h"

namespace xdplane {

/// A network interface, as programs and bpf(2) know it.
struct Interface {
    u32 ifindex = 0; ///< not 0
    u32 mtu = 0;
    std::string name;
    std::array<u8, 6> mac{};
};

/// Whoever has interfaces whose packets XDP programs can judge: bpf(2) itself knows of none. Control threads.
class Interfaces {
public:
    virtual ~Interfaces() = default;
    [[nodiscard]] virtual std::vector<Interface> list() const = 0;
    /// From now on this program judges what comes in on one of list(); null: none of bpf(2)'s does. When it
    /// returns, nobody starts to run the one before any more. 0 or -errno.
    [[nodiscard]] virtual int install(u32 ifindex, const std::shared_ptr<const Program>& program) = 0;
};

} // namespace xdplane
