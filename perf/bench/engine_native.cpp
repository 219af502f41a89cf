// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
#include <algorithm>
#include <cerrno>

#include "perf/bench/engines.h"
#include "perf/bench/native_programs.h"
#include "perf/bench/packet_loop.h"

extern "C" {
#define XDPLANE_BENCH_NATIVE(X)                                                                              \
    X(pass)                                                                                                  \
    X(parse)                                                                                                 \
    X(acl)                                                                                                   \
    X(flow)                                                                                                  \
    X(flow_wide)                                                                                             \
    X(lpm)                                                                                                   \
    X(lpm6)                                                                                                  \
    X(percpu)                                                                                                \
    X(lru)                                                                                                   \
    X(lb)                                                                                                    \
    X(chain_1)                                                                                               \
    X(chain_4)                                                                                               \
    X(chain_8)                                                                                               \
    X(chain_16)                                                                                              \
    X(chain_32)
#define XDPLANE_BENCH_DECLARE(name) xdplane::u64 native_##name(const native_context* context);
XDPLANE_BENCH_NATIVE(XDPLANE_BENCH_DECLARE)
}

namespace xdplane::bench {
namespace {

using NativeFunction = u64 (*)(const native_context* context);
struct NativeProgram {
    std::string_view name;
    NativeFunction run;
};
#define XDPLANE_BENCH_ROW(name) {#name, native_##name},
constexpr NativeProgram kPrograms[] = {XDPLANE_BENCH_NATIVE(XDPLANE_BENCH_ROW)};

class NativeSubject final : public PacketLoop {
public:
    NativeSubject(const EngineSetup& setup, NativeFunction function, std::shared_ptr<NativeMaps> maps)
        : PacketLoop(setup), run_(function), maps_(std::move(maps)) {}

    void judge(XdpBuff* packets, u32 count) noexcept override {
        for (u32 i = 0; i < count; ++i) {
            const native_context context{reinterpret_cast<u64>(packets[i].data),
                                         reinterpret_cast<u64>(packets[i].data_end)};
            packets[i].verdict = static_cast<u32>(run_(&context));
        }
    }
    [[nodiscard]] u64 contents() override { return maps_->sum(); }
    void update(u32 index) override { maps_->update(index); }

private:
    NativeFunction run_;
    std::shared_ptr<NativeMaps> maps_;
};

} // namespace

Result<std::unique_ptr<Subject>> make_native(const EngineSetup& setup) {
    const auto* program = std::ranges::find(kPrograms, setup.which.program, &NativeProgram::name);
    if (program == std::end(kPrograms)) return fail(ENOTSUP, "there is no native version");
    auto maps = NativeMaps::get(setup);
    if (!maps) return fail(maps.error());
    return std::make_unique<NativeSubject>(setup, program->run, std::move(*maps));
}

} // namespace xdplane::bench
