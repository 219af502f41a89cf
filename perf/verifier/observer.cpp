// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
#include "perf/verifier/observer.h"

#include <algorithm>
#include <cstdio>
#include <cstring>
#include <ctime>
#include <string_view>
#include <unistd.h>

namespace xdplane::perf {

namespace {

constexpr u32 kLogSize = 1 << 20;
constexpr u32 kLongLogSize = 1 << 24;
constexpr u32 kStats = 4;
constexpr std::size_t kMessageLines = 4;

template<class T>
u64 address(const T* pointer) {
    return reinterpret_cast<u64>(pointer);
}

// Of the thread, not of the wall: other work of the machine does not count.
u64 cpu_time_ns() {
    timespec now{};
    ::clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return static_cast<u64>(now.tv_sec) * 1'000'000'000 + static_cast<u64>(now.tv_nsec);
}

/// The probes of libbpf have no name, or this one.
bool is_probe(const bpf_attr& attr) {
    const std::string_view name(attr.prog_name, ::strnlen(attr.prog_name, sizeof attr.prog_name));
    return name.empty() || name == "libbpf_nametest" || attr.insn_cnt == 0;
}

/// Takes the statistics out of a log and returns the last lines of the rest.
std::string read_log(std::string_view log, Verdict& verdict) {
    std::vector<std::string_view> lines;
    while (!log.empty()) {
        const std::size_t end = std::min(log.find('\n'), log.size());
        std::string_view line = log.substr(0, end);
        log.remove_prefix(std::min(end + 1, log.size()));
        // Linux forgets a newline here and there.
        if (const std::size_t time = line.find("verification time "); time != 0 && time != line.npos) {
            lines.push_back(line.substr(0, time));
            line.remove_prefix(time);
        }
        unsigned long long number = 0;
        const std::string text(line);
        if (std::sscanf(text.c_str(), "processed %llu insns", &number) == 1)
            verdict.processed = number;
        else if (std::sscanf(text.c_str(), "verification time %llu usec", &number) == 1)
            verdict.verify_ns = number * 1000;
        else if (!line.empty() && !line.starts_with("stack depth ") && !line.starts_with("; "))
            lines.push_back(line);
    }
    std::string message;
    const std::size_t first = lines.size() > kMessageLines ? lines.size() - kMessageLines : 0;
    for (std::size_t i = first; i < lines.size(); ++i) {
        if (!message.empty()) message += '\n';
        message += lines[i];
    }
    return message;
}

} // namespace

long Observer::operator()(u32 command, void* attr, u32 size) {
    if (command != BPF_PROG_LOAD || attr == nullptr) return call_(command, attr, size);
    bpf_attr copy;
    std::memset(&copy, 0, sizeof copy);
    std::memcpy(&copy, attr, std::min<std::size_t>(size, sizeof copy));
    if (is_probe(copy)) return call_(command, attr, size);
    return load(copy, size);
}

long Observer::load(bpf_attr attr, u32 size) {
    log_.resize(log_level_ != 0 ? kLongLogSize : kLogSize);
    attr.log_level = kStats | log_level_;
    attr.log_buf = address(log_.data());
    attr.log_size = static_cast<u32>(log_.size());
    Verdict verdict;
    verdict.type = attr.prog_type;
    verdict.insns = attr.insn_cnt;
    long fd = load_once(attr, size, verdict, true);
    for (unsigned round = 1; fd >= 0 && round < rounds_; ++round) {
        ::close(static_cast<int>(fd));
        fd = load_once(attr, size, verdict, false);
    }
    const bool rejected = fd < 0;
    if (rejected) verdict.error = static_cast<int>(-fd);
    verdicts_.push_back(std::move(verdict));
    return rejected ? load_stand_in(attr, size) : fd;
}

long Observer::load_once(bpf_attr& attr, u32 size, Verdict& verdict, bool first) {
    log_[0] = '\0';
    timed_verify_ns_ = 0;
    const u64 start = cpu_time_ns();
    const long fd = call_(BPF_PROG_LOAD, &attr, size);
    const u64 taken = cpu_time_ns() - start;
    Verdict round;
    std::string message = read_log({log_.data(), ::strnlen(log_.data(), log_.size())}, round);
    if (timed_verify_ns_ != 0) round.verify_ns = timed_verify_ns_;
    // The kernel's log tells time by the wall: no more of it than all of the call took of the CPU.
    round.verify_ns = std::min(round.verify_ns, taken);
    verdict.processed = round.processed;
    verdict.load_ns = first ? taken : std::min(verdict.load_ns, taken);
    verdict.verify_ns = first ? round.verify_ns : std::min(verdict.verify_ns, round.verify_ns);
    if (fd < 0) verdict.message = std::move(message);
    if (log_level_ != 0) verdict.log.assign(log_.data(), ::strnlen(log_.data(), log_.size()));
    return fd;
}

long Observer::load_stand_in(const bpf_attr& rejected, u32 size) {
    const bpf_insn insns[] = {
        {.code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = 0, .src_reg = 0, .off = 0, .imm = 0},
        {.code = BPF_JMP | BPF_EXIT, .dst_reg = 0, .src_reg = 0, .off = 0, .imm = 0}};
    bpf_attr attr;
    std::memset(&attr, 0, sizeof attr);
    attr.prog_type = rejected.prog_type;
    attr.expected_attach_type = rejected.expected_attach_type;
    attr.prog_flags = rejected.prog_flags & BPF_F_XDP_HAS_FRAGS;
    attr.insns = address(insns);
    attr.insn_cnt = 2;
    attr.license = address("GPL");
    const long fd = call_(BPF_PROG_LOAD, &attr, size);
    if (fd >= 0) return fd;
    // Not a type that this bpf(2) knows.
    attr.prog_type = BPF_PROG_TYPE_XDP;
    attr.expected_attach_type = 0;
    return call_(BPF_PROG_LOAD, &attr, size);
}

} // namespace xdplane::perf
