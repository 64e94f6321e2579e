"""What the service lives through while the kernel enforces limits, and that these are in force afterwards.

Without controllers much of this works that fails with them: systemd cannot start a service whose cgroup has both
processes and controllers for its children, and takes limits off cgroups that it takes for its own."""

import os
import pathlib
import shutil
import signal
import socket

from world import (ADDRESS, MIB, SESSIONS, SLICE, expect_killed, group, install_configuration, main_pid, session, sessions, sh,
                   unit, wait_until)

RUNTIME = pathlib.Path("/run/envmux")
WORKSPACES = pathlib.Path("/var/lib/envmux/workspaces")
PROGRAMS = pathlib.Path("/usr/libexec/envmux")
DROP_IN = pathlib.Path("/run/systemd/system/envmux.service.d/test.conf")
LIMITED = {"memory_max": "32M", "tasks_max": 16, "per_server": {"tasks_max": 64}}


class Live:
    """Two sessions, each with a client, that are to be there after whatever happens inside the with."""

    def __enter__(self):
        install_configuration(small=LIMITED)
        self.clients = {key: session("small", key) for key in ("a", "b")}
        for client in self.clients.values():
            client.initialize()
            client.call("eat", mib=4)
        self.before = {s["id"]: s["generation"] for s in sessions()}
        return self

    def __exit__(self, kind, *_):
        if kind is None:
            self.assert_unharmed()
        for client in self.clients.values():
            client.connection.close()

    def assert_unharmed(self):
        """The same processes, with what they had in memory, below the same limits, which hold."""
        wait_until(lambda: {s["id"]: s["generation"] for s in sessions()} == self.before, "the same sessions")
        for key, client in self.clients.items():
            assert client.call("eat", mib=0) == 4
            assert group("small", key, "backend/memory.max") == f"{32 * MIB}"
            assert group("small", key, "backend/pids.max") == "16"
        assert (SESSIONS / "small/pids.max").read_text() == "64\n"
        with session("small", "new") as client:
            expect_killed(client, "limit 32M")
        expect_killed(self.clients["a"], "limit 32M", "eat_in_child")
        assert self.clients["b"].call("eat", mib=0) == 4


def kill_supervisor():
    """SIGKILL, then until its successor serves; returns that one's pid."""
    pid = main_pid()
    os.kill(pid, signal.SIGKILL)
    wait_until(lambda: unit("MainPID") not in ("0", str(pid)), "systemd started another supervisor")
    return main_pid()


def pids_of(name):
    """Of the processes with this name (its first 15 bytes)."""
    return [int(comm.parent.name) for comm in pathlib.Path("/proc").glob("[0-9]*/comm")
            if comm.read_text().strip() == name[:15]]


def is_ours(entry):
    """Is this a process of the service or a backend?"""
    try:
        command = (entry / "cmdline").read_bytes()
    except OSError:
        return False
    return b"envmux" in command.split(b"\0")[0] or b"greedy" in command


def left():
    """What is there of the service: processes, cgroups, files."""
    processes = [f"process {entry.name}" for entry in pathlib.Path("/proc").iterdir()
                 if entry.name.isdigit() and is_ours(entry)]
    files = [file for top in (SLICE, RUNTIME, WORKSPACES) for path, folders, names in os.walk(top)
             for file in [path, *(f"{path}/{name}" for name in names if top != SLICE)] if file != str(WORKSPACES)]
    return processes + files


def assert_nothing_left():
    wait_until(lambda: not left(), f"nothing is left: {left()}")
    try:
        socket.create_connection(ADDRESS).close()
    except ConnectionRefusedError:
        return
    raise AssertionError("there is still a listener")


# ---- sessions survive ---------------------------------------------------------------------------


def test_sessions_and_limits_survive_kill_9_twice():
    with Live():
        kill_supervisor()
        kill_supervisor()
    assert int(unit("NRestarts")) >= 2


def test_sessions_and_limits_survive_daemon_reload_and_the_slices_properties():
    with Live():
        sh("systemctl", "daemon-reload")
        sh("systemctl", "set-property", "--runtime", "envmux.slice", "TasksMax=1000", "CPUWeight=50")
        kill_supervisor()
        sh("systemctl", "daemon-reload")
        assert (SLICE / "pids.max").read_text() == "1000\n"


def test_sessions_and_limits_survive_reload():
    with Live():
        pid = main_pid()
        sh("systemctl", "reload", "envmux.service")
        assert main_pid() == pid


def replace_programs():
    """As an upgrade does: other files of the same names."""
    for path in PROGRAMS.iterdir():
        new = path.with_name("new")
        shutil.copy2(path, new)
        new.rename(path)


def test_sessions_and_limits_survive_new_programs():
    with Live() as live:
        pid = main_pid()
        replace_programs()
        sh("systemctl", "reload", "envmux.service")
        wait_until(lambda: os.stat(f"/proc/{pid}/exe").st_ino == (PROGRAMS / "envmux-supervisor").stat().st_ino,
                   "the new program runs")
        assert main_pid() == pid
        kill_supervisor()
        for client in live.clients.values():
            client.connection.close()  # a router that is replaced ends its connections when they are idle


def test_sessions_and_limits_survive_the_placeholder_of_their_cgroup():
    with Live():
        for pid in (SESSIONS / "hold/cgroup.procs").read_text().split():
            os.kill(int(pid), signal.SIGKILL)
        kill_supervisor()
        sh("systemctl", "daemon-reload")


def test_sessions_and_limits_survive_the_routers():
    with Live() as live:
        old = set(pids_of("envmux-router"))
        for pid in old:
            os.kill(pid, signal.SIGKILL)
        wait_until(lambda: set(pids_of("envmux-router")) - old, "there are routers again")
        for client in live.clients.values():
            client.connection.close()


# ---- sessions end -------------------------------------------------------------------------------


def start_with_sessions():
    install_configuration(small=LIMITED)
    for key in ("a", "b"):
        with session("small", key) as client:
            client.call("fork", count=3)


def test_stop_leaves_nothing():
    start_with_sessions()
    sh("systemctl", "stop", "envmux.service")
    assert_nothing_left()


def test_restart_ends_sessions_and_serves_again():
    start_with_sessions()
    old = {s["id"] for s in sessions()}
    sh("systemctl", "restart", "envmux.service")
    assert not [path for path in SESSIONS.glob("**/") if path.name in old]
    with session("small", "a") as client:
        expect_killed(client, "limit 32M")


def test_stop_right_after_kill_9_leaves_nothing():
    for _ in range(3):
        start_with_sessions()
        os.kill(main_pid(), signal.SIGKILL)
        sh("systemctl", "stop", "envmux.service")
        assert_nothing_left()


def test_stop_of_a_hung_supervisor_leaves_nothing():
    start_with_sessions()
    os.kill(main_pid(), signal.SIGSTOP)
    sh("systemctl", "stop", "envmux.service")
    assert_nothing_left()


def test_the_start_limit_leaves_nothing():
    start_with_sessions()
    DROP_IN.parent.mkdir(parents=True)
    DROP_IN.write_text("[Unit]\nStartLimitIntervalSec=5min\nStartLimitBurst=3\n")
    sh("systemctl", "daemon-reload")
    try:
        while unit("ActiveState") != "failed":
            pid = int(unit("MainPID"))
            if pid:
                os.kill(pid, signal.SIGKILL)
        assert_nothing_left()
    finally:
        shutil.rmtree(DROP_IN.parent)
        sh("systemctl", "daemon-reload")
    start_with_sessions()
