#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026, the xdplane authors
"""Tests of run_tests.py: a meson project of tests that pass, fail, skip, crash, hang and lie."""
import collections
import json
import os
import subprocess
import sys
import tempfile
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))

CASES_CPP = """
#include <gtest/gtest.h>
#include <csignal>
#include <cstdlib>
#include <unistd.h>
struct Tagged : testing::TestWithParam<int> {};
TEST(Good, Passes) {}
TEST(Good, PassesToo) { EXPECT_EQ(getenv("SEEN") ? 1 : 0, 1); }
TEST_P(Tagged, Case) { EXPECT_GE(GetParam(), 0); }
INSTANTIATE_TEST_SUITE_P(Files, Tagged, testing::Values(1, 2, 3));
TEST(Bad, Fails) { EXPECT_EQ(1, 2) << "one is not \\x01\\xff two"; }
TEST(Bad, Skips) { GTEST_SKIP() << "the kernel said no"; }
TEST(Bad, DISABLED_Waits) {}
TEST(Ugly, Crashes) { raise(SIGSEGV); }
TEST(Ugly, Leaves) { _exit(0); }
TEST(Ugly, Hangs) { sleep(100); }
TEST(Late, Exits) { atexit([] { _exit(7); }); }
"""

MESON = """
project('fake', 'cpp')
exe = executable('cases', 'cases.cpp', dependencies: dependency('gtest', main: true))
sh = find_program('sh')
seen = {'SEEN': '1'}
test('good', exe, args: ['--gtest_filter=Good.*:Files/*'], env: seen, suite: ['unit', 'tsan'])
test('bad', exe, args: ['--gtest_filter=Bad.*'])
test('crash', exe, args: ['--gtest_filter=Good.Passes:Ugly.Crashes'], env: seen)
test('leave', exe, args: ['--gtest_filter=Ugly.Leaves'])
test('hang', exe, args: ['--gtest_filter=Ugly.Hangs'], timeout: 1)
test('late', exe, args: ['--gtest_filter=Late.*'], is_parallel: false)
test('none', exe, args: ['--gtest_filter=Nothing.*'])
test('tap', sh, args: ['-c', 'echo "ok 1 - first"; echo "not ok 2 - second"; echo "ok 3 - third # SKIP no root"; echo 1..3'], protocol: 'tap')
test('tap short', sh, args: ['-c', 'echo 1..2; echo "ok 1"'], protocol: 'tap')
test('tap skip', sh, args: ['-c', 'echo "1..0 # SKIP no such thing"'], protocol: 'tap')
test('tap silent', sh, args: ['-c', 'true'], protocol: 'tap')
test('plain', sh, args: ['-c', 'exit 0'])
test('plain skip', sh, args: ['-c', 'echo not here; exit 77'])
test('plain fail', sh, args: ['-c', 'echo went wrong; exit 3'])
test('leftover', sh, args: ['-c', 'sleep 300 & echo $! > leftover.pid'], workdir: meson.current_build_dir())
"""

# Shorter than meson allows a test to ask for: the driver's floor would make the hanging case slow.
MULTIPLIER = "0.05"


class RunTestsTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.directory = tempfile.TemporaryDirectory()
        cls.source, cls.build = cls.directory.name, os.path.join(cls.directory.name, "build")
        for name, text in (("cases.cpp", CASES_CPP), ("meson.build", MESON)):
            with open(os.path.join(cls.source, name), "w", encoding="utf-8") as f:
                f.write(text)
        quiet = {"stdout": subprocess.DEVNULL, "stdin": subprocess.DEVNULL, "check": True}
        subprocess.run(["/usr/bin/meson", "setup", cls.build, cls.source], **quiet)
        subprocess.run(["ninja", "-C", cls.build], **quiet)
        cls.code, cls.cases, cls.report = cls.drive()

    @classmethod
    def tearDownClass(cls):
        cls.directory.cleanup()

    @classmethod
    def driver(cls, *arguments):
        return subprocess.run([sys.executable, os.path.join(HERE, "run_tests.py"), *arguments], stdin=subprocess.DEVNULL,
                              stdout=subprocess.PIPE, text=True, env=dict(os.environ, LC_ALL="C"), check=False)

    @classmethod
    def drive(cls, *arguments):
        results = os.path.join(cls.source, "results.jsonl")
        with open(results, "w", encoding="utf-8"):
            pass
        code = cls.driver("run", "--build", cls.build, "--label", "fake", "--results", results,
                          "--timeout-multiplier", MULTIPLIER, *arguments).returncode
        with open(results, encoding="utf-8") as f:
            cases = [json.loads(line) for line in f]
        return code, cases, cls.driver("report", results)

    def of(self, test):
        found = [c for c in self.cases if c["name"] == test or c["name"].startswith(test + ": ")]
        return {c["name"].removeprefix(test + ": "): c for c in found}

    def statuses(self, test):
        return {name: case["status"] for name, case in self.of(test).items()}

    def test_each_gtest_case_counts(self):
        self.assertEqual(self.statuses("good"), {
            "Good.Passes": "passed", "Good.PassesToo": "passed", "Files/Tagged.Case/0": "passed",
            "Files/Tagged.Case/1": "passed", "Files/Tagged.Case/2": "passed"})

    def test_failures_and_skips_say_why(self):
        bad = self.of("bad")
        self.assertEqual(self.statuses("bad"), {
            "Bad.Fails": "failed", "Bad.Skips": "skipped", "Bad.DISABLED_Waits": "skipped"})
        self.assertIn("one is not", bad["Bad.Fails"]["detail"])
        self.assertEqual(bad["Bad.Skips"]["detail"], "the kernel said no")
        self.assertIn("disabled", bad["Bad.DISABLED_Waits"]["detail"])

    def test_a_crash_is_a_failure_named_after_its_case(self):
        self.assertEqual(self.statuses("crash"), {"Good.Passes": "passed", "Ugly.Crashes": "failed"})
        self.assertIn("SIGSEGV", self.of("crash")["Ugly.Crashes"]["detail"])

    def test_leaving_early_with_status_0_is_a_failure(self):
        self.assertEqual(self.statuses("leave"), {"Ugly.Leaves": "failed"})

    def test_a_hang_is_ended(self):
        self.assertEqual(self.statuses("hang"), {"Ugly.Hangs": "failed"})
        self.assertIn("timed out", self.of("hang")["Ugly.Hangs"]["detail"])

    def test_a_status_that_no_case_explains_is_a_failure(self):
        self.assertEqual(self.statuses("late"), {"Late.Exits": "passed", "(end)": "failed"})

    def test_no_case_is_a_failure(self):
        self.assertEqual(self.statuses("none"), {"none": "failed"})

    def test_tap(self):
        self.assertEqual(self.statuses("tap"), {"first": "passed", "second": "failed", "third": "skipped"})
        self.assertEqual(self.of("tap")["third"]["detail"], "no root")
        self.assertEqual(self.statuses("tap short"), {"1": "passed", "(end)": "failed"})
        self.assertEqual(self.statuses("tap skip"), {"tap skip": "skipped"})
        self.assertEqual(self.statuses("tap silent"), {"(end)": "failed"})

    def test_exit_codes(self):
        self.assertEqual(self.statuses("plain"), {"plain": "passed"})
        self.assertEqual(self.of("plain skip")["plain skip"]["detail"], "not here")
        self.assertIn("went wrong", self.of("plain fail")["plain fail"]["detail"])

    def test_what_a_test_left_running_is_ended(self):
        with open(os.path.join(self.build, "leftover.pid"), encoding="utf-8") as f:
            pid = f.read().strip()
        try:
            with open(f"/proc/{pid}/stat", encoding="utf-8") as f:
                state = f.read().rsplit(")", 1)[1].split()[0]
        except FileNotFoundError:
            state = "gone"
        self.assertIn(state, ("gone", "Z", "X"))

    def test_the_report_adds_up(self):
        count = collections.Counter(c["status"] for c in self.cases)
        last = self.report.stdout.splitlines()[-1]
        self.assertEqual(last, f"{count['passed']} passed, {count['failed']} failed, {count['skipped']} skipped")
        self.assertEqual((self.code, self.report.returncode), (1, 1))
        self.assertIn("the kernel said no:\n    bad: Bad.Skips", self.report.stdout)

    def test_suite(self):
        code, cases, report = self.drive("--suite", "tsan")
        self.assertEqual((code, report.returncode, len(cases)), (0, 0, 5))
        self.assertEqual(report.stdout.splitlines()[-1], "5 passed, 0 failed, 0 skipped")
        code, cases, _ = self.drive("--suite", "nothing")
        self.assertEqual((code, [c["status"] for c in cases]), (1, ["failed"]))

    def test_filter_finds_single_cases(self):
        _, cases, _ = self.drive("--filter", r"^Files/Tagged.Case/[12]$", "--suite", "tsan")
        self.assertEqual([c["name"] for c in cases], ["good: Files/Tagged.Case/1", "good: Files/Tagged.Case/2"])

    def test_targets(self):
        out = self.driver("targets", "--build", self.build, "--suite", "tsan").stdout
        self.assertEqual(out.split(), ["cases"])

    def test_a_command_as_a_case(self):
        results = os.path.join(self.source, "case.jsonl")
        for command, status in ((["true"], "passed"), (["sh", "-c", "echo broken; exit 77"], "failed")):
            self.driver("case", "--label", "x", "--name", "y", "--results", results, "--", *command)
            with open(results, encoding="utf-8") as f:
                self.assertEqual(json.loads(f.read().splitlines()[-1])["status"], status)


if __name__ == "__main__":
    unittest.main()
