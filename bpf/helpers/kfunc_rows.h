// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
#pragma once
#include "bpf/helpers/helper.h"

/// The rows of kfunc_table.cpp; each stands beside its implementation. Their ids are filled in by the table.
namespace xdplane {

// kfunc_dynptr.cpp
extern const HelperProto kKfuncDynptrFromSkb;
extern const HelperProto kKfuncDynptrFromXdp;
extern const HelperProto kKfuncDynptrSlice;
extern const HelperProto kKfuncDynptrSliceRdwr;
extern const HelperProto kKfuncDynptrAdjust;
extern const HelperProto kKfuncDynptrIsNull;
extern const HelperProto kKfuncDynptrIsRdonly;
extern const HelperProto kKfuncDynptrSize;
extern const HelperProto kKfuncDynptrClone;
extern const HelperProto kKfuncDynptrCopy;
extern const HelperProto kKfuncDynptrMemset;
// kfunc_iterator.cpp
extern const HelperProto kKfuncIterNumNew;
extern const HelperProto kKfuncIterNumNext;
extern const HelperProto kKfuncIterNumDestroy;
// kfunc_section.cpp
extern const HelperProto kKfuncRcuReadLock;
extern const HelperProto kKfuncRcuReadUnlock;
extern const HelperProto kKfuncPreemptDisable;
extern const HelperProto kKfuncPreemptEnable;
// kfunc_xdp.cpp
extern const HelperProto kKfuncXdpMetadataRxTimestamp;
extern const HelperProto kKfuncXdpMetadataRxHash;
extern const HelperProto kKfuncXdpMetadataRxVlanTag;

} // namespace xdplane
