// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
#pragma once
#include <string>
#include <string_view>
#include <vector>

#include "bpf/base/result.h"
#include "bpf/base/types.h"
#include "bpf/base/unique_fd.h"

namespace xdplane {

/// Whether this is standard output: "-", or a name of the system's for it. What is printed besides has to go
/// elsewhere then.
[[nodiscard]] bool is_standard_output(const std::string& path);

/// An output that is whole or not there: it is written beside its final name (NAME.XXXXXX.part), and
/// finish() moves it there once every byte is safe in the file. Without finish() nothing is left. Standard
/// output, devices and pipes are written directly, because they cannot be renamed. One thread.
class OutputFile {
public:
    static Result<OutputFile> open(const std::string& path);
    OutputFile(OutputFile&& other) noexcept;
    OutputFile& operator=(OutputFile&&) = delete;
    ~OutputFile();

    /// Buffered. After a failure further bytes are dropped: failed() says so, finish() says why.
    void put(const void* bytes, std::size_t size) {
        if (size <= buffer_.size() - used_) [[likely]] {
            __builtin_memcpy(buffer_.data() + used_, bytes, size);
            used_ += size;
        } else {
            put_slow(bytes, size);
        }
    }
    void put(std::string_view text) { put(text.data(), text.size()); }
    [[nodiscard]] bool failed() const { return error_ != 0; }
    /// Hands everything so far to the system. The error is without the path.
    Result<> flush();
    /// Flushes, closes and gives the file its name. The error is without the path. Call once.
    Result<> finish();
    [[nodiscard]] const std::string& path() const { return path_; }

private:
    OutputFile() : buffer_(kBuffer) {}
    void put_slow(const void* bytes, std::size_t size);
    void write_all(const u8* bytes, std::size_t size);

    static constexpr std::size_t kBuffer = 256 * 1024;
    UniqueFd fd_;
    std::string path_; ///< as given
    std::string final_path_;
    std::string part_path_; ///< empty: written directly
    std::vector<u8> buffer_;
    std::size_t used_ = 0;
    int error_ = 0;
};

} // namespace xdplane
