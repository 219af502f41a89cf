#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026, the xdplane authors
"""Writes the small captures of tests/captures: every format and link type a reader meets, and broken files.

All are made from the first packets of demo.pcap or by hand, so that two runs write the same bytes. Formats:
pcap from the libpcap file format (pcap-savefile(5)), pcapng from the IETF draft draft-ietf-opsawg-pcapng.
Beside each stands what a reader must make of it: link type, packets before the end or the error, and
what is special. That goes into expected.tsv, for tests, and into the README, for people.
"""
import argparse
import os
import struct
import sys

MAGIC_US, MAGIC_NS = 0xA1B2C3D4, 0xA1B23C4D
NULL, ETHERNET, RAW, LOOP, SLL, RADIOTAP, RAW_IPV4, RAW_IPV6, SLL2 = 0, 1, 101, 108, 113, 127, 228, 229, 276
IEEE802_11 = 105
SNAPLEN = 262144
BEGIN, END = "<!-- written by scripts/make_captures.py -->", "<!-- until here -->"


class Packet:
    def __init__(self, seconds, nanoseconds, data, length=None):
        self.seconds, self.nanoseconds, self.data = seconds, nanoseconds, data
        self.length = len(data) if length is None else length

    def with_data(self, data, length=None):
        return Packet(self.seconds, self.nanoseconds, data, length)


def read_pcap(path):
    with open(path, "rb") as f:
        raw = f.read()
    magic, _, _, _, _, _, link = struct.unpack_from("<IHHiIII", raw)
    assert magic == MAGIC_US and link == ETHERNET
    packets, at = [], 24
    while at < len(raw):
        seconds, micros, caplen, length = struct.unpack_from("<IIII", raw, at)
        packets.append(Packet(seconds, micros * 1000, raw[at + 16:at + 16 + caplen], length))
        at += 16 + caplen
    return packets


def header(link=ETHERNET, order="<", magic=MAGIC_US, major=2, minor=4, snaplen=SNAPLEN):
    return struct.pack(order + "IHHiIII", magic, major, minor, 0, 0, snaplen, link)


def record(packet, order="<", nanoseconds=False, caplen=None):
    fraction = packet.nanoseconds if nanoseconds else packet.nanoseconds // 1000
    caplen = len(packet.data) if caplen is None else caplen
    return struct.pack(order + "IIII", packet.seconds, fraction, caplen, packet.length) + packet.data


def pcap(packets, link=ETHERNET, order="<", nanoseconds=False, **options):
    magic = MAGIC_NS if nanoseconds else MAGIC_US
    return header(link, order, magic, **options) + b"".join(record(p, order, nanoseconds) for p in packets)


# ---------------------------------------------------------------- pcapng

def pad(data):
    return data + bytes(-len(data) % 4)


def block(kind, body, order="<", length=None, trailer=None):
    body = pad(body)
    total = 12 + len(body)
    length = total if length is None else length
    trailer = length if trailer is None else trailer
    return struct.pack(order + "II", kind, length) + body + struct.pack(order + "I", trailer)


def option(code, value, order="<"):
    return struct.pack(order + "HH", code, len(value)) + pad(value)


def section(order="<", options=b"", length=-1, major=1):
    return block(0x0A0D0D0A, struct.pack(order + "IHHq", 0x1A2B3C4D, major, 0, length) + options, order)


def interface(link=ETHERNET, order="<", snaplen=0, options=b""):
    return block(1, struct.pack(order + "HHI", link, 0, snaplen) + options, order)


def enhanced(packet, order="<", index=0, per_second=10**6, offset=0, caplen=None, options=b""):
    stamp = (packet.seconds - offset) * per_second + packet.nanoseconds * per_second // 10**9
    caplen = len(packet.data) if caplen is None else caplen
    return block(6, struct.pack(order + "IIIII", index, stamp >> 32, stamp & 0xFFFFFFFF, caplen, packet.length) +
                 pad(packet.data) + options, order)


