// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
#include "cli/explanation.h"

#include <cstdlib>
#include <fmt/format.h>
#include <unistd.h>

#include "cli/command.h"

namespace xdplane::cli {
namespace {

using Json = nlohmann::ordered_json;

/// Source lines and names are the object's: what a terminal must not see is left out.
std::string printable(std::string_view text) {
    std::string out(text);
    for (char& c : out)
        if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) c = ' ';
    return out;
}

Json insn_json(const ExplainedInsn& one) {
    Json json{{"insn", one.insn}, {"code", one.code}};
    if (!one.what.empty()) json["what"] = one.what;
    if (one.source.line != 0) {
        json["file"] = one.source.file;
        json["line"] = one.source.line;
        json["column"] = one.source.column;
        json["source"] = one.source.text;
    }
    return json;
}

Json insns_json(const std::vector<ExplainedInsn>& insns) {
    Json json = Json::array();
    for (const ExplainedInsn& one : insns) json.push_back(insn_json(one));
    return json;
}

} // namespace

bool use_color(const std::string& when) {
    if (when == "always") return true;
    if (when == "never") return false;
    if (when != "auto") throw UsageError(fmt::format("--color {}: must be auto, always or never", when));
    const char* no_color = std::getenv("NO_COLOR");
    const char* terminal = std::getenv("TERM");
    if (no_color != nullptr && *no_color != '\0') return false;
    if (terminal != nullptr && std::string_view(terminal) == "dumb") return false;
    return ::isatty(STDOUT_FILENO) != 0;
}

std::string Paint::in(std::string_view code, std::string_view text) const {
    return on_ ? fmt::format("\033[{}m{}\033[0m", code, text) : std::string(text);
}

std::string explanation_text(const Explanation& explanation, const Paint& paint) {
    using Role = ExplanationLine::Role;
    std::string out;
    for (const ExplanationLine& line : explanation_lines(explanation)) {
        const std::string text = printable(line.text);
        out += line.role == Role::missing ? "  " : line.role == Role::code ? "      " : "    ";
        switch (line.role) {
        case Role::missing: out += paint.strong(text); break;
        case Role::fix: out += paint.help(text); break;
        case Role::branch:
        case Role::code: out += paint.faint(text); break;
        case Role::detail:
        case Role::place:
        case Role::origin: out += text; break;
        }
        out += '\n';
    }
    return out;
}

Json explanation_json(const Explanation& explanation) {
    Json json{{"kind", explanation.kind},
              {"missing", explanation.missing},
              {"fix", explanation.fix},
              {"detail", explanation.detail}};
    json["at"] = explanation.at ? insn_json(*explanation.at) : Json();
    json["origin"] = insns_json(explanation.origin);
    json["path"] = insns_json(explanation.branches);
    json["path_before"] = explanation.branches_before;
    return json;
}

} // namespace xdplane::cli
