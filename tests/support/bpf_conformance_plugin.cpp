// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fmt/format.h>
#include <iostream>
#include <iterator>
#include <memory>
#include <string>
#include <vector>

#include "bpf/helpers/helper.h"
#include "bpf/lower/lowered.h"
#include "bpf/run/run_context.h"
#include "tests/support/engines.h"
#include "tests/support/hex.h"
#include "tests/support/unverified_program.h"

/// A plugin for the public bpf_conformance suite: runs one raw program and prints its r0.
///
///   bpf_conformance_plugin [MEMORY] [--interpret | --jit] [--program PROGRAM] [--debug] < PROGRAM
///
/// MEMORY and PROGRAM are hex bytes, with or without white space. The program starts with r1 = address of the
/// memory and r2 = its length. On success r0 is on standard output in hex, and the exit status is 0; else
/// there is a message on standard error, and the status is 1.
namespace xdplane {
namespace {

struct Options {
    std::string memory;
    std::string program;
    bool has_program = false;
    bool interpret = false;
    bool debug = false;
};

Result<Options> read_options(int argc, char** argv) {
    Options options;
    for (int i = 1; i < argc; ++i) {
        const std::string argument = argv[i];
        if (argument == "--interpret") {
            options.interpret = true;
        } else if (argument == "--jit") {
            options.interpret = false;
        } else if (argument == "--debug") {
            options.debug = true;
        } else if (argument == "--program" && i + 1 < argc) {
            options.program = argv[++i];
            options.has_program = true;
        } else if (i == 1 && !argument.starts_with("--")) {
            options.memory = argument;
        } else if (!argument.empty()) {
            return fail(EINVAL, "unknown argument '{}'", argument);
        }
    }
    if (!options.has_program)
        options.program.assign(std::istreambuf_iterator<char>(std::cin), std::istreambuf_iterator<char>());
    return options;
}

/// A raw program has neither maps nor a context that helpers could be given.
const HelperProto* helper_for_raw_programs(u32 id) {
    const HelperProto* helper = find_helper(id);
    if (helper == nullptr || helper->fn == nullptr) return nullptr;
    for (const Arg arg : helper->args)
        if (arg == Arg::ctx || arg == Arg::const_map || arg == Arg::callback) return nullptr;
    return helper;
}

Result<u64> run(const Options& options) {
    const auto memory = parse_hex(options.memory);
    if (!memory) return fail(EINVAL, "the memory is not hex: '{}'", options.memory);
    const auto bytes = parse_hex(options.program);
    if (!bytes) return fail(EINVAL, "the program is not hex");
    if (bytes->empty() || bytes->size() % sizeof(Insn) != 0)
        return fail(EINVAL, "a program of {} bytes is not whole instructions", bytes->size());
    std::vector<Insn> insns(bytes->size() / sizeof(Insn));
    std::memcpy(insns.data(), bytes->data(), bytes->size());

    // Aligned, because atomics ask for it.
    std::vector<u64> words(memory->size() / 8 + 1);
    if (!memory->empty()) std::memcpy(words.data(), memory->data(), memory->size());
    u64 result = 0;
    UnverifiedOptions raw;
    raw.helper = helper_for_raw_programs;
    const Result<VerifiedProgram> program = UnverifiedProgram::make(
        UnverifiedProgram::with_memory(insns, words.data(), static_cast<u32>(memory->size()), &result), raw);
    if (!program) return fail(program.error());
    Result<LoweredProgram> lowered = lower(*program);
    if (!lowered) return fail(lowered.error());
    if (options.debug) fmt::print(stderr, "{}", lowered->disassemble());
    if (!options.interpret && test_engines().size() < 2) return fail(ENOTSUP, "no JIT for this machine");
    const TestEngine& engine = options.interpret ? test_engines().front() : test_engines().back();
    const Result<std::unique_ptr<Executable>> executable = engine.make(std::move(*lowered));
    if (!executable) return fail(executable.error(), engine.name);

    XdpBuff packet{};
    t_run.packet = &packet;
    const Entry& entry = (*executable)->entry;
    entry.run(&entry, &packet, &t_run);
    return result;
}

} // namespace
} // namespace xdplane

int main(int argc, char** argv) {
    using namespace xdplane;
    if (argc > 1 && std::string(argv[1]) == "--help") {
        fmt::print("usage: {} [MEMORY] [--interpret | --jit] [--program PROGRAM] [--debug] < PROGRAM\n",
                   argv[0]);
        return 0;
    }
    const Result<Options> options = read_options(argc, argv);
    const Result<u64> result = options ? run(*options) : fail(options.error());
    if (!result) {
        fmt::print(stderr, "bpf_conformance_plugin: {}\n", result.error().message);
        return 1;
    }
    fmt::print("{:x}\n", *result);
    return 0;
}
