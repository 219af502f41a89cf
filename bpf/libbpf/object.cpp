// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
#include "bpf/libbpf/object.h"

#include <algorithm>
#include <bpf/btf.h>
#include <bpf/libbpf.h>
#include <cerrno>
#include <cstdarg>
#include <cstdio>
#include <cstring>
#include <fcntl.h>
#include <mutex>
#include <sys/stat.h>
#include <unistd.h>

#include "bpf/base/unique_fd.h"
#include "bpf/btf/btf.h"
#include "bpf/libbpf/elf_check.h"
#include "bpf/libbpf/messages.h"
#include "bpf/libbpf/wrap.h"
#include "bpf/syscall/bpf_system.h"

namespace xdplane {

namespace {

constexpr off_t kLargestFile = 256 << 20;

Result<std::vector<u8>> read_file(const std::string& path) {
    const UniqueFd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
    if (!fd) return fail(errno, "{}", std::strerror(errno));
    struct stat st{};
    if (::fstat(fd.get(), &st) != 0) return fail(errno, "{}", std::strerror(errno));
    if (!S_ISREG(st.st_mode)) return fail(EINVAL, "not a file");
    if (st.st_size > kLargestFile) return fail(EFBIG, "too big for an object file");
    std::vector<u8> bytes(static_cast<std::size_t>(st.st_size));
    std::size_t done = 0;
    while (done < bytes.size()) {
        const ssize_t n = ::read(fd.get(), bytes.data() + done, bytes.size() - done);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) return fail(errno, "{}", std::strerror(errno));
        if (n == 0) break;
        done += static_cast<std::size_t>(n);
    }
    bytes.resize(done);
    return bytes;
}

/// The object's name as libbpf makes it of a path: it prefixes the maps of global data.
std::string object_name_of(const std::string& path) {
    std::string name = path.substr(path.rfind('/') + 1);
    name.resize(std::min(name.find('.'), name.size()));
    return name.empty() ? "object" : name;
}

bpf_map* find_map(bpf_object* object, const std::string& name) {
    return object != nullptr ? bpf_object__find_map_by_name(object, name.c_str()) : nullptr;
}
bpf_program* find_program(bpf_object* object, const std::string& name) {
    return object != nullptr ? bpf_object__find_program_by_name(object, name.c_str()) : nullptr;
}

} // namespace

Result<std::unique_ptr<Object>> Object::open(const std::string& path) {
    const auto bytes = read_file(path);
    if (!bytes) return fail(bytes.error(), path);
    return open(*bytes, path);
}

Result<std::unique_ptr<Object>> Object::open(std::span<const u8> bytes, const std::string& name) {
    if (!libbpf_is_wrapped()) return fail(ENOSYS, "libbpf is not wrapped");
    std::unique_ptr<Object> object(new Object);
    object->file_ = name;
    object->bytes_.assign(bytes.begin(), bytes.end());
    auto facts = check_elf(object->bytes_);
    if (!facts) return fail(facts.error(), name);
    object->map_programs_ = std::move(facts->map_programs);

    const std::string object_name = object_name_of(name);
    bpf_object_open_opts options{};
    options.sz = sizeof options;
    options.object_name = object_name.c_str();
    MessageCapture messages;
    object->object_ = bpf_object__open_mem(object->bytes_.data(), object->bytes_.size(), &options);
    if (object->object_ == nullptr) {
        const int code = errno;
        return fail(code, "{}: {}", name, messages.last_line(std::strerror(code)));
    }
    object->list();
    return object;
}

Object::~Object() {
    if (object_ == nullptr) return;
    const MessageCapture messages;
    bpf_object__close(object_);
}

void Object::list() {
    bpf_program* program = nullptr;
    bpf_object__for_each_program(program, object_) {
        programs_.push_back({bpf_program__name(program), bpf_program__section_name(program),
                             static_cast<u32>(bpf_program__type(program)),
                             static_cast<u32>(bpf_program__insn_cnt(program))});
    }
    bpf_map* map = nullptr;
    bpf_object__for_each_map(map, object_) {
        maps_.push_back({bpf_map__name(map), static_cast<u32>(bpf_map__type(map)), bpf_map__key_size(map),
                         bpf_map__value_size(map), bpf_map__max_entries(map), bpf_map__is_internal(map),
                         bpf_map__map_flags(map), bpf_map__btf_value_type_id(map)});
    }
}