def pcapng_rich(packets, order):
    """Three interfaces of different clocks, every common block and option, and two sections."""
    end = option(0, b"", order)
    name = lambda text: option(2, text, order)
    out = section(order, option(1, b"a comment", order) + option(4, b"make_captures.py", order) + end)
    out += interface(ETHERNET, order, SNAPLEN, name(b"micro") + end)
    out += interface(ETHERNET, order, 0, name(b"nano") + option(9, b"\x09", order) + end)
    # A power of two, and an offset in whole seconds.
    out += interface(ETHERNET, order, 0, name(b"binary") + option(9, b"\x94", order) +
                     option(14, struct.pack(order + "q", 1000), order) + end)
    clocks = [(10**6, 0), (10**9, 0), (2**20, 1000)]
    for i, packet in enumerate(packets[:9]):
        per_second, offset = clocks[i % 3]
        extra = option(1, b"packet comment", order) + option(2, struct.pack(order + "I", 1), order) + end if i % 2 else b""
        out += enhanced(packet, order, i % 3, per_second, offset, options=extra)
    out += block(4, struct.pack(order + "HH", 1, 17) + pad(bytes([10, 1, 0, 2]) + b"server.test\0"[:13]) +
                 struct.pack(order + "HH", 0, 0), order)  # name resolution
    out += block(0x00000BAD, struct.pack(order + "I", 32473) + b"anything at all", order)  # custom
    out += block(0x7FFF0001, b"a block of a kind that no one knows", order)
    out += block(5, struct.pack(order + "III", 0, 0, 0) + option(4, struct.pack(order + "Q", 9), order) + end, order)
    out += section(order) + interface(ETHERNET, order, 0)  # interfaces are numbered from 0 again
    for packet in packets[9:12]:
        out += enhanced(packet, order)
    return out


# ---------------------------------------------------------------- link types

def ether_type(frame):
    return struct.unpack_from("!H", frame, 12)[0]


def is_ip(packet):
    return ether_type(packet.data) in (0x0800, 0x86DD)


def address_family(frame, v6):
    return v6 if ether_type(frame) == 0x86DD else 2


def sll(frame):
    return struct.pack("!HHH6sxxH", 0, 1, 6, frame[6:12], ether_type(frame)) + frame[14:]


def sll2(frame):
    return struct.pack("!HHIHBB6sxx", ether_type(frame), 0, 3, 1, 0, 6, frame[6:12]) + frame[14:]


def wlan(frame):
    """A data frame to the access point, LLC/SNAP around what Ethernet carried."""
    mac = struct.pack("<HH6s6s6sH", 0x0108, 0, b"\x02\0\0\0\0\x99", frame[6:12], frame[0:6], 0)
    return mac + b"\xaa\xaa\x03\0\0\0" + frame[12:]


def radiotap(frame):
    return struct.pack("<BBHIBx", 0, 0, 10, 1 << 1, 0) + wlan(frame)  # one field: flags, none set


def null(order):
    return lambda frame: struct.pack(order + "I", address_family(frame, 30)) + frame[14:]


def relinked(packets, convert):
    return [p.with_data(convert(p.data)) for p in packets]


