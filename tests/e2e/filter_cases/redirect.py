# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026, the xdplane authors
from .case import *
from .packets import *

HAIRPIN, REDIRECTED, PASSED = range(3)
FRAMES = [("tcp4", frame4("10.0.0.1", "10.0.0.2", tcp(1, 2))),
          ("udp6 in QinQ", frame6("2001:db8::1", "2001:db8::2", udp(1, 2), tags=[(QINQ, 1), (VLAN, 2)])),
          ("arp", ARP_REQUEST), ("a header alone", eth(b"", 0x9000))]


def hairpin():
    c = Case("hairpin_swaps_the_addresses", "hairpin", stats="redirect_stats")
    for name, f in FRAMES:
        c.packet(name, f, TX, HAIRPIN, out=f[6:12] + f[:6] + f[12:])
    return c


def config(ifindex=0, flags=0, to="00:00:00:00:00:00"):
    return {"redirect_config": {u32(0): u32(ifindex, flags) + mac(to) + u16(0)}}


def redirect(name, verdict, slot, change=lambda f: f, **keys):
    c = Case(name, "redirect", config(**keys), stats="redirect_stats")
    for n, f in FRAMES:
        c.packet(n, f, verdict, slot, out=change(f))
    return c


CASES = [
    hairpin(),
    redirect("redirect_to_an_interface", REDIRECT, REDIRECTED, ifindex=1),
    redirect("redirect_with_a_new_address", REDIRECT, REDIRECTED, ifindex=1, to="02:11:22:33:44:55",
             change=lambda f: mac("02:11:22:33:44:55") + f[6:]),
    redirect("an_address_of_one_bit", REDIRECT, REDIRECTED, ifindex=1, to="00:00:00:00:00:01",
             change=lambda f: mac("00:00:00:00:00:01") + f[6:]),
    redirect("passes_without_an_interface", PASS, PASSED, to="02:11:22:33:44:55"),
    # bpf_redirect() itself refuses flags that XDP does not know.
    redirect("unknown_flags_abort", ABORTED, REDIRECTED, ifindex=1, flags=0x80),
]
