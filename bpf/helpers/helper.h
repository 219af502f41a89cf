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

/// What an argument must be (Linux's enum bpf_arg_type, by name).
enum class Arg : u8 {
    none,                ///< not passed; later ones are none too
    anything,            ///< any initialised scalar (or pointer, where leaks are allowed)
    ctx,                 ///< the program's context, unmodified
    ctx_or_null,         ///< the same, or null (bpf_get_socket_cookie and its like)
    const_map,           ///< a map, known at verification
    map_key,             ///< key_size readable bytes of the map passed before
    map_value,           ///< value_size readable bytes
    map_value_or_null,   ///< the same, or null (bpf_sk_storage_get)
    uninit_map_value,    ///< value_size bytes that the helper fills (bpf_map_pop_elem)
    mem,                 ///< readable bytes; the size is the next argument
    mem_or_null,         ///< the same, null allowed with size 0
    uninit_mem,          ///< bytes the helper fills; may be uninitialised stack
    inout_mem,           ///< bytes the helper reads and writes; the size is the next argument
    inout_mem_or_null,   ///< the same, null allowed with size 0 (bpf_snprintf)
    fixed_mem,           ///< HelperProto::fixed_sizes bytes, readable
    inout_fixed_mem,     ///< the same, which the helper reads and writes: aligned (bpf_check_mtu)
    uninit_fixed_mem,    ///< the same, which the helper fills: aligned (bpf_strtol)
    size,                ///< of the memory before: bounded, at least 1
    size_or_zero,        ///< of the memory before: bounded, 0 allowed
    const_alloc_size,    ///< a known number: the size of the memory returned (bpf_ringbuf_reserve)
    const_string,        ///< NUL-terminated, in a read-only map
    callback,            ///< a sub-program; HelperProto::callback says how it is called
    stack_or_null,       ///< pointer to stack or null (callback context)
    ringbuf_record,      ///< from bpf_ringbuf_reserve
    spin_lock,           ///< a struct bpf_spin_lock in a map value
    timer,               ///< a struct bpf_timer in a map value
    kptr,                ///< a referenced kernel pointer's field in a map value
    btf_object_or_null,  ///< a referenced kernel object or null (bpf_kptr_xchg)
    socket,              ///< a full socket (struct bpf_sock)
    sock_common,         ///< any socket
    sock_common_or_null, ///< the same, or null
    dynptr,              ///< an initialised dynptr of any kind
    ringbuf_dynptr,      ///< an initialised dynptr of a ring buffer's record
    uninit_dynptr,       ///< stack where the helper makes a dynptr (HelperProto::makes_dynptr)
    iterator,       ///< stack that holds an open-coded iterator; HelperProto::iterator says in which state
    buffer_or_null, ///< bytes that the function may read and write, or null; their number, a constant, is
                    ///< the next argument, const_alloc_size (bpf_dynptr_slice's buffer__opt)
};

enum class Ret : u8 {
    integer,
    nothing,
    map_value_or_null, ///< into the map of argument 1
    mem_or_null,       ///< as many bytes as the const_alloc_size argument says
    socket_or_null,    ///< struct bpf_sock
    tcp_sock_or_null,  ///< struct bpf_tcp_sock
    sock_common_or_null,
    dynptr_mem_or_null,        ///< slice of the dynptr: as many bytes as the const_alloc_size argument says
    dynptr_rdonly_mem_or_null, ///< the same, which may only be read
    kptr_or_null,              ///< what the kptr argument's field held (bpf_kptr_xchg)
    iterator_value_or_null,    ///< HelperProto::value_size bytes, read-only; null ends the iteration
};

/// How a helper calls its callback.
enum class Callback : u8 {
    none,
    loop,         ///< bpf_loop: (index, context)
    for_each_map, ///< bpf_for_each_map_elem: (map, key, value, context)
    timer,        ///< bpf_timer_set_callback: (map, key, value), later, without the caller's frame
    user_ringbuf, ///< bpf_user_ringbuf_drain: (dynptr, context)
};

/// What a function does to its iterator argument (Linux's KF_ITER_NEW, _NEXT and _DESTROY).
enum class IteratorUse : u8 {
    none,
    make,    ///< of uninitialised stack; to be destroyed on every path
    next,    ///< an iterator that has been made and whose end has not been seen
    destroy, ///< any iterator that has been made; the stack is uninitialised again
};

/// Sections that a function opens or closes; the verifier sees that they nest and end.
enum class Section : u8 { none, rcu_begin, rcu_end, preempt_off, preempt_on };

enum class DynptrKind : u8 { none, local, ringbuf, skb, xdp };

/// Which program types may call it (bits); ProgramType has its own bit.
enum HelperUse : u32 {
    kUseXdp = 1,
    kUseSocketFilter = 2,
    kUseSchedCls = 4,
    kUseSchedAct = 8,
    kUseCgroupSkb = 16,
    kUseTc = kUseSchedCls | kUseSchedAct,
    kUseSkb = kUseSocketFilter | kUseTc | kUseCgroupSkb,
    kUsePacket = kUseXdp | kUseSkb,
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
    /// Its memory arguments may point into the packet (Linux's pkt_access): it does not move packets itself.
    bool packet_args = false;
    bool acquires = false; ///< what it returns must be released on every path
    u8 releases = 0;       ///< number (1 to 5) of the argument whose reference it ends; 0: none
    Callback callback = Callback::none;
    DynptrKind makes_dynptr = DynptrKind::none;
    std::array<u32, 5> fixed_sizes{}; ///< bytes of fixed_mem arguments
    /// Unprivileged programs of the types in `use` may call it (Linux's bpf_base_func_proto without CAP_BPF).
    bool unprivileged = true;
    /// Rows of kfunc_table(): `name` is the whole name, `id` the index in that table.
    bool is_kfunc = false;
    IteratorUse iterator = IteratorUse::none;
    u32 iterator_size = 0; ///< bytes of the iterator on the stack, aligned to 8
    u32 value_size = 0;    ///< of Ret::iterator_value_or_null
    Section section = Section::none;
    /// Called instead of `fn` by program types that must not write packets (ProgramType::packet_write);
    /// null if there is no difference.
    HelperFn fn_read_only = nullptr;
    /// What programs of the socket buffer types call instead of fn, where Linux has two of the same name.
    HelperFn skb_fn = nullptr;

    /// `use_bit`: ProgramType's.
    [[nodiscard]] HelperFn fn_for(u32 use_bit) const {
        return skb_fn != nullptr && (use_bit & kUseSkb) != 0 && use_bit != kUseAll ? skb_fn : fn;
    }
};

/// Ordered by id. helper_table.cpp has the rows.
[[nodiscard]] std::span<const HelperProto> helper_table();
/// Null if there is none with this id.
[[nodiscard]] const HelperProto* find_helper(u32 id);
/// True if the helper can neither write to the stack of its caller nor have a callback do it. Not of kernel
/// functions and of null, of which nothing is known.
[[nodiscard]] bool leaves_stack(const HelperProto* helper);

} // namespace xdplane
