"""The commands of envmux(1) that use a running daemon: for people, for programs, and with mistakes."""

import concurrent.futures
import json
import os
import queue
import re
import signal
import subprocess
import threading

import pytest

from control_helpers import CONFIG, envmux_command, put, show
from harness import ENVMUX, PATIENCE, TOP, Process, wait_until
from mcp_client import Client


@pytest.fixture
def run(envmux):
    return envmux(CONFIG)


def test_ps_and_show_for_people(run):
    put(run, "k1")
    lines = run.ctl("ps").stdout.splitlines()
    assert lines[0].split()[:4] == ["ID", "SERVER", "KEY", "STATE"]
    assert lines[1].split()[1:4] == ["lake", "k1", "idle"]
    shown = dict(line.strip().split(": ", 1) for line in run.ctl("show", "lake/k1").stdout.splitlines())
    assert shown["Key"] == "k1" and shown["State"] == "active" and shown["Generation"] == "1"
    assert shown["Backend PID"] == str(show(run, "lake/k1")["backend_pid"])
    assert shown["Tracked by"]


def test_show_has_the_newest_counters(run):
    with Client(run.mcp("lake", key="k1")) as client:
        for n in range(1, 4):
            before = show(run, "lake/k1")["requests"]
            client.request("tools/list")
            after = show(run, "lake/k1")
            assert after["requests"] == before + 1
            assert after["in_flight"] == 0 and after["bytes_out"] > after["bytes_in"] > 0


def test_ps_has_the_newest_counters(run):
    """Of all sessions, with one whose worker does not answer among them."""
    put(run, "k0", server="noisy")
    with Client(run.mcp("lake", key="k1")) as client:
        for n in range(1, 4):
            before = {s["key"]: s["requests"] for s in run.sessions()}
            client.request("tools/list")
            after = {s["key"]: s["requests"] for s in run.sessions()}
            assert after == {"k0": before["k0"], "k1": before["k1"] + 1}
        stuck = Process.read(show(run, "noisy/k0")["worker_pid"])
        stuck.kill(signal.SIGSTOP)
        try:
            client.request("tools/list")
            assert {s["key"]: s["requests"] for s in run.sessions()} == {**after, "k1": after["k1"] + 1}
        finally:
            stuck.kill(signal.SIGCONT)


def test_logs_follow_until_the_end(run):
    put(run, "k1", server="noisy")
    assert run.ctl("logs", "noisy/k1").stdout.splitlines() == ["first", "über second"]
    assert run.ctl("logs", "-n", "1", "noisy/k1").stdout.splitlines() == ["über second"]
    lines = [json.loads(line) for line in run.ctl("logs", "--json", "noisy/k1").stdout.splitlines()]
    assert lines == [{"text": "first", "stdout": False}, {"text": "über second", "stdout": False}]
    follow = subprocess.Popen([ENVMUX, "logs", "--control", run.control, "-f", "noisy/k1"], stdout=subprocess.PIPE,
                              text=True)
    assert follow.stdout.readline() == "first\n"
    run.ctl("stop", "noisy/k1")
    assert follow.stdout.read() == "über second\n"
    assert follow.wait(PATIENCE) == 0


def test_how_a_session_ended_is_remembered(run):
    put(run, "k1", server="noisy")
    session = show(run, "noisy/k1")
    os.kill(session["backend_pid"], 9)
    wait_until(lambda: not run.sessions(), "the session is over")
    ended = show(run, "noisy/k1")
    assert (ended["id"], ended["state"], ended["reason"]) == (session["id"], "failed", "backend_exited")
    assert ended["last_exit"] == {"pid": session["backend_pid"], "code": "killed", "signal": 9}
    text = run.ctl("show", "noisy/k1").stdout
    assert "killed by SIGKILL" in text and text.endswith("first\nüber second\n")
    assert run.ctl("logs", "noisy/k1").stdout.splitlines() == ["first", "über second"]
    assert [s["id"] for s in json.loads(run.ctl("ps", "--all", "--json").stdout)] == [session["id"]]


def leave(run):
    with Client(run.mcp("lake", "k1")): # its last word is DELETE
        pass


@pytest.mark.parametrize("body, end, detail", [
    ({"idle_timeout": "50ms"}, lambda run: None, "it was idle for too long"),
    ({"lifetime": "200ms"}, lambda run: None, "its maximum lifetime was over"),
    ({}, lambda run: run.http("DELETE", "/lake/s/k1"), "it was deleted"),
    (None, lambda run: leave(run), "its client deleted it"),
], ids=["idle", "lifetime", "api", "client"])
def test_show_tells_ends_apart(run, body, end, detail):
    if body is not None:  # what PUT made, no client ends
        assert run.http("PUT", "/lake/s/k1", body)[0] == 201
    end(run)
    wait_until(lambda: not run.sessions(), "the session is over")
    ended = show(run, "lake/k1")
    assert (ended["state"], ended["reason"], ended["detail"]) == ("inactive", "session_ended", detail)
    assert detail in run.ctl("show", "lake/k1").stdout and f"({ended['reason']}: {detail})" in run.log()
    # Whoever comes for it hears the same.
    status, _, payload = run.http("GET", "/lake/s/k1")
    assert status == 404 and json.loads(payload)["envmux"]["detail"] == detail


