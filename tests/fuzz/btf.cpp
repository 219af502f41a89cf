// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
//
// BTF from BTF_LOAD (first byte even) or from an object file, and every question that can be asked of it.
#include <cstdlib>

#include "bpf/btf/btf.h"
#include "tests/fuzz/input.h"
#include "tests/fuzz/target.h"

using namespace xdplane;

namespace {

void ask(const Btf& btf, u32 id) {
    const Btf::Type& type = btf.type(id);
    if (btf.name(id).size() > btf.bytes().size()) std::abort();
    const u32 resolved = btf.resolve(id);
    if (resolved != 0 && resolved >= btf.type_count()) std::abort();
    (void)btf.size_of(id);
    (void)btf.target(id);
    (void)btf.array(id);
    (void)btf.integer(id);
    (void)btf.func_linkage(id);
    (void)btf.find(btf.name(id), type.kind);
    for (const auto& member : btf.members(id)) (void)btf.size_of(member.type);
    for (const auto& param : btf.params(id)) (void)btf.size_of(param.type);
    for (const auto& variable : btf.variables(id)) (void)btf.size_of(variable.type);
    (void)btf.enumerators(id);
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    fuzz::Input input({data, size});
    const bool object_file = (input.take<u8>() & 1) != 0;
    const auto btf = Btf::parse(input.rest(), object_file ? Btf::Source::object_file : Btf::Source::syscall);
    if (!btf) {
        if (btf.error().code <= 0 || btf.error().message.empty()) std::abort();
        return 0;
    }
    constexpr u32 kAsked = 2000; // find() is linear
    for (u32 id = 0; id <= std::min((*btf)->type_count(), kAsked); ++id) ask(**btf, id);
    ask(**btf, ~u32{0});
    (void)(*btf)->string(~u32{0});
    return 0;
}
