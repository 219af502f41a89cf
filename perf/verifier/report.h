// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
#pragma once
#include <functional>
#include <string>

#include "perf/verifier/observer.h"

struct bpf_object;

namespace xdplane::perf {

/// Opens an object file, calls `opened` on libbpf's handle, loads it. Returns what went wrong; empty if
/// nothing did.
using LoadFile =
    std::function<std::string(const std::string& path, const std::function<void(bpf_object*)>& opened)>;

/// main() of both loaders: a line of JSON for each program of each file named on the command line:
///     {"file":…,"program":…,"section":…,"type":…,"insns":…,"accepted":…,"error":…,"processed":…,
///      "verify_ns":…,"load_ns":…,"message":…,"rejected":{"2":"invalid access to packet"}}
/// `rejected` repeats the REJECTED() and BROKEN() marks of the source: number of the broken variant (0:
/// always) to what the verifier shall say. A program that was never loaded has "not_loaded": the reason.
/// --log LEVEL adds "log", of 1 or 2 and always with the statistics; --rounds N repeats each load, for times;
/// --list FILE reads file names from there. Returns the exit status.
int report_main(int argc, char** argv, Observer& (*make_observer)(unsigned rounds),
                const LoadFile& load_file);

} // namespace xdplane::perf
