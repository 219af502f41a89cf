# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026, the xdplane authors
from .case import *
from .packets import *
from .shapes import BAD, NO_PORTS, OTHER, WHOLE, host_key, shapes

WITHIN, OVER, FULL, NOT_IP, MALFORMED = range(5)
SECOND = 1_000_000_000
D4, D6 = "10.2.0.2", "2001:db8:ff::1"


def ratelimit(name, rate=0, burst=0, unit=0, v6_bits=0, full=0, buckets=None):
    maps = {"ratelimit_config": {u32(0): u64(rate, burst) + u32(unit) + u8(v6_bits, full) + u16(0)}}
    if buckets:
        maps["buckets"] = {host_key(k): u64(*v) for k, v in buckets.items()}
    return Case(name, "ratelimit", maps, stats="ratelimit_stats")


def left(tokens, at=None):
    """A bucket with so many tokens (not billionths), last filled at any time, or at this one."""
    return pattern(u64(tokens * SECOND), Pattern("??" * 8) if at is None else clocked(u64(at)))


def four(src="10.0.0.1", size=0, **keys):
    return frame4(src, D4, udp(1, 2, bytes(size)), **keys)


def off():
    c = Case("off_until_configured", "ratelimit", stats="ratelimit_stats")
    for i in range(3):
        c.packet(f"packet {i}", four(), PASS)
    c.packet("even malformed", four()[:20], PASS)
    return c.expect("buckets", {})


def all_shapes():
    c = ratelimit("shapes_within_the_limit", burst=1000)
    verdict = {WHOLE: (PASS, WITHIN), OTHER: (PASS, NOT_IP), BAD: (DROP, MALFORMED), NO_PORTS: (PASS, WITHIN)}
    spent = {}
    for s in shapes():
        c.packet(s.name, s.data, *verdict[s.kind])
        if s.flow:
            spent[s.flow[0]] = spent.get(s.flow[0], 0) + 1
    return c.expect("buckets", {host_key(src): left(1000 - n) for src, n in spent.items()})


def burst():
    c = ratelimit("a_burst_for_each_source", burst=3)
    for i in range(5):
        c.packet(f"packet {i}", four(), PASS if i < 3 else DROP, WITHIN if i < 3 else OVER)
    c.packet("another source", four("10.0.0.9"), PASS, WITHIN)
    c.packet("in a VLAN it is the same source", four(tags=[(VLAN, 3)]), DROP, OVER)
    six = frame6("2001:db8::1", D6, tcp(1, 2))
    for i in range(4):
        c.packet(f"IPv6 {i}", six, PASS if i < 3 else DROP, WITHIN if i < 3 else OVER)
    return c.expect("buckets", {host_key("10.0.0.1"): left(0), host_key("10.0.0.9"): left(2),
                                host_key("2001:db8::1"): left(0)})


def families():
    c = ratelimit("families_are_apart", burst=1)
    alike = "a00:1::"  # its 16 bytes are those of 10.0.0.1 in a key
    c.packet("IPv4", four("10.0.0.1"), PASS, WITHIN)
    c.packet("IPv6 with the same bytes", frame6(alike, D6, tcp(1, 2)), PASS, WITHIN)
    c.packet("IPv4 again", four("10.0.0.1"), DROP, OVER)
    return c.expect("buckets", {host_key("10.0.0.1"): left(0), host_key(alike): left(0)})


def in_bytes():
    c = ratelimit("in_bytes", burst=200, unit=1)
    c.packet("60 bytes", four(size=18), PASS, WITHIN)
    c.packet("100 bytes", four(size=58), PASS, WITHIN)
    c.packet("60 more are too many", four(size=18), DROP, OVER)
    c.packet("42 are two too many", four(size=0), DROP, OVER)
    c.packet("40 are all that is left", frame4("10.0.0.1", D4, bytes(6), GRE), PASS, WITHIN)
    c.packet("and now none", frame4("10.0.0.1", D4, b"", GRE), DROP, OVER)
    c.packet("larger than the bucket", four("10.0.0.5", 300), DROP, OVER)
    c.packet("which stays full", four("10.0.0.5", 200 - 42), PASS, WITHIN)
    return c.expect("buckets", {host_key("10.0.0.1"): left(0), host_key("10.0.0.5"): left(0)})


