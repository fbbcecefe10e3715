#!/usr/bin/env python3
"""Adds up the results of every runner in a folder and prints `N passed, N failed` as the last line.

Reads *.xml (JUnit form) and *.tap, and NAME.status with each runner's exit code. A runner that failed without a failed
test (it crashed, or ran nothing) counts as one failure, so that silence is never green. The failed tests stand by name
right before the counts, at most 20 of them, where even the tail of a log shows them. Exit status 1 on any failure.
"""

import pathlib
import re
import sys
import xml.etree.ElementTree as ElementTree

folder = pathlib.Path(sys.argv[1])
passed = failed = skipped = 0
counts = []
failures = []

for status_file in sorted(folder.glob("*.status")):
    name = status_file.stem
    ran = broken = passed_here = skipped_here = 0
    for report in sorted(folder.glob(f"{name}*.xml")):
        for case in ElementTree.parse(report).iter("testcase"):
            ran += 1
            problem = next((case.find(kind) for kind in ("failure", "error") if case.find(kind) is not None), None)
            if problem is not None:
                broken += 1
                message = " ".join((problem.get("message") or problem.text or "").split())[:300]
                failures.append(f"{case.get('classname')} {case.get('name')}: {message}")
            elif case.find("skipped") is not None:
                skipped_here += 1
            else:
                passed_here += 1
    tap = folder / f"{name}.tap"
    if tap.exists():
        totals = dict(re.findall(r"^# (pass|fail) (\d+)$", tap.read_text(), re.MULTILINE))
        failures += [f"{name} {line}" for line in re.findall(r"^not ok \d+ - (.+)$", tap.read_text(), re.MULTILINE)]
        passed_here += int(totals.get("pass", 0))
        broken += int(totals.get("fail", 0))
        ran = passed_here + broken
    if broken == 0 and (status_file.read_text().strip() != "0" or ran == 0):
        broken = 1
        failures.append(f"{name}: the runner itself failed or ran no test")
    counts.append(f"{name}: {passed_here} passed, {broken} failed" + (f", {skipped_here} skipped" if skipped_here else ""))
    passed, failed, skipped = passed + passed_here, failed + broken, skipped + skipped_here

if passed + failed == 0:
    failures.append("no test ran")
    failed = 1
for line in [f"FAILED {failure}" for failure in failures[:20]] + counts:
    print(line)
print(f"{passed} passed, {failed} failed" + (f", {skipped} skipped" if skipped else ""))
sys.exit(1 if failed else 0)