def test_the_url_of_a_session_is_one(run):
    """Any key that a path can name comes back as a path that names it."""
    status, _, payload = run.http("PUT", "/lake/s/a%2Fb%25%3F", {})
    made = json.loads(payload)
    assert (status, made["key"], made["url"]) == (201, "a/b%?", "/lake/s/a%2Fb%25%3F/mcp")
    with Client(run.url + made["url"]) as client:
        assert client.initialize_headers["Envmux-Session"] == "a/b%?"


def test_stop_returns_when_nothing_is_left(run):
    for key in ("k1", "k2", "k3"):
        put(run, key)
    put(run, "k4", server="noisy")
    processes = {s["key"]: [Process.read(s["backend_pid"]), Process.read(s["worker_pid"])] for s in run.sessions()}
    ids = {s["key"]: s["id"] for s in run.sessions()}

    assert run.ctl("stop", "lake/k1").stdout.split() == [ids["k1"]]
    assert not any(process.exists() for process in processes["k1"])
    assert set(run.ctl("stop", "--server", "lake").stdout.split()) == {ids["k2"], ids["k3"]}
    assert not any(process.exists() for key in ("k2", "k3") for process in processes[key])
    assert json.loads(run.ctl("stop", "--all", "--json").stdout) == [ids["k4"]]
    assert run.sessions() == []
    assert run.ctl("stop", ids["k1"]).stdout == ""
    failed = run.ctl("stop", "lake/other", check=False)
    assert failed.returncode == 1 and 'no session "lake/other"' in failed.stderr


def test_many_stops_at_once(run):
    for n in range(8):
        put(run, f"k{n}")
    with concurrent.futures.ThreadPoolExecutor() as pool:
        stops = [pool.submit(run.ctl, "stop", "--all") for _ in range(4)]
        stops += [pool.submit(run.ctl, "stop", f"lake/k{n}") for n in range(4)]
    assert all(stop.result().returncode == 0 for stop in stops)
    assert run.sessions() == []


def test_events_for_people_and_programs(run):
    command = [ENVMUX, "events", "--control", run.control]
    watchers = [subprocess.Popen([*command, *extra], stdout=subprocess.PIPE, text=True) for extra in ([], ["--json"])]
    lines = queue.Queue()
    for watcher in watchers:
        threading.Thread(target=lambda w=watcher: lines.put(w.stdout.readline()), daemon=True).start()
    try:
        # Nobody says when a watcher watches: sessions are made until both have seen one.
        wait_until(lambda: (put(run, "k1"), run.ctl("stop", "--all"), lines.qsize() == 2)[-1], "both have seen one")
        line, text = sorted((lines.get(), lines.get()))  # "2026…" before "{…"
        assert "lake/k1 #1" in line and "→" in line
        assert json.loads(text)["server"] == "lake"
    finally:
        for watcher in watchers:
            watcher.kill()
            watcher.communicate()


# ---- envmux call ----------------------------------------------------------------------------------


def test_call_makes_and_ends_a_session(run):
    state = json.loads(run.ctl("call", "lake", "lake_move", "action=RIGHT").stdout)
    assert state["action"] == "RIGHT" and state["grid"].startswith("SFHF")
    wait_until(lambda: run.sessions() == [], "the session of the call is over")


def test_call_keeps_a_named_session(run):
    moves = [run.ctl("call", "lake/ab%", "lake_move", f"action={action}").stdout for action in ("DOWN", "DOWN")]
    assert [json.loads(move)["position"] for move in moves] == [4, 8]
    assert [s["key"] for s in run.sessions()] == ["ab%"]


def test_call_lists_tools(run):
    assert run.ctl("call", "lake").stdout.startswith("lake_move action=")
    tools = json.loads(run.ctl("call", "--json", "lake").stdout)
    assert [tool["name"] for tool in tools] == ["lake_move"]


def test_call_says_what_failed(run):
    failed = run.ctl("call", "lake", "lake_move", "action=SIDEWAYS", check=False)
    assert failed.returncode == 1 and "SIDEWAYS" in failed.stderr and failed.stdout == ""
    failed = run.ctl("call", "--json", "lake", "lake_move", "action=SIDEWAYS", check=False)
    assert failed.returncode == 1 and json.loads(failed.stdout)["isError"] is True
    failed = run.ctl("call", "lake", "no_such_tool", check=False)
    assert failed.returncode == 1 and failed.stderr
    failed = run.ctl("call", "pond", check=False)
    assert failed.returncode == 1 and 'no server is named "pond"' in failed.stderr
    failed = run.ctl("call", "lake", "lake_move", "RIGHT", check=False)
    assert failed.returncode == 2 and "name=value" in failed.stderr


