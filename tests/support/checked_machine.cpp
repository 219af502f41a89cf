// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
#include "tests/support/checked_machine.h"

#include <bitset>
#include <cstddef>
#include <cstring>
#include <linux/bpf.h>

namespace xdplane::test {
namespace {

constexpr u64 kStepLimit = 4'000'000;

template<class U>
u64 signed_division(Code code, U a, U b) {
    using S = std::make_signed_t<U>;
    if (b == 0) return code == Code::sdiv ? 0 : a;
    if (b == static_cast<U>(-1)) return code == Code::sdiv ? static_cast<U>(U{0} - a) : U{0};
    const S quotient = static_cast<S>(static_cast<S>(a) / static_cast<S>(b));
    return static_cast<U>(code == Code::sdiv ? quotient : static_cast<S>(a) - quotient * static_cast<S>(b));
}

template<class U>
u64 arithmetic(Code code, U a, U b) {
    using S = std::make_signed_t<U>;
    const unsigned count = static_cast<unsigned>(b & (sizeof(U) * 8 - 1));
    switch (code) {
    case Code::add: return static_cast<U>(a + b);
    case Code::sub: return static_cast<U>(a - b);
    case Code::mul: return static_cast<U>(a * b);
    case Code::div: return b == 0 ? U{0} : static_cast<U>(a / b);
    case Code::mod: return b == 0 ? a : static_cast<U>(a % b);
    case Code::or_: return a | b;
    case Code::and_: return a & b;
    case Code::xor_: return a ^ b;
    case Code::lsh: return static_cast<U>(a << count);
    case Code::rsh: return static_cast<U>(a >> count);
    case Code::arsh: return static_cast<U>(static_cast<S>(a) >> count);
    case Code::neg: return static_cast<U>(U{0} - a);
    case Code::mov: return b;
    case Code::movsx8: return static_cast<U>(static_cast<S>(static_cast<i8>(b)));
    case Code::movsx16: return static_cast<U>(static_cast<S>(static_cast<i16>(b)));
    case Code::movsx32: return static_cast<U>(static_cast<S>(static_cast<i32>(b)));
    default: return signed_division(code, a, b);
    }
}

template<class U>
bool compare(Code code, U a, U b) {
    using S = std::make_signed_t<U>;
    switch (code) {
    case Code::jeq: return a == b;
    case Code::jne: return a != b;
    case Code::jgt: return a > b;
    case Code::jge: return a >= b;
    case Code::jlt: return a < b;
    case Code::jle: return a <= b;
    case Code::jset: return (a & b) != 0;
    case Code::jsgt: return static_cast<S>(a) > static_cast<S>(b);
    case Code::jsge: return static_cast<S>(a) >= static_cast<S>(b);
    case Code::jslt: return static_cast<S>(a) < static_cast<S>(b);
    default: return static_cast<S>(a) <= static_cast<S>(b);
    }
}

u64 byte_order(const OpcodeInfo& row, u64 value) {
    const u64 low = row.width == 64 ? value : value & ((u64{1} << row.width) - 1);
    if (row.code == Code::to_le) return low;
    u64 swapped = 0;
    for (unsigned bit = 0; bit < row.width; bit += 8) swapped = swapped << 8 | (low >> bit & 0xff);
    return swapped;
}

u64 load(const u8* from, u32 size) {
    u64 value = 0;
    std::memcpy(&value, from, size);
    return value;
}

struct Call {
    u64 r[kRegisters] = {};
    std::bitset<kRegisters> address; ///< registers that may hold, or depend on, an address
    alignas(16) u8 stack[kStackSize] = {};
    std::bitset<kStackSize> written;
    std::bitset<kStackSize> stack_address; ///< bytes that depend on an address
    u32 function = 0;
    u32 back = 0;

    [[nodiscard]] u64 top() const { return reinterpret_cast<u64>(stack) + kStackSize; }
};

struct Value {
    u64 begin;
    const Map* map;
};

class Machine {
public:
    Machine(const VerifiedProgram& program, XdpBuff& packet) : program_(program), packet_(packet) {}

