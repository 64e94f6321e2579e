"""envmux-router alone, between a supervisor and workers played by the test."""

import json

import pytest

from ipc_frames import KEY_CLIENT, KEY_NAMED, KEY_TRANSPORT
from router_fakes import FAILED, JSON, LIVE, SESSION, TOKEN, UNKNOWN, call, initialize
from router_fakes import pool, router  # noqa: F401 (fixtures)

# ---- the connection to the supervisor -----------------------------------------------------------


def test_hello_names_slot_and_token(router):
    router.connect()
    assert (router.hello.role, router.hello.session_id, router.hello.token) == (2, "3", TOKEN)
    assert router.hello.pid == router.process.pid


def test_live_sessions_are_served_while_the_supervisor_is_away(router, pool):
    link = router.connect([LIVE])
    worker = router.worker("s1")
    link.close()
    client = router.client()
    answer = pool.submit(client.request, "POST", "/lake/mcp", [SESSION], call())
    wire, _ = worker.take()
    wire.respond(200, b"{}")
    assert answer.result().status == 200
    assert client.request("GET", "/readyz").status == 503
    assert client.request("GET", "/healthz").status == 200

    # A question of that time waits for the supervisor's return, and is then asked.
    waiting = pool.submit(router.client().request, "POST", "/lake/mcp", [("Mcp-Session-Id", "new")], call())
    link = router.accept_link()
    router.dump(link, [LIVE])
    question = link.expect("RESOLVE")
    link.resolve_failed(question, UNKNOWN)
    assert waiting.result().status == 404
    assert client.request("GET", "/readyz").status == 200


def test_what_was_asked_is_asked_again_after_a_reconnect(router, pool):
    link = router.connect()
    worker = router.worker("s1")
    answer = pool.submit(router.client().request, "POST", "/lake/mcp", [JSON], initialize())
    first = link.expect("RESOLVE")
    link.close()
    link = router.connect()
    again = link.expect("RESOLVE")
    assert (again.key, again.kind, again.may_create) == (first.key, first.kind, 1)
    link.resolved(again, "s1")
    wire, _ = worker.take()
    wire.respond(200, b"{}")
    assert answer.result().status == 200


def test_a_new_dump_replaces_the_table_and_keeps_connections(router, pool):
    link = router.connect([LIVE, {"id": "s2", "key": "t2"}])
    worker = router.worker("s1")
    client = router.client()
    answer = pool.submit(client.request, "POST", "/lake/mcp", [SESSION], call(1))
    wire, _ = worker.take()
    wire.respond(200, b"{}")
    assert answer.result().status == 200

    link.close()
    link = router.connect([LIVE])  # s2 is not repeated
    router.settle(link)
    answer = pool.submit(client.request, "POST", "/lake/mcp", [SESSION], call(2))
    assert wire.read_message().json()["id"] == 2  # on the connection from before
    wire.respond(200, b"{}")
    assert answer.result().status == 200
    answer = pool.submit(client.request, "POST", "/lake/mcp", [("Mcp-Session-Id", "t2")], call())
    link.resolve_failed(link.expect("RESOLVE"), UNKNOWN)
    assert answer.result().status == 404


def test_a_reload_is_a_dump_on_the_same_connection(router, pool):
    link = router.connect([LIVE])
    worker = router.worker("s2")
    link.send("ROUTER_CONFIG", **{**router.config, "session_header": "X-Rollout"})
    link.send("SERVER", name="pond", keys=6)
    link.put_session("s2", "k", KEY_NAMED, "pond")
    link.send("DUMP_END")
    answer = pool.submit(router.client().request, "GET", "/pond/mcp", [("Mcp-Session-Id", "new")])
    link.resolve_failed(link.expect("RESOLVE"), UNKNOWN)
    assert answer.result().status == 404
    assert router.client().request("POST", "/lake/mcp", [SESSION], call()).reason() == "unknown_path"
    answer = pool.submit(router.client().request, "POST", "/pond/mcp", [("X-Rollout", "k")], call())
    wire, _ = worker.take()
    wire.respond(200, b"{}")
    assert answer.result().status == 200


