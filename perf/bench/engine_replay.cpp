// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
// Captures through a filter expression: replay() in this process, and tcpdump as one of its own. Starting
// either takes longer than many a capture, and is left out: of tcpdump what a capture without packets takes.
#include <algorithm>
#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <spawn.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bpf/base/unique_fd.h"
#include "bpf/maps/run_ahead.h"
#include "dataplane/chain_loader.h"
#include "pcap_replay/filter_stage.h"
#include "pcap_replay/replay.h"
#include "perf/bench/engines.h"
#include "perf/bench/packet_loop.h"
#include "perf/bench/temporary_capture.h"
#include "perf/bench/ticks.h"

extern char** environ;

namespace xdplane::bench {
namespace {

constexpr const char* kExpression = "tcp port 80";
/// Long enough that ends do not count; all of it stays in the page cache.
constexpr u64 kCaptureBytes = 160'000'000;

/// A checksum of the packets of a capture, without their headers and that of the file.
Result<u64> sum_of(const std::string& path) {
    auto reader = CaptureReader::open(path);
    if (!reader) return fail(reader.error(), path);
    u64 sum = 0;
    CapturedPacket packet;
    while ((*reader)->next(packet)) sum = mix_in_packet(sum, {packet.data, packet.captured});
    return mix_in(sum, (*reader)->packets());
}

/// Both keep the capture that is measured, and a short one to be checked.
class ReplaySubject : public Subject {
public:
    Result<> prepare(const EngineSetup& setup) {
        auto large = TemporaryCapture::make(setup.packets, kCaptureBytes);
        if (!large) return fail(large.error());
        auto small = TemporaryCapture::make(setup.packets, 1);
        if (!small) return fail(small.error());
        auto result = TemporaryCapture::make(PacketSet(), 0);
        if (!result) return fail(result.error());
        large_ = std::move(*large);
        small_ = std::move(*small);
        result_ = std::move(*result);
        return {};
    }
    [[nodiscard]] Result<u64> check(u32) final {
        if (auto done = filter(small_.path(), result_.path()); !done) return fail(done.error());
        return sum_of(result_.path());
    }
    [[nodiscard]] Result<Slice> run(double) final {
        auto ns = filter(large_.path(), "/dev/null");
        if (!ns) return fail(ns.error());
        return Slice{*ns, large_.packets()};
    }
    [[nodiscard]] std::vector<double> burst_times(double) final { return {}; }

protected:
    /// Nanoseconds that it took.
    virtual Result<double> filter(const std::string& from, const std::string& to) = 0;

private:
    TemporaryCapture large_;
    TemporaryCapture small_;
    TemporaryCapture result_;
};

class OwnReplay final : public ReplaySubject {
protected:
    Result<double> filter(const std::string& from, const std::string& to) override {
        set_run_ahead(RunAhead::automatic);
        auto inputs = open_inputs({from});
        if (!inputs) return fail(inputs.error());
        auto stage = filter_stage(kExpression, inputs->front().reader->format());
        if (!stage) return fail(stage.error());
        auto loaded = load_chain({}, std::move(*stage));
        if (!loaded) return fail(loaded.error());
        ReplayOptions options;
        options.passed = to;
        const u64 start = Ticks::now();
        auto summary = replay(*loaded->chain, *inputs, options);
        const u64 took = Ticks::now() - start;
        if (!summary) return fail(summary.error());
        return static_cast<double>(took) * Ticks::ns_per_tick();
    }
};

class Tcpdump final : public ReplaySubject {
public:
    Result<> measure_start() {
        auto empty = TemporaryCapture::make(PacketSet(), 0);
        if (!empty) return fail(empty.error());
        double best = 1e12;
        for (int i = 0; i < 5; ++i) {
            auto ns = spawn(empty->path(), "/dev/null");
            if (!ns) return fail(ns.error());
            best = std::min(best, *ns);
        }
        start_ns_ = best;
        return {};
    }

protected:
    Result<double> filter(const std::string& from, const std::string& to) override {
        auto ns = spawn(from, to);
        if (!ns) return ns;
        return std::max(1.0, *ns - start_ns_);
    }

private:
    /// Output goes to a pipe's place on the file system: tcpdump gives up root before it opens files.
    static Result<double> spawn(const std::string& from, const std::string& to) {
        const UniqueFd out(::open(to.c_str(), O_WRONLY | O_TRUNC | O_CLOEXEC));
        if (!out) return fail(errno, "{}: {}", to, std::strerror(errno));
        std::string words[] = {"tcpdump", "-r", from, "-w", to == "/dev/null" ? to : "-", kExpression};
        std::vector<char*> arguments;
        for (std::string& word : words) arguments.push_back(word.data());
        arguments.push_back(nullptr);
        posix_spawn_file_actions_t actions;
        ::posix_spawn_file_actions_init(&actions);
        ::posix_spawn_file_actions_adddup2(&actions, out.get(), STDOUT_FILENO);
        ::posix_spawn_file_actions_addopen(&actions, STDERR_FILENO, "/dev/null", O_WRONLY, 0);
        const u64 start = Ticks::now();
        pid_t pid = 0;
        const int error =
            ::posix_spawnp(&pid, words[0].c_str(), &actions, nullptr, arguments.data(), environ);
        ::posix_spawn_file_actions_destroy(&actions);
        if (error != 0) return fail(ENOTSUP, "tcpdump: {}", std::strerror(error));
        int status = 0;
        while (::waitpid(pid, &status, 0) < 0 && errno == EINTR) {
        }
        const u64 took = Ticks::now() - start;
        if (!WIFEXITED(status) || WEXITSTATUS(status) != 0) return fail(ENOTSUP, "tcpdump: fails here");
        return static_cast<double>(took) * Ticks::ns_per_tick();
    }

    double start_ns_ = 0;
};

} // namespace

Result<std::unique_ptr<Subject>> make_replay(const EngineSetup& setup) {
    auto subject = std::make_unique<OwnReplay>();
    if (auto done = subject->prepare(setup); !done) return fail(done.error());
    return subject;
}

Result<std::unique_ptr<Subject>> make_tcpdump(const EngineSetup& setup) {
    auto subject = std::make_unique<Tcpdump>();
    if (auto done = subject->prepare(setup); !done) return fail(done.error());
    if (auto done = subject->measure_start(); !done) return fail(done.error());
    return subject;
}

} // namespace xdplane::bench
