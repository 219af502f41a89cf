// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
#include <cctype>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <gtest/gtest.h>

#include "bpf/base/unique_fd.h"
#include "bpf/isa/opcodes.h"
#include "tests/support/kernel_bpf.h"
#include "tests/support/verifier_cases.h"

/// Each case of tests/verifier/*.data again, by the running kernel's verifier: both verdicts must be the
/// same, except where the case says why they are not (docs/verifier-differences.md).
namespace xdplane::test {
namespace {

std::string test_name(const std::string& text) {
    std::string out;
    for (const char c : text) out += std::isalnum(static_cast<unsigned char>(c)) != 0 ? c : '_';
    return out;
}

bpf_attr cleared() {
    bpf_attr attr;
    std::memset(&attr, 0, sizeof attr);
    return attr;
}

template<class T>
u64 address(T* pointer) {
    return reinterpret_cast<u64>(pointer);
}

Result<UniqueFd> make_kernel_map(const CaseMap& c) {
    bpf_attr attr = cleared();
    attr.map_type = c.type();
    attr.key_size = c.key_size;
    attr.value_size = c.value_size;
    attr.max_entries = c.entries;
    attr.map_flags = c.flags;
    const long fd = kernel_bpf(BPF_MAP_CREATE, &attr, sizeof attr);
    if (fd < 0) return fail(static_cast<int>(-fd), "map cannot be made: {}", fd);
    UniqueFd map(static_cast<int>(fd));
    if (!c.data.empty()) {
        std::vector<u8> value = c.data;
        value.resize(c.value_size);
        const u32 key = 0;
        attr = cleared();
        attr.map_fd = static_cast<u32>(fd);
        attr.key = address(&key);
        attr.value = address(value.data());
        if (kernel_bpf(BPF_MAP_UPDATE_ELEM, &attr, sizeof attr) != 0)
            return fail(EIO, "value cannot be stored");
    }
    if (c.frozen) {
        attr = cleared();
        attr.map_fd = static_cast<u32>(fd);
        if (kernel_bpf(BPF_MAP_FREEZE, &attr, sizeof attr) != 0) return fail(EIO, "map cannot be frozen");
    }
    return map;
}

struct Verdict {
    bool accepted = false;
    std::string log;
};

Result<Verdict> ask_kernel(const VerifierCase& one, VerifyRequest request) {
    std::vector<UniqueFd> maps;
    for (const CaseMap& map : one.maps) {
        auto fd = make_kernel_map(map);
        if (!fd) return fail(fd.error());
        maps.push_back(std::move(*fd));
    }
    for (std::size_t i = 0; i < request.insns.size(); ++i) {
        Insn& insn = request.insns[i];
        if (insn.opcode != 0x18 || (insn.src != kMapFd && insn.src != kMapValue)) continue;
        if (insn.imm >= 1 && static_cast<std::size_t>(insn.imm) <= maps.size())
            insn.imm = maps[static_cast<std::size_t>(insn.imm) - 1].get();
        else
            insn.imm = 9999; // no such fd here either
        ++i;
    }
    std::vector<char> log(1 << 20);
    bpf_attr attr = cleared();
    attr.prog_type = request.type->type;
    attr.insns = address(request.insns.data());
    attr.insn_cnt = static_cast<u32>(request.insns.size());
    attr.license = address(one.gpl ? "GPL" : "BSD");
    attr.prog_flags = request.flags;
    attr.log_level = 1;
    attr.log_buf = address(log.data());
    attr.log_size = static_cast<u32>(log.size());
    long fd = kernel_bpf(BPF_PROG_LOAD, &attr, sizeof attr);
    if (fd == -ENOSPC) {
        // Too much to say; the verdict alone, then.
        attr.log_level = 0;
        attr.log_buf = 0;
        attr.log_size = 0;
        fd = kernel_bpf(BPF_PROG_LOAD, &attr, sizeof attr);
    }
    if (fd >= 0) kernel_close(static_cast<int>(fd));
    return Verdict{fd >= 0, fmt::format("returned {}\n{}", fd < 0 ? fd : 0, log.data())};
}

class KernelTest : public testing::Test {
public:
    explicit KernelTest(VerifierCase one) : case_(std::move(one)) {}

    void TestBody() override {
        if (!kernel_bpf_allowed()) GTEST_SKIP() << "the kernel does not let this process call bpf()";
        if (!case_.kernel_slow.empty()) GTEST_SKIP() << case_.kernel_slow;
        auto request = make_request(case_);
        ASSERT_TRUE(request) << request.error().message;
        const auto kernel = ask_kernel(case_, *request);
        ASSERT_TRUE(kernel) << kernel.error().message;
        VerifierLog log;
        log.level = kLogStats;
        const bool accepted = verify(std::move(*request), log).has_value();
        // What is listed as a difference is one.
        const bool same = case_.kernel.empty();
        EXPECT_EQ(accepted == kernel->accepted, same) << "here:\n"
                                                      << log.text << "\nkernel:\n"
                                                      << kernel->log;
    }

private:
    VerifierCase case_;
};

} // namespace
} // namespace xdplane::test

int main(int argc, char** argv) {
    using namespace xdplane::test;
    testing::InitGoogleTest(&argc, argv);
    auto cases = read_cases(XDPLANE_SOURCE_ROOT "/tests/verifier");
    if (!cases) {
        std::fprintf(stderr, "%s\n", cases.error().message.c_str());
        return 1;
    }
    for (const VerifierCase& one : *cases)
        testing::RegisterTest(("VerifierKernel_" + test_name(one.file)).c_str(), test_name(one.name).c_str(),
                              nullptr, nullptr, __FILE__, __LINE__,
                              [one]() -> testing::Test* { return new KernelTest(one); });
    return RUN_ALL_TESTS();
}
