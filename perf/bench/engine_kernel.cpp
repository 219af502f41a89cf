// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
// The running kernel's JIT: a program of its own that loops over packets in a map, so that entering the
// kernel counts for nothing; or, where a program needs XDP's context, BPF_PROG_TEST_RUN again and again.
#include <algorithm>
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <cerrno>
#include <cstring>
#include <sys/mman.h>
#include <unistd.h>

#include "bpf/base/mapping.h"
#include "bpf/libbpf/messages.h"
#include "bpf/libbpf/wrap.h"
#include "bpf/run/run_context.h"
#include "perf/bench/embedded.h"
#include "perf/bench/kernel.h"
#include "perf/bench/packet_loop.h"
#include "perf/bench/ticks.h"

namespace xdplane::bench {
namespace {

bool is_per_cpu(bpf_map_type type) {
    return type == BPF_MAP_TYPE_PERCPU_ARRAY || type == BPF_MAP_TYPE_PERCPU_HASH;
}

/// A value as it crosses bpf(2): per-CPU ones once for each CPU.
struct ValueLayout {
    explicit ValueLayout(const bpf_map* map)
        : size(bpf_map__value_size(map)),
          copies(is_per_cpu(bpf_map__type(map)) ? num_possible_cpus() : 1),
          stride(copies == 1 ? size : (size + 7) / 8 * 8) {}
    [[nodiscard]] u32 total() const { return copies * stride; }
    u32 size;
    u32 copies;
    u32 stride;
};

/// Hands entries to the kernel, many at a time.
class BatchWriter {
public:
    explicit BatchWriter(const bpf_map* map) : map_(map), layout_(map) {}
    void put(const void* key, const void* value) {
        const auto* bytes = static_cast<const u8*>(key);
        keys_.insert(keys_.end(), bytes, bytes + bpf_map__key_size(map_));
        const std::size_t at = values_.size();
        values_.resize(at + layout_.total());
        for (u32 i = 0; i < layout_.copies; ++i)
            std::memcpy(&values_[at + std::size_t{i} * layout_.stride], value, layout_.size);
        if (++count_ == kTogether) flush();
    }
    /// 0 or -errno of the first that failed.
    int flush() {
        if (count_ != 0 && error_ == 0)
            error_ = bpf_map_update_batch(bpf_map__fd(map_), keys_.data(), values_.data(), &count_, nullptr);
        keys_.clear();
        values_.clear();
        count_ = 0;
        return error_;
    }

private:
    static constexpr u32 kTogether = 16384;
    const bpf_map* map_;
    ValueLayout layout_;
    std::vector<u8> keys_;
    std::vector<u8> values_;
    u32 count_ = 0;
    int error_ = 0;
};

/// What both ways have in common: the object, its maps.
class KernelSubject : public Subject {
public:
    KernelSubject(const EngineSetup& setup, KernelObject object)
        : setup_(setup), object_(std::move(object)) {}

    Result<> load() {
        const KernelScope scope;
        if (setup_.which.sized)
            bpf_map__set_max_entries(map_of(setup_.which.contents[0]), setup_.which.count);
        MessageCapture messages;
        if (const int error = bpf_object__load(object_.get()); error != 0)
            return fail(ENOTSUP, "the kernel refuses the program: {}",
                        messages.last_line(std::strerror(-error)));
        for (const MapContents& contents : setup_.which.contents) {
            if (contents.fill == nullptr) continue;
            BatchWriter writer(map_of(contents));
            contents.fill(setup_.which.count, ~0U,
                          [&](const void* key, const void* value) { writer.put(key, value); });
            if (const int error = writer.flush(); error != 0)
                return fail(-error, "map '{}' of the kernel: {}", contents.map, std::strerror(-error));
        }
        return {};
    }
    [[nodiscard]] std::vector<double> burst_times(double) final { return {}; }

protected:
    [[nodiscard]] bpf_map* map_of(const MapContents& contents) const {
        return bpf_object__find_map_by_name(object_.get(), contents.map);
    }
    [[nodiscard]] u64 contents() const {
        u64 sum = 0;
        for (const MapContents& contents : setup_.which.contents) {
            if (!contents.compared) continue;
            const bpf_map* map = map_of(contents);
            const ValueLayout layout(map);
            std::vector<u8> value(layout.total());
            contents.fill(setup_.which.count, kComparedEntries, [&](const void* key, const void*) {
                if (bpf_map_lookup_elem(bpf_map__fd(map), key, value.data()) != 0) return;
                for (u32 i = 0; i < layout.copies; ++i)
                    sum += entry_sum(key, bpf_map__key_size(map), &value[std::size_t{i} * layout.stride],
                                     layout.size);
            });
        }
        return sum;
    }

