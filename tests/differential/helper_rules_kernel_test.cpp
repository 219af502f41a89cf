// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
//
// Who may call which helper: everything that a program type may call here, it may call in the kernel, under
// the same licence; what it may not call here has a reason. And what a row says of a helper's arguments and
// of the packet is what the kernel's verifier says.
#include <algorithm>
#include <cstring>
#include <fmt/format.h>
#include <gtest/gtest.h>
#include <linux/bpf.h>
#include <string>
#include <vector>

#include "bpf/helpers/helper.h"
#include "bpf/isa/insn.h"
#include "bpf/prog/program_type.h"
#include "tests/support/kernel_bpf.h"

namespace xdplane {
namespace {

constexpr u32 kTypes[] = {BPF_PROG_TYPE_SOCKET_FILTER, BPF_PROG_TYPE_SCHED_CLS, BPF_PROG_TYPE_SCHED_ACT,
                          BPF_PROG_TYPE_XDP, BPF_PROG_TYPE_CGROUP_SKB};
constexpr u32 kHighest = 220; ///< beyond the last helper of Linux 6.18

/// Helpers that Linux gives to packet programs and that are not here.
struct Missing {
    u32 helper;
    const char* why;
};
constexpr u32 kCgrpStorageGet = 210;
constexpr u32 kCgrpStorageDelete = 211;
constexpr const char* kLater = "not yet";
constexpr const char* kTask = "takes or returns a task, of which there are none";
constexpr const char* kKernelType = "returns a structure of the kernel, described by its BTF";
constexpr const char* kPerCpu = "takes a per-CPU variable of the kernel";
constexpr const char* kStorage = "there are no tasks and cgroups to store at";
constexpr const char* kSleeps = "sleeps: no packet program of Linux can call it either";
constexpr Missing kMissing[] = {
    {BPF_FUNC_perf_event_output, kLater},
    {BPF_FUNC_redirect_map, kLater},
    {BPF_FUNC_map_push_elem, kLater},
    {BPF_FUNC_map_pop_elem, kLater},
    {BPF_FUNC_map_peek_elem, kLater},
    {BPF_FUNC_spin_lock, kLater},
    {BPF_FUNC_spin_unlock, kLater},
    {BPF_FUNC_ringbuf_output, kLater},
    {BPF_FUNC_ringbuf_reserve, kLater},
    {BPF_FUNC_ringbuf_submit, kLater},
    {BPF_FUNC_ringbuf_discard, kLater},
    {BPF_FUNC_ringbuf_query, kLater},
    {BPF_FUNC_for_each_map_elem, kLater},
    {BPF_FUNC_timer_init, kLater},
    {BPF_FUNC_timer_set_callback, kLater},
    {BPF_FUNC_timer_start, kLater},
    {BPF_FUNC_timer_cancel, kLater},
    {BPF_FUNC_loop, kLater},
    {BPF_FUNC_kptr_xchg, kLater},
    {BPF_FUNC_dynptr_from_mem, kLater},
    {BPF_FUNC_ringbuf_reserve_dynptr, kLater},
    {BPF_FUNC_ringbuf_submit_dynptr, kLater},
    {BPF_FUNC_ringbuf_discard_dynptr, kLater},
    {BPF_FUNC_dynptr_read, kLater},
    {BPF_FUNC_dynptr_write, kLater},
    {BPF_FUNC_dynptr_data, kLater},
    {BPF_FUNC_user_ringbuf_drain, kLater},
    {BPF_FUNC_skc_to_tcp6_sock, kKernelType},
    {BPF_FUNC_skc_to_tcp_sock, kKernelType},
    {BPF_FUNC_skc_to_tcp_timewait_sock, kKernelType},
    {BPF_FUNC_skc_to_tcp_request_sock, kKernelType},
    {BPF_FUNC_skc_to_udp6_sock, kKernelType},
    {BPF_FUNC_skc_to_unix_sock, kKernelType},
    {BPF_FUNC_skc_to_mptcp_sock, kKernelType},
    {BPF_FUNC_get_task_stack, kTask},
    {BPF_FUNC_get_current_task_btf, kTask},
    {BPF_FUNC_task_pt_regs, kTask},
    {BPF_FUNC_find_vma, kTask},
    {BPF_FUNC_copy_from_user, kSleeps},
    {BPF_FUNC_copy_from_user_task, kSleeps},
    {BPF_FUNC_per_cpu_ptr, kPerCpu},
    {BPF_FUNC_this_cpu_ptr, kPerCpu},
    {BPF_FUNC_task_storage_get, kStorage},
    {BPF_FUNC_task_storage_delete, kStorage},
    {kCgrpStorageGet, kStorage},
    {kCgrpStorageDelete, kStorage},
};

struct Loaded {
    bool ok;
    std::string log;
    [[nodiscard]] bool says(const char* words) const { return log.find(words) != std::string::npos; }
};

Loaded load(u32 type, std::span<const Insn> insns, const char* license) {
    std::vector<char> log(65536);
    bpf_attr attr;
    std::memset(static_cast<void*>(&attr), 0, sizeof attr);
    attr.prog_type = type;
    attr.insns = reinterpret_cast<u64>(insns.data());
    attr.insn_cnt = static_cast<u32>(insns.size());
    attr.license = reinterpret_cast<u64>(license);
    attr.log_level = 1;
    attr.log_size = static_cast<u32>(log.size());
    attr.log_buf = reinterpret_cast<u64>(log.data());
    const long fd = test::kernel_bpf(BPF_PROG_LOAD, &attr, sizeof(attr));
    if (fd >= 0) test::kernel_close(static_cast<int>(fd));
    // What matters is at the end.
    std::string text = log.data();
    if (text.size() > 400) text.erase(0, text.size() - 400);
    return {fd >= 0, std::move(text)};
}

enum class Answer { yes, not_this_type, gpl_only };

/// The kernel looks at type and licence before it looks at arguments, of which there are none here.
Answer ask(u32 type, u32 helper, const char* license) {
    const Insn insns[] = {{0x85, 0, 0, 0, static_cast<i32>(helper)}, {0x95, 0, 0, 0, 0}};
    const Loaded loaded = load(type, insns, license);
    if (loaded.ok) return Answer::yes;
    if (loaded.says("GPL")) return Answer::gpl_only;
    const bool refused =
        loaded.says("cannot use helper") || loaded.says("unknown func") || loaded.says("invalid func");
    return refused ? Answer::not_this_type : Answer::yes;
}

TEST(HelperRulesKernel, TypesAndLicences) {
    if (!test::kernel_bpf_allowed()) GTEST_SKIP() << "the kernel refuses bpf()";
    for (const u32 type : kTypes) {
        const ProgramType& row = *find_program_type(type);
        for (u32 id = 1; id <= kHighest; ++id) {
            const HelperProto* helper = find_helper(id);
            SCOPED_TRACE(fmt::format("{} {} in {}", id, helper ? helper->name : "?", row.name));
            const bool here = helper != nullptr && (helper->use & row.use_bit) != 0;
            const Answer kernel = ask(type, id, "GPL");
            const auto* missing = std::ranges::find(kMissing, id, &Missing::helper);
            const bool has_reason = missing != std::end(kMissing);
            if (here) {
                EXPECT_EQ(kernel, Answer::yes);
                EXPECT_TRUE(!has_reason || missing->why == kLater)
                    << "is there, in spite of " << missing->why;
                EXPECT_EQ(ask(type, id, "Proprietary"), helper->gpl_only ? Answer::gpl_only : Answer::yes);
            } else if (kernel == Answer::yes) {
                EXPECT_TRUE(has_reason) << "Linux has it";
            }
        }
    }
}

/// A call with arguments that fit. r6 context, r7 packet of 64 bytes, 256 bytes of zeros at r10 - 256.
class CallBuilder {
public:
    /// `in_packet`: the argument that points into the packet; 5: none.
    CallBuilder(const HelperProto& helper, u32 in_packet) : helper_(helper), in_packet_(in_packet) {}

