# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026, the xdplane authors
from .case import *
from .packets import *

(PASSED_IP, PASSED_OTHER, VLAN_TRUNCATED, VLAN_DEPTH, SOURCE_MAC, IP4_TRUNCATED, IP4_HEADER, IP4_LENGTH, IP4_CHECKSUM,
 TTL, MARTIAN, PRIVATE, LAND, FRAGMENTED, FRAGMENT_SHAPE, IP6_TRUNCATED, IP6_HEADER, IP6_LENGTH, IP6_EXTENSION,
 L4_TRUNCATED, TCP_HEADER, TCP_FLAGS, PORT_ZERO, UDP_LENGTH) = range(24)
S4, D4, S6, D6 = "9.1.0.1", "10.2.0.2", "2620:1::1", "2001:db8:2::2"
GROUP = "ff02::1:ff00:1"


def sanity(name, off=(), on=()):
    maps = {}
    if off or on:
        maps["sanity_config"] = {u32(0): u64(sum(1 << n for n in off), sum(1 << n for n in on))}
    return Case(name, "sanity", maps, stats="sanity_stats")


def good(c, name, data, slot=PASSED_IP):
    return c.packet(name, data, PASS, slot)


def bad(c, name, data, check):
    return c.packet(name, data, DROP, check)


def t4(*args, **keys):
    return frame4(S4, D4, tcp(1111, 80, *args), **keys)


def u4(payload=b"query", **keys):
    return frame4(S4, D4, udp(2222, 53, payload), **keys)


def t6(*args, **keys):
    return frame6(S6, D6, tcp(1111, 80, *args), **keys)


def u6(payload=b"query", **keys):
    return frame6(S6, D6, udp(2222, 53, payload), **keys)


def honest():
    c = sanity("honest_packets_pass")
    good(c, "tcp4", t4())
    good(c, "udp4", u4())
    good(c, "icmp4", frame4(S4, D4, echo(), ICMP))
    good(c, "gre4 without a payload", frame4(S4, D4, b"", GRE))
    good(c, "tcp4 with Ethernet padding", t4().ljust(60, b"\0"))
    good(c, "tcp4 with TCP options", frame4(S4, D4, tcp(1, 2, options=bytes(40), payload=b"hi")))
    for n in (4, 8, 20, 36, 40):
        good(c, f"tcp4 after {n} bytes of options", t4(options=bytes(range(1, n)) + b"\0"))
    good(c, "tcp4 in a VLAN", t4(tags=[(VLAN, 5)]))
    good(c, "tcp4 in QinQ", t4(tags=[(QINQ, 5), (VLAN, 6)]))
    good(c, "udp4, first fragment", frame4(S4, D4, udp(1, 2, bytes(16), length=4000), more=1))
    good(c, "udp4, middle fragment", frame4(S4, D4, bytes(24), UDP, more=1, offset=24))
    good(c, "udp4, last fragment", frame4(S4, D4, bytes(3), UDP, offset=48))
    good(c, "udp4 without a checksum", frame4(S4, D4, struct.pack(">HHHH", 1, 2, 8, 0), UDP))
    good(c, "tcp6", t6())
    good(c, "udp6", u6())
    good(c, "icmp6", frame6(S6, D6, echo6()))
    good(c, "icmp6, the shortest", frame6(S6, D6, bytes(4), ICMPV6))
    good(c, "tcp6 with Ethernet padding", t6().ljust(90, b"\0"))
    good(c, "tcp6 in QinQ", t6(tags=[(QINQ, 5), (VLAN, 6)]))
    good(c, "tcp6 after six headers", t6(extensions=[ext(HOP), ext(DSTOPTS, 16), ext(ROUTING, 24), fragment(),
                                                     authentication(), ext(DSTOPTS)]))
    good(c, "udp6, first fragment", frame6(S6, D6, udp(1, 2, bytes(16), length=4000), extensions=[fragment(0, 1)]))
    good(c, "udp6, last fragment", frame6(S6, D6, bytes(3), UDP, extensions=[fragment(24)]))
    good(c, "no next header", frame6(S6, D6, b"", NONE))
    good(c, "dhcp discover", frame4("0.0.0.0", "255.255.255.255", udp(68, 67, bytes(240))))
    good(c, "address detection", frame6("::", GROUP, echo6(bytes(20), 135)))
    good(c, "arp", ARP_REQUEST, PASSED_OTHER)
    good(c, "lldp in a VLAN", eth(bytes(40), LLDP, [(VLAN, 1)]), PASSED_OTHER)
    good(c, "an Ethernet header alone", eth(b"", 0x9000), PASSED_OTHER)
    return c


