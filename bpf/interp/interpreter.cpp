// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
#include "bpf/interp/interpreter.h"

#include <bit>
#include <cerrno>
#include <cstddef>
#include <cstdlib>
#include <cstring>
#include <vector>

#include "bpf/interp/watcher.h"
#include "bpf/maps/prog_array.h"
#include "bpf/run/callback.h"
#include "bpf/run/legacy_load.h"
#include "bpf/run/run_context.h"

namespace xdplane {
namespace {

static_assert(std::endian::native == std::endian::little,
              "to_le and to_be are written for little-endian hosts");

// The arithmetic of RFC 9669 sections 4.1 and 4.2 where C++ has none or traps.

template<class T>
constexpr T divide(T a, T b) {
    return b == 0 ? T{0} : static_cast<T>(a / b);
}
template<class T>
constexpr T modulo(T a, T b) {
    return b == 0 ? a : static_cast<T>(a % b);
}
/// The most negative number divided by -1 is itself: the quotient wraps.
template<class U>
constexpr U signed_divide(U a, U b) {
    using S = std::make_signed_t<U>;
    if (b == 0) return 0;
    if (b == static_cast<U>(-1)) return static_cast<U>(0 - a);
    return static_cast<U>(static_cast<S>(a) / static_cast<S>(b));
}
template<class U>
constexpr U signed_modulo(U a, U b) {
    using S = std::make_signed_t<U>;
    if (b == 0) return a;
    if (b == static_cast<U>(-1)) return 0;
    return static_cast<U>(static_cast<S>(a) % static_cast<S>(b));
}

template<class T>
T load(u64 address) {
    T value;
    std::memcpy(&value, reinterpret_cast<const void*>(address), sizeof value);
    return value;
}
template<class T>
void store(u64 address, u64 value) {
    const T narrow = static_cast<T>(value);
    std::memcpy(reinterpret_cast<void*>(address), &narrow, sizeof narrow);
}

template<class T>
T load_acquire(u64 address) {
    return __atomic_load_n(reinterpret_cast<const T*>(address), __ATOMIC_ACQUIRE);
}
template<class T>
void store_release(u64 address, u64 value) {
    __atomic_store_n(reinterpret_cast<T*>(address), static_cast<T>(value), __ATOMIC_RELEASE);
}

/// Sign-extends the low bits that S holds.
template<class S>
constexpr u64 extend(u64 value) {
    return static_cast<u64>(static_cast<i64>(static_cast<S>(value)));
}

/// cmpxchg returns the old value, zero-extended.
template<class T>
u64 compare_exchange(u64 address, u64 expected, u64 desired) {
    T old = static_cast<T>(expected);
    __atomic_compare_exchange_n(reinterpret_cast<T*>(address), &old, static_cast<T>(desired), false,
                                __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST);
    return old;
}

/// Frames of one run: each of the 1 + kMaxTailCalls programs that may take part calls at most
/// kMaxCallFrames - 1 levels down, and a tail call takes over the frame it is made in. The verifier proves
/// the first part; a deeper chain is a broken invariant.
constexpr u32 kMaxDepth = (kMaxCallFrames - 1) * (kMaxTailCalls + 1) + 1;

/// A whole stack, and the budget of may_goto.
constexpr u32 kFrameBytes = kStackSize + 16;

struct Body;

/// A function of a program. Code pointers point at its first member.
struct Function {
    CallbackEntry entry{};
    const Body* body = nullptr;
    u32 begin = 0;
    u32 zero_bytes = 0;  ///< of the stack, at entry
    u32 loop_budget = 0; ///< distance below r10 of the budget of may_goto; 0: none
};

/// A program as execute() sees it, and what Entry::tail_entry points at.
struct Body {
    const LoweredInsn* insns = nullptr;
    const Function* functions = nullptr; ///< the main program first
    bool needs_context = false;
    Watcher* watcher = nullptr; ///< of execute<true>; may be null there too
};

/// What a function's frame holds before its first insn.
void prepare_frame(const Function& function, u8* top) noexcept {
    if (function.zero_bytes > 0) std::memset(top - function.zero_bytes, 0, function.zero_bytes);
    if (function.loop_budget > 0) store<u64>(reinterpret_cast<u64>(top - function.loop_budget), kMaxLoops);
}

/// Watched is for debugging alone: the other one does not know of watchers.
template<bool Watched>
u64 execute(const Body* body, u32 function, const u64* arguments, RunContext* context, u32 depth) noexcept;

/// bpf_loop without flags; the helper says the same of a callback that is not known.
template<bool Watched>
u64 loop(const Body* body, u32 function, u64 count, u64 callback_context, RunContext* context,
         u32 depth) noexcept {
    if (count > kMaxLoops) return static_cast<u64>(i64{-E2BIG});
    for (u64 i = 0; i < count; ++i) {
        const u64 arguments[5] = {i, callback_context};
        if (execute<Watched>(body, function, arguments, context, depth + 1) != 0) return i + 1;
    }
    return count;
}

template<bool Watched>
u64 leave(const Body& body, u64 result) noexcept {
    if constexpr (Watched)
        if (body.watcher != nullptr) body.watcher->leave();
    return result;
}

/// Runs one function to its exit, on its own registers and stack: a frame here is a frame of the C++ stack,
/// so a helper that calls a callback can come back in the same way. `arguments` are r1-r5.
template<bool Watched>
u64 execute(const Body* body, u32 function, const u64* arguments, RunContext* context, u32 depth) noexcept {
    if (depth > kMaxDepth) std::abort();
    alignas(16) u8 stack[kFrameBytes];
    u64 r[kRegisters] = {0, arguments[0], arguments[1], arguments[2], arguments[3], arguments[4]};
    r[R10] = reinterpret_cast<u64>(stack + kFrameBytes);
    prepare_frame(body->functions[function], stack + kFrameBytes);
    const LoweredInsn* insns = body->insns;
    if constexpr (Watched)
        if (body->watcher != nullptr) body->watcher->enter(function, r[R10]);

    // Every case ends in `break` to go on with the next insn.
    for (const LoweredInsn* insn = insns + body->functions[function].begin;; ++insn) {
        if constexpr (Watched)
            if (body->watcher != nullptr) body->watcher->before(static_cast<u32>(insn - insns), r);
        u64& dst = r[insn->dst];
        const u64 src = r[insn->src];
        const u64 imm = static_cast<u64>(insn->imm);
        const u64 at_dst = dst + static_cast<u64>(i64{insn->off});
        const u64 at_src = src + static_cast<u64>(i64{insn->off});

        // clang-format off
#define ALU(name, expr64, expr32)                                                                          \
    case Op::name##64_imm: { const u64 a = dst, b = imm; dst = (expr64); break; }                          \
    case Op::name##64_reg: { const u64 a = dst, b = src; dst = (expr64); break; }                          \
    case Op::name##32_imm: { const u32 a = u32(dst), b = u32(imm); dst = u32(expr32); break; }             \
    case Op::name##32_reg: { const u32 a = u32(dst), b = u32(src); dst = u32(expr32); break; }
#define SAME(name, expr) ALU(name, expr, expr)
#define JUMP(name, type64, type32, expr)                                                                   \
    case Op::name##64_imm: { const auto a = type64(dst), b = type64(imm); if (expr) goto jump; break; }    \
    case Op::name##64_reg: { const auto a = type64(dst), b = type64(src); if (expr) goto jump; break; }    \
    case Op::name##32_imm: { const auto a = type32(dst), b = type32(imm); if (expr) goto jump; break; }    \
    case Op::name##32_reg: { const auto a = type32(dst), b = type32(src); if (expr) goto jump; break; }
#define ATOMIC(name, builtin)                                                                              \
    case Op::atomic_##name##32: builtin(reinterpret_cast<u32*>(at_dst), u32(src), __ATOMIC_RELAXED); break; \
    case Op::atomic_##name##64: builtin(reinterpret_cast<u64*>(at_dst), src, __ATOMIC_RELAXED); break;      \
    case Op::atomic_fetch_##name##32:                                                                      \
        r[insn->src] = builtin(reinterpret_cast<u32*>(at_dst), u32(src), __ATOMIC_SEQ_CST); break;         \
    case Op::atomic_fetch_##name##64:                                                                      \
        r[insn->src] = builtin(reinterpret_cast<u64*>(at_dst), src, __ATOMIC_SEQ_CST); break;

        switch (insn->op) {
        SAME(add, a + b)
        SAME(sub, a - b)
        SAME(mul, a * b)
        SAME(div, divide(a, b))
        SAME(or, a | b)
        SAME(and, a & b)
        SAME(mod, modulo(a, b))
        SAME(xor, a ^ b)
        SAME(sdiv, signed_divide(a, b))
        SAME(smod, signed_modulo(a, b))
        SAME(mov, (void(a), b))
        ALU(lsh, a << (b & 63), a << (b & 31))
        ALU(rsh, a >> (b & 63), a >> (b & 31))
        ALU(arsh, u64(i64(a) >> (b & 63)), u32(i32(a) >> (b & 31)))
        case Op::neg64: dst = 0 - dst; break;
        case Op::neg32: dst = 0 - u32(dst); break;
        case Op::movsx8_64: dst = extend<i8>(src); break;
        case Op::movsx16_64: dst = extend<i16>(src); break;
        case Op::movsx32_64: dst = extend<i32>(src); break;
        case Op::movsx8_32: dst = u32(extend<i8>(src)); break;
        case Op::movsx16_32: dst = u32(extend<i16>(src)); break;

        case Op::le16: dst = u16(dst); break;
        case Op::le32: dst = u32(dst); break;
        case Op::le64: break;
        case Op::be16:
        case Op::bswap16: dst = __builtin_bswap16(u16(dst)); break;
        case Op::be32:
        case Op::bswap32: dst = __builtin_bswap32(u32(dst)); break;
        case Op::be64:
        case Op::bswap64: dst = __builtin_bswap64(dst); break;

        case Op::ldx8: dst = load<u8>(at_src); break;
        case Op::ldx16: dst = load<u16>(at_src); break;
        case Op::ldx32: dst = load<u32>(at_src); break;
        case Op::ldx64: dst = load<u64>(at_src); break;
        case Op::ldxs8: dst = extend<i8>(load<u8>(at_src)); break;
        case Op::ldxs16: dst = extend<i16>(load<u16>(at_src)); break;
        case Op::ldxs32: dst = extend<i32>(load<u32>(at_src)); break;
        case Op::st8: store<u8>(at_dst, imm); break;
        case Op::st16: store<u16>(at_dst, imm); break;
        case Op::st32: store<u32>(at_dst, imm); break;
        case Op::st64: store<u64>(at_dst, imm); break;
        case Op::stx8: store<u8>(at_dst, src); break;
        case Op::stx16: store<u16>(at_dst, src); break;
        case Op::stx32: store<u32>(at_dst, src); break;
        case Op::stx64: store<u64>(at_dst, src); break;
        case Op::load_acquire8: dst = load_acquire<u8>(at_src); break;
        case Op::load_acquire16: dst = load_acquire<u16>(at_src); break;
        case Op::load_acquire32: dst = load_acquire<u32>(at_src); break;
        case Op::load_acquire64: dst = load_acquire<u64>(at_src); break;
        case Op::store_release8: store_release<u8>(at_dst, src); break;
        case Op::store_release16: store_release<u16>(at_dst, src); break;
        case Op::store_release32: store_release<u32>(at_dst, src); break;
        case Op::store_release64: store_release<u64>(at_dst, src); break;

        ATOMIC(add, __atomic_fetch_add)
        ATOMIC(or, __atomic_fetch_or)
        ATOMIC(and, __atomic_fetch_and)
        ATOMIC(xor, __atomic_fetch_xor)
        case Op::atomic_xchg32:
            r[insn->src] = __atomic_exchange_n(reinterpret_cast<u32*>(at_dst), u32(src), __ATOMIC_SEQ_CST);
            break;
        case Op::atomic_xchg64:
            r[insn->src] = __atomic_exchange_n(reinterpret_cast<u64*>(at_dst), src, __ATOMIC_SEQ_CST);
            break;
        case Op::atomic_cmpxchg32: r[R0] = compare_exchange<u32>(at_dst, r[R0], src); break;
        case Op::atomic_cmpxchg64: r[R0] = compare_exchange<u64>(at_dst, r[R0], src); break;

        JUMP(jeq, u64, u32, a == b)
        JUMP(jne, u64, u32, a != b)
        JUMP(jgt, u64, u32, a > b)
        JUMP(jge, u64, u32, a >= b)
        JUMP(jlt, u64, u32, a < b)
        JUMP(jle, u64, u32, a <= b)
        JUMP(jset, u64, u32, (a & b) != 0)
        JUMP(jsgt, i64, i32, a > b)
        JUMP(jsge, i64, i32, a >= b)
        JUMP(jslt, i64, i32, a < b)
        JUMP(jsle, i64, i32, a <= b)
        case Op::may_goto: {
            const u64 at = r[R10] + imm;
            const u64 budget = load<u64>(at);
            if (budget == 0) goto jump;
            store<u64>(at, budget - 1);
            break;
        }
        case Op::ja:
        case Op::ja32:
        jump:
            insn = insns + insn->target - 1;
            break;
            // clang-format on
#undef ATOMIC
#undef JUMP
#undef SAME
#undef ALU

        case Op::exit: return leave<Watched>(*body, r[R0]);
        case Op::ld_imm64:
            dst =
                (insn->flags & kCodePointer) != 0 ? reinterpret_cast<u64>(&body->functions[imm].entry) : imm;
            break;
        case Op::call_helper: {
            const auto helper = reinterpret_cast<HelperFn>(insn->imm);
            r[R0] = helper(r[R1], r[R2], r[R3], r[R4], r[R5]);
            break;
        }
        case Op::map_lookup: {
            Map* map = reinterpret_cast<Map*>(imm);
            r[R0] = reinterpret_cast<u64>(map->ops().lookup(*map, reinterpret_cast<const void*>(r[R2])));
            break;
        }
        case Op::call_local:
            r[R0] = execute<Watched>(body, static_cast<u32>(imm), &r[R1], context, depth + 1);
            break;
        case Op::call_loop:
            r[R0] = loop<Watched>(body, static_cast<u32>(imm), r[R1], r[R3], context, depth);
            break;
        case Op::tail_call: {
            const auto* programs = static_cast<const ProgArray*>(reinterpret_cast<const Map*>(r[R2]));
            const Entry* target = programs->entry(static_cast<u32>(r[R3]));
            if (target == nullptr || context->tail_calls_left == 0) break;
            --context->tail_calls_left;
            (void)leave<Watched>(*body, 0);
            body = static_cast<const Body*>(target->tail_entry);
            insns = body->insns;
            prepare_frame(body->functions[0], stack + kFrameBytes);
            if constexpr (Watched)
                if (body->watcher != nullptr) body->watcher->enter(0, r[R10]);
            insn = insns - 1;
            break;
        }
        case Op::ctx_length: {
            const auto* packet = reinterpret_cast<const XdpBuff*>(src);
            dst = packet->length();
            break;
        }
        case Op::ld_abs8:
        case Op::ld_abs16:
        case Op::ld_abs32:
        case Op::ld_ind8:
        case Op::ld_ind16:
        case Op::ld_ind32: {
            const OpcodeInfo& row = info(insn->op);
            const u64 base = row.kind == OpKind::ld_ind ? src : 0;
            const i64 value = legacy_load(reinterpret_cast<const XdpBuff*>(r[R6]),
                                          static_cast<i32>(base + imm), row.width / 8U);
            if (value < 0) return leave<Watched>(*body, 0);
            r[R0] = static_cast<u64>(value);
            break;
        }
        case Op::nop: break;
        case Op::call: // lowering tells helpers from sub-programs
        case Op::invalid: std::abort();
        }
    }
}

template<bool Watched>
u64 call_back(u64 r1, u64 r2, u64 r3, u64 r4, RunContext* context, const CallbackEntry* entry) noexcept {
    static_assert(offsetof(Function, entry) == 0);
    const auto* function = reinterpret_cast<const Function*>(entry);
    const u64 arguments[5] = {r1, r2, r3, r4, 0};
    // Depth starts again: the frames below are those of the verifier's proof.
    return execute<Watched>(function->body, static_cast<u32>(function - function->body->functions), arguments,
                            context, 1);
}

template<bool Watched>
u32 run_once(const Body& body, XdpBuff* packet, RunContext* context) noexcept {
    if (body.needs_context) {
        context->packet = packet;
        context->tail_calls_left = kMaxTailCalls;
        context->random_calls = 0;
    }
    const u64 arguments[5] = {reinterpret_cast<u64>(packet)};
    return static_cast<u32>(execute<Watched>(&body, 0, arguments, context, 1));
}

template<bool Watched>
u32 run(const Entry* entry, XdpBuff* packet, RunContext* context) noexcept {
    return run_once<Watched>(*static_cast<const Body*>(entry->engine_data), packet, context);
}

template<bool Watched>
void run_burst(const Entry* entry, XdpBuff* packets, u32 count, RunContext* context) noexcept {
    const auto& body = *static_cast<const Body*>(entry->engine_data);
    for (u32 i = 0; i < count; ++i) packets[i].verdict = run_once<Watched>(body, &packets[i], context);
}

template<bool Watched>
class Interpreted final : public Executable {
public:
    explicit Interpreted(LoweredProgram program, Watcher* watcher = nullptr)
        : program_(std::move(program)), functions_(program_.functions().size()) {
        body_ = {program_.insns().data(), functions_.data(), program_.needs_context(), watcher};
        for (std::size_t i = 0; i < functions_.size(); ++i) {
            const LoweredFunction& from = program_.functions()[i];
            Function& to = functions_[i];
            to.entry.code = reinterpret_cast<i64>(static_cast<CallbackFn>(call_back<Watched>)) -
                            reinterpret_cast<i64>(&to.entry);
            to.body = &body_;
            to.begin = from.begin;
            to.zero_bytes = from.zero_stack ? from.stack_depth : 0;
            to.loop_budget = from.loop_budget ? from.stack_depth : 0;
        }
        entry.run = run<Watched>;
        entry.run_burst = run_burst<Watched>;
        entry.tail_entry = &body_;
        entry.engine_data = &body_;
    }

private:
    const LoweredProgram program_;
    std::vector<Function> functions_; // addresses are out: never resized
    Body body_;
};

} // namespace

std::unique_ptr<Executable> interpret(LoweredProgram program) {
    return std::make_unique<Interpreted<false>>(std::move(program));
}

std::unique_ptr<Executable> interpret_watched(LoweredProgram program, Watcher& watcher) {
    return std::make_unique<Interpreted<true>>(std::move(program), &watcher);
}

} // namespace xdplane
