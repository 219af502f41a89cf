// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
#pragma once
#include <string>
#include <string_view>

/// Where the tests find the project's files. The two directories are compiled into places.cpp alone: all
/// other objects are the same wherever the project lies, and a compiler cache can share them.
namespace xdplane {

/// A path below the project's sources: `source_path("tests/captures")`.
std::string source_path(std::string_view relative);

/// A path below the build's directory: `build_path("filters")`.
std::string build_path(std::string_view relative);

} // namespace xdplane
