// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
#pragma once
#include "bpf/base/types.h"

namespace xdplane {

/// CRC-32C (Castagnoli, RFC 3720 appendix B.4): 0xe3069283 for "123456789". Any thread.
[[nodiscard]] u32 crc32c(const u8* bytes, std::size_t size) noexcept;

} // namespace xdplane