def test_half_a_dump_changes_nothing(router, pool):
    link = router.connect([LIVE])
    worker = router.worker("s1")
    link.close()
    link = router.accept_link()
    link.send("WELCOME", version=1)
    link.send("ROUTER_CONFIG", **router.config)
    link.put_session("s9", "t1")
    link.close()
    router.accept_link()
    answer = pool.submit(router.client().request, "POST", "/lake/mcp", [SESSION], call())
    wire, _ = worker.take()
    wire.respond(200, b"{}")
    assert answer.result().status == 200


def test_no_answer_in_time_is_told_as_unavailable(router):
    link = router.connect(resolve_timeout_usec=50_000)
    body = initialize(id="x")
    answer = router.client().request("POST", "/lake/mcp", [JSON], body)
    assert answer.status == 200
    assert answer.json()["id"] == "x"
    assert answer.reason() == "unavailable"
    assert answer.json()["error"]["data"]["envmux"]["infra"] is True
    # The id stands in a body that was not read while waiting.
    answer = router.client().request("POST", "/lake/mcp", [("Mcp-Session-Id", "nobody")], call(9))
    assert (answer.status, answer.json()["id"], answer.reason()) == (200, 9, "unavailable")
    answer = router.client().request("GET", "/web/control/reward", [("Mcp-Session-Id", "nobody")])
    assert (answer.status, answer.get("Retry-After"), answer.reason()) == (503, "1", "unavailable")
    link.close()


# ---- passing requests and answers ---------------------------------------------------------------


def test_request_and_answer_pass_as_they_are(router, pool):
    router.connect([{"id": "s1", "key": "t1", "server": "web"}])
    worker = router.worker("s1")
    sent = [
        ("X-First", "1"),
        ("mcp-session-id", "t1"),
        ("Accept", "application/json, text/event-stream"),
        ("Connection", "keep-alive, X-Hop"),
        ("X-Hop", "dropped"),
        ("Envmux-Created", "forged"),
        ("envmux-transport", "forged"),
        ("TE", "trailers"),
        ("x-fIrSt", "  odd   spacing"),
        JSON,
    ]
    body = b'{ "id":1.50,"jsonrpc":"2.0",\n"method":"tools/call","params":{"n":123456789012345678901234567890}}'
    client = router.client()
    answer = pool.submit(client.request, "POST", "/web/mcp/?a=%2F&a=b+c", sent, body)
    wire, request = worker.take()
    assert request.start == "POST /mcp/?a=%2F&a=b+c HTTP/1.1"
    assert request.headers == [
        ("Host", client.host),
        ("X-First", "1"),
        ("mcp-session-id", "t1"),
        ("Accept", "application/json, text/event-stream"),
        ("x-fIrSt", "odd   spacing"),
        JSON,
        ("Content-Length", str(len(body))),
    ]
    assert request.body == body
    wire.respond(202, b"", [("X-Answer", "a"), ("Keep-Alive", "timeout=1"), ("Set-Cookie", "a"), ("Set-Cookie", "b")])
    answer = answer.result()
    assert answer.start == "HTTP/1.1 202 Accepted"
    expected = [("X-Answer", "a"), ("Set-Cookie", "a"), ("Set-Cookie", "b"), ("Content-Length", "0")]
    assert answer.headers == expected


@pytest.mark.parametrize(
    ("path", "target"),
    [
        ("/mcp", "/mcp"),
        ("/mcp/", "/mcp/"),
        ("/lake/mcp?x=1", "/mcp?x=1"),
        ("/s/k%2F1/mcp", "/mcp"),
        ("/lake/s/k%2f1/mcp/?seed=4", "/mcp/?seed=4"),
    ],
)
def test_paths_of_a_stdio_server(router, pool, path, target):
    router.connect([{"id": "s1", "key": "k/1", "kind": KEY_NAMED}])
    worker = router.worker("s1")
    headers = [] if "/s/" in path else [("Envmux-Session", "k/1")]
    answer = pool.submit(router.client().request, "POST", path, [JSON, *headers], call())
    wire, request = worker.take()
    assert request.target == target
    assert not request.get("Envmux-Transport") and not request.get("Envmux-Session")
    wire.respond(200, b"{}")
    assert answer.result().status == 200