    CheckedRun run() {
        calls_.push_back(std::make_unique<Call>());
        top().r[R1] = reinterpret_cast<u64>(&packet_);
        top().r[R10] = top().top();
        top().address.set(R1).set(R10);
        while (!done_ && run_.violation.empty()) step();
        return run_;
    }

private:
    Call& top() { return *calls_.back(); }
    u64& r(u32 number) { return top().r[number]; }
    [[nodiscard]] const Insn& insn() const { return program_.insns()[pc_]; }
    [[nodiscard]] const InsnFacts& facts() const { return program_.facts()[pc_]; }

    template<class... Args>
    bool violation(fmt::format_string<Args...> text, Args&&... args) {
        if (run_.violation.empty())
            run_.violation = fmt::format("insn {}: {}", pc_, fmt::format(text, std::forward<Args>(args)...));
        return false;
    }
    void set(u32 number, u64 value, bool is_address = false) {
        r(number) = value;
        top().address.set(number, is_address);
    }

    void step() {
        if (++run_.steps > kStepLimit) {
            violation("more than {} steps", kStepLimit);
            return;
        }
        const InsnFacts& f = facts();
        if (!f.reached || f.op == Op::invalid) {
            violation("dead code is reached");
            return;
        }
        const OpcodeInfo& row = info(f.op);
        u32 next = pc_ + 1;
        switch (row.kind) {
        case OpKind::alu: alu(row); break;
        case OpKind::endian:
            run_.unspecified |= top().address[insn().dst];
            r(insn().dst) = byte_order(row, r(insn().dst));
            break;
        case OpKind::ldx: load_memory(row); break;
        case OpKind::st:
        case OpKind::stx: store_memory(row); break;
        case OpKind::atomic: atomic(row); break;
        case OpKind::jump:
            if (jump(row)) next = static_cast<u32>(f.target);
            break;
        case OpKind::ja: next = static_cast<u32>(f.target); break;
        case OpKind::ld_imm64:
            load_immediate();
            next = pc_ + 2;
            break;
        case OpKind::call:
            if (insn().src == kCallLocal) {
                enter();
                return;
            }
            helper();
            break;
        case OpKind::exit: leave(next); break;
        default: violation("{} is not for this machine", row.name); break;
        }
        pc_ = next;
    }

    void alu(const OpcodeInfo& row) {
        const u64 a = r(insn().dst);
        const bool reg = row.operand == Operand::reg;
        const u64 b = reg ? r(insn().src) : static_cast<u64>(i64{insn().imm});
        const bool moves = row.code == Code::mov || row.code == Code::movsx8 || row.code == Code::movsx16 ||
                           row.code == Code::movsx32;
        const bool a_address = !moves && top().address[insn().dst];
        const bool b_address = reg && top().address[insn().src];
        // The distance of two places in the packet is a number like any other. But numbers made of addresses
        // in other ways may end in offsets, and decide what is read.
        const bool distance =
            row.code == Code::sub && a_address && b_address && near_packet(a) && near_packet(b);
        const bool moves_pointer = row.width == 64 && a_address != b_address &&
                                   (row.code == Code::mov || row.code == Code::add || row.code == Code::sub);
        if ((a_address || b_address) && !distance && !moves_pointer) run_.unspecified = true;
        const u64 result = row.width == 64
                               ? arithmetic<u64>(row.code, a, b)
                               : arithmetic<u32>(row.code, static_cast<u32>(a), static_cast<u32>(b));
        set(insn().dst, result, (a_address || b_address) && !distance);
    }

    bool jump(const OpcodeInfo& row) {
        const u64 a = r(insn().dst);
        const bool reg = row.operand == Operand::reg;
        const u64 b = reg ? r(insn().src) : static_cast<u64>(i64{insn().imm});
        const bool a_address = top().address[insn().dst];
        const bool b_address = reg && top().address[insn().src];
        const bool equality = row.width == 64 && (row.code == Code::jeq || row.code == Code::jne);
        const bool null_check = equality && ((a_address && !b_address && b == 0) || (b_address && a == 0));
        const bool in_packet = row.width == 64 && a_address && b_address && near_packet(a) &&
                               near_packet(b) && row.code != Code::jset && row.code != Code::jsgt &&
                               row.code != Code::jsge && row.code != Code::jslt && row.code != Code::jsle;
        if ((a_address || b_address) && !null_check && !in_packet) run_.unspecified = true;
        const bool taken = row.width == 64 ? compare<u64>(row.code, a, b)
                                           : compare<u32>(row.code, static_cast<u32>(a), static_cast<u32>(b));
        if (taken && facts().never_taken) violation("a jump that is never taken is taken");
        if (!taken && facts().always_taken) violation("a jump that is always taken is not");
        return taken;
    }

