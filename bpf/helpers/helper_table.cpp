// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
#include <algorithm>

#include "bpf/helpers/rows.h"

namespace xdplane {

std::span<const HelperProto> helper_table() {
    // Ordered by id.
    static const std::array table = {
        kHelperMapLookupElem,
        kHelperMapUpdateElem,
        kHelperMapDeleteElem,
        kHelperKtimeGetNs,
        kHelperTracePrintk,
        kHelperGetPrandomU32,
        kHelperGetSmpProcessorId,
        kHelperTailCall,
        kHelperRedirect,
        kHelperSkbLoadBytes,
        kHelperCsumDiff,
        kHelperGetNumaNodeId,
        kHelperXdpAdjustHead,
        kHelperXdpAdjustMeta,
        kHelperXdpAdjustTail,
        kHelperSkbLoadBytesRelative,
        kHelperJiffies64,
        kHelperKtimeGetBootNs,
        kHelperKtimeGetCoarseNs,
        kHelperXdpGetBuffLen,
        kHelperXdpLoadBytes,
        kHelperXdpStoreBytes,
        kHelperMapLookupPercpuElem,
        kHelperKtimeGetTaiNs,
    };
    return table;
}

const HelperProto* find_helper(u32 id) {
    const auto table = helper_table();
    const auto row = std::ranges::lower_bound(table, id, {}, &HelperProto::id);
    return row != table.end() && row->id == id ? &*row : nullptr;
}

} // namespace xdplane
