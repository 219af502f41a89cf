# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026, the xdplane authors
from .case import *
from .packets import *
from .shapes import BAD, D4, D6, NO_PORTS, OTHER, S4, S6, WHOLE, address_key, host_key, shapes

NOT_SYN, SYN_PASSED, SYN_VERIFIED, SYN_DROPPED, LEARNED, VERIFIED_FULL, TARGETS_FULL, MALFORMED = range(8)
SECOND, AGES = 1_000_000_000, 2**63
SERVER, SERVER6 = "10.2.0.2", "2001:db8:2::2"
SYN_SEEN, SYNACK_SEEN = 1, 2


def synguard(name, threshold, window=AGES, verified=0, one_way=0, known=None):
    maps = {"synguard_config": {u32(0): u64(window, verified) + u32(threshold, one_way)}}
    if known:
        maps["verified"] = {host_key(a): u64(t) for a, t in known.items()}
    return Case(name, "synguard", maps, stats="synguard_stats")


def connection_hash(client, server, client_port, server_port):
    """The filter's own, written down a second time."""
    h = 0
    words = struct.unpack("<8I", address_key(client) + address_key(server)) + (client_port << 16 | server_port,)
    for word in words:
        h = (h ^ word) * 0x9e3779b97f4a7c15 % 2**64
        h ^= h >> 29
    return h


def handshake(connection, client_next, server_next=0, state=SYN_SEEN):
    """Slot and value."""
    h = connection_hash(*connection)
    return {u32(h % 4096): u32(h >> 32, client_next, server_next, state)}


def packet(src, dst, *args, **keys):
    return (frame6 if ":" in src else frame4)(src, dst, tcp(*args, **keys))


def target(syns):
    return pattern(Pattern("??" * 8), u64(syns))


def off():
    c = Case("off_until_configured", "synguard", stats="synguard_stats")
    for i in range(3):
        c.packet(f"SYN {i}", packet("10.0.0.1", SERVER, 1, 80), PASS)
    return c.expect("targets", {}).expect("handshakes", {})


def all_shapes():
    c = synguard("shapes_below_the_threshold", 1000)
    syns = {D4: 0, D6: 0}
    for s in shapes():
        is_tcp = s.name.startswith("tcp")
        if s.kind == OTHER:
            c.packet(s.name, s.data, PASS, NOT_SYN)
        elif s.kind == BAD or is_tcp and (s.kind == NO_PORTS or s.name == "tcp4 with ports and no more"):
            c.packet(s.name, s.data, DROP, MALFORMED)
        elif s.kind == NO_PORTS or not is_tcp:
            c.packet(s.name, s.data, PASS, NOT_SYN)
        else:
            c.packet(s.name, s.data, PASS, SYN_PASSED)
            syns[s.flow[1]] += 1
    c.expect("targets", {host_key(d): target(n) for d, n in syns.items()})
    return c.expect("handshakes", {**handshake((S4, D4, 1111, 80), 1001), **handshake((S6, D6, 1111, 80), 1001)})


def flood():
    c = synguard("a_flood_stops_at_the_threshold", 3)
    slots = {}
    for i in range(6):
        client = f"10.66.0.{i}"
        c.packet(f"SYN {i}", packet(client, SERVER, 1000 + i, 80, seq=i), PASS if i < 3 else DROP,
                 SYN_PASSED if i < 3 else SYN_DROPPED)
        if i < 3:
            slots.update(handshake((client, SERVER, 1000 + i, 80), i + 1))
    c.packet("in a VLAN", frame4("10.66.0.9", SERVER, tcp(1, 80), tags=[(VLAN, 1)]), DROP, SYN_DROPPED)
    c.packet("after IPv4 options", frame4("10.66.0.9", SERVER, tcp(1, 80), options=bytes(8)), DROP, SYN_DROPPED)
    c.packet("another port of the target", packet("10.66.0.9", SERVER, 1, 443), DROP, SYN_DROPPED)
    c.packet("another target", packet("10.66.0.9", "10.2.0.3", 1, 80, seq=9), PASS, SYN_PASSED)
    slots.update(handshake(("10.66.0.9", "10.2.0.3", 1, 80), 10))
    c.packet("data of a connection", packet("10.66.0.9", SERVER, 1, 80, ACK | PSH, payload=b"x"), PASS, NOT_SYN)
    c.packet("FIN", packet("10.66.0.9", SERVER, 1, 80, FIN | ACK), PASS, NOT_SYN)
    c.packet("RST", packet("10.66.0.9", SERVER, 1, 80, RST), PASS, NOT_SYN)
    c.packet("udp", frame4("10.66.0.9", SERVER, udp(1, 80)), PASS, NOT_SYN)
    for i in range(4):
        c.packet(f"IPv6 SYN {i}", packet(f"2001:db8:66::{i}", SERVER6, 1, 80, seq=2**32 - 1), PASS if i < 3 else DROP,
                 SYN_PASSED if i < 3 else SYN_DROPPED)
        if i < 3:
            slots.update(handshake((f"2001:db8:66::{i}", SERVER6, 1, 80), 0))
    c.expect("targets", {host_key(SERVER): target(9), host_key("10.2.0.3"): target(1), host_key(SERVER6): target(4)})
    return c.expect("handshakes", slots).expect("verified", {})


