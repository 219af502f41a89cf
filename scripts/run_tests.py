#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026, the xdplane authors
"""Runs the tests of a meson build directory and counts single cases.

  run_tests.py run --build DIR --label NAME --results FILE [options]   run, append to FILE
  run_tests.py targets --build DIR [--suite S]                         ninja targets the tests need
  run_tests.py case --label NAME --name CASE --results FILE -- CMD...  one command as one case
  run_tests.py report FILE                                             skips, failures, totals

What a test is asked for, by how it was registered with meson's test():
  GoogleTest  any protocol but 'tap': the XML that GTEST_OUTPUT makes it write gives the cases.
              A crash, an early exit, a time-out or an exit status that the XML does not
              explain is a failed case on top of those that had finished.
  tap         each 'ok'/'not ok' is a case; the plan must be met.
  exitcode    one case: 0 passes, 77 skips (the last line printed is the reason).
A test that runs no case has failed.

FILE holds a JSON object per line: {label, name, status: passed|failed|skipped, detail, seconds}.
"""
import argparse
import concurrent.futures
import json
import os
import re
import resource
import shutil
import signal
import subprocess
import sys
import threading
import time
import xml.etree.ElementTree as ET

OUTPUT_LINES_SHOWN = 60
CONTROL = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
TAP_LINE = re.compile(r"^(not )?ok\b(?:\s+(\d+))?\s*-?\s*([^#]*)(?:#\s*(\w+)\s*(.*))?$", re.I)
TAP_PLAN = re.compile(r"^1\.\.(\d+)(?:\s*#\s*skip\w*\s*(.*))?", re.I)


class Case:
    def __init__(self, name, status, detail="", seconds=0.0):
        self.name, self.status, self.detail, self.seconds = name, status, detail, seconds


def read_text(path):
    try:
        with open(path, "rb") as f:
            return CONTROL.sub("?", f.read().decode("utf-8", "replace"))
    except FileNotFoundError:
        return ""


def tail(text, lines=OUTPUT_LINES_SHOWN):
    kept = text.rstrip().splitlines()
    if len(kept) > lines:
        kept = [f"[{len(kept) - lines} lines before]"] + kept[-lines:]
    return "\n".join(kept)


def introspect(build, what):
    out = subprocess.run([meson(), "introspect", what, build], check=True, stdin=subprocess.DEVNULL,
                         stdout=subprocess.PIPE).stdout
    return json.loads(out)


def meson():
    return "/usr/bin/meson" if os.access("/usr/bin/meson", os.X_OK) else "meson"


def selected_tests(build, suite):
    tests = introspect(build, "--tests")
    # meson puts the project's name before a suite: 'xdplane:tsan'.
    return [t for t in tests if not suite or any(s.split(":")[-1] == suite for s in t["suite"])]


# ---------------------------------------------------------------- running one test

def is_gtest(program):
    try:
        with open(program, "rb") as f:
            data = f.read()
    except OSError:
        return False
    return data.startswith(b"\x7fELF") and b"gtest_list_tests" in data


def gtest_case_names(test, prefix, env):
    out = subprocess.run(prefix + test["cmd"] + ["--gtest_list_tests"], env=env, cwd=test["workdir"],
                         stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, timeout=60).stdout
    names, suite = [], ""
    for line in out.decode("utf-8", "replace").splitlines():
        name = line.split("#")[0].strip()
        if not line.startswith(" "):
            suite = name if name.endswith(".") else ""
        elif suite and name:
            names.append(suite + name)
    return names


def describe_exit(code):
    if code >= 0:
        return f"exit status {code}"
    try:
        return f"killed by {signal.Signals(-code).name}"
    except ValueError:
        return f"killed by signal {-code}"


def gtest_xml_cases(name, text):
    cases = []
    for case in ET.fromstring(text).iter("testcase"):
        full = f"{name}: {case.get('classname')}.{case.get('name')}"
        seconds = float(case.get("time") or 0)
        failures = [f.text or f.get("message") or "" for f in case.findall("failure")]
        if failures:
            cases.append(Case(full, "failed", "\n".join(failures), seconds))
        elif case.get("status") != "run":
            cases.append(Case(full, "skipped", "disabled (DISABLED_)", seconds))
        elif case.get("result") == "skipped":
            skipped = case.find("skipped")
            said = "" if skipped is None else (skipped.text or skipped.get("message") or "")
            # The first line is the place in the source, which the reason does not need.
            lines = [l.strip() for l in said.splitlines() if l.strip()]
            if len(lines) > 1 and re.search(r":\d+$", lines[0]):
                lines = lines[1:]
            cases.append(Case(full, "skipped", " ".join(lines) or "no reason given", seconds))
        else:
            cases.append(Case(full, "passed", "", seconds))
    return cases


