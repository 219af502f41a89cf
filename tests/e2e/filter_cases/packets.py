# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026, the xdplane authors
"""Packets by hand: each function builds one header around what it is given, right unless told otherwise."""
import ipaddress
import struct

A, B = "02:00:00:00:00:0a", "02:00:00:00:00:0b"
IPV4, IPV6, ARP, LLDP, VLAN, QINQ = 0x0800, 0x86dd, 0x0806, 0x88cc, 0x8100, 0x88a8
ICMP, TCP, UDP, GRE, ESP, AH, ICMPV6, NONE, SCTP, UDPLITE = 1, 6, 17, 47, 50, 51, 58, 59, 132, 136
HOP, ROUTING, FRAGMENT, DSTOPTS, MOBILITY, HIP, SHIM6 = 0, 43, 44, 60, 135, 139, 140
FIN, SYN, RST, PSH, ACK, URG = 1, 2, 4, 8, 16, 32


def mac(text):
    return bytes(int(x, 16) for x in text.split(":"))


def addr(text):
    return ipaddress.ip_address(text).packed


def checksum(data):
    if len(data) % 2:
        data += b"\0"
    total = sum(struct.unpack(f">{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xffff) + (total >> 16)
    return total ^ 0xffff


def eth(payload, ethertype, tags=(), src=A, dst=B):
    """tags: (tpid, tci) from the outside in."""
    out = mac(dst) + mac(src)
    for tpid, tci in tags:
        out += struct.pack(">HH", tpid, tci)
    return out + struct.pack(">H", ethertype) + payload


class L4:
    """A transport header whose checksum covers the addresses, so that the IP header completes it."""

    def __init__(self, proto, data, checksum_at):
        self.proto, self.data, self.checksum_at = proto, data, checksum_at

    def finish(self, src, dst):
        pseudo = src + dst + struct.pack(">IHBB", len(self.data), 0, 0, self.proto)
        value = checksum(pseudo + self.data)
        if self.proto == UDP and value == 0:
            value = 0xffff
        at = self.checksum_at
        return self.data[:at] + struct.pack(">H", value) + self.data[at + 2:]


def tcp(sport, dport, flags=SYN, seq=1000, ack=0, payload=b"", doff=None, options=b""):
    words = 5 + len(options) // 4 if doff is None else doff
    head = struct.pack(">HHIIBBHHH", sport, dport, seq, ack, words << 4, flags, 8192, 0, 0)
    return L4(TCP, head + options + payload, 16)


def udp(sport, dport, payload=b"", length=None):
    return L4(UDP, struct.pack(">HHHH", sport, dport, 8 + len(payload) if length is None else length, 0) + payload, 6)


def echo(payload=b"ping", kind=8):
    head = struct.pack(">BBHHH", kind, 0, 0, 7, 1)
    head = head[:2] + struct.pack(">H", checksum(head + payload)) + head[4:]
    return head + payload


def echo6(payload=b"ping", kind=128):
    return L4(ICMPV6, struct.pack(">BBHHH", kind, 0, 0, 7, 1) + payload, 2)


def ip4(src, dst, payload, proto=None, ttl=64, df=0, more=0, offset=0, options=b"", total=None, ihl=None, version=4,
        wrong=0):
    """wrong: added to the right checksum. offset: in bytes."""
    s, d = addr(src), addr(dst)
    if isinstance(payload, L4):
        proto = payload.proto
        payload = payload.finish(s, d)
    words = 5 + len(options) // 4
    head = struct.pack(">BBHHHBBH", version << 4 | (words if ihl is None else ihl), 0,
                       words * 4 + len(payload) if total is None else total, 0x1234,
                       df << 14 | more << 13 | offset // 8, ttl, proto, 0) + s + d + options
    value = (checksum(head) + wrong) & 0xffff
    return head[:10] + struct.pack(">H", value) + head[12:] + payload


def ext(kind, size=8):
    """A header of `size` bytes whose length field counts 8-byte units after the first."""
    return kind, lambda following: struct.pack(">BB", following, size // 8 - 1) + b"\1\4" + bytes(size - 4)


def authentication(size=24):
    """AH counts 4-byte units, less two."""
    return AH, lambda following: struct.pack(">BB", following, size // 4 - 2) + bytes(size - 2)


def fragment(offset=0, more=0):
    """The second byte is reserved, not a length: it is set here so that nobody reads it as one."""
    return FRAGMENT, lambda following: struct.pack(">BBHI", following, 0xff, offset | more, 0x77)


def ip6(src, dst, payload, proto=None, extensions=(), hop=64, length=None, version=6):
    s, d = addr(src), addr(dst)
    if isinstance(payload, L4):
        proto = payload.proto
        payload = payload.finish(s, d)
    for kind, build in reversed(extensions):
        payload = build(proto) + payload
        proto = kind
    return struct.pack(">IHBB", version << 28, len(payload) if length is None else length, proto, hop) + s + d + payload


def frame4(*args, tags=(), **keys):
    return eth(ip4(*args, **keys), IPV4, tags)


def frame6(*args, tags=(), **keys):
    return eth(ip6(*args, **keys), IPV6, tags)


ARP_REQUEST = eth(struct.pack(">HHBBH", 1, IPV4, 6, 4, 1) + mac(A) + addr("10.0.0.1") + bytes(6) + addr("10.0.0.2"),
                  ARP, dst="ff:ff:ff:ff:ff:ff")