def good(demo):
    few = demo[:12]
    ip = [p for p in demo if is_ip(p)]
    v4 = [p for p in ip if ether_type(p.data) == 0x0800][:5]
    v6 = [p for p in ip if ether_type(p.data) == 0x86DD][-5:]
    mixed = v4 + v6
    shifted = [Packet(p.seconds, p.nanoseconds + i * 7 % 1000, p.data, p.length) for i, p in enumerate(few)]
    yield "ethernet.pcap", "1", 12, "end", "the plain form: little-endian, microseconds", \
        pcap(few)
    yield "ethernet-be.pcap", "1", 12, "end", "the same packets, written by a big-endian machine", \
        pcap(few, order=">")
    yield "nanosecond.pcap", "1", 12, "end", "magic a1b23c4d: stamps in nanoseconds", \
        pcap(shifted, nanoseconds=True)
    yield "nanosecond-be.pcap", "1", 12, "end", "the same, big-endian", \
        pcap(shifted, order=">", nanoseconds=True)
    yield "snaplen-60.pcap", "1", 12, "end", "cut to 60 bytes: captured length below the length on the wire", \
        pcap([p.with_data(p.data[:60], len(p.data)) for p in demo[100:112]], snaplen=60)
    yield "zero-packets.pcap", "1", 0, "end", "a header and nothing else", \
        pcap([])
    yield "zero-snaplen.pcap", "1", 3, "end", "snaplen 0 in the header says nothing: whole packets", \
        pcap(few[:3], snaplen=0)
    yield "empty-packet.pcap", "1", 4, "end", "records with no captured byte, of length 60 and of length 0", \
        pcap([few[0], few[0].with_data(b"", 60), few[0].with_data(b"", 0), few[1]])
    yield "short-frames.pcap", "1", 8, "end", "frames of 1 to 34 bytes, cut in and after the Ethernet header", \
        pcap([few[0].with_data(few[0].data[:n], n) for n in (1, 6, 13, 14, 15, 20, 33, 34)])
    # 64 KiB and more in one packet, as a capture with segmentation offload has.
    jumbo = few[0].data[:12] + b"\x88\xb5" + bytes(i * 7 & 255 for i in range(70000))
    yield "jumbo.pcap", "1", 3, "end", "a frame of 70014 bytes between two small ones", \
        pcap([few[0], few[0].with_data(jumbo), few[1]])
    # Bits 26 and up of the link type tell the length of the frame check sequence.
    yield "fcs-bits.pcap", "1", 3, "end", "link type word with the frame check sequence's length above bit 25", \
        pcap([p.with_data(p.data + b"\xde\xad\xbe\xef") for p in few[:3]], link=ETHERNET | 1 << 26 | 2 << 28)
    yield "time-backwards.pcap", "1", 5, "end", "stamps out of order, 0, and the last second of 32 bits", \
        pcap([few[2], few[0], few[1], Packet(0, 0, few[0].data), Packet(0xFFFFFFFF, 999999000, few[0].data)])
    yield "raw-ip.pcap", "101", 10, "end", "no link header, IPv4 and IPv6", \
        pcap(relinked(mixed, lambda f: f[14:]), RAW)
    yield "raw-ip-openbsd.pcap", "12", 10, "end", "the same under the number that some systems wrote: the link type is raw IP", \
        pcap(relinked(mixed, lambda f: f[14:]), 12)
    yield "raw-ipv4.pcap", "228", 5, "end", "no link header, IPv4 only", \
        pcap(relinked(v4, lambda f: f[14:]), RAW_IPV4)
    yield "raw-ipv6.pcap", "229", 5, "end", "no link header, IPv6 only", \
        pcap(relinked(v6, lambda f: f[14:]), RAW_IPV6)
    yield "sll.pcap", "113", 10, "end", "Linux cooked, version 1", \
        pcap(relinked(mixed, sll), SLL)
    yield "sll2.pcap", "276", 10, "end", "Linux cooked, version 2", \
        pcap(relinked(mixed, sll2), SLL2)
    yield "null.pcap", "0", 10, "end", "BSD loopback: address family in the writer's byte order", \
        pcap(relinked(mixed, null("<")), NULL)
    yield "null-be.pcap", "0", 10, "end", "BSD loopback, written by a big-endian machine", \
        pcap(relinked(mixed, null(">")), NULL, order=">")
    yield "loop.pcap", "108", 10, "end", "OpenBSD loopback: address family in network byte order", \
        pcap(relinked(mixed, null(">")), LOOP)
    yield "ieee802-11.pcap", "105", 10, "end", "802.11 data frames", \
        pcap(relinked(mixed, wlan), IEEE802_11)
    yield "radiotap.pcap", "127", 10, "end", "802.11 data frames behind radiotap headers", \
        pcap(relinked(mixed, radiotap), RADIOTAP)
    yield "link-type-unknown.pcap", "65535", 2, "end", "a link type that nothing knows; the packets can still be read", \
        pcap(few[:2], link=0xFFFF)
    yield "several.pcapng", "1", 12, "end", "three interfaces of different clocks, options, other kinds of block, two sections", \
        pcapng_rich(few, "<")
    yield "several-be.pcapng", "1", 12, "end", "the same, big-endian", \
        pcapng_rich(few, ">")
    yield "simple.pcapng", "1", 3, "end", "simple packet blocks, which have no stamp", \
        section() + interface() + b"".join(
        block(3, struct.pack("<I", p.length) + pad(p.data)) for p in few[:3])
    yield "simple-snaplen.pcapng", "1", 3, "end", "simple packet blocks that the interface's snaplen of 60 cuts", \
        section() + interface(snaplen=60) + b"".join(
        block(3, struct.pack("<I", len(p.data)) + pad(p.data[:60])) for p in demo[100:103])
    yield "obsolete-packet.pcapng", "1", 1, "end", "the packet block that the enhanced one replaced", \
        section() + interface() + block(2, struct.pack(
        "<HHIIII", 0, 0xFFFF, 0, 1000, len(few[0].data), few[0].length) + few[0].data)
    yield "mixed-links.pcapng", "1,101", 3, "end", "an Ethernet and a raw IP interface in one section: XDP refuses the second packet", \
        section() + interface(ETHERNET) + interface(RAW) + enhanced(few[0]) + enhanced(
        v4[0].with_data(v4[0].data[14:]), index=1) + enhanced(few[1])
    yield "mixed-order.pcapng", "1", 2, "end", "a little-endian section, then a big-endian one", \
        (section("<") + interface() + enhanced(few[0]) +
                                 section(">") + interface(order=">") + enhanced(few[1], ">"))
    yield "zero-packets.pcapng", "1", 0, "end", "a section and an interface", \
        section() + interface()
    yield "no-interface.pcapng", "-", 0, "end", "a section and nothing else", \
        section()


