// SPDX-License-Identifier: (GPL-2.0-only OR BSD-3-Clause)
// Copyright (c) 2026, the xdplane authors
//
// Kernel functions that programs of the corpus call, and what their headers
// would say: younger than the headers of the systems that we build on.
#ifndef XDPLANE_CORPUS_KFUNCS_H
#define XDPLANE_CORPUS_KFUNCS_H
#include "corpus.h"

struct bpf_iter_num {
    __u64 opaque[1];
} __attribute__((aligned(8)));

extern int bpf_iter_num_new(struct bpf_iter_num* it, int start, int end) __ksym __weak;
extern int* bpf_iter_num_next(struct bpf_iter_num* it) __ksym __weak;
extern void bpf_iter_num_destroy(struct bpf_iter_num* it) __ksym __weak;

extern int bpf_dynptr_from_xdp(struct xdp_md* xdp, __u64 flags, struct bpf_dynptr* ptr) __ksym __weak;
extern int bpf_dynptr_from_skb(struct __sk_buff* skb, __u64 flags, struct bpf_dynptr* ptr) __ksym __weak;
extern void* bpf_dynptr_slice(const struct bpf_dynptr* p, __u32 offset, void* buffer,
                              __u32 size) __ksym __weak;
extern void* bpf_dynptr_slice_rdwr(const struct bpf_dynptr* p, __u32 offset, void* buffer,
                                   __u32 size) __ksym __weak;
extern int bpf_dynptr_adjust(const struct bpf_dynptr* p, __u32 start, __u32 end) __ksym __weak;
extern __u32 bpf_dynptr_size(const struct bpf_dynptr* p) __ksym __weak;

// A loop over numbers that the verifier walks once, not once for each.
#define for_numbers(i, start, end)                                                                           \
    for (struct bpf_iter_num it_ __attribute__((cleanup(bpf_iter_num_destroy))),                             \
         *once_ __attribute__((unused)) =                                                                    \
             (bpf_iter_num_new(&it_, start, end), (void)bpf_iter_num_destroy, (void*)0);                     \
         ({                                                                                                  \
             int* next_ = bpf_iter_num_next(&it_);                                                           \
             (i) = next_ ? *next_ : 0;                                                                       \
             next_ != 0;                                                                                     \
         });)

// A loop that the kernel may end after a great many rounds.
#define can_loop                                                                                             \
    ({                                                                                                       \
        __label__ out_, in_;                                                                                 \
        int go_on_ = 1;                                                                                      \
        asm volatile goto("may_goto %l[out_]" :: ::out_);                                                    \
        goto in_;                                                                                            \
    out_:                                                                                                    \
        go_on_ = 0;                                                                                          \
    in_:;                                                                                                    \
        go_on_;                                                                                              \
    })

#endif
