# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026, the xdplane authors
from .case import *
from .packets import *

FRAME = frame4("10.0.0.1", "10.0.0.2", tcp(1, 2))


def case(name, index, stages, times):
    c = Case(name, "tap", rodata={"stage_index": u32(index)}, stages=stages)
    c.packet("a packet", FRAME, PASS)
    return c.expect("tap_counts", {u32(index): u64(times, times * len(FRAME))})


CASES = [
    case("alone", 0, {}, 1),
    case("the_loader_sets_its_index", 7, {}, 1),
    case("a_slot_that_is_not_the_next", 7, {7: "tap", 9: "tap"}, 1),
    # The next stage is this program again, until Linux's limit of 33 tail calls.
    case("no_more_than_33_tail_calls", 3, {4: "tap"}, 34),
    case("the_last_slot_has_no_next", 33, {0: "tap"}, 1),
]
