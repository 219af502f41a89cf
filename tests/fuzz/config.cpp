// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
//
// Configuration files: one line that says what is wrong, or a config that refers to nothing undefined.
#include <cstdio>
#include <cstdlib>

#include "dataplane/config.h"
#include "tests/fuzz/input.h"
#include "tests/fuzz/target.h"

using namespace xdplane;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    const fuzz::MemoryFile file({data, size});
    const auto config = read_config(file.path());
    if (!config) {
        const std::string& message = config.error().message;
        if (!message.starts_with(file.path()) || message.find('\n') != std::string::npos) {
            std::fprintf(stderr, "'%s'\n", message.c_str());
            std::abort();
        }
        return 0;
    }
    for (const PortConfig& port : config->ports)
        if (!port.chain.empty() && config->chain(port.chain) == nullptr) std::abort();
    for (const ChainConfig& chain : config->chains)
        if (chain.stages.empty()) std::abort();
    return 0;
}
