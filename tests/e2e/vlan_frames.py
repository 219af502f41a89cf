#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026, the xdplane authors
"""Frames with and without a VLAN tag, for tests of the data plane.

usage: vlan_frames.py send INTERFACE      a tagged and a plain frame every 50 ms, until it is ended
       vlan_frames.py listen INTERFACE    exit status 0: 20 tagged frames came, with their tag, and no plain one
"""
import socket
import struct
import sys
import time

LIMIT = 60  # seconds
COUNT = 20
TAG = 5
ETHERTYPE = 0x88B5  # for local experiments
ADDRESSES = b"\xff" * 6 + b"\x02\0\0\0\0\x01"
SOL_PACKET, PACKET_AUXDATA, VLAN_VALID = 263, 8, 1 << 4


def raw_socket(interface):
    raw = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))
    raw.bind((interface, 3))
    return raw


def send(interface):
    raw = raw_socket(interface)
    tagged = ADDRESSES + struct.pack("!HHH", 0x8100, TAG, ETHERTYPE) + b"tagged".ljust(60, b"\0")
    plain = ADDRESSES + struct.pack("!H", ETHERTYPE) + b"plain".ljust(60, b"\0")
    while True:
        raw.send(tagged)
        raw.send(plain)
        time.sleep(0.05)


def tag_of(frame, ancillary):
    """The tag, in the frame or beside it, as the kernel has it; and what stands behind it."""
    if frame[12:14] == b"\x81\0":
        return struct.unpack("!H", frame[14:16])[0], frame[16:]
    for _, _, data in ancillary:
        status, _, _, _, _, tci, _ = struct.unpack("IIIHHHH", data[:20])
        if status & VLAN_VALID:
            return tci, frame[12:]
    return None, frame[12:]


def listen(interface):
    raw = raw_socket(interface)
    raw.setsockopt(SOL_PACKET, PACKET_AUXDATA, 1)
    raw.settimeout(1)
    deadline = time.monotonic() + LIMIT
    seen = 0
    while seen < COUNT:
        if time.monotonic() > deadline:
            sys.exit(f"vlan_frames.py: {seen} tagged frames in {LIMIT} s")
        try:
            frame, ancillary, _, _ = raw.recvmsg(2048, 256)
        except TimeoutError:
            continue
        tag, rest = tag_of(frame, ancillary)
        if rest[:2] != struct.pack("!H", ETHERTYPE):
            continue
        if tag != TAG or not rest[2:].startswith(b"tagged"):
            sys.exit(f"vlan_frames.py: a frame with tag {tag}: {rest[:16]}")
        seen += 1


{"send": send, "listen": listen}[sys.argv[1]](sys.argv[2])