def gtest_stdout_cases(name, output):
    """What had finished in a run that wrote no XML, and the case it died in."""
    cases, running = [], None
    for line in output.splitlines():
        match = re.match(r"^\[ (RUN     |      OK|  FAILED| SKIPPED) \] (\S+?)(?:,|\s|$)", line)
        if not match:
            continue
        what, case = match.group(1).strip(), match.group(2)
        if what == "RUN":
            running = case
        elif case == running:  # the summary at the end names them again
            running = None
            status = {"OK": "passed", "FAILED": "failed", "SKIPPED": "skipped"}[what]
            cases.append(Case(f"{name}: {case}", status, "see its output" if status != "passed" else ""))
    return cases, running


def gtest_result(name, code, ended, output, xml):
    cases = []
    if xml:
        try:
            cases = gtest_xml_cases(name, xml)
        except ET.ParseError as error:
            return [Case(name, "failed", f"its XML cannot be read: {error}\n{tail(output)}")]
        if not cases:
            return [Case(name, "failed", "ran no test")]
        explained = code == 0 or (code == 1 and any(c.status == "failed" for c in cases))
        if not explained or ended:
            cases.append(Case(f"{name}: (end)", "failed", f"{ended or describe_exit(code)} after its cases\n{tail(output)}"))
        return cases
    cases, running = gtest_stdout_cases(name, output)
    where = f"{name}: {running}" if running else f"{name}: (start or end)"
    why = ended or describe_exit(code)
    cases.append(Case(where, "failed", f"{why}, before GoogleTest was done\n{tail(output)}"))
    return cases


def tap_result(name, code, ended, output):
    cases, plan, plan_skip, bail = [], None, None, None
    for line in output.splitlines():
        if line.startswith("Bail out!"):
            bail = line
        if match := TAP_PLAN.match(line):
            plan, plan_skip = int(match.group(1)), match.group(2)
        elif match := TAP_LINE.match(line):
            bad, number, said, directive, reason = match.groups()
            full = f"{name}: {said.strip() or number or len(cases) + 1}"
            directive = (directive or "").lower()
            if directive.startswith("skip"):
                cases.append(Case(full, "skipped", reason.strip() or "no reason given"))
            elif bad and directive != "todo":
                cases.append(Case(full, "failed", tail(output)))
            elif directive == "todo":
                cases.append(Case(full, "skipped", f"to do: {reason.strip()}"))
            else:
                cases.append(Case(full, "passed"))
        elif cases and cases[-1].status == "failed" and line.startswith("#"):
            pass  # a diagnostic; the whole output is shown
    if plan == 0 and not cases and code == 0 and not ended:
        return [Case(name, "skipped", plan_skip or "no reason given")]
    problem = ended or bail
    if not problem and plan is None:
        problem = "printed no TAP plan (1..N)"
    if not problem and plan != len(cases):
        problem = f"planned {plan} cases and ran {len(cases)}"
    if not problem and code != 0 and not any(c.status == "failed" for c in cases):
        problem = describe_exit(code)
    if problem:
        cases.append(Case(f"{name}: (end)", "failed", f"{problem}\n{tail(output)}"))
    return cases


def exitcode_result(name, code, ended, output, seconds):
    if ended:
        return [Case(name, "failed", f"{ended}\n{tail(output)}", seconds)]
    if code == 77:
        said = output.strip().splitlines()
        return [Case(name, "skipped", said[-1] if said else "no reason given", seconds)]
    if code != 0:
        return [Case(name, "failed", f"{describe_exit(code)}\n{tail(output)}", seconds)]
    return [Case(name, "passed", "", seconds)]


def no_core_dumps():
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def spawn(command, cwd, env, log, timeout):
    """Returns (exit code, why it was ended or None). Whatever it left running in its group is ended."""
    with open(log, "wb") as out:
        process = subprocess.Popen(command, cwd=cwd, env=env, stdin=subprocess.DEVNULL, stdout=out,
                                   stderr=subprocess.STDOUT, start_new_session=True, preexec_fn=no_core_dumps)
    ended = None
    try:
        code = process.wait(timeout)
    except subprocess.TimeoutExpired:
        ended = f"timed out after {timeout:.0f} s"
        code = None
    # Between waiting and this, the group's id cannot be reused while a member of it lives.
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except (ProcessLookupError, PermissionError):
        pass
    return (process.wait() if code is None else code), ended


