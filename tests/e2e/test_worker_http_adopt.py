"""envmux-worker in front of an HTTP backend, found by an entry of _meta: calls of clients that never initialized it."""

import json
import os
import pathlib
import re
import sys

import pytest

import worker_harness as harness
from harness import wait_until

BACKEND = pathlib.Path(__file__).with_name("worker_http_backend.py")
ADOPTIONS_MAX = int(re.search(r"#define ADOPTIONS_MAX (\d+)", (harness.TOP / "worker" / "http_adopt.c").read_text())[1])
CLIENTS_MAX = int(re.search(r"#define CLIENTS_MAX (\d+)", (harness.TOP / "worker" / "worker.c").read_text())[1])


@pytest.fixture
def start(tmp_path_factory):
    """Workers of kind "meta"; none survives the test."""
    workers = []

    def start(*arguments, **options):
        spec = {"transport": "http", "http_path": "/mcp", "kind": "meta", "key": "chat-1"} | options
        # 0x01 and "c" is what a compiled ${envmux:port} looks like (common/template.c).
        workers.append(harness.Worker(tmp_path_factory.mktemp("w"), [sys.executable, str(BACKEND)],
                                      ["--port", "\x01c", *arguments], **spec))
        return workers[-1]

    yield start
    for worker in workers:
        worker.close()
        assert "Sanitizer" not in worker.stderr(), worker.stderr()


def reason(message):
    return message["error"]["data"]["envmux"]["reason"]


def call(worker, name, headers=None, id=7, **arguments):
    """A call without any session id, begun."""
    body = {"jsonrpc": "2.0", "id": id, "method": "tools/call", "params": {"name": name, "arguments": arguments}}
    return worker.begin("POST", "/mcp", json.dumps(body), harness.POST_HEADERS | (headers or {}))


def tool(worker, name, **arguments):
    return json.loads(worker.finish(call(worker, name, **arguments)).message()["result"]["content"][0]["text"])


def methods(seen, session):
    return [method for whose, method, _, _ in seen["heard"] if whose == session]


@pytest.mark.parametrize("stream", [(), ("--stream",)])
def test_a_call_without_a_handshake_finds_an_initialized_backend(start, stream):
    worker = start(*stream)
    client = harness.Client(worker, "transport-of-chatgpt", version="2025-03-26")
    answer = harness.Worker.finish(client.start("whoami"))
    seen = json.loads(answer.message()["result"]["content"][0]["text"])
    assert seen["params"]["protocolVersion"] == "2025-03-26" and seen["params"]["capabilities"] == {}
    assert seen["params"]["clientInfo"]["name"] == "envmux"
    assert methods(seen, seen["session"]) == ["notifications/initialized", "tools/call"]
    assert [line[1:3] for line in seen["heard"]][:2] == [["initialize", None], ["notifications/initialized", "2025-03-26"]]
    alias = worker.supervisor.wait("ALIAS").body
    assert (alias.kind, alias.key, alias.is_removed) == (2, b"transport-of-chatgpt", 0)
    # From then on it is a client like any other.
    again = client.tool("whoami")
    assert again["session"] == seen["session"] and methods(again, seen["session"])[2:] == ["tools/call"]
    listening = client.get()
    assert listening.event()["params"]["session"] == seen["session"]
    listening.close()


def test_credentials_go_with_the_handshake(start):
    worker = start()
    headers = {"X-User": "her", "Mcp-Session-Id": "t"}
    seen = json.loads(worker.finish(call(worker, "whoami", headers)).message()["result"]["content"][0]["text"])
    assert [line[3] for line in seen["heard"]] == ["her"] * 3


def test_the_version_is_one_that_backends_know(start):
    worker = start()
    assert tool(worker, "whoami")["params"]["protocolVersion"] == "2025-06-18"
    strange = harness.Client(worker, "t", version='1"}')
    assert strange.tool("whoami")["params"]["protocolVersion"] == "2025-06-18"


