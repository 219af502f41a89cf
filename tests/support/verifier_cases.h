// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
#pragma once
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "bpf/maps/map.h"
#include "bpf/verifier/verifier.h"

/// Verifier cases as data: tests/verifier/*.data. A file holds cases, each a few "key: value" lines and a
/// program in the words of assemble():
///
///   case: name, unique in its file
///   type: xdp (default), socket_filter, sched_cls, sched_act or cgroup_skb
///   attach: ingress|egress (cgroup_skb), devmap|cpumap (xdp), or a number: expected_attach_type
///   map: KIND KEY_SIZE VALUE_SIZE ENTRIES [rdonly] [wronly] [frozen] [data=HEX] [extra=N] [lock=OFFSET]
///        [timer=OFFSET] [owner=TYPE]   maps are fds, and indices into fd_array, 1, 2, ... in order; data is
///                                      of index 0; a map with a lock or timer there has BTF that says so;
///                                      a program of the type has used a prog array with an owner
///   inner: the same                    what the map before holds, if it is a map of maps
///   flags: strict, test_state_freq
///   unprivileged: yes                  loaded by a user without capabilities
///   gpl: no (default: yes)
///   btf: functions                     every function has BTF: static int f(void)
///   func: static|global RETURN (ARGS)  the same, but not what "btf:" gives it; for the functions behind the
///                                      main program, in their order. RETURN: int, long, void, pointer,
///                                      struct. ARGS, parted by commas: int, long, enum, ctx, tagged-ctx,
///                                      void, dynptr, forward, "mem N" (pointer to a struct of so many
///                                      bytes), "nonnull N", "trusted N", "struct N" (by value)
///   func-info: missing|misplaced       the last function's record is not there, or at the next insn
///   accept:            or
///   reject: TEXT       which the reason must contain, and the kernel's log too
///   kind: NAME          of the explanation of a rejection
///   explain: TEXT       which a line of the explanation must contain; several, in the order of the lines
///   kernel: REASON     the running kernel's verdict is another, for this reason
///   kernel-words: REASON  its words are others, for this reason
///   kernel-slow: REASON the running kernel takes too long for a test
///   prog:
///   the rest, up to the next case; "call kfunc NAME" calls a function of the running kernel
namespace xdplane::test {

struct CaseMap {
    std::string kind; ///< as MapOps::name
    u32 key_size = 0;
    u32 value_size = 0;
    u32 entries = 0;
    u32 flags = 0;
    bool frozen = false;
    std::vector<u8> data; ///< of index 0
    u64 extra = 0;
    i32 lock = -1; ///< offset of a struct bpf_spin_lock
    i32 timer = -1;
    std::string owner; ///< of a prog array: a program type
    std::shared_ptr<CaseMap> inner;

    [[nodiscard]] u32 type() const; ///< enum bpf_map_type
    /// Its kind, as far as names of maps go.
    [[nodiscard]] std::string name() const { return kind.substr(0, BPF_OBJ_NAME_LEN - 1); }
    [[nodiscard]] bool has_btf() const { return lock >= 0 || timer >= 0; }
};

struct CaseFunction {
    bool global = false;
    std::string returns = "int";
    std::vector<std::string> arguments;
};

struct VerifierCase {
    std::string file;
    std::string name;
    std::string type = "xdp";
    u32 attach = 0;
    std::vector<CaseMap> maps;
    u32 flags = 0;
    bool gpl = true;
    bool privileged = true;
    bool btf = false;
    std::vector<CaseFunction> functions;
    std::string info_fault; ///< "missing" or "misplaced"
    bool accept = false;
    std::string message;
    std::string kind;
    std::vector<std::string> explanation;
    std::string kernel; ///< why the kernel's verdict differs; empty: it does not
    std::string kernel_words;
    std::string kernel_slow;
    std::string program;
};

/// All cases of the folder's *.data files; an error of the format fails.
[[nodiscard]] Result<std::vector<VerifierCase>> read_cases(const std::string& folder);

/// BTF, and where in it to look.
struct MapBtf {
    std::string blob;
    u32 key_type;
    u32 value_type;
};
struct FunctionBtf {
    std::string blob;
    std::vector<FuncInfo> functions;
};
/// Of a map with has_btf().
[[nodiscard]] MapBtf make_map_btf(const CaseMap& map);
/// Of a case with BTF, and its program.
[[nodiscard]] Result<FunctionBtf> make_function_btf(const VerifierCase& one, const std::vector<Insn>& insns);

[[nodiscard]] Result<std::shared_ptr<Map>> make_map(const CaseMap& spec);

/// "sched_cls"; null if there is none of this name.
[[nodiscard]] const ProgramType* type_of_name(const std::string& name, u32 attach = 0);

/// The request for a case, its maps made by make_map(). ENOENT if it calls a kernel function that the running
/// kernel does not have, or does not tell of.
[[nodiscard]] Result<VerifyRequest> make_request(const VerifierCase& one);

} // namespace xdplane::test
