// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
#pragma once
#include <memory>
#include <string>
#include <vector>

#include "bpf/maps/map.h"
#include "bpf/verifier/verifier.h"

/// Verifier cases as data: tests/verifier/*.data. A file holds cases, each a few "key: value" lines and a
/// program in the words of assemble():
///
///   case: name, unique in its file
///   type: xdp (default) or socket_filter
///   map: array|hash|percpu_array|percpu_hash|prog_array KEY_SIZE VALUE_SIZE ENTRIES [rdonly] [wronly]
///        [frozen] [data=HEX]           maps are fds 1, 2, ... in order
///   flags: strict
///   gpl: no (default: yes)
///   accept:            or
///   reject: TEXT       which the reason must contain
///   kernel: REASON     the running kernel's verdict is another, for this reason
///   kernel-slow: REASON the running kernel takes too long for a test
///   prog:
///   the rest, up to the next case
namespace xdplane::test {

struct CaseMap {
    std::string kind;
    u32 key_size = 0;
    u32 value_size = 0;
    u32 entries = 0;
    u32 flags = 0;
    bool frozen = false;
    std::vector<u8> data; ///< of index 0

    [[nodiscard]] u32 type() const; ///< enum bpf_map_type
};

struct VerifierCase {
    std::string file;
    std::string name;
    std::string type = "xdp";
    std::vector<CaseMap> maps;
    u32 flags = 0;
    bool gpl = true;
    bool accept = false;
    std::string message;
    std::string kernel; ///< why the kernel's verdict differs; empty: it does not
    std::string kernel_slow;
    std::string program;
};

/// All cases of the folder's *.data files; an error of the format fails.
[[nodiscard]] Result<std::vector<VerifierCase>> read_cases(const std::string& folder);

/// A map that the verifier can look at, and no more.
[[nodiscard]] std::shared_ptr<Map> make_fake_map(const CaseMap& spec);

/// The request for a case, its maps made by make_fake_map.
[[nodiscard]] Result<VerifyRequest> make_request(const VerifierCase& one);

} // namespace xdplane::test
