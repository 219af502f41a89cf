// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
#pragma once
#include <array>
#include <span>

#include "bpf/base/types.h"

/// Helpers: what a program may call. The prototype beside each implementation is read by the verifier, the
/// engines and the disassembler alike. Signatures and errno values are those of bpf-helpers(7).
namespace xdplane {

/// Every helper has this shape; unused arguments are garbage. A helper may read t_run. noexcept, no
/// allocation, no locks that a worker could wait on.
using HelperFn = u64 (*)(u64, u64, u64, u64, u64) noexcept;

enum class Arg : u8 {
    none,          ///< not passed; later ones are none too
    anything,      ///< any initialised scalar (or pointer, where leaks are allowed)
    ctx,           ///< the program's context, unmodified
    const_map,     ///< a map, known at verification
    map_key,       ///< key_size readable bytes of the map passed before
    map_value,     ///< value_size readable bytes
    mem,           ///< readable bytes; the size is the next argument
    mem_or_null,   ///< the same, null allowed with size 0
    uninit_mem,    ///< bytes the helper fills; may be uninitialised stack
    size,          ///< of the memory before: bounded, at least 1
    size_or_zero,  ///< of the memory before: bounded, 0 allowed
    const_string,  ///< NUL-terminated, in a read-only map
    callback,      ///< a sub-program, for bpf_loop and its like
    stack_or_null, ///< pointer to stack or null (callback context)
};

enum class Ret : u8 {
    integer,
    nothing,
    map_value_or_null, ///< into the map of argument 1
};

/// Which program types may call it (bits); ProgramType has its own bit.
enum HelperUse : u32 {
    kUseXdp = 1,
    kUseSocketFilter = 2,
    kUseProbe = 1U << 31, ///< types that exist only because libbpf's feature probes load them
    kUseAll = ~0U,
};

struct HelperProto {
    u32 id;           ///< enum bpf_func_id
    const char* name; ///< "map_lookup_elem", without bpf_
    HelperFn fn;      ///< null where lowering replaces the call (tail_call)
    Ret ret;
    std::array<Arg, 5> args;
    u32 use = kUseAll;
    bool gpl_only = false;
    bool moves_packet = false;  ///< packet pointers die: adjust_head and its like
    bool writes_packet = false; ///< may change packet bytes or bounds
    bool reads_clock = false;
    bool reads_random = false;
    bool needs_context =
        false; ///< reads or counts in what t_run holds per packet (packet, random_calls, ...)
};

/// Ordered by id. helper_table.cpp has the rows.
[[nodiscard]] std::span<const HelperProto> helper_table();
/// Null if there is none with this id.
[[nodiscard]] const HelperProto* find_helper(u32 id);

} // namespace xdplane
