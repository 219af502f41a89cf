// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
#include "tests/support/call_case.h"

#include <cstring>
#include <functional>
#include <gtest/gtest.h>
#include <set>

#include "bpf/btf/vmlinux.h"
#include "bpf/helpers/kfunc_table.h"
#include "bpf/isa/assembler.h"
#include "bpf/isa/disassembler.h"
#include "tests/support/engines.h"
#include "tests/support/kernel_oracle.h"
#include "tests/support/unverified_program.h"

namespace xdplane {
namespace {

std::vector<u8> number(u64 value) {
    std::vector<u8> bytes(8);
    std::memcpy(bytes.data(), &value, 8);
    return bytes;
}

constexpr u32 kEntries = 4;
constexpr u64 value_of(u32 key) { return 10 * (u64{key} + 1); }

/// Where functions begin, the main program first.
std::vector<u32> function_begins(const std::vector<Insn>& insns) {
    std::set<u32> begins = {0};
    for (u32 i = 0; i < insns.size(); i += slots(insns[i])) {
        const bool starts = (insns[i].opcode == 0x85 && insns[i].src == kCallLocal) ||
                            (insns[i].opcode == 0x18 && insns[i].src == kCodeAddr);
        if (starts) begins.insert(i + 1 + static_cast<u32>(insns[i].imm));
    }
    return {begins.begin(), begins.end()};
}

std::shared_ptr<Map> make_map(u32 type) {
    MapSpec spec;
    spec.type = type;
    spec.key_size = 4;
    spec.value_size = 8;
    spec.max_entries = kEntries;
    const std::shared_ptr<Map> map = create_map(spec).value();
    const bool per_cpu = map->ops().per_cpu;
    for (u32 key = 0; key < kEntries; ++key) {
        for (u32 cpu = 0; cpu < (per_cpu ? num_possible_cpus() : 0); ++cpu)
            std::memcpy(map->ops().lookup_cpu(*map, &key, cpu), number(1000).data(), 8);
        EXPECT_EQ(map->ops().update(*map, &key, number(value_of(key)).data(), 0), 0);
    }
    return map;
}

/// "kfunc NAME" by what the judge knows it as.
Result<std::vector<Insn>> insns_of(const CallCase& c,
                                   const std::function<std::optional<u32>(std::string_view)>& id_of) {
    constexpr std::string_view kCall = "kfunc ";
    std::string text = c.text;
    for (std::size_t at = 0; (at = text.find(kCall, at)) != std::string::npos;) {
        const std::size_t end = std::min(text.find_first_of("\n; ", at + kCall.size()), text.size());
        const std::string name = text.substr(at + kCall.size(), end - at - kCall.size());
        const std::optional<u32> id = id_of(name);
        if (!id) return fail(ENOENT, "no kernel function {}", name);
        text.replace(at, end - at, fmt::format("call kernel-function#{}", *id));
    }
    return assemble(text);
}

std::vector<u8> packet_bytes() {
    std::vector<u8> bytes(CallCase::kPacketSize);
    for (u32 i = 0; i < bytes.size(); ++i) bytes[i] = static_cast<u8>(i);
    return bytes;
}

u32 run_engine(const Entry& entry, bool burst) {
    std::vector<u8> frame(kHeadroom + CallCase::kPacketSize + 256);
    const std::vector<u8> bytes = packet_bytes();
    XdpBuff packet{};
    packet.hard_start = frame.data();
    packet.data = packet.data_meta = frame.data() + kHeadroom;
    packet.data_end = packet.data + bytes.size();
    packet.frame_end = frame.data() + frame.size();
    std::memcpy(packet.data, bytes.data(), bytes.size());
    if (!burst) return entry.run(&entry, &packet, &t_run);
    entry.run_burst(&entry, &packet, 1, &t_run);
    return packet.verdict;
}

} // namespace

void know_callbacks(std::span<const Insn> insns, std::vector<InsnFacts>& facts, std::vector<FunctionFacts>&) {
    i32 callback = -1;
    bool no_flags = false;
    for (u32 i = 0; i < insns.size(); ++i) {
        const Op op = facts[i].op;
        if (op == Op::ld_imm64 && insns[i].dst == R2) callback = facts[i].target;
        if (op == Op::mov64_imm && insns[i].dst == R4) no_flags = insns[i].imm == 0;
        if (op != Op::call) continue;
        if (insns[i].src == kCallHelper && insns[i].imm == BPF_FUNC_loop && no_flags)
            facts[i].callback = callback;
        callback = -1;
        no_flags = false;
    }
}

void check_engines(const CallCase& c) {
    static constexpr std::pair<bool, bool> kModes[] = {
        {false, false}, {true, false}, {false, true}, {true, true}};
    const auto id_of = [](std::string_view name) -> std::optional<u32> {
        const HelperProto* row = find_kfunc(name);
        return row != nullptr ? std::optional(row->id) : std::nullopt;
    };
    const Result<std::vector<Insn>> insns = insns_of(c, id_of);
    ASSERT_TRUE(insns) << insns.error().message;
    ProgramType type = UnverifiedProgram::kRawType;
    type.packet_write = c.packet_write;
    t_run.cpu = num_possible_cpus() - 1;
    for (const TestEngine& engine : test_engines()) {
        for (const auto& [burst, known] : kModes) {
            if (known && c.text.find("#181") == std::string::npos) continue;
            UnverifiedOptions options;
            if (known) options.amend = know_callbacks;
            options.type = &type;
            options.maps = {make_map(BPF_MAP_TYPE_ARRAY), make_map(BPF_MAP_TYPE_PERCPU_ARRAY),
                            create_map({.type = BPF_MAP_TYPE_RINGBUF, .max_entries = 4096}).value()};
            options.helper = find_helper;
            options.kfunc = [](i32 id) { return &kfunc_table()[static_cast<u32>(id)]; };
            const auto verified = UnverifiedProgram::make(*insns, options);
            ASSERT_TRUE(verified) << verified.error().message;
            Result<LoweredProgram> lowered = lower(*verified);
            ASSERT_TRUE(lowered) << lowered.error().message;
            const auto executable = engine.make(std::move(*lowered));
            ASSERT_TRUE(executable) << executable.error().message;
            EXPECT_EQ(run_engine((*executable)->entry, burst), c.result)
                << engine.name << (burst ? " burst" : "") << (known ? " known callbacks" : "");
        }
    }
    t_run.cpu = 0;
}

void check_kernel(const CallCase& c) {
    if (const std::string why = kernel::why_unavailable(); !why.empty()) GTEST_SKIP() << why;
    if (!c.kernel_skip.empty()) GTEST_SKIP() << c.kernel_skip;
    const Result<UniqueFd> maps[] = {kernel::create_map(BPF_MAP_TYPE_ARRAY, 8, kEntries),
                                     kernel::create_map(BPF_MAP_TYPE_PERCPU_ARRAY, 8, kEntries),
                                     kernel::create_map(BPF_MAP_TYPE_RINGBUF, 0, 4096)};
    for (const auto& map : maps) ASSERT_TRUE(map) << map.error().message;
    for (u32 key = 0; key < kEntries; ++key) {
        ASSERT_TRUE(kernel::write_map(maps[0]->get(), key, number(value_of(key))));
        // Which CPU runs it is the kernel's choice.
        std::vector<u8> all;
        for (u32 cpu = 0; cpu < num_possible_cpus(); ++cpu) {
            const std::vector<u8> one = number(value_of(key));
            all.insert(all.end(), one.begin(), one.end());
        }
        ASSERT_TRUE(kernel::write_map(maps[1]->get(), key, all));
    }
    const auto id_of = [](std::string_view name) -> std::optional<u32> {
        return kernel_functions() ? kernel_functions()->id(name) : std::nullopt;
    };
    Result<std::vector<Insn>> program = insns_of(c, id_of);
    ASSERT_TRUE(program) << program.error().message;
    for (u32 i = 0; i < program->size(); i += slots((*program)[i])) {
        Insn& insn = (*program)[i];
        if (insn.opcode == 0x18 && insn.src == kMapFd) insn.imm = maps[insn.imm]->get();
    }
    const Result<UniqueFd> loaded = kernel::load_functions(c.type, *program, function_begins(*program));
    ASSERT_TRUE(loaded) << loaded.error().message;
    const Result<kernel::Run> run = kernel::run(loaded->get(), packet_bytes());
    ASSERT_TRUE(run) << run.error().message;
    EXPECT_EQ(run->result, c.result);
}

} // namespace xdplane
