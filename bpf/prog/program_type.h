// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
#pragma once
#include <span>
#include <string_view>

#include "bpf/base/types.h"
#include "bpf/helpers/helper.h"

/// Program types as data: what the verifier asks and what lowering rewrites. One file per type, one row in
/// program_types.cpp.
namespace xdplane {

/// What a load from a context field gives.
enum class CtxValue : u8 { scalar, packet, packet_meta, packet_end };

/// How lowering turns the access into one on XdpBuff.
enum class CtxAccess : u8 {
    direct,             ///< a load or store of `width` bits at `offset`; zero-extended
    pointer,            ///< a 64-bit load at `offset`
    zero,               ///< reads as 0 (a field of Linux that means nothing here)
    length,             ///< data_end - data
    custom_be16_as_u32, ///< u16 at `offset`, zero-extended to 32 bits
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
    /// the same distance behind `offset` in XdpBuff. Others: only whole accesses of 4 bytes, and narrow
    /// reads.
    bool bytes = false;

    [[nodiscard]] bool covers(i64 off, u32 size) const { return off >= begin && off + size <= end; }
};

struct ProgramType {
    u32 type;              ///< enum bpf_prog_type
    std::string_view name; ///< "xdp", as bpftool prints it
    u32 use_bit;           ///< in HelperProto::use
    std::span<const CtxField> ctx;
    u32 ctx_size;
    bool packet_access; ///< data/data_end may be dereferenced
    bool packet_write;
    bool legacy_loads; ///< ld_abs and ld_ind
    /// Legal r0 at exit of the main program; Linux does not limit XDP and socket filters.
    i64 return_min;
    i64 return_max;
    bool loadable; ///< false: known to Linux and to libbpf's probes, refused with the reason here

    /// The field that an access of `size` bytes at `off` hits, by Linux's rules of alignment, width and
    /// writability; null: "invalid bpf_context access".
    [[nodiscard]] const CtxField* find_field(i64 off, u32 size, bool write) const;
};

/// Null if there is none.
[[nodiscard]] const ProgramType* find_program_type(u32 type);
[[nodiscard]] std::span<const ProgramType> program_types();

} // namespace xdplane
