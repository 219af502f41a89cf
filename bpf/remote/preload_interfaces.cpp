// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
//
// libc's calls on interfaces' names, which are the daemon's ports (see preload.cpp): no name of the machine's
// may be taken for one of these, nor a number.
#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <net/if.h>

#include "bpf/remote/preload.h"
#include "bpf/remote/route_answers.h"

extern "C" {
unsigned take_if_nametoindex(const char* name) XDPLANE_TAKES("if_nametoindex");
char* take_if_indextoname(unsigned index, char* name) XDPLANE_TAKES("if_indextoname");
struct if_nameindex* take_if_nameindex() XDPLANE_TAKES("if_nameindex");
}

namespace {

using namespace xdplane::remote;

bool list(std::vector<InterfaceRecord>& interfaces) {
    return answer(forwarded_routes().list(interfaces)) == 0;
}

} // namespace

unsigned take_if_nametoindex(const char* name) {
    std::vector<InterfaceRecord> interfaces;
    if (!list(interfaces)) return 0;
    for (const InterfaceRecord& record : interfaces)
        if (std::strcmp(record.name, name) == 0 || interface_name(record) == name) return record.ifindex;
    errno = ENODEV;
    return 0;
}

char* take_if_indextoname(unsigned index, char* name) {
    std::vector<InterfaceRecord> interfaces;
    if (!list(interfaces)) return nullptr;
    const auto found = std::ranges::find(interfaces, index, &InterfaceRecord::ifindex);
    if (found != interfaces.end()) return std::strcpy(name, interface_name(*found).c_str());
    errno = ENXIO;
    return nullptr;
}

// What if_freenameindex() of libc frees.
struct if_nameindex* take_if_nameindex() {
    std::vector<InterfaceRecord> interfaces;
    if (!list(interfaces)) return nullptr;
    auto* const names =
        static_cast<struct if_nameindex*>(std::calloc(interfaces.size() + 1, sizeof(struct if_nameindex)));
    for (std::size_t i = 0; names != nullptr && i < interfaces.size(); ++i)
        names[i] = {interfaces[i].ifindex, ::strdup(interface_name(interfaces[i]).c_str())};
    return names;
}
