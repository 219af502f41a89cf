// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
#include "tests/support/kernel_oracle.h"

#include <cstdlib>
#include <cstring>
#include <linux/bpf.h>
#include <linux/btf.h>

#include "tests/support/btf_builder.h"
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

Result<UniqueFd> create_map(u32 type, u32 key_size, u32 value_size, u32 max_entries, std::string_view name) {
    bpf_attr attr = empty_attr();
    attr.map_type = type;
    attr.key_size = key_size;
    attr.value_size = value_size;
    attr.max_entries = max_entries;
    name.copy(attr.map_name, sizeof attr.map_name - 1);
    const Result<int> fd = bpf(BPF_MAP_CREATE, attr, "MAP_CREATE");
    if (!fd) return fail(fd.error());
    return UniqueFd(*fd);
}

} // namespace

std::string why_unavailable() {
    const Insn insns[] = {{0xb7, 0, 0, 0, 0}, {0x95, 0, 0, 0, 0}};
    const Result<UniqueFd> fd = load(BPF_PROG_TYPE_XDP, insns);
    return fd ? "" : fmt::format("bpf(2) of the running kernel is refused ({})", fd.error().message);
}

Result<UniqueFd> create_map(u32 type, u32 value_size, u32 max_entries) {
    return create_map(type, value_size == 0 ? 0 : 4, value_size, max_entries, "");
}

Result<UniqueFd> create_array(u32 value_size, std::string_view name) {
    return create_map(BPF_MAP_TYPE_ARRAY, 4, value_size, 1, name);
}

Result<UniqueFd> create_hash(u32 key_size, u32 value_size, std::string_view name) {
    return create_map(BPF_MAP_TYPE_HASH, key_size, value_size, 1, name);
}

Result<> write_array(int map, std::span<const u8> value) { return write_map(map, 0, value); }

Result<> write_map(int map, u32 key, std::span<const u8> value) {
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

namespace {

Result<UniqueFd> load_program(bpf_attr attr, std::span<const Insn> insns) {
    std::vector<char> log(1 << 20);
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

Result<UniqueFd> load_function_btf(u32 functions, std::vector<u32>& ids) {
    const std::string blob = function_btf(functions, ids);
    bpf_attr attr = empty_attr();
    attr.btf = address(blob.data());
    attr.btf_size = static_cast<u32>(blob.size());
    const Result<int> fd = bpf(BPF_BTF_LOAD, attr, "BTF_LOAD");
    if (!fd) return fail(fd.error());
    return UniqueFd(*fd);
}

} // namespace

std::string function_btf(u32 functions, std::vector<u32>& ids) {
    test::BtfBuilder btf;
    const u32 prototype = btf.prototype(btf.integer("int", 4, true), {});
    for (u32 i = 0; i < functions; ++i)
        ids.push_back(btf.function(fmt::format("f{}", i), prototype, BTF_FUNC_STATIC));
    return btf.blob();
}

Result<UniqueFd> load(u32 type, std::span<const Insn> insns, u32 expected_attach_type) {
    bpf_attr attr = empty_attr();
    attr.prog_type = type;
    attr.expected_attach_type = expected_attach_type;
    return load_program(attr, insns);
}

Result<UniqueFd> load_functions(u32 type, std::span<const Insn> insns, std::span<const u32> begins) {
    std::vector<u32> ids;
    const Result<UniqueFd> btf = load_function_btf(static_cast<u32>(begins.size()), ids);
    if (!btf) return fail(btf.error());
    std::vector<bpf_func_info> functions;
    for (u32 i = 0; i < begins.size(); ++i) functions.push_back({begins[i], ids[i]});
    bpf_attr attr = empty_attr();
    attr.prog_type = type;
    attr.prog_btf_fd = static_cast<u32>(btf->get());
    attr.func_info = address(functions.data());
    attr.func_info_cnt = static_cast<u32>(functions.size());
    attr.func_info_rec_size = sizeof(bpf_func_info);
    return load_program(attr, insns);
}

Verdict judge(u32 type, std::span<const Insn> insns, std::span<const u32> begins) {
    std::vector<bpf_func_info> functions;
    bpf_attr attr = empty_attr();
    UniqueFd btf;
    if (begins.size() > 1) {
        std::vector<u32> ids;
        if (auto fd = load_function_btf(static_cast<u32>(begins.size()), ids)) btf = std::move(*fd);
        for (u32 i = 0; i < begins.size(); ++i) functions.push_back({begins[i], ids[i]});
        attr.prog_btf_fd = static_cast<u32>(btf.get());
        attr.func_info = address(functions.data());
        attr.func_info_cnt = static_cast<u32>(functions.size());
        attr.func_info_rec_size = sizeof(bpf_func_info);
    }
    std::vector<char> text(1 << 20);
    attr.prog_type = type;
    attr.insns = address(insns.data());
    attr.insn_cnt = static_cast<u32>(insns.size());
    attr.license = address("GPL");
    Verdict verdict;
    for (const u32 level : {4U, 1U}) { // the statistics; then, of a refusal, the reason
        text[0] = 0;
        attr.log_level = level;
        attr.log_buf = address(text.data());
        attr.log_size = static_cast<u32>(text.size());
        const Result<int> fd = bpf(BPF_PROG_LOAD, attr, "PROG_LOAD");
        const UniqueFd owner(fd ? *fd : -1);
        const std::string log = text.data();
        const std::size_t at = log.rfind("processed ");
        verdict.error = fd ? 0 : fd.error().code;
        if (at != std::string::npos) verdict.processed = std::strtoull(log.c_str() + at + 10, nullptr, 10);
        if (fd) break;
        std::string before = log.substr(0, at);
        while (before.ends_with('\n')) before.pop_back();
        verdict.reason = before.substr(before.rfind('\n') + 1);
    }
    return verdict;
}

std::string verifier_log(u32 type, std::span<const Insn> insns) {
    thread_local std::vector<char> log(1 << 22); // kept: clearing it would take longer than most programs do
    log[0] = 0;
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

Result<Run> run(int program, std::span<const u8> packet, std::span<const u8> ctx, u32 flags) {
    Run run;
    run.packet.resize(1 << 17); // a program may let it grow to the end of the frame
    run.ctx.assign(ctx.begin(), ctx.end());
    bpf_attr attr = empty_attr();
    attr.test.prog_fd = static_cast<u32>(program);
    attr.test.data_in = address(packet.data());
    attr.test.data_size_in = static_cast<u32>(packet.size());
    attr.test.data_out = address(run.packet.data());
    attr.test.data_size_out = static_cast<u32>(run.packet.size());
    attr.test.flags = flags;
    attr.test.repeat = flags == 0 ? 1 : 0;
    if (!ctx.empty()) {
        attr.test.ctx_in = address(ctx.data());
        attr.test.ctx_out = address(run.ctx.data());
        attr.test.ctx_size_in = attr.test.ctx_size_out = static_cast<u32>(ctx.size());
    }
    if (const Result<int> done = bpf(BPF_PROG_TEST_RUN, attr, "PROG_TEST_RUN"); !done)
        return fail(done.error());
    run.result = attr.test.retval;
    run.packet.resize(attr.test.data_size_out);
    run.ctx.resize(ctx.empty() ? 0 : attr.test.ctx_size_out);
    return run;
}

} // namespace xdplane::kernel
