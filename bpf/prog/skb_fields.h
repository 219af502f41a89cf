// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
#pragma once
#include <cstddef>
#include <linux/bpf.h>
#include <string_view>

#include "bpf/prog/program_type.h"
#include "bpf/run/packet.h"

/// Makers of struct __sk_buff's rows, for the types that share them.
namespace xdplane::skb_fields {

/// A field of 4 bytes that is a number: reads of 4, 2 and 1 bytes.
constexpr CtxField read(std::string_view name, std::size_t begin, std::size_t offset, u8 width) {
    return {.name = name,
            .begin = static_cast<u16>(begin),
            .end = static_cast<u16>(begin + 4),
            .value = CtxValue::scalar,
            .access = CtxAccess::direct,
            .offset = static_cast<u16>(offset),
            .width = width,
            .writable = false,
            .narrow_allowed = true};
}

constexpr CtxField vlan_present() {
    CtxField row =
        read("vlan_present", offsetof(__sk_buff, vlan_present), offsetof(XdpBuff, vlan_present), 8);
    row.access = CtxAccess::flag;
    return row;
}

/// The same, and whole writes.
constexpr CtxField write(std::string_view name, std::size_t begin, std::size_t offset, u8 width) {
    CtxField row = read(name, begin, offset, width);
    row.writable = true;
    return row;
}

/// What Linux lets programs read and what means nothing here.
constexpr CtxField zero(std::string_view name, std::size_t begin) {
    CtxField row = read(name, begin, 0, 32);
    row.access = CtxAccess::zero;
    return row;
}

/// The address of a socket, of which there are none: an array of whole words.
constexpr CtxField zero_words(std::string_view name, std::size_t begin, std::size_t size) {
    CtxField row = zero(name, begin);
    row.end = static_cast<u16>(begin + size);
    row.narrow_allowed = false;
    return row;
}

constexpr CtxField pointer(std::string_view name, std::size_t begin, CtxValue value, std::size_t offset) {
    CtxField row = read(name, begin, offset, 64);
    row.value = value;
    row.access = CtxAccess::pointer;
    row.narrow_allowed = false;
    return row;
}

constexpr CtxField length() {
    CtxField row = read("len", offsetof(__sk_buff, len), 0, 32);
    row.access = CtxAccess::length;
    return row;
}

/// Whole accesses of `size` bytes only.
constexpr CtxField whole(std::string_view name, std::size_t begin, std::size_t offset, u8 size) {
    CtxField row = read(name, begin, offset, static_cast<u8>(size * 8));
    row.end = static_cast<u16>(begin + size);
    row.unit = size;
    row.narrow_allowed = false;
    return row;
}

constexpr CtxField control_block() {
    CtxField row = write("cb", offsetof(__sk_buff, cb), offsetof(XdpBuff, cb), 32);
    row.end = static_cast<u16>(row.begin + sizeof(__sk_buff::cb));
    row.bytes = true;
    return row;
}
static_assert(sizeof(__sk_buff::cb) == sizeof(XdpBuff::cb));

/// A pointer to struct bpf_sock: always null, no packet has a socket here.
constexpr CtxField socket() {
    CtxField row = whole("sk", offsetof(__sk_buff, sk), 0, 8);
    row.value = CtxValue::sock_common_or_null;
    row.access = CtxAccess::zero;
    return row;
}

} // namespace xdplane::skb_fields
