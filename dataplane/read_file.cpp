// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
#include "dataplane/read_file.h"

#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "bpf/base/unique_fd.h"

namespace xdplane {

Result<std::string> read_file(const std::string& path, std::size_t most, FileKind kind) {
    const bool regular = kind == FileKind::regular;
    const UniqueFd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC | (regular ? O_NONBLOCK : 0)));
    struct stat status{};
    if (!fd || ::fstat(fd.get(), &status) != 0) return fail(errno, "{}", std::strerror(errno));
    if (S_ISDIR(status.st_mode)) return fail(EISDIR, "{}", std::strerror(EISDIR));
    if (regular && !S_ISREG(status.st_mode)) return fail(EINVAL, "is no regular file");
    std::string text;
    for (std::size_t size = 0;;) {
        constexpr std::size_t kSome = std::size_t{1} << 20;
        text.resize(size + kSome);
        const ssize_t n = ::read(fd.get(), text.data() + size, kSome);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) return fail(errno, "{}", std::strerror(errno));
        size += static_cast<std::size_t>(n);
        if (size > most) return fail(EFBIG, "has more than {} MiB", most >> 20);
        if (n == 0) {
            text.resize(size);
            return text;
        }
    }
}

} // namespace xdplane
