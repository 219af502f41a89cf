// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
#include <cstdio>

#include "bpf/helpers/helper.h"
#include "bpf/isa/disassembler.h"
#include "bpf/jit/disassemble.h"
#include "cli/command.h"
#include "cli/one_program.h"

namespace xdplane::cli {
namespace {

namespace po = boost::program_options;

constexpr std::string_view kUsageLine = "xdplane dump OBJ:PROG (--bytecode | --lowered | --jited)";
constexpr std::string_view kAbout = "Loads a program and shows its instructions at one stage of their way.";
constexpr std::string_view kExamples = "Examples:\n"
                                       "  xdplane dump acl.bpf.o:acl --bytecode\n"
                                       "  xdplane dump acl.bpf.o:acl --lowered\n"
                                       "  xdplane dump acl.bpf.o:acl --jited";

void print_bytecode(const Program& program) {
    DisasmOptions options{.opcode = true, .map_key = "id"};
    options.helper_name = [](u32 id) {
        const HelperProto* helper = find_helper(id);
        return helper != nullptr ? fmt::format("bpf_{}", helper->name) : std::string();
    };
    const auto& insns = program.parts().insns;
    for (u32 i = 0; i < insns.size(); i += slots(insns[i]))
        fmt::print("{:4}: {}\n", i, disassemble(insns, i, options));
}

} // namespace

int dump_command(const std::vector<std::string>& words) {
    std::vector<std::string> programs;
    bool bytecode = false;
    bool lowered = false;
    bool jited = false;
    Options options{kUsageLine, kAbout, kExamples};
    options.visible.add_options()                                                          //
        ("bytecode", po::bool_switch(&bytecode), "as loaded through bpf(2), maps by id")   //
        ("lowered", po::bool_switch(&lowered), "what the engines run, after verification") //
        ("jited", po::bool_switch(&jited), "machine code");
    options.hidden.add_options()("program", po::value(&programs));
    options.positional.add("program", -1);
    po::variables_map values;
    if (!options.parse(words, values)) return kSuccess;
    if (programs.size() != 1) throw UsageError("one program is needed: OBJ:PROG");
    if (bytecode + lowered + jited != 1)
        throw UsageError("one of --bytecode, --lowered and --jited is needed");

    const auto one = load_one_program(programs.front());
    if (!one) return failed(one.error());
    const Program::Parts& parts = one->program->parts();
    if (bytecode) {
        print_bytecode(*one->program);
    } else if (lowered) {
        fmt::print("{}", parts.lowered_listing());
    } else if (parts.jited.empty()) {
        print_error(fmt::format("{}: there is no JIT for this machine", programs.front()));
        return kFailure;
    } else {
        const auto text = disassemble_machine_code(parts.jited, 0);
        if (!text) return failed(text.error());
        fmt::print("{}", *text);
    }
    return kSuccess;
}

} // namespace xdplane::cli
