// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
#pragma once
#include <string>
#include <vector>

#include "bpf/base/result.h"
#include "tests/e2e/process.h"

namespace xdplane {

/// Three network namespaces in a row, gone with the object:
///
///     left: host (10.9.0.1/24, fd09::1/64) ==== left0  middle  right0 ==== right: host (10.9.0.2/24, ::2)
///
/// The veth pairs' offloads are off: what a data plane in the middle receives is what goes over a wire.
class Namespaces {
public:
    /// Fails where the machine does not allow it: no root, no namespaces, no veth.
    [[nodiscard]] static Result<std::unique_ptr<Namespaces>> make();
    ~Namespaces();
    Namespaces(const Namespaces&) = delete;
    Namespaces& operator=(const Namespaces&) = delete;

    /// As `ip netns` calls it: of "left", "middle", "right".
    [[nodiscard]] std::string name(const std::string& where) const { return prefix_ + where; }
    /// A command line that runs in one of them.
    [[nodiscard]] std::vector<std::string> in(const std::string& where,
                                              std::vector<std::string> command) const;
    [[nodiscard]] Finished run(const std::string& where, const std::vector<std::string>& command) const {
        return run_process(in(where, command));
    }
    /// From left to right's address. True if every packet was answered within that many seconds.
    [[nodiscard]] bool ping(const std::string& address = "10.9.0.2", int count = 3, int seconds = 3) const;

private:
    explicit Namespaces(std::string prefix) : prefix_(std::move(prefix)) {}
    [[nodiscard]] Result<> build() const;

    std::string prefix_;
};

} // namespace xdplane
