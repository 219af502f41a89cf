// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
#include "perf/bench/embedded.h"

namespace {

/// A row of embedded.S.
struct EmbeddedObject {
    const char* name;
    const xdplane::u8* begin;
    const xdplane::u8* end;
};

} // namespace

extern "C" const EmbeddedObject xdplane_bench_objects[];

namespace xdplane::bench {

std::span<const u8> embedded_object(std::string_view name) {
    for (const EmbeddedObject* object = xdplane_bench_objects; object->name != nullptr; ++object)
        if (object->name == name) return {object->begin, object->end};
    return {};
}

} // namespace xdplane::bench
