// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
#pragma once
#include <random>
#include <string>
#include <vector>

#include "bpf/base/types.h"

namespace xdplane::test {

/// Maps that the programs name as fds 1, 2, ...: specifications in this order.
struct PlausibleMap {
    u32 type; ///< enum bpf_map_type
    u32 key_size;
    u32 value_size;
    u32 max_entries;
    u32 flags;
};
[[nodiscard]] const std::vector<PlausibleMap>& plausible_maps();

/// Random programs of the kind that people write, for each of the packet program types: pieces that go wrong
/// now and then in the ways that people go wrong. The same seed gives the same program everywhere.
class PlausibleProgram {
public:
    explicit PlausibleProgram(u64 seed) : random_(seed * 0x9e3779b97f4a7c15ULL + 7) { make(); }

    [[nodiscard]] u32 type() const { return type_; }                ///< enum bpf_prog_type
    [[nodiscard]] const std::string& text() const { return text_; } ///< for assemble()

private:
    using Piece = void (PlausibleProgram::*)();

    [[nodiscard]] u32 pick(u32 low, u32 high) { return low + static_cast<u32>(random_() % (high - low + 1)); }
    [[nodiscard]] bool one_in(u32 n) { return pick(1, n) == 1; }
    [[nodiscard]] bool mistake() { return one_in(25); }
    template<class... T>
    std::string any(T... choices) {
        const std::string all[] = {choices...};
        return all[pick(0, sizeof...(choices) - 1)];
    }
    [[nodiscard]] u32 about(u32 n); ///< n, or a neighbour by mistake
    void line(std::string text) { text_ += text + "\n"; }
    [[nodiscard]] std::string label() { return "l" + std::to_string(++labels_); }

    void make();
    void begin();
    void load_packet();
    void functions();
    /// The register becomes a number from 0 to most, a power of two minus one, or control goes to `skip`.
    void bounded(const std::string& reg, u32 most, const std::string& skip);
    /// Goes to `skip` unless pointer <= end.
    void check_end(const std::string& pointer, const std::string& skip);

    void packet();
    void packet_variable();
    void lookup();
    void counted_loop();
    void loop_by_register();
    void may_goto_loop();
    void callback_loop();
    void spill();
    void partial_spill();
    void function_call();
    void tail_call();
    void move_packet();
    void atomic();
    void stack_variable();
    void record();
    void socket();
    void narrow();
    void signs();
    void branch();
    void update();

    std::mt19937_64 random_;
    std::string text_;
    u32 type_ = 0;
    bool direct_ = true; ///< reads the packet at r7 up to r8
    u32 labels_ = 0;
    bool uses_function_ = false;
    bool uses_pointer_function_ = false;
    bool uses_callback_ = false;
};

} // namespace xdplane::test