def run_test(test, options, prefix, directory):
    name = test["name"]
    stem = os.path.join(directory, re.sub(r"[^\w.+-]+", "_", name))
    log, xml = stem + ".log", stem + ".xml"
    for old in (log, xml):
        if os.path.exists(old):
            os.unlink(old)
    env = dict(os.environ, GTEST_COLOR="no", **test.get("env", {}))
    test["workdir"] = test.get("workdir") or os.path.abspath(options.build)
    tap = test.get("protocol") == "tap"
    gtest = not tap and (test.get("protocol") == "gtest" or is_gtest(test["cmd"][0]))
    if gtest:
        env["GTEST_OUTPUT"] = "xml:" + os.path.abspath(xml)
    if options.filter and not re.search(options.filter, name):
        if not gtest:
            return []
        wanted = [c for c in gtest_case_names(test, prefix, env) if re.search(options.filter, c)]
        if not wanted:
            return []
        # One argument holds 128 KiB; past that the whole binary runs. The last filter given is the one that counts.
        chosen = ":".join(wanted)
        if len(chosen) < 120_000:
            test["cmd"] = test["cmd"] + ["--gtest_filter=" + chosen]
    limit = test.get("timeout") or 0
    limit = max(limit, 30) * options.timeout_multiplier if limit > 0 else 600
    began = time.monotonic()
    try:
        code, ended = spawn(prefix + test["cmd"], test["workdir"], env, log, limit)
    except OSError as error:
        return [Case(name, "failed", f"cannot be started: {error}")]
    seconds = time.monotonic() - began
    output = read_text(log)
    if tap:
        return tap_result(name, code, ended, output)
    if gtest:
        return gtest_result(name, code, ended, output, read_text(xml))
    return exitcode_result(name, code, ended, output, seconds)


# ---------------------------------------------------------------- commands

class Results:
    def __init__(self, path, label):
        self.path, self.label, self.lock = path, label, threading.Lock()
        self.counts = {"passed": 0, "failed": 0, "skipped": 0}

    def add(self, cases):
        with self.lock, open(self.path, "a", encoding="utf-8") as out:
            for case in cases:
                self.counts[case.status] += 1
                out.write(json.dumps({"label": self.label, "name": case.name, "status": case.status,
                                      "detail": case.detail, "seconds": round(case.seconds, 3)}) + "\n")


def steady_address_space():
    """Sanitizers of this age fail at random where the kernel randomises mappings by many bits."""
    setarch = shutil.which("setarch")
    if setarch and subprocess.run([setarch, "-R", "true"], stdin=subprocess.DEVNULL,
                                  stderr=subprocess.DEVNULL).returncode == 0:
        return [setarch, "-R"]
    return []


def command_run(options):
    results = Results(options.results, options.label)
    prefix = steady_address_space() if options.sanitizer else []
    directory = os.path.join(options.build, "test-results")
    os.makedirs(directory, exist_ok=True)
    tests = selected_tests(options.build, options.suite)
    if not tests:
        results.add([Case("(no test)", "failed", f"{options.build} has no test" +
                          (f" in suite '{options.suite}'" if options.suite else ""))])

    def one(test):
        began = time.monotonic()
        try:
            cases = run_test(test, options, prefix, directory)
        except Exception as error:  # a fault of this driver must not lose the test
            cases = [Case(test["name"], "failed", f"the test driver failed: {error!r}")]
        if not cases and not options.filter:
            cases = [Case(test["name"], "failed", "ran no test")]
        results.add(cases)
        if cases:
            count = {s: sum(c.status == s for c in cases) for s in results.counts}
            verdict = "FAILED" if count["failed"] else "ok"
            skips = f", {count['skipped']} skipped" if count["skipped"] else ""
            failed = f", {count['failed']} failed" if count["failed"] else ""
            print(f"  {verdict:6} {test['name']}: {count['passed']} passed{failed}{skips} "
                  f"({time.monotonic() - began:.1f} s)", flush=True)

    tests.sort(key=lambda t: -t.get("priority", 0))
    with concurrent.futures.ThreadPoolExecutor(options.jobs) as pool:
        list(pool.map(one, [t for t in tests if t.get("is_parallel", True)]))
    for test in tests:
        if not test.get("is_parallel", True):
            one(test)
    counts = results.counts
    print(f"{options.label}: {counts['passed']} passed, {counts['failed']} failed, {counts['skipped']} skipped")
    return 1 if counts["failed"] else 0


