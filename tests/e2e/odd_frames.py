#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026, the xdplane authors
"""Frames that no honest sender makes, for tests of filters.

usage: odd_frames.py INTERFACE DESTINATION-MAC SOURCE DESTINATION COUNT

Sends COUNT of each kind from one IPv4 address to the other. Prints a line for each kind: the number of the check of
filters/sanity.bpf.c that finds it. None is a fragment: net_af_packet's kernel puts those together.
"""
import socket
import struct
import sys


def checksum(data):
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    total = (total & 0xFFFF) + (total >> 16)
    return ~(total + (total >> 16)) & 0xFFFF


def ip4(source, destination, payload, protocol=17, ttl=64, version=0x45, wrong=0):
    def header(value):
        return struct.pack("!BBHHHBBH4s4s", version, 0, 20 + len(payload), 1, 0, ttl, protocol, value,
                           socket.inet_aton(source), socket.inet_aton(destination))
    return header(checksum(header(0)) ^ wrong) + payload


def udp(sport=1000, dport=2000, length=12):
    return struct.pack("!HHHH4s", sport, dport, length, 0, b"data")


def tcp(flags):
    return struct.pack("!HHIIBBHHH", 1000, 2000, 1, 1, 0x50, flags, 1000, 0, 0)


interface, mac, source, destination, count = sys.argv[1:6]
raw = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))
raw.bind((interface, 3))
own = raw.getsockname()[4]
ethernet = bytes.fromhex(mac.replace(":", "")) + own + b"\x08\0"
odd = {
    4: (ethernet[:6] + b"\x01" + own[1:] + b"\x08\0", ip4(source, destination, udp())),
    6: (ethernet, ip4(source, destination, udp(), version=0x55)),
    8: (ethernet, ip4(source, destination, udp(), wrong=1)),
    9: (ethernet, ip4(source, destination, udp(), ttl=0)),
    10: (ethernet, ip4("127.0.0.1", destination, udp())),
    12: (ethernet, ip4(destination, destination, udp())),
    21: (ethernet, ip4(source, destination, tcp(0), protocol=6)),
    22: (ethernet, ip4(source, destination, udp(dport=0))),
    23: (ethernet, ip4(source, destination, udp(length=4))),
}
for number, (header, packet) in odd.items():
    for _ in range(int(count)):
        raw.send(header + packet.ljust(46, b"\0"))
    print(number)
