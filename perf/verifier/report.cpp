// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
#include "perf/verifier/report.h"

#include <bpf/btf.h>
#include <bpf/libbpf.h>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <map>
#include <nlohmann/json.hpp>
#include <string_view>

namespace xdplane::perf {

namespace {

using Marks = std::map<std::string, std::string>;

struct Listed {
    std::string name;
    std::string section;
    u32 type = 0;
    Marks rejected;
};

/// Function name to its marks: declaration tags "rejected:NUMBER:MESSAGE".
std::map<std::string, Marks> read_marks(const btf* types) {
    std::map<std::string, Marks> marks;
    const u32 count = types != nullptr ? btf__type_cnt(types) : 0;
    for (u32 id = 1; id < count; ++id) {
        const btf_type* tag = btf__type_by_id(types, id);
        if (!btf_is_decl_tag(tag)) continue;
        const std::string_view text = btf__name_by_offset(types, tag->name_off);
        constexpr std::string_view kPrefix = "rejected:";
        if (!text.starts_with(kPrefix)) continue;
        const std::size_t colon = text.find(':', kPrefix.size());
        if (colon == std::string_view::npos) continue;
        const btf_type* function = btf__type_by_id(types, tag->type);
        marks[btf__name_by_offset(types, function->name_off)]
             [std::string(text.substr(kPrefix.size(), colon - kPrefix.size()))] = text.substr(colon + 1);
    }
    return marks;
}

std::vector<Listed> list_programs(bpf_object* object) {
    const auto marks = read_marks(bpf_object__btf(object));
    std::vector<Listed> programs;
    bpf_program* program = nullptr;
    bpf_object__for_each_program(program, object) {
        if (!bpf_program__autoload(program)) bpf_program__set_autoload(program, true);
        Listed one{bpf_program__name(program),
                   bpf_program__section_name(program),
                   static_cast<u32>(bpf_program__type(program)),
                   {}};
        if (const auto found = marks.find(one.name); found != marks.end()) one.rejected = found->second;
        programs.push_back(std::move(one));
    }
    return programs;
}

void print(const std::string& file, const Listed& program, const Verdict* verdict, const std::string& error) {
    nlohmann::ordered_json line{
        {"file", file}, {"program", program.name}, {"section", program.section}, {"type", program.type}};
    if (verdict != nullptr) {
        line["insns"] = verdict->insns;
        line["accepted"] = verdict->error == 0;
        line["error"] = verdict->error;
        line["processed"] = verdict->processed;
        line["verify_ns"] = verdict->verify_ns;
        line["load_ns"] = verdict->load_ns;
        line["message"] = verdict->message;
        if (!verdict->log.empty()) line["log"] = verdict->log;
    } else {
        line["not_loaded"] = error;
    }
    line["rejected"] = nlohmann::ordered_json(program.rejected);
    std::puts(line.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace).c_str());
}

void report(const std::string& file, Observer& observer, const LoadFile& load_file) {
    observer.clear();
    std::vector<Listed> programs;
    const std::string error = load_file(file, [&](bpf_object* object) { programs = list_programs(object); });
    if (programs.empty()) programs.push_back({});
    for (std::size_t i = 0; i < programs.size(); ++i) {
        const Verdict* verdict = i < observer.verdicts().size() ? &observer.verdicts()[i] : nullptr;
        print(file, programs[i], verdict, error);
    }
    std::fflush(stdout);
}

} // namespace

int report_main(int argc, char** argv, Observer& (*make_observer)(unsigned rounds),
                const LoadFile& load_file) {
    unsigned rounds = 1;
    unsigned long log_level = 0;
    std::vector<std::string> files;
    for (int i = 1; i < argc; ++i) {
        const std::string_view argument = argv[i];
        if (argument == "--rounds" && i + 1 < argc) {
            rounds = static_cast<unsigned>(std::strtoul(argv[++i], nullptr, 10));
        } else if (argument == "--log" && i + 1 < argc) {
            log_level = std::strtoul(argv[++i], nullptr, 10);
        } else if (argument == "--list" && i + 1 < argc) {
            std::ifstream list(argv[++i]);
            for (std::string line; std::getline(list, line);)
                if (!line.empty()) files.push_back(line);
        } else {
            files.emplace_back(argument);
        }
    }
    if (files.empty()) {
        std::fprintf(stderr, "usage: %s [--rounds N] [--log LEVEL] [--list FILE] OBJECT...\n", argv[0]);
        return 2;
    }
    Observer& observer = make_observer(rounds);
    observer.keep_log(static_cast<u32>(log_level));
    for (const std::string& file : files) report(file, observer, load_file);
    return 0;
}

} // namespace xdplane::perf
