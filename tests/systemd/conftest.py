"""Fixtures of the tests in a machine that runs real systemd (machine.py).

    bare_machine   booted, nothing of ours in it
    machine        the same with the package of build/deb installed, as `apt install` leaves it

Both are booted once for each test file. A test that wants some for itself takes boot_machine.
"""

import contextlib
import os
import pathlib

import pytest

import machine as machines
from harness import TOP

DEBS = pathlib.Path(os.environ.get("ENVMUX_DEBS", TOP / "build" / "deb"))


def packages():
    """The built packages; those with debug symbols are left out."""
    return sorted(path for path in DEBS.glob("*.deb") if "-dbgsym" not in path.name)


def boot(machine):
    """Boots it, or skips the test with the reason that the host gives."""
    try:
        machine.boot()
    except machines.Unsupported as reason:
        pytest.skip(str(reason))
    return machine


@pytest.fixture
def boot_machine():
    """Boots machines for one test."""
    with contextlib.ExitStack() as stack:
        yield lambda: stack.enter_context(boot(machines.Machine()))


@pytest.fixture(scope="module")
def bare_machine():
    with boot(machines.Machine()) as machine:
        yield machine


@pytest.fixture(scope="module")
def package():
    """The paths of the built packages."""
    found = packages()
    if not found:
        pytest.skip(f"{DEBS.relative_to(TOP) if DEBS.is_relative_to(TOP) else DEBS} holds no package")
    return found


@pytest.fixture(scope="module")
def machine(package):
    with boot(machines.Machine()) as machine:
        machine.install(*package)
        yield machine