def both_ways():
    """Threshold 1: the handshake's own SYN uses it up."""
    c = synguard("a_whole_handshake_verifies", 1)
    for client, server in (("10.0.0.1", SERVER), ("2001:db8::1", SERVER6)):
        six = " over IPv6" if ":" in client else ""
        stranger = "2001:db8::9" if six else "10.0.0.9"
        c.packet("SYN" + six, packet(client, server, 1, 80, SYN, seq=100), PASS, SYN_PASSED)
        c.packet("ACK too early" + six, packet(client, server, 1, 80, ACK, seq=101, ack=501), PASS, NOT_SYN)
        c.packet("SYN-ACK of another SYN" + six, packet(server, client, 80, 1, SYN | ACK, seq=700, ack=102), PASS, NOT_SYN)
        c.packet("SYN-ACK" + six, packet(server, client, 80, 1, SYN | ACK, seq=500, ack=101), PASS, NOT_SYN)
        c.packet("ACK with a wrong sequence number" + six, packet(client, server, 1, 80, ACK, seq=100, ack=501), PASS, NOT_SYN)
        c.packet("ACK of a guessed number" + six, packet(client, server, 1, 80, ACK, seq=101, ack=777), PASS, NOT_SYN)
        c.packet("ACK from another port" + six, packet(client, server, 2, 80, ACK, seq=101, ack=501), PASS, NOT_SYN)
        c.packet("ACK with RST" + six, packet(client, server, 1, 80, ACK | RST, seq=101, ack=501), PASS, NOT_SYN)
        c.packet("SYN before it is verified" + six, packet(client, server, 3, 80, SYN, seq=100), DROP, SYN_DROPPED)
        c.packet("ACK that fits" + six, packet(client, server, 1, 80, ACK, seq=101, ack=501), PASS, (LEARNED, NOT_SYN))
        c.packet("the same again" + six, packet(client, server, 1, 80, ACK, seq=101, ack=501), PASS, NOT_SYN)
        c.packet("SYN once it is" + six, packet(client, server, 4, 80, SYN, seq=200), PASS, SYN_VERIFIED)
        c.packet("SYN of a stranger" + six, packet(stranger, server, 4, 80, SYN), DROP, SYN_DROPPED)
    c.expect("verified", {host_key("10.0.0.1"): Pattern("??" * 8), host_key("2001:db8::1"): Pattern("??" * 8)})
    c.expect("targets", {host_key(SERVER): target(4), host_key(SERVER6): target(4)})
    return c.expect("handshakes", {
        **handshake(("10.0.0.1", SERVER, 1, 80), 101, 501, 0), **handshake(("10.0.0.1", SERVER, 4, 80), 201),
        **handshake(("2001:db8::1", SERVER6, 1, 80), 101, 501, 0), **handshake(("2001:db8::1", SERVER6, 4, 80), 201)})


def one_way():
    c = synguard("one_way_takes_the_clients_word", 1, one_way=1)
    c.packet("SYN", packet("10.0.0.1", SERVER, 1, 80, SYN, seq=2**32 - 1), PASS, SYN_PASSED)
    c.packet("ACK that does not fit", packet("10.0.0.1", SERVER, 1, 80, ACK, seq=1, ack=9), PASS, NOT_SYN)
    c.packet("ACK that fits, past the end of the numbers", packet("10.0.0.1", SERVER, 1, 80, ACK, seq=0, ack=9), PASS,
             (LEARNED, NOT_SYN))
    c.packet("SYN of the verified", packet("10.0.0.1", SERVER, 2, 80, SYN, seq=7), PASS, SYN_VERIFIED)
    c.packet("its SYN-ACK, were it seen", packet(SERVER, "10.0.0.1", 80, 2, SYN | ACK, seq=50, ack=8), PASS, NOT_SYN)
    c.packet("then its ACK must fit that", packet("10.0.0.1", SERVER, 2, 80, ACK, seq=8, ack=9), PASS, NOT_SYN)
    c.expect("verified", {host_key("10.0.0.1"): Pattern("??" * 8)})
    return c.expect("handshakes", {**handshake(("10.0.0.1", SERVER, 1, 80), 0, 0, 0),
                                   **handshake(("10.0.0.1", SERVER, 2, 80), 8, 51, SYNACK_SEEN)})


