// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
#pragma once
#include "bpf/helpers/helper.h"

/// The rows of helper_table.cpp; each stands beside its implementation.
namespace xdplane {

// maps.cpp
extern const HelperProto kHelperMapLookupElem;
extern const HelperProto kHelperMapUpdateElem;
extern const HelperProto kHelperMapDeleteElem;
extern const HelperProto kHelperMapLookupPercpuElem;
extern const HelperProto kHelperTailCall;
// clock.cpp
extern const HelperProto kHelperKtimeGetNs;
extern const HelperProto kHelperKtimeGetBootNs;
extern const HelperProto kHelperKtimeGetCoarseNs;
extern const HelperProto kHelperKtimeGetTaiNs;
extern const HelperProto kHelperJiffies64;
// system.cpp
extern const HelperProto kHelperGetPrandomU32;
extern const HelperProto kHelperGetSmpProcessorId;
extern const HelperProto kHelperGetNumaNodeId;
// trace.cpp
extern const HelperProto kHelperTracePrintk;
// xdp.cpp
extern const HelperProto kHelperRedirect;
extern const HelperProto kHelperXdpAdjustHead;
extern const HelperProto kHelperXdpAdjustMeta;
extern const HelperProto kHelperXdpAdjustTail;
extern const HelperProto kHelperXdpGetBuffLen;
extern const HelperProto kHelperXdpLoadBytes;
extern const HelperProto kHelperXdpStoreBytes;
// skb.cpp
extern const HelperProto kHelperSkbLoadBytes;
extern const HelperProto kHelperSkbLoadBytesRelative;
// checksum.cpp
extern const HelperProto kHelperCsumDiff;

} // namespace xdplane
