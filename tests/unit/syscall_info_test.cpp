// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
// What is told of objects, statistics, and ids.
#include <unistd.h>

#include "tests/unit/syscall_cases.h"

namespace xdplane::test {
namespace {

/// One run of the XDP program with statistics on, one without.
long runs_counted(Env& e) {
    const auto run = [&] {
        static u8 packet[64] = {};
        auto a = zero_attr();
        a.test.prog_fd = static_cast<u32>(e.xdp);
        a.test.data_in = reinterpret_cast<u64>(packet);
        a.test.data_size_in = sizeof packet;
        a.test.repeat = 7;
        return e.call(BPF_PROG_TEST_RUN, a);
    };
    auto on = zero_attr();
    const long fd = e.call(BPF_ENABLE_STATS, on);
    if (fd < 0) return fd;
    if (const long failed = run(); failed < 0) return failed;
    e.close(static_cast<int>(fd));
    if (const long failed = run(); failed < 0) return failed;
    bpf_prog_info info{};
    if (const long failed = get_info(e, e.xdp, &info, sizeof info); failed < 0) return failed;
    return info.run_time_ns == 0 && info.run_cnt != 0 ? -ERANGE : static_cast<long>(info.run_cnt);
}

const Case kCases[] = {
    // OBJ_GET_INFO_BY_FD: the size that comes back.
    {"InfoOfMap",
     [](Env& e) {
         bpf_map_info i{};
         return get_info(e, e.hash, &i, sizeof i);
     },
     sizeof(bpf_map_info)},
    {"InfoShort",
     [](Env& e) {
         bpf_map_info i{};
         return get_info(e, e.hash, &i, 8);
     },
     8},
    {"InfoTailNotZero",
     [](Env& e) {
         static u8 i[1024];
         std::memset(i, 0, sizeof i);
         i[1000] = 1;
         return get_info(e, e.hash, i, sizeof i);
     },
     -E2BIG},
    {"InfoOfProgram",
     [](Env& e) {
         bpf_prog_info i{};
         return get_info(e, e.xdp, &i, sizeof i) * 10 + i.type;
     },
     sizeof(bpf_prog_info) * 10 + BPF_PROG_TYPE_XDP},
    {"InfoOfBtf",
     [](Env& e) {
         bpf_btf_info i{};
         const long r = get_info(e, e.btf, &i, sizeof i);
         return r < 0 ? r : long{i.btf_size};
     },
     48},
    {"InfoFdBad",
     [](Env& e) {
         bpf_map_info i{};
         return get_info(e, 9999, &i, sizeof i);
     },
     -EBADFD},
    {"InfoFuncRecSize",
     [](Env& e) {
         bpf_prog_info i{};
         i.nr_func_info = 1;
         i.func_info_rec_size = 4;
         return get_info(e, e.xdp, &i, sizeof i);
     },
     -EINVAL},
    {"InfoLoadedBy",
     [](Env& e) {
         bpf_prog_info i{};
         static_cast<void>(get_info(e, e.xdp, &i, sizeof i));
         return long{i.created_by_uid == getuid()} + 10 * long{i.gpl_compatible} +
                100 * long{i.load_time > 0};
     },
     111},
    // Statistics.
    {"StatsOfNoKind",
     [](Env& e) {
         auto a = zero_attr();
         a.enable_stats.type = 1;
         return e.call(BPF_ENABLE_STATS, a);
     },
     -EINVAL},
    {"StatsMore",
     [](Env& e) {
         auto a = zero_attr();
         a.map_type = 0;
         a.key_size = 1;
         return e.call(BPF_ENABLE_STATS, a);
     },
     -EINVAL},
    {"StatsAreNoInfo",
     [](Env& e) {
         auto a = zero_attr();
         const long fd = e.call(BPF_ENABLE_STATS, a);
         if (e.fd(fd) < 0) return fd;
         bpf_map_info i{};
         return get_info(e, static_cast<int>(fd), &i, sizeof i);
     },
     -EINVAL},
    {"StatsCountWhileTheyAreOn", runs_counted, 7},
    // Ids.
    {"NextIdBeyond",
     [](Env& e) {
         auto a = zero_attr();
         a.start_id = 0x7fffffff;
         return e.call(BPF_MAP_GET_NEXT_ID, a);
     },
     -EINVAL},
    {"NextLinkBeyond",
     [](Env& e) {
         auto a = zero_attr();
         a.start_id = 0x7fffffff;
         return e.call(BPF_LINK_GET_NEXT_ID, a);
     },
     -EINVAL},
    {"LinkByIdUnknown",
     [](Env& e) {
         auto a = zero_attr();
         a.link_id = 0x7ffffff0;
         return e.call(BPF_LINK_GET_FD_BY_ID, a);
     },
     -ENOENT},
    {"FdByIdUnknown",
     [](Env& e) {
         auto a = zero_attr();
         a.map_id = 0x7ffffff0;
         return e.call(BPF_MAP_GET_FD_BY_ID, a);
     },
     -ENOENT},
    {"FdByIdFlags",
     [](Env& e) {
         auto a = zero_attr();
         a.map_id = 1;
         a.open_flags = 1;
         return e.call(BPF_MAP_GET_FD_BY_ID, a);
     },
     -EINVAL},
    {"FdByIdProgFlags",
     [](Env& e) {
         auto a = zero_attr();
         a.prog_id = 1;
         a.open_flags = 8;
         return e.call(BPF_PROG_GET_FD_BY_ID, a);
     },
     -EINVAL},
    {"FdByIdReadOnly",
     [](Env& e) {
         bpf_map_info i{};
         static_cast<void>(get_info(e, e.array, &i, sizeof i));
         auto a = zero_attr();
         a.map_id = i.id;
         a.open_flags = BPF_F_RDONLY;
         const long fd = e.call(BPF_MAP_GET_FD_BY_ID, a);
         if (e.fd(fd) < 0) return fd;
         return update(e, static_cast<int>(fd), 0);
     },
     -EPERM},
};

INSTANTIATE_TEST_SUITE_P(Objects, SyscallCases, testing::ValuesIn(kCases), name_of_case);

} // namespace
} // namespace xdplane::test
