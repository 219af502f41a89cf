// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
#pragma once
#include <span>
#include <sys/mman.h>
#include <utility>

#include "bpf/base/types.h"

namespace xdplane {

/// Owns one mmap()ed range and unmaps it. Moved, not copied.
class Mapping {
public:
    Mapping() = default;
    Mapping(void* address, std::size_t size) : address_(address), size_(size) {}
    Mapping(Mapping&& other) noexcept
        : address_(std::exchange(other.address_, nullptr)), size_(std::exchange(other.size_, 0)) {}
    Mapping& operator=(Mapping&& other) noexcept {
        std::swap(address_, other.address_);
        std::swap(size_, other.size_);
        return *this;
    }
    ~Mapping() {
        if (address_ != nullptr) ::munmap(address_, size_);
    }

    [[nodiscard]] u8* data() const { return static_cast<u8*>(address_); }
    [[nodiscard]] std::size_t size() const { return size_; }
    [[nodiscard]] std::span<u8> bytes() const { return {data(), size_}; }
    explicit operator bool() const { return address_ != nullptr; }

private:
    void* address_ = nullptr;
    std::size_t size_ = 0;
};

} // namespace xdplane
