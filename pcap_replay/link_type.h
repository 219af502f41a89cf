// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
#pragma once
#include <string>
#include <vector>

#include "bpf/base/result.h"
#include "bpf/prog/classic.h"
#include "pcap_replay/capture_reader.h"

/// What libpcap knows of link types.
namespace xdplane {

/// "EN10MB (1)", or the number alone where libpcap has no name for it.
[[nodiscard]] std::string link_type_name(u32 link_type);

/// Compiles a tcpdump expression for the packets of a capture, as `tcpdump -r` does it. The error is
/// libpcap's own sentence. Control thread only (libpcap's parser is not reentrant everywhere).
[[nodiscard]] Result<std::vector<ClassicInsn>> compile_filter(const std::string& expression,
                                                              const CaptureFormat& format);

} // namespace xdplane