def test_connections_to_a_worker_are_used_again(router, pool):
    link = router.connect([LIVE])
    worker = router.worker("s1")
    client = router.client()
    wire = None
    for id in range(5):
        answer = pool.submit(client.request, "POST", "/lake/mcp", [SESSION], call(id))
        wire = wire or worker.accept()
        assert wire.read_message().json()["id"] == id
        wire.respond(200, b"{}")
        assert answer.result().status == 200
    assert worker.has_no_connection()
    link.send("SESSION_GONE", id="s1")
    assert wire.is_closed()


def test_an_event_stream_passes_event_by_event(router):
    router.connect([LIVE])
    worker = router.worker("s1")
    client = router.client()
    client.start("GET", "/lake/mcp", [SESSION, ("Accept", "text/event-stream")])
    wire, request = worker.take()
    assert (request.method, request.get("Content-Length")) == ("GET", None)
    wire.start_chunked([("Content-Type", "text/event-stream")])
    assert client.read_head().status == 200
    for event in (b"data: 1\n\n", b": comment\n\n", b"data: 2\r\n\r\n"):
        wire.send_chunk(event)
        assert client.read_chunk() == event
    client.close()  # the worker hears of it, and decides what it means
    assert wire.is_closed()


def test_answers_without_a_body_keep_their_length(router, pool):
    router.connect([{"id": "s1", "key": "t1", "server": "web"}])
    worker = router.worker("s1")
    client = router.client()
    client.start("HEAD", "/web/files/a", [SESSION])
    wire, request = worker.take()
    assert request.start == "HEAD /files/a HTTP/1.1"
    wire.send(b"HTTP/1.1 200 OK\r\nContent-Length: 1234\r\n\r\n")
    assert client.read_head().get("Content-Length") == "1234"
    client.start("OPTIONS", "/web/files/a", [SESSION])
    wire.read_message()
    wire.send(b"HTTP/1.1 204 No Content\r\nAllow: GET\r\n\r\n")
    answer = client.read_head()
    assert (answer.status, answer.headers) == (204, [("Allow", "GET")])
    client.start("DELETE", "/web/mcp", [SESSION])
    wire.read_message()
    wire.respond(200)
    assert client.read_message().status == 200


def test_pipelined_requests_are_answered_in_order(router):
    router.connect([LIVE])
    worker = router.worker("s1")
    client = router.client()
    for id in (1, 2):
        client.start("POST", "/lake/mcp", [SESSION], call(id))
    client.start("GET", "/healthz")
    wire = worker.accept()
    for id in (1, 2):
        assert wire.read_message().json()["id"] == id
        wire.respond(200, b"%d" % id)
    assert [client.read_message().body for _ in range(3)] == [b"1", b"2", b"ok\n"]


def test_chunked_and_expected_bodies(router, pool):
    router.connect([LIVE])
    worker = router.worker("s1")
    client = router.client()
    client.start("POST", "/lake/mcp", [SESSION, ("Transfer-Encoding", "chunked"), ("Expect", "100-continue")])
    wire = worker.accept()
    assert client.read_head().status == 100
    client.send_chunk(b"{}")
    client.end_chunked()
    request = wire.read_message()
    assert request.get("Expect") is None
    assert (request.get("Transfer-Encoding"), request.body) == ("chunked", b"{}")
    wire.respond(200, b"{}")
    assert client.read_message().status == 200


def test_a_http_1_0_client_gets_a_stream_until_close(router):
    router.connect([LIVE])
    worker = router.worker("s1")
    client = router.client()
    client.send(b"GET /lake/mcp HTTP/1.0\r\nHost: localhost\r\nMcp-Session-Id: t1\r\n\r\n")
    wire, _ = worker.take()
    wire.start_chunked([("Content-Type", "text/event-stream")])
    wire.send_chunk(b"data: 1\n\n")
    wire.end_chunked()
    head = client.read_head()
    assert head.get("Transfer-Encoding") is None
    assert client.read_exactly(9) == b"data: 1\n\n"
    assert client.is_closed()


# ---- creating and finding sessions --------------------------------------------------------------


