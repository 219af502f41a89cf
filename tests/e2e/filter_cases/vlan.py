# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026, the xdplane authors
from .case import *
from .packets import *

POPPED, PUSHED, LEFT, FAILED = range(4)
UNTAGGED4, UNTAGGED6 = frame4("10.0.0.1", "10.0.0.2", udp(1, 2, b"hi")), frame6("2001:db8::1", "2001:db8::2", tcp(1, 2))


def vlan(name, program, tpid=0, tci=0, vid=0, other=0):
    return Case(name, program, {"vlan_config": {u32(0): u16(tpid, tci, vid, other, 0, 0)}}, stats="vlan_stats")


def tagged(frame, *tags):
    return frame[:12] + b"".join(struct.pack(">HH", *t) for t in tags) + frame[12:]


def pop():
    c = vlan("pop_any", "vlan_pop")
    for n, f in (("IPv4", UNTAGGED4), ("IPv6", UNTAGGED6), ("arp", ARP_REQUEST)):
        c.packet(f"{n} in a VLAN", tagged(f, (VLAN, 0xe005)), PASS, POPPED, out=f)
        c.packet(f"{n} in an 802.1ad tag", tagged(f, (QINQ, 7)), PASS, POPPED, out=f)
        c.packet(f"{n} in QinQ", tagged(f, (QINQ, 7), (VLAN, 8)), PASS, POPPED, out=tagged(f, (VLAN, 8)))
        c.packet(f"{n} without a tag", f, PASS, LEFT)
    c.packet("a tag and nothing more", tagged(eth(b"", 0x9000), (VLAN, 1)), PASS, POPPED, out=eth(b"", 0x9000))
    c.packet("tag cut after 3 bytes", tagged(UNTAGGED4, (VLAN, 1))[:17], DROP, FAILED)
    c.packet("tag cut off", tagged(UNTAGGED4, (VLAN, 1))[:14], DROP, FAILED)
    c.packet("an Ethernet header alone", eth(b"", 0x9000), PASS, LEFT)
    c.packet("1500 bytes", tagged(eth(bytes(range(250)) * 6, 0x9000), (VLAN, 1)), PASS, POPPED,
             out=eth(bytes(range(250)) * 6, 0x9000))
    return c


def pop_one():
    c = vlan("pop_one_id", "vlan_pop", vid=100, other=1)
    c.packet("this one", tagged(UNTAGGED4, (VLAN, 100)), PASS, POPPED, out=UNTAGGED4)
    c.packet("with priority", tagged(UNTAGGED4, (VLAN, 0xf064)), PASS, POPPED, out=UNTAGGED4)
    c.packet("another", tagged(UNTAGGED4, (VLAN, 101)), DROP, LEFT)
    c.packet("inside another", tagged(UNTAGGED4, (QINQ, 101), (VLAN, 100)), DROP, LEFT)
    c.packet("without a tag", UNTAGGED4, DROP, LEFT)
    return c


def push():
    c = vlan("push_802_1q", "vlan_push", tci=0x6064)
    for n, f in (("IPv4", UNTAGGED4), ("IPv6", UNTAGGED6), ("arp", ARP_REQUEST), ("a header alone", eth(b"", 0x9000))):
        c.packet(n, f, PASS, PUSHED, out=tagged(f, (VLAN, 0x6064)))
    c.packet("in front of a tag", tagged(UNTAGGED4, (VLAN, 5)), PASS, PUSHED,
             out=tagged(UNTAGGED4, (VLAN, 0x6064), (VLAN, 5)))
    big = eth(bytes(range(250)) * 6, 0x9000)
    c.packet("1500 bytes", big, PASS, PUSHED, out=tagged(big, (VLAN, 0x6064)))
    return c


def push_ad():
    c = vlan("push_802_1ad", "vlan_push", tpid=QINQ, tci=4094)
    c.packet("outside of a tag", tagged(UNTAGGED6, (VLAN, 5)), PASS, PUSHED, out=tagged(UNTAGGED6, (QINQ, 4094), (VLAN, 5)))
    return c


def push_default():
    c = Case("push_unconfigured", "vlan_push", stats="vlan_stats")
    c.packet("a priority tag", UNTAGGED4, PASS, PUSHED, out=tagged(UNTAGGED4, (VLAN, 0)))
    return c


CASES = [pop(), pop_one(), push(), push_ad(), push_default()]