def ethernet():
    c = sanity("ethernet")
    v, q = t4(tags=[(VLAN, 5)]), t4(tags=[(QINQ, 5), (VLAN, 6)])
    bad(c, "tag cut off", v[:14], VLAN_TRUNCATED)
    bad(c, "tag cut after 3 bytes", v[:17], VLAN_TRUNCATED)
    bad(c, "second tag cut after 3 bytes", q[:21], VLAN_TRUNCATED)
    bad(c, "three tags", t4(tags=[(QINQ, 5), (VLAN, 6), (VLAN, 7)]), VLAN_DEPTH)
    bad(c, "three tags, cut", t4(tags=[(QINQ, 5), (VLAN, 6), (VLAN, 7)])[:22], VLAN_DEPTH)
    bad(c, "from a group address", eth(b"", ARP, src="01:00:5e:00:00:01"), SOURCE_MAC)
    bad(c, "from the broadcast address", eth(ip4(S4, D4, tcp(1, 2)), IPV4, src="ff:ff:ff:ff:ff:ff"), SOURCE_MAC)
    bad(c, "from nobody", eth(ip4(S4, D4, tcp(1, 2)), IPV4, src="00:00:00:00:00:00"), SOURCE_MAC)
    good(c, "zeros but for the last byte", eth(ip4(S4, D4, tcp(1, 2)), IPV4, src="00:00:00:00:00:01"))
    return c


def ipv4():
    c = sanity("ipv4_header")
    f = t4()
    for n in (14, 15, 33):
        bad(c, f"cut after {n} bytes", f[:n], IP4_TRUNCATED)
    bad(c, "options cut", t4(options=bytes(40))[:73], IP4_TRUNCATED)
    bad(c, "in a VLAN, cut", t4(tags=[(VLAN, 1)])[:37], IP4_TRUNCATED)
    bad(c, "version 6", t4(version=6), IP4_HEADER)
    bad(c, "version 0", t4(version=0), IP4_HEADER)
    bad(c, "header length 16", t4(ihl=4), IP4_HEADER)
    bad(c, "total length below the header's", t4(total=19), IP4_LENGTH)
    bad(c, "total length below the options' end", t4(total=43, options=bytes(24)), IP4_LENGTH)
    bad(c, "total length 0", t4(total=0), IP4_LENGTH)
    bad(c, "total length one beyond the frame", t4(total=41), IP4_LENGTH)
    bad(c, "frame cut by one byte", f[:-1], IP4_LENGTH)
    bad(c, "frame cut after the header", f[:34], IP4_LENGTH)
    bad(c, "checksum off by one", t4(wrong=1), IP4_CHECKSUM)
    bad(c, "checksum off by a byte", t4(wrong=0x100), IP4_CHECKSUM)
    bad(c, "checksum wrong with options", t4(wrong=7, options=bytes(12)), IP4_CHECKSUM)
    h = bytearray(t4(options=b"\1\2\3\4" * 10))
    h[14 + 59] ^= 0x80
    bad(c, "last byte of 40 options changed", bytes(h), IP4_CHECKSUM)
    h = bytearray(f)
    h[24:26] = b"\0\0"
    bad(c, "no checksum at all", bytes(h), IP4_CHECKSUM)
    bad(c, "ttl 0", t4(ttl=0), TTL)
    good(c, "ttl 1", t4(ttl=1))
    return c


