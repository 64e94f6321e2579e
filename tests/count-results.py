#!/usr/bin/env python3
"""Sums the results of one test run: automake's .trs files and pytest's JUnit XML under a folder.

Names what failed or was skipped; the last line is "N passed, N failed", with ", N skipped" when
something was. Exits 1 when anything failed or nothing ran."""

import pathlib
import sys
import xml.etree.ElementTree as ElementTree

OUTCOMES = {"PASS": "passed", "XFAIL": "passed", "SKIP": "skipped"}  # anything else failed


def trs_results(path):
    for line in path.read_text().splitlines():
        if line.startswith(":test-result:"):
            word = line.split()[1]
            yield f"{path.parent.name}/{path.stem}", OUTCOMES.get(word, "failed"), ""


def junit_results(path):
    for case in ElementTree.parse(path).getroot().iter("testcase"):
        name = f"{case.get('classname')}::{case.get('name')}"
        skipped = case.find("skipped")
        if case.find("failure") is not None or case.find("error") is not None:
            yield name, "failed", ""
        elif skipped is not None:
            yield name, "skipped", skipped.get("message") or ""
        else:
            yield name, "passed", ""


def main(folder):
    counts = {"passed": 0, "failed": 0, "skipped": 0}
    paths = sorted(pathlib.Path(folder).rglob("*"))
    readers = {".trs": trs_results, ".xml": junit_results}
    for path in paths:
        for name, outcome, why in readers.get(path.suffix, lambda _: ())(path):
            counts[outcome] += 1
            if outcome != "passed":
                print(f"{outcome}: {name}{': ' + why if why else ''}")
    line = f"{counts['passed']} passed, {counts['failed']} failed"
    print(line + (f", {counts['skipped']} skipped" if counts["skipped"] else ""))
    return 1 if counts["failed"] or not counts["passed"] else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
