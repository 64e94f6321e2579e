"""envmux-worker in front of an HTTP backend: everything passes, only ids, host and hop are exchanged."""

import http.client
import json
import os
import pathlib
import re
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
CLIENTS_MAX = int(re.search(r"#define CLIENTS_MAX (\d+)", (wh.TOP / "worker" / "worker.c").read_text())[1])


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


def test_delete_by_key_alone_ends_nothing(worker):
    """As for stdio: who ends a session says which, even where there is one."""
    client = worker.initialize()
    answer = worker.request("DELETE", "/mcp")
    assert (answer.status, reason(answer.message())) == (400, "session_required")
    assert client.tool("whoami")["deleted"] == []


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


def test_the_deadline_cancels_for_a_client_known_by_the_key_alone(start):
    worker = start(request_usec=300_000)
    client = worker.initialize()
    call = {"jsonrpc": "2.0", "id": 78, "method": "tools/call", "params": {"name": "hang"}}
    message = worker.post(call).message()
    assert (message["id"], reason(message)) == (78, "deadline")
    # The backend takes it only from a session that it knows.
    wait_until(lambda: client.tool("whoami")["cancelled"] == [78], "the backend to hear of it")


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


def test_a_client_too_many_takes_the_place_of_the_one_quiet_for_longest(start):
    """…and the backend is told that nobody uses its session any more."""
    worker = start()
    first, second, third = worker.initialize(), worker.initialize(), worker.initialize()
    stream = first.get()
    assert stream.event()
    its_id = third.tool("whoami")["session"]
    assert second.tool("whoami")["session"]
    for _ in range(CLIENTS_MAX - 2):
        last = worker.initialize()
    assert last.answer.headers["Envmux-Attach"] == "joined" and last.tool("whoami")["session"]
    assert first.tool("whoami")["session"] and second.tool("whoami")["session"]
    assert third.post({"jsonrpc": "2.0", "id": 9, "method": "ping"}).status == 404
    wait_until(lambda: last.tool("whoami")["deleted"] == [its_id], "the backend to hear of it")
    stream.close()


def test_a_client_too_many_while_all_are_busy_is_told_so(start):
    worker = start()
    clients = [worker.initialize(is_complete=False) for _ in range(CLIENTS_MAX)]
    for client in clients:
        client.answer.close()
    streams = [client.get() for client in clients]
    for stream in streams:
        assert stream.event()
    _, connection = worker.start_initialize(id="too many")
    answer = worker.finish(connection)
    message = answer.message()
    assert (answer.status, message["id"], reason(message)) == (200, "too many", "overloaded")
    assert "busy" in message["error"]["message"] and "Mcp-Session-Id" not in answer.headers
    # The session that the backend made for it is nobody's, and let go; the others stay.
    seen = wait_until(lambda: [c.tool("whoami") for c in clients[:1] if c.tool("whoami")["deleted"]], "its end at the backend")[0]
    sessions = [client.tool("whoami")["session"] for client in clients]
    assert len(set(sessions)) == CLIENTS_MAX and len(seen["deleted"]) == 1 and seen["deleted"][0] not in sessions
    for stream in streams:
        stream.close()


@pytest.mark.parametrize("kind", ["json", "stream"])
def test_an_initialize_that_the_backend_refuses_attaches_nobody(start, kind):
    """200 with an error inside is how a server says no: no id, no key, and the next one is the first."""
    worker = start(attach="reject")
    _, connection = worker.start_initialize(id=4, params={"refuse": kind})
    answer = worker.finish(connection)
    assert not [name for name in answer.headers if name.startswith(("Envmux-", "Mcp-Session"))]
    message = answer.message()
    assert (answer.status, message["id"], message["error"]["message"]) == (200, 4, "not you")
    client = worker.initialize()
    assert client.answer.headers["Envmux-Attach"] == "new" and worker.supervisor.count("ALIAS") == 1


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


# ---- streams --------------------------------------------------------------------------------------


NOTE = "data: " + json.dumps({"jsonrpc": "2.0", "method": "notifications/message", "params": {"level": "info", "data": "x" * 9}})


@pytest.mark.parametrize("end, torn", [("\n\n", NOTE[:20]), ("\r\n\r\n", NOTE), ("\r\r", "id: 12")])
def test_an_event_that_the_backend_did_not_finish_is_left_out(start, end, torn):
    worker = start()
    client = worker.initialize()
    answer = worker.finish(client.start("watch", {"stream": True, "chunks": [NOTE + end + torn]}, id="mine"))
    assert answer.raw.read(len(NOTE + end)) == (NOTE + end).encode()
    os.kill(worker.descendants()[0], signal.SIGKILL)
    rest = answer.body().decode()
    message = json.loads(rest.split("data: ")[1])
    assert (message["id"], reason(message)) == ("mine", "backend_exited")
    assert rest.strip().split("\n")[0] == "event: message" and rest.count("data:") == 1


def test_an_event_too_long_to_be_held_back_is_ended_before_the_error(start):
    worker = start()
    client = worker.initialize()
    answer = worker.finish(client.start("watch", {"stream": True, "chunks": ["data: {" + "y" * 300_000]}, id="mine"))
    assert answer.raw.read(100_000).startswith(b"data: {yyy")
    os.kill(worker.descendants()[0], signal.SIGKILL)
    torn, error = answer.body().decode().strip().split("\n\n")
    assert set(torn) == {"y"}
    message = json.loads(error.split("data: ")[1])
    assert (message["id"], reason(message)) == ("mine", "backend_exited")