std::shared_ptr<const Btf> Object::btf() const {
    const struct btf* btf = bpf_object__btf(object_);
    if (btf == nullptr) return nullptr;
    u32 size = 0;
    const void* bytes = btf__raw_data(btf, &size);
    if (bytes == nullptr) return nullptr;
    auto parsed = Btf::parse({static_cast<const u8*>(bytes), size}, Btf::Source::object_file);
    return parsed ? std::move(*parsed) : nullptr;
}

Result<> Object::select(std::span<const std::string> names) {
    for (const std::string& name : names)
        if (find_program(object_, name) == nullptr) return fail(ENOENT, "{}: no program '{}'", file_, name);
    bpf_program* program = nullptr;
    bpf_object__for_each_program(program, object_) {
        const std::string name = bpf_program__name(program);
        const bool wanted = std::ranges::find(names, name) != names.end() || map_programs_.contains(name);
        bpf_program__set_autoload(program, wanted);
    }
    return {};
}

Result<> Object::reuse_map(const std::string& name, const std::shared_ptr<Map>& map) {
    bpf_map* own = find_map(object_, name);
    if (own == nullptr) return fail(ENOENT, "{}: no map '{}'", file_, name);
    const MapSpec& spec = map->spec();
    if (spec.type != static_cast<u32>(bpf_map__type(own)) || spec.key_size != bpf_map__key_size(own) ||
        spec.value_size != bpf_map__value_size(own))
        return fail(EINVAL, "{}: map '{}' has another type or other sizes than the one to use", file_, name);
    const auto fd = open_map_fd(map);
    if (!fd) return fail(fd.error(), file_);
    const MessageCapture messages;
    const int error = bpf_map__reuse_fd(own, *fd);
    close_object_fd(*fd);
    if (error != 0)
        return fail(-error, "{}: map '{}' cannot be replaced: {}", file_, name, std::strerror(-error));
    return {};
}

Result<> Object::set_initial_value(const std::string& name, std::span<const u8> bytes) {
    bpf_map* map = find_map(object_, name);
    if (map == nullptr) return fail(ENOENT, "{}: no map '{}'", file_, name);
    const MessageCapture messages;
    if (const int error = bpf_map__set_initial_value(map, bytes.data(), bytes.size()); error != 0)
        return fail(-error, "{}: map '{}' takes no initial value of {} bytes", file_, name, bytes.size());
    return {};
}

Result<> Object::load() {
    if (loaded_) return fail(EINVAL, "{}: loaded already", file_);
    bpf_program* program = nullptr;
    if (log_level_ != 0)
        bpf_object__for_each_program(program, object_) bpf_program__set_log_level(program, log_level_);
    MessageCapture messages;
    const LoadWatch watch(reports_);
    const int error = bpf_object__load(object_);
    const VerifierMessages verifier = read_verifier_messages(messages.text());
    log_ = verifier.log;
    if (error == 0) {
        loaded_ = true;
        return {};
    }
    rejected_program_ = verifier.program;
    reason_ = verifier.reason;
    if (!reason_.empty()) return fail(-error, "{}: program {}: {}", file_, rejected_program_, reason_);
    return fail(-error, "{}: {}", file_, messages.last_line(std::strerror(-error)));
}

int Object::program_fd(const std::string& name) const {
    const bpf_program* program = loaded_ ? find_program(object_, name) : nullptr;
    const int fd = program != nullptr ? bpf_program__fd(program) : -1;
    return std::max(fd, -1);
}

int Object::map_fd(const std::string& name) const {
    const bpf_map* map = loaded_ ? find_map(object_, name) : nullptr;
    const int fd = map != nullptr ? bpf_map__fd(map) : -1;
    return std::max(fd, -1);
}

std::shared_ptr<const Program> Object::program(const std::string& name) const {
    return program_from_fd(program_fd(name));
}

std::shared_ptr<Map> Object::map(const std::string& name) const { return map_from_fd(map_fd(name)); }

} // namespace xdplane
