"""Runs every test_*() of the test_*.py beside it, inside the machine, in the order of their lines.

Writes a line of JSON to `results` when it knows of a test and another when that ended, so that the host can tell
which one the machine died of."""

import importlib
import json
import os
import pathlib
import signal
import subprocess
import sys
import time
import traceback

HERE = pathlib.Path(__file__).resolve().parent
TEST_SECONDS = 45
FAILURES_MAX = 6  # then the rest would only fail the same way, slowly


class Skipped(Exception):
    pass


def tell(results, **test):
    results.write(json.dumps(test) + "\n")
    results.flush()
    os.fsync(results.fileno())


def install_package():
    """dpkg starts the service, as on any machine."""
    result = subprocess.run(["dpkg", "--install", "--force-unsafe-io", HERE / "envmux.deb"], text=True,
                            stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    assert result.returncode == 0, result.stdout
    subprocess.run(["systemctl", "is-active", "--quiet", "envmux.service"], check=True)


def find_tests(names):
    yield "package::is_installed_and_runs", install_package
    for path in sorted(HERE.glob("test_*.py")):
        module = importlib.import_module(path.stem)
        for function in list(vars(module).values()):
            if getattr(function, "__module__", "") == path.stem and function.__name__.startswith("test_"):
                name = f"{path.stem}::{function.__name__}"
                if not names or any(wanted in name for wanted in names):
                    yield name, function


def on_alarm(*_):
    raise TimeoutError(f"not done after {TEST_SECONDS} s")


def run(function):
    """The outcome of a test and what there is to say of it."""
    signal.alarm(TEST_SECONDS)
    try:
        function()
    except Skipped as why:
        return "skipped", str(why)
    except Exception:
        return "failed", traceback.format_exc()
    finally:
        signal.alarm(0)
    return "passed", ""


def keep_journal():
    """For the host, at every failure: the machine may not come to its end. What the kernel says is on the console."""
    transports = [f"_TRANSPORT={name}" for name in ("journal", "stdout", "syslog", "driver")]
    with open(HERE / "journal", "w") as journal:
        subprocess.run(["journalctl", "--no-pager", "-b", "-o", "short-monotonic", *transports], stdout=journal)


def main():
    signal.signal(signal.SIGALRM, on_alarm)
    sys.modules["runner"] = sys.modules["__main__"]  # tests raise this one's Skipped
    tests = list(find_tests(json.loads((HERE / "names.json").read_text())))
    with open(HERE / "results", "a") as results:
        for name, _ in tests:
            tell(results, name=name)
        failures = 0
        for name, function in tests:
            print(f"test {name}", flush=True)
            began = time.monotonic()
            outcome, message = run(function) if failures < FAILURES_MAX else ("failed", "not run after so many failures")
            tell(results, name=name, outcome=outcome, message=message, seconds=time.monotonic() - began)
            if outcome == "failed":
                failures += 1
                keep_journal()
    keep_journal()


if __name__ == "__main__":
    main()