def test_the_stream_of_server_messages_ends_with_its_backend(worker):
    client = worker.initialize()
    stream = client.get()
    stream.event()
    os.kill(worker.descendants()[0], signal.SIGKILL)
    assert stream.body() == b""  # its end is a proper one
    worker.wait_exit()


def test_no_proxy_is_to_buffer_a_stream(worker):
    client = worker.initialize()
    for own, seen in (({}, "no"), ({"X-Accel-Buffering": "yes"}, "yes")):
        answer = worker.finish(client.start("watch", {"stream": True, "headers": own}, id=seen))
        assert answer.headers.get_all("X-Accel-Buffering") == [seen]
        client.tool("release", id=seen)
        assert len(answer.events()) == 1
    assert "X-Accel-Buffering" not in worker.finish(client.start("whoami")).headers


def test_silence_of_a_stream_is_filled_between_its_events(start):
    """A comment after 15 s, and none of it inside of the event that the backend has begun."""
    worker = start()
    client = worker.initialize()
    half = len(NOTE) // 2
    call = client.start("watch", {"stream": True, "chunks": [NOTE + "\n\n", NOTE[:half]], "more": [NOTE[half:] + "\n\n"]}, id=1)
    answer, stream = worker.finish(call), client.get()
    assert answer.event() and stream.event()
    assert answer.raw.readline() == stream.raw.readline() == b": keepalive\n"
    client.last_id = 9
    client.tool("release", id=1)
    assert [event.get("id") for event in answer.events()] == [None, 1]
    stream.close()


def test_a_client_that_leaves_does_not_cancel(worker):
    """These revisions say so, and a backend that takes a closed connection for a cancellation is not to see one."""
    client = worker.initialize()
    for id, stream in (("json", False), ("stream", True)):
        call = client.start("watch", {"stream": stream}, id=id)
        wait_until(lambda: id in client.tool("whoami")["waiting"], "the call at the backend")
        call.close()
    worker.supervisor.wait("STATUS", lambda frame: frame.body.in_flight == 2)
    assert client.tool("whoami")["left"] == []
    for id in ("json", "stream"):
        client.tool("release", id=id)
    quiet = worker.supervisor.wait("STATUS", lambda frame: frame.body.in_flight == 0 and frame.body.clients == 1)
    assert quiet and client.tool("whoami")["left"] == []


def test_calls_whose_clients_left_are_bounded(start):
    worker = start()
    client = worker.initialize()
    for i in range(70):
        call = client.start("watch", id=f"left-{i}")
        call.close()
    oldest = wait_until(lambda: client.tool("whoami")["left"][5:], "the oldest to be given up")
    assert len(oldest) == 1 and len(client.tool("whoami")["left"]) == 6


def test_a_call_whose_client_left_keeps_its_deadline(start):
    worker = start(request_usec=500_000)
    client = worker.initialize()
    call = client.start("watch", id="left alone")
    wait_until(lambda: client.tool("whoami")["hanging"], "the call at the backend")
    call.close()
    wait_until(lambda: client.tool("whoami")["cancelled"] == ["left alone"], "its cancellation")


def test_a_backend_whose_streams_can_be_resumed_hears_that_the_client_left(worker):
    """To such a backend a stream that is still read cannot be asked for again."""
    client = worker.initialize()
    call = client.start("watch", {"stream": True, "chunks": ["id: 1\ndata:\n\n"]}, id="resumable")
    answer = worker.finish(call)
    assert answer.raw.readline() == b"id: 1\n"
    answer.close()
    call.close()
    wait_until(lambda: client.tool("whoami")["left"] == ["resumable"], "the backend to notice")


def test_a_call_whose_stream_is_to_be_asked_for_again_keeps_the_session(start):
    worker = start(idle_usec=300_000)
    client = worker.initialize()
    chunks = ["id: 1\ndata:\n\n"]
    ended = worker.finish(client.start("poll", {"id": "a"}, id="a"))  # its backend ends the stream for now
    assert ended.body() == b"id: 1\ndata:\n\n"
    left = client.start("watch", {"stream": True, "chunks": chunks}, id="b")
    assert worker.finish(left).raw.readline() == b"id: 1\n"
    left.close()
    assert worker.supervisor.wait("STATUS", lambda frame: frame.body.in_flight == 2)
    for id in ("a", "b"):
        assert client.resume(f"response {id}").event()["id"] == id
    assert worker.supervisor.wait("GONE").body.cause == wh.IDLE


def test_a_call_that_nobody_asks_for_again_keeps_the_session_until_its_deadline(start):
    worker = start(idle_usec=100_000, request_usec=500_000)
    client = worker.initialize()
    assert worker.finish(client.start("poll", id="a")).body()
    assert worker.supervisor.wait("GONE").body.cause == wh.IDLE


def test_a_call_that_was_answered_is_not_answered_again(worker):
    """Its backend dies before the end of the stream, which has brought the response already."""
    client = worker.initialize()
    answer = worker.finish(client.start("linger", id="once"))
    assert answer.event()["id"] == "once"
    client.start("die")
    assert answer.events() == []


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
