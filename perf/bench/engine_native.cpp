// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
#include <algorithm>
#include <cerrno>
#include <cstddef>

#include "perf/bench/engines.h"
#include "perf/bench/native_programs.h"
#include "perf/bench/packet_loop.h"

extern "C" {
// What is one function; and what is several, which no loop can have inside.
#define XDPLANE_BENCH_INLINED(X)                                                                             \
    X(pass)                                                                                                  \
    X(parse)                                                                                                 \
    X(acl)                                                                                                   \
    X(flow)                                                                                                  \
    X(flow_wide)                                                                                             \
    X(lpm)                                                                                                   \
    X(lpm6)                                                                                                  \
    X(percpu)                                                                                                \
    X(lru)                                                                                                   \
    X(lb)
#define XDPLANE_BENCH_NATIVE(X)                                                                              \
    XDPLANE_BENCH_INLINED(X)                                                                                 \
    X(chain_1)                                                                                               \
    X(chain_4)                                                                                               \
    X(chain_8)                                                                                               \
    X(chain_16)                                                                                              \
    X(chain_32)
#define XDPLANE_BENCH_DECLARE(name) xdplane::u64 native_##name(const native_context* context);
XDPLANE_BENCH_NATIVE(XDPLANE_BENCH_DECLARE)
#define XDPLANE_BENCH_DECLARE_LOOP(name) void inlined_##name(native_packet* packets, xdplane::u32 count);
XDPLANE_BENCH_INLINED(XDPLANE_BENCH_DECLARE_LOOP)
}

namespace xdplane::bench {
namespace {

template<class Function>
struct NativeProgram {
    std::string_view name;
    Function* run;
};
using NativeFunction = u64(const native_context* context);
#define XDPLANE_BENCH_ROW(name) {#name, native_##name},
constexpr NativeProgram<NativeFunction> kPrograms[] = {XDPLANE_BENCH_NATIVE(XDPLANE_BENCH_ROW)};
using NativeLoop = void(native_packet* packets, u32 count);
#define XDPLANE_BENCH_LOOP_ROW(name) {#name, inlined_##name},
constexpr NativeProgram<NativeLoop> kLoops[] = {XDPLANE_BENCH_INLINED(XDPLANE_BENCH_LOOP_ROW)};

static_assert(sizeof(native_packet) == sizeof(XdpBuff));
static_assert(offsetof(native_packet, data) == offsetof(XdpBuff, data));
static_assert(offsetof(native_packet, data_end) == offsetof(XdpBuff, data_end));
static_assert(offsetof(native_packet, verdict) == offsetof(XdpBuff, verdict));

/// One packet after the other.
void judge_each(NativeFunction* run, XdpBuff* packets, u32 count) noexcept {
    for (u32 i = 0; i < count; ++i) {
        const native_context context{reinterpret_cast<u64>(packets[i].data),
                                     reinterpret_cast<u64>(packets[i].data_end)};
        packets[i].verdict = static_cast<u32>(run(&context));
    }
}
void judge_each(NativeLoop* run, XdpBuff* packets, u32 count) noexcept {
    run(reinterpret_cast<native_packet*>(packets), count);
}

template<class Function>
class NativeSubject final : public PacketLoop {
public:
    NativeSubject(const EngineSetup& setup, Function* function, std::shared_ptr<NativeMaps> maps)
        : PacketLoop(setup), run_(function), maps_(std::move(maps)) {}

    void judge(XdpBuff* packets, u32 count) noexcept override { judge_each(run_, packets, count); }
    [[nodiscard]] u64 contents() override { return maps_->sum(); }
    void update(u32 index) override { maps_->update(index); }

private:
    Function* run_;
    std::shared_ptr<NativeMaps> maps_;
};

template<class Function>
Result<std::unique_ptr<Subject>> make(const EngineSetup& setup,
                                      std::span<const NativeProgram<Function>> programs) {
    const auto program = std::ranges::find(programs, setup.which.program, &NativeProgram<Function>::name);
    if (program == programs.end()) return fail(ENOTSUP, "there is no native version");
    auto maps = NativeMaps::get(setup);
    if (!maps) return fail(maps.error());
    return std::make_unique<NativeSubject<Function>>(setup, program->run, std::move(*maps));
}

} // namespace

Result<std::unique_ptr<Subject>> make_native(const EngineSetup& setup) {
    return make<NativeFunction>(setup, kPrograms);
}

Result<std::unique_ptr<Subject>> make_inlined(const EngineSetup& setup) {
    return make<NativeLoop>(setup, kLoops);
}

} // namespace xdplane::bench
