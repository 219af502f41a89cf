// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
#include <cstdio>
#include <nlohmann/json.hpp>

#include "bpf/libbpf/object.h"
#include "bpf/prog/program_type.h"
#include "cli/command.h"
#include "dataplane/config.h"

namespace xdplane::cli {
namespace {

namespace po = boost::program_options;
using Json = nlohmann::ordered_json;

constexpr std::string_view kUsageLine = "xdplane verify OBJ... [--log] [--json]";
constexpr std::string_view kAbout =
    "Loads every program of the objects by itself and says whether the verifier accepts it.";
constexpr std::string_view kExamples =
    "One line per program: accepted, with the instructions it has and those that the verifier processed,\n"
    "or rejected, with the verifier's last line. Exit status 0 only if all are accepted.\n"
    "\nExamples:\n"
    "  xdplane verify build/filters/*.bpf.o\n"
    "  xdplane verify --log my.bpf.o\n"
    "  xdplane verify --json my.bpf.o | jq '.programs[] | select(.verdict == \"rejected\")'";

struct Verdict {
    Object::ProgramInfo program;
    bool accepted = false;
    u64 insns = 0;
    u64 processed = 0;
    std::string reason;
    std::string log;
};

/// "processed 25 insns (limit 1000000) ..." is how the verifier's log ends.
u64 processed_in(const std::string& log) {
    const std::size_t at = log.rfind("processed ");
    return at == std::string::npos ? 0 : std::strtoull(log.c_str() + at + 10, nullptr, 10);
}

std::string type_name(u32 type) {
    const ProgramType* row = find_program_type(type);
    return row != nullptr ? std::string(row->name) : fmt::format("type {}", type);
}

/// Loads one program, and the others only as far as its program arrays hold them.
Result<Verdict> judge(const std::string& path, const Object::ProgramInfo& program, bool with_log) {
    Verdict verdict{.program = program, .insns = program.insns};
    auto object = Object::open(path);
    if (!object) return fail(object.error());
    const std::string names[] = {program.name};
    if (auto done = (*object)->select(names); !done) return fail(done.error());
    if (with_log) (*object)->set_log_level(1);
    const auto loaded = (*object)->load();
    verdict.log = (*object)->log();
    const auto result = (*object)->program(program.name);
    verdict.accepted = loaded.has_value() && result != nullptr;
    if (verdict.accepted) {
        verdict.insns = result->parts().insns.size();
        verdict.processed = result->parts().insns_processed;
        return verdict;
    }
    verdict.processed = processed_in(verdict.log);
    verdict.reason = !(*object)->reason().empty() ? (*object)->reason()
                     : loaded.has_value()         ? "was not loaded"
                                                  : loaded.error().message;
    const std::string& rejected = (*object)->rejected_program();
    if (!rejected.empty() && rejected != program.name)
        verdict.reason = fmt::format("{} (in {}, which it tail-calls)", verdict.reason, rejected);
    return verdict;
}

void print_line(const std::string& path, const Verdict& verdict, bool with_log) {
    const std::string where = fmt::format("{}:{} ({})", path, verdict.program.name, verdict.program.section);
    if (with_log && !verdict.log.empty())
        fmt::print("{}{}", verdict.log, verdict.log.ends_with('\n') ? "" : "\n");
    if (verdict.accepted)
        fmt::print("{}: accepted, {} insns, {} processed\n", where, verdict.insns, verdict.processed);
    else
        fmt::print("{}: rejected: {}\n", where, verdict.reason);
}

Json to_json(const std::string& path, const Verdict& verdict, bool with_log) {
    Json json{{"object", path},
              {"program", verdict.program.name},
              {"section", verdict.program.section},
              {"type", type_name(verdict.program.type)},
              {"verdict", verdict.accepted ? "accepted" : "rejected"},
              {"insns", verdict.insns},
              {"processed", verdict.processed},
              {"reason", verdict.reason}};
    if (with_log) json["log"] = verdict.log;
    return json;
}

} // namespace

int verify_command(const std::vector<std::string>& words) {
    std::vector<std::string> paths;
    bool with_log = false;
    bool json = false;
    Options options{kUsageLine, kAbout, kExamples};
    options.visible.add_options()                                       //
        ("log", po::bool_switch(&with_log), "the verifier's whole log") //
        ("json", po::bool_switch(&json), "one JSON object on standard output");
    options.hidden.add_options()("object", po::value(&paths));
    options.positional.add("object", -1);
    po::variables_map values;
    if (!options.parse(words, values)) return kSuccess;
    if (paths.empty()) throw UsageError("no object to verify");

    bool all_accepted = true;
    Json programs = Json::array();
    for (const std::string& given : paths) {
        const std::string path = find_object(given);
        const auto object = Object::open(path);
        if (!object) {
            all_accepted = false;
            print_error(object.error().message);
            continue;
        }
        if ((*object)->programs().empty()) {
            all_accepted = false;
            print_error(fmt::format("{}: has no program", path));
        }
        for (const Object::ProgramInfo& program : (*object)->programs()) {
            const auto verdict = judge(path, program, with_log);
            if (!verdict) {
                all_accepted = false;
                print_error(verdict.error().message);
                continue;
            }
            all_accepted &= verdict->accepted;
            if (json)
                programs.push_back(to_json(path, *verdict, with_log));
            else
                print_line(path, *verdict, with_log);
        }
    }
    if (json)
        fmt::print("{}\n", Json{{"programs", programs}}.dump(-1, ' ', false, Json::error_handler_t::replace));
    return all_accepted ? kSuccess : kFailure;
}

} // namespace xdplane::cli
