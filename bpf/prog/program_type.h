// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
#pragma once
#include <optional>
#include <span>
#include <string_view>

#include "bpf/base/types.h"
#include "bpf/helpers/helper.h"

/// Program types as data: what the verifier asks and what lowering rewrites. One file per type, one row in
/// program_types.cpp.
namespace xdplane {

/// What a load from a context field gives.
enum class CtxValue : u8 { scalar, packet, packet_meta, packet_end, sock_common_or_null };

/// How lowering turns the access into one on XdpBuff.
enum class CtxAccess : u8 {
    direct,        ///< a load or store of `width` bits at `offset`; zero-extended. As in Linux a narrow
                   ///< load of as many bits or more gives the field, whichever of its bytes was meant
    pointer,       ///< a 64-bit load at `offset`
    zero,          ///< reads as 0 (a field of Linux that means nothing here)
    length,        ///< data_end - data
    flag,          ///< direct, and the bytes beyond `width` are 0 in narrow loads too
    queue_mapping, ///< direct; a store of 65535 (Linux's NO_QUEUE_MAPPING) or more changes nothing
};

/// One field of the context as programs see it (struct xdp_md, struct __sk_buff).
struct CtxField {
    std::string_view name;
    u16 begin; ///< byte range in the program's view
    u16 end;
    CtxValue value;
    CtxAccess access;
    u16 offset; ///< in XdpBuff
    u8 width;   ///< bits in XdpBuff
    bool writable;
    bool narrow_allowed; ///< 1- and 2-byte reads allowed, as Linux's "narrow loads"
    /// Plain bytes (__sk_buff::cb): aligned accesses of 1, 2, 4 or 8 bytes anywhere within [begin, end), at
    /// the same distance behind `offset` in XdpBuff. Others: only whole accesses of `unit` bytes, and narrow
    /// reads.
    bool bytes = false;
    u8 unit = 4; ///< bytes of a whole access; a field of several units is an array
    /// Only for programs loaded with CAP_BPF (cgroup_skb: data, data_end).
    bool privileged = false;
    bool write_privileged = false; ///< the same of stores (cgroup_skb: tstamp)

    [[nodiscard]] bool covers(i64 off, u32 size) const { return off >= begin && off + size <= end; }
};

/// One row per type, and one more per expected_attach_type that changes what programs may do.
struct ProgramType {
    u32 type;              ///< enum bpf_prog_type
    std::string_view name; ///< "xdp", as bpftool prints it
    u32 use_bit;           ///< in HelperProto::use
    std::span<const CtxField> ctx;
    u32 ctx_size;
    bool packet_access; ///< data/data_end may be dereferenced
    bool packet_write;
    bool legacy_loads; ///< ld_abs and ld_ind
    /// Legal r0 at exit of the main program; Linux does not limit XDP, socket filters and sched_cls/act.
    i64 return_min;
    i64 return_max;
    bool loadable; ///< false: known to Linux and to libbpf's probes, refused with the reason here
    /// enum bpf_attach_type of a row that find_program_type() gives for this one alone.
    std::optional<u32> attach_type = {};
    /// PROG_LOAD takes no other expected_attach_type (EINVAL). Empty: any number, as Linux.
    std::span<const u32> attach_types = {};
    bool skb_state = false;    ///< programs read XdpBuff::skb: begin_skb() before the first on each packet
    bool network_view = false; ///< packets begin with their network header (cgroup_skb)

    /// The field that an access of `size` bytes at `off` hits, by Linux's rules of alignment, width and
    /// writability; null: "invalid bpf_context access".
    [[nodiscard]] const CtxField* find_field(i64 off, u32 size, bool write) const;

    [[nodiscard]] bool allows_attach_type(u32 expected_attach_type) const;
};

/// Null if there is none. The row of `expected_attach_type` where the type has one of its own; whether
/// PROG_LOAD allows it is allows_attach_type()'s to say.
[[nodiscard]] const ProgramType* find_program_type(u32 type, u32 expected_attach_type = 0);
/// Ordered by type; a row with attach_type follows the one without.
[[nodiscard]] std::span<const ProgramType> program_types();

} // namespace xdplane