    /// False if an argument is a map, a socket or the like.
    bool build(bool touch_packet_afterwards) {
        start();
        for (u32 i = 0; i < helper_.args.size() && helper_.args[i] != Arg::none; ++i)
            if (!argument(i)) return false;
        add(0x85, 0, 0, 0, static_cast<i32>(helper_.id));
        if (touch_packet_afterwards) add(0x71, R0, R7, 0, 0);
        exit();
        return true;
    }
    [[nodiscard]] const std::vector<Insn>& insns() const { return insns_; }

private:
    void add(u8 opcode, u8 dst, u8 src, i16 off, i32 imm) { insns_.push_back({opcode, dst, src, off, imm}); }
    void exit() {
        add(0xb7, R0, 0, 0, 0);
        add(0x95, 0, 0, 0, 0);
    }
    void start() {
        const bool xdp = (helper_.use & kUseXdp) != 0;
        add(0xbf, R6, R1, 0, 0);
        add(0x61, R7, R1, xdp ? 0 : offsetof(__sk_buff, data), 0);
        add(0x61, R8, R1, xdp ? 4 : offsetof(__sk_buff, data_end), 0);
        add(0xbf, R0, R7, 0, 0);
        add(0x07, R0, 0, 0, 64);
        add(0xbd, R0, R8, 2, 0); // if r0 <= r8 goto
        exit();
        for (i16 off = -256; off < 0; off = static_cast<i16>(off + 8)) add(0x7a, R10, 0, off, 0);
    }
    bool argument(u32 index) {
        const u8 reg = static_cast<u8>(R1 + index);
        switch (helper_.args[index]) {
        case Arg::ctx:
        case Arg::ctx_or_null: add(0xbf, reg, R6, 0, 0); return true;
        case Arg::anything: add(0xb7, reg, 0, 0, 0); return true;
        case Arg::size:
        case Arg::size_or_zero: add(0xb7, reg, 0, 0, 64); return true;
        case Arg::mem:
        case Arg::mem_or_null:
        case Arg::uninit_mem:
        case Arg::inout_mem:
        case Arg::inout_mem_or_null:
        case Arg::fixed_mem:
        case Arg::uninit_fixed_mem:
        case Arg::inout_fixed_mem:
            add(0xbf, reg, index == in_packet_ ? R7 : R10, 0, 0);
            if (index != in_packet_) add(0x07, reg, 0, 0, -64 * (1 + static_cast<i32>(index) % 4));
            return true;
        default: return false;
        }
    }

