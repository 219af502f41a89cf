// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
#pragma once
#include <memory>
#include <set>
#include <span>
#include <string>
#include <vector>

#include "bpf/base/result.h"
#include "bpf/maps/map.h"
#include "bpf/prog/program.h"
#include "bpf/syscall/load_report.h"

struct bpf_object;

namespace xdplane {

/// An object file, opened and loaded by stock libbpf into this process's own bpf(2).
///
///     auto object = Object::open("filter.bpf.o");   // checked, parsed, nothing loaded
///     object->select({"xdp_filter"});               // optional, as are the other preparations
///     object->load();                               // maps made, programs verified and compiled
///     std::shared_ptr<const Program> p = object->program("xdp_filter");
///
/// Ownership: programs and maps are shared and outlive the Object, except that a program array lets go of its
/// programs when its last fd closes, as on Linux: whoever runs programs that tail-call keeps the Object too.
/// Control threads; libbpf is entered by one thread at a time.
class Object {
public:
    struct ProgramInfo {
        std::string name;
        std::string section;
        u32 type = 0;  ///< enum bpf_prog_type; 0 if libbpf does not know the section
        u32 insns = 0; ///< as in the file, without the sub-programs
    };
    struct MapInfo {
        std::string name; ///< global data: ".rodata", ".data", ".bss" behind the object's name
        u32 type = 0;
        u32 key_size = 0;
        u32 value_size = 0;
        u32 max_entries = 0;
        bool global_data = false;
        u32 flags = 0;             ///< BPF_F_*
        u32 btf_value_type_id = 0; ///< in btf(); 0 without
    };

    /// Errors name the file: ENOENT and its like, EINVAL for what is not a sound BPF object.
    [[nodiscard]] static Result<std::unique_ptr<Object>> open(const std::string& path);
    /// The same from memory; `name` stands for the file in errors.
    [[nodiscard]] static Result<std::unique_ptr<Object>> open(std::span<const u8> bytes,
                                                              const std::string& name);
    ~Object();
    Object(const Object&) = delete;
    Object& operator=(const Object&) = delete;

    [[nodiscard]] const std::string& file() const { return file_; }
    [[nodiscard]] std::span<const u8> bytes() const { return bytes_; }
    [[nodiscard]] const std::vector<ProgramInfo>& programs() const { return programs_; }
    [[nodiscard]] const std::vector<MapInfo>& maps() const { return maps_; }

    /// The object's types; null if it has none.
    [[nodiscard]] std::shared_ptr<const Btf> btf() const;

    // Before load().

    /// Loads these programs only, and those that program arrays of the file hold. ENOENT for an unknown name.
    [[nodiscard]] Result<> select(std::span<const std::string> names);
    /// Uses a map that lives already instead of making one. EINVAL unless type and sizes agree.
    [[nodiscard]] Result<> reuse_map(const std::string& name, const std::shared_ptr<Map>& map);
    /// The initial bytes of a map of global data (".rodata" constants before they are frozen).
    [[nodiscard]] Result<> set_initial_value(const std::string& name, std::span<const u8> bytes);
    /// BPF_LOG_LEVEL of the verifier, for log(); without it only rejections are logged.
    void set_log_level(u32 level) { log_level_ = level; }

    /// Makes maps and loads programs, all or nothing. The error names the file, the program and the
    /// verifier's last line; its code is Linux's errno.
    [[nodiscard]] Result<> load();

    // After load().

    /// Null if there is none of this name, or it was not selected.
    [[nodiscard]] std::shared_ptr<const Program> program(const std::string& name) const;
    [[nodiscard]] std::shared_ptr<Map> map(const std::string& name) const;
    /// The fds, which the Object owns; -1 if there is none.
    [[nodiscard]] int program_fd(const std::string& name) const;
    [[nodiscard]] int map_fd(const std::string& name) const;
    /// The verifier's log of all programs loaded, and of the rejected one.
    [[nodiscard]] const std::string& log() const { return log_; }
    /// After a failed load(): the rejected program and the verifier's reason; empty if it was something else.
    [[nodiscard]] const std::string& rejected_program() const { return rejected_program_; }
    [[nodiscard]] const std::string& reason() const { return reason_; }
    /// What loading took of each program, and the explanation of what was rejected. A rejected program may be
    /// there more than once: libbpf asks again for the log.
    [[nodiscard]] const std::vector<LoadReport>& reports() const { return reports_; }
    /// libbpf's own handle, for what is not wrapped here.
    [[nodiscard]] bpf_object* handle() const { return object_; }

private:
    Object() = default;
    void list();

    std::string file_;
    std::vector<u8> bytes_; ///< libbpf reads them until load() is done
    bpf_object* object_ = nullptr;
    std::vector<ProgramInfo> programs_;
    std::vector<MapInfo> maps_;
    std::set<std::string> map_programs_;
    u32 log_level_ = 0;
    bool loaded_ = false;
    std::string log_;
    std::string rejected_program_;
    std::string reason_;
    std::vector<LoadReport> reports_;
};

} // namespace xdplane
