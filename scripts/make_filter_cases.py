#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026, the xdplane authors
"""usage: scripts/make_filter_cases.py [--check]

Writes tests/e2e/filters/*.json from the modules in tests/e2e/filter_cases/, which build the packets and
say what each filter must do with them. --check writes nothing and fails if a file would change.
"""
import json
import pathlib
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tests" / "e2e"))
sys.dont_write_bytecode = True

from filter_cases import acl, blocklist, chain, flowcount, ratelimit, redirect, sanity, synguard, tap, trivial, vlan

FILTERS = {
    "acl": acl.CASES, "blocklist": blocklist.CASES, "chain": chain.CASES, "drop": trivial.DROP_CASES,
    "flowcount": flowcount.CASES, "pass": trivial.PASS_CASES, "ratelimit": ratelimit.CASES, "redirect": redirect.CASES,
    "sanity": sanity.CASES, "synguard": synguard.CASES, "tap": tap.CASES, "vlan": vlan.CASES,
}


def write(name, cases):
    """One line for each packet and map entry, so that a change shows where it is."""
    def entries(maps, indent):
        return ",\n".join(f'{indent}"{m}": [' + ",".join(f"\n{indent}  {json.dumps(e)}" for e in es) + "]"
                          for m, es in maps.items())
    out = []
    for case in (c.json() for c in cases):
        parts = [f'"name": {json.dumps(case["name"])}', f'"program": {json.dumps(case["program"])}']
        parts += [f'"{k}": {json.dumps(case[k])}' for k in ("rodata", "stages") if k in case]
        if "maps" in case:
            parts.append('"maps": {\n' + entries(case["maps"], "      ") + "}")
        parts.append('"packets": [' + ",".join("\n      " + json.dumps(p) for p in case["packets"]) + "]")
        if "expect" in case:
            parts.append('"expect": {\n' + entries(case["expect"], "      ") + "}")
        out.append("  {" + ",\n    ".join(parts) + "}")
    return f'{{"object": "{name}.bpf.o", "cases": [\n' + ",\n".join(out) + "\n]}\n"


def main():
    if sys.argv[1:] not in ([], ["--check"]):
        sys.exit(__doc__)
    check, stale = sys.argv[1:] == ["--check"], []
    directory = ROOT / "tests" / "e2e" / "filters"
    packets = 0
    for name, cases in FILTERS.items():
        packets += sum(len(c.packets) for c in cases)
        path, text = directory / f"{name}.json", write(name, cases)
        json.loads(text)
        if not path.exists() or path.read_text() != text:
            stale.append(path.name)
            if not check:
                path.write_text(text)
    extra = sorted(p.name for p in directory.glob("*.json") if p.stem not in FILTERS)
    if check and (stale or extra):
        sys.exit(f"scripts/make_filter_cases.py would change: {', '.join(stale + extra)}")
    print(f"{sum(len(c) for c in FILTERS.values())} cases, {packets} packets")


main()
