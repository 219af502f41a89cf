// SPDX-License-Identifier: (GPL-2.0-only OR BSD-3-Clause)
// Copyright (c) 2026, the xdplane authors
//
// What all programs of the corpus share: nothing but the marks that the test
// reads, so that each can be written in a manner of its own.
#ifndef XDPLANE_CORPUS_H
#define XDPLANE_CORPUS_H

// clang-format off
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_endian.h>
// clang-format on

// Number of the broken variant being built; 0 is the program as it should be.
#ifndef BREAK
#define BREAK 0
#endif

// In front of a program: variant `n` of it is rejected with a log that has `message` in its last lines.
#define BROKEN(n, message) __attribute__((btf_decl_tag("rejected:" #n ":" message)))
// This one is always rejected.
#define REJECTED(message) BROKEN(0, message)

// One line of a program, right or broken: what follows is there unless this variant is built.
#define UNLESS_BROKEN(n, ...)                                                                                \
    do {                                                                                                     \
        if (BREAK != (n)) {                                                                                  \
            __VA_ARGS__;                                                                                     \
        }                                                                                                    \
    } while (0)

// In front of a loop: rolled out with -DUNROLL, kept without.
#ifdef UNROLL
#define LOOP _Pragma("clang loop unroll(full)")
#else
#define LOOP _Pragma("clang loop unroll(disable)")
#endif

#define LICENSED char corpus_license[] SEC("license") = "Dual BSD/GPL"

#endif