def command_targets(options):
    targets = {t["id"]: t for t in introspect(options.build, "--targets")}
    by_file = {f: t for t in targets.values() for f in t["filename"]}
    files = set()
    for test in selected_tests(options.build, options.suite):
        for part in test["cmd"]:
            if part in by_file:
                files.update(by_file[part]["filename"])
        for identity in test.get("depends", []):
            if identity in targets:
                files.update(targets[identity]["filename"])
    for file in sorted(files):
        print(os.path.relpath(file, options.build))
    return 0


def command_case(options):
    results = Results(options.results, options.label)
    log = options.results + ".case.log"
    began = time.monotonic()
    try:
        code, ended = spawn(options.command, None, dict(os.environ), log, options.timeout)
        case = exitcode_result(options.name, code, ended, read_text(log), time.monotonic() - began)[0]
    except OSError as error:
        case = Case(options.name, "failed", f"cannot be started: {error}")
    if case.status == "skipped":
        case = Case(options.name, "failed", f"exit status 77\n{tail(read_text(log))}", case.seconds)
    results.add([case])
    print(f"  {'FAILED' if case.status == 'failed' else 'ok':6} {options.name} ({case.seconds:.1f} s)", flush=True)
    return 1 if case.status == "failed" else 0


def command_report(options):
    with open(options.file, encoding="utf-8") as f:
        cases = [json.loads(line) for line in f]
    by_status = {s: [c for c in cases if c["status"] == s] for s in ("passed", "failed", "skipped")}
    if by_status["skipped"]:
        print("\n== skipped")
        reasons = {}
        for case in by_status["skipped"]:
            reasons.setdefault((case["label"], case["detail"]), []).append(case["name"])
        for (label, reason), names in reasons.items():
            print(f"  [{label}] {reason}:")
            for name in names:
                print(f"    {name}")
    if by_status["failed"]:
        print("\n== failed")
        for case in by_status["failed"]:
            print(f"  [{case['label']}] {case['name']}")
            for line in tail(case["detail"]).splitlines():
                print(f"    | {line}")
    print("\n== by build")
    for label in dict.fromkeys(c["label"] for c in cases):
        count = {s: sum(c["label"] == label for c in by_status[s]) for s in by_status}
        print(f"  {label}: {count['passed']} passed, {count['failed']} failed, {count['skipped']} skipped")
    slow = sorted((c for c in cases if c["seconds"] >= 5), key=lambda c: -c["seconds"])[:5]
    for case in slow:
        print(f"  slow: [{case['label']}] {case['name']}: {case['seconds']:.1f} s")
    print()
    print(f"{len(by_status['passed'])} passed, {len(by_status['failed'])} failed, {len(by_status['skipped'])} skipped")
    return 0 if by_status["passed"] and not by_status["failed"] else 1


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="verb", required=True)
    run = commands.add_parser("run")
    run.add_argument("--build", required=True)
    run.add_argument("--label", required=True)
    run.add_argument("--results", required=True)
    run.add_argument("--suite", help="only tests that meson has in this suite")
    run.add_argument("--filter", help="only tests whose name, or cases whose Suite.Case, this regular expression finds")
    run.add_argument("--jobs", type=int, default=2)
    run.add_argument("--timeout-multiplier", type=float, default=1)
    run.add_argument("--sanitizer", action="store_true", help="run without address-space randomisation")
    targets = commands.add_parser("targets")
    targets.add_argument("--build", required=True)
    targets.add_argument("--suite")
    case = commands.add_parser("case")
    case.add_argument("--label", required=True)
    case.add_argument("--name", required=True)
    case.add_argument("--results", required=True)
    case.add_argument("--timeout", type=float, default=3600)
    case.add_argument("command", nargs="+")
    report = commands.add_parser("report")
    report.add_argument("file")
    options = parser.parse_args()
    # Test output may hold any character, and the terminal's encoding may not.
    sys.stdout.reconfigure(errors="backslashreplace")
    return {"run": command_run, "targets": command_targets, "case": command_case,
            "report": command_report}[options.verb](options)


if __name__ == "__main__":
    sys.exit(main())
