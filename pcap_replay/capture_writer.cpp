// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
#include "pcap_replay/capture_writer.h"

namespace xdplane {

Result<CaptureWriter> CaptureWriter::open(const std::string& path, const Format& format) {
    auto file = OutputFile::open(path);
    if (!file) return fail(file.error());
    // struct pcap_file_header of draft-ietf-opsawg-pcap section 4; the snapshot length is libpcap's limit.
    struct {
        u32 magic;
        u16 major = 2;
        u16 minor = 4;
        i32 zone = 0;
        u32 accuracy = 0;
        u32 snaplen = 262144;
        u32 link_type;
    } header{.magic = format.nanoseconds ? 0xa1b23c4d : 0xa1b2c3d4, .link_type = format.link_type};
    static_assert(sizeof header == 24);
    file->put(&header, sizeof header);
    return CaptureWriter(std::move(*file), format.nanoseconds);
}

} // namespace xdplane
