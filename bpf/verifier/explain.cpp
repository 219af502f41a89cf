// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
#include "bpf/verifier/explain.h"

#include <algorithm>
#include <charconv>
#include <fmt/format.h>

#include "bpf/maps/map.h"
#include "bpf/verifier/describe.h"
#include "bpf/verifier/explain_origin.h"

/// Kinds of rejections: a row each, found by Linux's words, which are the part that never changes.
namespace xdplane {
namespace {

using Source = RejectedPath::Source;

/// What the rows' functions work with.
struct Case {
    const Rejection& rejection;
    const RejectedPath& path;
    i32 reg = -1; ///< that the message names
    RejectedPath::Origin origin;

    [[nodiscard]] const RegState* state() const {
        return rejection.state != nullptr && reg >= 0 && reg < static_cast<i32>(kRegisters)
                   ? &rejection.state->top().regs[static_cast<std::size_t>(reg)]
                   : nullptr;
    }
};

/// "bytes 14 to 17", of the load or store that was rejected; empty for calls.
std::string bytes_accessed(const Case& c, const RegState& pointer) {
    const Insn& insn = c.rejection.insns[c.rejection.insn];
    const OpcodeInfo& row = info(c.rejection.flow.ops[c.rejection.insn]);
    const bool access = row.kind == OpKind::ldx || row.kind == OpKind::st || row.kind == OpKind::stx ||
                        row.kind == OpKind::atomic || row.kind == OpKind::load_acquire ||
                        row.kind == OpKind::store_release;
    if (!access) return {};
    const i64 first = i64{pointer.off} + insn.off;
    const i64 last = first + row.width / 8 - 1;
    return first == last ? fmt::format("byte {}", first) : fmt::format("bytes {} to {}", first, last);
}

std::string packet_detail(const Case& c) {
    const RegState* r = c.state();
    if (r == nullptr || !r->in_packet()) return {};
    const std::string bytes = bytes_accessed(c, *r);
    const std::string base = r->var.is_const() ? "the start" : "a variable offset";
    const std::string known = r->range > 0 ? fmt::format("{} bytes", r->range) : "nothing";
    return fmt::format("{}{} from {}; {} from there is known to lie before data_end",
                       bytes.empty() ? "" : bytes, bytes.empty() ? "counted" : "", base, known);
}

std::string value_detail(const Case& c) {
    const RegState* r = c.state();
    if (r == nullptr || !r->is_pointer()) return {};
    const u32 size =
        r->kind == RegKind::map_value && r->map != nullptr ? r->map->spec().value_size : r->mem_size;
    const std::string bytes = bytes_accessed(c, *r);
    std::string out = fmt::format("r{} is {}", c.reg, describe(*r, c.rejection.state->frame_index()));
    if (!bytes.empty()) out += fmt::format("; {} from there are accessed", bytes);
    return size != 0 ? out + fmt::format(" of {}", size) : out;
}

std::string register_detail(const Case& c) {
    const RegState* r = c.state();
    if (r == nullptr || r->kind == RegKind::not_init) return {};
    return fmt::format("r{} is {}", c.reg, describe(*r, c.rejection.state->frame_index()));
}

/// Pointers to the packet die when it may move, and are numbers then.
void add_move(const Case& c, Explanation& out);

/// The calls whose result nobody gave back.
void add_references(const Case& c, Explanation& out) {
    if (c.rejection.state == nullptr) return;
    for (const Reference& r : c.rejection.state->refs)
        if (r.kind == Reference::Kind::object)
            out.origin.push_back(c.path.describe_insn(r.insn, "the reference was acquired here"));
}

void add_loop(const Case& c, Explanation& out) {
    if (auto loop = c.path.busiest_loop()) out.origin.push_back(std::move(*loop));
}

struct KindRow {
    std::string_view kind;
    std::string_view words[6]; ///< any of them in the message
    std::string_view missing;
    std::string_view fix;
    std::string (*detail)(const Case&) = nullptr;
    void (*more)(const Case&, Explanation&) = nullptr; ///< may change the kind
    bool whole_program = false;                        ///< no insn is to blame
};

// clang-format off
constexpr KindRow kKinds[] = {
    {"packet-bounds", {"offset is outside of the packet", "invalid access to packet"},
     "missing bounds check: packet bytes are accessed that were not compared with data_end",
     "before the access: if (ptr + size > data_end) return XDP_DROP; the same pointer must be compared and used, at the size that is used",
     packet_detail},
    {"null-check", {"_or_null'", "null-check it first", "_or_null expected"},
     "missing null check: the pointer may be null here",
     "test the pointer after the call that returned it: if (!ptr) return ...; and use the tested variable",
     register_detail},
    {"not-a-pointer", {"invalid mem access 'scalar'"},
     "a number is used as a pointer",
     "start from a pointer (ctx->data, a map value, the stack); casts and arithmetic on 32 bits turn a pointer into a number",
     nullptr, add_move},
    {"unbounded-offset", {"unbounded memory access", "min value is negative", "unbounded min value", "pointer be out of bounds", "unbounded variable-offset", "math between"},
     "missing bounds check: an offset or size has no limit that the verifier knows of",
     "make the number unsigned and limit it just before its use: if (n > MAX) return ...; or n &= MAX with MAX a power of two minus one",
     register_detail},
    {"memory-bounds", {"outside of the allowed memory range", "invalid access to map value", "invalid access to memory", "invalid access to map key"},
     "missing bounds check: bytes behind the end of the memory are accessed",
     "compare the index with the size of the value or array before the access; look at the size of the map's value in its definition",
     value_detail},
    {"uninitialised-register", {"!read_ok"},
     "a register is read that was not written on this path",
     "initialise the variable on every path; after a call only r0 and r6 to r9 have a value"},
    {"uninitialised-stack", {"invalid read from stack", "indirect read from stack", "invalid size of register fill"},
     "stack memory is read that was not written on this path, or holds a pointer",
     "initialise the whole variable first, padding included: struct key k = {}; or __builtin_memset(&k, 0, sizeof k)"},
    {"stack-bounds", {"variable-offset", "invalid write to stack", "to stack R", "from stack R", "variable offset stack", " stack R"},
     "the stack is accessed outside of the 512 bytes of its frame, or at an offset that may be",
     "limit the index of the array on the stack before the access, or keep large data in a per-CPU array map",
     register_detail},
    {"reference-leak", {"reference leak"},
     "a reference is not given back on this path",
     "release what was acquired (bpf_ringbuf_submit or _discard, bpf_sk_release, ...) on every path, those of errors too",
     nullptr, add_references},
    {"return-range", {"should have been in [", "R0 is not a known value", "R0 is not a scalar", "R0 not a scalar"},
     "the program may return a value that its type does not allow",
     "return one of the type's constants (XDP_ABORTED to XDP_REDIRECT, 0 or 1 for cgroup_skb) on every path",
     [](const Case& c) {
         Case r0 = c;
         r0.reg = 0;
         return register_detail(r0);
     }},
    {"infinite-loop", {"infinite loop detected", "back-edge"},
     "a loop has no end that the verifier can see: nothing changes from one round to the next",
     "give the loop a counter with a constant limit, for (int i = 0; i < 16; i++), or use bpf_loop() or bpf_for()"},
    {"too-complex", {"too large. Processed", "too complex"},
     "too many paths and rounds to look at: the budget is used up",
     "fewer rounds or branches inside loops; bpf_loop(), or a part as a global (not static) function, which is verified once",
     nullptr, add_loop, true},
    {"stack-too-large", {"combined stack size", "call stack of", "call stack of previous frames"},
     "the functions that call each other need more than 512 bytes of stack, or are nested too deeply",
     "keep large variables in a per-CPU array map; fewer nested calls; do not call from deep inside to what tail-calls",
     nullptr, nullptr, true},
    {"gpl-only", {"non-GPL compatible"},
     "the function is only for programs with a GPL-compatible license",
     "char _license[] SEC(\"license\") = \"GPL\"; or do without the function"},
    {"helper-not-allowed", {"cannot use helper", "invalid func unknown", "access to the packet is not allowed", "calling kernel function", "module BTF fd", "kernel module function"},
     "this type of program may not call this function",
     "see docs/helpers.md for what each program type may call; the section name decides the type"},
    {"map-and-helper", {"cannot pass map_type", "expected prog array map", "not allowed for map", "cgroup storage of each type"},
     "the function does not work on this type of map",
     "see docs/maps.md for what each type of map can do"},
    {"unprivileged", {"CAP_BPF", "CAP_SYS_ADMIN", "for the privileged", "!root"},
     "only privileged users may do this",
     "load it as a privileged user, or do without"},
    {"dynptr", {"dynptr"},
     "a dynptr is used in a way that its state does not allow",
     "initialise a dynptr once, check the result of what makes it, and release it once on every path"},
    {"argument-type", {"expected=", "expected pointer", "expected an initialized", "expected uninitialized", "must be a known constant", "is not a known constant"},
     "the function wants another kind of argument",
     "pass what the function's prototype says: a pointer to initialised stack or map memory, a constant size, a map; null only where it is allowed",
     register_detail},
    {"argument-type", {"zero-sized read", "non-zero flags"},
     "the function wants another kind of argument",
     "pass what the function's prototype says; memory that it reads has at least one byte",
     register_detail},
    {"argument-type", {"invalid args", "is expected to be non-NULL", "unacquired reference", "must be referenced", "has not been acquired", "is not a constant address"},
     "the function wants another kind of argument",
     "pass what the function's prototype says; what is released must be what an acquiring function returned, unchanged",
     register_detail},
    {"context-access", {"invalid bpf_context access", "modified ctx ptr"},
     "this type of program may not access this part of its context, or not in this way",
     "access whole fields of the context structure through the unchanged ctx pointer; see which fields may be written"},
    {"unaligned", {"misaligned"},
     "the access is not aligned to its size",
     "align the pointer, or read byte by byte; atomics must always be aligned"},
    {"pointer-leak", {"leaks addr", "pointer comparison prohibited", "partial copy of pointer", "leaking pointer"},
     "a pointer would become visible as a number",
     "store and return numbers; only privileged programs may handle pointers as numbers"},
    {"pointer-arithmetic", {"pointer arithmetic", "subtract pointer", "on pointer prohibited", "subtraction from stack", "part of pointer", "pointer prohibited"},
     "this arithmetic is not allowed on this pointer",
     "only add to and subtract from pointers, on 64 bits; do the computation on the offset and add it last",
     register_detail},
    {"read-only", {"cannot write into", "write into map forbidden", "write to change key"},
     "the memory is not writable for this program",
     "copy the data to the stack and change it there; .rodata and maps with BPF_F_RDONLY_PROG cannot be written"},
    {"write-only", {"read from map forbidden"},
     "the map is not readable for this program",
     "create the map without BPF_F_WRONLY_PROG"},
    {"lock", {"bpf_spin_lock", "bpf_spin_unlock", "holding a lock", "bpf_rcu_read", "bpf_preempt", "rcu read unlock", },
     "a lock is held or missing where it must not be",
     "one lock at a time; unlock on every path, and call nothing in between"},
    {"bad-map", {"is not pointing to valid bpf_map", "direct value access", "prog array"},
     "the map that the program names cannot be used like this",
     "check the map's definition, and that it was made before the program is loaded"},
    {"unreachable", {"unreachable insn"},
     "there are instructions that nothing leads to",
     "let clang make the program: it leaves none; by hand, remove them", nullptr, nullptr},
    {"bad-jump", {"jump out of range", "into the middle", "last insn is not", "invalid destination"},
     "control leaves the program, or lands between instructions",
     "let clang make the program; by hand, end every function with exit or a jump"},
    {"bad-encoding", {"reserved fields", "unknown opcode", "is invalid", "div by zero", "invalid shift", "frame pointer is read only"},
     "an instruction is not encoded as RFC 9669 says",
     "let clang make the program, with an -mcpu that is known here (v1 to v4)"},
    {"bad-encoding", {"invalid atomic", "BPF_ATOMIC", "ldimm64", "ld_imm64"},
     "an instruction is not what RFC 9669 or this memory allows",
     "atomics work on map values and the stack only, in 4 or 8 aligned bytes"},
    {"not-a-pointer", {"invalid mem access", "only read from"},
     "memory cannot be accessed through this value",
     "map pointers and functions are only for helpers; follow the register back to where it got its value",
     register_detail},
    {"rejected", {""}, "the program breaks a rule of the verifier", "look the message up: it is Linux's"},
};
// clang-format on

const KindRow& row_of(std::string_view message) {
    for (const KindRow& row : kKinds)
        for (const std::string_view words : row.words)
            if ((!words.empty() || row.kind == "rejected") && message.find(words) != std::string_view::npos)
                return row;
    return kKinds[std::size(kKinds) - 1];
}

void add_move(const Case& c, Explanation& out) {
    const auto moved = c.origin.source == Source::context ? c.path.moved_packet_since(c.origin.step)
                                                          : std::optional<ExplainedInsn>();
    if (!moved) return;
    out.kind = "packet-moved";
    out.missing = "the pointer to the packet was given up: a call since may have moved the packet";
    out.fix = "after the call read ctx->data and ctx->data_end again, and compare again";
    out.origin.insert(out.origin.begin(), *moved);
}

/// The number behind `word` in the message; -1 if there is none.
i32 number_after(std::string_view message, std::string_view word) {
    for (std::size_t at = message.find(word); at != std::string_view::npos; at = message.find(word, at + 1)) {
        const std::string_view rest = message.substr(at + word.size());
        i32 number = 0;
        const auto end = std::from_chars(rest.data(), rest.data() + rest.size(), number);
        if (end.ec == std::errc() && number >= 0) return number;
    }
    return -1;
}

/// An insn that the first pass names: "unreachable insn 7", "jump out of range from insn 1 to 9".
std::optional<u32> named_insn(const Rejection& rejection) {
    const i32 insn = number_after(rejection.message, "insn ");
    if (insn < 0 || static_cast<std::size_t>(insn) >= rejection.insns.size()) return std::nullopt;
    return static_cast<u32>(insn);
}

std::string place_text(const ExplainedInsn& one) {
    std::string out = fmt::format("insn {}", one.insn);
    // Without its folders, as in the log.
    const std::string_view file = std::string_view(one.source.file).substr(one.source.file.rfind('/') + 1);
    if (one.source.line != 0) out += fmt::format(" ({}:{})", file, one.source.line);
    return out;
}

std::string located(const ExplainedInsn& one) {
    std::string out = fmt::format("{} at {}", one.what, place_text(one));
    out += one.source.text.empty() ? fmt::format(": {}", one.code) : fmt::format(": `{}`", one.source.text);
    return out;
}

} // namespace

Explanation explain_rejection(const Rejection& rejection) {
    const RejectedPath path(rejection);
    const KindRow& row = row_of(rejection.message);
    Explanation out;
    out.kind = row.kind;
    out.missing = row.missing;
    out.fix = row.fix;
    Case c{.rejection = rejection, .path = path, .reg = number_after(rejection.message, "R"), .origin = {}};
    if (!rejection.simulated) {
        if (const auto insn = row.whole_program ? std::nullopt : named_insn(rejection))
            out.at = path.describe_insn(*insn, {});
        return out;
    }
    if (!row.whole_program) {
        out.at = path.describe_insn(rejection.insn, {});
        if (c.reg < 0 && row.kind == "return-range") c.reg = 0;
        if (c.reg >= 0 && c.reg < static_cast<i32>(kRegisters))
            c.origin = path.origin_of(static_cast<u32>(c.reg));
        out.origin = c.origin.notes;
        path.add_branches(out);
    }
    if (row.detail != nullptr) out.detail = row.detail(c);
    if (row.more != nullptr) row.more(c, out);
    return out;
}

std::vector<std::string_view> explanation_kinds() {
    std::vector<std::string_view> kinds{"packet-moved"};
    for (const KindRow& row : kKinds)
        if (std::ranges::find(kinds, row.kind) == kinds.end()) kinds.push_back(row.kind);
    return kinds;
}

std::vector<ExplanationLine> explanation_lines(const Explanation& e) {
    using Role = ExplanationLine::Role;
    std::vector<ExplanationLine> lines{{Role::missing, std::string(e.missing)}};
    if (e.at) {
        lines.push_back({Role::place, fmt::format("at {}{}{}", place_text(*e.at),
                                                  e.at->source.text.empty() ? "" : ": ", e.at->source.text)});
        lines.push_back({Role::code, e.at->code});
    }
    if (!e.detail.empty()) lines.push_back({Role::detail, e.detail});
    for (const ExplainedInsn& one : e.origin) lines.push_back({Role::origin, located(one)});
    if (!e.branches.empty()) {
        const std::string more =
            e.branches_before > 0 ? fmt::format(", after {} others", e.branches_before) : std::string();
        lines.push_back({Role::branch, fmt::format("the path here{}:", more)});
        for (const ExplainedInsn& one : e.branches)
            lines.push_back({Role::branch, fmt::format("  {} {}{}{}", place_text(one),
                                                       one.source.text.empty() ? one.code : one.source.text,
                                                       ": ", one.what)});
    }
    lines.push_back({Role::fix, fmt::format("usual fix: {}", e.fix)});
    return lines;
}

} // namespace xdplane
