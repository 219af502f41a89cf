# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026, the xdplane authors
from .case import *
from .packets import *
from .shapes import BAD, NO_PORTS, OTHER, WHOLE, shapes

DEFAULT, MALFORMED, NOT_IP = 64, 65, 66


def rule(src=None, dst=None, sport=(0, 0), dport=(0, 0), proto=0, family=None, action=1):
    """src, dst: 'ADDRESS/BITS'."""
    def net(text):
        if text is None:
            return bytes(32)
        n = ipaddress.ip_network(text)
        return n.network_address.packed.ljust(16, b"\0") + n.netmask.packed.ljust(16, b"\0")
    if family is None:
        family = 0 if not (src or dst) else 6 if ":" in (src or dst) else 4
    return net(src) + net(dst) + u16(*sport, *dport) + u8(proto, family, action) + bytes(5)


def rules(*items):
    return {u32(i): r for i, r in enumerate(items)}


def config(default=0, malformed=0, other=0):
    return {u32(0): u32(default, malformed, other)}


def acl(name, *items, **keys):
    maps = {"acl_rules": rules(*items)} if items else {}
    if keys:
        maps["acl_config"] = config(**keys)
    return Case(name, "acl", maps, stats="acl_hits")


def all_shapes():
    c = acl("shapes_without_rules")
    verdict = {WHOLE: (PASS, DEFAULT), OTHER: (PASS, NOT_IP), BAD: (DROP, MALFORMED), NO_PORTS: (DROP, MALFORMED)}
    for s in shapes():
        c.packet(s.name, s.data, *verdict[s.kind])
    return c


def first_match():
    c = acl("first_match_decides",
            rule("10.1.1.0/24", proto=TCP, dport=(22, 22), action=2),
            rule("10.1.0.0/16", proto=TCP, dport=(22, 23)),
            rule("10.1.0.0/16", proto=UDP, action=3),
            rule("10.1.1.1/32"))
    c.packet("the narrow pass comes first", frame4("10.1.1.9", "10.2.0.2", tcp(5, 22)), PASS, 0)
    c.packet("outside it the wide drop", frame4("10.1.2.9", "10.2.0.2", tcp(5, 22)), DROP, 1)
    c.packet("end of the range", frame4("10.1.1.9", "10.2.0.2", tcp(5, 23)), DROP, 1)
    c.packet("beyond the range", frame4("10.1.2.9", "10.2.0.2", tcp(5, 24)), PASS, DEFAULT)
    c.packet("before the range", frame4("10.1.2.9", "10.2.0.2", tcp(5, 21)), PASS, DEFAULT)
    c.packet("the range is the destination's", frame4("10.1.2.9", "10.2.0.2", tcp(22, 5)), PASS, DEFAULT)
    c.packet("another protocol, sent back", frame4("10.1.1.1", "10.2.0.2", udp(5, 22)), TX, 2)
    c.packet("any protocol of one host", frame4("10.1.1.1", "10.2.0.2", echo(), ICMP), DROP, 3)
    c.packet("its neighbour", frame4("10.1.1.2", "10.2.0.2", echo(), ICMP), PASS, DEFAULT)
    c.packet("another network", frame4("10.3.1.1", "10.2.0.2", tcp(5, 22)), PASS, DEFAULT)
    c.packet("in a VLAN", frame4("10.1.2.9", "10.2.0.2", tcp(5, 22), tags=[(VLAN, 9)]), DROP, 1)
    c.packet("in QinQ", frame4("10.1.2.9", "10.2.0.2", tcp(5, 22), tags=[(QINQ, 9), (VLAN, 8)]), DROP, 1)
    return c


def prefixes():
    c = acl("prefixes_of_both_families",
            rule("192.0.2.128/25"), rule(dst="198.51.100.7/32"), rule("2001:db8:1::/48"),
            rule("2001:db8:2::8000:0:0:0/65"), rule(dst="2001:db8:3::1/128"), rule("0.0.0.0/0", "203.0.113.0/24"))
    d4, d6 = "10.2.0.2", "2001:db8:ff::1"
    c.packet("upper half of the /24", frame4("192.0.2.128", d4, tcp(1, 2)), DROP, 0)
    c.packet("lower half of the /24", frame4("192.0.2.127", d4, tcp(1, 2)), PASS, DEFAULT)
    c.packet("destination host", frame4("10.1.0.1", "198.51.100.7", tcp(1, 2)), DROP, 1)
    c.packet("the same address as source", frame4("198.51.100.7", d4, tcp(1, 2)), PASS, DEFAULT)
    c.packet("destination network from anywhere", frame4("10.1.0.1", "203.0.113.200", tcp(1, 2)), DROP, 5)
    c.packet("inside the /48", frame6("2001:db8:1:ffff::1", d6, tcp(1, 2)), DROP, 2)
    c.packet("beside the /48", frame6("2001:db8:4::1", d6, tcp(1, 2)), PASS, DEFAULT)
    c.packet("bit 65 set", frame6("2001:db8:2::8000:0:0:1", d6, udp(1, 2)), DROP, 3)
    c.packet("bit 65 clear", frame6("2001:db8:2::7fff:0:0:1", d6, udp(1, 2)), PASS, DEFAULT)
    c.packet("all 128 bits", frame6("2001:db8:9::9", "2001:db8:3::1", udp(1, 2)), DROP, 4)
    c.packet("all but the last bit", frame6("2001:db8:9::9", "2001:db8:3::", udp(1, 2)), PASS, DEFAULT)
    return c