    EngineSetup setup_; // NOLINT: the harness keeps what it refers to
    KernelObject object_;
};

/// struct slot of programs/loop.bpf.c.
struct Slot {
    u8 bytes[120];
    u32 length;
    u32 verdict;
};

class LoopSubject final : public KernelSubject {
public:
    using KernelSubject::KernelSubject;

    Result<> prepare() {
        bpf_map* packets = bpf_object__find_map_by_name(object_.get(), "packets");
        const auto count = static_cast<u32>(setup_.packets.size());
        bpf_map__set_max_entries(packets, count);
        if (auto done = load(); !done) return done;
        void* address = ::mmap(nullptr, sizeof(Slot) * count, PROT_READ | PROT_WRITE, MAP_SHARED,
                               bpf_map__fd(packets), 0);
        if (address == MAP_FAILED)
            return fail(errno, "the kernel's map of packets: {}", std::strerror(errno));
        slots_ = Mapping(address, sizeof(Slot) * count);
        for (u32 i = 0; i < count; ++i) {
            const auto bytes = setup_.packets.packet(i);
            std::memcpy(slot(i).bytes, bytes.data(), std::min(bytes.size(), sizeof slot(i).bytes));
            slot(i).length = static_cast<u32>(bytes.size());
        }
        const bpf_map* variables = bpf_object__find_map_by_name(object_.get(), "loop.bss");
        const auto page = static_cast<std::size_t>(::getpagesize());
        address = ::mmap(nullptr, page, PROT_READ | PROT_WRITE, MAP_SHARED, bpf_map__fd(variables), 0);
        if (address == MAP_FAILED) return fail(errno, "variables of the program: {}", std::strerror(errno));
        variables_ = Mapping(address, page);
        program_ = bpf_program__fd(bpf_object__find_program_by_name(object_.get(), "bench"));
        return {};
    }

    [[nodiscard]] Result<u64> check(u32 packets) override {
        const KernelScope scope;
        const u64 before = contents();
        if (auto done = judge(0, packets); !done) return fail(done.error());
        u64 sum = 0;
        for (u32 begin = 0; begin < packets; begin += kBurst) {
            u64 burst = 0;
            for (u32 i = begin; i < std::min(begin + kBurst, packets); ++i) {
                burst = mix_in(burst, slot(i).verdict);
                if (setup_.which.writes) burst = mix_in_packet(burst, {slot(i).bytes, slot(i).length});
            }
            sum = mix_in(sum, burst);
        }
        return mix_in(sum, contents() - before);
    }

    [[nodiscard]] Result<Slice> run(double ns) override {
        const KernelScope scope;
        const auto total = static_cast<u32>(setup_.packets.size());
        const u32 together = std::min(kTogether, total);
        const u64 start = Ticks::now();
        Slice slice;
        while (slice.ns < ns) {
            if (next_ + together > total) next_ = 0;
            if (auto done = judge(next_, together); !done) return fail(done.error());
            next_ += together;
            slice.packets += together;
            slice.ns = static_cast<double>(Ticks::now() - start) * Ticks::ns_per_tick();
        }
        return slice;
    }

private:
    static constexpr u32 kTogether = 16384;

    [[nodiscard]] Slot& slot(u32 i) const { return reinterpret_cast<Slot*>(slots_.data())[i]; }
    Result<> judge(u32 first, u32 count) {
        const u32 range[] = {first, count};
        std::memcpy(variables_.data(), range, sizeof range);
        const u8 nothing[64] = {};
        bpf_test_run_opts options{};
        options.sz = sizeof options;
        options.data_in = nothing;
        options.data_size_in = sizeof nothing;
        const int error = bpf_prog_test_run_opts(program_, &options);
        if (error != 0 || options.retval != 0)
            return fail(EIO, "the kernel did not run the program: {}", std::strerror(-error));
        return {};
    }

