// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
#include "bpf/prog/program.h"

#include "bpf/maps/prog_array.h"

namespace xdplane {

// Here and not in maps/, which does not know what a Program is.
int ProgArray::set(u32 index, std::shared_ptr<const Program> program) {
    const Entry* entry = &program->entry();
    return put(index, std::move(program), entry);
}

} // namespace xdplane
