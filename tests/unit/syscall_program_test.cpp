// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
// Loading programs, and running them.
#include "tests/unit/syscall_cases.h"

namespace xdplane::test {
namespace {

template<class Edit>
long load(Env& env, Edit edit) {
    auto attr = env.load_attr(BPF_PROG_TYPE_XDP);
    edit(attr);
    return env.fd(env.call(BPF_PROG_LOAD, attr));
}

char g_log[4096];
__sk_buff g_skb;

const Case kCases[] = {
    // PROG_LOAD.
    {"Load", [](Env& e) { return load(e, [](bpf_attr&) {}); }, 0},
    {"LoadNoInsns", [](Env& e) { return load(e, [](bpf_attr& a) { a.insn_cnt = 0; }); }, -E2BIG},
    {"LoadTooManyInsns", [](Env& e) { return load(e, [](bpf_attr& a) { a.insn_cnt = 1000001; }); }, -E2BIG},
    {"LoadInsnsNull", [](Env& e) { return load(e, [](bpf_attr& a) { a.insns = 0; }); }, -EFAULT},
    {"LoadLicenseNull", [](Env& e) { return load(e, [](bpf_attr& a) { a.license = 0; }); }, -EFAULT},
    {"LoadTypeUnknown", [](Env& e) { return load(e, [](bpf_attr& a) { a.prog_type = 999; }); }, -EINVAL},
    {"LoadFlagsUnknown", [](Env& e) { return load(e, [](bpf_attr& a) { a.prog_flags = 1U << 30; }); },
     -EINVAL},
    {"LoadNameBad", [](Env& e) { return load(e, [](bpf_attr& a) { std::strcpy(a.prog_name, "a b"); }); },
     -EINVAL},
    {"LoadNoExit",
     [](Env& e) {
         return load(e, [](bpf_attr& a) {
             a.insns = address(kNoExit);
             a.insn_cnt = 1;
         });
     },
     -EINVAL},
    {"LoadLogBufferWithoutLevel",
     [](Env& e) {
         return load(e, [](bpf_attr& a) {
             a.log_buf = address(g_log);
             a.log_size = sizeof g_log;
         });
     },
     -EINVAL},
    {"LoadLogSizeWithoutBuffer",
     [](Env& e) {
         return load(e, [](bpf_attr& a) {
             a.log_level = 1;
             a.log_size = sizeof g_log;
         });
     },
     -EINVAL},
    {"LoadLogLevelUnknown",
     [](Env& e) {
         return load(e, [](bpf_attr& a) {
             a.log_level = 16;
             a.log_buf = address(g_log);
             a.log_size = sizeof g_log;
         });
     },
     -EINVAL},
    {"LoadLog",
     [](Env& e) {
         return load(e, [](bpf_attr& a) {
             a.log_level = 1;
             a.log_buf = address(g_log);
             a.log_size = sizeof g_log;
         });
     },
     0},
    {"LoadLogTooSmall",
     [](Env& e) {
         return load(e, [](bpf_attr& a) {
             a.log_level = 1;
             a.log_buf = address(g_log);
             a.log_size = 8;
         });
     },
     -ENOSPC},
    {"LoadLogTooSmallAndRejected",
     [](Env& e) {
         return load(e, [](bpf_attr& a) {
             a.insns = address(kNoExit);
             a.insn_cnt = 1;
             a.log_level = 2;
             a.log_buf = address(g_log);
             a.log_size = 4;
         });
     },
     -ENOSPC},
    {"LoadBtfFdBad",
     [](Env& e) {
         static bpf_func_info f{0, 1};
         return load(e, [](bpf_attr& a) {
             a.prog_btf_fd = 9999;
             a.func_info = address(&f);
             a.func_info_cnt = 1;
             a.func_info_rec_size = 8;
         });
     },
     -EBADF},
    {"LoadFuncInfoOfInt",
     [](Env& e) {
         static bpf_func_info f{0, 1};
         return load(e, [&](bpf_attr& a) {
             a.prog_btf_fd = static_cast<u32>(e.btf);
             a.func_info = address(&f);
             a.func_info_cnt = 1;
             a.func_info_rec_size = 8;
         });
     },
     -EINVAL},
    {"LoadFuncInfoSizeBad",
     [](Env& e) {
         static bpf_func_info f{0, 1};
         return load(e, [&](bpf_attr& a) {
             a.prog_btf_fd = static_cast<u32>(e.btf);
             a.func_info = address(&f);
             a.func_info_cnt = 1;
             a.func_info_rec_size = 4;
         });
     },
     -EINVAL},
    {"LoadAttachProgFdBad", [](Env& e) { return load(e, [](bpf_attr& a) { a.attach_prog_fd = 9999; }); },
     -EINVAL},
    {"LoadFdIndexWithoutArray",
     [](Env& e) {
         static bpf_insn by_index[] = {insn(BPF_LD | BPF_IMM | BPF_DW, 2, 5, 0, 0), insn(0, 0, 0, 0, 0),
                                       mov(0, 2), leave()};
         return load(e, [](bpf_attr& a) {
             a.insns = address(by_index);
             a.insn_cnt = 4;
         });
     },
     -EPROTO},
    {"LoadFdIndexOutside",
     [](Env& e) {
         static bpf_insn by_index[] = {insn(BPF_LD | BPF_IMM | BPF_DW, 2, 5, 0, 1 << 28), insn(0, 0, 0, 0, 0),
                                       mov(0, 2), leave()};
         return load(e, [](bpf_attr& a) {
             static int fds[1] = {-1};
             a.insns = address(by_index);
             a.insn_cnt = 4;
             a.fd_array = address(fds);
         });
     },
     -EFAULT},
    // PROG_BIND_MAP.
    {"Bind",
     [](Env& e) {
         auto a = zero_attr();
         a.prog_bind_map.prog_fd = static_cast<u32>(e.xdp);
         a.prog_bind_map.map_fd = static_cast<u32>(e.hash);
         return e.call(BPF_PROG_BIND_MAP, a);
     },
     0},
    {"BindFlags",
     [](Env& e) {
         auto a = zero_attr();
         a.prog_bind_map.prog_fd = static_cast<u32>(e.xdp);
         a.prog_bind_map.map_fd = static_cast<u32>(e.hash);
         a.prog_bind_map.flags = 1;
         return e.call(BPF_PROG_BIND_MAP, a);
     },
     -EINVAL},
    {"BindSwapped",
     [](Env& e) {
         auto a = zero_attr();
         a.prog_bind_map.prog_fd = static_cast<u32>(e.hash);
         a.prog_bind_map.map_fd = static_cast<u32>(e.xdp);
         return e.call(BPF_PROG_BIND_MAP, a);
     },
     -EINVAL},
    // PROG_TEST_RUN: retval, size out, ctx size out.
    {"RunXdp", [](Env& e) { return test_run(e, e.xdp, [](bpf_attr&) {}); }, 2064000},
    {"RunSmallest", [](Env& e) { return test_run(e, e.xdp, [](bpf_attr& a) { a.test.data_size_in = 14; }); },
     2014000},
    {"RunTooShort", [](Env& e) { return test_run(e, e.xdp, [](bpf_attr& a) { a.test.data_size_in = 13; }); },
     -EINVAL},
    {"RunLargest",
     [](Env& e) { return test_run(e, e.xdp, [](bpf_attr& a) { a.test.data_size_in = 4096 - 256 - 320; }); },
     5520000},
    {"RunNoRoomOut",
     [](Env& e) { return test_run(e, e.xdp, [](bpf_attr& a) { a.test.data_size_out = 10; }); }, -ENOSPC},
    {"RunNoLimitOut",
     [](Env& e) { return test_run(e, e.xdp, [](bpf_attr& a) { a.test.data_size_out = 0; }); }, 2064000},
    {"RunDataOutNull",
     [](Env& e) {
         return test_run(e, e.xdp, [](bpf_attr& a) {
             a.test.data_out = 0;
             a.test.data_size_out = 0;
         });
     },
     2064000},
    {"RunRepeat", [](Env& e) { return test_run(e, e.xdp, [](bpf_attr& a) { a.test.repeat = 10; }); },
     2064000},
    {"RunFlagsUnknown", [](Env& e) { return test_run(e, e.xdp, [](bpf_attr& a) { a.test.flags = 64; }); },
     -EINVAL},
    {"RunBatchWithoutLive",
     [](Env& e) { return test_run(e, e.xdp, [](bpf_attr& a) { a.test.batch_size = 4; }); }, -EINVAL},
    {"RunFdBad", [](Env& e) { return test_run(e, 9999, [](bpf_attr&) {}); }, -EBADF},
    {"RunFdOfMap", [](Env& e) { return test_run(e, e.hash, [](bpf_attr&) {}); }, -EINVAL},
    {"RunCtxSizeWithoutCtx",
     [](Env& e) { return test_run(e, e.xdp, [](bpf_attr& a) { a.test.ctx_size_in = 8; }); }, -EINVAL},
    {"RunCtx",
     [](Env& e) {
         return test_run_md(e, [](bpf_attr& a) {
             a.test.ctx_out = address(&g_md);
             a.test.ctx_size_out = sizeof g_md;
         });
     },
     2064024},
    {"RunCtxOutTooSmall",
     [](Env& e) {
         return test_run_md(e, [](bpf_attr& a) {
             a.test.ctx_out = address(&g_md);
             a.test.ctx_size_out = 8;
         });
     },
     -ENOSPC},
    {"RunCtxMeta", [](Env& e) { return test_run_md(e, [](bpf_attr&) { g_md.data = 8; }); }, 2064000},
    {"RunCtxMetaOdd", [](Env& e) { return test_run_md(e, [](bpf_attr&) { g_md.data = 6; }); }, -EINVAL},
    {"RunCtxMetaSet", [](Env& e) { return test_run_md(e, [](bpf_attr&) { g_md.data_meta = 4; }); }, -EINVAL},
    {"RunCtxEgress", [](Env& e) { return test_run_md(e, [](bpf_attr&) { g_md.egress_ifindex = 1; }); },
     -EINVAL},
    {"RunCtxQueueWithoutDevice",
     [](Env& e) { return test_run_md(e, [](bpf_attr&) { g_md.rx_queue_index = 1; }); }, -EINVAL},
    {"RunSocketFilter", [](Env& e) { return test_run(e, e.socket_filter, [](bpf_attr&) {}); }, 2064000},
    {"RunSocketFilterTooShort",
     [](Env& e) { return test_run(e, e.socket_filter, [](bpf_attr& a) { a.test.data_size_in = 13; }); },
     -EINVAL},
    {"RunSocketFilterBatch",
     [](Env& e) { return test_run(e, e.socket_filter, [](bpf_attr& a) { a.test.batch_size = 1; }); },
     -EINVAL},
    {"RunSocketFilterCtxReadOnlyField",
     [](Env& e) {
         g_skb = {};
         g_skb.len = 5;
         return test_run(e, e.socket_filter, [](bpf_attr& a) {
             a.test.ctx_in = address(&g_skb);
             a.test.ctx_size_in = sizeof g_skb;
         });
     },
     -EINVAL},
    {"RunSocketFilterCtx",
     [](Env& e) {
         g_skb = {};
         g_skb.mark = 5;
         return test_run(e, e.socket_filter,
                         [](bpf_attr& a) {
                             a.test.ctx_in = address(&g_skb);
                             a.test.ctx_size_in = sizeof g_skb;
                             a.test.ctx_out = address(&g_skb);
                             a.test.ctx_size_out = sizeof g_skb;
                         }) *
                    100 +
                g_skb.mark + g_skb.ifindex;
     },
     206419206},
};

INSTANTIATE_TEST_SUITE_P(Programs, SyscallCases, testing::ValuesIn(kCases), name_of_case);

} // namespace
} // namespace xdplane::test
