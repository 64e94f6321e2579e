"""A shell, or the command given, in a machine with the built package installed: ./dev machine.

What is typed there stays there: the machine ends with the shell.
"""

import os
import signal
import sys

import machine as machines


def main(words):
    with machines.Machine() as machine:
        found = machines.built_packages()
        if found:
            machine.install(*found)
        if not words:
            names = ", ".join(path.name for path in found) or "no package"
            print(f"systemd {machine.systemctl('is-system-running').stdout.strip()}, up in {machine.boot_seconds:.2f} s,"
                  f" {names} installed; 'exit' ends it", file=sys.stderr)
        signal.signal(signal.SIGINT, lambda *_: None)  # Ctrl-C is for what runs inside
        inside = machine.spawn(words or ["bash", "-i"], env={"TERM": os.environ.get("TERM", "dumb")},
                               stdin=None, stdout=None)
        status = inside.wait()
    return status if status >= 0 else 128 - status


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except machines.Unsupported as reason:
        sys.exit(f"no machine: {reason}")