def test_initialize_creates_a_session_under_a_minted_key(router, pool):
    link = router.connect()
    worker = router.worker("s1")
    body = initialize()
    answer = pool.submit(router.client().request, "POST", "/lake/mcp", [JSON], body)
    question = link.expect("RESOLVE")
    assert (question.server, question.principal, question.kind) == ("lake", "", KEY_TRANSPORT)
    assert (question.may_create, question.has_seed, question.stale_id, question.blob) == (1, 0, "", b"")
    assert len(question.key) == 32 and int(question.key, 16) >= 0
    link.resolved(question, "s1")
    wire, request = worker.take()
    assert request.body == body
    assert request.get("Envmux-Transport") == question.key
    assert request.get("Envmux-Created") == "1"
    passed = [("Mcp-Session-Id", question.key), ("Envmux-Session", "s1"), ("Envmux-Attach", "new")]
    wire.respond(200, b"{}", passed)
    assert answer.result().headers[:3] == passed


def test_two_sessions_get_two_keys(router, pool):
    link = router.connect()
    keys = set()
    for _ in range(2):
        client = router.client()
        client.start("POST", "/lake/mcp", [JSON], initialize())
        keys.add(link.expect("RESOLVE").key)
    assert len(keys) == 2


@pytest.mark.parametrize(
    ("path", "headers", "header_name"),
    [
        ("/lake/s/my-key/mcp", [], "Envmux-Session"),
        ("/s/my-key/mcp", [("Envmux-Session", "other")], "Envmux-Session"),
        ("/mcp", [("envmux-session", "my-key")], "Envmux-Session"),
        ("/mcp", [("X-Rollout", "my-key")], "X-Rollout"),
    ],
)
def test_initialize_with_a_key_of_the_callers(router, pool, path, headers, header_name):
    link = router.connect(session_header=header_name)
    worker = router.worker("s1")
    answer = pool.submit(router.client().request, "POST", path, [JSON, *headers], initialize())
    question = link.expect("RESOLVE")
    assert (question.key, question.kind, question.may_create) == ("my-key", KEY_NAMED, 1)
    link.resolved(question, "s1")
    wire, request = worker.take()
    assert len(request.get("Envmux-Transport")) == 32
    wire.respond(200, b"{}")
    assert answer.result().status == 200


@pytest.mark.parametrize(
    ("query", "extra", "seed"),
    [
        ("", {}, None),
        ("?seed=0", {}, 0),
        ("?seed=-7&x=1", {"seed": 42}, -7),
        ("", {"seed": 42}, 42),
        ("", {"seed": 0, "config": {"seed": 5}}, 0),
        ("", {"config": {"seed": 5, "size": 4}}, 5),
    ],
)
def test_seed_and_config_reach_the_supervisor(router, query, extra, seed):
    link = router.connect()
    client = router.client()
    client.start("POST", "/lake/mcp" + query, [JSON], initialize(**extra))
    question = link.expect("RESOLVE")
    assert (question.seed if question.has_seed else None) == seed
    assert (json.loads(question.blob) if question.blob else None) == extra.get("config")


@pytest.mark.parametrize("seed", ["", "x", "1.5", "1e3", "0x10", "+1", "%201", "99999999999999999999"])
def test_a_seed_that_is_no_integer_is_refused(router, seed):
    router.connect()
    answer = router.client().request("POST", f"/lake/mcp?seed={seed}", [JSON], initialize(id=4))
    assert (answer.status, answer.reason(), answer.json()["id"]) == (400, "bad_request", 4)


def test_client_identity_is_the_key_where_the_server_lists_it(router, pool):
    identity = "3bfc9c19bd448437ccf362754446fe4e"  # what the predecessor calls this client
    extra = {"seed": 42, "config": {"seed": 42, "size": 4, "p": 0.8}}
    link = router.connect()
    worker = router.worker("s1")
    answer = pool.submit(router.client().request, "POST", "/hashed/mcp", [JSON], initialize(**extra))
    question = link.expect("RESOLVE")
    assert (question.key, question.kind) == (identity, KEY_CLIENT)
    link.put_session("s1", identity, KEY_CLIENT, "hashed")
    link.resolved(question, "s1")
    wire, request = worker.take()
    assert request.get("Envmux-Transport") != identity
    wire.respond(200, b"{}")
    assert answer.result().status == 200
    # Elsewhere it is no key, and without one there is nothing to join.
    for path, body in (("/web/mcp", initialize(**extra)), ("/hashed/mcp", initialize())):
        client = router.client()
        client.start("POST", path, [JSON], body)
        assert link.expect("RESOLVE").kind == KEY_TRANSPORT
    # The second client of this identity joins without a question.
    answer = pool.submit(router.client().request, "POST", "/hashed/mcp", [JSON], initialize(**extra))
    request = wire.read_message()
    assert request.get("Envmux-Created") is None and request.get("Envmux-Transport")
    wire.respond(200, b"{}")
    assert answer.result().status == 200


