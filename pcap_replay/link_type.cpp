// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
#include "pcap_replay/link_type.h"

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <memory>
#include <pcap/pcap.h>

namespace xdplane {
namespace {

using Handle = std::unique_ptr<pcap_t, void (*)(pcap_t*)>;

/// A capture without packets, of the link type and byte order of a real one, opened by libpcap. So libpcap
/// maps link types by itself, and knows in which order a loopback header's address family stands.
Handle open_empty(u32 link_type, bool swapped, char* error) {
    const auto order = [swapped](u32 value) { return swapped ? __builtin_bswap32(value) : value; };
    // Magic, version 2.4 (two 16-bit fields), zone, accuracy, snapshot length, link type.
    const u32 version = swapped ? 0x04000200 : 0x00040002;
    u32 header[6] = {order(0xa1b2c3d4), version, 0, 0, order(262144), order(link_type)};
    std::FILE* file = ::fmemopen(header, sizeof header, "rb");
    if (file == nullptr) {
        std::snprintf(error, PCAP_ERRBUF_SIZE, "%s", std::strerror(errno));
        return {nullptr, &pcap_close};
    }
    // libpcap reads the header here and no further, and closes the stream with the handle.
    pcap_t* handle = pcap_fopen_offline(file, error);
    if (handle == nullptr) std::fclose(file);
    return {handle, &pcap_close};
}

} // namespace

std::string link_type_name(u32 link_type) {
    char error[PCAP_ERRBUF_SIZE] = "";
    const Handle handle = open_empty(link_type, false, error);
    const char* name = handle ? pcap_datalink_val_to_name(pcap_datalink(handle.get())) : nullptr;
    return name != nullptr ? fmt::format("{} ({})", name, link_type) : fmt::format("{}", link_type);
}

Result<std::vector<ClassicInsn>> compile_filter(const std::string& expression, const CaptureFormat& format) {
    char error[PCAP_ERRBUF_SIZE] = "";
    const Handle handle = open_empty(format.link_type, format.swapped, error);
    if (!handle) return fail(EINVAL, "{}", error);
    bpf_program program{};
    // Netmask 0 is what tcpdump gives for files.
    if (pcap_compile(handle.get(), &program, expression.c_str(), 1, 0) != 0)
        return fail(EINVAL, "{}", pcap_geterr(handle.get()));
    static_assert(sizeof(ClassicInsn) == sizeof(bpf_insn));
    std::vector<ClassicInsn> insns(program.bf_len);
    std::memcpy(insns.data(), program.bf_insns, insns.size() * sizeof(ClassicInsn));
    pcap_freecode(&program);
    return insns;
}

} // namespace xdplane
