"""Limits and usage as people and programs see them: with cgroups, whose controllers this machine may lack, and without.
What needs controllers is proved where there are some (./dev test-limits)."""

import json
import os
import re
import threading

import pytest

from control_helpers import envmux_command, put, show
from harness import cgroup_mount, wait_until
from mcp_client import Client

LIMITS = {"memory_max": "512M", "tasks_max": 64, "cpu_quota": "150%", "cpu_weight": "idle"}
CONFIG = {"mcpServers": {
    "lake": {"command": "frozen-lake"},
    "tight": {"command": "frozen-lake", "envmux": {
        **LIMITS, "per_principal": {"memory_max": "1G"}, "per_server": {"tasks_max": "50%", "memory_max": "infinity"}}},
}}


@pytest.fixture(params=["process-tree", "auto"])
def run(envmux, request):
    return envmux(CONFIG, arguments=["--tracking", request.param])


def controllers(session):
    """That the kernel gives to this session, which is what limits need."""
    path = os.path.join(session["tracking"], "backend", "cgroup.controllers")
    return open(path).read().split() if os.path.exists(path) else []


def has_cgroup(session):
    return "process tree" not in session["tracking"]


def test_limits_are_shown_and_so_are_those_without_effect(run):
    put(run, "k", "tight")
    session = show(run, "tight/k")
    assert session["limits"] == {"memory_max": "512M", "tasks_max": "64", "cpu_quota": "150%", "cpu_weight": "idle"}
    assert session["principal_limits"] == {"memory_max": "1G"}
    assert session["server_limits"] == {"tasks_max": "50%"}
    needs = {"memory_max": "memory", "tasks_max": "pids", "cpu_quota": "cpu", "cpu_weight": "cpu",
             "per_principal.memory_max": "memory", "per_server.tasks_max": "pids"}
    without = [name for name, controller in needs.items() if controller not in controllers(session)]
    assert session.get("unenforced", []) == without
    shown = run.ctl("show", "tight/k").stdout
    assert re.search(r"Limits: memory_max 512M, tasks_max 64, cpu_quota 150%, cpu_weight idle\n", shown)
    assert re.search(r"Of its user: memory_max 1G\n", shown) and re.search(r"Of its server: tasks_max 50%\n", shown)
    assert ("Without effect: " + ", ".join(without) in shown) == bool(without)
    missing = [name for name in LIMITS if name in without]
    said = [line for line in run.log().splitlines() if "cannot be enforced" in line]
    assert len(said) == bool(missing)
    assert all(name in said[0] for name in missing)


def test_a_session_without_limits_says_nothing_of_them(run):
    put(run, "k")
    session = show(run, "lake/k")
    assert not {"limits", "principal_limits", "server_limits", "unenforced"} & set(session)
    assert not re.search(r"^ *(Limits|Of its user|Of its server|Without effect):", run.ctl("show", "lake/k").stdout, re.M)


def test_usage_is_what_the_kernel_counts(run):
    with Client(run.mcp("lake", key="k")) as client:
        client.request("tools/list")
        session = show(run, "lake/k")
        if not has_cgroup(session):
            assert "usage" not in session
            return
        folder = os.path.join(session["tracking"], "backend")
        usage = session["usage"]
        assert 0 < usage["cpu_usec"] <= int(re.search(r"usage_usec (\d+)", open(f"{folder}/cpu.stat").read())[1])
        for member, file in {"memory_bytes": "memory.current", "memory_peak_bytes": "memory.peak",
                             "tasks": "pids.current"}.items():
            assert (member in usage) == os.path.exists(f"{folder}/{file}")
        assert set(usage.get("pressure", {})) == {name for name in ("cpu", "memory", "io")
                                                  if os.path.exists(f"{folder}/{name}.pressure")}
        for stalled in usage.get("pressure", {}).values():
            assert 0 <= stalled["some"] <= 100
        before = usage["cpu_usec"]
        for _ in range(200):
            client.request("tools/list")
        assert show(run, "lake/k")["usage"]["cpu_usec"] > before


