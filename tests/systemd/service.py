"""What tests of the installed service look at: its sessions, and whether anything of it is left."""

import contextlib
import json
import socket
import threading

from harness import wait_until

UNITS = ("envmux.service", "envmux.socket", "envmux-sessions.service", "envmux.slice")
ADDRESS = ("127.0.0.1", 8700)


def start_session(machine, key):
    """Makes a session of the default configuration and returns what is said of it."""
    return json.loads(machine.run(["curl", "--silent", "--fail-with-body", "--request", "PUT", "--data", '{"seed": 7}',
                                   f"http://127.0.0.1:8700/s/{key}"]).stdout)


def move(machine, key):
    """One call of a tool in a session, which it takes a live backend to answer."""
    return machine.run(["envmux", "call", f"frozen-lake/{key}", "lake_move", "action=RIGHT"]).stdout


def sessions(machine):
    return json.loads(machine.run(["envmux", "ps", "--json"]).stdout)


def left_over(machine):
    """Everything that may be left of the service once it was stopped: a list of words, empty when nothing is."""
    left = [f"{unit} is {state}" for unit in UNITS
            if (state := machine.show(unit, "ActiveState")) not in ("inactive", "failed")]
    left += [f"cgroup {name}" for name in machine.tree("/envmux.slice")]
    processes = machine.run(["ps", "-e", "-o", "pid=,args="]).stdout.splitlines()
    left += [f"process {line.strip()}" for line in processes
             if any(name in line for name in ("envmux-supervisor", "envmux-router", "envmux-worker", "frozen-lake",
                                              "envmux-hold"))]
    if machine.exists("/run/envmux"):
        left += machine.run("find /run/envmux").stdout.split()
    left += machine.run("find /var/lib/envmux/workspaces -mindepth 1", check=False).stdout.split()
    left += [line for line in machine.run("ss --no-header --listening --tcp --numeric").stdout.splitlines()
             if ":8700" in line]
    return left


def assert_nothing_left(machine):
    """PID 1 stops what is no longer needed in the moment after the stop of the service: that is waited for."""
    left = []

    def nothing():
        left[:] = left_over(machine)
        return not left

    try:
        wait_until(nothing, "nothing is left", patience=10)
    except AssertionError:
        raise AssertionError(f"left: {left}") from None


@contextlib.contextmanager
def knocking(machine):
    """Connects again and again meanwhile; yields (connections, [what went wrong]). One connection at least is made
    before the body runs and after it."""
    made, refused, over, goes_on = [0], [], threading.Event(), threading.Condition()

    def knock():
        with machine.network():
            while not over.is_set():
                try:
                    socket.create_connection(ADDRESS, timeout=10).close()
                except OSError as error:
                    refused.append(error)
                with goes_on:
                    made[0] += 1
                    goes_on.notify_all()
                over.wait(0.0005)

    def wait_for_one_more():
        with goes_on:
            target = made[0] + 2
            assert goes_on.wait_for(lambda: made[0] >= target, timeout=20), "the client hangs"

    thread = threading.Thread(target=knock)
    thread.start()
    try:
        wait_for_one_more()
        yield made, refused
        wait_for_one_more()
    finally:
        over.set()
        thread.join()