def addresses():
    c = sanity("impossible_sources")
    for src in ("0.0.0.1", "0.255.255.255", "127.0.0.1", "127.255.255.254", "224.0.0.1", "239.1.2.3", "240.0.0.1",
                "255.255.255.255"):
        bad(c, src, frame4(src, D4, udp(1, 2)), MARTIAN)
    bad(c, "0.0.0.0 to a host", frame4("0.0.0.0", D4, udp(68, 67)), MARTIAN)
    for src in ("1.0.0.0", "126.255.255.255", "128.0.0.1", "223.255.255.255", "10.0.0.1", "192.168.0.1"):
        good(c, src, frame4(src, D4, udp(1, 2)))
    for src in ("::1", "ff02::1", "ffff::1", "::ffff:9.1.0.1"):
        bad(c, src, frame6(src, D6, udp(1, 2)), MARTIAN)
    bad(c, ":: to a host", frame6("::", D6, udp(1, 2)), MARTIAN)
    for src in ("::2", "fe80::1", "::1:0:0:1", "64:ff9b::1", "2001:db8::1", "0:0:0:1::1"):
        good(c, src, frame6(src, D6, udp(1, 2)))
    bad(c, "to itself", frame4(S4, S4, tcp(80, 80)), LAND)
    bad(c, "to itself over IPv6", frame6(S6, S6, tcp(80, 80)), LAND)
    good(c, "one bit apart over IPv6", frame6(S6, "2620:1::3", tcp(80, 80)))
    return c


def private():
    c = sanity("private_sources_when_asked", on=[PRIVATE])
    for src in ("10.0.0.1", "10.255.0.1", "100.64.0.1", "100.127.255.255", "169.254.1.1", "172.16.0.1", "172.31.255.255",
                "192.0.2.1", "192.168.255.1", "198.18.0.1", "198.19.255.1", "198.51.100.1", "203.0.113.1"):
        bad(c, src, frame4(src, "9.9.9.9", udp(1, 2)), PRIVATE)
    for src in ("9.255.255.255", "11.0.0.0", "100.63.255.255", "100.128.0.0", "169.253.0.1", "172.15.255.255", "172.32.0.0",
                "192.0.3.1", "192.169.0.1", "198.17.255.255", "198.20.0.0", "203.0.112.1"):
        good(c, src, frame4(src, "9.9.9.9", udp(1, 2)))
    for src in ("fc00::1", "fdff::1", "2001:db8:1::1"):
        bad(c, src, frame6(src, D6, udp(1, 2)), PRIVATE)
    for src in ("fbff::1", "2001:db9::1", "2001:db7:ffff::1"):
        good(c, src, frame6(src, D6, udp(1, 2)))
    return c


def fragments():
    c = sanity("fragment_shapes")
    bad(c, "4: a middle of 7 bytes", frame4(S4, D4, bytes(7), UDP, more=1, offset=8), FRAGMENT_SHAPE)
    bad(c, "4: a first of 12 bytes", frame4(S4, D4, udp(1, 2, bytes(4)), more=1), FRAGMENT_SHAPE)
    bad(c, "4: beyond 65535", frame4(S4, D4, bytes(16), UDP, offset=65520), FRAGMENT_SHAPE)
    good(c, "4: up to 65535", frame4(S4, D4, bytes(15), UDP, offset=65520))
    bad(c, "4: DF in a first fragment", frame4(S4, D4, udp(1, 2, bytes(8)), more=1, df=1), FRAGMENT_SHAPE)
    bad(c, "4: DF in a later fragment", frame4(S4, D4, bytes(8), UDP, offset=8, df=1), FRAGMENT_SHAPE)
    good(c, "4: DF alone", u4(df=1))
    bad(c, "4: a tiny first TCP fragment", frame4(S4, D4, tcp(1, 2).data[:16], TCP, more=1), FRAGMENT_SHAPE)
    good(c, "4: a first TCP fragment with its header", frame4(S4, D4, tcp(1, 2, payload=bytes(4)), more=1))
    bad(c, "4: TCP at offset 8", frame4(S4, D4, bytes(16), TCP, offset=8), FRAGMENT_SHAPE)
    good(c, "4: TCP at offset 24", frame4(S4, D4, bytes(16), TCP, offset=24))
    bad(c, "6: a middle of 7 bytes", frame6(S6, D6, bytes(7), UDP, extensions=[fragment(8, 1)]), FRAGMENT_SHAPE)
    bad(c, "6: beyond 65535", frame6(S6, D6, bytes(16), UDP, extensions=[fragment(65520)]), FRAGMENT_SHAPE)
    bad(c, "6: a tiny first TCP fragment",
        frame6(S6, D6, tcp(1, 2).data[:16], TCP, extensions=[fragment(0, 1)]), FRAGMENT_SHAPE)
    bad(c, "6: TCP at offset 8", frame6(S6, D6, bytes(16), TCP, extensions=[ext(HOP), fragment(8)]), FRAGMENT_SHAPE)
    good(c, "6: an atomic fragment", t6(extensions=[fragment()]))
    return c


