"""What envmux-router says and does when workers die, clients misbehave and bodies are large."""

import contextlib
import fcntl
import json
import signal
import socket
import struct
import subprocess
import termios

import pytest

from ipc_frames import KEY_NAMED
from router_fakes import JSON, LIBEXEC, LIVE, SESSION, UNKNOWN, call, initialize
from router_fakes import pool, router  # noqa: F401 (fixtures)

MIB = 1 << 20


# ---- workers that turn away or die --------------------------------------------------------------


def test_gone_is_asked_again_and_sent_to_the_next_worker(router, pool):
    link = router.connect([{"id": "s1", "key": "k", "kind": KEY_NAMED}])
    old, new = router.worker("s1"), router.worker("s2")
    body = initialize()
    answer = pool.submit(router.client().request, "POST", "/lake/s/k/mcp", [JSON], body)
    wire, request = old.take()
    minted = request.get("Envmux-Transport")
    wire.respond(410, b"gone", [("Envmux-Gone", "1")])
    question = link.expect("RESOLVE")
    assert (question.key, question.stale_id, question.may_create) == ("k", "s1", 1)
    link.resolved(question, "s2")
    wire, request = new.take()
    assert (request.body, request.get("Envmux-Transport")) == (body, minted)
    assert request.get("Envmux-Created") == "1"
    wire.respond(200, b"{}")
    assert answer.result().status == 200


def test_gone_for_a_request_that_may_not_create(router, pool):
    link = router.connect([LIVE])
    worker = router.worker("s1")
    answer = pool.submit(router.client().request, "POST", "/lake/mcp", [SESSION], call())
    wire, _ = worker.take()
    wire.respond(410, b"", [("Envmux-Gone", "1")])
    question = link.expect("RESOLVE")
    assert (question.stale_id, question.may_create) == ("s1", 0)
    link.resolve_failed(question, UNKNOWN)
    assert (answer.result().status, answer.result().reason()) == (404, "unknown_session")


def test_gone_before_the_whole_body_was_there(router):
    link = router.connect([LIVE])
    old, new = router.worker("s1"), router.worker("s2")
    client = router.client()
    client.start("POST", "/lake/mcp", [SESSION, ("Content-Length", "6")])
    client.send(b"abc")
    wire = old.accept()
    assert wire.read_until(b"abc")
    wire.respond(410, b"", [("Envmux-Gone", "1")])
    link.resolved(link.expect("RESOLVE"), "s2")
    wire = new.accept()
    assert wire.read_until(b"abc")
    client.send(b"def")
    assert wire.read_exactly(3) == b"def"
    wire.respond(200, b"{}")
    assert client.read_message().status == 200


def test_gone_after_more_than_can_be_sent_again(router, pool):
    link = router.connect([LIVE])
    worker = router.worker("s1")
    client = router.client()
    sending = pool.submit(client.start, "POST", "/lake/mcp", [SESSION], call(note="x" * 200_000))
    wire, _ = worker.take()
    wire.respond(410, b"", [("Envmux-Gone", "1")])
    sending.result()
    answer = client.read_message()
    assert (answer.status, answer.reason()) == (503, "stopping")
    link.expect_nothing()


def test_410_of_the_backend_itself_passes(router, pool):
    router.connect([LIVE])
    worker = router.worker("s1")
    answer = pool.submit(router.client().request, "GET", "/lake/mcp", [SESSION])
    wire, _ = worker.take()
    wire.respond(410, b"moved on")
    assert (answer.result().status, answer.result().body) == (410, b"moved on")


@pytest.mark.parametrize("is_there", [True, False])
def test_a_refused_connection_is_asked_again(router, pool, is_there):
    link = router.connect([LIVE])
    if is_there:
        router.worker("s1").die()
    worker = router.worker("s2")
    answer = pool.submit(router.client().request, "POST", "/lake/mcp", [SESSION], call())
    question = link.expect("RESOLVE")
    assert (question.key, question.stale_id) == ("t1", "s1")
    link.resolved(question, "s2")
    wire, _ = worker.take()
    wire.respond(200, b"{}")
    assert answer.result().status == 200


