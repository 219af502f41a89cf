# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026, the xdplane authors
"""pass and drop: one verdict, whatever comes."""
from .case import *
from .shapes import shapes


def every(name, program, verdict):
    c = Case(name, program)
    for s in shapes():
        c.packet(s.name, s.data, verdict)
    return c


PASS_CASES = [every("shapes", "pass", PASS)]
DROP_CASES = [every("shapes", "drop", DROP)]
