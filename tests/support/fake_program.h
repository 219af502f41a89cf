// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
#pragma once
#include <memory>
#include <vector>

#include "bpf/prog/program.h"

/// Programs made of C++ functions instead of an engine's code, for tests of what is built on Program.
namespace xdplane {

using FakeBody = u32 (*)(XdpBuff*, RunContext*);

struct FakeExecutable final : Executable {
    explicit FakeExecutable(FakeBody f) : body(f) {
        entry.engine_data = this;
        entry.run = [](const Entry* e, XdpBuff* packet, RunContext* context) noexcept {
            return static_cast<const FakeExecutable*>(e->engine_data)->body(packet, context);
        };
        entry.run_burst = [](const Entry* e, XdpBuff* packets, u32 count, RunContext* context) noexcept {
            for (u32 i = 0; i < count; ++i)
                packets[i].verdict =
                    static_cast<const FakeExecutable*>(e->engine_data)->body(&packets[i], context);
        };
    }
    FakeBody body;
};

inline std::shared_ptr<const Program> fake_program(FakeBody body, std::vector<std::shared_ptr<Map>> maps = {},
                                                   bool writes = false, ContextUse use = {}) {
    Program::Parts parts;
    parts.executable = std::make_unique<FakeExecutable>(body);
    parts.maps = std::move(maps);
    parts.writes_packet = writes;
    parts.context_use = use;
    return std::make_shared<const Program>(std::move(parts));
}

/// A map that nothing can be done with: for what looks at the specification alone.
inline std::shared_ptr<Map> fake_map(u32 type = BPF_MAP_TYPE_HASH, u32 flags = 0) {
    static constexpr MapOps kNoOps{.name = "fake"};
    return std::make_shared<Map>(kNoOps, MapSpec{.type = type, .flags = flags});
}

} // namespace xdplane
