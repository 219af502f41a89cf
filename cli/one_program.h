// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
#pragma once
#include <memory>
#include <string>

#include "bpf/libbpf/object.h"

namespace xdplane::cli {

/// A program of an object, loaded by itself.
struct OneProgram {
    std::unique_ptr<Object> object;
    std::string name;
    std::shared_ptr<const Program> program;
};

/// "OBJ:PROG", or "OBJ" where it has only one program. Errors name the file.
[[nodiscard]] Result<OneProgram> load_one_program(const std::string& text);

} // namespace xdplane::cli
