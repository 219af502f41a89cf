# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026, the xdplane authors
"""Every shape of packet that the shared header walk (filters/include/parse.h) tells apart, with what it must say."""
from collections import namedtuple

from .case import u8, u16
from .packets import *

WHOLE, OTHER, BAD, NO_PORTS = "whole", "not IP", "truncated or malformed", "cut inside the ports"

# flow: (source, destination, source port, destination port, protocol) where the walk finds one.
Shape = namedtuple("Shape", "name data kind flow")

S4, D4, S6, D6 = "10.1.0.1", "10.2.0.2", "2001:db8:1::1", "2001:db8:2::2"


def address_key(text):
    return addr(text).ljust(16, b"\0")


def flow_key(flow):
    src, dst, sport, dport, proto = flow
    family = 6 if ":" in src else 4
    ports = struct.pack(">HH", sport, dport)
    return address_key(src) + address_key(dst) + ports + u8(proto, family) + u16(0)


def host_key(text):
    return address_key(text) + (6 if ":" in text else 4).to_bytes(4, "little")


def port_header(proto):
    return L4(proto, struct.pack(">HH", 4000, 5000) + bytes(8), 6).data


def whole():
    t, u = tcp(1111, 80, SYN), udp(2222, 53, b"query")
    tf, uf = (1111, 80, TCP), (2222, 53, UDP)
    four = [
        ("tcp4", frame4(S4, D4, t), tf),
        ("udp4", frame4(S4, D4, u), uf),
        ("icmp4", frame4(S4, D4, echo(), ICMP), (0, 0, ICMP)),
        ("sctp4", frame4(S4, D4, port_header(SCTP), SCTP), (4000, 5000, SCTP)),
        ("udplite4", frame4(S4, D4, port_header(UDPLITE), UDPLITE), (4000, 5000, UDPLITE)),
        ("gre4", frame4(S4, D4, bytes(4), GRE), (0, 0, GRE)),
        ("ip4 with nothing in it", frame4(S4, D4, b"", GRE), (0, 0, GRE)),
        ("tcp4 with ports and no more", frame4(S4, D4, t)[:38], tf),
        ("tcp4 after 4 bytes of options", frame4(S4, D4, t, options=b"\1\1\1\0"), tf),
        ("tcp4 after 40 bytes of options", frame4(S4, D4, t, options=b"\1" * 39 + b"\0"), tf),
        ("tcp4 with Ethernet padding", frame4(S4, D4, t).ljust(60, b"\0"), tf),
        ("tcp4 in a VLAN", frame4(S4, D4, t, tags=[(VLAN, 5)]), tf),
        ("tcp4 in an 802.1ad tag", frame4(S4, D4, t, tags=[(QINQ, 5)]), tf),
        ("udp4 in QinQ", frame4(S4, D4, u, tags=[(QINQ, 5), (VLAN, 6)]), uf),
        ("udp4 in two 802.1Q tags", frame4(S4, D4, u, tags=[(VLAN, 5), (VLAN, 6)]), uf),
        ("udp4, first fragment", frame4(S4, D4, u, more=1), uf),
        ("udp4, middle fragment", frame4(S4, D4, b"\0" * 16, UDP, more=1, offset=8), (0, 0, UDP)),
        ("udp4, last fragment", frame4(S4, D4, b"\0" * 3, UDP, offset=24), (0, 0, UDP)),
    ]
    six = [
        ("tcp6", frame6(S6, D6, t), tf),
        ("udp6", frame6(S6, D6, u), uf),
        ("icmp6", frame6(S6, D6, echo6()), (0, 0, ICMPV6)),
        ("tcp6 in a VLAN", frame6(S6, D6, t, tags=[(VLAN, 5)]), tf),
        ("udp6 in QinQ", frame6(S6, D6, u, tags=[(QINQ, 5), (VLAN, 6)]), uf),
        ("tcp6 after hop-by-hop options", frame6(S6, D6, t, extensions=[ext(HOP)]), tf),
        ("tcp6 after 24 bytes of routing header", frame6(S6, D6, t, extensions=[ext(ROUTING, 24)]), tf),
        ("tcp6 after 2048 bytes of options", frame6(S6, D6, t, extensions=[ext(DSTOPTS, 2048)]), tf),
        ("udp6 after AH", frame6(S6, D6, u, extensions=[authentication()]), uf),
        ("udp6 after AH of 12 bytes", frame6(S6, D6, u, extensions=[authentication(12)]), uf),
        ("udp6 after mobility, HIP and shim6", frame6(S6, D6, u, extensions=[ext(MOBILITY), ext(HIP), ext(SHIM6)]),
         uf),
        ("tcp6 after six headers", frame6(S6, D6, t, extensions=[ext(HOP), ext(DSTOPTS, 16), ext(ROUTING, 24),
                                                                 fragment(), authentication(), ext(DSTOPTS)]), tf),
        ("udp6, atomic fragment", frame6(S6, D6, u, extensions=[fragment()]), uf),
        ("udp6, first fragment", frame6(S6, D6, u, extensions=[fragment(0, 1)]), uf),
        ("udp6, middle fragment", frame6(S6, D6, bytes(16), UDP, extensions=[fragment(16, 1)]), (0, 0, UDP)),
        ("udp6, last fragment after hop-by-hop", frame6(S6, D6, bytes(5), UDP, extensions=[ext(HOP), fragment(32)]),
         (0, 0, UDP)),
        ("options inside a later fragment stay unread",
         frame6(S6, D6, bytes(2), DSTOPTS, extensions=[fragment(1480)]), (0, 0, DSTOPTS)),
        ("esp6 ends the walk", frame6(S6, D6, bytes(16), ESP, extensions=[ext(HOP)]), (0, 0, ESP)),
        ("no next header", frame6(S6, D6, b"", NONE), (0, 0, NONE)),
    ]
    return ([Shape(n, d, WHOLE, (S4, D4) + f) for n, d, f in four] +
            [Shape(n, d, WHOLE, (S6, D6) + f) for n, d, f in six])