def no_fragments():
    c = sanity("fragments_refused_when_asked", on=[FRAGMENTED])
    bad(c, "first", u4(bytes(8), more=1), FRAGMENTED)
    bad(c, "later", frame4(S4, D4, bytes(8), UDP, offset=16), FRAGMENTED)
    bad(c, "6: first", u6(bytes(8), extensions=[fragment(0, 1)]), FRAGMENTED)
    bad(c, "6: later", frame6(S6, D6, bytes(8), UDP, extensions=[fragment(16)]), FRAGMENTED)
    good(c, "whole", u4())
    good(c, "6: an atomic fragment is whole", u6(extensions=[fragment()]))
    return c


def ipv6():
    c = sanity("ipv6_header")
    f, h = t6(), t6(extensions=[ext(HOP, 16)])
    for n in (14, 15, 53):
        bad(c, f"cut after {n} bytes", f[:n], IP6_TRUNCATED)
    bad(c, "in a VLAN, cut", t6(tags=[(VLAN, 1)])[:57], IP6_TRUNCATED)
    bad(c, "version 4", t6(version=4), IP6_HEADER)
    bad(c, "payload length one beyond the frame", t6(length=21), IP6_LENGTH)
    bad(c, "frame cut by one byte", f[:-1], IP6_LENGTH)
    bad(c, "hop limit 0", t6(hop=0), TTL)
    good(c, "hop limit 1", t6(hop=1))
    bad(c, "extension header beyond the frame", frame6(S6, D6, bytes(7), HOP), IP6_EXTENSION)
    bad(c, "extension header without a byte", frame6(S6, D6, b"", DSTOPTS), IP6_EXTENSION)
    bad(c, "extension header longer than the frame", frame6(S6, D6, h[54:64], HOP), IP6_EXTENSION)
    bad(c, "extension header longer than the payload",
        t6(extensions=[ext(HOP, 16)], length=8), IP6_EXTENSION)
    bad(c, "seven extension headers", t6(extensions=[ext(HOP)] + [ext(DSTOPTS)] * 6), IP6_EXTENSION)
    return c