def bad(demo):
    few = demo[:12]
    three = pcap(few[:3])
    yield "empty.pcap", "-", 0, "error", "no byte at all", \
        b""
    yield "ten-bytes.pcap", "-", 0, "error", "cut in the file header", \
        header()[:10]
    yield "magic-only.pcap", "-", 0, "error", "cut after the magic number", \
        header()[:4]
    yield "wrong-magic.pcap", "-", 0, "error", "another kind of file", \
        b"\x7fELF" + three[4:]
    yield "text.pcap", "-", 0, "error", "text", \
        b"This is a text, and no capture at all.\n" * 4
    yield "version-3.pcap", "-", 0, "error", "a major version that does not exist", \
        pcap(few[:2], major=3)
    yield "cut-record-header.pcap", "1", 3, "error", "cut in a record's header", \
        three + record(few[3])[:9]
    yield "cut-record-data.pcap", "1", 3, "error", "cut in the last record's bytes", \
        (three + record(few[3]))[:-5]
    yield "record-longer-than-file.pcap", "1", 3, "error", "a record that claims 5000 bytes more than the file has", \
        three + record(few[3], caplen=len(few[3].data) + 5000)
    yield "caplen-over-256k.pcap", "1", 3, "error", "a record of 262145 bytes, all there: more than any capture may hold", \
        three + record(few[3], caplen=262145) + bytes(262145 - len(few[3].data))
    yield "caplen-huge.pcap", "1", 3, "error", "captured length ffffffff", \
        three + record(few[3], caplen=0xFFFFFFFF)
    yield "caplen-over-snaplen.pcap", "1", 2, "end", "records longer than the header's snaplen: tolerated, nothing is cut", \
        pcap(few[:1], snaplen=60) + record(demo[110].with_data(bytes(1500)))
    yield "caplen-over-len.pcap", "1", 3, "end", "captured length above the length on the wire: tolerated", \
        pcap([few[0], few[1].with_data(few[1].data, 20), few[2]])
    yield "bad-microseconds.pcap", "1", 3, "end", "4000000000 microseconds in a stamp: tolerated, they carry into the seconds", \
        pcap([few[0], Packet(few[1].seconds, 4_000_000_000_000, few[1].data), few[2]])

    start = section() + interface()
    one = enhanced(few[0])
    yield "cut-block.pcapng", "1", 1, "error", "cut in a packet block", \
        start + one + enhanced(few[1])[:-10]
    yield "cut-section.pcapng", "-", 0, "error", "cut in the section header", \
        section()[:20]
    yield "block-length-zero.pcapng", "1", 1, "error", "block length 0: must not loop", \
        start + one + block(6, few[1].data, length=0, trailer=0)
    yield "block-length-eight.pcapng", "1", 1, "error", "block length 8: less than a block's own frame", \
        start + one + block(6, b"", length=8)
    yield "block-length-odd.pcapng", "1", 1, "error", "block length 53: no multiple of 4", \
        start + one + block(6, bytes(40), length=53)
    yield "block-length-huge.pcapng", "1", 1, "error", "block length fffffffc", \
        start + one + block(6, bytes(40), length=0xFFFFFFFC)
    yield "block-trailer-differs.pcapng", "1", 1, "error", "the length behind a block is not the one before it", \
        start + one + block(6, bytes(40), trailer=56) + one
    yield "bad-byte-order-magic.pcapng", "-", 0, "error", "byte-order magic of neither order", \
        section().replace(b"\x4d\x3c\x2b\x1a", b"\x4d\x3c\x2b\x1b") + interface() + one
    yield "version-2.pcapng", "-", 0, "error", "a major version that does not exist", \
        section(major=2) + interface() + one
    yield "packet-before-interface.pcapng", "-", 0, "error", "a packet before any interface", \
        section() + one
    yield "unknown-interface.pcapng", "1", 1, "error", "a packet of an interface 7 that was not described", \
        start + one + enhanced(few[1], index=7)
    yield "caplen-over-block.pcapng", "1", 1, "error", "a packet longer than its block", \
        start + one + enhanced(few[1], caplen=len(few[1].data) + 400)
    yield "caplen-huge.pcapng", "1", 1, "error", "captured length fffffffe: rounding it up must not overflow", \
        start + one + enhanced(few[1], caplen=0xFFFFFFFE)
    # The option says 64 bytes where its block has 4 left.
    yield "option-over-block.pcapng", "-", 0, "error", "an interface option longer than its block", \
        section() + interface(options=struct.pack("<HHI", 9, 64, 6)) + one
    yield "resolution-zero-shift.pcapng", "-", 0, "error", "a clock of 2^-127 seconds, which no integer can hold", \
        section() + interface(options=option(9, b"\xff") + option(0, b"")) + one
    yield "no-section.pcapng", "-", 0, "error", "no section header at the start", \
        interface() + one


