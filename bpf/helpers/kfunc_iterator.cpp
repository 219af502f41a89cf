// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
#include <cerrno>
#include <limits>

#include "bpf/helpers/kfunc_rows.h"
#include "bpf/isa/insn.h"

/// Open-coded iterators over numbers: for (i = start; i < end; i++).
namespace xdplane {
namespace {

/// struct bpf_iter_num, as Linux uses it.
struct NumberIterator {
    i32 current; ///< the number handed out last; 0 together with end 0: no more
    i32 end;
};
static_assert(sizeof(NumberIterator) == 8);

NumberIterator& iterator_of(u64 argument) noexcept { return *reinterpret_cast<NumberIterator*>(argument); }

u64 iter_num_new(u64 it, u64 start, u64 end, u64, u64) noexcept {
    const i32 from = static_cast<i32>(start);
    const i32 to = static_cast<i32>(end);
    iterator_of(it) = {0, 0};
    if (from > to) return static_cast<u64>(i64{-EINVAL});
    if (i64{to} - from > kMaxLoops) return static_cast<u64>(i64{-E2BIG});
    // One before the first number, which may be one before the least one: the number wraps, and back again.
    iterator_of(it) = {static_cast<i32>(static_cast<u32>(from) - 1), to};
    return 0;
}

u64 iter_num_next(u64 it, u64, u64, u64, u64) noexcept {
    NumberIterator& iterator = iterator_of(it);
    const i32 next = static_cast<i32>(static_cast<u32>(iterator.current) + 1);
    if (next >= iterator.end) {
        iterator = {0, 0};
        return 0;
    }
    iterator.current = next;
    return reinterpret_cast<u64>(&iterator.current);
}

u64 iter_num_destroy(u64 it, u64, u64, u64, u64) noexcept {
    iterator_of(it) = {0, 0};
    return 0;
}

} // namespace

const HelperProto kKfuncIterNumNew = {.id = 0,
                                      .name = "bpf_iter_num_new",
                                      .fn = iter_num_new,
                                      .ret = Ret::integer,
                                      .args = {Arg::iterator, Arg::anything, Arg::anything},
                                      .unprivileged = false,
                                      .is_kfunc = true,
                                      .iterator = IteratorUse::make,
                                      .iterator_size = sizeof(NumberIterator)};
const HelperProto kKfuncIterNumNext = {.id = 0,
                                       .name = "bpf_iter_num_next",
                                       .fn = iter_num_next,
                                       .ret = Ret::iterator_value_or_null,
                                       .args = {Arg::iterator},
                                       .unprivileged = false,
                                       .is_kfunc = true,
                                       .iterator = IteratorUse::next,
                                       .iterator_size = sizeof(NumberIterator),
                                       .value_size = sizeof(i32)};
const HelperProto kKfuncIterNumDestroy = {.id = 0,
                                          .name = "bpf_iter_num_destroy",
                                          .fn = iter_num_destroy,
                                          .ret = Ret::nothing,
                                          .args = {Arg::iterator},
                                          .unprivileged = false,
                                          .is_kfunc = true,
                                          .iterator = IteratorUse::destroy,
                                          .iterator_size = sizeof(NumberIterator)};

} // namespace xdplane