def transport():
    c = sanity("transport_headers")
    for n in (0, 4, 19):
        bad(c, f"tcp4 of {n} bytes", frame4(S4, D4, tcp(1, 2).data[:n], TCP), L4_TRUNCATED)
        bad(c, f"tcp6 of {n} bytes", frame6(S6, D6, tcp(1, 2).data[:n], TCP), L4_TRUNCATED)
    bad(c, "tcp4 whose rest is padding", t4(total=39), L4_TRUNCATED)
    for n in (0, 7):
        bad(c, f"udp4 of {n} bytes", frame4(S4, D4, udp(1, 2).data[:n], UDP), L4_TRUNCATED)
        bad(c, f"udp6 of {n} bytes", frame6(S6, D6, udp(1, 2).data[:n], UDP), L4_TRUNCATED)
    bad(c, "icmp4 of 7 bytes", frame4(S4, D4, bytes(7), ICMP), L4_TRUNCATED)
    bad(c, "icmp6 of 3 bytes", frame6(S6, D6, bytes(3), ICMPV6), L4_TRUNCATED)
    bad(c, "udp6 cut behind extension headers",
        frame6(S6, D6, bytes(7), UDP, extensions=[ext(HOP), ext(DSTOPTS)]), L4_TRUNCATED)
    bad(c, "tcp4 header length 16", frame4(S4, D4, tcp(1, 2, doff=4)), TCP_HEADER)
    bad(c, "tcp4 header longer than the packet", frame4(S4, D4, tcp(1, 2, doff=6)), TCP_HEADER)
    bad(c, "tcp6 header length 0", frame6(S6, D6, tcp(1, 2, doff=0)), TCP_HEADER)
    bad(c, "tcp6 header longer than the packet", frame6(S6, D6, tcp(1, 2, doff=15, payload=bytes(39))), TCP_HEADER)
    good(c, "tcp6 header as long as the packet", frame6(S6, D6, tcp(1, 2, doff=15, payload=bytes(40))))
    bad(c, "tcp4 from port 0", frame4(S4, D4, tcp(0, 2)), PORT_ZERO)
    bad(c, "tcp6 to port 0", frame6(S6, D6, tcp(1, 0)), PORT_ZERO)
    bad(c, "udp4 to port 0", frame4(S4, D4, udp(1, 0)), PORT_ZERO)
    bad(c, "udp6 from port 0", frame6(S6, D6, udp(0, 1)), PORT_ZERO)
    bad(c, "udp4 length 7", frame4(S4, D4, udp(1, 2, length=7)), UDP_LENGTH)
    bad(c, "udp4 length beyond the packet", frame4(S4, D4, udp(1, 2, b"x", length=10)), UDP_LENGTH)
    bad(c, "udp4 length into the padding", frame4(S4, D4, udp(1, 2, length=9)).ljust(60, b"\0"), UDP_LENGTH)
    bad(c, "udp6 length 0", frame6(S6, D6, udp(1, 2, length=0)), UDP_LENGTH)
    good(c, "udp4 shorter than the packet", frame4(S4, D4, udp(1, 2, b"xyz", length=8)))
    bad(c, "a first fragment's udp length 7", frame4(S4, D4, udp(1, 2, length=7), more=1), UDP_LENGTH)
    return c


def flags():
    """All 64 combinations, judged by the table in the filter's description."""
    c = sanity("tcp_flags")
    for f in range(64):
        nonsense = (f == 0 or f & SYN and f & (FIN | RST) or f & FIN and f & RST or
                    not f & ACK and (f & FIN or not f & SYN and f & (PSH | URG)))
        name = "+".join(n for n, b in (("FIN", 1), ("SYN", 2), ("RST", 4), ("PSH", 8), ("ACK", 16), ("URG", 32)) if f & b)
        (bad if nonsense else good)(c, name or "none", t4(f), TCP_FLAGS if nonsense else PASSED_IP)
    good(c, "ECN bits do not matter", t4(SYN | 0xc0))
    bad(c, "nor do they help", t6(0xc0), TCP_FLAGS)
    return c


def switched_off():
    off = [VLAN_TRUNCATED, SOURCE_MAC, IP4_TRUNCATED, IP4_CHECKSUM, IP4_LENGTH, MARTIAN, TCP_FLAGS, IP6_EXTENSION, TTL]
    c = sanity("checks_switched_off", off=off)
    good(c, "tag cut off", t4(tags=[(VLAN, 5)])[:15], PASSED_OTHER)
    good(c, "ip4 cut", t4()[:20])
    good(c, "wrong checksum", t4(wrong=1))
    bad(c, "wrong checksum, and a port 0 behind it", frame4(S4, D4, udp(0, 1), wrong=1), PORT_ZERO)
    good(c, "a martian with ttl 0 from nobody", eth(ip4("127.0.0.1", D4, udp(1, 2), ttl=0), IPV4, src="00:00:00:00:00:00"))
    good(c, "flags", t4(0))
    good(c, "extension headers cut", frame6(S6, D6, b"", HOP))
    bad(c, "total length 0: nothing is left for TCP", t4(total=0), L4_TRUNCATED)
    good(c, "total length beyond the frame: the frame's end counts", t4(total=1000))
    bad(c, "and beyond that the header is cut", t4(total=1000)[:50], L4_TRUNCATED)
    bad(c, "version is still checked", t4(version=6), IP4_HEADER)
    return c


CASES = [honest(), ethernet(), ipv4(), addresses(), private(), fragments(), no_fragments(), ipv6(), transport(), flags(),
         switched_off()]
