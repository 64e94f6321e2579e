"""envmux-worker in front of an HTTP backend: everything passes, only ids, host and hop are exchanged."""

import http.client
import json
import os
import pathlib
import signal
import socket
import sys
import threading

import pytest

import worker_harness as wh
from harness import wait_until

BACKEND = pathlib.Path(__file__).with_name("worker_http_backend.py")


@pytest.fixture
def start(tmp_path_factory):
    workers = []

    def make(*arguments, port_argument="${port}", **options):
        # 0x01 and a letter is what a compiled ${envmux:port} looks like (common/template.c).
        marker = {"${port}": ["--port", MARKERS["port"]], "${socket}": ["--socket", MARKERS["socket"]]}[port_argument]
        spec = {"transport": "http", "http_path": "/mcp", "uses_socket": port_argument == "${socket}"} | options
        workers.append(wh.Worker(tmp_path_factory.mktemp("w"), [sys.executable, str(BACKEND)], [*marker, *arguments], **spec))
        return workers[-1]

    yield make
    for worker in workers:
        worker.close()
    for worker in workers:
        assert "Sanitizer" not in worker.stderr(), worker.stderr()


def markers():
    """The letters of common/template.c's markers."""
    values = ["seed", "session", "port", "socket", "config_file", "workspace"]
    return {name: "\x01" + chr(ord("a") + i) for i, name in enumerate(values)}


MARKERS = markers()


@pytest.fixture(params=["${port}", "${socket}"])
def worker(start, request):
    return start(port_argument=request.param)


def reason(message):
    return message["error"]["data"]["envmux"]["reason"]


def test_initialize_maps_the_session_id(worker):
    client = worker.initialize(client_info={"name": "n", "version": "1", "_extra": {"seed": 7, "big": 1}})
    headers = client.answer.headers
    assert headers["Mcp-Session-Id"] == client.transport_id
    assert (headers["Envmux-Session"], headers["Envmux-Generation"], headers["Envmux-Attach"]) == ("the-key", "3", "new")
    seen = client.tool("whoami")
    # The backend knows its own id, its own host, nothing of ours, and the client's initialize as it came.
    assert seen["session"].startswith("b-")
    assert seen["host"] in ("localhost", seen["host"]) and not any(h.lower().startswith("envmux") for h in seen["headers"])
    assert seen["params"]["clientInfo"]["_extra"] == {"seed": 7, "big": 1}
    worker.supervisor.wait("READY")
    kinds = {frame.body.kind: frame.body.key for frame in worker.supervisor.frames if frame.type == "ALIAS"}
    assert kinds[2] == client.transport_id.encode() and len(kinds[3]) == 32


def test_streams_pass_as_they_come(worker):
    client = worker.initialize()
    answer = worker.finish(client.start("count", {"to": 50}))
    assert answer.type == "text/event-stream"
    events = answer.events()
    assert [e["params"]["progress"] for e in events[:-1]] == list(range(50))
    stream = client.get()
    assert stream.event()["params"]["session"].startswith("b-")
    stream.close()


def test_other_paths_follow_with_query_verbatim(worker):
    client = worker.initialize()
    answer = worker.request("PATCH", "/control/x%2Fy?a=1&b=%20+c", b"body", {"Mcp-Session-Id": "an-id-of-its-own", "X-Mine": "1",
                                                                         "Connection": "X-Hop", "X-Hop": "gone"})
    seen = json.loads(answer.body())
    assert (seen["method"], seen["path"], seen["size"]) == ("PATCH", "/control/x%2Fy?a=1&b=%20+c", 4)
    assert answer.headers["X-Custom"] == "kept"
    assert seen["headers"]["X-Mine"] == "1" and "X-Hop" not in seen["headers"]
    # An id that is none of ours is the backend's business; one of ours is exchanged.
    assert seen["headers"]["Mcp-Session-Id"] == "an-id-of-its-own"
    seen = json.loads(worker.request("GET", "/control/y", None, {"Mcp-Session-Id": client.transport_id}).body())
    assert seen["headers"]["Mcp-Session-Id"].startswith("b-")