def families():
    c = acl("family_and_protocol_alone", rule(family=6, proto=UDP), rule(family=4, proto=ICMP), rule(proto=GRE),
            rule(proto=ICMPV6, action=2), default=1)
    c.packet("udp6", frame6("2001:db8::1", "2001:db8::2", udp(1, 2)), DROP, 0)
    c.packet("udp4", frame4("10.0.0.1", "10.0.0.2", udp(1, 2)), DROP, DEFAULT)
    c.packet("icmp4", frame4("10.0.0.1", "10.0.0.2", echo(), ICMP), DROP, 1)
    c.packet("gre4", frame4("10.0.0.1", "10.0.0.2", b"", GRE), DROP, 2)
    c.packet("gre6", frame6("2001:db8::1", "2001:db8::2", b"", GRE), DROP, 2)
    c.packet("icmp6", frame6("2001:db8::1", "2001:db8::2", echo6()), PASS, 3)
    c.packet("icmp6 behind options", frame6("2001:db8::1", "2001:db8::2", echo6(), extensions=[ext(HOP)]), PASS, 3)
    return c


def ports():
    c = acl("port_ranges", rule(sport=(1000, 2000), dport=(80, 80), proto=TCP), rule(sport=(65535, 65535)),
            rule(dport=(1, 65535), proto=SCTP), rule(dport=(9, 5), proto=UDP), rule(dport=(0, 7), proto=UDP))
    def t(s, d):
        return frame4("10.0.0.1", "10.0.0.2", tcp(s, d))
    def u(s, d, **k):
        return frame4("10.0.0.1", "10.0.0.2", udp(s, d), **k)
    c.packet("lower end", t(1000, 80), DROP, 0)
    c.packet("upper end", t(2000, 80), DROP, 0)
    c.packet("below", t(999, 80), PASS, DEFAULT)
    c.packet("above", t(2001, 80), PASS, DEFAULT)
    c.packet("one range of two", t(1500, 81), PASS, DEFAULT)
    c.packet("highest port, any protocol", u(65535, 53), DROP, 1)
    c.packet("highest port over IPv6", frame6("2001:db8::1", "2001:db8::2", tcp(65535, 1)), DROP, 1)
    c.packet("sctp has ports", frame4("10.0.0.1", "10.0.0.2", struct.pack(">HH", 1, 2) + bytes(8), SCTP), DROP, 2)
    c.packet("sctp to port 0 is below the range", frame4("10.0.0.1", "10.0.0.2", bytes(12), SCTP), PASS, DEFAULT)
    c.packet("a range upside down matches nothing", u(1, 8), PASS, DEFAULT)
    c.packet("a range from 0", u(1, 0), DROP, 4)
    c.packet("its upper end", u(1, 7), DROP, 4)
    return c


def fragments():
    c = acl("fragments", rule(proto=UDP, dport=(53, 53)), rule(dst="10.9.0.0/16", proto=UDP), rule(dport=(0, 65535), family=6))
    c.packet("the first has ports", frame4("10.0.0.1", "10.0.0.2", udp(1, 53), more=1), DROP, 0)
    c.packet("a later one has none", frame4("10.0.0.1", "10.0.0.2", udp(1, 53).data, UDP, offset=8), PASS, DEFAULT)
    c.packet("a rule without ports", frame4("10.0.0.1", "10.9.0.2", bytes(8), UDP, offset=8, more=1), DROP, 1)
    c.packet("icmp has no ports", frame6("2001:db8::1", "2001:db8::2", echo6()), PASS, DEFAULT)
    c.packet("first fragment over IPv6", frame6("2001:db8::1", "2001:db8::2", udp(1, 53), extensions=[fragment(0, 1)]),
             DROP, 0)
    c.packet("later fragment over IPv6",
             frame6("2001:db8::1", "2001:db8::2", udp(1, 53).data, UDP, extensions=[fragment(8)]), PASS, DEFAULT)
    return c


def configured():
    c = acl("configured_verdicts", rule("10.0.0.0/8", action=2), default=1, malformed=2, other=1)
    c.packet("allowed", frame4("10.0.0.1", "10.0.0.2", tcp(1, 2)), PASS, 0)
    c.packet("default drop", frame4("11.0.0.1", "10.0.0.2", tcp(1, 2)), DROP, DEFAULT)
    c.packet("malformed passes", frame4("10.0.0.1", "10.0.0.2", tcp(1, 2))[:20], PASS, MALFORMED)
    c.packet("arp drops", ARP_REQUEST, DROP, NOT_IP)
    return c


def full():
    c = acl("all_64_rules", *[rule(f"10.0.0.{i}/32", proto=TCP) for i in range(64)])
    for i in (0, 1, 31, 62, 63):
        c.packet(f"rule {i}", frame4(f"10.0.0.{i}", "10.1.0.1", tcp(1, 2)), DROP, i)
    c.packet("none of them", frame4("10.0.0.64", "10.1.0.1", tcp(1, 2)), PASS, DEFAULT)
    c.packet("last rule's address, not its protocol", frame4("10.0.0.63", "10.1.0.1", udp(1, 2)), PASS, DEFAULT)
    return c


def hole():
    c = Case("the_list_ends_at_an_empty_rule", "acl",
             {"acl_rules": {u32(0): rule("10.0.0.1/32"), u32(2): rule("10.0.0.2/32")}}, stats="acl_hits")
    c.packet("before the end", frame4("10.0.0.1", "10.1.0.1", tcp(1, 2)), DROP, 0)
    c.packet("behind the end", frame4("10.0.0.2", "10.1.0.1", tcp(1, 2)), PASS, DEFAULT)
    return c


CASES = [all_shapes(), first_match(), prefixes(), families(), ports(), fragments(), configured(), full(), hole()]
