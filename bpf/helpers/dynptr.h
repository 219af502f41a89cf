// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
#pragma once
#include "bpf/base/types.h"
#include "bpf/run/packet.h"

namespace xdplane {

/// struct bpf_dynptr, laid out as Linux's struct bpf_dynptr_kern: a bounded view of memory that is only known
/// at run time. Null if `data` is null. Offsets and lengths are those of the program, so that nothing here
/// may trust them. Data path.
struct Dynptr {
    /// What `data` points at.
    enum class Kind : u8 { invalid, local, ringbuf, skb, xdp };
    static constexpr u32 kMaxSize = (1U << 24) - 1;

    void* data;        ///< the memory; skb and xdp: the XdpBuff
    u32 size_and_kind; ///< bits 0-23 size, 28-30 kind, 31 read-only
    u32 offset;        ///< into the memory

    static Dynptr make(void* data, Kind kind, u32 size) noexcept {
        return {data, size | static_cast<u32>(kind) << kKindShift, 0};
    }
    [[nodiscard]] u32 size() const noexcept { return size_and_kind & kMaxSize; }
    void set_size(u32 size) noexcept { size_and_kind = (size_and_kind & ~kMaxSize) | size; }
    [[nodiscard]] Kind kind() const noexcept {
        return static_cast<Kind>((size_and_kind & ~kReadOnly) >> kKindShift);
    }
    [[nodiscard]] bool read_only() const noexcept { return (size_and_kind & kReadOnly) != 0; }
    void set_read_only() noexcept { size_and_kind |= kReadOnly; }
    [[nodiscard]] bool contains(u32 at, u32 length) const noexcept {
        return length <= size() && at <= size() - length;
    }
    [[nodiscard]] bool in_packet() const noexcept { return kind() == Kind::skb || kind() == Kind::xdp; }
    [[nodiscard]] XdpBuff& packet() const noexcept { return *static_cast<XdpBuff*>(data); }

    /// The bytes [at, at + length), or null if they are not all there: packets may have shrunk since the
    /// dynptr was made. Whether they may be written is the caller's business.
    [[nodiscard]] u8* bytes(u32 at, u32 length) const noexcept;

private:
    static constexpr u32 kKindShift = 28;
    static constexpr u32 kReadOnly = 1U << 31;
};
static_assert(sizeof(Dynptr) == 16);

/// bpf_dynptr_read and bpf_dynptr_write: 0 or -errno.
i64 dynptr_read(void* to, u32 length, const Dynptr& from, u32 at, u64 flags) noexcept;
i64 dynptr_write(const Dynptr& to, u32 at, const void* from, u32 length, u64 flags) noexcept;

} // namespace xdplane