def test_call_by_url_needs_no_control_socket(run):
    done = envmux_command("call", "--url", run.mcp("lake"), "lake_move", "action=DOWN")
    assert json.loads(done.stdout)["action"] == "DOWN"


def test_call_explains_a_backend_that_does_not_start(envmux):
    run = envmux({"mcpServers": {"bad": {"command": "sh", "args": ["-c", "echo no licence >&2; exit 3"]}}})
    failed = run.ctl("call", "bad", check=False)
    assert failed.returncode == 1
    assert "no licence" in failed.stderr


# ---- without a daemon, and mistakes ---------------------------------------------------------------


@pytest.mark.parametrize("command", [["ps"], ["show", "x"], ["top"], ["logs", "x"], ["events"], ["stop", "--all"], ["servers"],
                                     ["metrics"], ["reload"], ["call", "x"]], ids=lambda c: c[0])
def test_no_daemon_says_what_to_do(tmp_path, command):
    done = envmux_command(*command, "--control", tmp_path / "none")
    assert done.returncode == 3
    assert str(tmp_path / "none") in done.stderr and "envmux run" in done.stderr


def test_default_control_socket(tmp_path, run):
    (tmp_path / "envmux").mkdir()
    (tmp_path / "envmux" / "control").symlink_to(run.control)
    done = envmux_command("ps", "--json", env=dict(os.environ, XDG_RUNTIME_DIR=str(tmp_path)))
    assert json.loads(done.stdout) == []


@pytest.mark.parametrize("arguments", [
    [], ["nonsense"], ["ps", "extra"], ["ps", "--nonsense"], ["show"], ["show", "a", "b"], ["logs", "-n", "many", "a"],
    ["logs", "-n"], ["top", "-d", "0"], ["top", "-n", "x"], ["top", "-o", "age"], ["stop"], ["stop", "--all", "a"], ["call"], ["call", "--url", "ftp://x"], ["call", "-t", "0", "x"],
    ["check", "a", "b"], ["run", "--drop-ins", "/", "--", "true"],
], ids=str)
def test_usage_mistakes(arguments):
    done = envmux_command(*arguments)
    assert done.returncode == 2
    assert done.stdout == "" and done.stderr.startswith("envmux") and "--help" in done.stderr


def test_help_manual_and_completion_know_the_same():
    listed = envmux_command("--help").stdout
    commands = [line.split()[0] for line in listed.split("Commands:\n")[1].split("\n\n")[0].splitlines()]
    assert {"run", "ps", "show", "top", "logs", "events", "stop", "call", "check"} <= set(commands)
    manual = (TOP / "packaging" / "man" / "envmux.1").read_text()
    completion = (TOP / "packaging" / "completion" / "envmux.bash").read_text()
    completed = {command: set(re.findall(r"--([a-z-]+)", options))
                 for command, options in re.findall(r'^ +\[(\w+)\]="(.*)"$', completion, re.MULTILINE)}
    assert set(completed) == set(commands)
    for command in commands:
        text = envmux_command(command, "--help").stdout
        assert text.startswith(f"Usage: envmux {command}")
        assert f".It Cm {command}\n" in manual
        options = set(re.findall(r"^ +(?:-\w, )?--([a-z-]+)", text.split("Options:\n")[1], re.MULTILINE))
        assert options == completed[command] | {"help"}
        for option in options:
            assert re.search(rf"Fl -{option}\b", manual), (command, option)


def test_completion_asks_the_daemon(run):
    put(run, "k1")
    script = f"""
        PATH={ENVMUX.parent}:$PATH
        source {TOP}/packaging/completion/envmux.bash
        COMP_WORDS=(envmux {{}} --control {run.control} ""); COMP_CWORD=4
        _envmux; printf '%s\\n' "${{{{COMPREPLY[@]}}}}"
    """

    def complete(command):
        done = subprocess.run(["bash", "-c", script.format(command)], capture_output=True, text=True, timeout=PATIENCE)
        return done.stdout.split()

    assert complete("show") == [run.sessions()[0]["id"]]
    assert sorted(complete("call")) == ["lake", "noisy"]


def test_show_writes_the_command_as_a_shell_would_need_it(envmux):
    """An argument that is empty in this session, or holds spaces, is still one to be seen."""
    run = envmux({"mcpServers": {"lake": {"command": "frozen-lake", "args": ["--seed", "${envmux:seed}", "--size=4"]}}})
    assert run.http("PUT", "/lake/s/k", {})[0] == 201
    assert show(run, "lake/k")["command"].endswith("frozen-lake --seed '' --size=4")