def outputs(demo, readme):
    """Path below the directory → bytes: the captures, the table that tests read, and the same for people."""
    rows = [("demo.pcap", "1", len(demo), "end", "what scripts/capture took; described above")]
    files = {}
    for folder, captures in (("", good(demo)), ("malformed/", bad(demo))):
        for name, link, packets, end, what, data in captures:
            files[folder + name] = data
            rows.append((folder + name, link, packets, end, what))
    tsv = "#file\tlink\tpackets\tend\twhat\n" + "".join("\t".join(map(str, row)) + "\n" for row in rows)
    files["expected.tsv"] = tsv.encode()
    table = "| file | link type | packets | then | what |\n| --- | ---: | ---: | --- | --- |\n" + "".join(
        f"| `{file}` | {link} | {packets} | {end} | {what} |\n" for file, link, packets, end, what in rows[1:])
    before, after = readme.split(BEGIN)[0], readme.split(END)[1]
    files["README.md"] = (before + BEGIN + "\n" + table + END + after).encode()
    return files


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true", help="write nothing; fail where a file is not what would be written")
    options = parser.parse_args()
    directory = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "tests", "captures")
    with open(os.path.join(directory, "README.md"), encoding="utf-8") as f:
        readme = f.read()
    wrong = 0
    for name, data in outputs(read_pcap(os.path.join(directory, "demo.pcap")), readme).items():
        path = os.path.join(directory, name)
        if options.check:
            if not os.path.exists(path) or open(path, "rb").read() != data:
                print(f"{name} is not what scripts/make_captures.py writes")
                wrong = 1
            continue
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "wb") as f:
            f.write(data)
    return wrong


if __name__ == "__main__":
    sys.exit(main())
