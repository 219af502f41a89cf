// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
#include "cli/one_program.h"

#include <algorithm>
#include <cerrno>
#include <fmt/ranges.h>

#include "dataplane/chain_loader.h"

namespace xdplane::cli {

Result<OneProgram> load_one_program(const std::string& text) {
    const StageConfig wanted = parse_stage(text);
    auto object = Object::open(wanted.object);
    if (!object) return fail(object.error());
    OneProgram one{.object = std::move(*object), .name = wanted.program, .program = nullptr};
    std::vector<std::string> names;
    for (const auto& program : one.object->programs()) names.push_back(program.name);
    if (one.name.empty()) {
        if (names.size() != 1)
            return fail(EINVAL, "{}: has {} programs; name one, as in {}:PROG (of: {})", wanted.object,
                        names.size(), wanted.object, fmt::join(names, ", "));
        one.name = names.front();
    } else if (std::find(names.begin(), names.end(), one.name) == names.end()) {
        return fail(ENOENT, "{}: no program '{}' (it has: {})", wanted.object, one.name,
                    fmt::join(names, ", "));
    }
    const std::string selected[] = {one.name};
    if (auto done = one.object->select(selected); !done) return fail(done.error());
    if (auto done = one.object->load(); !done) return fail(done.error());
    one.program = one.object->program(one.name);
    if (one.program == nullptr)
        return fail(ENOENT, "{}: program '{}' was not loaded", wanted.object, one.name);
    return one;
}

} // namespace xdplane::cli
