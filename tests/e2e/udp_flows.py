#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026, the xdplane authors
"""UDP flows for tests of the data plane.

usage: udp_flows.py serve PORT                  sends every datagram back, until it is ended
       udp_flows.py send ADDRESS PORT FLOWS N   N datagrams in each flow, the next one when the last one's answer
                                                is there; asks again for lost ones. Exit status 0: all answered
"""
import socket
import sys
import time

LIMIT = 60  # seconds


def serve(port):
    server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    server.bind(("0.0.0.0", port))
    while True:
        data, peer = server.recvfrom(2048)
        server.sendto(data, peer)


def send(address, port, flows, count):
    deadline = time.monotonic() + LIMIT
    for _ in range(flows):
        client = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        client.settimeout(0.5)
        client.connect((address, port))
        for number in range(count):
            wanted = b"%d" % number
            while True:
                if time.monotonic() > deadline:
                    sys.exit("udp_flows.py: no answer in time")
                client.send(wanted)
                try:
                    if client.recv(2048) == wanted:
                        break
                except (TimeoutError, ConnectionRefusedError):
                    time.sleep(0.05)


if sys.argv[1] == "serve":
    serve(int(sys.argv[2]))
else:
    send(sys.argv[2], *map(int, sys.argv[3:6]))