def sites():
    out = []
    for bits, same, apart in ((64, "2001:db8:1:2:3::1", "2001:db8:1:3::1"), (96, "2001:db8:1:2::9", "2001:db8:1:2:0:1::"),
                              (32, "2001:db8:9::1", "2001:db9::1")):
        c = ratelimit(f"v6_by_{bits}_bits", burst=2, v6_bits=bits)
        c.packet("one", frame6("2001:db8:1:2::1", D6, tcp(1, 2)), PASS, WITHIN)
        c.packet("another host of the site", frame6(same, D6, tcp(1, 2)), PASS, WITHIN)
        c.packet("a third packet of the site", frame6("2001:db8:1:2::1", D6, tcp(1, 2)), DROP, OVER)
        c.packet("another site", frame6(apart, D6, tcp(1, 2)), PASS, WITHIN)
        c.packet("IPv4 keeps its 32 bits", four("10.0.0.1"), PASS, WITHIN)
        net = lambda a: str(ipaddress.ip_network(f"{a}/{bits}", strict=False).network_address)
        c.expect("buckets", {host_key(net("2001:db8:1:2::1")): left(0), host_key(net(apart)): left(1),
                             host_key("10.0.0.1"): left(1)})
        out.append(c)
    return out


def instant():
    """A rate that fills the bucket within a nanosecond: never limited, whatever the clock says, if it moves."""
    c = ratelimit("refilled_at_once", rate=10**12, burst=1, buckets={"10.0.0.1": (0, 1)})
    c.packet("an empty bucket, long ago", four(), PASS, WITHIN, now=SECOND)
    return c.expect("buckets", {host_key("10.0.0.1"): left(0, SECOND)})


def refill():
    """10 packets a second, bursts of 2."""
    c = ratelimit("refill", rate=10, burst=2)
    def at(ms, verdict, slot, name, src="10.0.0.1"):
        # What a packet meets depends on the clock, and so do the counters then.
        c.packet(f"{ms} ms: {name}", four(src), verdict, now=SECOND + ms * 1_000_000, timed=True)
        counted[slot] = counted.get(slot, 0) + 1
    counted = {}
    at(0, PASS, WITHIN, "first")
    at(0, PASS, WITHIN, "second of the burst")
    at(0, DROP, OVER, "third")
    at(99, DROP, OVER, "one millisecond short of a token")
    at(100, PASS, WITHIN, "a token")
    at(150, DROP, OVER, "half a token")
    at(150, PASS, WITHIN, "another source", "10.0.0.2")
    at(200, PASS, WITHIN, "the other half")
    at(120, DROP, OVER, "a clock that steps back gives nothing")
    at(200, DROP, OVER, "nor when it comes back")
    at(300, PASS, WITHIN, "a token again")
    at(10_000, PASS, WITHIN, "after a long pause")
    at(10_000, PASS, WITHIN, "no more than a burst")
    at(10_000, DROP, OVER, "is there")
    at(10**9, PASS, WITHIN, "after eleven days")
    size = len(four())
    c.stats = None
    c.expect("ratelimit_stats", {u32(s): Pattern("[" + u64(n, n * size).hex() + "]") for s, n in sorted(counted.items())})
    return c.expect("buckets", {
        host_key("10.0.0.1"): clocked(u64(SECOND, SECOND + 10**9 * 1_000_000)),
        host_key("10.0.0.2"): clocked(u64(SECOND, SECOND + 150 * 1_000_000))})


def limits():
    """Numbers at the edge of 64 bits."""
    c = ratelimit("extreme_numbers", rate=2**64 - 1, burst=2**64 - 1, unit=1, buckets={"10.0.0.1": (0, 1)})
    c.packet("burst is capped", four(), PASS, WITHIN, now=SECOND)
    c.packet("and a new source", four("10.0.0.2"), PASS, WITHIN, now=SECOND)
    cap = 9_000_000_000 * SECOND
    cost = len(four()) * SECOND
    return c.expect("buckets", {host_key(a): pattern(u64(cap - cost), clocked(u64(SECOND)))
                                for a in ("10.0.0.1", "10.0.0.2")})


CASES = [off(), all_shapes(), burst(), families(), in_bytes(), *sites(), instant(), refill(), limits()]
