# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026, the xdplane authors
"""Cases as they are written in the JSON, and map values as a little-endian machine lays them out."""
import struct

DROP, PASS, TX, REDIRECT, ABORTED = "XDP_DROP", "XDP_PASS", "XDP_TX", "XDP_REDIRECT", "XDP_ABORTED"


def u8(*values):
    return struct.pack(f"<{len(values)}B", *values)


def u16(*values):
    return struct.pack(f"<{len(values)}H", *values)


def u32(*values):
    return struct.pack(f"<{len(values)}I", *values)


def u64(*values):
    return struct.pack(f"<{len(values)}Q", *values)


class Pattern(str):
    """Text of expected bytes, with ?? or [brackets] in it."""


def text(value):
    return value if isinstance(value, Pattern) else value.hex()


def pattern(*parts):
    return Pattern(" ".join(text(p) for p in parts))


def clocked(value):
    return Pattern("[" + value.hex() + "]")


class Case:
    def __init__(self, name, program, maps=None, rodata=None, stages=None, stats=None):
        """stats: the per-CPU array of counters that packets are counted in, by their slot."""
        self.name, self.program, self.maps, self.rodata, self.stages = name, program, maps, rodata, stages
        self.stats, self.counters, self.packets, self.expected = stats, {}, [], {}

    def packet(self, name, data, verdict, slot=None, out=None, now=None, timed=False):
        """slot: of self.stats (or several) that counts the packet. out: the bytes afterwards, if others."""
        step = {"name": name, "in": data.hex(), "verdict": verdict}
        if out is not None and out != data:
            step["out"] = out.hex()
        if now is not None:
            step["now_ns"] = now
        if timed:
            step["clocked"] = True
        assert len(data) >= 14, f"{name}: Linux runs no XDP program on less than an Ethernet header"
        assert name not in [p["name"] for p in self.packets], name
        self.packets.append(step)
        for s in slot if isinstance(slot, tuple) else () if slot is None else (slot,):
            packets, size = self.counters.get(s, (0, 0))
            self.counters[s] = packets + 1, size + len(data)
        return self

    def expect(self, name, entries):
        """entries: {key: value}, bytes or patterns; the map must hold nothing else."""
        self.expected[name] = entries
        return self

    def json(self):
        out = {"name": self.name, "program": self.program}
        if self.rodata:
            out["rodata"] = {k: v.hex() for k, v in self.rodata.items()}
        if self.maps:
            out["maps"] = {m: entries_json(e) for m, e in self.maps.items()}
        if self.stages:
            out["stages"] = {str(k): v for k, v in self.stages.items()}
        out["packets"] = self.packets
        expected = dict(self.expected)
        if self.stats:
            expected[self.stats] = {u32(slot): u64(*c) for slot, c in sorted(self.counters.items())}
        if expected:
            out["expect"] = {m: entries_json(e) for m, e in expected.items()}
        return out


def entries_json(entries):
    return [{"key": text(k), "value": text(v)} for k, v in entries.items()]
