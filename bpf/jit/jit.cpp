// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
#include "bpf/jit/jit.h"

#include <cerrno>

#include "bpf/jit/run_ahead.h"

namespace xdplane {
namespace {

/// Sealed code and what its embedded addresses point into.
class JitExecutable final : public Executable {
public:
    JitExecutable(CodeMemory memory, const MachineCode& code, std::vector<std::shared_ptr<Map>> maps)
        : memory_(std::move(memory)), maps_(std::move(maps)) {
        u8* const base = const_cast<u8*>(memory_.bytes().data()); // function pointers are not const
        entry.run = reinterpret_cast<decltype(entry.run)>(base + code.run_offset);
        entry.run_burst = reinterpret_cast<decltype(entry.run_burst)>(base + code.run_burst_offset);
        entry.tail_entry = base + code.tail_offset;
        if (code.run_split_offset != 0) run_split = reinterpret_cast<RunSplit*>(base + code.run_split_offset);
    }
    RunSplit* run_split = nullptr;

private:
    CodeMemory memory_;
    std::vector<std::shared_ptr<Map>> maps_;
};

Result<std::unique_ptr<JitExecutable>> compile(const JitBackend& backend, const LoweredProgram& program,
                                               std::vector<u8>* jited) {
    Result<MachineCode> code = backend.compile(program);
    if (!code) return fail(code.error(), "jit");
    Result<CodeMemory> memory = CodeMemory::seal(*code);
    if (!memory) return fail(memory.error(), "jit");
    auto executable = std::make_unique<JitExecutable>(std::move(*memory), *code, program.maps());
    if (jited != nullptr) *jited = std::move(code->bytes);
    return executable;
}

} // namespace

Result<std::unique_ptr<Executable>> jit(const LoweredProgram& program, std::vector<u8>* jited) {
    const JitBackend* const backend = host_backend();
    if (backend == nullptr) return fail(EOPNOTSUPP, "no JIT for this machine");
    auto executable = compile(*backend, program, jited);
    if (!executable) return fail(executable.error());
    AheadParts parts{.run_split = (*executable)->run_split};
    if (program.slice() != nullptr) {
        auto slice = compile(*backend, *program.slice(), nullptr);
        if (!slice) return fail(slice.error(), "slice");
        parts.slice = std::move(*slice);
    }
    if (parts.slice == nullptr && parts.run_split == nullptr) return executable;
    parts.program = std::move(*executable);
    return run_ahead(std::move(parts), program);
}

} // namespace xdplane
