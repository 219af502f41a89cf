#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026, the xdplane authors
"""VLAN interfaces for a kernel built without 802.1Q: tap devices whose frames cross DEVICE tagged.

usage: vlan_taps.py DEVICE TAP=TPID:VID[,TPID:VID] ...      outermost tag first
example: vlan_taps.py s0 s0.100=8100:100 s0.300=88a8:200,8100:300

Makes each TAP (down, without addresses), prints 'ready', and carries frames until it is killed.
"""
import fcntl
import select
import socket
import struct
import sys
import os

TUNSETIFF = 0x400454CA
IFF_TAP, IFF_NO_PI = 0x0002, 0x1000
ETH_P_ALL = 0x0003
SOL_PACKET, PACKET_AUXDATA, PACKET_IGNORE_OUTGOING = 263, 8, 23
AUXDATA = struct.Struct("=IIIHHHH")  # struct tpacket_auxdata
TP_STATUS_VLAN_VALID, TP_STATUS_VLAN_TPID_VALID = 1 << 4, 1 << 6


def open_tap(name):
    fd = os.open("/dev/net/tun", os.O_RDWR)
    fcntl.ioctl(fd, TUNSETIFF, struct.pack("16sH22x", name.encode(), IFF_TAP | IFF_NO_PI))
    return fd


def receive(wire):
    """A frame as it was on the wire: the kernel takes the outer tag out and tells it beside the packet."""
    frame, ancillary, _, _ = wire.recvmsg(65536, socket.CMSG_SPACE(AUXDATA.size))
    for level, kind, data in ancillary:
        if (level, kind) == (SOL_PACKET, PACKET_AUXDATA):
            status, _, _, _, _, tci, tpid = AUXDATA.unpack(data[:AUXDATA.size])
            if status & TP_STATUS_VLAN_VALID:
                tpid = tpid if status & TP_STATUS_VLAN_TPID_VALID else 0x8100
                return frame[:12] + struct.pack("!HH", tpid, tci) + frame[12:]
    return frame


def main():
    device, *specs = sys.argv[1:]
    wire = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ETH_P_ALL))
    wire.setsockopt(SOL_PACKET, PACKET_AUXDATA, 1)
    wire.setsockopt(SOL_PACKET, PACKET_IGNORE_OUTGOING, 1)
    wire.bind((device, ETH_P_ALL))
    taps = {}
    for spec in specs:
        name, tags = spec.split("=")
        tags = b"".join(struct.pack("!HH", int(t.split(":")[0], 16), int(t.split(":")[1])) for t in tags.split(","))
        taps[open_tap(name)] = tags
    print("ready", flush=True)
    while True:
        for fd in select.select([wire, *taps], [], [])[0]:
            if fd is wire:
                frame = receive(wire)
                for tap, tags in taps.items():
                    # The tags, and no other behind them.
                    rest = frame[12 + len(tags):]
                    if frame[12:12 + len(tags)] == tags and rest[:2] not in (b"\x81\x00", b"\x88\xa8"):
                        try:
                            os.write(tap, frame[:12] + rest)
                        except OSError:
                            pass  # the tap is down
            else:
                frame = os.read(fd, 65536)
                wire.send(frame[:12] + taps[fd] + frame[12:])


if __name__ == "__main__":
    main()
