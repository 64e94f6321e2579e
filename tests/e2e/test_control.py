"""The control socket: what a foreign Varlink client sees, and what bad input does (nothing)."""

import contextlib
import json
import pathlib
import shlex
import signal
import socket

import pytest
import varlink

from control_helpers import CONFIG, INTERFACE, foreign, put, show
from harness import PATIENCE, TOP, Process, wait_until
from mcp_client import Client


@pytest.fixture
def run(envmux):
    return envmux(CONFIG)


# ---- a foreign client -----------------------------------------------------------------------------


def test_foreign_client_introspects(run):
    with varlink.Client(f"unix:{run.control}") as client:
        assert client.get_interfaces() == ["org.varlink.service", INTERFACE]
        assert client.info["product"] == "envmux"
        interface = client.get_interface(INTERFACE)
        description = (TOP / "supervisor" / "io.envmux.Control.varlink").read_text()
        assert interface.get_description() == description
        methods = {name for name, member in interface.members.items() if hasattr(member, "in_type")}
        assert methods == {"List", "Show", "Logs", "Monitor", "Stop", "Drain", "Reload", "Metrics", "Servers"}
        assert client.get_interface("org.varlink.service").name == "org.varlink.service"


def test_foreign_client_lists_and_shows(run):
    put(run, "k1", labels={"row": "5"}, config={"n": 123456789012345678901234567890})
    with foreign(run) as control:
        sessions = control.List()["sessions"]
        assert [(s["server"], s["key"], s["kind"], s["generation"]) for s in sessions] == [("lake", "k1", "named", 1)]
        by_id = control.Show(sessions[0]["id"])["session"]
        assert control.Show("lake/k1")["session"]["id"] == by_id["id"]
        assert control.Show(by_id["id"][:6])["session"]["id"] == by_id["id"]
        assert by_id["state"] == "active"
        assert by_id["labels"] == {"row": "5"}
        assert by_id["config"] == {"n": 123456789012345678901234567890}
        assert Process.read(by_id["backend_pid"]).command_line() == shlex.split(by_id["command"])
        assert by_id["url"] == "/lake/s/k1/mcp"
        assert control.List("noisy")["sessions"] == []
        servers = control.Servers()
        assert servers["addresses"] == [run.url]
        assert {s["name"]: (s["path"], s["sessions"]) for s in servers["servers"]} == {
            "lake": ("/lake/mcp", 1), "noisy": ("/noisy/mcp", 0)}
        assert {(*s["keys"], s["keyless"]) for s in servers["servers"]} == {
            ("path", "header", "transport", "shared"), ("path", "header", "principal", "meta:a/b", "shared")}
        metrics = control.Metrics()
        assert metrics["gauges"]["sessions"] == 1
        assert metrics["counters"]["sessions_created"] == 1


def test_every_member_of_a_session_is_described(run):
    """What the client's own checks let through is all there is."""
    put(run, "k1", server="noisy", seed=7, labels={"a": "1"}, config={"b": 2})
    with foreign(run) as control:
        with Client(run.mcp("noisy", key="k1")):
            assert set(show(run, "noisy/k1")) == set(control.Show("noisy/k1")["session"])
        assert run.http("DELETE", "/noisy/s/k1")[0] == 204
        wait_until(lambda: not run.sessions(), "the session is over")
        assert set(show(run, "noisy/k1")) == set(control.Show("noisy/k1")["session"])


def test_foreign_client_gets_errors_with_names(run):
    put(run, "k1")
    put(run, "k2")
    with foreign(run) as control:
        for call, error, parameters in [
            (lambda: control.Show("nobody"), f"{INTERFACE}.NoSuchSession", {"id": "nobody"}),
            (lambda: control.Drain(server="none"), f"{INTERFACE}.NoSuchServer", {"server": "none"}),
            (lambda: control.Show(""), "org.varlink.service.InvalidParameter", {"parameter": "id"}),
            (lambda: control.Stop(), "org.varlink.service.InvalidParameter", {"parameter": "id"}),
            (lambda: control.Logs(id="lake/k1", lines=-1), "org.varlink.service.InvalidParameter",
             {"parameter": "lines"}),
            (lambda: control.Monitor(), "org.varlink.service.ExpectedMore", {}),
        ]:
            with pytest.raises(varlink.VarlinkError) as caught:
                call()
            assert (caught.value.error(), caught.value.parameters() or {}) == (error, parameters)


def test_foreign_client_watches_a_session_live_and_end(run):
    with foreign(run) as watcher:
        moves = watcher.Monitor(_more=True)
        assert next(moves) == {}
        put(run, "k1")
        with foreign(run) as control:
            stopped = control.Stop("lake/k1")["stopped"]
        seen = []
        while not seen or seen[-1]["to"] != "stopped":
            seen.append(next(moves)["event"])
    assert {event["id"] for event in seen} == set(stopped)
    assert "from" not in seen[0]
    assert [event["to"] for event in seen[:2]] == ["queued", "starting"]
    for before, after in zip(seen, seen[1:]):
        assert after["from"] == before["to"]
    assert (seen[-1]["state"], seen[-1]["reason"], seen[-1]["key"]) == ("inactive", "stopping", "k1")


def test_reload_names_the_mistakes(run):
    path = pathlib.Path(run.supervisor().command_line()[run.supervisor().command_line().index("--config") + 1])
    good = path.read_text()
    path.write_text('{"mcpServers": {"lake": {"comand": "x"}}}')
    with foreign(run) as control:
        with pytest.raises(varlink.VarlinkError) as caught:
            control.Reload()
        assert caught.value.error() == f"{INTERFACE}.ConfigInvalid"
        assert any(note["mistake"] and note["path"].startswith("mcpServers.lake")
                   for note in caught.value.parameters()["notes"])
        failed = run.ctl("reload", check=False)
        assert failed.returncode == 2 and "mcpServers.lake" in failed.stderr
        path.write_text(good.replace('"noisy"', '"loud"'))
        control.Reload()
        assert [s["name"] for s in control.Servers()["servers"]] == ["lake", "loud"]


