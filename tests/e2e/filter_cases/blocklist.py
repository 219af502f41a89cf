# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026, the xdplane authors
from .case import *
from .packets import *
from .shapes import BAD, NO_PORTS, OTHER, WHOLE, address_key, shapes

PASSED, MATCHED, NOT_IP, MALFORMED = range(4)
SOURCES, DESTINATIONS, BOTH = 1, 2, 3
D4, D6 = "10.2.0.2", "2001:db8:ff::1"


def key(net):
    n = ipaddress.ip_network(net)
    return u8(n.version, n.prefixlen) + u16(0) + n.network_address.packed.ljust(16, b"\0")


def entry(match=0, verdict=0, hits=(0, 0)):
    return u32(match, verdict) + u64(*hits)


def config(v4=(), v6=(), match=0):
    return {u32(0): bytes(v4).ljust(4, b"\0") + bytes(v6).ljust(4, b"\0") + u32(match)}


def blocklist(name, entries, **keys):
    """entries: {net: (match, verdict)}"""
    maps = {"blocklist": {key(n): entry(*e) for n, e in entries.items()}}
    if keys:
        maps["blocklist_config"] = config(**keys)
    c = Case(name, "blocklist_filter", maps, stats="blocklist_stats")
    c.entries, c.hits = entries, {n: [0, 0] for n in entries}
    return c


def hit(c, name, data, net, verdict=DROP):
    c.hits[net][0] += 1
    c.hits[net][1] += len(data)
    return c.packet(name, data, verdict, MATCHED)


def done(c):
    return c.expect("blocklist", {key(n): entry(*e, hits=c.hits[n]) for n, e in c.entries.items()})


def all_shapes():
    c = blocklist("shapes_with_an_empty_list", {})
    verdict = {WHOLE: (PASS, PASSED), OTHER: (PASS, NOT_IP), BAD: (DROP, MALFORMED), NO_PORTS: (PASS, PASSED)}
    for s in shapes():
        c.packet(s.name, s.data, *verdict[s.kind])
    return done(c)


def default_prefixes():
    c = blocklist("default_prefix_lengths", {
        "10.0.0.1/32": (), "10.5.5.0/24": (), "10.6.0.0/16": (), "11.0.0.0/8": (), "12.0.0.0/12": (),
        "2001:db8:1::1/128": (), "2001:db8:2:3::/64": (), "2001:db8:4::/48": (), "2001:db8::/32": ()})
    def t(src):
        return frame6(src, D6, tcp(1, 2)) if ":" in src else frame4(src, D4, tcp(1, 2))
    hit(c, "a host", t("10.0.0.1"), "10.0.0.1/32")
    c.packet("its neighbour", t("10.0.0.2"), PASS, PASSED)
    hit(c, "a /24", t("10.5.5.255"), "10.5.5.0/24")
    hit(c, "a /16", t("10.6.255.1"), "10.6.0.0/16")
    hit(c, "a /8", t("11.255.0.1"), "11.0.0.0/8")
    hit(c, "a /8 again", frame4("11.0.0.0", D4, echo(), ICMP), "11.0.0.0/8")
    c.packet("a length that is not tried", t("12.0.0.1"), PASS, PASSED)
    hit(c, "an IPv6 host", t("2001:db8:1::1"), "2001:db8:1::1/128")
    c.packet("its IPv6 neighbour", t("2001:db8:1::2"), PASS, PASSED)
    hit(c, "a /64", t("2001:db8:2:3:ffff::1"), "2001:db8:2:3::/64")
    c.packet("beside the /64", t("2001:db8:2:4::1"), PASS, PASSED)
    hit(c, "a /48", t("2001:db8:4:ffff::1"), "2001:db8:4::/48")
    c.packet("a /32 is not tried", t("2001:db8:5::1"), PASS, PASSED)
    c.packet("destinations are not looked up", frame4("10.9.0.1", "10.0.0.1", tcp(1, 2)), PASS, PASSED)
    hit(c, "in a VLAN", frame4("10.0.0.1", D4, tcp(1, 2), tags=[(VLAN, 1)]), "10.0.0.1/32")
    hit(c, "in QinQ", frame4("10.0.0.1", D4, tcp(1, 2), tags=[(QINQ, 1), (VLAN, 1)]), "10.0.0.1/32")
    hit(c, "a later fragment", frame4("10.0.0.1", D4, bytes(8), UDP, offset=64), "10.0.0.1/32")
    hit(c, "behind extension headers",
        frame6("2001:db8:1::1", D6, tcp(1, 2), extensions=[ext(HOP), ext(DSTOPTS)]), "2001:db8:1::1/128")
    return done(c)


