// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
#include <algorithm>
#include <ctime>
#include <set>

#include "bpf/btf/btf.h"
#include "bpf/btf/vmlinux.h"
#include "bpf/isa/disassembler.h"
#include "bpf/verifier/simulation.h"

/// The log, in Linux's words.
namespace xdplane {
namespace {

u64 now_ns() {
    timespec now{};
    ::clock_gettime(CLOCK_MONOTONIC, &now);
    return static_cast<u64>(now.tv_sec) * 1'000'000'000 + static_cast<u64>(now.tv_nsec);
}

} // namespace

void Verifier::start_clock() {
    if ((log_.level & kLogStats) != 0) started_ns_ = now_ns();
}

bool Verifier::reject_with(int code, std::string message) {
    if (log_.level != kLogOff) log_.text += message + "\n";
    error_ = {code, message};
    log_.reason = std::move(message);
    return false;
}

void Verifier::say(std::string_view text) {
    if (log_.level != kLogOff) log_.text += text;
}

std::string Verifier::insn_text(u32 insn) const {
    DisasmOptions options;
    options.opcode = true;
    options.helper_name = [](u32 id) {
        const HelperProto* helper = find_helper(id);
        return helper == nullptr ? std::string() : fmt::format("bpf_{}", helper->name);
    };
    options.kfunc_name = [](i32 id) {
        const auto& kernel = kernel_functions();
        return kernel ? std::string(kernel->name(static_cast<u32>(id))) : std::string();
    };
    options.immediate = [](const Insn& first, const Insn& second) {
        const u64 value = static_cast<u64>(static_cast<u32>(second.imm)) << 32 | static_cast<u32>(first.imm);
        return first.src == kCodeAddr ? fmt::format("{:#x}", value) : std::string();
    };
    return disassemble(request_.insns, insn, options);
}

/// Where functions begin, which is known before anything is checked.
void Verifier::log_functions() {
    if (!logging_all()) return;
    std::set<i64> starts{0};
    for (u32 i = 0; i < request_.insns.size(); ++i) {
        const Insn& insn = insn_at(i);
        const bool calls = insn.opcode == 0x85 && insn.src == kCallLocal;
        const bool refers = insn.opcode == 0x18 && insn.src == kCodeAddr;
        if (calls || refers) starts.insert(i64{i} + 1 + insn.imm);
    }
    u32 f = 0;
    for (const i64 start : starts) explain("func#{} @{}", f++, start);
}

/// Which registers may be read from each insn on.
void Verifier::log_live_registers() {
    if (!logging_all()) return;
    say("Live regs before insn:\n");
    for (u32 i = 0; i < request_.insns.size(); i += slots(insn_at(i))) {
        std::string live;
        for (u32 r = R0; r < R10; ++r)
            live += (flow_.live_registers[i] >> r & 1) != 0 ? static_cast<char>('0' + r) : '.';
        explain("{:7}: {} {}", i, live, insn_text(i));
    }
}

void Verifier::forget_log(std::size_t size) {
    if (logging_all() || log_.level == kLogOff) return;
    measure_log();
    log_.begin = std::min<u64>(log_.begin, size);
    log_.text.resize(std::min(size, log_.text.size()));
    logged_line_ = -1;
}

void Verifier::log_insn() {
    if (!logging()) return;
    if (new_path_ && logging_all()) {
        explain("\nfrom {} to {}:{}", previous_insn_, insn_, state_text(*cur_, cur_->frame_index()));
        new_path_ = false;
    }
    if (touched_ != 0 || touched_slots_ != 0) log_touched();
    log_source_line(insn_);
    line_start_ = log_.text.size();
    log_.text += fmt::format("{}: {}\n", insn_, insn_text(insn_));
    line_end_ = log_.text.size();
}

/// To be called before the text gets shorter, and at the end.
void Verifier::measure_log() {
    const u64 size = log_.text.size();
    log_.peak = std::max(log_.peak, size);
    if (log_.room != 0 && size + 1 > log_.room) log_.begin = std::max(log_.begin, size + 1 - log_.room);
}

/// A frame, and what is true of the whole state.
std::string Verifier::state_text(const State& state, u32 index, const FrameParts& parts) {
    std::vector<u32> refs;
    for (const Reference& r : state.refs)
        if (r.kind == Reference::Kind::object) refs.push_back(r.id);
    const Frame& frame = state.frames[index];
    return describe_frame(
        frame, index, parts,
        {.refs = refs, .in_callback = frame.in_callback, .in_async_callback = frame.in_async_callback});
}

/// What the insns since the last time used: behind the last one's line, unless something else was said since.
void Verifier::log_touched() {
    const std::string state =
        state_text(*cur_, cur_->frame_index(), {.regs = touched_, .slots = touched_slots_});
    touched_ = 0;
    touched_slots_ = 0;
    if (line_end_ != 0 && log_.text.size() == line_end_) {
        log_.text.pop_back();
        log_.text.append(state_padding(log_.text.size() - line_start_), ' ');
        log_.text += ";" + state + "\n";
    } else {
        log_.text += fmt::format("{}:{}\n", insn_, state);
    }
}

void Verifier::log_safe() {
    if (!logging()) return;
    if (new_path_)
        explain("\nfrom {} to {}: safe", previous_insn_, insn_);
    else
        explain("{}: safe", insn_);
}

/// Whichever frame they are of: Linux shows the slots of the top frame that have these numbers.
void Verifier::touch_slots(i64 low, i64 high) {
    for (u32 s = slot_of(high - 1); s <= slot_of(low); ++s) touched_slots_ |= u64{1} << s;
}

void Verifier::log_frames(std::string_view first, u32 first_frame, std::string_view second,
                          u32 second_frame) {
    if (!logging()) return;
    explain("{}\n{}", first, state_text(*cur_, first_frame));
    explain("{}\n{}", second, state_text(*cur_, second_frame));
}

void Verifier::log_return() {
    new_path_ = true;
    const u32 callee = cur_->frame_index();
    if (logging())
        log_frames("returning from callee:", callee, fmt::format("to caller at {}:", next_insn_), callee - 1);
}

/// The source line of an insn, where it is another one than before: "; if (data + 14 > data_end) @
/// acl.bpf.c:31".
void Verifier::log_source_line(u32 insn) {
    if (request_.btf == nullptr || request_.lines.empty()) return;
    const auto next = std::ranges::upper_bound(request_.lines, insn, {}, &LineInfo::insn_off);
    if (next == request_.lines.begin()) return;
    const LineInfo& line = *std::prev(next);
    if (logged_line_ == line.insn_off) return;
    logged_line_ = line.insn_off;
    const Btf& btf = *request_.btf;
    std::string_view text = btf.string(line.line_off);
    while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) text.remove_prefix(1);
    std::string_view file = btf.string(line.file_name_off);
    if (const auto slash = file.rfind('/'); slash != std::string_view::npos) file.remove_prefix(slash + 1);
    say(fmt::format("; {} @ {}:{}\n", text, file, line.line_col >> 10));
}

void Verifier::log_stats() {
    log_.insns_processed = processed_;
    log_.stats = {processed_, max_states_per_insn_, total_states_, peak_states_, {}};
    for (const FunctionUse& f : functions_) log_.stats.stack_depths.push_back(f.stack_depth);
    if (log_.level == kLogOff) return;
    if ((log_.level & kLogStats) != 0) {
        std::string depths;
        for (const FunctionUse& f : functions_)
            depths += fmt::format("{}{}", depths.empty() ? "" : "+", f.stack_depth);
        explain("verification time {} usec\nstack depth {}", (now_ns() - started_ns_) / 1000, depths);
    }
    explain("processed {} insns (limit {}) max_states_per_insn {} total_states {} peak_states {} mark_read 0",
            processed_, kMaxInsns, max_states_per_insn_, total_states_, peak_states_);
    measure_log();
}

} // namespace xdplane
