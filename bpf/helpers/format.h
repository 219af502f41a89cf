// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
#pragma once
#include <span>
#include <string_view>

#include "bpf/base/types.h"

namespace xdplane {

/// What bpf_trace_printk(), bpf_trace_vprintk() and bpf_snprintf() make of their arguments, by Linux's rules:
/// %% %c %s %p %px %pK %ps %pS %pB %pks %pus %p{i,I}{4,6} %[l|ll]{d,i,u,x,X}, with flags "0+- " and a width.
/// Memory behind arguments is read with safe_read(): what cannot be read is an empty string, or zeros in an
/// address. Symbols have no names here: their addresses are printed. Writes what fits into `text`, and
/// returns the length of the whole line, or -EINVAL for another format or too few arguments. Data path.
[[nodiscard]] i64 format_text(std::string_view format, std::span<const u64> arguments, char* text,
                              u32 size) noexcept;

} // namespace xdplane