def test_concurrent_first_requests_share_one_question(router, pool):
    link = router.connect()
    worker = router.worker("s1")
    clients = [router.client() for _ in range(8)]
    for client in clients:
        client.start("POST", "/lake/s/k/mcp", [JSON], initialize())
    question = link.expect("RESOLVE")
    # One more client with another question: when that arrives, all before it were read.
    other = router.client()
    other.start("POST", "/lake/s/other/mcp", [JSON], initialize())
    assert link.expect("RESOLVE").key == "other"
    link.resolved(question, "s1")
    created, minted = [], set()
    for _ in clients:
        wire, request = worker.take()
        created.append(request.get("Envmux-Created"))
        minted.add(request.get("Envmux-Transport"))
        wire.respond(200, b"{}")
    assert sorted(created, key=str) == ["1"] + [None] * 7
    assert len(minted) == 8
    assert [client.read_message().status for client in clients] == [200] * 8
    link.expect_nothing()


def test_newest_alias_answers_for_the_predecessors_header(router, pool):
    identity = "4a322ac917f50f7e3f4b08dfd746ffb0"
    link = router.connect([{"id": "s1", "key": "t1", "server": "web"}, {"id": "s2", "key": "t2", "server": "web"}])
    first, second = router.worker("s1"), router.worker("s2")
    for id in ("s1", "s2"):
        link.send("ALIAS", id=id, kind=KEY_CLIENT, key=identity)
    router.settle(link)
    client = router.client()

    def control(header, worker):
        answer = pool.submit(client.request, "GET", "/web/control/reward?a=%20", [("mcp-session-id", header)])
        wire, request = worker.take()
        assert request.start == "GET /control/reward?a=%20 HTTP/1.1"
        wire.respond(200, b'{"reward":0.0}', [("Connection", "close")])
        wire.close()
        assert answer.result().body == b'{"reward":0.0}'

    control(identity, second)
    control("t1", first)
    link.send("SESSION_GONE", id="s2")
    router.settle(link)
    control(identity, first)


def test_unknown_sessions(router, pool):
    link = router.connect()
    client = router.client()

    def unknown(method, path, headers, kinds, body=None):
        answer = pool.submit(client.request, method, path, headers, body)
        for kind in kinds:
            question = link.expect("RESOLVE")
            assert (question.kind, question.may_create) == (kind, 0)
            link.resolve_failed(question, UNKNOWN)
        answer = answer.result()
        assert (answer.status, answer.reason()) == (404, "unknown_session")
        return answer

    header = ("Mcp-Session-Id", "gone")
    unknown("GET", "/mcp", [header], [KEY_TRANSPORT])
    unknown("DELETE", "/lake/mcp", [header], [KEY_TRANSPORT])
    unknown("POST", "/mcp", [header], [KEY_TRANSPORT], call())
    unknown("POST", "/mcp", [header], [KEY_TRANSPORT], initialize())  # never creates
    unknown("POST", "/s/k/mcp", [header], [KEY_NAMED], initialize())
    assert unknown("POST", "/s/k/mcp", [], [KEY_NAMED], call(5)).json()["id"] == 5
    unknown("GET", "/web/control/reward", [header], [KEY_TRANSPORT, KEY_CLIENT])
    unknown("GET", "/web/s/k/control/reward", [], [KEY_NAMED])
    unknown("GET", "/mcp", [("Mcp-Session-Id", "a b")], [])  # no session can have it
    unknown("GET", "/mcp", [("Mcp-Session-Id", "k" * 300)], [])
    unknown("GET", "/mcp", [("Mcp-Session-Id", "__proto__")], [KEY_TRANSPORT])