def test_a_session_named_by_its_key_alone_needs_no_id(worker):
    """The backend wants its own id on each request; who names the session by path has none to send."""
    missing = json.loads(worker.request("GET", "/control/y").body())
    assert "Mcp-Session-Id" not in missing["headers"]
    client = worker.initialize()
    its_id = client.tool("whoami")["session"]
    seen = json.loads(worker.request("GET", "/control/y").body())
    assert seen["headers"]["Mcp-Session-Id"] == its_id
    answer = worker.post({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": "whoami"}})
    assert its_id in json.dumps(answer.message())
    second = worker.initialize()
    seen = json.loads(worker.request("GET", "/control/y").body())
    assert seen["headers"]["Mcp-Session-Id"] == second.tool("whoami")["session"]
    # Which of two clients speaks is not for envmux to guess.
    assert worker.post({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": "whoami"}}).status == 404


def test_delete_by_key_alone_ends_the_session_of_its_only_client(worker):
    worker.initialize()
    assert worker.request("DELETE", "/mcp").status == 200
    assert worker.supervisor.wait("GONE").body.cause == wh.DELETED
    worker.wait_exit()


def test_bodies_of_any_size_pass_both_ways(worker):
    worker.initialize()
    answer = worker.request("POST", "/upload", b"y" * 3_000_000, {})
    assert json.loads(answer.body())["size"] == 3_000_000
    answer = worker.request("POST", "/upload", iter([b"z" * 100_000] * 20), {})  # chunked
    assert json.loads(answer.body())["size"] == 2_000_000
    assert len(worker.request("GET", "/big").body()) == 8_000_000


def test_a_backend_without_session_ids(start):
    worker = start("--no-session")
    client = worker.initialize()
    assert client.tool("whoami")["session"] is None
    assert worker.post({"jsonrpc": "2.0", "id": 1, "method": "ping"}, {"Mcp-Session-Id": "other"}).status == 404


def test_requests_wait_until_it_listens(start):
    worker = start("--late", "1")
    transport, connection = worker.start_initialize()
    assert worker.finish(connection).message()["result"]["serverInfo"]["name"] == "http-backend"


def test_it_may_listen_on_ipv6_alone(start):
    if not socket.has_ipv6 or not os.path.exists("/proc/net/if_inet6"):
        pytest.skip("no IPv6 here")
    worker = start("--host", "::1")
    assert worker.initialize().tool("whoami")["session"]


def test_a_server_that_does_not_reuse_addresses_gets_the_port_at_its_second_try(start):
    worker = start("--no-reuse")
    assert worker.initialize().tool("whoami")["session"]
    assert worker.supervisor.count("SPAWNED") == 2


def test_delete_ends_the_session_whatever_the_backend_says(worker):
    client = worker.initialize()
    assert client.delete().status == 200
    frame = worker.supervisor.wait("GONE")
    assert frame.body.cause == wh.DELETED
    worker.wait_exit()


@pytest.mark.parametrize("stream", [False, True])
def test_a_dying_backend_answers_everything_in_flight(worker, stream):
    client = worker.initialize()
    waiting = client.start("hang", {"stream": stream}, id="mine")
    if stream:
        answer = worker.finish(waiting)
        assert answer.event()["params"]["progress"] == 0
    else:
        wait_until(lambda: client.tool("whoami")["hanging"] == 1, "the call to arrive")
    dying = worker.finish(client.start("die")).message()
    message = answer.events()[-1] if stream else worker.finish(waiting).message()
    for error in (dying, message):
        assert reason(error) == "backend_exited"
        assert error["error"]["data"]["envmux"]["exit_status"] == 3
        assert "last words" in error["error"]["data"]["envmux"]["stderr"]
    assert message["id"] == "mine"
    assert worker.supervisor.wait("GONE").body.cause == wh.BACKEND_EXITED
    worker.wait_exit()


def test_a_backend_that_never_listens(start):
    worker = start("--late", "1000", start_usec=300_000)
    _, connection = worker.start_initialize(id=5)
    message = worker.finish(connection).message()
    assert (message["id"], reason(message)) == (5, "start_timeout")
    worker.wait_exit()


def test_a_backend_that_dies_while_starting(start):
    worker = start("--nonsense")
    _, connection = worker.start_initialize(id=5)
    message = worker.finish(connection).message()
    assert reason(message) == "start_failed"
    assert message["error"]["data"]["envmux"]["exit_status"] == 2
    assert "unrecognized arguments" in message["error"]["data"]["envmux"]["stderr"][-1]
    worker.wait_exit()


def test_the_deadline_cancels_and_answers(start):
    worker = start(request_usec=300_000)
    client = worker.initialize()
    message = worker.finish(client.start("hang", id=77)).message()
    assert (message["id"], reason(message)) == (77, "deadline")
    wait_until(lambda: client.tool("whoami")["cancelled"] == [77], "the backend to hear of it")


def test_a_port_taken_by_a_neighbour_is_not_talked_to(start):
    worker = start("--late", "1000")
    port = wait_until(lambda: listening_port_of(worker), "the backend's port")
    heard = []
    with socket.create_server(("127.0.0.1", port)) as neighbour:
        threading.Thread(target=lambda: heard.append(neighbour.accept()), daemon=True).start()
        _, connection = worker.start_initialize()
        message = worker.finish(connection).message()
        assert reason(message) == "start_failed" and "another process listens" in message["error"]["message"]
        assert heard == []
    worker.wait_exit()


def listening_port_of(worker):
    """From the backend's command line."""
    for pid in worker.descendants():
        words = pathlib.Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
        if b"--port" in words:
            return int(words[words.index(b"--port") + 1])
    return None


def test_a_second_client(start):
    worker = start(attach="join")
    first, second = worker.initialize(), worker.initialize()
    assert second.answer.headers["Envmux-Attach"] == "joined"
    assert first.post({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": "whoami"}}).status == 200
    assert second.tool("whoami")["session"]


def test_a_second_client_replaces(start):
    worker = start(attach="replace")
    worker.initialize()
    _, connection = worker.start_initialize()
    answer = worker.finish(connection)
    assert answer.status == 410 and answer.headers["Envmux-Gone"] == "1"
    assert worker.supervisor.wait("GONE").body.cause == wh.REPLACED
    worker.wait_exit()


def test_a_second_client_is_rejected(start):
    worker = start(attach="reject")
    worker.initialize()
    _, connection = worker.start_initialize(id="second")
    answer = worker.finish(connection)
    message = answer.message()
    assert (answer.status, message["id"], reason(message)) == (200, "second", "session_attached")


def test_requests_that_are_redirected_at_once_are_all_followed(start):
    worker = start(attach="join")
    both = [worker.start_initialize(params={"together": 2})[1] for _ in range(2)]
    assert [worker.finish(one).status for one in both] == [200, 200]


def test_of_two_clients_that_initialize_together_one_is_rejected(start):
    worker = start(attach="reject")
    both = [worker.start_initialize(params={"together": 2})[1] for _ in range(2)]
    messages = [worker.finish(one).message() for one in both]
    assert sorted("result" in message for message in messages) == [False, True]
    assert [reason(message) for message in messages if "error" in message] == ["session_attached"]


def test_a_client_too_many_takes_the_place_of_the_oldest_quiet_one(start):
    worker = start()
    first, second = worker.initialize(), worker.initialize()
    stream = first.get()
    assert stream.event()
    for _ in range(255):
        last = worker.initialize()
    assert last.answer.headers["Envmux-Attach"] == "joined" and last.tool("whoami")["session"]
    assert first.tool("whoami")["session"]
    assert second.post({"jsonrpc": "2.0", "id": 9, "method": "ping"}).status == 404
    stream.close()


def test_a_backend_cannot_speak_for_the_worker(worker):
    worker.initialize()
    answer = worker.request("GET", "/gone")
    assert answer.status == 410 and "Envmux-Gone" not in answer.headers


def test_nothing_is_added_to_an_encoded_stream(worker):
    client = worker.initialize()
    answer = worker.finish(client.start("hang", {"stream": True, "encoding": "x-sealed"}))
    assert answer.event()["params"]["progress"] == 0
    os.kill(worker.descendants()[0], signal.SIGKILL)
    with pytest.raises(http.client.IncompleteRead):
        answer.raw.read()


def test_cancellations_that_a_backend_does_not_answer_are_bounded(start):
    worker = start(request_usec=300_000)
    client = worker.initialize()

    def fds():
        return len(os.listdir(f"/proc/{worker.process.pid}/fd"))

    before = fds()
    calls = [client.start("hang", id=f"deaf-{i}") for i in range(60)]
    for call in calls:
        assert reason(worker.finish(call).message()) == "deadline"
        call.close()
    wait_until(lambda: fds() < before + 25, "connections to end")


def test_an_open_stream_keeps_nothing_alive(start):
    worker = start(idle_usec=500_000)
    client = worker.initialize()
    stream = client.get()
    stream.event()
    assert worker.supervisor.wait("GONE").body.cause == wh.IDLE
    worker.wait_exit()


def test_stop_leaves_no_process(worker):
    client = worker.initialize()
    pids = worker.descendants()
    worker.supervisor.send("STOP", drain_usec=0, rung_usec=200_000, reason=0)
    worker.wait_exit()
    assert pids and not any(pathlib.Path(f"/proc/{pid}").exists() for pid in pids)


def test_killed_backend_is_said_with_its_signal(worker):
    client = worker.initialize()
    answer = worker.finish(client.start("hang", {"stream": True}))
    assert answer.event()["params"]["progress"] == 0
    os.kill(worker.descendants()[0], signal.SIGKILL)
    message = answer.events()[-1]
    assert reason(message) == "backend_exited" and message["error"]["data"]["envmux"]["signal"] == "SIGKILL"