    Mapping slots_;
    Mapping variables_; ///< first, count
    int program_ = -1;
    u32 next_ = 0;
};

/// BPF_PROG_TEST_RUN. A few packets stand for all: each call runs the program on one of them, many times.
class RepeatSubject final : public KernelSubject {
public:
    using KernelSubject::KernelSubject;

    Result<> prepare(const std::string& program) {
        if (auto done = load(); !done) return done;
        program_ = bpf_program__fd(bpf_object__find_program_by_name(object_.get(), program.c_str()));
        return {};
    }

    [[nodiscard]] Result<u64> check(u32 packets) override {
        const KernelScope scope;
        const u64 before = contents();
        u64 sum = 0;
        for (u32 begin = 0; begin < packets; begin += kBurst) {
            u64 burst = 0;
            for (u32 i = begin; i < std::min(begin + kBurst, packets); ++i) {
                const auto verdict = judge(i, 1);
                if (!verdict) return fail(verdict.error());
                burst = mix_in(burst, *verdict);
                if (setup_.bytes_count()) burst = mix_in_packet(burst, {output_.data(), output_size_});
            }
            sum = mix_in(sum, burst);
        }
        return mix_in(sum, contents() - before);
    }

    /// A call takes milliseconds before the first packet, and the kernel tells the time behind that: per run
    /// of the program, cut to whole nanoseconds.
    [[nodiscard]] Result<Slice> run(double) override {
        const KernelScope scope;
        Slice slice;
        for (u32 i = 0; i < kSamples; ++i) {
            if (auto verdict = judge(next_, kRepeat); !verdict) return fail(verdict.error());
            slice.ns += (duration_ + 0.5) * kRepeat;
            slice.packets += kRepeat;
            next_ = static_cast<u32>((next_ + kStep) % setup_.packets.size());
        }
        return slice;
    }

private:
    static constexpr u32 kSamples = 8;
    static constexpr u32 kRepeat = 100'000;
    static constexpr u32 kStep = 97; // to other packets in the next round

    Result<u32> judge(u32 i, u32 repeat) {
        const auto packet = setup_.packets.packet(i);
        output_.resize(packet.size() + 4096);
        bpf_test_run_opts options{};
        options.sz = sizeof options;
        options.data_in = packet.data();
        options.data_size_in = static_cast<u32>(packet.size());
        options.data_out = output_.data();
        options.data_size_out = static_cast<u32>(output_.size());
        options.repeat = static_cast<int>(repeat);
        if (const int error = bpf_prog_test_run_opts(program_, &options); error != 0)
            return fail(ENOTSUP, "BPF_PROG_TEST_RUN of a packet of {} bytes: {}", packet.size(),
                        std::strerror(-error));
        output_size_ = options.data_size_out;
        duration_ = options.duration;
        return options.retval;
    }

    int program_ = -1;
    u32 next_ = 0;
    double duration_ = 0; ///< ns of a run, in the last call
    std::vector<u8> output_;
    u32 output_size_ = 0;
};

} // namespace

Result<std::unique_ptr<Subject>> make_kernel(const EngineSetup& setup) {
    if (!kernel_refusal().empty()) return fail(ENOTSUP, "{}", kernel_refusal());
    if (setup.which.updates != 0) return fail(ENOTSUP, "is not measured under updates");
    const KernelScope scope;
    const auto loop = embedded_object("loop_" + std::string(setup.which.program));
    if (setup.user == nullptr && !loop.empty()) {
        auto object = open_kernel_object(loop, "loop");
        if (!object) return fail(object.error());
        auto subject = std::make_unique<LoopSubject>(setup, std::move(*object));
        if (auto done = subject->prepare(); !done) return fail(done.error());
        return subject;
    }
    auto source = open_program(setup);
    if (!source) return fail(source.error());
    auto object = open_kernel_object(source->object->bytes(), "bench");
    if (!object) return fail(object.error());
    // The same choice: the program, and those that its program arrays hold.
    bpf_program* program = nullptr;
    bpf_object__for_each_program(program, object->get()) {
        const bpf_program* chosen =
            bpf_object__find_program_by_name(source->object->handle(), bpf_program__name(program));
        bpf_program__set_autoload(program, bpf_program__autoload(chosen));
    }
    auto subject = std::make_unique<RepeatSubject>(setup, std::move(*object));
    if (auto done = subject->prepare(source->name); !done) return fail(done.error());
    return subject;
}

} // namespace xdplane::bench
