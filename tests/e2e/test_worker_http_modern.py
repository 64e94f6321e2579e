"""Stateless requests (MCP 2026-07-28) to an HTTP backend pass through: no session, and closing is cancelling.

First the worker alone, in front of a server that shows what reaches it; then everything, with the official
Python SDK at both ends."""

import json
import os
import signal
import subprocess
import sys

import pytest

import mcp_client
import modern_client as mc
import worker_harness as wh
from harness import TOP, VENV_MCP2, wait_until
from test_worker_http import MARKERS, BACKEND, reason

PYTHON = VENV_MCP2 / "bin" / "python"
CLIENTS = TOP / "tests" / "e2e" / "clients"


@pytest.fixture
def start(tmp_path_factory):
    workers = []

    def make(**options):
        spec = {"transport": "http", "http_path": "/mcp", "uses_socket": False} | options
        command = [sys.executable, str(BACKEND), "--port", MARKERS["port"]]
        workers.append(wh.Worker(tmp_path_factory.mktemp("w"), command, **spec))
        return workers[-1]

    yield make
    for worker in workers:
        worker.close()
    for worker in workers:
        assert "Sanitizer" not in worker.stderr(), worker.stderr()


@pytest.fixture
def worker(start):
    return start()


def test_there_is_no_session(worker):
    """Whatever id is sent along, the backend sees none, and nothing is attached or told."""
    answer = mc.call(worker, "whoami", id="x", headers={"Mcp-Session-Id": "nobody", "Last-Event-ID": "7"})
    assert (answer.status, "Mcp-Session-Id" in answer.headers) == (200, False)
    message = answer.message()
    assert message["id"] == "x"
    seen = json.loads(message["result"]["content"][0]["text"])
    assert seen["session"] is None and seen["headers"]["Mcp-Method"] == "tools/call"
    worker.supervisor.wait("READY")
    assert worker.supervisor.count("ALIAS") == 0


def test_a_request_passes_as_it_came(worker):
    body = ('{"method" : "tools/call",\r\n "params":{"name":"whoami","_meta":%s, "n":[1e+16]},"jsonrpc":"2.0","id":0}'
            % json.dumps(mc.envelope())).encode()
    headers = mc.request("tools/call", {"name": "whoami"})[1] | {"Mcp-Param-Region": "=?base64?w6k=?=", "Traceparent": "00-1-2-01"}
    seen = json.loads(worker.post(body, headers).message()["result"]["content"][0]["text"])["headers"]
    assert int(seen["Content-Length"]) == len(body)
    assert (seen["Mcp-Param-Region"], seen["Traceparent"]) == ("=?base64?w6k=?=", "00-1-2-01")


def test_it_does_not_speak_for_the_client_of_a_session(worker):
    legacy = worker.initialize()
    assert mc.tool(worker, "whoami")["session"] is None
    assert legacy.tool("whoami")["session"].startswith("b-")
    answer = worker.request("DELETE", "/mcp", None, {"MCP-Protocol-Version": mc.VERSION, "Mcp-Session-Id": legacy.transport_id})
    assert answer.status != 200  # the backend's to answer: stateless clients end nothing
    assert legacy.tool("whoami")["session"].startswith("b-")


@pytest.mark.parametrize("stream", [False, True])
def test_closing_cancels(worker, stream):
    call = mc.begin_tool(worker, "watch", id="leaver", stream=stream)
    other = mc.begin_tool(worker, "watch", id="stayer", stream=stream)
    wait_until(lambda: len(mc.tool(worker, "whoami")["waiting"]) == 2, "both calls at the backend")
    call.close()
    wait_until(lambda: mc.tool(worker, "whoami")["left"] == ["leaver"], "the backend to notice")
    other.close()
    wait_until(lambda: mc.tool(worker, "whoami")["left"] == ["leaver", "stayer"], "the backend to notice")


def test_the_deadline_closes_and_answers(start):
    worker = start(request_usec=300_000)
    answer = mc.call(worker, "watch", id=77)
    message = answer.message()
    assert (answer.status, message["id"], reason(message)) == (200, 77, "deadline")
    seen = wait_until(lambda: [s for s in [mc.tool(worker, "whoami")] if s["left"] == [77]], "the backend to notice")[0]
    assert seen["cancelled"] == []  # a stateless client sends no such thing


def test_a_subscription_has_no_deadline_and_keeps_nothing_alive(start):
    worker = start(request_usec=300_000, idle_usec=1_000_000)
    listen = mc.begin(worker, "subscriptions/listen", {"name": "watch", "arguments": {"stream": True}}, id="l")
    assert worker.finish(listen).type == "text/event-stream"
    assert worker.supervisor.wait("GONE").body.cause == wh.IDLE
    worker.wait_exit()


def test_death_of_the_backend_reaches_every_request(worker):
    calls = {f"c{i}": mc.begin_tool(worker, "watch", id=f"c{i}", stream=i % 2 == 0) for i in range(10)}
    wait_until(lambda: len(mc.tool(worker, "whoami")["waiting"]) == 10, "all calls at the backend")
    os.kill(worker.descendants()[0], signal.SIGKILL)
    for id, call in calls.items():
        message = worker.finish(call).message()
        assert (message["id"], reason(message)) == (id, "backend_exited")
    worker.wait_exit()


