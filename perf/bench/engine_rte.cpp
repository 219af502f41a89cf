// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
// DPDK's librte_bpf: its ELF loader, its verifier, its JIT. It has no maps: a program calls the functions of
// the native ones.
#include <cerrno>
#include <cstring>
#include <rte_bpf.h>
#include <rte_errno.h>
#include <rte_log.h>
#include <rte_mbuf.h>
#include <sys/mman.h>
#include <unistd.h>

#include "bpf/base/unique_fd.h"
#include "perf/bench/embedded.h"
#include "perf/bench/engines.h"
#include "perf/bench/native_programs.h"
#include "perf/bench/packet_loop.h"

namespace xdplane::bench {
namespace {

class RteSubject final : public PacketLoop {
public:
    RteSubject(const EngineSetup& setup, rte_bpf* program, std::shared_ptr<NativeMaps> maps)
        : PacketLoop(setup), program_(program), maps_(std::move(maps)) {
        rte_bpf_jit jit{};
        if (rte_bpf_get_jit(program_, &jit) == 0) run_ = jit.func;
    }
    ~RteSubject() override { rte_bpf_destroy(program_); }

    [[nodiscard]] bool compiled() const { return run_ != nullptr; }

protected:
    void judge(XdpBuff* packets, u32 count) noexcept override {
        for (u32 i = 0; i < count; ++i) {
            mbuf_.buf_addr = packets[i].data;
            mbuf_.data_len = static_cast<u16>(packets[i].length());
            packets[i].verdict = static_cast<u32>(run_(&mbuf_));
        }
    }
    [[nodiscard]] u64 contents() override { return maps_->sum(); }
    void update(u32 index) override { maps_->update(index); }

private:
    rte_bpf* program_;
    std::shared_ptr<NativeMaps> maps_;
    u64 (*run_)(void*) = nullptr;
    rte_mbuf mbuf_{}; ///< of one segment
};

/// A function of C that the program calls by name.
rte_bpf_xsym lookup_symbol(const std::string& name, const native_map& map) {
    rte_bpf_xsym symbol{};
    symbol.name = name.c_str();
    symbol.type = RTE_BPF_XTYPE_FUNC;
    symbol.func.val = reinterpret_cast<decltype(symbol.func.val)>(reinterpret_cast<void*>(map.find));
    symbol.func.nb_args = 1;
    symbol.func.args[0].type = RTE_BPF_ARG_PTR;
    symbol.func.args[0].size = map.key_size;
    symbol.func.ret.type = RTE_BPF_ARG_PTR;
    symbol.func.ret.size = map.value_size;
    return symbol;
}

/// The loader reads files only.
Result<UniqueFd> file_of(std::span<const u8> bytes) {
    UniqueFd fd(::memfd_create("program", MFD_CLOEXEC));
    if (!fd || ::write(fd.get(), bytes.data(), bytes.size()) != static_cast<ssize_t>(bytes.size()))
        return fail(errno, "memfd: {}", std::strerror(errno));
    return fd;
}

} // namespace

Result<std::unique_ptr<Subject>> make_rte(const EngineSetup& setup) {
    const auto bytes = embedded_object("rte_" + std::string(setup.which.program));
    if (bytes.empty()) return fail(ENOTSUP, "has neither tail calls, nor maps to update, nor XDP's helpers");
    auto maps = NativeMaps::get(setup);
    if (!maps) return fail(maps.error());
    auto file = file_of(bytes);
    if (!file) return fail(file.error());

    std::vector<std::string> names;
    for (const native_map* map : (*maps)->all()) names.push_back(fmt::format("rte_lookup_{}", map->name));
    std::vector<rte_bpf_xsym> symbols;
    for (std::size_t i = 0; i < names.size(); ++i)
        symbols.push_back(lookup_symbol(names[i], *(*maps)->all()[i]));
    rte_bpf_prm parameters{};
    parameters.xsym = symbols.data();
    parameters.nb_xsym = static_cast<u32>(symbols.size());
    parameters.prog_arg.type = RTE_BPF_ARG_PTR_MBUF;
    parameters.prog_arg.size = sizeof(rte_mbuf);
    parameters.prog_arg.buf_size = 4096;
    rte_log_set_level_pattern("lib.bpf", RTE_LOG_EMERG); // what it refuses is reported here
    rte_bpf* program =
        rte_bpf_elf_load(&parameters, fmt::format("/proc/self/fd/{}", file->get()).c_str(), "rte");
    if (program == nullptr)
        return fail(ENOTSUP, "librte_bpf refuses the program: {}", std::strerror(rte_errno));
    auto subject = std::make_unique<RteSubject>(setup, program, std::move(*maps));
    if (!subject->compiled()) return fail(ENOTSUP, "librte_bpf has no JIT here");
    return subject;
}

} // namespace xdplane::bench
