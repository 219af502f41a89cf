// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
#include "tests/support/filter_case.h"

#include <cerrno>
#include <cstdarg>
#include <cstdio>
#include <cstring>
#include <memory>
#include <optional>
#include <stdexcept>

#include <bpf/bpf.h>
#include <bpf/btf.h>
#include <bpf/libbpf.h>
#include <fmt/format.h>
#include <sched.h>

namespace xdplane::test {
namespace {

using Kind = BytePattern::Kind;

struct ObjectCloser {
    void operator()(bpf_object* object) const { bpf_object__close(object); }
};
using Object = std::unique_ptr<bpf_object, ObjectCloser>;

/// libbpf's warnings since the last load, for the message of a failure.
thread_local std::string t_warnings;

int keep_warning(libbpf_print_level level, const char* format, va_list arguments) {
    if (level != LIBBPF_WARN) return 0;
    char line[1024];
    int n = std::vsnprintf(line, sizeof(line), format, arguments);
    // A rejection's log may be megabytes; its end says why.
    t_warnings += line;
    if (t_warnings.size() > 8192) t_warnings.erase(0, t_warnings.size() - 8192);
    return n;
}

class OneCpu {
public:
    OneCpu() {
        CPU_ZERO(&before_);
        sched_getaffinity(0, sizeof(before_), &before_);
        cpu_set_t one;
        CPU_ZERO(&one);
        CPU_SET(static_cast<unsigned>(sched_getcpu()), &one);
        sched_setaffinity(0, sizeof(one), &one);
    }
    ~OneCpu() { sched_setaffinity(0, sizeof(before_), &before_); }
    OneCpu(const OneCpu&) = delete;
    OneCpu& operator=(const OneCpu&) = delete;

private:
    cpu_set_t before_;
};

std::string hex(const std::string& bytes) {
    std::string text;
    for (unsigned char c : bytes) text += fmt::format("{:02x}", c);
    return text;
}

bool is_zero(const std::string& bytes) { return bytes.find_first_not_of('\0') == std::string::npos; }

/// One map's sizes and how its values are laid out.
struct MapView {
    explicit MapView(const bpf_map* map)
        : name(bpf_map__name(map)),
          fd(bpf_map__fd(map)),
          key_size(bpf_map__key_size(map)),
          value_size(bpf_map__value_size(map)) {
        auto type = bpf_map__type(map);
        is_array = type == BPF_MAP_TYPE_ARRAY || type == BPF_MAP_TYPE_PERCPU_ARRAY;
        if (type == BPF_MAP_TYPE_PERCPU_ARRAY || type == BPF_MAP_TYPE_PERCPU_HASH)
            cpus = static_cast<std::size_t>(libbpf_num_possible_cpus());
    }
    [[nodiscard]] std::size_t stride() const { return cpus ? (value_size + 7) / 8 * 8 : value_size; }

    std::string name;
    int fd;
    std::size_t key_size;
    std::size_t value_size;
    bool is_array = false;
    std::size_t cpus = 0; ///< 0: one value for all
};

/// Runs one case. Failures that make the rest meaningless are thrown as std::runtime_error.
class CaseRun {
public:
    CaseRun(const FilterCase& test, const FilterEngine& engine, CaseReport& report)
        : test_(test), engine_(engine), report_(report) {}

    void run(const std::filesystem::path& object_dir) {
        if (!load(object_dir / test_.object)) return;
        fill_maps();
        fill_stages();
        for (const PacketStep& step : test_.packets) run_packet(step);
        for (const MapContents& contents : test_.expect) compare_map(contents);
    }

private:
    [[noreturn]] static void stop(const std::string& why) { throw std::runtime_error(why); }
    template<class... Args>
    void fail(fmt::format_string<Args...> text, Args&&... args) {
        report_.failures.push_back(fmt::format(text, std::forward<Args>(args)...));
    }

