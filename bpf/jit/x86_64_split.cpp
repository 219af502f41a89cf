// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
//
// The burst entry of a program that is cut in two (lower/split.h). Every packet of the burst that reaches a
// stop has a record: its stack, the registers and the place where it goes on. Behind the first half the maps
// fetch what was noted for them; then the packets of the records enter the second half.
#include <algorithm>

#include "bpf/jit/x86_64_compiler.h"
#include "bpf/maps/run_ahead.h"
#include "bpf/maps/words.h"
#include "bpf/run/packet.h"

namespace xdplane::x86_64 {

using asmjit::Imm;
namespace x86 = asmjit::x86;

namespace {

/// At rsp: the end of the burst, the end of the records, what is to be done between the halves, and how many
/// keys each map has noted.
constexpr i32 kEndSlot = 0;
constexpr i32 kRecordsEndSlot = 8;
constexpr i32 kBetweenSlot = 16;
constexpr i32 kCounts = 24;
constexpr u32 kMostMaps = 4;
constexpr u32 kNotes = kCounts + kMostMaps * sizeof(u32);
constexpr u32 kNotesBytes = kBurst * kNoteWords * sizeof(u64);

/// Of a record, from rbp, below which the packet's stack lies.
constexpr i32 kPacket = 0;
constexpr i32 kResume = 8;
constexpr i32 kHash = 16;
constexpr i32 kRegisters = 24;

x86::Mem at_record(i32 offset) { return x86::qword_ptr(x86::rbp, offset); }
x86::Mem at_frame(i32 offset) { return x86::qword_ptr(x86::rsp, offset); }

} // namespace

const SplitStop* Compiler::stop_at(u32 insn) const {
    const auto found = std::ranges::lower_bound(split_.stops, insn, {}, &SplitStop::insn);
    return found != split_.stops.end() && found->insn == insn ? &*found : nullptr;
}

/// False if there is nothing to split, or no code for it.
bool Compiler::plan_split() {
    const Split* const split = program_.split();
    const LoweredFunction& main = program_.functions().front();
    if (split == nullptr || !has_short_body()) return false;
    for (const u32 insn : split->stops) {
        SplitStop& stop = split_.stops.emplace_back();
        stop.insn = insn;
        stop.resume = a_.newLabel();
        const LoweredInsn& at = program_.insns()[insn];
        if (at.op != Op::map_lookup) continue;
        Map* const map = program_.maps()[static_cast<u32>(at.target)].get();
        if (map->ops().ahead == nullptr) continue;
        if (!LookupEmitter::can_note(*map)) return false;
        stop.list = static_cast<i32>(std::ranges::find(split_.maps, map) - split_.maps.begin());
        if (stop.list == std::ssize(split_.maps)) split_.maps.push_back(map);
        stop.key_on_stack = program_.key_of(insn) != nullptr;
    }
    u32 registers = 0;
    for (u8 reg = R0; reg < R10; ++reg) registers += used_[0].has(reg);
    split_.record_bytes =
        static_cast<u32>(round_up(main.stack_depth + static_cast<u32>(kRegisters) + registers * 8, 16));
    return split_.maps.size() <= kMostMaps;
}

/// RunSplit.
Result<> Compiler::split_entry() {
    if (!plan_split()) return {};
    const LoweredFunction& main = program_.functions().front();
    const u32 records = kNotes + static_cast<u32>(split_.maps.size()) * kNotesBytes;
    const i32 first_record = static_cast<i32>(records + round_up(main.stack_depth, 16));
    std::vector<Gp> saved = saved_by_entry();
    if (!used_[0].has(R10)) saved.push_back(x86::rbp);
    const u32 bytes =
        aligned_frame(static_cast<u32>(first_record) + kBurst * split_.record_bytes, saved.size() + 1);
    frame_ = {};
    frame_.main = true;
    split_.again = a_.newLabel();
    split_.fetch = a_.newLabel();
    split_.done = a_.newLabel();

    a_.align(asmjit::AlignMode::kCode, 16);
    result_.run_split_offset = offset();
    save(saved, bytes);
    load_burst_end();
    a_.mov(at_frame(kEndSlot), x86::rax);
    a_.mov(at_frame(kBetweenSlot), x86::r8);
    for (std::size_t i = 0; i < split_.maps.size(); ++i) a_.mov(note_count(i), Imm(0));
    if (uses_context()) a_.mov(kContext, x86::rcx);
    a_.mov(x86::rdi, x86::rsi);
    a_.lea(x86::rbp, x86::ptr(x86::rsp, first_record));

    a_.align(asmjit::AlignMode::kCode, 16);
    a_.bind(split_.again); // the packet is in rdi
    a_.mov(at_record(kPacket), x86::rdi);
    if (calls_in_first_half()) begin_packet();
    prepare_frame(main);
    half_ = Half::first;
    if (Result<> done = body(main); !done) return done;
    cold_code();

    a_.bind(split_.fetch);
    a_.mov(at_frame(kRecordsEndSlot), x86::rbp);
    fetch_notes();
    between_halves();
    a_.lea(x86::rbp, x86::ptr(x86::rsp, first_record));
    a_.cmp(x86::rbp, at_frame(kRecordsEndSlot));
    a_.je(split_.done);
    split_.again = a_.newLabel();
    a_.align(asmjit::AlignMode::kCode, 16);
    a_.bind(split_.again);
    if (program_.needs_context()) {
        a_.mov(x86::rdi, at_record(kPacket));
        begin_packet();
    }
    a_.jmp(at_record(kResume));
    half_ = Half::second;
    return_zero_ = Label();
    if (Result<> done = body(main); !done) return done;
    if (return_zero_.isValid()) {
        a_.bind(return_zero_);
        a_.xor_(x86::eax, x86::eax);
        next_in_half();
    }
    a_.bind(split_.done);
    restore(saved, bytes);
    a_.ret();
    cold_code();
    half_ = Half::whole;
    return {};
}

bool Compiler::calls_in_first_half() const {
    const std::vector<u8>& halves = program_.split()->halves;
    for (u32 i = 0; i < halves.size(); ++i)
        if (program_.insns()[i].op == Op::call_helper && (halves[i] & Split::kFirst) != 0) return true;
    return false;
}

x86::Mem Compiler::note_count(std::size_t list) {
    return x86::dword_ptr(x86::rsp, kCounts + static_cast<i32>(list * sizeof(u32)));
}

void Compiler::fetch_notes() {
    for (std::size_t i = 0; i < split_.maps.size(); ++i) {
        const Label nothing = a_.newLabel();
        a_.mov(x86::edx, note_count(i));
        a_.test(x86::edx, x86::edx);
        a_.jz(nothing);
        emit_.load_constant(x86::rdi, reinterpret_cast<std::uintptr_t>(split_.maps[i]));
        a_.lea(x86::rsi, at_frame(static_cast<i32>(kNotes + i * kNotesBytes)));
        emit_.load_constant(x86::rax, reinterpret_cast<std::uintptr_t>(split_.maps[i]->ops().ahead->fetch));
        a_.call(x86::rax);
        a_.bind(nothing);
    }
}

void Compiler::between_halves() {
    const Label nothing = a_.newLabel();
    a_.mov(x86::rdi, at_frame(kBetweenSlot));
    a_.test(x86::rdi, x86::rdi);
    a_.jz(nothing);
    a_.call(x86::qword_ptr(x86::rdi, offsetof(BetweenHalves, run)));
    a_.bind(nothing);
}

/// The registers that the second half may read: what a lookup leaves alone, or, behind anything else, all.
template<class Visit>
void Compiler::for_kept_registers(const SplitStop& stop, Visit visit) const {
    i32 at = kRegisters;
    for (u8 reg = stop.key_on_stack ? R6 : R0; reg < R10; ++reg) {
        if (!used_[0].has(reg)) continue;
        visit(machine_reg(reg, 64), at_record(at));
        at += 8;
    }
}

/// The first half is over for the packet.
void Compiler::park(const SplitStop& stop) {
    for_kept_registers(stop, [&](const Gp& reg, const x86::Mem& place) { a_.mov(place, reg); });
    if (stop.list >= 0) {
        const std::size_t list = static_cast<std::size_t>(stop.list);
        const i32 notes = static_cast<i32>(kNotes + list * kNotesBytes);
        LookupEmitter lookup(a_, emit_, cold_, program_.key_of(stop.insn));
        lookup.note(*split_.maps[list], at_frame(notes), note_count(list), at_record(kHash));
    }
    a_.lea(x86::rax, x86::ptr(stop.resume));
    a_.mov(at_record(kResume), x86::rax);
    a_.mov(x86::rdi, at_record(kPacket));
    a_.add(x86::rbp, Imm(split_.record_bytes));
    next_of_burst();
}

/// The packet's second half begins. What falls into the stop's insn goes past this.
void Compiler::resume(const SplitStop& stop) {
    const bool reached = (program_.split()->halves[stop.insn] & Split::kReached) != 0;
    const Label past = a_.newLabel();
    if (reached) a_.jmp(past);
    a_.bind(stop.resume);
    for_kept_registers(stop, [&](const Gp& reg, const x86::Mem& place) { a_.mov(reg, place); });
    if (reached) a_.bind(past);
}

/// The hash of the key that was noted, if that is the only way to this lookup.
std::optional<x86::Mem> Compiler::noted_hash(u32 insn) const {
    if (half_ != Half::second) return {};
    const SplitStop* const stop = stop_at(insn);
    if (stop == nullptr || stop->list < 0) return {};
    if ((program_.split()->halves[insn] & Split::kReached) != 0) return {};
    return at_record(kHash);
}

void Compiler::next_of_burst() {
    a_.add(x86::rdi, Imm(sizeof(XdpBuff)));
    a_.cmp(x86::rdi, at_frame(kEndSlot));
    a_.jne(split_.again);
    a_.jmp(split_.fetch);
}

/// Instead of a return: the verdict is in eax.
void Compiler::next_in_half() {
    a_.mov(x86::rdi, at_record(kPacket));
    a_.mov(x86::dword_ptr(x86::rdi, offsetof(XdpBuff, verdict)), x86::eax);
    if (half_ == Half::first) return next_of_burst();
    a_.add(x86::rbp, Imm(split_.record_bytes));
    a_.cmp(x86::rbp, at_frame(kRecordsEndSlot));
    a_.jne(split_.again);
    a_.jmp(split_.done);
}

/// It is not part of the half in hand.
bool Compiler::is_left_out(u32 insn) const {
    if (half_ == Half::whole) return false;
    const u8 halves = program_.split()->halves[insn];
    return (halves & (half_ == Half::first ? Split::kFirst : Split::kSecond)) == 0;
}

} // namespace xdplane::x86_64
