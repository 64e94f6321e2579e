#!/usr/bin/env python3
"""The official conformance suite against our fixture (node/conformance), directly and through envmux.

    build/venv/bin/python tests/e2e/conformance.py [REVISION…]      (or ./dev conformance)

Prints a line per run, `TRANSPORT REVISION PASSED/REQUIRED`: "direct" is the fixture itself over HTTP, "stdio"
and "http" are the fixture behind `envmux run`. Below each line stands what passes directly and does not behind
envmux. Exits 1 unless every run passes all that its revision requires, and nothing is worse than directly.

What a revision requires is frozen in the package; scenarios beyond it run too and are compared, not counted.
"""

import collections
import contextlib
import dataclasses
import json
import pathlib
import subprocess
import sys
import tempfile

import harness
import node_tools

REVISIONS = ("2025-11-25", "2026-07-28")
TRANSPORTS = ("stdio", "http")
SCENARIO_MSEC = 20_000
RUN_SECONDS = 240

# The verdict on a scenario is that on its worst check; what is neither is as good as passed.
RANKS = {"FAILURE": 2, "WARNING": 1}


def suite():
    return harness.NODE_MODULES / "@modelcontextprotocol" / "conformance" / "dist" / "index.js"


def required(revision):
    """Names of the server scenarios that a revision requires."""
    listed = subprocess.run(["node", suite(), "list", "--server", "--requirements", revision], text=True, check=True,
                            capture_output=True, timeout=60).stdout
    servers = listed.split("Server scenarios", 1)[1].split("\n\n", 1)[0]
    return [line.strip("- ") for line in servers.splitlines()[1:]]


@dataclasses.dataclass(frozen=True)
class Finding:
    """A check that is no success."""

    scenario: str
    check: str
    status: str
    message: str

    def __str__(self):
        return f"{self.scenario}: {self.status} {self.check}: {self.message}"


@dataclasses.dataclass
class Run:
    """What one run of the suite found."""

    revision: str
    required: list
    checks: dict  # scenario → {check: status, the worst if it was made several times}
    findings: list

    def passed(self):
        """The required scenarios without a failure. A scenario that did not run did not pass."""
        return [name for name in self.required if "FAILURE" not in self.checks.get(name, {"": "FAILURE"}).values()]

    def missing(self):
        return [name for name in self.required if name not in self.passed()]

    def worse_than(self, other):
        """The findings of this run on checks that the other one found better, and the successes it never came to."""
        worse = []
        for finding in self.findings:
            there = other.checks.get(finding.scenario, {}).get(finding.check)
            if RANKS[finding.status] > RANKS.get(there, 0):
                worse.append(finding)
        for scenario, checks in other.checks.items():
            here = self.checks.get(scenario, {})
            worse += [Finding(scenario, check, "FAILURE", "was not made") for check, status in checks.items()
                      if status == "SUCCESS" and check not in here]
        return worse

    def __str__(self):
        return f"{self.revision} {len(self.passed())}/{len(self.required)}"


def read_run(folder, revision):
    """The run whose results the suite left in a folder: SUITE-SCENARIO-TIME/checks.json."""
    checks, findings = collections.defaultdict(dict), []
    for path in sorted(pathlib.Path(folder).glob("server-*/checks.json")):
        scenario = path.parent.name.removeprefix("server-").rsplit("-", 6)[0]
        for check in json.loads(path.read_text()):
            name, status = check["id"], check["status"]
            if RANKS.get(status, 0) >= RANKS.get(checks[scenario].get(name), 0):
                checks[scenario][name] = status
            if status in RANKS:
                findings.append(Finding(scenario, name, status, check.get("errorMessage", "")))
    return Run(revision, required(revision), dict(checks), findings)


def run_suite(url, revision, folder, scenario=None):
    """Runs all scenarios of a revision, or one, against a URL; what did not end in time counts as failed."""
    command = ["node", suite(), "server", "--url", url, "--timeout", str(SCENARIO_MSEC)]
    command += ["--spec-version", revision, "--scenario", scenario] if scenario else ["--requirements", revision]
    with contextlib.suppress(subprocess.TimeoutExpired):
        subprocess.run([*command, "-o", str(folder)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                       timeout=RUN_SECONDS, check=False)
    return read_run(folder, revision)


@contextlib.contextmanager
def directly():
    """The fixture over HTTP by itself; gives its URL."""
    script = node_tools.installed("conformance") / "server.mjs"
    with subprocess.Popen(["node", script, "http", "0"], stdout=subprocess.PIPE, text=True) as process:
        try:
            yield process.stdout.readline().removeprefix("listening on ").strip()
        finally:
            process.terminate()


def configuration():
    """The fixture as envmux is to serve it."""
    script = str(node_tools.installed("conformance") / "server.mjs")
    return {"mcpServers": {
        "stdio": {"command": "node", "args": [script, "stdio"]},
        "http": {"command": "node", "args": [script, "http", "${envmux:port}"], "envmux": {"transport": "http"}},
    }}


@contextlib.contextmanager
def through_envmux():
    """The fixture behind `envmux run`; gives the harness' run."""
    with tempfile.TemporaryDirectory(prefix="envmux-") as folder:
        run = harness.Envmux(folder, configuration())
        try:
            yield run
            run.stop()
        finally:
            run.kill_everything()


def main(revisions):
    node_tools.use_pinned_node()
    is_good = True
    with directly() as url, through_envmux() as run, tempfile.TemporaryDirectory() as results:
        for revision in revisions or REVISIONS:
            direct = run_suite(url, revision, f"{results}/direct-{revision}")
            for name in ("direct", *TRANSPORTS):
                folder = f"{results}/{name}-{revision}"
                found = direct if name == "direct" else run_suite(run.mcp(name), revision, folder)
                print(f"{name} {found}", flush=True)
                worse = found.worse_than(direct)
                for line in worse or found.missing():
                    print(f"    {line}", flush=True)
                is_good = is_good and not worse and not found.missing()
    return 0 if is_good else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
