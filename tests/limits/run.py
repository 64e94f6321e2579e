#!/usr/bin/env python3
"""Runs the tests of guest/ in a machine with every cgroup controller: run.py PACKAGES RESULTS [NAME…], or
run.py --prepare.

PACKAGES is the folder of the .deb that is installed in the machine, RESULTS the folder for limits.xml (JUnit) and, in limits/, the
machine's console and journal. Only tests whose name contains a NAME are run. --prepare makes the machine's disk
and nothing else. Exits 1 when a test failed."""

import argparse
import contextlib
import json
import pathlib
import shutil
import signal
import sys
import tempfile
import xml.etree.ElementTree as ElementTree

import image
import machine

HERE = pathlib.Path(__file__).resolve().parent
SHARED = [HERE.parent / "e2e" / "mcp_client.py"]  # what the tests inside use of the others
TIMEOUT_SECONDS = 300
CONSOLE_LINES = 60


def package_in(folder):
    """The built package; the one with its debug symbols is left out."""
    found = sorted(path for path in folder.glob("*.deb") if "-dbgsym" not in path.name)
    if not found:
        raise machine.NoMachine(f"{folder} holds no package to install")
    return found[0]


def share(folder, package, names):
    """Everything the machine gets from here."""
    for path in [*(HERE / "guest").glob("*.py"), *SHARED]:
        shutil.copy(path, folder)
    shutil.copy(package, folder / "envmux.deb")
    (folder / "names.json").write_text(json.dumps(names))


def results_of(folder, trouble):
    """One dict per test: name, outcome ("passed", "failed", "skipped"), seconds, message."""
    tests = {}
    with open(folder / "results", errors="replace") as lines:
        for line in lines:
            test = json.loads(line)
            tests.setdefault(test["name"], {}).update(test)
    for test in tests.values():
        if "outcome" not in test:
            test.update(outcome="failed", message=f"did not come to its end: {trouble or 'the machine powered off'}")
    return list(tests.values())


def write_junit(path, tests):
    suite = ElementTree.Element("testsuite", name="limits", tests=str(len(tests)))
    for test in tests:
        case = ElementTree.SubElement(suite, "testcase", classname="limits", name=test["name"],
                                      time=f"{test.get('seconds', 0):.3f}")
        if test["outcome"] != "passed":
            kind = {"failed": "failure", "skipped": "skipped"}[test["outcome"]]
            ElementTree.SubElement(case, kind, message=test["message"].splitlines()[-1]).text = test["message"]
    ElementTree.ElementTree(suite).write(path, encoding="unicode")


def run_inside(disk, package, results, names):
    """Boots, and keeps what the machine wrote."""
    kept = results / "limits"
    shutil.rmtree(kept, ignore_errors=True)
    kept.mkdir(parents=True)
    with tempfile.TemporaryDirectory(prefix="envmux-limits-") as name:
        folder = pathlib.Path(name)
        share(folder, package, names)
        (folder / "results").touch()
        trouble = machine.boot(disk, folder, TIMEOUT_SECONDS)
        tests = results_of(folder, trouble)
        for file in ("console", "journal"):
            if (folder / file).exists():
                shutil.copy(folder / file, kept)
    if not tests:
        tests = [{"name": "machine", "outcome": "failed", "message": f"ran no test: {trouble or 'it powered off'}"}]
    return tests


def tell(tests, results):
    for test in tests:
        print(f"{test['outcome']:>7} {test.get('seconds', 0):6.2f} s  {test['name']}")
        if test["outcome"] == "failed":
            print(test["message"])
    if any(test["outcome"] == "failed" for test in tests):
        for file in sorted((results / "limits").glob("*")):
            print(f"---- the end of {file}")
            print("\n".join(file.read_text(errors="replace").splitlines()[-CONSOLE_LINES:]))


def prepare():
    with contextlib.suppress(machine.NoMachine, image.NoImage):
        machine.check()
        image.image()
    return 0


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("packages", type=pathlib.Path)
    parser.add_argument("results", type=pathlib.Path)
    parser.add_argument("names", nargs="*")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # leaves nothing, as Ctrl-C does
    if sys.argv[1:] == ["--prepare"]:
        return prepare()
    options = parser.parse_args()

    try:
        machine.check()
        package = package_in(options.packages)
        tests = run_inside(image.image(), package, options.results, options.names)
    except (machine.NoMachine, image.NoImage) as why:
        tests = [{"name": "machine", "outcome": "skipped", "message": str(why)}]
    write_junit(options.results / "limits.xml", tests)
    tell(tests, options.results)
    return any(test["outcome"] == "failed" for test in tests)


if __name__ == "__main__":
    sys.exit(main())
