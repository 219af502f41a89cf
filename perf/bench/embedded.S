// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
//
// The object files of the benchmark, as a table of name, begin and end; a null name ends it.
        .macro object name, file
        .section .rodata
        .balign 8
begin_\name:
        .incbin "\file"
end_\name:
label_\name:
        .asciz "\name"
        .section .data.rel.ro, "aw"
        .quad label_\name, begin_\name, end_\name
        .endm

        .section .data.rel.ro, "aw"
        .balign 8
        .globl xdplane_bench_objects
        .hidden xdplane_bench_objects
xdplane_bench_objects:
        .irp name, pass, parse, acl, flow, flow_wide, lpm, lpm6, percpu, lru, lb
        object \name, "\name\().bpf.o"
        object loop_\name, "loop_\name\().bpf.o"
        .endr
        .irp name, pass, parse, acl, flow, flow_wide, lpm, lpm6, percpu
        object rte_\name, "rte_\name\().bpf.o"
        .endr
        .irp name, chain_1, chain_4, chain_8, chain_16, chain_32
        object \name, "\name\().bpf.o"
        .endr
        .irp name, acl, blocklist, chain, drop, flowcount, pass, ratelimit, redirect, sanity, synguard, tap, vlan
        object filter_\name, "filters/\name\().bpf.o"
        .endr
        object report_html, "report.html"
        .quad 0, 0, 0
        .section .note.GNU-stack, "", %progbits