def test_requests_that_name_no_session(router):
    router.connect()
    client = router.client()
    notification = b'{"jsonrpc":"2.0","method":"notifications/initialized"}'
    batch = b"[" + initialize() + b"]"
    cases = [
        ("GET", "/mcp", None, "session_required", None),
        ("DELETE", "/mcp", None, "session_required", None),
        ("POST", "/mcp", call("a"), "session_required", "a"),
        ("POST", "/mcp", notification, "session_required", None),
        ("POST", "/mcp", batch, "session_required", None),
        ("POST", "/mcp", b"", "parse_error", None),
        ("POST", "/mcp", b"{", "parse_error", None),
        ("POST", "/mcp", b"[" * 1000, "parse_error", None),
        ("POST", "/mcp", b'{"id":1}', "bad_request", None),
    ]
    for method, path, body, reason, id in cases:
        answer = client.request(method, path, [], body)
        assert (answer.status, answer.reason(), answer.json()["id"]) == (400, reason, id)
    answer = client.request("GET", "/web/control/reward")
    assert answer.status == 400
    assert "Missing mcp-session-id header" in answer.json()["error"]
    assert answer.json()["envmux"]["reason"] == "session_required"


def test_initialize_has_a_longest_size(router):
    router.connect()
    big = initialize(note="x" * (1 << 20))
    answer = router.client().request("POST", "/mcp", [JSON], big)
    assert (answer.status, answer.reason()) == (413, "body_too_large")
    client = router.client()
    client.start("POST", "/mcp", [("Transfer-Encoding", "chunked")])
    client.send_chunk(big)
    answer = client.read_message()
    assert (answer.status, answer.reason()) == (413, "body_too_large")


def test_a_clients_config_has_a_longest_size(router):
    link = router.connect()
    answer = router.client().request("POST", "/mcp", [JSON], initialize(id=6, config={"note": "x" * 66_000}))
    assert (answer.status, answer.reason(), answer.json()["id"]) == (413, "body_too_large", 6)
    link.expect_nothing()


def test_keys_that_a_server_does_not_list(router):
    servers = [{"name": "named", "keys": 1 << KEY_NAMED}, {"name": "minted", "keys": 1 << KEY_TRANSPORT}]
    link = router.connect(servers=servers)
    client = router.client()
    answer = client.request("POST", "/named/mcp", [JSON], initialize())
    assert (answer.status, answer.reason()) == (400, "session_required")
    for path, headers in (("/minted/s/k/mcp", []), ("/minted/mcp", [("Envmux-Session", "k")]), ("/minted/s/k", [])):
        answer = client.request("GET", path, headers)
        assert (answer.status, answer.reason()) == (400, "bad_request")
    link.expect_nothing()


def test_a_long_body_for_a_named_session_streams(router, pool):
    router.connect([{"id": "s1", "key": "k", "kind": KEY_NAMED}])
    worker = router.worker("s1")
    big = call(note="x" * (3 << 20))
    for chunked in (False, True):
        client = router.client()
        if chunked:
            client.start("POST", "/lake/s/k/mcp", [("Transfer-Encoding", "chunked")])
            sending = pool.submit(lambda: (client.send_chunk(big), client.end_chunked()))
        else:
            sending = pool.submit(client.start, "POST", "/lake/s/k/mcp", [], big)
        wire, request = worker.take()
        assert request.body == big
        wire.respond(200, b"{}", [("Connection", "close")])
        sending.result()
        assert client.read_message().status == 200


def test_failures_of_a_start_are_told(router, pool):
    link = router.connect()
    failure = {"reason": "capacity", "infra": True, "retry_after": 7, "detail": "64 of 64 sessions are running"}
    client = router.client()
    answer = pool.submit(client.request, "POST", "/mcp", [JSON], initialize(id=3))
    link.resolve_failed(link.expect("RESOLVE"), FAILED, json.dumps(failure).encode())
    answer = answer.result()
    assert (answer.status, answer.json()["id"]) == (200, 3)
    assert answer.json()["error"]["data"]["envmux"] == failure
    answer = pool.submit(client.request, "GET", "/web/s/k/control/x")
    link.resolve_failed(link.expect("RESOLVE"), FAILED, json.dumps(failure).encode())
    answer = answer.result()
    assert (answer.status, answer.get("Retry-After"), answer.json()["envmux"]) == (503, "7", failure)
    ended = {"reason": "session_ended", "infra": False}
    answer = pool.submit(client.request, "GET", "/mcp", [SESSION])
    link.resolve_failed(link.expect("RESOLVE"), UNKNOWN, json.dumps(ended).encode())
    assert (answer.result().status, answer.result().reason()) == (404, "session_ended")