    const HelperProto& helper_;
    u32 in_packet_;
    std::vector<Insn> insns_;
};

/// A type that may call it and that has packets.
u32 type_for(const HelperProto& helper) {
    if ((helper.use & kUseXdp) != 0) return BPF_PROG_TYPE_XDP;
    if ((helper.use & kUseTc) != 0) return BPF_PROG_TYPE_SCHED_CLS;
    return BPF_PROG_TYPE_CGROUP_SKB;
}

bool is_memory(Arg arg) { return (arg >= Arg::mem && arg <= Arg::inout_fixed_mem); }

TEST(HelperRulesKernel, ArgumentsAndPackets) {
    if (!test::kernel_bpf_allowed()) GTEST_SKIP() << "the kernel refuses bpf()";
    u32 tried = 0;
    for (const HelperProto& helper : helper_table()) {
        SCOPED_TRACE(helper.name);
        CallBuilder plain(helper, 5);
        if (!plain.build(false)) continue;
        ++tried;
        // What is acquired is not released here: that much further the verifier comes.
        const auto accepted = [&](const Loaded& loaded) {
            return loaded.ok || (helper.acquires && loaded.says("Unreleased reference"));
        };
        const Loaded call = load(type_for(helper), plain.insns(), "GPL");
        EXPECT_TRUE(accepted(call)) << call.log;
        EXPECT_EQ(call.ok, !helper.acquires);
        CallBuilder touching(helper, 5);
        (void)touching.build(true);
        const Loaded touch = load(type_for(helper), touching.insns(), "GPL");
        EXPECT_EQ(accepted(touch), !helper.moves_packet) << touch.log;
        for (u32 i = 0; i < helper.args.size(); ++i) {
            if (!is_memory(helper.args[i])) continue;
            CallBuilder packet(helper, i);
            (void)packet.build(false);
            const Loaded loaded = load(type_for(helper), packet.insns(), "GPL");
            EXPECT_EQ(accepted(loaded), helper.packet_args) << "argument " << i + 1 << "\n" << loaded.log;
        }
    }
    EXPECT_GE(tried, 70U);
}

} // namespace
} // namespace xdplane
