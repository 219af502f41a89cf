// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
#pragma once
#include <linux/bpf.h>
#include <string>
#include <vector>

#include "bpf/base/types.h"

namespace xdplane::perf {

/// What a verifier said of one program.
struct Verdict {
    u32 type = 0;        ///< enum bpf_prog_type
    u32 insns = 0;       ///< as handed over, sub-programs included
    int error = 0;       ///< 0: accepted; else the errno
    u64 processed = 0;   ///< simulated instructions, from the log
    u64 verify_ns = 0;   ///< the verifier alone: the fastest of all rounds
    u64 load_ns = 0;     ///< all of PROG_LOAD, in CPU time of this thread: the fastest of all rounds
    std::string message; ///< the log's last lines before the statistics; empty if accepted
    std::string log;     ///< if one was asked for
};

/// Stands between libbpf and a bpf(2). Notes the verdict on each program that libbpf loads, asks for the
/// verifier's statistics on the way, and puts a program that does nothing in the place of a rejected one, so
/// that one object tells the verdicts on all its programs. One thread.
class Observer {
public:
    /// Returns what bpf(2) returns: >= 0, or -errno.
    using Call = long (*)(u32 command, void* attr, u32 size);

    Observer(Call call, unsigned rounds) : call_(call), rounds_(rounds == 0 ? 1 : rounds) {}

    /// Asks for a log of this level besides the statistics, and keeps it.
    void keep_log(u32 level) { log_level_ = level; }

    [[nodiscard]] long operator()(u32 command, void* attr, u32 size);

    /// Verdicts in the order of the loads: that of the programs in the object.
    [[nodiscard]] const std::vector<Verdict>& verdicts() const { return verdicts_; }
    void clear() { verdicts_.clear(); }
    /// For who times verify() himself; else the log's "verification time" counts.
    void verified_in(u64 ns) { timed_verify_ns_ = ns; }

private:
    long load(bpf_attr attr, u32 size);
    long load_once(bpf_attr& attr, u32 size, Verdict& verdict, bool first);
    long load_stand_in(const bpf_attr& rejected, u32 size);

    Call call_;
    unsigned rounds_;
    u32 log_level_ = 0;
    u64 timed_verify_ns_ = 0;
    std::vector<Verdict> verdicts_;
    std::vector<char> log_;
};

} // namespace xdplane::perf