    /// False when the engine refuses bpf() altogether.
    bool load(const std::filesystem::path& path) {
        t_warnings.clear();
        libbpf_set_print(keep_warning);
        object_.reset(bpf_object__open_file(path.c_str(), nullptr));
        if (!object_) stop(fmt::format("{} cannot be opened: {}", path.string(), std::strerror(errno)));
        for (const auto& [variable, bytes] : test_.rodata) set_rodata(variable, bytes);
        int error = bpf_object__load(object_.get());
        if (error == -EPERM && engine_.may_refuse) {
            report_.refused = fmt::format("bpf() on {} refused: {}", engine_.name, std::strerror(EPERM));
            return false;
        }
        if (error) stop(fmt::format("load: {}\n{}", std::strerror(-error), t_warnings));
        program_ = program_fd(test_.program);
        return true;
    }

    int program_fd(const std::string& name) {
        bpf_program* program = bpf_object__find_program_by_name(object_.get(), name.c_str());
        if (!program) stop(fmt::format("no program '{}'", name));
        return bpf_program__fd(program);
    }

    MapView map(const std::string& name) {
        bpf_map* map = bpf_object__find_map_by_name(object_.get(), name.c_str());
        if (!map) stop(fmt::format("no map '{}'", name));
        return MapView(map);
    }

    /// Finds the variable through BTF, as a skeleton would, and writes the value libbpf will load.
    void set_rodata(const std::string& variable, const std::string& bytes) {
        const btf* types = bpf_object__btf(object_.get());
        int id = btf__find_by_name_kind(types, ".rodata", BTF_KIND_DATASEC);
        if (id < 0) stop("no .rodata");
        const btf_type* section = btf__type_by_id(types, static_cast<unsigned>(id));
        for (unsigned i = 0; i < btf_vlen(section); i++) {
            const btf_var_secinfo& info = btf_var_secinfos(section)[i];
            const btf_type* type = btf__type_by_id(types, info.type);
            if (variable != btf__name_by_offset(types, type->name_off)) continue;
            if (info.size != bytes.size()) stop(fmt::format("{} has {} bytes", variable, info.size));
            bpf_map* found = nullptr;
            bpf_object__for_each_map(found, object_.get()) {
                if (std::string(bpf_map__name(found)).ends_with(".rodata")) break;
            }
            if (!found) stop("no map for .rodata");
            std::size_t size = 0;
            auto* values = static_cast<char*>(const_cast<void*>(bpf_map__initial_value(found, &size)));
            if (!values || info.offset + info.size > size) stop(".rodata has no initial value");
            std::memcpy(values + info.offset, bytes.data(), bytes.size());
            return;
        }
        stop(fmt::format("no variable '{}' in .rodata", variable));
    }

    void fill_maps() {
        for (const MapContents& contents : test_.maps) {
            MapView view = map(contents.map);
            if (view.cpus) stop(fmt::format("{}: per-CPU maps are not preloaded", contents.map));
            for (const MapEntry& entry : contents.entries) {
                check_sizes(view, entry);
                if (bpf_map_update_elem(view.fd, entry.key.data(), entry.value.bytes.data(), BPF_ANY))
                    stop(fmt::format("{}[{}]: {}", view.name, hex(entry.key), std::strerror(errno)));
            }
        }
    }

    void fill_stages() {
        for (const auto& [slot, program] : test_.stages) {
            int fd = program_fd(program);
            if (bpf_map_update_elem(map("stages").fd, &slot, &fd, BPF_ANY))
                stop(fmt::format("stages[{}]: {}", slot, std::strerror(errno)));
        }
    }

    static void check_sizes(const MapView& view, const MapEntry& entry) {
        if (entry.key.size() != view.key_size || entry.value.bytes.size() != view.value_size)
            stop(fmt::format("{}[{}]: key and value have {} and {} bytes, the map {} and {}", view.name,
                             hex(entry.key), entry.key.size(), entry.value.bytes.size(), view.key_size,
                             view.value_size));
    }

