# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026, the xdplane authors
from .case import *
from .packets import *
from .shapes import BAD, NO_PORTS, OTHER, WHOLE, shapes

SANITY, ACL, COUNT = range(3)
CLOSED = {struct.pack(">HBB", 23, TCP, 0): u64(0), struct.pack(">HBB", 53, UDP, 0): u64(5)}


def counts(c, packets):
    """packets: (data, protocol) of what reached the last stage."""
    sums = {}
    for data, proto in packets:
        n, size = sums.get(proto, (0, 0))
        sums[proto] = n + 1, size + len(data)
    return c.expect("chain_counts", {u32(p): u64(*v) for p, v in sorted(sums.items())})


def all_shapes():
    c = Case("shapes_through_all_stages", "chain_sanity", stats="chain_stats")
    counted = []
    for s in shapes():
        if s.kind in (BAD, NO_PORTS):
            c.packet(s.name, s.data, DROP, SANITY)
        else:
            c.packet(s.name, s.data, PASS, (SANITY, ACL, COUNT))
            counted.append((s.data, s.flow[4] if s.flow else 255))
    return counts(c, counted)


def closed():
    c = Case("closed_ports_stop_at_the_second_stage", "chain_sanity", {"chain_closed": CLOSED}, stats="chain_stats")
    telnet, dns = frame4("10.0.0.1", "10.0.0.2", tcp(1, 23)), frame6("2001:db8::1", "2001:db8::2", udp(1, 53))
    web = frame4("10.0.0.1", "10.0.0.2", tcp(1, 80))
    other = frame4("10.0.0.1", "10.0.0.2", udp(53, 23))
    c.packet("telnet", telnet, DROP, (SANITY, ACL))
    c.packet("dns", dns, DROP, (SANITY, ACL))
    c.packet("dns again", dns, DROP, (SANITY, ACL))
    c.packet("web", web, PASS, (SANITY, ACL, COUNT))
    c.packet("the ports of another protocol and direction", other, PASS, (SANITY, ACL, COUNT))
    c.packet("cut", web[:30], DROP, SANITY)
    c.expect("chain_closed", {k: u64(n) for k, n in zip(CLOSED, (1, 7))})
    return counts(c, [(web, TCP), (other, UDP)])


def from_the_middle():
    c = Case("started_at_the_second_stage", "chain_acl", {"chain_closed": CLOSED}, stats="chain_stats")
    cut = frame4("10.0.0.1", "10.0.0.2", tcp(1, 23))[:36]
    c.packet("telnet", frame4("10.0.0.1", "10.0.0.2", tcp(1, 23)), DROP, ACL)
    c.packet("arp", ARP_REQUEST, PASS, (ACL, COUNT))
    c.packet("cut inside the ports", cut, PASS, (ACL, COUNT))
    c.expect("chain_closed", {k: u64(n) for k, n in zip(CLOSED, (1, 5))})
    return counts(c, [(ARP_REQUEST, 255), (cut, TCP)])


def from_the_end():
    c = Case("started_at_the_last_stage", "chain_count", stats="chain_stats")
    c.packet("arp", ARP_REQUEST, PASS, COUNT)
    return counts(c, [(ARP_REQUEST, 255)])


CASES = [all_shapes(), closed(), from_the_middle(), from_the_end()]
