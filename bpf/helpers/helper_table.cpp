// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
#include <algorithm>

#include "bpf/helpers/rows.h"

namespace xdplane {

std::span<const HelperProto> helper_table() {
    static const auto table = [] {
        std::array rows = {
            kHelperCheckMtu,
            kHelperCloneRedirect,
            kHelperCsumDiff,
            kHelperCsumLevel,
            kHelperCsumUpdate,
            kHelperCurrentTaskUnderCgroup,
            kHelperDynptrData,
            kHelperDynptrFromMem,
            kHelperDynptrRead,
            kHelperDynptrWrite,
            kHelperFibLookup,
            kHelperForEachMapElem,
            kHelperGetBranchSnapshot,
            kHelperGetCgroupClassid,
            kHelperGetCurrentAncestorCgroupId,
            kHelperGetCurrentCgroupId,
            kHelperGetCurrentComm,
            kHelperGetCurrentPidTgid,
            kHelperGetCurrentTask,
            kHelperGetCurrentUidGid,
            kHelperGetHashRecalc,
            kHelperGetListenerSock,
            kHelperGetLocalStorage,
            kHelperGetNetnsCookie,
            kHelperGetNsCurrentPidTgid,
            kHelperGetNumaNodeId,
            kHelperGetPrandomU32,
            kHelperGetRouteRealm,
            kHelperGetSmpProcessorId,
            kHelperGetSocketCookie,
            kHelperGetSocketUid,
            kHelperJiffies64,
            kHelperKtimeGetBootNs,
            kHelperKtimeGetCoarseNs,
            kHelperKtimeGetNs,
            kHelperKtimeGetTaiNs,
            kHelperL3CsumReplace,
            kHelperL4CsumReplace,
            kHelperLoop,
            kHelperMapDeleteElem,
            kHelperMapLookupElem,
            kHelperMapLookupPercpuElem,
            kHelperMapPeekElem,
            kHelperMapPopElem,
            kHelperMapPushElem,
            kHelperMapUpdateElem,
            kHelperPerfEventOutput,
            kHelperPerfEventRead,
            kHelperPerfEventReadValue,
            kHelperProbeReadKernel,
            kHelperProbeReadKernelStr,
            kHelperProbeReadUser,
            kHelperProbeReadUserStr,
            kHelperRedirect,
            kHelperRedirectMap,
            kHelperRedirectNeigh,
            kHelperRedirectPeer,
            kHelperRingbufDiscard,
            kHelperRingbufDiscardDynptr,
            kHelperRingbufOutput,
            kHelperRingbufQuery,
            kHelperRingbufReserve,
            kHelperRingbufReserveDynptr,
            kHelperRingbufSubmit,
            kHelperRingbufSubmitDynptr,
            kHelperSendSignal,
            kHelperSendSignalThread,
            kHelperSetHash,
            kHelperSetHashInvalid,
            kHelperSkAncestorCgroupId,
            kHelperSkAssign,
            kHelperSkCgroupId,
            kHelperSkFullsock,
            kHelperSkLookupTcp,
            kHelperSkLookupUdp,
            kHelperSkRelease,
            kHelperSkStorageDelete,
            kHelperSkStorageGet,
            kHelperSkbAdjustRoom,
            kHelperSkbAncestorCgroupId,
            kHelperSkbCgroupClassid,
            kHelperSkbCgroupId,
            kHelperSkbChangeHead,
            kHelperSkbChangeProto,
            kHelperSkbChangeTail,
            kHelperSkbChangeType,
            kHelperSkbEcnSetCe,
            kHelperSkbGetTunnelKey,
            kHelperSkbGetTunnelOpt,
            kHelperSkbGetXfrmState,
            kHelperSkbLoadBytes,
            kHelperSkbLoadBytesRelative,
            kHelperSkbPullData,
            kHelperSkbSetTstamp,
            kHelperSkbSetTunnelKey,
            kHelperSkbSetTunnelOpt,
            kHelperSkbStoreBytes,
            kHelperSkbUnderCgroup,
            kHelperSkbVlanPop,
            kHelperSkbVlanPush,
            kHelperSkcLookupTcp,
            kHelperSnprintf,
            kHelperSnprintfBtf,
            kHelperSpinLock,
            kHelperSpinUnlock,
            kHelperStrncmp,
            kHelperStrtol,
            kHelperStrtoul,
            kHelperTailCall,
            kHelperTcpCheckSyncookie,
            kHelperTcpGenSyncookie,
            kHelperTcpRawCheckSyncookieIpv4,
            kHelperTcpRawCheckSyncookieIpv6,
            kHelperTcpRawGenSyncookieIpv4,
            kHelperTcpRawGenSyncookieIpv6,
            kHelperTcpSock,
            kHelperTimerCancel,
            kHelperTimerInit,
            kHelperTimerSetCallback,
            kHelperTimerStart,
            kHelperTracePrintk,
            kHelperTraceVprintk,
            kHelperUserRingbufDrain,
            kHelperXdpAdjustHead,
            kHelperXdpAdjustMeta,
            kHelperXdpAdjustTail,
            kHelperXdpGetBuffLen,
            kHelperXdpLoadBytes,
            kHelperXdpStoreBytes,
        };
        std::ranges::sort(rows, {}, &HelperProto::id);
        return rows;
    }();
    return table;
}

const HelperProto* find_helper(u32 id) {
    const auto table = helper_table();
    const auto row = std::ranges::lower_bound(table, id, {}, &HelperProto::id);
    return row != table.end() && row->id == id ? &*row : nullptr;
}

bool leaves_stack(const HelperProto* helper) {
    if (helper == nullptr || helper->is_kfunc) return false;
    return std::ranges::all_of(helper->args, [](Arg arg) {
        switch (arg) {
        case Arg::none:
        case Arg::anything:
        case Arg::ctx:
        case Arg::ctx_or_null:
        case Arg::const_map:
        case Arg::map_key:
        case Arg::map_value:
        case Arg::map_value_or_null:
        case Arg::mem:
        case Arg::mem_or_null:
        case Arg::fixed_mem:
        case Arg::size:
        case Arg::size_or_zero:
        case Arg::const_alloc_size:
        case Arg::const_string:
        case Arg::ringbuf_record:
        case Arg::socket:
        case Arg::sock_common: return true;
        default: return false;
        }
    });
}

} // namespace xdplane