    void run_packet(const PacketStep& step) {
        if (engine_.set_clock) engine_.set_clock(object_.get(), step.now_ns);
        std::string in = step.in;
        std::string out(step.in.size() + 512, '\0');
        LIBBPF_OPTS(bpf_test_run_opts, options, .data_in = in.data(), .data_out = out.data(),
                    .data_size_in = static_cast<unsigned>(in.size()),
                    .data_size_out = static_cast<unsigned>(out.size()), .repeat = 1);
        if (bpf_prog_test_run_opts(program_, &options)) {
            fail("{}: test run: {}", step.name, std::strerror(errno));
            return;
        }
        report_.packets++;
        if (step.clocked && !engine_.set_clock) {
            report_.uncompared.push_back(step.name);
            return;
        }
        if (options.retval != step.verdict)
            fail("{}: verdict {}, expected {}", step.name, options.retval, step.verdict);
        out.resize(options.data_size_out);
        if (out != step.out) fail("{}: packet\n  {}\nexpected\n  {}", step.name, hex(out), hex(step.out));
    }

    /// Value at the key; of a per-CPU map the one CPU's that is not all zero.
    std::optional<std::string> value_at(const MapView& view, const std::string& key) {
        std::string raw(view.stride() * std::max<std::size_t>(view.cpus, 1), '\0');
        if (bpf_map_lookup_elem(view.fd, key.data(), raw.data())) return std::nullopt;
        std::string value = raw.substr(0, view.value_size);
        for (std::size_t cpu = 1; cpu < view.cpus; cpu++) {
            std::string other = raw.substr(cpu * view.stride(), view.value_size);
            if (is_zero(other)) continue;
            if (!is_zero(value)) fail("{}[{}]: values on two CPUs", view.name, hex(key));
            value = other;
        }
        return value;
    }

    void compare_map(const MapContents& contents) {
        MapView view = map(contents.map);
        for (const MapEntry& entry : contents.entries) {
            check_sizes(view, entry);
            compare_entry(view, entry);
        }
        std::string key(view.key_size, '\0'), next(view.key_size, '\0');
        bool first = true;
        while (!bpf_map_get_next_key(view.fd, first ? nullptr : key.data(), next.data())) {
            key = next;
            first = false;
            bool listed = false;
            for (const MapEntry& entry : contents.entries) listed = listed || entry.key == key;
            if (listed) continue;
            std::optional<std::string> value = value_at(view, key);
            if (view.is_array && value && is_zero(*value)) continue;
            fail("{}[{}] = {} was not expected", view.name, hex(key), value ? hex(*value) : "(gone)");
        }
        if (errno != ENOENT) fail("{}: next key: {}", view.name, std::strerror(errno));
    }

    void compare_entry(const MapView& view, const MapEntry& entry) {
        std::optional<std::string> value = value_at(view, entry.key);
        if (!value) {
            fail("{}[{}] is missing", view.name, hex(entry.key));
            return;
        }
        bool left_out = false;
        for (std::size_t i = 0; i < value->size(); i++) {
            Kind kind = entry.value.kinds[i];
            if (kind == Kind::clocked && !engine_.set_clock) left_out = true;
            if (kind == Kind::any || (kind == Kind::clocked && !engine_.set_clock)) continue;
            if ((*value)[i] == entry.value.bytes[i]) continue;
            fail("{}[{}] at byte {}: {}, expected {}", view.name, hex(entry.key), i, hex(*value),
                 hex(entry.value.bytes));
            return;
        }
        if (left_out) report_.uncompared.push_back(fmt::format("{}[{}]", view.name, hex(entry.key)));
    }

    const FilterCase& test_;
    const FilterEngine& engine_;
    CaseReport& report_;
    Object object_;
    int program_ = -1;
};

} // namespace

CaseReport run_filter_case(const FilterCase& test, const std::filesystem::path& object_dir,
                           const FilterEngine& engine) {
    CaseReport report;
    OneCpu pinned;
    try {
        CaseRun(test, engine, report).run(object_dir);
    } catch (const std::exception& e) {
        report.failures.emplace_back(e.what());
    }
    return report;
}

std::vector<std::string> programs_of(const std::filesystem::path& path) {
    Object object(bpf_object__open_file(path.c_str(), nullptr));
    if (!object) throw std::runtime_error(fmt::format("{}: {}", path.string(), std::strerror(errno)));
    std::vector<std::string> names;
    bpf_program* program = nullptr;
    bpf_object__for_each_program(program, object.get()) names.emplace_back(bpf_program__name(program));
    return names;
}

} // namespace xdplane::test