def crowded():
    """Two connections that share a slot: the second takes it over."""
    first = ("10.0.0.1", SERVER, 1, 80)
    slot = connection_hash(*first) % 4096
    port = next(p for p in range(2, 65536) if connection_hash("10.0.0.1", SERVER, p, 80) % 4096 == slot)
    c = synguard("two_handshakes_on_one_slot", 10, one_way=1)
    c.packet("SYN", packet("10.0.0.1", SERVER, 1, 80, SYN, seq=100), PASS, SYN_PASSED)
    c.packet("SYN that takes the slot", packet("10.0.0.1", SERVER, port, 80, SYN, seq=100), PASS, SYN_PASSED)
    c.packet("the first one's ACK verifies nobody", packet("10.0.0.1", SERVER, 1, 80, ACK, seq=101), PASS, NOT_SYN)
    c.packet("nor its SYN-ACK", packet(SERVER, "10.0.0.1", 80, 1, SYN | ACK, seq=5, ack=101), PASS, NOT_SYN)
    c.expect("verified", {})
    return c.expect("handshakes", handshake(("10.0.0.1", SERVER, port, 80), 101))


def expiry():
    c = synguard("verifications_expire", 1, verified=1, known={"10.0.0.1": 1, "10.0.0.2": AGES})
    c.packet("the SYN that is let through", packet("10.0.0.9", SERVER, 1, 80), PASS, SYN_PASSED, now=SECOND)
    c.packet("verified long ago", packet("10.0.0.1", SERVER, 1, 80), DROP, SYN_DROPPED, now=SECOND)
    c.packet("verified by a clock ahead of ours", packet("10.0.0.2", SERVER, 1, 80), PASS, SYN_VERIFIED, now=SECOND)
    return c.expect("verified", {host_key("10.0.0.2"): u64(AGES)})


def forever():
    c = synguard("verifications_for_ever", 1, known={"10.0.0.1": 1, "2001:db8::1": 1})
    c.packet("the SYN that is let through", packet("10.0.0.9", SERVER, 1, 80), PASS, SYN_PASSED)
    c.packet("verified long ago", packet("10.0.0.1", SERVER, 1, 80), PASS, SYN_VERIFIED)
    c.packet("IPv6: the SYN that is let through", packet("2001:db8::9", SERVER6, 1, 80), PASS, SYN_PASSED)
    c.packet("IPv6: verified long ago", packet("2001:db8::1", SERVER6, 1, 80), PASS, SYN_VERIFIED)
    return c.expect("verified", {host_key("10.0.0.1"): u64(1), host_key("2001:db8::1"): u64(1)})


def windows():
    """Two SYNs a second, verification for three. One window is the default of one second."""
    c = synguard("windows_of_time", 2, window=0, verified=3 * SECOND)
    counted = {}
    def at(ms, name, verdict, slot, src="10.0.0.1", sport=1, flags=SYN, seq=9, ack=0):
        data = packet(src, SERVER, sport, 80, flags, seq, ack) if src != SERVER else packet(SERVER, "10.0.0.1", 80, 1,
                                                                                           flags, seq, ack)
        c.packet(f"{ms} ms: {name}", data, verdict, now=SECOND + ms * 1_000_000, timed=True)
        for s in slot if isinstance(slot, tuple) else (slot,):
            n, size = counted.get(s, (0, 0))
            counted[s] = n + 1, size + len(data)
    at(0, "first SYN", PASS, SYN_PASSED)
    at(1, "SYN-ACK", PASS, NOT_SYN, src=SERVER, flags=SYN | ACK, seq=50, ack=10)
    at(2, "ACK", PASS, (LEARNED, NOT_SYN), flags=ACK, seq=10, ack=51)
    at(500, "second SYN", PASS, SYN_PASSED, "10.0.0.2")
    at(600, "third SYN", DROP, SYN_DROPPED, "10.0.0.2")
    at(700, "of the verified", PASS, SYN_VERIFIED)
    at(999, "end of the window", DROP, SYN_DROPPED, "10.0.0.2")
    at(1000, "a new window", PASS, SYN_PASSED, "10.0.0.2")
    at(900, "a clock that steps back stays in it", PASS, SYN_PASSED, "10.0.0.2")
    at(1100, "full again", DROP, SYN_DROPPED, "10.0.0.2")
    at(3001, "another window", PASS, SYN_PASSED, "10.0.0.2")
    at(3001, "its second SYN", PASS, SYN_PASSED, "10.0.0.2")
    at(3001, "verified three seconds ago, just not yet over", PASS, SYN_VERIFIED)
    at(3002, "over", DROP, SYN_DROPPED)
    c.stats = None
    c.expect("synguard_stats", {u32(s): clocked(u64(*n)) for s, n in sorted(counted.items())})
    return c.expect("targets", {host_key(SERVER): clocked(u64(SECOND + 3001 * 1_000_000, 4))})


CASES = [off(), all_shapes(), flood(), both_ways(), one_way(), crowded(), expiry(), forever(), windows()]
