// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
#include "perf/bench/temporary_capture.h"

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <sys/stat.h>
#include <unistd.h>

namespace xdplane::bench {
namespace {

struct FileHeader {
    u32 magic = 0xa1b2c3d4;
    u16 major = 2;
    u16 minor = 4;
    u32 zone = 0;
    u32 accuracy = 0;
    u32 snaplen = 65535;
    u32 link_type = 1;
};
struct PacketHeader {
    u32 seconds;
    u32 microseconds;
    u32 captured;
    u32 length;
};

/// Where captures lie: a file system of a disk, whose pages the kernel keeps.
std::string directory() {
    std::error_code ignored;
    return std::filesystem::temp_directory_path(ignored);
}

/// One round of all packets as they are in a file.
std::string records_of(const PacketSet& packets) {
    std::string records;
    for (std::size_t i = 0; i < packets.size(); ++i) {
        const auto bytes = packets.packet(i);
        const auto length = static_cast<u32>(bytes.size());
        const PacketHeader header{1, static_cast<u32>(i % 1'000'000), length, length};
        records.append(reinterpret_cast<const char*>(&header), sizeof header);
        records.append(reinterpret_cast<const char*>(bytes.data()), bytes.size());
    }
    return records;
}

} // namespace

Result<TemporaryCapture> TemporaryCapture::make(const PacketSet& packets, u64 bytes) {
    TemporaryCapture capture;
    std::string path = directory() + "/xdplane-bench-XXXXXX";
    const int fd = ::mkstemp(path.data());
    if (fd < 0) return fail(errno, "{}: {}", path, std::strerror(errno));
    capture.path_ = path;
    ::fchmod(fd, 0644);
    std::FILE* file = ::fdopen(fd, "wb");
    const std::string records = records_of(packets);
    const FileHeader header;
    bool written = std::fwrite(&header, sizeof header, 1, file) == 1;
    for (u64 done = 0; written && done < bytes && !records.empty(); done += records.size()) {
        written = std::fwrite(records.data(), records.size(), 1, file) == 1;
        capture.packets_ += packets.size();
    }
    // Nothing is left to be written while it is measured.
    written = std::fflush(file) == 0 && ::fsync(fd) == 0 && written;
    written = std::fclose(file) == 0 && written;
    if (!written) return fail(errno, "{}: {}", path, std::strerror(errno));
    return capture;
}

TemporaryCapture::~TemporaryCapture() {
    if (!path_.empty()) ::unlink(path_.c_str());
}

} // namespace xdplane::bench
