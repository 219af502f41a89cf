// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <iterator>
#include <linux/bpf.h>
#include <linux/if_ether.h>

#include "bpf/run/packet.h"
#include "bpf/syscall/bpf_system.h"
#include "cli/command.h"
#include "cli/numbers.h"
#include "cli/one_program.h"
#include "cli/trace_printer.h"
#include "dataplane/read_file.h"
#include "pcap_replay/output_file.h"

namespace xdplane::cli {
namespace {

namespace po = boost::program_options;

constexpr std::string_view kUsageLine =
    "xdplane test-run OBJ:PROG --data-in FILE [--data-out FILE] [--repeat N] [--engine jit|interpreter]";
constexpr std::string_view kAbout =
    "Runs a program on one packet through bpf(2)'s BPF_PROG_TEST_RUN, as `bpftool prog run` does on Linux.";
constexpr std::string_view kExamples =
    "FILE holds the bytes of the packet, from the Ethernet header on, and nothing else.\n"
    "\nExamples:\n"
    "  printf '\\377\\377\\377\\377\\377\\377\\2\\0\\0\\0\\0\\1\\10\\6' > arp.bin\n"
    "  xdplane test-run acl.bpf.o:acl --data-in arp.bin --data-out out.bin\n"
    "  xdplane test-run acl.bpf.o:acl --data-in arp.bin --repeat 1000000 --engine interpreter";

/// Of a file: more than any packet has.
constexpr std::size_t kMostData = std::size_t{1} << 20;

const char* verdict_name(u32 type, u32 value) {
    static constexpr const char* kNames[] = {"XDP_ABORTED", "XDP_DROP", "XDP_PASS", "XDP_TX", "XDP_REDIRECT"};
    return type == BPF_PROG_TYPE_XDP && value < std::size(kNames) ? kNames[value] : nullptr;
}

/// Which is nearly always the reason for EINVAL.
std::string lengths() {
    return fmt::format(" (the packet of an XDP program has {} to {})", ETH_HLEN,
                       kFrameSize - kFrameTail - kHeadroom);
}

struct RunResult {
    u32 value;
    u32 duration_ns;
    std::vector<u8> data;
};

/// BPF_PROG_TEST_RUN. A program may make its packet longer: the answer gets more room than the question.
Result<RunResult> test_run(int fd, const std::string& data, u32 repeat) {
    RunResult result{.value = 0, .duration_ns = 0, .data = std::vector<u8>(data.size() + 65536)};
    bpf_attr attr;
    std::memset(&attr, 0, sizeof attr);
    attr.test.prog_fd = static_cast<u32>(fd);
    attr.test.data_in = reinterpret_cast<u64>(data.data());
    attr.test.data_size_in = static_cast<u32>(data.size());
    attr.test.data_out = reinterpret_cast<u64>(result.data.data());
    attr.test.data_size_out = static_cast<u32>(result.data.size());
    attr.test.repeat = repeat;
    if (const long code = bpf_syscall(BPF_PROG_TEST_RUN, &attr, sizeof attr); code < 0)
        return fail(static_cast<int>(-code), "{} bytes: {}{}", data.size(),
                    std::strerror(static_cast<int>(-code)), code == -EINVAL ? lengths() : "");
    result.value = attr.test.retval;
    result.duration_ns = attr.test.duration;
    result.data.resize(std::min<std::size_t>(result.data.size(), attr.test.data_size_out));
    return result;
}

} // namespace

int test_run_command(const std::vector<std::string>& words) {
    std::vector<std::string> programs;
    std::string data_in;
    std::string data_out;
    std::string engine;
    Options options{kUsageLine, kAbout, kExamples};
    options.visible.add_options()                                                                        //
        ("data-in", po::value(&data_in), "the packet")                                                   //
        ("data-out", po::value(&data_out), "where to write what became of it")                           //
        ("repeat", po::value<std::string>()->default_value("1"), "run it this often on the same buffer") //
        ("engine", po::value(&engine), "jit or interpreter; default: jit where there is one");
    options.hidden.add_options()("program", po::value(&programs));
    options.positional.add("program", -1);
    po::variables_map values;
    if (!options.parse(words, values)) return kSuccess;
    if (programs.size() != 1) throw UsageError("one program is needed: OBJ:PROG");
    if (data_in.empty()) throw UsageError("--data-in is needed");
    const u64 repeat = whole_number(values, "repeat", 1, 0x7fffffff);
    if (!engine.empty()) use_engine(engine);

    const auto data = read_file(data_in, kMostData);
    if (!data) return failed(data.error().context(data_in));
    const auto one = load_one_program(programs.front());
    if (!one) return failed(one.error());
    const TracePrinter printer;
    const auto result = test_run(one->object->program_fd(one->name), *data, static_cast<u32>(repeat));
    if (!result) return failed(result.error().context(fmt::format("{}: {}", programs.front(), data_in)));
    if (!data_out.empty()) {
        auto file = OutputFile::open(data_out);
        if (!file) return failed(file.error().context(data_out));
        file->put(result->data.data(), result->data.size());
        if (auto done = file->finish(); !done) return failed(done.error().context(data_out));
    }
    const char* name = verdict_name(one->program->parts().type->type, result->value);
    fmt::print(is_standard_output(data_out) ? stderr : stdout, "return value {}{}{}{}, {} bytes, {} ns\n",
               result->value, name != nullptr ? " (" : "", name != nullptr ? name : "",
               name != nullptr ? ")" : "", result->data.size(), result->duration_ns);
    return kSuccess;
}

} // namespace xdplane::cli