def test_ps_has_usage_and_a_list_only_when_asked(run):
    put(run, "k")
    session = show(run, "lake/k")
    lines = run.ctl("ps").stdout.splitlines()
    assert lines[0].split()[-3:] == ["MEMORY", "CPU", "TASKS"]
    memory, cpu, tasks = lines[1].split()[-3:]
    assert (cpu != "-") == has_cgroup(session)
    assert (memory != "-") == ("memory" in controllers(session))
    assert (tasks != "-") == ("pids" in controllers(session))
    assert all(("usage" in s) == has_cgroup(session) for s in run.sessions())
    status, _, answer = run.http("GET", "/lake/s/k")
    assert status == 200 and b"usage" not in answer


def test_ps_says_why_a_session_ended_and_what_it_used(run):
    put(run, "k")
    was = show(run, "lake/k")
    run.ctl("stop", "lake/k")
    lines = run.ctl("ps", "--all").stdout.splitlines()
    assert lines[0].split()[-1] == "WHY" and lines[1].split()[3] == "stopped"
    ended = show(run, was["id"])
    assert ("usage" in ended) == has_cgroup(was)
    if has_cgroup(was):
        assert ended["usage"]["cpu_usec"] >= was["usage"]["cpu_usec"]


def test_top_prints_once_where_nobody_looks(run):
    put(run, "k1")
    put(run, "k2")
    lines = run.ctl("top", "--delay", "0.2").stdout.splitlines()
    assert lines[0].startswith("2 sessions, ")
    assert lines[1].split()[:5] == ["ID", "SERVER", "KEY", "STATE", "CPU%"]
    assert {line.split()[2] for line in lines[2:]} == {"k1", "k2"}
    assert "\033" not in "".join(lines)
    assert len(run.ctl("top", "--delay", "0.1", "--count", "2", "--server", "tight").stdout.splitlines()) == 4


def test_top_shows_who_is_busy(run):
    """The busiest is first, as far as somebody counts."""
    put(run, "quiet")
    put(run, "busy")
    with Client(run.mcp("lake", key="busy")) as client:
        done = threading.Event()

        def call():
            while not done.is_set():
                client.request("tools/list")

        thread = threading.Thread(target=call)
        thread.start()
        try:
            sessions = json.loads(run.ctl("top", "--delay", "0.5", "--json").stdout)
        finally:
            done.set()
            thread.join()
    if not has_cgroup(sessions[0]):
        assert not any("cpu_percent" in s for s in sessions)
        return
    assert [s["key"] for s in sessions] == ["busy", "quiet"]
    assert sessions[0]["cpu_percent"] > sessions[1]["cpu_percent"] >= 0


def test_check_says_what_has_no_effect_on_this_machine(tmp_path):
    path = tmp_path / "envmux.json"
    path.write_text(json.dumps(CONFIG))
    mount = cgroup_mount()
    machine = open(os.path.join(mount, "cgroup.controllers")).read().split() if mount else []
    done = envmux_command("check", path)
    assert done.returncode == 0
    needs = {"memory_max": "memory", "tasks_max": "pids", "cpu_quota": "cpu", "cpu_weight": "cpu"}
    for name, controller in needs.items():
        said = f'{path}: {name}: note: has no effect on this machine: its cgroups have no controller "{controller}"'
        assert (said in done.stdout + done.stderr) == (controller not in machine), done.stdout + done.stderr


def test_a_reload_says_again_what_cannot_be_enforced(envmux):
    """And only when there is something."""
    run = envmux({"mcpServers": {"lake": {"command": "frozen-lake"}}}, arguments=["--tracking", "process-tree"])
    run.ctl("reload")
    assert "cannot be enforced" not in run.log()
    (run.folder / "config.json").write_text(json.dumps(CONFIG))
    run.ctl("reload")
    wait_until(lambda: "memory_max, tasks_max, cpu_quota, cpu_weight cannot be enforced here: "
                       "sessions are not tracked by cgroup" in run.log(), "the log says it")
