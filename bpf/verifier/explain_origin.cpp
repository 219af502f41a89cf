// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
#include "bpf/verifier/explain_origin.h"

#include <algorithm>
#include <fmt/format.h>
#include <map>

#include "bpf/btf/btf.h"
#include "bpf/isa/disassembler.h"
#include "bpf/verifier/simulation.h"

/// Who made a value: the path's insns from the last one back, following one register or stack slot.
namespace xdplane {
namespace {

constexpr std::size_t kMaxNotes = 5;
constexpr std::size_t kMaxBranches = 8;

DisasmOptions plain_words() {
    DisasmOptions options;
    options.helper_name = [](u32 id) {
        const HelperProto* helper = find_helper(id);
        return helper == nullptr ? std::string() : fmt::format("bpf_{}", helper->name);
    };
    return options;
}

bool is_pointer_source(RejectedPath::Source source) {
    using Source = RejectedPath::Source;
    return source == Source::context || source == Source::stack || source == Source::map ||
           source == Source::call || source == Source::argument;
}

std::string called(const InsnFacts& facts) {
    if (facts.helper == nullptr) return "a function";
    return facts.helper->is_kfunc ? std::string(facts.helper->name)
                                  : fmt::format("bpf_{}", facts.helper->name);
}

} // namespace

RejectedPath::RejectedPath(const Rejection& rejection) : rejection_(rejection) {
    for (const State* state = rejection.state; state != nullptr; state = state->parent)
        for (auto step = state->steps.rbegin(); step != state->steps.rend(); ++step) path_.push_back(&*step);
    std::ranges::reverse(path_);
}

SourceLine RejectedPath::source_of(u32 insn) const {
    if (rejection_.btf == nullptr) return {};
    const auto next = std::ranges::upper_bound(rejection_.lines, insn, {}, &LineInfo::insn_off);
    if (next == rejection_.lines.begin()) return {};
    const LineInfo& line = *std::prev(next);
    std::string_view text = rejection_.btf->string(line.line_off);
    text.remove_prefix(std::min(text.find_first_not_of(" \t"), text.size()));
    return {std::string(rejection_.btf->string(line.file_name_off)), line.line_col >> 10,
            line.line_col & 0x3ff, std::string(text)};
}

ExplainedInsn RejectedPath::describe_insn(u32 insn, std::string what) const {
    return {insn, std::move(what), disassemble(rejection_.insns, insn, plain_words()), source_of(insn)};
}

void RejectedPath::note(Origin& origin, u32 insn, std::string what) const {
    if (origin.notes.size() < kMaxNotes) origin.notes.push_back(describe_insn(insn, std::move(what)));
}

bool RejectedPath::end_at(Origin& origin, Source source, u32 insn, std::string what) const {
    origin.source = source;
    note(origin, insn, std::move(what));
    return true;
}

void RejectedPath::begin_of_path(const Place& place, Origin& origin) const {
    if (place.is_slot) {
        origin.source = Source::unwritten;
        return;
    }
    const u32 first = path_.empty() ? rejection_.insn : path_.front()->insn;
    if (place.index == R10)
        origin.source = Source::stack;
    else if (first != 0 && place.index >= R1 && place.index <= R5)
        end_at(origin, Source::argument, first,
               fmt::format("r{} is an argument of this function", place.index));
    else if (place.index == R1)
        origin.source = Source::context;
    else
        origin.source = Source::unwritten;
}

RejectedPath::Origin RejectedPath::origin_of(u32 reg) const {
    if (path_.empty()) return {};
    return trace({path_.back()->frame, false, reg}, path_.size() - 1, 0);
}

RejectedPath::Origin RejectedPath::trace(Place place, std::size_t end, u32 depth) const {
    Origin origin;
    for (std::size_t at = end; at-- > 0;) {
        origin.step = at;
        if (step_back(at, place, depth, origin)) return origin;
    }
    origin.step = 0;
    begin_of_path(place, origin);
    return origin;
}

/// True if the walk ends here; otherwise `place` is what to follow before the step.
bool RejectedPath::step_back(std::size_t at, Place& place, u32 depth, Origin& origin) const {
    const Step& step = *path_[at];
    const Insn& insn = rejection_.insns[step.insn];
    const OpcodeInfo& op = row(step.insn);
    if (step.frame > place.frame) {
        const bool returned = op.kind == OpKind::exit && step.frame == place.frame + 1 && !step.callback;
        if (returned && !place.is_slot && place.index == R0) place.frame = step.frame;
        return place.is_slot && back_over_slot(step, place, origin);
    }
    if (step.frame < place.frame) {
        if (place.is_slot) return place.frame = step.frame, origin.source = Source::unwritten, true;
        if (step.callback)
            return end_at(origin, Source::argument, step.insn,
                          fmt::format("r{} is an argument of the callback", place.index));
        if (place.index < R1 || place.index > R5) {
            origin.source = place.index == R10 ? Source::stack : Source::unwritten;
            return true;
        }
        place.frame = step.frame;
        return false;
    }
    if (place.is_slot) return back_over_slot(step, place, origin);
    switch (op.kind) {
    case OpKind::alu:
    case OpKind::endian: return insn.dst == place.index && back_over_alu(at, place, depth, origin);
    case OpKind::ldx:
    case OpKind::load_acquire: return insn.dst == place.index && back_over_load(at, place, origin);
    case OpKind::call: return back_over_call(step, place, origin);
    case OpKind::ld_imm64: {
        if (insn.dst != place.index) return false;
        const bool map = rejection_.facts[step.insn].map != nullptr;
        return end_at(
            origin, map ? Source::map : Source::number, step.insn,
            map ? fmt::format("r{} is map {}", place.index, rejection_.facts[step.insn].map->spec().name)
                : fmt::format("r{} was set to a constant", place.index));
    }
    case OpKind::ld_abs:
    case OpKind::ld_ind:
        if (place.index == R0)
            return end_at(origin, Source::memory, step.insn,
                          "r0 was loaded from the packet, and is a number");
        return place.index <= R5 && end_at(origin, Source::clobbered, step.insn,
                                           fmt::format("r{} lost its value here", place.index));
    case OpKind::atomic:
        if (op.operand != Operand::fetch ||
            place.index != (op.code == Code::cmpxchg ? u32{R0} : u32{insn.src}))
            return false;
        return end_at(origin, Source::memory, step.insn,
                      fmt::format("r{} is what was in memory before", place.index));
    default: return false;
    }
}

bool RejectedPath::back_over_slot(const Step& step, Place& place, Origin& origin) const {
    const Insn& insn = rejection_.insns[step.insn];
    const OpKind kind = row(step.insn).kind;
    if (kind != OpKind::st && kind != OpKind::stx) return false;
    const bool noted = step.slot == place.index && step.slot_frame == place.frame;
    const bool direct =
        step.frame == place.frame && insn.dst == R10 && insn.off < 0 && slot_of(insn.off) == place.index;
    if (!noted && !direct) return false;
    if (kind == OpKind::st) return end_at(origin, Source::number, step.insn, "the constant was stored here");
    place = {step.frame, false, insn.src};
    return false;
}

bool RejectedPath::back_over_call(const Step& step, Place& place, Origin& origin) const {
    if (place.index > R5) return false;
    const InsnFacts& facts = rejection_.facts[step.insn];
    const bool local = rejection_.insns[step.insn].src == kCallLocal;
    if (place.index != R0)
        return end_at(origin, Source::clobbered, step.insn,
                      fmt::format("r{} lost its value here: calls clobber r1 to r5", place.index));
    if (local) return end_at(origin, Source::number, step.insn, "r0 was returned by a function of its own");
    std::string what = fmt::format("r0 was returned by {}", called(facts));
    if (facts.map != nullptr) what += fmt::format(" for map {}", facts.map->spec().name);
    const bool nullable =
        facts.helper != nullptr && facts.helper->ret != Ret::integer && facts.helper->ret != Ret::nothing;
    if (nullable) what += ", which may return null";
    return end_at(origin, nullable ? Source::call : Source::number, step.insn, std::move(what));
}

bool RejectedPath::back_over_alu(std::size_t at, Place& place, u32 depth, Origin& origin) const {
    const u32 at_insn = path_[at]->insn;
    const Insn& insn = rejection_.insns[at_insn];
    const OpcodeInfo& op = row(at_insn);
    const u32 dst = insn.dst;
    if (op.kind == OpKind::endian)
        return note(origin, at_insn, fmt::format("r{} had its bytes swapped", dst)), false;
    const bool with_reg = op.operand == Operand::reg;
    const bool moves = op.code == Code::mov || op.code == Code::movsx8 || op.code == Code::movsx16 ||
                       op.code == Code::movsx32;
    if (moves && !with_reg)
        return end_at(origin, Source::number, at_insn, fmt::format("r{} was set to {}", dst, insn.imm));
    if (moves) return place.index = insn.src, false;
    if (!with_reg) {
        const bool shift = op.code == Code::add || op.code == Code::sub;
        if (!shift) note(origin, at_insn, fmt::format("r{} was computed here", dst));
        return false;
    }
    const bool adds = op.code == Code::add || op.code == Code::sub;
    if (!adds || depth >= kDepth)
        return note(origin, at_insn, fmt::format("r{} was computed here", dst)), false;
    // Which of both is the pointer: the one that came from a pointer.
    Origin offset = trace({place.frame, false, insn.src}, at, depth + 1);
    u32 offset_reg = insn.src;
    const Origin base = trace(place, at, depth + 1);
    if (!is_pointer_source(base.source) && is_pointer_source(offset.source)) {
        offset_reg = dst;
        place.index = insn.src;
        offset = base;
    }
    note(origin, at_insn, fmt::format("r{} was added to it, a number that is not constant", offset_reg));
    if (op.code == Code::sub)
        origin.notes.back().what = fmt::format("r{} was subtracted from it", offset_reg);
    for (ExplainedInsn& one : offset.notes)
        if (origin.notes.size() < kMaxNotes) origin.notes.push_back(std::move(one));
    return false;
}

bool RejectedPath::back_over_load(std::size_t at, Place& place, Origin& origin) const {
    const Step& step = *path_[at];
    const Insn& insn = rejection_.insns[step.insn];
    const InsnFacts& facts = rejection_.facts[step.insn];
    if (step.slot != Step::kNoSlot) return place = {step.slot_frame, true, step.slot}, false;
    if (insn.src == R10 && insn.off < 0) return place = {step.frame, true, slot_of(insn.off)}, false;
    if (facts.base == PtrKind::ctx) {
        if (facts.field == nullptr)
            return end_at(origin, Source::memory, step.insn,
                          fmt::format("r{} was loaded from ctx", insn.dst));
        const bool pointer = facts.field->value != CtxValue::scalar;
        return end_at(origin, pointer ? Source::context : Source::memory, step.insn,
                      fmt::format("r{} was loaded from ctx->{}", insn.dst, facts.field->name));
    }
    const char* from = "memory";
    switch (facts.base) {
    case PtrKind::packet: from = "the packet"; break;
    case PtrKind::packet_meta: from = "the packet's metadata"; break;
    case PtrKind::map_value: from = "a map value"; break;
    case PtrKind::stack: from = "the stack"; break;
    case PtrKind::socket: from = "a socket"; break;
    default: break;
    }
    return end_at(origin, Source::memory, step.insn, fmt::format("r{} was loaded from {}", insn.dst, from));
}

std::optional<ExplainedInsn> RejectedPath::moved_packet_since(std::size_t step) const {
    for (std::size_t at = step + 1; at + 1 < path_.size(); ++at) {
        const Step& one = *path_[at];
        if (row(one.insn).kind != OpKind::call) continue;
        if (rejection_.flow.traits[one.insn].moves_packet)
            return describe_insn(one.insn, fmt::format("{} may move the packet: pointers to it are gone",
                                                       called(rejection_.facts[one.insn])));
        const i32 target = rejection_.flow.targets[one.insn];
        if (one.skipped &&
            rejection_.flow.functions[rejection_.flow.function_of(static_cast<u32>(target))].moves_packet)
            return describe_insn(one.insn, "the function may move the packet: pointers to it are gone");
    }
    return std::nullopt;
}

std::optional<ExplainedInsn> RejectedPath::busiest_loop() const {
    std::map<u32, u64> rounds;
    for (std::size_t at = 1; at < path_.size(); ++at) {
        const Step& from = *path_[at - 1];
        if (path_[at]->insn <= from.insn && path_[at]->frame == from.frame) ++rounds[from.insn];
    }
    const auto most = std::ranges::max_element(rounds, {}, [](const auto& one) { return one.second; });
    if (most == rounds.end()) return std::nullopt;
    return describe_insn(
        most->first, fmt::format("the loop that ends here was walked {} times on this path", most->second));
}

void RejectedPath::add_branches(Explanation& out) const {
    for (std::size_t at = path_.size(); at-- > 0;) {
        const u32 insn = path_[at]->insn;
        if (row(insn).kind != OpKind::jump) continue;
        const u32 next = at + 1 < path_.size() ? path_[at + 1]->insn : rejection_.insn;
        if (next == insn) continue; // the insn that was rejected
        if (out.branches.size() == kMaxBranches) {
            ++out.branches_before;
            continue;
        }
        const bool taken = static_cast<i32>(next) == rejection_.flow.targets[insn];
        out.branches.push_back(describe_insn(insn, taken ? "taken" : "not taken"));
    }
    std::ranges::reverse(out.branches);
}

} // namespace xdplane
