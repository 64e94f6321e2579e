"""Fixtures of the tests in a machine that runs real systemd (machine.py).

    bare_machine   booted, nothing of ours in it
    machine        the same with the package of build/deb installed, as `apt install` leaves it

Both are booted once for each test file. A test that wants some for itself takes boot_machine.
"""

import contextlib
import os

import pytest

import machine as machines
from harness import TOP

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
    found = machines.built_packages()
    if not found:
        pytest.skip(f"{os.path.relpath(machines.DEBS, TOP)} holds no package: ./dev deb builds it")
    return found


@pytest.fixture(scope="module")
def machine(package):
    with boot(machines.Machine()) as machine:
        machine.install(*package)
        yield machine