# ---- bad input at the socket ----------------------------------------------------------------------


def say(run, *pieces, close=False):
    """What the socket answers to bytes, up to its end."""
    with socket.socket(socket.AF_UNIX) as s:
        s.settimeout(PATIENCE)
        s.connect(str(run.control))
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            for piece in pieces:
                s.sendall(piece)
        if close:
            return None
        s.shutdown(socket.SHUT_WR)
        answer = b""
        with contextlib.suppress(ConnectionResetError):
            while piece := s.recv(65536):
                answer += piece
        return [json.loads(message) for message in answer.split(b"\0")[:-1]]


@pytest.mark.parametrize("bytes_sent", [
    b"\0", b"garbage\0", b"GET / HTTP/1.1\r\nHost: x\r\n\r\n\0", b'{"method":"a.b"', b"\xff\xfe\xfd\0", b"[]\0", b"7\0",
    b'{"method":"\xc3\x28"}\0', b"[" * 60000 + b"\0", b'{"a":' * 5000 + b"\0", b"x" * (1 << 20), b" " * 70000 + b"\0",
], ids=lambda b: repr(b[:20]))
def test_garbage_ends_only_its_own_connection(run, bytes_sent):
    with foreign(run) as bystander:
        answers = say(run, bytes_sent)
        if bytes_sent.endswith(b"\0") or len(bytes_sent) > 65536:
            assert [answer["error"] for answer in answers] == [f"{INTERFACE}.BadMessage"]
            assert answers[0]["parameters"]["why"]
        else:
            assert answers == []
        assert bystander.List() == {"sessions": []}


@pytest.mark.parametrize("message,error,parameter", [
    ({}, "InvalidParameter", "method"),
    ({"method": 1}, "InvalidParameter", "method"),
    ({"method": "List"}, "InvalidParameter", "method"),
    ({"method": f"{INTERFACE}.List", "parameters": []}, "InvalidParameter", "parameters"),
    ({"method": f"{INTERFACE}.List", "more": "yes"}, "InvalidParameter", "more"),
    ({"method": f"{INTERFACE}.List", "parameters": {"server": 5}}, "InvalidParameter", "server"),
    ({"method": f"{INTERFACE}.List", "parameters": {"server": "x" * 100}}, "InvalidParameter", "server"),
    ({"method": f"{INTERFACE}.List", "parameters": {"sever": "x"}}, "InvalidParameter", "sever"),
    ({"method": f"{INTERFACE}.Show", "parameters": {"id": "a\0b"}}, "InvalidParameter", "id"),
    ({"method": f"{INTERFACE}.Stop", "parameters": {"all": 1}}, "InvalidParameter", "all"),
    ({"method": f"{INTERFACE}.Drain", "parameters": {"all": True, "timeout_usec": 1e300}}, "InvalidParameter",
     "timeout_usec"),
    ({"method": f"{INTERFACE}.Nothing"}, "MethodNotFound", f"{INTERFACE}.Nothing"),
    ({"method": "io.systemd.Journal.Rotate"}, "InterfaceNotFound", "io.systemd.Journal"),
], ids=str)
def test_wrong_calls_are_answered_by_name(run, message, error, parameter):
    good = {"method": f"{INTERFACE}.List"}
    answers = say(run, *(json.dumps(m).encode() + b"\0" for m in (message, good)))
    assert answers[0]["error"] == f"org.varlink.service.{error}"
    assert list(answers[0]["parameters"].values()) == [parameter]
    assert answers[1] == {"parameters": {"sessions": []}}


def test_clients_that_leave_cost_nothing(run):
    put(run, "k1", server="noisy")
    supervisor = run.supervisor()
    before = supervisor.fd_count()
    logs = {"method": f"{INTERFACE}.Logs", "more": True, "parameters": {"id": "noisy/k1", "follow": True}}
    for message in [b'{"method"', json.dumps({"method": f"{INTERFACE}.Monitor", "more": True}).encode() + b"\0",
                    json.dumps(logs).encode() + b"\0"]:
        for _ in range(20):
            say(run, message, close=True)
    wait_until(lambda: supervisor.fd_count() == before, "the supervisor has closed what they opened")
    assert run.supervisor() == supervisor


def test_too_many_clients_are_told(run):
    with contextlib.ExitStack() as stack:
        refusals = 0
        for _ in range(200):
            s = stack.enter_context(socket.socket(socket.AF_UNIX))
            s.settimeout(PATIENCE)
            s.connect(str(run.control))
            with contextlib.suppress(BrokenPipeError):
                s.sendall(b'{"method":"org.varlink.service.GetInfo"}\0')
            refusals += json.loads(s.recv(65536).split(b"\0")[0]).get("error") == f"{INTERFACE}.TooManyClients"
        assert refusals == 200 - 128
        failed = run.ctl("ps", check=False)
        assert failed.returncode == 1 and "too many clients" in failed.stderr
    wait_until(lambda: run.ctl("ps", check=False).returncode == 0, "there is room again")


def test_logs_of_a_worker_that_hangs_end(run):
    put(run, "k1")
    worker = run.workers()[0]
    worker.kill(signal.SIGSTOP)
    try:
        done = run.ctl("logs", "lake/k1", check=False)
    finally:
        worker.kill(signal.SIGCONT)
    assert done.returncode != 0 and "does not answer" in done.stderr
    assert run.ctl("logs", "lake/k1").returncode == 0
