// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
#include "bpf/run/callback.h"

#include <cerrno>

#include "bpf/helpers/rows.h"
#include "bpf/isa/insn.h"
#include "bpf/maps/map.h"

/// Helpers that call back into the program.
namespace xdplane {
namespace {

u64 error(int code) noexcept { return static_cast<u64>(-i64{code}); }

u64 loop(u64 count, u64 callback, u64 context, u64 flags, u64) noexcept {
    if (flags != 0) return error(EINVAL);
    // All 64 bits, as where Linux inlines the loop, which it does whenever callback and flags are known; its
    // helper would look at 32.
    if (count > kMaxLoops) return error(E2BIG);
    const CallbackRef call(callback);
    for (u64 i = 0; i < count; ++i)
        if (call(i, context) != 0) return i + 1;
    return count;
}

/// What MapOps::for_each hands to each element.
struct Walk {
    CallbackRef call;
    u64 map;
    u64 context;
};

u64 for_each_map_elem(u64 map, u64 callback, u64 context, u64 flags, u64) noexcept {
    if (flags != 0) return error(EINVAL);
    Map& elements = *reinterpret_cast<Map*>(map);
    if (elements.ops().for_each == nullptr) return error(EOPNOTSUPP);
    Walk walk{CallbackRef(callback), map, context};
    const auto each = [](void* of, const void* key, void* value) noexcept {
        const Walk& w = *static_cast<const Walk*>(of);
        return w.call(w.map, reinterpret_cast<u64>(key), reinterpret_cast<u64>(value), w.context);
    };
    return static_cast<u64>(elements.ops().for_each(elements, each, &walk));
}

} // namespace

const HelperProto kHelperLoop = {.id = BPF_FUNC_loop,
                                 .name = "loop",
                                 .fn = loop,
                                 .ret = Ret::integer,
                                 .args = {Arg::anything, Arg::callback, Arg::stack_or_null, Arg::anything},
                                 .callback = Callback::loop,
                                 .unprivileged = false};
const HelperProto kHelperForEachMapElem = {
    .id = BPF_FUNC_for_each_map_elem,
    .name = "for_each_map_elem",
    .fn = for_each_map_elem,
    .ret = Ret::integer,
    .args = {Arg::const_map, Arg::callback, Arg::stack_or_null, Arg::anything},
    .callback = Callback::for_each_map,
    .unprivileged = false};

} // namespace xdplane
