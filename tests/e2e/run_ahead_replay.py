#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026, the xdplane authors
"""Every XDP program of some folders over a capture, run-ahead off and on: verdicts, packets and maps are the same.

usage: run_ahead_replay.py XDPLANE CAPTURE FOLDER...

Prints a line for each program that is told apart, and how many were compared.
"""
import pathlib
import subprocess
import sys
import tempfile

LEAST = 30  # programs; fewer mean that they are not where they are looked for


def programs(path):
    """The functions of sections that begin with xdp, as readelf names them."""
    listing = subprocess.run(["readelf", "-SsW", path], capture_output=True, text=True, check=True).stdout
    sections = {}
    for line in listing.splitlines():
        words = line.replace("[ ", "[").split()
        if words and words[0].startswith("[") and words[0].endswith("]") and words[0][1:-1].isdigit():
            sections[words[0][1:-1]] = words[1]
        elif len(words) == 8 and words[3:5] == ["FUNC", "GLOBAL"] and sections.get(words[6], "").startswith("xdp"):
            yield words[7]


def replay(xdplane, capture, program, mode, folder):
    """Exit status and what is left."""
    verdicts, passed, maps = (folder / name for name in ("verdicts", "passed", "maps"))
    run = subprocess.run(
        [xdplane, "replay", "-q", "-r", capture, "--prog", program, "--run-ahead", mode, "--loop", "3",
         "--per-packet", verdicts, "-w", passed, "--dump-maps", maps], capture_output=True, text=True, timeout=60)
    if run.returncode != 0:
        return run.returncode, run.stderr
    return 0, tuple(file.read_bytes() for file in (verdicts, passed, maps))


def main():
    xdplane, capture, *folders = sys.argv[1:]
    compared = refused = different = 0
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        for path in sorted(path for given in folders for path in pathlib.Path(given).glob("*.bpf.o")):
            if "break" in path.name or path.name.startswith("broken_"):
                continue
            for program in programs(path):
                off, on = (replay(xdplane, capture, f"{path}:{program}", mode, folder) for mode in ("off", "on"))
                # Some return addresses, which are others each time.
                if off != on and off == replay(xdplane, capture, f"{path}:{program}", "off", folder):
                    different += 1
                    print(f"{path}:{program}: run-ahead makes a difference")
                compared += off[0] == 0
                refused += off[0] != 0
    print(f"{compared} programs compared, {refused} not run, {different} different")
    return 1 if different or compared < LEAST else 0


if __name__ == "__main__":
    sys.exit(main())