# ---- sessions of single requests -------------------------------------------------------------------


@pytest.mark.parametrize("stream", [False, True])
def test_a_session_of_one_request_ends_with_its_answer(start, stream):
    worker = start(kind="request")
    call = mc.begin_tool(worker, "count", to=3) if stream else mc.begin_tool(worker, "whoami")
    assert "result" in worker.finish(call).message()
    assert worker.supervisor.wait("GONE").body.cause == wh.DELETED
    worker.wait_exit()


def test_a_session_of_one_request_that_its_client_left_ends(start):
    worker = start(kind="request")
    call = mc.begin_tool(worker, "watch", stream=True)
    assert worker.finish(call).status == 200
    call.close()
    assert worker.supervisor.wait("GONE").body.cause == wh.DELETED
    worker.wait_exit()


@pytest.mark.parametrize("stream", [False, True])
def test_an_unfinished_answer_is_found_again_by_its_state(start, stream):
    worker = start(kind="request")
    result = mc.call(worker, "rounds", stream=stream).message()["result"]
    assert result["resultType"] == "input_required"
    # The answer is here, so the key was told.
    alias = worker.supervisor.wait("ALIAS").body
    assert alias.key.startswith(b"state.") and not alias.is_removed
    params = {"name": "rounds", "arguments": {}, "requestState": result["requestState"], "inputResponses": {}}
    answer = mc.send(worker, "tools/call", params, id=1).message()
    assert json.loads(answer["result"]["content"][0]["text"]) == {"state": result["requestState"]}
    assert worker.supervisor.wait("ALIAS", lambda frame: frame.body.is_removed).body.key == alias.key
    assert worker.supervisor.wait("GONE").body.cause == wh.DELETED
    worker.wait_exit()


# ---- the official SDK at both ends ----------------------------------------------------------------


@pytest.fixture
def room(envmux):
    """One backend that everyone reaches by the same key, and that nobody's DELETE ends."""
    if not PYTHON.exists():
        pytest.skip("the Python SDK 2.x is not installed (./dev test does it)")
    server = {"command": str(PYTHON), "args": [str(CLIENTS / "http_server.py"), "--port", "${envmux:port}"],
              "envmux": {"transport": "http"}}
    run = envmux({"mcpServers": {"http": server}})
    status, _, body = run.http("PUT", "/http/s/room")
    assert status in (200, 201), body
    return run, run.mcp("http", key="room")


def crowd(url, modern, legacy):
    done = subprocess.run([PYTHON, CLIENTS / "crowd.py", url, str(modern), str(legacy)], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr
    return json.loads(done.stdout)


def test_stateless_and_older_clients_share_one_backend(room):
    run, url = room
    seen = crowd(url, 4, 4)
    assert len({one["pid"] for one in seen}) == 1
    assert len(run.sessions()) == 1
    for one in seen:
        calls = [f"{one['name']}.{i}" for i in range(3)]
        assert one["version"] == ("2026-07-28" if one["name"].startswith("modern") else "2025-11-25")
        assert one["answers"] == calls
        # Its own progress, all of it, and each call's in order.
        assert sorted(one["progress"]) == sorted(f"{call}-{i}" for call in calls for i in range(5))
        for call in calls:
            assert [p for p in one["progress"] if p.startswith(call)] == [f"{call}-{i}" for i in range(5)]


def test_subscriptions_and_cancellation_pass_through(room):
    _, url = room
    done = subprocess.run([PYTHON, CLIENTS / "stateless.py", url], capture_output=True, text=True, timeout=90)
    assert done.returncode == 0, done.stdout + done.stderr
    seen = json.loads(done.stdout)
    assert (seen["version"], seen["event"], seen["cancelled"]) == ("2026-07-28", "ToolsListChanged", ["given up"])
    assert not [name for name in seen["headers"] if name.startswith("envmux") or name == "mcp-session-id"]


def test_an_older_client_that_leaves_cancels_nothing_there(room):
    """The SDK's server takes a connection that closes for the end of the call; it is not to see one."""
    _, url = room
    with mcp_client.Client(url) as client, mcp_client.Client(url, keep=True) as leaver:
        message = {"jsonrpc": "2.0", "id": 9, "method": "tools/call", "params": {"name": "wait", "arguments": {"name": "left alone"}}}
        leaver.connection.request("POST", leaver.target, json.dumps(message), {
            "Accept": mcp_client.ACCEPT, "Content-Type": "application/json", "Mcp-Session-Id": leaver.session_id,
            "MCP-Protocol-Version": leaver.version})
        wait_until(lambda: client.call("whoami")["begun"] == ["left alone"], "the call at the backend")
        leaver.connection.close()
        # A request after it that the backend has answered: what there was to notice, it noticed.
        assert [client.call("whoami")["cancelled"] for _ in range(20)][-1] == []
        assert client.call("release", name="left alone") == "released"
