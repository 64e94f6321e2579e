"""What the installed service promises to live through, with 500 sessions in the middle of calls."""

import json
import pathlib
import shutil
import signal
import subprocess
import urllib.request

import pytest

import load

SESSIONS = "envmux-sessions.service"
PROGRAMS = "/usr/libexec/envmux"
EXTRA = {"changed": {"command": "frozen-lake", "args": ["--seed", "1"]}, "removed": {"command": "frozen-lake"}}


def write_config(machine, **extra):
    machine.write("/etc/envmux/envmux.json", json.dumps({"mcpServers": {**load.servers(), **extra}}))


def put(machine, path):
    with machine.network():
        request = urllib.request.Request(f"http://127.0.0.1:{load.PORT}{path}", data=b"{}", method="PUT",
                                         headers={"Content-Type": "application/json"})
        with urllib.request.urlopen(request, timeout=30) as answer:
            return json.load(answer)


def sessions(machine):
    return {f"{s['server']}/{s['key']}": s for s in json.loads(machine.run("envmux ps --json").stdout)}


def routers(machine):
    return set(machine.cgroups(SESSIONS)["routers"])


def restarts(machine):
    return int(machine.show("envmux.service", "NRestarts"))


def wait_for_restart(machine, pid):
    machine.wait_until(lambda: machine.main_pid("envmux.service") not in (0, pid), "another main process")
    machine.wait_for_state("envmux.service", "active")


# ---- what happens to the service -----------------------------------------------------------------


def new_configuration(machine, package):
    write_config(machine, **EXTRA)
    machine.systemctl("reload", "envmux")
    for name in EXTRA:
        assert put(machine, f"/{name}/s/k")
    old = sessions(machine)["changed/k"]
    write_config(machine, changed={"command": "frozen-lake", "args": ["--seed", "2"]})
    machine.systemctl("reload", "envmux")
    machine.wait_until(lambda: "removed/k" not in sessions(machine), "the session of the removed server ends")
    put(machine, "/changed/s/new")
    now = sessions(machine)
    assert now["changed/k"]["id"] == old["id"], "a session of a changed server was touched"
    assert now["changed/new"]["command"] != now["changed/k"]["command"], "a new session of it is as before"
    machine.run("envmux stop --all --server changed", check=False)


def new_programs(machine, package):
    pid, old = machine.main_pid("envmux.service"), routers(machine)
    for name in "envmux-supervisor", "envmux-router", "envmux-worker":
        machine.run(["sh", "-c", 'cp -p "$0" "$0.new" && mv "$0.new" "$0"', f"{PROGRAMS}/{name}"])
    machine.systemctl("reload", "envmux")
    assert machine.main_pid("envmux.service") == pid
    assert machine.run(["stat", "-Lc", "%i", f"/proc/{pid}/exe"]).stdout == \
        machine.run(["stat", "-c", "%i", f"{PROGRAMS}/envmux-supervisor"]).stdout, "the old program still runs"
    machine.wait_until(lambda: len(routers(machine) - old) == len(old), "a new router in each place")


def killed(machine, package):
    pid, before = machine.main_pid("envmux.service"), routers(machine)
    machine.kill(pid, signal.SIGKILL)
    wait_for_restart(machine, pid)
    assert before <= routers(machine), "a router went with the supervisor"


def hung(machine, package):
    machine.write("/run/systemd/system/envmux.service.d/watchdog.conf", "[Service]\nWatchdogSec=2s\n")
    machine.systemctl("daemon-reload")
    pid = machine.main_pid("envmux.service")
    machine.kill(pid, signal.SIGKILL)  # the next one is told
    wait_for_restart(machine, pid)
    pid = machine.main_pid("envmux.service")
    machine.kill(pid, signal.SIGSTOP)
    wait_for_restart(machine, pid)


def upgraded(machine, package):
    pid = machine.main_pid("envmux.service")
    machine.install(package)
    assert machine.run("dpkg-query -W -f '${Version}' envmux").stdout == VERSION
    assert machine.main_pid("envmux.service") == pid
    assert machine.run(["stat", "-Lc", "%s", f"/proc/{pid}/exe"]).stdout == \
        machine.run(["stat", "-c", "%s", f"{PROGRAMS}/envmux-supervisor"]).stdout


VERSION = "99.1"


@pytest.fixture(scope="module")
def newer(package, tmp_path_factory):
    """The package with another version and programs that are not the same files."""
    folder = tmp_path_factory.mktemp("deb")
    source = next(p for p in map(pathlib.Path, package) if p.name.startswith("envmux_"))
    tree, made = folder / "tree", folder / f"envmux_{VERSION}_all.deb"
    subprocess.run(["dpkg-deb", "-R", source, tree], check=True)
    control = tree / "DEBIAN" / "control"
    control.write_text("".join(f"Version: {VERSION}\n" if line.startswith("Version:") else line
                               for line in control.read_text().splitlines(True)))
    for name in "envmux-supervisor", "envmux-router", "envmux-worker":
        with open(tree / PROGRAMS[1:] / name, "ab") as program:
            program.write(b"\0")
    subprocess.run(["dpkg-deb", "-b", tree, made], check=True, stdout=subprocess.DEVNULL)
    shutil.rmtree(tree)
    return made


def test_500_sessions_live_through_everything(machine, newer):
    load.configure(machine)
    with load.Load(machine, load.FULL) as running:
        running.round()
        before = sessions(machine)
        for happens in new_configuration, new_programs, killed, hung, upgraded:
            happens(machine, newer)
            running.round()
            now = sessions(machine)
            lost = [key for key in before if key not in now or now[key]["id"] != before[key]["id"]]
            assert not lost, f"{happens.__name__}: {len(lost)} sessions are not what they were"
        report = running.stop()
    print(report)
    assert report.failures == []
    assert report.sessions == load.FULL.sessions and report.long_calls > 0


def test_router_that_dies_or_hangs_is_replaced(machine):
    """Its own connections drop, which is what this load counts; no session is lost by it."""
    load.configure(machine)
    with load.Load(machine, load.LIGHT) as running:
        running.round()
        for number in signal.SIGKILL, signal.SIGSTOP:
            victim = min(routers(machine))
            n = len(routers(machine))
            machine.kill(victim, number)
            machine.wait_until(lambda: victim not in routers(machine) and len(routers(machine)) == n, "its successor")
        report = running.stop()
    print(report)
    assert report.lost == report.wrong == report.refused == 0, report