def order():
    c = blocklist("longest_first_and_its_verdict", {
        "10.0.0.7/32": (0, 2), "10.0.0.0/24": (0, 1), "10.0.0.0/16": (0, 3)})
    hit(c, "an exception inside", frame4("10.0.0.7", D4, tcp(1, 2)), "10.0.0.7/32", PASS)
    hit(c, "the rest of the /24", frame4("10.0.0.8", D4, tcp(1, 2)), "10.0.0.0/24")
    hit(c, "the rest of the /16 goes back", frame4("10.0.1.8", D4, tcp(1, 2)), "10.0.0.0/16", TX)
    return done(c)


def directions():
    c = blocklist("sources_and_destinations", {
        "10.0.0.1/32": (SOURCES,), "10.0.0.2/32": (DESTINATIONS,), "10.0.0.3/32": (BOTH,), "10.0.0.4/32": (),
        "2001:db8::1/128": (DESTINATIONS,)}, match=BOTH)
    n = "10.9.9.9"
    hit(c, "source entry as source", frame4("10.0.0.1", n, tcp(1, 2)), "10.0.0.1/32")
    c.packet("source entry as destination", frame4(n, "10.0.0.1", tcp(1, 2)), PASS, PASSED)
    c.packet("destination entry as source", frame4("10.0.0.2", n, tcp(1, 2)), PASS, PASSED)
    hit(c, "destination entry as destination", frame4(n, "10.0.0.2", tcp(1, 2)), "10.0.0.2/32")
    hit(c, "both as source", frame4("10.0.0.3", n, tcp(1, 2)), "10.0.0.3/32")
    hit(c, "both as destination", frame4(n, "10.0.0.3", tcp(1, 2)), "10.0.0.3/32")
    hit(c, "the source decides first", frame4("10.0.0.1", "10.0.0.2", tcp(1, 2)), "10.0.0.1/32")
    c.packet("no match given is sources", frame4(n, "10.0.0.4", tcp(1, 2)), PASS, PASSED)
    hit(c, "IPv6 destination", frame6("2001:db8::2", "2001:db8::1", udp(1, 2)), "2001:db8::1/128")
    return done(c)


def destinations_only():
    c = blocklist("destinations_alone", {"10.0.0.1/32": (BOTH,)}, match=DESTINATIONS)
    c.packet("as source", frame4("10.0.0.1", "10.9.9.9", tcp(1, 2)), PASS, PASSED)
    hit(c, "as destination", frame4("10.9.9.9", "10.0.0.1", tcp(1, 2)), "10.0.0.1/32")
    return done(c)


def lengths():
    c = blocklist("chosen_prefix_lengths", {
        "10.0.0.0/9": (), "12.34.56.78/31": (), "128.0.0.0/1": (), "10.200.0.1/32": (),
        "2001:db8:8000::/33": (), "2001:db8::/127": (), "fe00::/7": ()}, v4=(31, 9, 1), v6=(127, 33, 7))
    def t(src):
        return frame6(src, D6, tcp(1, 2)) if ":" in src else frame4(src, D4, tcp(1, 2))
    hit(c, "a /9", t("10.127.255.255"), "10.0.0.0/9")
    c.packet("the other /9", t("10.128.0.1"), PASS, PASSED)
    hit(c, "a /31", t("12.34.56.79"), "12.34.56.78/31")
    hit(c, "a /1", t("255.0.0.1"), "128.0.0.0/1")
    c.packet("a /32 is not tried now", t("10.200.0.1"), PASS, PASSED)
    hit(c, "a /33", t("2001:db8:8001::1"), "2001:db8:8000::/33")
    hit(c, "a /127", t("2001:db8::1"), "2001:db8::/127")
    c.packet("beside the /127", t("2001:db8::2"), PASS, PASSED)
    hit(c, "a /7", t("ff02::1"), "fe00::/7")
    return done(c)


CASES = [all_shapes(), default_prefixes(), order(), directions(), destinations_only(), lengths()]