def test_each_client_has_a_session_of_its_own(start):
    worker = start()
    clients = [harness.Client(worker, f"t{i}") for i in range(20)]
    begun = [client.start("whoami", id=1) for client in clients]
    seen = [json.loads(harness.Worker.finish(one).message()["result"]["content"][0]["text"]) for one in begun]
    assert len({one["session"] for one in seen}) == 20 and len({one["pid"] for one in seen}) == 1
    assert worker.supervisor.wait("STATUS", lambda frame: frame.body.clients == 20)


def test_calls_that_come_together_share_a_handshake(start):
    worker = start("--late", "0.3")
    client = harness.Client(worker, "t")
    begun = [client.start("whoami", id=n) for n in range(5)]
    seen = [json.loads(harness.Worker.finish(one).message()["result"]["content"][0]["text"]) for one in begun]
    assert len({one["session"] for one in seen}) == 1
    assert [line[1] for line in client.tool("whoami")["heard"]].count("initialize") == 1


def test_a_call_without_any_session_id_stands_for_itself(start):
    worker = start()
    watching = call(worker, "watch", id=7)
    wait_until(lambda: 7 in tool(worker, "whoami")["waiting"], "the call to arrive")
    releasing = {"jsonrpc": "2.0", "id": 7, "method": "tools/call", "params": {"name": "release", "arguments": {"id": 7}}}
    assert worker.post(releasing).message()["id"] == 7
    answer = worker.finish(watching)
    assert answer.message()["id"] == 7 and "Mcp-Session-Id" not in answer.headers
    # Each had its own session, which is over.
    last = wait_until(lambda: [s for s in [tool(worker, "whoami")] if len(s["deleted"]) >= 3], "their ends")[0]
    assert last["session"] not in last["deleted"] and len(set(last["deleted"])) == len(last["deleted"])
    assert worker.supervisor.count("ALIAS") == 0 and worker.supervisor.count("GONE") == 0


def test_a_call_without_an_id_is_not_the_only_clients(start):
    worker = start()
    client = harness.Client(worker, "t")
    assert tool(worker, "whoami")["session"] != client.tool("whoami")["session"]
    assert tool(worker, "whoami")["session"] != client.tool("whoami")["session"]


def test_a_deadline_is_told_in_its_session(start):
    worker = start(request_usec=500_000)
    answer = worker.finish(call(worker, "hang", id=77)).message()
    assert (answer["id"], reason(answer)) == (77, "deadline")
    wait_until(lambda: tool(worker, "whoami")["cancelled"] == [77], "the backend to hear of it")


def test_a_client_that_initializes_joins(start):
    worker = start(attach="reject")
    assert harness.Client(worker, "early").tool("whoami")
    late = worker.finish(worker.start_initialize()[1])
    assert reason(late.message()) == "session_attached"  # who initializes is under the server's policy
    worker = start()
    assert harness.Client(worker, "early").tool("whoami")
    assert worker.initialize().answer.headers["Envmux-Attach"] == "joined"


def test_delete_detaches(start):
    worker = start()
    client, other = harness.Client(worker, "t"), harness.Client(worker, "u")
    sessions = [one.tool("whoami")["session"] for one in (client, other)]
    for one in (client, other):
        assert one.delete().status == 200
        worker.supervisor.wait("ALIAS", lambda frame: frame.body.is_removed and frame.body.key.decode() == one.transport_id)
    seen = harness.Client(worker, "v").tool("whoami")  # the backend lives on
    assert seen["deleted"] == sessions and worker.supervisor.count("GONE") == 0


@pytest.mark.parametrize("kind", ["shared", "client"])
def test_a_shared_session_outlives_its_last_client(start, kind):
    worker = start(kind=kind)
    assert worker.initialize().delete().status == 200
    assert worker.initialize().tool("whoami") and worker.supervisor.count("GONE") == 0