def test_asking_again_ends(router, pool):
    link = router.connect([LIVE])
    answer = pool.submit(router.client().request, "POST", "/lake/mcp", [SESSION], call(8))
    for _ in range(3):
        link.resolved(link.expect("RESOLVE"), "nowhere")
    answer = answer.result()
    assert (answer.status, answer.json()["id"], answer.reason()) == (200, 8, "worker_lost")
    link.expect_nothing()


def test_a_worker_that_dies_before_its_answer_is_not_asked_twice(router, pool):
    link = router.connect([{"id": "s1", "key": "t1", "server": "web"}])
    worker = router.worker("s1")
    client = router.client()
    for first in (True, False):  # on a fresh connection, then on one that was used before
        answer = pool.submit(client.request, "POST", "/web/mcp", [SESSION], call("x"))
        wire, _ = worker.take()
        wire.close()
        answer = answer.result()
        assert (answer.status, answer.json()["id"], answer.reason()) == (200, "x", "worker_lost")
        if first:
            answer = pool.submit(client.request, "GET", "/web/mcp", [SESSION])
            wire, _ = worker.take()
            wire.respond(200, b"{}")
            assert answer.result().status == 200
            answer = pool.submit(client.request, "POST", "/web/mcp", [SESSION], call("y"))
            wire.read_message()
            wire.close()
            assert (answer.result().status, answer.result().json()["id"]) == (200, "y")
    answer = pool.submit(client.request, "GET", "/web/control/reward", [SESSION])
    wire, _ = worker.take()
    wire.close()
    assert (answer.result().status, answer.result().reason()) == (503, "worker_lost")
    assert answer.result().get("Retry-After")
    assert worker.has_no_connection()
    link.expect_nothing()


def test_an_event_stream_ends_with_the_reason(router):
    router.connect([LIVE])
    worker = router.worker("s1")
    client = router.client()
    client.start("POST", "/lake/mcp", [SESSION], call("id-7"))
    wire, _ = worker.take()
    wire.start_chunked([("Content-Type", "text/event-stream")])
    wire.send_chunk(b"event: message\ndata: {}\n\n")
    assert client.read_head().status == 200
    assert client.read_chunk() == b"event: message\ndata: {}\n\n"
    wire.close()
    event = client.read_chunk().decode()
    assert event.startswith("event: message\ndata: ") and event.endswith("}\n\n")
    error = json.loads(event.split("data: ")[1])
    assert error["id"] == "id-7"
    assert error["error"]["data"]["envmux"]["reason"] == "worker_lost"
    with pytest.raises(ConnectionError):  # and it does not pretend to be complete
        client.read_until(b"0\r\n\r\n")


@pytest.mark.parametrize(
    ("headers", "sent"),
    [
        ([("Content-Type", "text/event-stream")], b"data: {\"half"),
        ([("Content-Type", "text/event-stream"), ("Content-Encoding", "gzip")], b"\n\n"),
        ([("Content-Type", "application/json")], b"\n\n"),
    ],
)
def test_nothing_is_added_where_it_would_not_be_understood(router, headers, sent):
    router.connect([LIVE])
    worker = router.worker("s1")
    client = router.client()
    client.start("POST", "/lake/mcp", [SESSION], call())
    wire, _ = worker.take()
    wire.start_chunked(headers)
    wire.send_chunk(sent)
    wire.close()
    answer = client.read_message()
    assert (answer.body, answer.is_cut) == (sent, True)