def other():
    return [Shape(n, d, OTHER, None) for n, d in [
        ("arp", ARP_REQUEST),
        ("arp in a VLAN", ARP_REQUEST[:12] + bytes.fromhex("81000005") + ARP_REQUEST[12:]),
        ("lldp", eth(bytes(46), LLDP)),
        ("an Ethernet header alone", eth(b"", 0x9000)),
        ("802.3 with a length", eth(bytes(46), 46)),
    ]]


def bad():
    t4, t6 = frame4(S4, D4, tcp(1111, 80)), frame6(S6, D6, tcp(1111, 80))
    v4 = frame4(S4, D4, tcp(1111, 80), tags=[(VLAN, 5)])
    q4 = frame4(S4, D4, tcp(1111, 80), tags=[(QINQ, 5), (VLAN, 6)])
    hop = frame6(S6, D6, tcp(1111, 80), extensions=[ext(HOP, 16)])
    return [Shape(n, d, BAD, None) for n, d in [
        ("tag cut off", v4[:14]),
        ("tag cut after 3 bytes", v4[:17]),
        ("tag and nothing more", v4[:18]),
        ("second tag cut off", q4[:18]),
        ("second tag cut after 3 bytes", q4[:21]),
        ("two tags and nothing more", q4[:22]),
        ("three tags", frame4(S4, D4, tcp(1111, 80), tags=[(QINQ, 5), (VLAN, 6), (VLAN, 7)])),
        ("ip4 cut off", t4[:14]),
        ("ip4 cut after 1 byte", t4[:15]),
        ("ip4 cut after 19 bytes", t4[:33]),
        ("ip4 header length 16", frame4(S4, D4, tcp(1, 2), ihl=4)),
        ("ip4 header length 0", frame4(S4, D4, tcp(1, 2), ihl=0)),
        ("version 6 as IPv4", frame4(S4, D4, tcp(1, 2), version=6)),
        ("ip4 options cut", frame4(S4, D4, b"", TCP, options=bytes(40))[:73]),
        ("ip6 cut off", t6[:14]),
        ("ip6 cut after 39 bytes", t6[:53]),
        ("version 4 as IPv6", frame6(S6, D6, tcp(1, 2), version=4)),
        ("extension header cut off", hop[:54]),
        ("extension header cut after 7 bytes", hop[:61]),
        ("extension header's length cut", hop[:69]),
        ("extension header longer than the frame", frame6(S6, D6, b"", NONE, extensions=[ext(HOP, 2048)])[:200]),
        ("AH cut", frame6(S6, D6, b"", NONE, extensions=[authentication(24)])[:77]),
        ("seven extension headers", frame6(S6, D6, tcp(1, 2), extensions=[ext(HOP)] + [ext(DSTOPTS)] * 6)),
    ]]


def no_ports():
    """Whole to a filter that needs addresses alone."""
    t4, t6, q4 = frame4(S4, D4, tcp(1, 2)), frame6(S6, D6, udp(1, 2)), frame4(S4, D4, tcp(1, 2), tags=[(VLAN, 1)])
    e6 = frame6(S6, D6, udp(1, 2), extensions=[ext(HOP)])
    return [Shape(n, d, NO_PORTS, (s,)) for n, d, s in [
        ("tcp4 cut off", t4[:34], S4),
        ("tcp4 cut inside the ports", t4[:37], S4),
        ("tcp4 in a VLAN cut inside the ports", q4[:41], S4),
        ("udp6 cut off", t6[:54], S6),
        ("udp6 cut inside the ports", t6[:57], S6),
        ("udp6 cut after an extension header", e6[:62], S6),
    ]]


def shapes():
    return whole() + other() + bad() + no_ports()