    [[nodiscard]] bool near_packet(u64 address) const {
        return address - reinterpret_cast<u64>(packet_.hard_start) + 0x10000 < 0x40000;
    }

    void load_immediate() {
        const Insn& first = insn();
        const Insn& second = program_.insns()[pc_ + 1];
        if (first.src == kImm64) {
            set(first.dst, u64{static_cast<u32>(second.imm)} << 32 | static_cast<u32>(first.imm));
        } else if (first.src == kMapFd) {
            set(first.dst, reinterpret_cast<u64>(facts().map), true);
        } else if (first.src == kMapValue) {
            const u64 begin = reinterpret_cast<u64>(facts().map->ops().direct_value(*facts().map));
            values_.push_back({begin, facts().map});
            set(first.dst, begin + facts().value_offset, true);
        } else {
            violation("ld_imm64 of kind {}", u32{first.src});
        }
    }

    void enter() {
        if (calls_.size() >= kMaxCallFrames) {
            violation("{} frames", calls_.size() + 1);
            return;
        }
        auto call = std::make_unique<Call>();
        for (u32 i = R1; i <= R5; ++i) {
            call->r[i] = r(i);
            call->address[i] = top().address[i];
        }
        call->r[R10] = call->top();
        call->address.set(R10);
        call->back = pc_ + 1;
        pc_ = static_cast<u32>(facts().target);
        while (program_.functions()[call->function].begin != pc_) ++call->function;
        u32 depth = program_.functions()[call->function].stack_depth;
        for (const auto& one : calls_) depth += program_.functions()[one->function].stack_depth;
        calls_.push_back(std::move(call));
        if (depth > kStackSize) violation("{} bytes of stack", depth);
    }

    void leave(u32& next) {
        if (calls_.size() == 1) {
            done_ = true;
            run_.result = r(R0);
            run_.unspecified |= top().address[R0];
            return;
        }
        const u64 result = r(R0);
        const bool is_address = top().address[R0];
        next = top().back;
        calls_.pop_back();
        set(R0, result, is_address);
        // What the callee left in its argument registers is anything.
        for (u32 i = R1; i <= R5; ++i) set(i, 0xdeadbeefdeadbeef);
    }

    // --- memory ---

    /// The access as one of [begin, end).
    static bool within(u64 address, u64 size, u64 begin, u64 end) {
        return address >= begin && size <= end - begin && address - begin <= end - begin - size;
    }
    bool in_packet(u64 address, u64 size) const {
        return within(address, size, reinterpret_cast<u64>(packet_.data),
                      reinterpret_cast<u64>(packet_.data_end));
    }
    bool in_metadata(u64 address, u64 size) const {
        return within(address, size, reinterpret_cast<u64>(packet_.data_meta),
                      reinterpret_cast<u64>(packet_.data));
    }
    Call* stack_of(u64 address, u64 size) {
        for (const auto& call : calls_)
            if (within(address, size, call->top() - program_.functions()[call->function].stack_depth,
                       call->top()))
                return call.get();
        return nullptr;
    }
    const Map* value_of(u64 address, u64 size) const {
        for (const Value& value : values_)
            if (within(address, size, value.begin, value.begin + value.map->spec().value_size))
                return value.map;
        return nullptr;
    }

    enum class Use : u8 { read, write, write_uninit };