def test_a_cut_answer_of_known_length_stays_cut(router):
    router.connect([LIVE])
    worker = router.worker("s1")
    client = router.client()
    client.start("POST", "/lake/mcp", [SESSION], call())
    wire, _ = worker.take()
    wire.send(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\npart")
    wire.close()
    answer = client.read_message()
    assert answer.is_cut


def test_an_answer_that_is_no_http(router, pool):
    router.connect([LIVE])
    worker = router.worker("s1")
    answer = pool.submit(router.client().request, "POST", "/lake/mcp", [SESSION], call(2))
    wire, _ = worker.take()
    wire.send(b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n")
    answer = answer.result()
    assert (answer.status, answer.json()["id"], answer.reason()) == (200, 2, "backend_protocol")


# ---- who may ask, and how -----------------------------------------------------------------------


def test_foreign_hosts_and_origins_are_refused(router, pool):
    router.connect([LIVE], allowed=b'["box.example","https://app.example"]')
    worker = router.worker("s1")
    client = router.client()
    refused = [
        ([("Host", "evil.example")], "forbidden_host"),
        ([("Origin", "http://evil.example")], "forbidden_origin"),
        ([("Origin", "null")], "forbidden_origin"),
        ([("Origin", "https://box.example")], "forbidden_origin"),
    ]
    for headers, reason in refused:
        for path in ("/lake/mcp", "/lake/s/k", "/web/control/x", "/nosuch"):
            answer = client.request("GET", path, [SESSION, *headers])
            assert (answer.status, answer.reason()) == (403, reason)
    assert client.request("GET", "/healthz", [("Host", "10.0.0.1")]).status == 200
    wire = None
    for header in (("Origin", "https://app.example"), ("Origin", "http://localhost:3000"), ("Host", "box.example")):
        answer = pool.submit(client.request, "POST", "/lake/mcp", [SESSION, header], call())
        wire = wire or worker.accept()
        wire.read_message()
        wire.respond(200, b"{}")
        assert answer.result().status == 200


def test_unknown_paths_and_methods(router):
    router.connect()
    client = router.client()
    for path in ("/", "/nosuch/mcp", "/lake", "/lake/control/reward", "/lake/mcpx", "/web", "/s/"):
        answer = client.request("GET", path, [SESSION])
        assert (answer.status, answer.reason()) == (404, "unknown_path")
        assert b"web" not in answer.body and b"lake" not in answer.body
    methods = [
        ("PUT", "/lake/mcp", "GET, POST, DELETE"),
        ("OPTIONS", "/mcp", "GET, POST, DELETE"),
        ("POST", "/lake/s/k", "GET, PUT, DELETE"),
        ("GET", "/lake/s/k/reset", "POST"),
        ("POST", "/healthz", "GET, HEAD"),
    ]
    for method, path, allow in methods:
        answer = client.request(method, path, [], b"{}")
        assert (answer.status, answer.get("Allow"), answer.reason()) == (405, allow, "method_not_allowed")


SMUGGLING = {
    "two lengths": b"Content-Length: 2\r\nContent-Length: 3\r\n\r\n{}",
    "signed length": b"Content-Length: +2\r\n\r\n{}",
    "length and chunked": b"Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "two codings": b"Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
    "coding twice": b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "space before colon": b"Content-Length : 2\r\n\r\n{}",
    "folded header": b"X-A: b\r\n c\r\nContent-Length: 2\r\n\r\n{}",
    "bare line feed": b"X-A: b\nContent-Length: 2\r\n\r\n{}",
    "bare carriage return": b"X-A: b\rX-B: c\r\n\r\n",
    "control byte": b"X-A: b\x01c\r\nContent-Length: 2\r\n\r\n{}",
    "two hosts": b"Host: localhost\r\nContent-Length: 2\r\n\r\n{}",
    "bad chunk size": b"Transfer-Encoding: chunked\r\n\r\n0x2\r\n{}\r\n0\r\n\r\n",
}


@pytest.mark.parametrize("name", SMUGGLING)
def test_what_two_parsers_could_read_differently_is_refused(router, name):
    router.connect([LIVE])
    worker = router.worker("s1")
    client = router.client()
    client.send(b"POST /lake/mcp HTTP/1.1\r\nHost: localhost\r\nMcp-Session-Id: t1\r\n" + SMUGGLING[name])
    assert client.read_message().status in (400, 501)
    assert client.is_closed()
    if name != "bad chunk size":  # its head was good: the worker saw that, and then the end
        assert worker.has_no_connection()


def test_a_forged_session_header_pair_is_refused(router):
    router.connect([LIVE])
    client = router.client()
    answer = client.request("POST", "/lake/mcp", [SESSION, ("mcp-session-id", "t2")], call())
    assert (answer.status, answer.reason()) == (400, "bad_request")
    answer = client.request("POST", "/lake/s/a%20b/mcp", [], call())
    assert (answer.status, answer.reason()) == (400, "bad_request")


def test_heads_and_bodies_over_the_limit(router):
    router.connect([LIVE], body_bytes_max=1000)
    worker = router.worker("s1")
    answer = router.client().request("GET", "/healthz", [("X-Long", "x" * 40_000)])
    assert (answer.status, answer.reason()) == (431, "head_too_large")
    assert "head_max" in answer.json()["error"]["message"]
    answer = router.client().request("POST", "/lake/mcp", [SESSION], b"x" * 1001)
    assert (answer.status, answer.reason()) == (413, "body_too_large")
    assert "body_max" in answer.json()["error"]["message"]
    client = router.client()
    client.start("POST", "/lake/mcp", [SESSION, ("Transfer-Encoding", "chunked")])
    client.send_chunk(b"x" * 900)
    wire = worker.accept()
    assert wire.read_head()
    assert wire.read_chunk() == b"x" * 900
    client.send_chunk(b"x" * 900)
    answer = client.read_message()
    assert (answer.status, answer.reason()) == (413, "body_too_large")
    with pytest.raises(ConnectionError):
        wire.read_chunk()


# ---- sizes and numbers --------------------------------------------------------------------------


def stream_out(wire, total):
    block = bytes(range(256)) * 256
    for _ in range(total // len(block)):
        wire.send(block)


def swallow(wire, total):
    seen = 0
    while seen < total:
        data = wire.sock.recv(MIB)
        assert data
        seen += len(data)
    return seen


def test_large_bodies_stream_both_ways(router, pool):
    router.connect([LIVE])
    worker = router.worker("s1")
    total = 64 * MIB
    before = router.memory_kib()
    client = router.client()
    client.start("POST", "/lake/mcp", [SESSION, ("Content-Length", str(total))])
    wire = worker.accept()
    wire.read_head()
    seen = len(wire.buffer)
    wire.buffer = b""
    sending = pool.submit(stream_out, client, total)
    swallow(wire, total - seen)
    sending.result()
    wire.send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % total)
    sending = pool.submit(stream_out, wire, total)
    assert client.read_head().status == 200
    swallow(client, total - len(client.buffer))
    sending.result()
    assert router.memory_kib() - before < total // 2 // 1024


def fill(sock):
    """Sends until nothing more is taken; returns how much that was."""
    sent = 0
    sock.settimeout(0.5)
    try:
        while sent < 256 * MIB:
            sent += sock.send(b"x" * 65536)
    except socket.timeout:
        pass
    return sent


def test_a_slow_reader_costs_bounded_memory_and_stops_nobody(router, pool):
    router.connect([LIVE, {"id": "s2", "key": "t2"}])
    slow, quick = router.worker("s1"), router.worker("s2")
    before = router.memory_kib()
    client = router.client()
    client.start("GET", "/lake/mcp", [SESSION])
    wire, _ = slow.take()
    wire.send(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nContent-Length: %d\r\n\r\n" % (1 << 40))
    assert fill(wire.sock) < 32 * MIB  # the worker is stopped, whose own limits rule then
    assert router.memory_kib() - before < 4 * 1024

    writer = router.client()  # the other direction: a worker that does not read
    writer.start("POST", "/lake/mcp", [SESSION, ("Content-Length", str(256 * MIB))])
    full = slow.accept()
    full.read_head()
    assert fill(writer.sock) < 32 * MIB
    assert router.memory_kib() - before < 8 * 1024

    answer = pool.submit(router.client().request, "POST", "/lake/mcp", [("Mcp-Session-Id", "t2")], call())
    wire, _ = quick.take()
    wire.respond(200, b"{}")
    assert answer.result().status == 200


def test_idle_connections_give_way_at_the_limit(router):
    router.connect(clients_max=4)
    clients = [router.client() for _ in range(4)]
    for client in clients:
        assert client.request("GET", "/healthz").status == 200
    assert router.client().request("GET", "/healthz").status == 200
    assert clients[0].is_closed()  # the longest idle one
    assert clients[3].request("GET", "/healthz").status == 200


def test_newcomers_wait_while_all_are_busy(router):
    router.connect([LIVE], clients_max=2)
    worker = router.worker("s1")
    busy, wires = [], []
    for _ in range(2):
        busy.append(router.client())
        busy[-1].start("GET", "/lake/mcp", [SESSION])
        wires.append(worker.take()[0])
    late = router.client()
    late.start("GET", "/healthz")
    late.sock.settimeout(0.3)
    with pytest.raises(socket.timeout):
        late.sock.recv(1)
    late.sock.settimeout(20)
    wires[0].respond(200, b"{}")
    assert busy[0].read_message().status == 200
    assert late.read_message().status == 200


def test_nothing_is_left_of_many_requests(router, pool):
    router.connect([LIVE])
    worker = router.worker("s1")

    def work(n):
        for id in range(n):
            client = router.client()
            client.start("POST", "/lake/mcp", [SESSION, ("Connection", "close")], call(id))
            if id % 3 == 0:
                client.close()  # without waiting
            else:
                assert client.read_message().status in (200, 503)
                client.close()

    def answer():
        worker.listener.settimeout(1)
        try:
            while True:
                wire = worker.accept()
                pool.submit(serve, wire)
        except socket.timeout:
            pass

    def serve(wire):
        try:
            while True:
                wire.read_message()
                wire.respond(200, b"{}")
        except (ConnectionError, OSError):
            wire.close()

    before = router.open_fds()
    serving = pool.submit(answer)
    for done in [pool.submit(work, 60) for _ in range(4)]:
        done.result()
    serving.result()
    assert router.client().request("GET", "/healthz", [("Connection", "close")]).status == 200
    assert router.open_fds() <= before + 65  # the pool of one worker keeps 64 at most


# ---- the session API, probes, the end -----------------------------------------------------------


@pytest.mark.parametrize(
    ("method", "path", "op", "body"),
    [
        ("PUT", "/lake/s/k%2B1", 1, b'{"seed":42}'),
        ("GET", "/s/k+1?x", 2, None),
        ("POST", "/lake/s/k+1/reset", 3, b""),
        ("DELETE", "/lake/s/k+1", 4, None),
    ],
)
def test_session_calls(router, pool, method, path, op, body):
    link = router.connect()
    answer = pool.submit(router.client().request, method, path, [], body)
    question = link.expect("SESSION_CALL")
    assert (question.op, question.server, question.principal, question.key) == (op, "lake", "", "k+1")
    assert question.blob == (body or b"")
    link.send("SESSION_REPLY", question.cookie, b'{"id":"s1"}', http_status=201)
    answer = answer.result()
    assert (answer.status, answer.body, answer.get("Content-Type")) == (201, b'{"id":"s1"}', "application/json")


def test_session_calls_that_go_wrong(router, pool):
    link = router.connect()
    client = router.client()
    answer = client.request("PUT", "/lake/s/k", [], b"x" * (64 * 1024 + 1))
    assert (answer.status, answer.reason()) == (413, "body_too_large")
    answer = router.client().request("PUT", "/lake/s/a%00b", [], b"{}")
    assert (answer.status, answer.reason()) == (400, "bad_request")
    answer = pool.submit(router.client().request, "PUT", "/lake/s/k", [], b"{}")
    question = link.expect("SESSION_CALL")
    link.send("SESSION_REPLY", question.cookie, b'{"error":"full"}', http_status=503, retry_after_sec=9)
    answer = answer.result()
    assert (answer.status, answer.get("Retry-After"), answer.json()) == (503, "9", {"error": "full"})
    answer = pool.submit(router.client().request, "DELETE", "/lake/s/k")
    question = link.expect("SESSION_CALL")
    link.send("SESSION_REPLY", question.cookie, http_status=204)
    answer = answer.result()
    assert (answer.status, answer.body, answer.get("Content-Length")) == (204, b"", None)


def test_a_reset_is_not_repeated_when_the_supervisor_comes_back(router, pool):
    link = router.connect()
    reset = pool.submit(router.client().request, "POST", "/lake/s/k/reset")
    link.expect("SESSION_CALL")
    put = pool.submit(router.client().request, "PUT", "/lake/s/k", [], b"{}")
    link.expect("SESSION_CALL")
    link.close()
    assert (reset.result().status, reset.result().reason()) == (503, "unavailable")
    link = router.connect()
    question = link.expect("SESSION_CALL")
    assert question.op == 1
    link.send("SESSION_REPLY", question.cookie, b"{}", http_status=200)
    assert put.result().status == 200


def test_no_client_is_let_in_before_the_first_dump(router):
    link = router.accept_link()
    client = router.client()
    client.start("POST", "/lake/mcp", [SESSION], call())
    worker = router.worker("s1")
    router.dump(link, [LIVE])
    wire, _ = worker.take()
    wire.respond(200, b"{}")
    assert client.read_message().status == 200


def test_a_bad_frame_ends_the_connection_and_not_the_router(router, pool):
    link = router.connect([LIVE])
    link.sock.send(b"nonsense")
    link = router.accept_link()
    router.dump(link, [LIVE])
    link.send("DUMP_END")  # of no dump
    link = router.accept_link()
    link.send("SESSION", id="s1", server="lake", key="t1", kind=2)  # before WELCOME
    link = router.connect([LIVE])
    router.settle(link)


def test_sigterm_finishes_what_is_in_flight(router):
    router.connect([LIVE])
    worker = router.worker("s1")
    idle, busy = router.client(), router.client()
    assert idle.request("GET", "/healthz").status == 200
    busy.start("POST", "/lake/mcp", [SESSION], call())
    wire, _ = worker.take()
    router.process.send_signal(signal.SIGTERM)
    assert idle.is_closed()
    wire.respond(200, b"{}")
    answer = busy.read_message()
    assert (answer.status, answer.get("Connection")) == (200, "close")
    assert router.process.wait(20) == 0


def test_sigterm_cuts_no_answer_that_its_worker_has_finished(router):
    """The worker is done, the client still reads."""
    router.connect([LIVE])
    worker = router.worker("s1")
    router.listener.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 16384)  # connections inherit it
    client, idle = router.client(), router.client()
    assert idle.request("GET", "/healthz").status == 200
    client.start("GET", "/lake/mcp", [SESSION])
    wire, _ = worker.take()
    wire.sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 16384)
    wire.start_chunked([("Content-Type", "application/octet-stream")])
    chunk = b"2000\r\n" + b"x" * 8192 + b"\r\n"
    taken = len(chunk)
    wire.sock.settimeout(0.3)
    with pytest.raises(socket.timeout):
        while taken == len(chunk):
            taken = wire.sock.send(chunk)
        raise socket.timeout
    rest = (chunk[taken:] if taken < len(chunk) else b"") + b"0\r\n\r\n"
    wire.sock.setblocking(False)
    while rest or unsent(wire.sock):  # until the router has all of it, and the client no more than that needs
        client.read_exactly(4096)
        with contextlib.suppress(BlockingIOError):
            rest = rest[wire.sock.send(rest) :]
    router.process.send_signal(signal.SIGTERM)
    assert idle.is_closed()
    try:
        client.read_until(b"\r\n0\r\n\r\n")
    except ConnectionError as error:
        pytest.fail(f"the answer was cut off: {str(error)[:40]}")
    assert router.process.wait(20) == 0


def unsent(sock):
    """Bytes that the peer has not read yet."""
    return struct.unpack("i", fcntl.ioctl(sock, termios.TIOCOUTQ, bytes(4)))[0]


def test_sigterm_does_not_wait_for_endless_streams(router):
    router.connect([LIVE])
    worker = router.worker("s1")
    client = router.client()
    client.start("GET", "/lake/mcp", [SESSION])
    wire, _ = worker.take()
    wire.start_chunked([("Content-Type", "text/event-stream")])
    assert client.read_head().status == 200
    router.process.send_signal(signal.SIGTERM)
    assert router.process.wait(20) == 0


@pytest.mark.parametrize(
    "arguments",
    [[], ["--slot", "1", "--token", "aa", "--listeners", "1"], ["--slot", "x", "--token", "aa", "--listeners", "1"]],
)
def test_bad_arguments(router, arguments):
    router.connect()
    done = subprocess.run([LIBEXEC / "envmux-router", *arguments], capture_output=True, check=False)
    assert done.returncode == 2
    assert done.stderr
