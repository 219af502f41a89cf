// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
#include <cerrno>
#include <csignal>
#include <cstdio>
#include <nlohmann/json.hpp>
#include <system_error>
#include <unistd.h>

#include "bpf/libbpf/object.h"
#include "bpf/prog/program_type.h"
#include "cli/command.h"
#include "cli/explanation.h"
#include "dataplane/config.h"

namespace xdplane::cli {
namespace {

namespace po = boost::program_options;
using Json = nlohmann::ordered_json;

constexpr std::string_view kUsageLine = "xdplane verify OBJ... [options]";
constexpr std::string_view kAbout =
    "Loads every program of the objects by itself and says whether the verifier accepts it.";
constexpr std::string_view kExamples =
    "One line per program: accepted, with the instructions it has and those that the verifier processed,\n"
    "or rejected, with the verifier's last line and an explanation: which check is missing, where the value\n"
    "came from, the branches that led there, and what usually fixes it. Lines of source need an object made\n"
    "with clang -g. The log is in Linux's words; as on Linux, level 1 says little of what is accepted.\n"
    "\nExit status 0 only if all are accepted, 1 if a program is rejected or an object damaged, 2 for bad "
    "usage, 130 if a signal ended it.\n"
    "\nExamples:\n"
    "  xdplane verify build/filters/*.bpf.o\n"
    "  xdplane verify --log-level 2 my.bpf.o | less\n"
    "  xdplane verify --stats --color never my.bpf.o other.bpf.o\n"
    "  xdplane verify --unprivileged my.bpf.o\n"
    "  xdplane verify --json my.bpf.o | jq '.programs[] | select(.verdict == \"rejected\") | "
    ".explanation.fix'";

/// Words of --log-level, bits of BPF_LOG_LEVEL.
struct LevelRow {
    std::string_view word;
    u32 bits;
};
constexpr LevelRow kLevels[] = {
    {"1", kLogBasic},
    {"2", kLogVerbose},
    {"stats", kLogStats},
    {"1,stats", kLogBasic | kLogStats},
    {"2,stats", kLogVerbose | kLogStats},
};

u32 log_level(const std::string& word) {
    for (const LevelRow& row : kLevels)
        if (row.word == word) return row.bits;
    throw UsageError(fmt::format("--log-level {}: must be 1, 2, stats, 1,stats or 2,stats", word));
}

struct Show {
    u32 level = 0;
    bool stats = false;
    Paint paint{false};
};

struct Verdict {
    Object::ProgramInfo program;
    bool accepted = false;
    u64 insns = 0;
    LoadReport report;
    std::string reason;
    std::string log;
};

std::string type_name(u32 type) {
    const ProgramType* row = find_program_type(type);
    return row != nullptr ? std::string(row->name) : fmt::format("type {}", type);
}

/// The last report of the program; names are cut to what bpf(2) takes.
LoadReport report_of(const Object& object, const std::string& name) {
    constexpr std::size_t kLongest = 15;
    for (std::size_t i = object.reports().size(); i-- > 0;)
        if (object.reports()[i].name == name.substr(0, kLongest)) return object.reports()[i];
    return {};
}

/// Loads one program, and the others only as far as its program arrays hold them.
Result<Verdict> judge(const std::string& path, const Object::ProgramInfo& program, u32 level) {
    Verdict verdict{.program = program, .insns = program.insns};
    auto object = Object::open(path);
    if (!object) return fail(object.error());
    const std::string names[] = {program.name};
    if (auto done = (*object)->select(names); !done) return fail(done.error());
    (*object)->set_log_level(level);
    const auto loaded = (*object)->load();
    verdict.log = (*object)->log();
    const auto result = (*object)->program(program.name);
    verdict.accepted = loaded.has_value() && result != nullptr;
    const std::string& rejected = (*object)->rejected_program();
    verdict.report = report_of(**object, verdict.accepted || rejected.empty() ? program.name : rejected);
    if (verdict.accepted) {
        verdict.insns = result->parts().insns.size();
        return verdict;
    }
    verdict.reason = !(*object)->reason().empty() ? (*object)->reason()
                     : loaded.has_value()         ? "was not loaded"
                                                  : loaded.error().message;
    if (!rejected.empty() && rejected != program.name)
        verdict.reason = fmt::format("{} (in {}, which it tail-calls)", verdict.reason, rejected);
    return verdict;
}

void print_stats(const Verdict& verdict) {
    const VerifierStats& stats = verdict.report.stats;
    std::string depths;
    for (const u32 depth : stats.stack_depths)
        depths += fmt::format("{}{}", depths.empty() ? "" : "+", depth);
    fmt::print("    {} insns processed, {} states ({} at once, {} at one insn), stack {} bytes, {:.3f} ms\n",
               stats.insns_processed, stats.total_states, stats.peak_states, stats.max_states_per_insn,
               depths.empty() ? "0" : depths, static_cast<double>(verdict.report.verify_ns) / 1e6);
}

void print_verdict(const std::string& path, const Verdict& verdict, const Show& show) {
    const std::string where = fmt::format("{}:{} ({})", path, verdict.program.name, verdict.program.section);
    if (show.level != 0 && !verdict.log.empty())
        fmt::print("{}{}", verdict.log, verdict.log.ends_with('\n') ? "" : "\n");
    if (verdict.accepted)
        fmt::print("{}: {}, {} insns, {} processed\n", where, show.paint.good("accepted"), verdict.insns,
                   verdict.report.stats.insns_processed);
    else
        fmt::print("{}: {}: {}\n", where, show.paint.bad("rejected"), verdict.reason);
    if (show.stats && !verdict.report.name.empty()) print_stats(verdict);
    if (verdict.report.explanation)
        fmt::print("{}", explanation_text(*verdict.report.explanation, show.paint));
}

Json to_json(const std::string& path, const Verdict& verdict, const Show& show) {
    const VerifierStats& stats = verdict.report.stats;
    Json json{{"object", path},
              {"program", verdict.program.name},
              {"section", verdict.program.section},
              {"type", type_name(verdict.program.type)},
              {"verdict", verdict.accepted ? "accepted" : "rejected"},
              {"insns", verdict.insns},
              {"processed", stats.insns_processed},
              {"reason", verdict.reason}};
    if (verdict.report.explanation) json["explanation"] = explanation_json(*verdict.report.explanation);
    if (show.stats)
        json["stats"] = {{"total_states", stats.total_states},
                         {"peak_states", stats.peak_states},
                         {"max_states_per_insn", stats.max_states_per_insn},
                         {"stack_depths", stats.stack_depths},
                         {"verify_ns", verdict.report.verify_ns}};
    if (show.level != 0) json["log"] = verdict.log;
    return json;
}

/// A verification may take seconds and leaves nothing behind: maps and programs are this process's own.
void stop_on_signals() {
    struct sigaction action{};
    action.sa_handler = [](int) {
        static constexpr char kText[] = "xdplane: interrupted\n";
        (void)!::write(STDERR_FILENO, kText, sizeof kText - 1);
        ::_exit(kInterrupted);
    };
    ::sigaction(SIGINT, &action, nullptr);
    ::sigaction(SIGTERM, &action, nullptr);
}

/// All programs of one object; false if any is not accepted.
bool verify_object(const std::string& path, const Show& show, Json* programs) {
    const auto object = Object::open(path);
    if (!object) {
        print_error(object.error().message);
        return false;
    }
    if ((*object)->programs().empty()) print_error(fmt::format("{}: has no program", path));
    bool all_accepted = !(*object)->programs().empty();
    for (const Object::ProgramInfo& program : (*object)->programs()) {
        const auto verdict = judge(path, program, show.level);
        if (!verdict) {
            all_accepted = false;
            print_error(verdict.error().message);
            continue;
        }
        all_accepted &= verdict->accepted;
        if (programs != nullptr)
            programs->push_back(to_json(path, *verdict, show));
        else
            print_verdict(path, *verdict, show);
        // A signal may end the next one; and if nobody reads this one, nobody will read that.
        if (std::fflush(stdout) != 0) throw std::system_error(errno, std::generic_category());
    }
    return all_accepted;
}

} // namespace

int verify_command(const std::vector<std::string>& words) {
    std::vector<std::string> paths;
    std::string level;
    std::string color = "auto";
    bool with_log = false;
    bool json = false;
    bool unprivileged = false;
    Show show;
    Options options{kUsageLine, kAbout, kExamples};
    options.visible.add_options()                                             //
        ("log", po::bool_switch(&with_log), "the verifier's log, at level 1") //
        ("log-level", po::value(&level)->value_name("LEVEL"),
         "the log at level 1, 2 (every path), stats, 1,stats or 2,stats")                    //
        ("stats", po::bool_switch(&show.stats), "what each verification took")               //
        ("unprivileged", po::bool_switch(&unprivileged), "the rules for unprivileged users") //
        ("color", po::value(&color)->value_name("WHEN"), "auto (default), always or never")  //
        ("json", po::bool_switch(&json), "one JSON object on standard output");
    options.hidden.add_options()("object", po::value(&paths));
    options.positional.add("object", -1);
    po::variables_map values;
    if (!options.parse(words, values)) return kSuccess;
    if (paths.empty()) throw UsageError("no object to verify");
    show.level = !level.empty() ? log_level(level) : with_log ? u32{kLogBasic} : 0;
    show.paint = Paint(use_color(color));
    set_unprivileged(unprivileged);

    stop_on_signals();
    bool all_accepted = true;
    Json programs = Json::array();
    for (const std::string& given : paths)
        all_accepted &= verify_object(find_object(given), show, json ? &programs : nullptr);
    if (json)
        fmt::print("{}\n", Json{{"programs", programs}}.dump(-1, ' ', false, Json::error_handler_t::replace));
    return all_accepted ? kSuccess : kFailure;
}

} // namespace xdplane::cli
