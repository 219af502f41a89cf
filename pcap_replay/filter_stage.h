// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
#pragma once
#include <string>

#include "dataplane/chain.h"
#include "pcap_replay/capture_reader.h"

namespace xdplane {

/// A tcpdump expression as a stage called "filter": compiled by libpcap for the capture's link type,
/// translated, verified and loaded as a socket filter through bpf(2). It keeps the packets that
/// `tcpdump -r FILE EXPRESSION` keeps. Control thread.
[[nodiscard]] Result<Stage> filter_stage(const std::string& expression, const CaptureFormat& format);

} // namespace xdplane
