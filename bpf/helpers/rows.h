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
extern const HelperProto kHelperMapPushElem;
extern const HelperProto kHelperMapPopElem;
extern const HelperProto kHelperMapPeekElem;
extern const HelperProto kHelperMapLookupPercpuElem;
extern const HelperProto kHelperGetLocalStorage;
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
// xdp.cpp
extern const HelperProto kHelperRedirect;
extern const HelperProto kHelperRedirectMap;
extern const HelperProto kHelperXdpAdjustHead;
extern const HelperProto kHelperXdpAdjustMeta;
extern const HelperProto kHelperXdpAdjustTail;
extern const HelperProto kHelperXdpGetBuffLen;
extern const HelperProto kHelperXdpLoadBytes;
extern const HelperProto kHelperXdpStoreBytes;
// checksum.cpp
extern const HelperProto kHelperCsumDiff;
// skb.cpp
extern const HelperProto kHelperSkbLoadBytes;
extern const HelperProto kHelperSkbLoadBytesRelative;
// callbacks.cpp
extern const HelperProto kHelperLoop;
extern const HelperProto kHelperForEachMapElem;
// spin_lock.cpp
extern const HelperProto kHelperSpinLock;
extern const HelperProto kHelperSpinUnlock;
// timer.cpp
extern const HelperProto kHelperTimerInit;
extern const HelperProto kHelperTimerSetCallback;
extern const HelperProto kHelperTimerStart;
extern const HelperProto kHelperTimerCancel;
// dynptr.cpp
extern const HelperProto kHelperDynptrFromMem;
extern const HelperProto kHelperDynptrRead;
extern const HelperProto kHelperDynptrWrite;
extern const HelperProto kHelperDynptrData;
// events.cpp
extern const HelperProto kHelperPerfEventOutput;
extern const HelperProto kHelperRingbufOutput;
extern const HelperProto kHelperRingbufReserve;
extern const HelperProto kHelperRingbufSubmit;
extern const HelperProto kHelperRingbufDiscard;
extern const HelperProto kHelperRingbufQuery;
// ringbuf_dynptr.cpp
extern const HelperProto kHelperRingbufReserveDynptr;
extern const HelperProto kHelperRingbufSubmitDynptr;
extern const HelperProto kHelperRingbufDiscardDynptr;
// user_ringbuf.cpp
extern const HelperProto kHelperUserRingbufDrain;
// checksum.cpp
extern const HelperProto kHelperSkbStoreBytes;
extern const HelperProto kHelperSkbPullData;
extern const HelperProto kHelperL3CsumReplace;
extern const HelperProto kHelperL4CsumReplace;
extern const HelperProto kHelperCsumUpdate;
extern const HelperProto kHelperCsumLevel;
// skb_room.cpp
extern const HelperProto kHelperSkbChangeProto;
extern const HelperProto kHelperSkbChangeHead;
extern const HelperProto kHelperSkbChangeTail;
extern const HelperProto kHelperSkbAdjustRoom;
// skb_vlan.cpp
extern const HelperProto kHelperSkbVlanPush;
extern const HelperProto kHelperSkbVlanPop;
// skb_meta.cpp
extern const HelperProto kHelperSkbChangeType;
extern const HelperProto kHelperGetHashRecalc;
extern const HelperProto kHelperSetHash;
extern const HelperProto kHelperSetHashInvalid;
extern const HelperProto kHelperSkbSetTstamp;
extern const HelperProto kHelperSkbEcnSetCe;
extern const HelperProto kHelperSkbGetTunnelKey;
extern const HelperProto kHelperSkbSetTunnelKey;
extern const HelperProto kHelperSkbGetTunnelOpt;
extern const HelperProto kHelperSkbSetTunnelOpt;
extern const HelperProto kHelperSkbGetXfrmState;
extern const HelperProto kHelperGetRouteRealm;
// redirect.cpp
extern const HelperProto kHelperRedirectNeigh;
extern const HelperProto kHelperRedirectPeer;
extern const HelperProto kHelperCloneRedirect;
// socket.cpp
extern const HelperProto kHelperSkLookupTcp;
extern const HelperProto kHelperSkLookupUdp;
extern const HelperProto kHelperSkcLookupTcp;
extern const HelperProto kHelperSkRelease;
extern const HelperProto kHelperSkFullsock;
extern const HelperProto kHelperTcpSock;
extern const HelperProto kHelperGetListenerSock;
extern const HelperProto kHelperSkAssign;
extern const HelperProto kHelperSkStorageGet;
extern const HelperProto kHelperSkStorageDelete;
extern const HelperProto kHelperTcpCheckSyncookie;
extern const HelperProto kHelperTcpGenSyncookie;
extern const HelperProto kHelperGetSocketCookie;
extern const HelperProto kHelperGetSocketUid;
extern const HelperProto kHelperGetNetnsCookie;
extern const HelperProto kHelperGetCgroupClassid;
extern const HelperProto kHelperSkbCgroupClassid;
extern const HelperProto kHelperSkbCgroupId;
extern const HelperProto kHelperSkbAncestorCgroupId;
extern const HelperProto kHelperSkCgroupId;
extern const HelperProto kHelperSkAncestorCgroupId;
extern const HelperProto kHelperSkbUnderCgroup;
// route.cpp
extern const HelperProto kHelperFibLookup;
extern const HelperProto kHelperCheckMtu;
// string.cpp
extern const HelperProto kHelperStrtol;
extern const HelperProto kHelperStrtoul;
extern const HelperProto kHelperStrncmp;
// syncookie.cpp
extern const HelperProto kHelperTcpRawGenSyncookieIpv4;
extern const HelperProto kHelperTcpRawGenSyncookieIpv6;
extern const HelperProto kHelperTcpRawCheckSyncookieIpv4;
extern const HelperProto kHelperTcpRawCheckSyncookieIpv6;
// task.cpp
extern const HelperProto kHelperGetCurrentPidTgid;
extern const HelperProto kHelperGetCurrentUidGid;
extern const HelperProto kHelperGetCurrentComm;
extern const HelperProto kHelperGetCurrentTask;
extern const HelperProto kHelperGetCurrentCgroupId;
extern const HelperProto kHelperGetCurrentAncestorCgroupId;
extern const HelperProto kHelperGetNsCurrentPidTgid;
extern const HelperProto kHelperSendSignal;
extern const HelperProto kHelperSendSignalThread;
extern const HelperProto kHelperCurrentTaskUnderCgroup;
extern const HelperProto kHelperProbeReadUser;
extern const HelperProto kHelperProbeReadUserStr;
extern const HelperProto kHelperPerfEventRead;
extern const HelperProto kHelperPerfEventReadValue;
extern const HelperProto kHelperGetBranchSnapshot;
// safe_read.cpp
extern const HelperProto kHelperProbeReadKernel;
extern const HelperProto kHelperProbeReadKernelStr;
// trace.cpp
extern const HelperProto kHelperTracePrintk;
extern const HelperProto kHelperTraceVprintk;
extern const HelperProto kHelperSnprintf;
extern const HelperProto kHelperSnprintfBtf;

} // namespace xdplane
