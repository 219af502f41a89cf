// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
#include "tests/support/kernel_oracle.h"

#include <cstring>
#include <linux/bpf.h>

#include "tests/support/kernel_bpf.h"

namespace xdplane::kernel {
namespace {

Result<int> bpf(int command, bpf_attr& attr, const char* what) {
    const long result = test::kernel_bpf(command, &attr, sizeof attr);
    if (result < 0)
        return fail(static_cast<int>(-result), "{}: {}", what, std::strerror(static_cast<int>(-result)));
    return static_cast<int>(result);
}

u64 address(const void* pointer) { return reinterpret_cast<u64>(pointer); }

bpf_attr empty_attr() {
    bpf_attr attr;
    std::memset(&attr, 0, sizeof attr);
    return attr;
}

} // namespace

std::string why_unavailable() {
    const Insn insns[] = {{0xb7, 0, 0, 0, 0}, {0x95, 0, 0, 0, 0}};
    const Result<UniqueFd> fd = load(BPF_PROG_TYPE_XDP, insns);
    return fd ? "" : fmt::format("bpf(2) of the running kernel is refused ({})", fd.error().message);
}

Result<UniqueFd> create_array(u32 value_size) {
    bpf_attr attr = empty_attr();
    attr.map_type = BPF_MAP_TYPE_ARRAY;
    attr.key_size = 4;
    attr.value_size = value_size;
    attr.max_entries = 1;
    const Result<int> fd = bpf(BPF_MAP_CREATE, attr, "MAP_CREATE");
    if (!fd) return fail(fd.error());
    return UniqueFd(*fd);
}

Result<> write_array(int map, std::span<const u8> value) {
    const u32 key = 0;
    bpf_attr attr = empty_attr();
    attr.map_fd = static_cast<u32>(map);
    attr.key = address(&key);
    attr.value = address(value.data());
    if (const Result<int> done = bpf(BPF_MAP_UPDATE_ELEM, attr, "MAP_UPDATE_ELEM"); !done)
        return fail(done.error());
    return {};
}

Result<std::vector<u8>> read_array(int map, u32 value_size) {
    const u32 key = 0;
    std::vector<u8> value(value_size);
    bpf_attr attr = empty_attr();
    attr.map_fd = static_cast<u32>(map);
    attr.key = address(&key);
    attr.value = address(value.data());
    if (const Result<int> done = bpf(BPF_MAP_LOOKUP_ELEM, attr, "MAP_LOOKUP_ELEM"); !done)
        return fail(done.error());
    return value;
}

Result<UniqueFd> load(u32 type, std::span<const Insn> insns) {
    std::vector<char> log(1 << 20);
    bpf_attr attr = empty_attr();
    attr.prog_type = type;
    attr.insns = address(insns.data());
    attr.insn_cnt = static_cast<u32>(insns.size());
    attr.license = address("GPL");
    const Result<int> fd = bpf(BPF_PROG_LOAD, attr, "PROG_LOAD");
    if (fd) return UniqueFd(*fd);
    attr.log_level = 1;
    attr.log_buf = address(log.data());
    attr.log_size = static_cast<u32>(log.size());
    const Result<int> again = bpf(BPF_PROG_LOAD, attr, "PROG_LOAD");
    if (again) return UniqueFd(*again);
    std::string text = log.data();
    if (text.size() > 2000) text.erase(0, text.size() - 2000);
    return fail(fd.error().code, "{}\n{}", fd.error().message, text);
}

std::string verifier_log(u32 type, std::span<const Insn> insns) {
    std::vector<char> log(1 << 22);
    bpf_attr attr = empty_attr();
    attr.prog_type = type;
    attr.insns = address(insns.data());
    attr.insn_cnt = static_cast<u32>(insns.size());
    attr.license = address("GPL");
    attr.log_level = 2;
    attr.log_buf = address(log.data());
    attr.log_size = static_cast<u32>(log.size());
    if (const Result<int> fd = bpf(BPF_PROG_LOAD, attr, "PROG_LOAD"); fd) UniqueFd closes(*fd);
    return log.data();
}

Result<Run> run(int program, std::span<const u8> packet) {
    Run run;
    run.packet.resize(4096); // a program may let it grow to the end of the frame
    bpf_attr attr = empty_attr();
    attr.test.prog_fd = static_cast<u32>(program);
    attr.test.data_in = address(packet.data());
    attr.test.data_size_in = static_cast<u32>(packet.size());
    attr.test.data_out = address(run.packet.data());
    attr.test.data_size_out = static_cast<u32>(run.packet.size());
    attr.test.repeat = 1;
    if (const Result<int> done = bpf(BPF_PROG_TEST_RUN, attr, "PROG_TEST_RUN"); !done)
        return fail(done.error());
    run.result = attr.test.retval;
    run.packet.resize(attr.test.data_size_out);
    return run;
}

} // namespace xdplane::kernel
