#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026, the xdplane authors
"""The manual page, the completion and the Debian package: package_test.py SOURCE BUILD"""

import os
import re
import subprocess
import sys
import tempfile
import unittest

SOURCE, BUILD = sys.argv.pop(1), sys.argv.pop(1)
PROGRAM = os.path.join(BUILD, "xdplane")


def run(*words, **more):
    return subprocess.run(words, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False, timeout=200, **more)


def says(*words):
    done = run(*words)
    assert done.returncode == 0, done.stderr
    return done.stdout


def read(*path):
    with open(os.path.join(*path), encoding="utf-8") as file:
        return file.read()


def commands():
    listed = says(PROGRAM, "--help").split("Commands:\n")[1].split("\n\n")[0]
    names = [line.split()[0] for line in listed.splitlines()]
    assert len(names) >= 7, names
    return names


def options(command):
    return set(re.findall(r"^  .*?--([a-z-]+)", says(PROGRAM, command, "--help").split("Options:\n")[1].split("\n\n")[0], re.M))


class Manual(unittest.TestCase):
    def test_every_command_and_option_is_in_it(self):
        page = read(BUILD, "scripts", "xdplane.1").replace("\\-", "-")
        for command in commands():
            section = page.split(f".SS xdplane {command}\n")
            self.assertEqual(len(section), 2, command)
            for option in options(command):
                self.assertRegex(section[1].split("\n.SS ")[0], f"(?m)^\\.B .*--{option}( |$)", command)

    def test_it_is_good_roff(self):
        done = run("man", "--warnings", "--local-file", os.path.join(BUILD, "scripts", "xdplane.1"),
                   env=os.environ | {"MANPAGER": "cat", "MANWIDTH": "150"})
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        self.assertIn("xdplane ctl load blocklist drop.txt", done.stdout)


class Completion(unittest.TestCase):
    def complete(self, *words):
        script = os.path.join(BUILD, "scripts", "xdplane")
        line = f'source "{script}"; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _xdplane; echo "${{COMPREPLY[@]-}}"'
        done = run("bash", "-uc", line, "bash", *words)
        self.assertEqual(done.stderr, "")
        return done.stdout.split()

    def test_commands(self):
        self.assertEqual(self.complete("xdplane", "re"), ["replay"])
        self.assertEqual(self.complete("xdplane", ""), commands() + ["--help", "--version"])

    def test_options_of_every_command(self):
        for command in commands():
            self.assertEqual(set(self.complete("xdplane", command, "--")), {"--" + o for o in options(command)})

    def test_a_command_of_a_command(self):
        shown = set(self.complete("xdplane", "ctl", "capture", "--"))
        self.assertLessEqual({"--verdict", "--write", "--filter"}, shown)
        self.assertNotIn("--verdict", self.complete("xdplane", "ctl", "--"))
        self.assertIn(".SS xdplane ctl capture\n", read(BUILD, "scripts", "xdplane.1"))

    def test_words_and_files(self):
        self.assertEqual(self.complete("xdplane", "ctl", "ro"), ["rollback"])
        self.assertIn("load", self.complete("xdplane", "ctl", ""))
        self.assertEqual(self.complete("xdplane", "run", "x"), [], "files, by default")
        self.assertEqual(self.complete("xdplane", "nonsense", "-"), [])


class Package(unittest.TestCase):
    def test_what_is_in_it_runs(self):
        with tempfile.TemporaryDirectory() as scratch:
            package = says(os.path.join(SOURCE, "scripts", "package"), "--build", BUILD, "--output", scratch).strip()
            self.assertRegex(package, r"/xdplane_[0-9.]+_[a-z0-9]+\.deb$")
            self.assertIn("libc6", says("dpkg-deb", "-f", package, "Depends"))
            tree = os.path.join(scratch, "root")
            says("dpkg-deb", "-x", package, tree)
            program = os.path.join(tree, "usr/bin/xdplane")
            self.assertEqual(says(program, "--version"), says(PROGRAM, "--version"))
            # Its filters are found, and the service's configuration is one.
            capture = os.path.join(SOURCE, "tests/captures/demo.pcap")
            done = run(program, "replay", "-r", capture, "--config", os.path.join(tree, "etc/xdplane/xdplane.toml"),
                       cwd=scratch)
            self.assertEqual(done.returncode, 0, done.stderr)
            for name in ("usr/lib/xdplane/libxdplane-preload.so", "usr/share/man/man1/xdplane.1.gz", "usr/share/bash-completion/completions/xdplane",
                         "usr/lib/sysusers.d/xdplane.conf", "usr/share/doc/xdplane/copyright"):
                self.assertTrue(os.path.isfile(os.path.join(tree, name)), name)
            unit = read(tree, "usr/lib/systemd/system/xdplane.service")
            start = re.search(r"^ExecStart=(\S+) (\S+) (.*)$", unit, re.M)
            self.assertTrue(os.access(tree + start[1], os.X_OK))
            self.assertIn(start[2], commands())
            for option in re.findall(r"--([a-z-]+)", start[3]):
                self.assertIn(option, options(start[2]))
            for path in re.findall(r"/etc\S+", start[3]):
                self.assertTrue(os.path.isfile(tree + path), path)
            self.assertEqual(says("dpkg-deb", "-I", package, "conffiles"), "/etc/xdplane/xdplane.toml\n")

    def test_wrong_arguments(self):
        script = os.path.join(SOURCE, "scripts", "package")
        self.assertEqual(run(script, "--frob").returncode, 2)
        self.assertEqual(run(script, "--build").returncode, 2)
        done = run(script, "--build", "/nowhere")
        self.assertEqual((done.returncode, done.stderr), (1, "package: /nowhere: no such directory\n"))
        with tempfile.TemporaryDirectory() as scratch:
            done = run(script, "--build", scratch)
            self.assertEqual((done.returncode, done.stderr), (1, f"package: {scratch}: xdplane is not built\n"))


unittest.main()
