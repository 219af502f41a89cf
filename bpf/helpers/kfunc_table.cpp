// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
#include "bpf/helpers/kfunc_table.h"

#include <algorithm>

#include "bpf/helpers/kfunc_rows.h"

namespace xdplane {

std::span<const HelperProto> kfunc_table() {
    static const std::array table = [] {
        std::array rows = {
            kKfuncDynptrFromSkb,
            kKfuncDynptrFromXdp,
            kKfuncDynptrSlice,
            kKfuncDynptrSliceRdwr,
            kKfuncDynptrAdjust,
            kKfuncDynptrIsNull,
            kKfuncDynptrIsRdonly,
            kKfuncDynptrSize,
            kKfuncDynptrClone,
            kKfuncDynptrCopy,
            kKfuncDynptrMemset,
            kKfuncIterNumNew,
            kKfuncIterNumNext,
            kKfuncIterNumDestroy,
            kKfuncRcuReadLock,
            kKfuncRcuReadUnlock,
            kKfuncPreemptDisable,
            kKfuncPreemptEnable,
            kKfuncXdpMetadataRxTimestamp,
            kKfuncXdpMetadataRxHash,
            kKfuncXdpMetadataRxVlanTag,
        };
        for (u32 i = 0; i < rows.size(); ++i) rows[i].id = i;
        return rows;
    }();
    return table;
}

const HelperProto* find_kfunc(std::string_view name) {
    const auto table = kfunc_table();
    const auto row =
        std::ranges::find(table, name, [](const HelperProto& r) { return std::string_view(r.name); });
    return row == table.end() ? nullptr : &*row;
}

} // namespace xdplane