    /// Checks an access; `is_address` is set if what is read may depend on an address.
    bool check(u64 address, u64 size, PtrKind kind, Use use, bool& is_address) {
        const bool any = kind == PtrKind::mixed || kind == PtrKind::none;
        if (Call* call = stack_of(address, size); call != nullptr && (any || kind == PtrKind::stack)) {
            const u64 first = address - reinterpret_cast<u64>(call->stack);
            for (u64 i = first; i < first + size; ++i) {
                if (use == Use::read && !call->written[i]) {
                    // The privileged may; engines give them zeros, Linux gives them anything.
                    if (!program_.functions()[call->function].reads_uninit_stack)
                        return violation("stack at {} is read before it is written", i64(i) - kStackSize);
                    run_.unspecified = true;
                }
                is_address |= call->stack_address[i];
            }
            return true;
        }
        if (in_packet(address, size) && (any || kind == PtrKind::packet)) {
            if (use != Use::read && !program_.writes_packet()) return violation("a packet is written");
            return true;
        }
        if (in_metadata(address, size) && (any || kind == PtrKind::packet_meta)) {
            if (use != Use::read && !program_.writes_packet()) return violation("metadata is written");
            return true;
        }
        if (const Map* map = value_of(address, size); map != nullptr && (any || kind == PtrKind::map_value)) {
            const u32 forbidden = use == Use::read ? BPF_F_WRONLY_PROG : BPF_F_RDONLY_PROG;
            if ((map->spec().flags & forbidden) != 0) return violation("map flags forbid the access");
            return true;
        }
        return violation("{} of {} bytes at {:#x} (kind {}) is outside of everything; {}",
                         use == Use::read ? "read" : "write", size, address, static_cast<int>(kind),
                         nearest(address));
    }

    [[nodiscard]] std::string nearest(u64 address) const {
        std::string text = fmt::format("packet{:+}..{:+}", i64(address - reinterpret_cast<u64>(packet_.data)),
                                       i64(address - reinterpret_cast<u64>(packet_.data_end)));
        for (const auto& call : calls_) text += fmt::format(" stack{:+}", i64(address - call->top()));
        for (const Value& value : values_)
            text += fmt::format(" {}{:+}", value.map->ops().name, i64(address - value.begin));
        return text;
    }

    /// Notes what a write leaves behind.
    void wrote(u64 address, u64 size, bool is_address) {
        if (Call* call = stack_of(address, size)) {
            const u64 first = address - reinterpret_cast<u64>(call->stack);
            for (u64 i = first; i < first + size; ++i) {
                call->written.set(i);
                call->stack_address.set(i, is_address);
            }
        } else if (is_address) {
            run_.unspecified = true; // anyone may read it again
        }
    }

    void load_memory(const OpcodeInfo& row) {
        const u32 size = row.width / 8U;
        if (facts().base == PtrKind::ctx) {
            load_context();
            return;
        }
        const u64 address = r(insn().src) + static_cast<u64>(i64{insn().off});
        bool is_address = false;
        if (!check(address, size, facts().base, Use::read, is_address)) return;
        u64 value = load(reinterpret_cast<const u8*>(address), size);
        if (row.code != Code::none) value = arithmetic<u64>(row.code, 0, value);
        set(insn().dst, value, is_address);
    }

    void load_context() {
        if (r(insn().src) != reinterpret_cast<u64>(&packet_)) {
            violation("r{} is not the context", u32{insn().src});
            return;
        }
        switch (insn().off) {
        case offsetof(xdp_md, data): set(insn().dst, reinterpret_cast<u64>(packet_.data), true); break;
        case offsetof(xdp_md, data_end):
            set(insn().dst, reinterpret_cast<u64>(packet_.data_end), true);
            break;
        case offsetof(xdp_md, data_meta):
            set(insn().dst, reinterpret_cast<u64>(packet_.data_meta), true);
            break;
        case offsetof(xdp_md, ingress_ifindex): set(insn().dst, packet_.ingress_ifindex); break;
        case offsetof(xdp_md, rx_queue_index): set(insn().dst, packet_.rx_queue); break;
        default: violation("context access at {}", insn().off);
        }
        if (info(facts().op).code != Code::none)
            set(insn().dst, arithmetic<u64>(Code::movsx32, 0, r(insn().dst)));
    }

    void store_memory(const OpcodeInfo& row) {
        const u32 size = row.width / 8U;
        const u64 address = r(insn().dst) + static_cast<u64>(i64{insn().off});
        const bool reg = row.kind == OpKind::stx;
        const u64 value = reg ? r(insn().src) : static_cast<u64>(i64{insn().imm});
        bool old = false;
        if (facts().base == PtrKind::ctx) {
            violation("a context field is written");
            return;
        }
        if (!check(address, size, facts().base, Use::write, old)) return;
        std::memcpy(reinterpret_cast<void*>(address), &value, size);
        wrote(address, size, reg && top().address[insn().src]);
    }