def test_a_session_of_another_kind_adopts_nobody(start):
    worker = start(kind="named")
    worker.initialize()
    message = {"jsonrpc": "2.0", "id": 1, "method": "ping"}
    assert worker.post(message, {"Mcp-Session-Id": "other"}).status == 404


def test_a_backend_without_session_ids(start):
    worker = start("--no-session")
    assert tool(worker, "whoami")["session"] is None
    assert harness.Client(worker, "t").tool("whoami")["session"] is None


def test_the_idlest_client_makes_room(start):
    worker = start()
    sessions = [harness.Client(worker, f"t{i}").tool("whoami")["session"] for i in range(CLIENTS_MAX)]
    late = harness.Client(worker, "one-more")
    assert late.tool("whoami")["session"] not in sessions
    gone = worker.supervisor.wait("ALIAS", lambda frame: frame.body.is_removed)
    assert gone.body.key == b"t0"
    wait_until(lambda: late.tool("whoami")["deleted"] == sessions[:1], "the backend to hear of it")
    assert harness.Client(worker, "t0").tool("whoami")["session"] not in sessions  # it may come back


def test_a_refused_handshake_fails_the_call_alone(start):
    worker = start("--refuse")
    answer = worker.finish(call(worker, "whoami", id=5)).message()
    assert (answer["id"], reason(answer)) == (5, "backend_protocol")
    assert "handshake" in answer["error"]["message"]
    assert reason(harness.Client(worker, "t").call("whoami")) == "backend_protocol"
    assert worker.supervisor.count("ALIAS") == 0 and worker.supervisor.count("GONE") == 0


def test_a_silent_handshake_has_a_deadline(start):
    worker = start("--slow", request_usec=300_000)
    answer = harness.Client(worker, "t").call("whoami")
    assert reason(answer) == "deadline" and worker.supervisor.count("ALIAS") == 0


def test_handshakes_are_bounded(start):
    worker = start("--slow")
    begun = [call(worker, "whoami", id=n) for n in range(ADOPTIONS_MAX)]
    worker.supervisor.wait("STATUS", lambda frame: frame.body.in_flight == ADOPTIONS_MAX)
    refused = worker.finish(call(worker, "whoami", id="late")).message()
    assert (refused["id"], reason(refused)) == ("late", "overloaded")
    os.kill(worker.supervisor.wait("SPAWNED").body.backend_pid, 9)
    for connection in begun:
        assert reason(worker.finish(connection).message()) == "backend_exited"


def test_clients_leave_before_the_handshake_is_done(start):
    worker = start("--slow")
    begun = [call(worker, "whoami"), harness.Client(worker, "t").start("whoami")]
    worker.supervisor.wait("STATUS", lambda frame: frame.body.in_flight == 2)
    for connection in begun:
        connection.close()
    worker.supervisor.wait("STATUS", lambda frame: frame.body.in_flight == 0,
                           since=worker.supervisor.index(worker.supervisor.wait("STATUS", lambda f: f.body.in_flight == 2)))
    worker.supervisor.send("STOP", drain_usec=0, rung_usec=100_000, reason=harness.REASONS.index("stopping"))
    worker.wait_exit()


def test_a_backend_that_dies_while_starting(start):
    worker = start("--nonsense")
    assert reason(harness.Client(worker, "t").call("whoami")) == "start_failed"
    worker.wait_exit()


def test_a_long_body_waits_as_well(start):
    worker = start("--late", "0.3")
    answer = worker.finish(call(worker, "whoami", id=9, padding="x" * 300_000)).message()
    assert answer["id"] == 9 and answer["result"]


def test_a_stateless_request_needs_no_handshake(start):
    worker = start()
    headers = {"MCP-Protocol-Version": "2026-07-28", "Mcp-Method": "tools/call"}
    seen = json.loads(worker.finish(call(worker, "whoami", headers)).message()["result"]["content"][0]["text"])
    assert [line[1] for line in seen["heard"]] == ["tools/call"] and seen["session"] is None
