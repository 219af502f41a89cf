// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
#include <algorithm>
#include <bpf/libbpf.h>
#include <cerrno>
#include <linux/bpf.h>

#include "bpf/jit/backend.h"
#include "bpf/maps/run_ahead.h"
#include "bpf/syscall/bpf_system.h"
#include "dataplane/chain_loader.h"
#include "perf/bench/embedded.h"
#include "perf/bench/engines.h"
#include "perf/bench/packet_loop.h"

namespace xdplane::bench {
namespace {

using Loaded = SharedPrograms::Loaded;

/// While it lives, programs are loaded for that engine.
class EngineScope {
public:
    explicit EngineScope(xdplane::Engine engine) : before_(xdplane::engine()) { set_engine(engine); }
    ~EngineScope() { set_engine(before_); }
    EngineScope(const EngineScope&) = delete;
    EngineScope& operator=(const EngineScope&) = delete;

private:
    xdplane::Engine before_;
};

/// Writes a value as it crosses bpf(2): per-CPU ones once for each CPU.
int store(Map& map, const void* key, const void* value) {
    const u32 size = map.spec().value_size;
    if (!map.ops().per_cpu) return map.ops().store_value(map, key, const_cast<void*>(value), BPF_ANY);
    const u32 stride = (size + 7) / 8 * 8;
    std::vector<u8> bytes(std::size_t{stride} * num_possible_cpus());
    for (std::size_t at = 0; at < bytes.size(); at += stride)
        std::copy_n(static_cast<const u8*>(value), size, &bytes[at]);
    return map.ops().store_value(map, key, bytes.data(), BPF_ANY);
}

Result<> fill_maps(const Case& which, const Object& object) {
    for (const MapContents& contents : which.contents) {
        if (contents.fill == nullptr) continue;
        const auto map = object.map(contents.map);
        if (map == nullptr) return fail(ENOENT, "there is no map '{}'", contents.map);
        int error = 0;
        contents.fill(which.count, ~0U, [&](const void* key, const void* value) {
            if (error == 0) error = store(*map, key, value);
        });
        if (error != 0) return fail(-error, "map '{}' cannot be filled", contents.map);
    }
    return {};
}

/// Maps of the program loaded first take the place of this one's. Not program arrays, which belong to an
/// engine, and not global data, which libbpf fills.
Result<> share_maps(Object& object, const Object& first) {
    for (const auto& info : object.maps()) {
        if (info.global_data || info.type == BPF_MAP_TYPE_PROG_ARRAY) continue;
        if (auto done = object.reuse_map(info.name, first.map(info.name)); !done) return done;
    }
    return {};
}

Result<std::shared_ptr<Loaded>> load(const EngineSetup& setup, bool jit) {
    for (const auto& loaded : setup.shared->loaded)
        if (loaded->jit == jit && setup.user == nullptr) return loaded;
    const EngineScope scope(jit ? xdplane::Engine::jit : xdplane::Engine::interpreter);
    auto opened = open_program(setup);
    if (!opened) return fail(opened.error());
    auto& object = opened->object;
    if (setup.which.sized)
        bpf_map__set_max_entries(bpf_object__find_map_by_name(object->handle(), setup.which.contents[0].map),
                                 setup.which.count);
    const bool first = setup.shared->loaded.empty() || setup.user != nullptr;
    if (!first) {
        if (auto done = share_maps(*object, *setup.shared->loaded.front()->object); !done)
            return fail(done.error());
    }
    if (auto done = object->load(); !done) return fail(done.error());
    if (first) {
        if (auto done = fill_maps(setup.which, *object); !done) return fail(done.error());
    }
    auto program = object->program(opened->name);
    if (program == nullptr) return fail(ENOENT, "{}: no program '{}'", object->file(), opened->name);
    auto loaded = std::make_shared<Loaded>(Loaded{jit, std::move(object), std::move(program)});
    setup.shared->loaded.push_back(loaded);
    return loaded;
}

class OwnSubject : public PacketLoop {
public:
    OwnSubject(const EngineSetup& setup, std::shared_ptr<Loaded> loaded, RunAhead ahead)
        : PacketLoop(setup), which_(setup.which), loaded_(std::move(loaded)), ahead_(ahead) {
        if (which_.updates != 0) updated_ = loaded_->object->map(which_.contents[0].map);
    }

protected:
    /// Run-ahead is one for all of the process.
    void begin() final { set_run_ahead(ahead_); }
    [[nodiscard]] const Entry& entry() const noexcept { return loaded_->program->entry(); }
    [[nodiscard]] u64 contents() final {
        u64 sum = 0;
        for (const MapContents& contents : which_.contents) {
            if (!contents.compared) continue;
            const auto map = loaded_->object->map(contents.map);
            const MapSpec& spec = map->spec();
            contents.fill(which_.count, kComparedEntries, [&](const void* key, const void*) {
                const void* value = map->ops().lookup(*map, key);
                if (value != nullptr) sum += entry_sum(key, spec.key_size, value, spec.value_size);
            });
        }
        return sum;
    }
    void update(u32 index) final {
        which_.contents[0].one(index % which_.count, [this](const void* key, const void* value) {
            (void)store(*updated_, key, value);
        });
    }

private:
    const Case& which_;
    std::shared_ptr<Loaded> loaded_;
    std::shared_ptr<Map> updated_;
    RunAhead ahead_;
};

class ScalarSubject final : public OwnSubject {
public:
    using OwnSubject::OwnSubject;
    void judge(XdpBuff* packets, u32 count) noexcept override {
        const Entry& e = entry();
        for (u32 i = 0; i < count; ++i) packets[i].verdict = e.run(&e, &packets[i], &t_run);
    }
};

class BurstSubject final : public OwnSubject {
public:
    using OwnSubject::OwnSubject;
    void judge(XdpBuff* packets, u32 count) noexcept override {
        const Entry& e = entry();
        e.run_burst(&e, packets, count, &t_run);
    }
};

template<class Kind>
Result<std::unique_ptr<Subject>> make_own(const EngineSetup& setup, bool jit,
                                          RunAhead ahead = RunAhead::off) {
    if (jit && host_backend() == nullptr) return fail(ENOTSUP, "there is no JIT for this machine");
    auto loaded = load(setup, jit);
    if (!loaded) return fail(loaded.error());
    return std::make_unique<Kind>(setup, std::move(*loaded), ahead);
}

} // namespace

Result<OpenProgram> open_program(const EngineSetup& setup) {
    const Case& which = setup.which;
    auto object = setup.user != nullptr
                      ? Object::open(setup.user->object)
                      : Object::open(embedded_object(which.program), std::string(which.program));
    if (!object) return fail(object.error());
    if (setup.user == nullptr && which.entry == "bench")
        return OpenProgram{std::move(*object), std::string(which.entry)};
    auto name =
        choose_xdp_program(**object, setup.user != nullptr ? setup.user->program : std::string(which.entry));
    if (!name) return fail(name.error());
    const std::string selected[] = {*name};
    if (auto done = (*object)->select(selected); !done) return fail(done.error());
    return OpenProgram{std::move(*object), std::move(*name)};
}

Result<std::unique_ptr<Subject>> make_interpreter(const EngineSetup& setup) {
    return make_own<BurstSubject>(setup, false);
}
Result<std::unique_ptr<Subject>> make_scalar(const EngineSetup& setup) {
    return make_own<ScalarSubject>(setup, true);
}
Result<std::unique_ptr<Subject>> make_burst(const EngineSetup& setup) {
    return make_own<BurstSubject>(setup, true);
}
Result<std::unique_ptr<Subject>> make_run_ahead(const EngineSetup& setup) {
    return make_own<BurstSubject>(setup, true, RunAhead::on);
}
Result<std::unique_ptr<Subject>> make_auto(const EngineSetup& setup) {
    return make_own<BurstSubject>(setup, true, RunAhead::automatic);
}

} // namespace xdplane::bench
