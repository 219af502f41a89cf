// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
#pragma once
#include <atomic>
#include <deque>
#include <vector>

#include "bpf/remote/call_table.h"

/// Preload library: a request, put together along the walk.
namespace xdplane::remote {

/// Connections that this process made: another daemon may know nothing of what the one before did.
inline std::atomic<u64> g_connections{0};

class Gatherer final : public CallWalker {
public:
    void fd(u8* field) override { slots_.push_back(slot_of(field)); }
    Shape shape(i32 fd) override;
    u8* memory(const Pointer& pointer, u8* field, u64 size) override;
    void set_size(u8*, u32) override {}
    int error() const override { return error_; }

    u8* add(u64 address, std::vector<u8> bytes);
    [[nodiscard]] const std::vector<i32>& slots() const { return slots_; }
    [[nodiscard]] const std::vector<int>& fds() const { return fds_; }

    std::vector<u64> addresses;         ///< where the pieces are
    std::deque<std::vector<u8>> pieces; ///< the attributes are the first
    bool faulted = false;               ///< a pointer was made null that was not

private:
    u8* fail(int code);
    bool keep_text(std::vector<u8>& bytes, std::size_t there, const Pointer& pointer);
    i32 slot_of(const u8* field);

    std::vector<i32> slots_;
    std::vector<int> fds_;
    u64 size_ = 0;
    int error_ = 0;
};

} // namespace xdplane::remote
