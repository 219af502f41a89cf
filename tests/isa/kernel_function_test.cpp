// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
#include <cerrno>
#include <fmt/format.h>
#include <gtest/gtest.h>

#include "tests/support/call_case.h"

/// Kernel functions and dynptrs, on every engine and on the running kernel.
namespace xdplane {
namespace {

constexpr u32 error(int code) { return static_cast<u32>(-code); }

// Dynptrs at r10-16 and r10-32, a buffer of 8 bytes at r10-40.
const std::string kFirst = "r1 = r10\nr1 += -16\n";
const std::string kSecond = "r2 = r10\nr2 += -32\n";

std::string from_packet(const char* kind, u32 flags = 0) {
    return fmt::format("r6 = r1\nr2 = {}\nr3 = r10\nr3 += -16\nkfunc bpf_dynptr_from_{}\n", flags, kind);
}
const std::string kXdp = from_packet("xdp");
const std::string kNull = from_packet("xdp", 1);

/// The two lowest elements of map[fd:0] as a dynptr of `size` bytes.
std::string from_map(u32 size, u32 flags = 0) {
    return fmt::format(
        "*(u32 *)(r10 -44) = 0\nr1 = map[fd:0]\nr2 = r10\nr2 += -44\ncall #1\n"
        "if r0 != 0 goto pc+1\nexit\nr1 = r0\nr2 = {}\nr3 = {}\nr4 = r10\nr4 += -16\ncall #197\n",
        size, flags);
}
const std::string kValue = from_map(8);

std::string read(u32 length, i64 at, u32 flags = 0) {
    return fmt::format("*(u64 *)(r10 -40) = 0\nr1 = r10\nr1 += -40\nr2 = {}\nr3 = r10\nr3 += -16\nr4 = {}\n"
                       "r5 = {}\ncall #201\n",
                       length, at, flags);
}
std::string write(u32 length, i64 at, u32 flags = 0) {
    return "r2 = 0x0807060504030201 ll\n*(u64 *)(r10 -40) = r2\n" + kFirst +
           fmt::format("r2 = {}\nr3 = r10\nr3 += -40\nr4 = {}\nr5 = {}\ncall #202\n", at, length, flags);
}
/// "bpf_dynptr_slice" with a buffer or without; leads to "null" with 0, else leaves the address in r0.
std::string slice(const char* function, i64 at, u32 length, bool buffer = false) {
    return kFirst + fmt::format("r2 = {}\n{}r4 = {}\nkfunc {}\nif r0 == 0 goto null\n", at,
                                buffer ? "*(u64 *)(r10 -40) = 0\nr3 = r10\nr3 += -40\n" : "r3 = 0\n", length,
                                function);
}
std::string adjust(i64 start, i64 end) {
    return kFirst + fmt::format("r2 = {}\nr3 = {}\nkfunc bpf_dynptr_adjust\n", start, end);
}
const std::string kSize = kFirst + "kfunc bpf_dynptr_size\n";
const std::string kBuffer = "r0 = *(u64 *)(r10 -40)\n";
const std::string kExit = "exit\n";
const std::string kOrNull = "exit\nnull:\nr0 = 9999\nexit\n";

std::string iterate(i64 start, i64 end, const char* body) {
    return fmt::format(
        "r7 = 0\nr1 = r10\nr1 += -8\nr2 = {}\nr3 = {}\nkfunc bpf_iter_num_new\nr8 = r0\n"
        "again:\nr1 = r10\nr1 += -8\nkfunc bpf_iter_num_next\nif r0 == 0 goto done\n{}goto again\n"
        "done:\nr1 = r10\nr1 += -8\nkfunc bpf_iter_num_destroy\n",
        start, end, body);
}
const char* const kSum = "r1 = *(u32 *)(r0 +0)\nr7 += r1\n";

std::vector<CallCase> iterator_cases() {
    const std::string sum = "r0 = r7\nexit\n";
    const std::string code = "r0 = r8\nexit\n";
    return {
        {"IteratesNumbers", iterate(3, 7, kSum) + sum, 3 + 4 + 5 + 6},
        {"IteratesNegativeNumbers", iterate(-2, 1, "r7 += 1\n") + sum, 3},
        {"IteratesNone", iterate(5, 5, kSum) + sum, 0},
        {"IteratorOfNoneIsMade", iterate(5, 5, kSum) + code, 0},
        {"IteratorBackwards", iterate(5, 4, kSum) + code, error(EINVAL)},
        {"IteratorBackwardsHasNoNumbers", iterate(5, 4, kSum) + sum, 0},
        {"IteratorTooLong", iterate(0, 8388609, kSum) + code, error(E2BIG)},
        {"IteratorOverAllNumbers", iterate(INT32_MIN, INT32_MAX, kSum) + code, error(E2BIG)},
        {"IteratorTooLongHasNoNumbers", iterate(0, 8388609, kSum) + sum, 0},
        {"IteratorOfTheMost", iterate(0, 8388608, "if r8 == 0 goto done\n") + code, 0},
        {"IteratesFromTheLeast", "*(u64 *)(r10 -16) = 0\n" + iterate(INT32_MIN, INT32_MIN + 3, kSum) + sum,
         static_cast<u32>(0x80000000U * 3 + 3)},
        {"IteratesToTheMost", iterate(INT32_MAX - 2, INT32_MAX, kSum) + sum,
         static_cast<u32>(2 * u64{INT32_MAX} - 3)},
        {.name = "NumbersMayBeWritten",
         .text =
             iterate(0, 10, "r7 += 1\nr1 = *(u32 *)(r0 +0)\nif r1 != 2 goto pc+1\n*(u32 *)(r0 +0) = 8\n") +
             sum,
         .result = 4,
         .kernel_skip = "numbers are read-only"},
    };
}

std::vector<CallCase> packet_cases() {
    return {
        {"SizeOfThePacket", kXdp + kSize + kExit, 64},
        {"FlagsAreNone", kNull + kExit, error(EINVAL)},
        {"ReadFromThePacket", kXdp + read(4, 10) + kBuffer + kExit, 0x0d0c0b0a},
        {"ReadAllOfIt", kXdp + read(8, 56) + kBuffer + kExit, 0x3b3a3938},
        {"ReadNothing", kXdp + read(0, 64) + kExit, 0},
        {"ReadBeyond", kXdp + read(8, 57) + kExit, error(E2BIG)},
        {"ReadFarBeyond", kXdp + read(8, -1) + kExit, error(E2BIG)},
        {"ReadWithFlags", kXdp + read(4, 0, 1) + kExit, error(EINVAL)},
        {"OffsetsHave32Bits",
         kXdp +
             "*(u64 *)(r10 -40) = 0\nr1 = r10\nr1 += -40\nr2 = 1\nr3 = r10\nr3 += -16\n"
             "r4 = 0x700000002 ll\nr5 = 0\ncall #201\n" +
             kBuffer + kExit,
         2},
        {"WriteThePacket", kXdp + write(4, 20) + read(8, 18) + kBuffer + "r0 >>= 8\n" + kExit, 0x03020113},
        {"WriteSaysZero", kXdp + write(8, 56) + kExit, 0},
        {"WriteBeyond", kXdp + write(8, 57) + kExit, error(E2BIG)},
        {"WriteWithFlags", kXdp + write(4, 0, 1) + kExit, error(EINVAL)},
        {"PacketsHaveNoData",
         kXdp + kFirst + "r2 = 0\nr3 = 8\ncall #203\nif r0 == 0 goto null\nr0 = 1\n" + kOrNull, 9999},
        {"SliceOfThePacket", kXdp + slice("bpf_dynptr_slice", 12, 4) + "r0 = *(u32 *)(r0 +0)\n" + kOrNull,
         0x0f0e0d0c},
        {"SliceWithABuffer",
         kXdp + slice("bpf_dynptr_slice", 56, 8, true) + "r0 = *(u8 *)(r0 +7)\n" + kOrNull, 63},
        {"SliceBeyond", kXdp + slice("bpf_dynptr_slice", 57, 8, true) + "r0 = 1\n" + kOrNull, 9999},
        {"SliceIsWritten",
         kXdp + slice("bpf_dynptr_slice_rdwr", 12, 4) + "*(u32 *)(r0 +0) = 77\n" + read(4, 12) + kBuffer +
             kOrNull,
         77},
        {"AdjustFromBothEnds", kXdp + adjust(14, 34) + kSize + kExit, 20},
        {"AdjustMovesTheStart", kXdp + adjust(14, 34) + adjust(2, 20) + read(2, 1) + kBuffer + kExit, 0x1211},
        {"AdjustBoundsReads", kXdp + adjust(14, 16) + read(2, 1) + kExit, error(E2BIG)},
        {"AdjustBoundsSlices",
         kXdp + adjust(14, 34) + slice("bpf_dynptr_slice", 13, 8) + "r0 = 1\n" + kOrNull, 9999},
        {"AdjustToNothing", kXdp + adjust(64, 64) + kSize + kExit, 0},
        {"AdjustBackwards", kXdp + adjust(2, 1) + kExit, error(EINVAL)},
        {"AdjustBeyond", kXdp + adjust(0, 65) + kExit, error(ERANGE)},
        {"AdjustStartsBeyond", kXdp + adjust(65, 65) + kExit, error(ERANGE)},
        {"PacketIsNotNull", kXdp + kFirst + "kfunc bpf_dynptr_is_null\nr0 &= 255\n" + kExit, 0},
        {"PacketIsWritable", kXdp + kFirst + "kfunc bpf_dynptr_is_rdonly\nr0 &= 255\n" + kExit, 0},
        {"CloneIsTheSame",
         kXdp + adjust(4, 40) + kFirst + kSecond +
             "kfunc bpf_dynptr_clone\nr1 = r10\nr1 += -32\n"
             "kfunc bpf_dynptr_size\n" +
             kExit,
         36},
        {"CloneIsAdjustedAlone",
         kXdp + kFirst + kSecond +
             "kfunc bpf_dynptr_clone\nr1 = r10\nr1 += -32\nr2 = 1\n"
             "r3 = 2\nkfunc bpf_dynptr_adjust\n" +
             kSize + kExit,
         64},
        {"ShrunkenPacket", kXdp + "r1 = r6\nr2 = -20\ncall #65\n" + read(4, 50) + kExit, error(EINVAL)},
        {"ShrunkenPacketKeepsItsSize", kXdp + "r1 = r6\nr2 = -20\ncall #65\n" + kSize + kExit, 64},
        {"MovedPacket", kXdp + "r1 = r6\nr2 = 10\ncall #44\n" + read(4, 0) + kBuffer + kExit, 0x0d0c0b0a},
    };
}

std::vector<CallCase> null_cases() {
    return {
        {"NullIsNull", kNull + kFirst + "kfunc bpf_dynptr_is_null\nr0 &= 255\n" + kExit, 1},
        {"NullIsNotReadOnly", kNull + kFirst + "kfunc bpf_dynptr_is_rdonly\nr0 &= 255\n" + kExit, 0},
        {"NullHasNoSize", kNull + kSize + kExit, error(EINVAL)},
        {"NullIsNotRead", kNull + read(0, 0) + kExit, error(EINVAL)},
        {"NullIsNotWritten", kNull + write(0, 0) + kExit, error(EINVAL)},
        {"NullIsNotAdjusted", kNull + adjust(0, 0) + kExit, error(EINVAL)},
        {"NullHasNoSlice", kNull + slice("bpf_dynptr_slice", 0, 1) + "r0 = 1\n" + kOrNull, 9999},
        {"NullIsNotCloned", kNull + kFirst + kSecond + "kfunc bpf_dynptr_clone\n" + kExit, error(EINVAL)},
        {"CloneOfNullIsNull",
         kNull + kFirst + kSecond +
             "kfunc bpf_dynptr_clone\nr1 = r10\nr1 += -32\n"
             "kfunc bpf_dynptr_is_null\nr0 &= 255\n" +
             kExit,
         1},
        {"NullIsNotSet", kNull + kFirst + "r2 = 0\nr3 = 1\nr4 = 7\nkfunc bpf_dynptr_memset\n" + kExit,
         error(E2BIG)},
        {"NullIsNotSetToNothing",
         kNull + kFirst + "r2 = 0\nr3 = 0\nr4 = 7\nkfunc bpf_dynptr_memset\n" + kExit, 0},
        {"NullIsNotCopied",
         kNull + kFirst + "r2 = 0\nr3 = r1\nr4 = 0\nr5 = 1\nkfunc bpf_dynptr_copy\n" + kExit, error(E2BIG)},
    };
}

std::vector<CallCase> memory_cases() {
    const std::string xdp_second = "r1 = r6\nr2 = 0\nr3 = r10\nr3 += -32\nkfunc bpf_dynptr_from_xdp\n";
    return {
        {"SizeOfMemory", kValue + kSize + kExit, 8},
        {"MemoryIsRead", kValue + read(8, 0) + kBuffer + kExit, 10},
        {"MemoryIsWritten", kValue + write(2, 3) + read(8, 0) + kBuffer + kExit, 0x0100000a},
        {"MemoryTakesNoFlags", kValue + write(2, 3, 1) + kExit, error(EINVAL)},
        {"DataOfMemory",
         kValue + kFirst + "r2 = 0\nr3 = 8\ncall #203\nif r0 == 0 goto null\nr0 = *(u64 *)(r0 +0)\n" +
             kOrNull,
         10},
        {"DataBeyond",
         kValue + kFirst + "r2 = 1\nr3 = 8\ncall #203\nif r0 == 0 goto null\nr0 = 1\n" + kOrNull, 9999},
        {"SliceOfMemory", kValue + slice("bpf_dynptr_slice", 0, 8) + "r0 = *(u64 *)(r0 +0)\n" + kOrNull, 10},
        {"MemoryWithFlags", from_map(8, 1) + kExit, error(EINVAL)},
        {"MemoryWithFlagsIsNull", from_map(8, 1) + kFirst + "kfunc bpf_dynptr_is_null\nr0 &= 255\n" + kExit,
         1},
        {"MemoryIsSet",
         kValue + kFirst + "r2 = 1\nr3 = 2\nr4 = 0x1ab\nkfunc bpf_dynptr_memset\n" + read(8, 0) + kBuffer +
             kExit,
         0x00abab0a},
        {"SetBeyond", kValue + kFirst + "r2 = 1\nr3 = 8\nr4 = 1\nkfunc bpf_dynptr_memset\n" + kExit,
         error(E2BIG)},
        {"CopiedFromThePacket",
         "r6 = r1\n" + kValue + xdp_second + kFirst +
             "r2 = 1\nr3 = r10\nr3 += -32\nr4 = 16\nr5 = 3\nkfunc bpf_dynptr_copy\n" + read(8, 0) + kBuffer +
             kExit,
         0x1211100a},
        {"CopiedFromBeyond",
         "r6 = r1\n" + kValue + xdp_second + kFirst +
             "r2 = 0\nr3 = r10\nr3 += -32\nr4 = 62\nr5 = 3\nkfunc bpf_dynptr_copy\n" + kExit,
         error(E2BIG)},
        {"CopiedToBeyond",
         "r6 = r1\n" + kValue + xdp_second + kFirst +
             "r2 = 6\nr3 = r10\nr3 += -32\nr4 = 0\nr5 = 3\nkfunc bpf_dynptr_copy\n" + kExit,
         error(E2BIG)},
    };
}

/// Records of a ring buffer, released with their number of bytes that wait in it as the result.
std::vector<CallCase> ring_cases() {
    const auto reserve = [](const char* size, u32 flags = 0) {
        return fmt::format("r1 = map[fd:2]\nr2 = {}\nr3 = {}\nr4 = r10\nr4 += -16\ncall #198\nr7 = r0\n",
                           size, flags);
    };
    const std::string submit = kFirst + "r2 = 0\ncall #199\n";
    const std::string discard = kFirst + "r2 = 0\ncall #200\n";
    const std::string available = "r1 = map[fd:2]\nr2 = 0\ncall #134\nexit\n";
    const std::string code = "r0 = r7\nexit\n";
    return {
        {"RecordIsReserved", reserve("20") + submit + code, 0},
        {"RecordIsSubmitted", reserve("20") + submit + available, 32},
        {"RecordIsDiscarded", reserve("20") + discard + available, 32},
        {"SizeOfARecord", reserve("20") + kSize + "r8 = r0\n" + submit + "r0 = r8\nexit\n", 20},
        {"RecordIsWritten", reserve("20") + write(8, 12) + read(8, 12) + submit + kBuffer + kExit,
         0x04030201},
        {"RecordHasData",
         reserve("20") + kFirst +
             "r2 = 4\nr3 = 4\ncall #203\nif r0 == 0 goto null\n*(u32 *)(r0 +0) = 5\nr8 = 1\n" + submit +
             "r0 = r8\nexit\nnull:\n" + submit + "r0 = 9\nexit\n",
         1},
        {"RecordHasSlices",
         reserve("20") + slice("bpf_dynptr_slice_rdwr", 16, 4) + "r8 = 1\n" + submit +
             "r0 = r8\nexit\nnull:\n" + submit + "r0 = 9\nexit\n",
         1},
        {"RecordOfNothing", reserve("0") + submit + available, 8},
        {"RecordTooLarge", reserve("4096") + submit + code, error(EINVAL)},
        {"RecordMuchTooLarge", reserve("0x1000000") + submit + code, error(E2BIG)},
        {"RecordWithFlags", reserve("8", 1) + submit + code, error(EINVAL)},
        {"NoRecordIsNull",
         reserve("4096") + kFirst + "kfunc bpf_dynptr_is_null\nr0 &= 255\nr8 = r0\n" + submit +
             "r0 = r8\nexit\n",
         1},
        {"NoRecordIsReleased", reserve("4096") + discard + available, 0},
        {"SizesOfRecordsHave32Bits", "r5 = 0x700000008 ll\n" + reserve("r5") + submit + available, 16},
    };
}

/// Classifiers, which may write packets, and filters, which may not.
std::vector<CallCase> skb_cases() {
    const std::string skb = from_packet("skb");
    std::vector<CallCase> cases = {
        {"SizeOfTheSkb", skb + kSize + kExit, 64},
        {"SkbIsRead", skb + read(4, 60) + kBuffer + kExit, 0x3f3e3d3c},
        {"SkbIsWritten", skb + write(4, 20) + read(4, 20) + kBuffer + kExit, 0x04030201},
        {"SkbTakesFlags", skb + write(4, 20, BPF_F_RECOMPUTE_CSUM | BPF_F_INVALIDATE_HASH) + kExit, 0},
        {"SkbTakesNoOtherFlags", skb + write(4, 20, 4) + kExit, error(EINVAL)},
        {"SliceOfTheSkb", skb + slice("bpf_dynptr_slice", 12, 4) + "r0 = *(u32 *)(r0 +0)\n" + kOrNull,
         0x0f0e0d0c},
        {"SliceOfTheSkbIsWritten",
         skb + slice("bpf_dynptr_slice_rdwr", 0, 4, true) + "*(u8 *)(r0 +0) = 7\n" + read(1, 0) + kBuffer +
             kOrNull,
         7},
        {"SkbIsWritable", skb + kFirst + "kfunc bpf_dynptr_is_rdonly\nr0 &= 255\n" + kExit, 0},
    };
    for (CallCase& c : cases) c.type = BPF_PROG_TYPE_SCHED_CLS;
    const auto filter = [&](const char* name, const std::string& text, u32 result) {
        cases.push_back({.name = name,
                         .text = text,
                         .result = result,
                         .type = BPF_PROG_TYPE_SOCKET_FILTER,
                         .packet_write = false});
    };
    filter("FilteredSkbIsReadOnly", skb + kFirst + "kfunc bpf_dynptr_is_rdonly\nr0 &= 255\n" + kExit, 1);
    filter("FilteredSkbIsNotWritten", skb + write(4, 20) + kExit, error(EINVAL));
    filter("FilteredSkbHasSlices", skb + slice("bpf_dynptr_slice", 0, 4) + "r0 = 1\n" + kOrNull, 1);
    filter("CloneOfReadOnlyIsToo",
           skb + kFirst + kSecond +
               "kfunc bpf_dynptr_clone\nr1 = r10\nr1 += -32\nkfunc bpf_dynptr_is_rdonly\n"
               "r0 &= 255\n" +
               kExit,
           1);
    filter("AdjustedReadOnlyIsToo",
           skb + adjust(1, 9) + kFirst + "kfunc bpf_dynptr_is_rdonly\nr0 &= 255\n" + kExit, 1);
    return cases;
}

std::vector<CallCase> section_cases() {
    return {
        {"RcuSection", "kfunc bpf_rcu_read_lock\nkfunc bpf_rcu_read_unlock\nr0 = 5\nexit\n", 5},
        {"NoPreemption", "kfunc bpf_preempt_disable\nkfunc bpf_preempt_enable\nr0 = 6\nexit\n", 6},
    };
}

std::vector<CallCase> all_cases() {
    std::vector<CallCase> all;
    for (const auto& some : {iterator_cases(), packet_cases(), null_cases(), memory_cases(), ring_cases(),
                             skb_cases(), section_cases()})
        all.insert(all.end(), some.begin(), some.end());
    return all;
}

class KernelFunctionCase : public testing::TestWithParam<CallCase> {};

TEST_P(KernelFunctionCase, Engines) { check_engines(GetParam()); }
TEST_P(KernelFunctionCase, Kernel) { check_kernel(GetParam()); }

INSTANTIATE_TEST_SUITE_P(, KernelFunctionCase, testing::ValuesIn(all_cases()),
                         [](const auto& param) { return param.param.name; });

} // namespace
} // namespace xdplane