    void atomic(const OpcodeInfo& row) {
        const u32 size = row.width / 8U;
        const u64 address = r(insn().dst) + static_cast<u64>(i64{insn().off});
        bool is_address = top().address[insn().src];
        if (address % size != 0) {
            violation("a misaligned atomic");
            return;
        }
        if (!check(address, size, facts().base, Use::read, is_address) ||
            !check(address, size, facts().base, Use::write, is_address))
            return;
        u8* memory = reinterpret_cast<u8*>(address);
        const u64 old = load(memory, size);
        const u64 mask = size == 8 ? ~u64{0} : 0xffffffff;
        u64 fresh = r(insn().src);
        if (row.code == Code::cmpxchg) {
            if (top().address[R0]) run_.unspecified = true;
            if (old != (r(R0) & mask)) fresh = old;
        } else if (row.code != Code::xchg) {
            fresh = arithmetic<u64>(row.code, old, fresh);
        }
        std::memcpy(memory, &fresh, size);
        wrote(address, size, is_address);
        if (row.operand == Operand::fetch)
            set(row.code == Code::cmpxchg ? u32{R0} : u32{insn().src}, old, is_address);
    }

    // --- helpers ---

    bool argument(const HelperProto& proto, u32 index, const Map*& map) {
        const u64 value = r(R1 + index);
        const u64 size = index + 1 < proto.args.size() ? r(R2 + index) : 0;
        bool is_address = false;
        bool ok = true;
        switch (proto.args[index]) {
        case Arg::ctx:
            if (value != reinterpret_cast<u64>(&packet_))
                return violation("r{} is not the context", index + 1);
            return true;
        case Arg::const_map:
            for (const auto& one : program_.maps())
                if (reinterpret_cast<u64>(one.get()) == value) map = one.get();
            if (map == nullptr) return violation("r{} is not a map", index + 1);
            if (facts().map != nullptr && facts().map != map)
                return violation("another map than the facts say");
            return true;
        case Arg::map_key:
            ok = check(value, map->spec().key_size, PtrKind::mixed, Use::read, is_address);
            break;
        case Arg::map_value:
            ok = check(value, map->spec().value_size, PtrKind::mixed, Use::read, is_address);
            break;
        case Arg::mem_or_null:
            if (value == 0 && size == 0) return true;
            [[fallthrough]];
        case Arg::mem: ok = size == 0 || check(value, size, PtrKind::mixed, Use::read, is_address); break;
        case Arg::uninit_mem:
            ok = size == 0 || check(value, size, PtrKind::mixed, Use::write_uninit, is_address);
            break;
        case Arg::anything:
            // Flags and indices that are addresses give results that are.
            is_address = top().address[R1 + index];
            break;
        default: break;
        }
        if (is_address && proto.args[index] != Arg::uninit_mem) run_.unspecified = true;
        return ok;
    }

    void helper() {
        const HelperProto* proto = facts().helper;
        if (proto == nullptr || static_cast<i32>(proto->id) != insn().imm || proto->fn == nullptr) {
            violation("call of helper {}", insn().imm);
            return;
        }
        const Map* map = nullptr;
        for (u32 i = 0; i < proto->args.size(); ++i)
            if (!argument(*proto, i, map)) return;
        if ((proto->writes_packet || proto->moves_packet) && !program_.writes_packet()) {
            violation("a packet is written");
            return;
        }
        const u64 result = proto->fn(r(R1), r(R2), r(R3), r(R4), r(R5));
        for (u32 i = 0; i < proto->args.size(); ++i) {
            if (proto->args[i] != Arg::uninit_mem || r(R2 + i) == 0) continue;
            // A helper that fails may have written nothing.
            wrote(r(R1 + i), r(R2 + i), static_cast<i64>(result) != 0);
        }
        const bool is_value = proto->ret == Ret::map_value_or_null;
        if (is_value && result != 0) values_.push_back({result, map});
        for (u32 i = R1; i <= R5; ++i) set(i, 0xdeadbeefdeadbeef);
        set(R0, result, is_value && result != 0);
    }

    const VerifiedProgram& program_;
    XdpBuff& packet_;
    std::vector<std::unique_ptr<Call>> calls_;
    std::vector<Value> values_;
    u32 pc_ = 0;
    bool done_ = false;
    CheckedRun run_;
};

} // namespace

CheckedRun run_checked(const VerifiedProgram& program, XdpBuff& packet) {
    return Machine(program, packet).run();
}

} // namespace xdplane::test
