# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026, the xdplane authors
from .case import *
from .packets import *
from .shapes import BAD, NO_PORTS, OTHER, S4, S6, WHOLE, flow_key, shapes

COUNTED, FULL, NOT_IP, MALFORMED = range(4)


def all_shapes():
    """Each packet at its own time: a flow's first and last tell which ones they were."""
    c = Case("shapes", "flowcount", stats="flow_stats")
    slot = {WHOLE: COUNTED, OTHER: NOT_IP, BAD: MALFORMED, NO_PORTS: MALFORMED}
    flows = {}
    for i, s in enumerate(shapes()):
        now = 1_000_000_000 + i * 1_000_000
        c.packet(s.name, s.data, PASS, slot[s.kind], now=now)
        if s.kind == WHOLE:
            packets, size, first, _ = flows.get(s.flow, (0, 0, now, now))
            flows[s.flow] = packets + 1, size + len(s.data), first, now
    return c.expect("flows", {flow_key(k): pattern(u64(p, b), clocked(u64(f, l))) for k, (p, b, f, l) in flows.items()})


def apart():
    c = Case("directions_and_ports_are_apart", "flowcount", stats="flow_stats")
    flows = {}
    def add(name, src, dst, sport, dport, proto, times):
        make = tcp if proto == TCP else udp
        data = (frame6 if ":" in src else frame4)(src, dst, make(sport, dport, payload=bytes(times)))
        for i in range(times):
            c.packet(f"{name} {i}", data, PASS, COUNTED)
        flows[flow_key((src, dst, sport, dport, proto))] = pattern(u64(times, times * len(data)), Pattern("??" * 16))
    add("there", "10.0.0.1", "10.0.0.2", 1, 2, TCP, 3)
    add("back", "10.0.0.2", "10.0.0.1", 2, 1, TCP, 2)
    add("another port", "10.0.0.1", "10.0.0.2", 3, 2, TCP, 1)
    add("another protocol", "10.0.0.1", "10.0.0.2", 1, 2, UDP, 4)
    add("IPv6", "2001:db8::1", "2001:db8::2", 1, 2, UDP, 2)
    return c.expect("flows", flows)


CASES = [all_shapes(), apart()]
