"""envmux-router alone: requests of the revision without sessions, and keys that stand in bodies."""

import json
import select

import pytest

from http_wire import PATIENCE
from ipc_frames import (
    ERA_LEGACY, ERA_MODERN, KEY_CLIENT, KEY_HANDLE, KEY_META, KEY_NAMED, KEY_REQUEST, KEY_SHARED, KEY_TRANSPORT,
    KEYLESS_PER_REQUEST, KEYLESS_REJECT,
)
from router_fakes import (
    HTTP, JSON, LEGACY, LIVE, MODERN, NAMED_AND_TRANSPORT, SESSION, UNKNOWN, call, initialize, stateless,
)
from router_fakes import pool, router  # noqa: F401 (fixtures)

HEADERS = [JSON, MODERN]
SHARED = {"id": "s1", "key": "shared", "kind": KEY_SHARED}
NAMED = {"id": "s1", "key": "k", "kind": KEY_NAMED}
META = {"openai/session": "v1/abc"}


def lake(*kinds, **settings):
    """The dump's one server, with further kinds of keys."""
    keys = NAMED_AND_TRANSPORT | sum(1 << kind for kind in kinds)
    meta = {"meta_key": "openai/session"} if KEY_META in kinds else {}
    return {"servers": [{"name": "lake", "is_default": 1, "keys": keys, "era": ERA_MODERN, **meta, **settings}]}


class Asking:
    """One request, sent; the test answers what the router asks, and plays the worker."""

    def __init__(self, router, link, pool, path="/lake/mcp", headers=HEADERS, body=b""):
        self.link = link
        self.answer = pool.submit(router.client().request, "POST", path, list(headers), body)

    def question(self, kind, key=None, may_create=1, is_modern=1):
        question = self.link.expect("RESOLVE")
        assert (question.kind, question.may_create, question.is_modern) == (kind, may_create, is_modern)
        assert key is None or question.key == key
        return question

    def passes(self, worker, status=200, wire=None):
        """The request as the worker gets it; its answer reaches the client."""
        if wire:
            request = wire.read_message()
        else:
            wire, request = worker.take()
        wire.respond(status, b"{}", [("Connection", "close")])
        assert self.answer.result().status == status
        return request

    def is_refused(self, status, reason, code, id):
        answer = self.answer.result()
        error = answer.json()["error"]
        assert (answer.status, answer.reason(), error["code"]) == (status, reason, code)
        assert answer.json()["id"] == id
        return answer


@pytest.fixture
def ask(router, pool):
    def ask(link, *arguments, **options):
        return Asking(router, link, pool, *arguments, **options)

    return ask


# ---- without a key ------------------------------------------------------------------------------


def test_without_a_key_the_principals_one_session_is_asked_for(router, ask):
    link = router.connect()
    worker = router.worker("s1")
    asking = ask(link, body=stateless(method="server/discover", extra={"seed": 7, "config": {"a": 1}}))
    question = asking.question(KEY_SHARED, "shared")
    assert (question.has_seed, question.blob, question.stale_id) == (0, b"", "")  # one client's are not for all
    link.resolved(question, "s1")
    request = asking.passes(worker)
    assert request.get("Envmux-Transport") is None
    assert request.get("Envmux-Created") == "1"


def test_a_live_shared_session_gets_the_request_before_its_body_is_there(router):
    link = router.connect([SHARED], **lake())
    worker = router.worker("s1")
    client = router.client()
    client.start("POST", "/mcp", [*HEADERS, ("Content-Length", "2")])
    wire = worker.accept()
    assert wire.read_head().get("MCP-Protocol-Version") == "2026-07-28"
    client.send(b"{}")
    assert wire.read_exactly(2) == b"{}"
    wire.respond(200, b"{}")
    assert client.read_message().status == 200
    link.expect_nothing()


def test_a_long_body_for_a_shared_session_streams(router, ask):
    link = router.connect([SHARED], **lake())
    worker = router.worker("s1")
    body = stateless(note="x" * (3 << 20))
    assert ask(link, body=body).passes(worker).body == body


def test_transport_ids_and_cursors_are_ignored(router, ask):
    link = router.connect([SHARED, {"id": "s2", "key": "t1"}], **lake())
    worker = router.worker("s1")
    for value in ("t1", "nobody", "a b"):
        headers = [*HEADERS, ("Mcp-Session-Id", value), ("Last-Event-ID", "3")]
        ask(link, headers=headers, body=stateless()).passes(worker)
    link.expect_nothing()


def test_only_post(router):
    link = router.connect([LIVE, SHARED])
    for method in ("GET", "DELETE"):
        answer = router.client().request(method, "/lake/mcp", [MODERN, SESSION])
        assert (answer.status, answer.get("Allow"), answer.reason()) == (405, "POST", "method_not_allowed")
    link.expect_nothing()


def test_the_body_alone_can_tell(router, ask):
    """A proxy may have dropped the header."""
    link = router.connect([SHARED], **lake())
    worker = router.worker("s1")
    ask(link, headers=[JSON], body=stateless()).passes(worker)
    asking = ask(link, "/s/k/mcp", headers=[JSON], body=stateless(3))
    link.resolve_failed(asking.question(KEY_NAMED, "k"), LEGACY)
    asking.is_refused(400, "legacy_only", -32000, 3)


def test_a_server_can_insist_on_a_key(router, ask):
    link = router.connect(**lake(keyless=KEYLESS_REJECT))
    ask(link, body=stateless("a")).is_refused(400, "key_required", -32600, "a")
    ask(link, headers=[JSON], body=stateless("b")).is_refused(400, "key_required", -32600, "b")
    asking = ask(link, headers=[*HEADERS, ("Envmux-Session", "k")], body=stateless())
    worker = router.worker("s1")
    link.resolved(asking.question(KEY_NAMED, "k"), "s1")
    asking.passes(worker)


# ---- a session for each request -----------------------------------------------------------------


def test_each_request_can_get_its_own_session(router, ask):
    link = router.connect(**lake(keyless=KEYLESS_PER_REQUEST))
    worker = router.worker("s1")
    keys = set()
    for _ in range(2):
        asking = ask(link, "/lake/mcp?seed=5", body=stateless(extra={"config": {"a": 1}}))
        question = asking.question(KEY_REQUEST)
        assert (question.seed, json.loads(question.blob)) == (5, {"a": 1})
        assert len(question.key) == 32
        keys.add(question.key)
        link.resolved(question, "s1")
        asking.passes(worker)
    assert len(keys) == 2



@pytest.mark.parametrize(
    "body",
    [
        stateless(requestState="opaque", inputResponses={}),
        stateless(method="tasks/get", taskId="t-1"),
        stateless(method="tasks/update", taskId="t-1", inputResponses={}),
        stateless(method="tasks/cancel", taskId="t-1"),
    ],
)
def test_what_an_answer_gave_out_leads_back(router, ask, body):
    link = router.connect([{"id": "s1", "key": "r1", "kind": KEY_REQUEST}], **lake(keyless=KEYLESS_PER_REQUEST))
    first, second = router.worker("s1"), router.worker("s2")

    # Not known here yet: the supervisor may.
    asking = ask(link, body=body)
    question = asking.question(KEY_HANDLE, may_create=0)
    link.resolved(question, "s1", is_created=0)
    asking.passes(first)

    # From the table, without a question.
    link.send("ALIAS", id="s1", kind=KEY_HANDLE, key=question.key)
    router.settle(link)
    ask(link, body=body).passes(first)
    link.expect_nothing()

    # When its session is over, another one may still know what to do with it.
    link.send("SESSION_GONE", id="s1")
    router.settle(link)
    asking = ask(link, body=body)
    link.resolve_failed(asking.question(KEY_HANDLE, question.key, may_create=0), UNKNOWN)
    link.resolved(asking.question(KEY_REQUEST), "s2")
    assert asking.passes(second).get("Envmux-Created") == "1"


def test_handles_of_different_kinds_are_different_keys(router, ask):
    link = router.connect(**lake(keyless=KEYLESS_PER_REQUEST))
    keys = set()
    for body in (stateless(requestState="x"), stateless(method="tasks/get", taskId="x"), stateless(requestState="y")):
        asking = ask(link, body=body)
        question = asking.question(KEY_HANDLE, may_create=0)
        keys.add(question.key)
        link.resolve_failed(question, LEGACY)
        asking.is_refused(400, "legacy_only", -32000, 0)
    assert len(keys) == 3


def test_a_notification_starts_no_session_of_its_own(router, ask):
    link = router.connect(**lake(keyless=KEYLESS_PER_REQUEST))
    body = b'{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":1}}'
    answer = ask(link, body=body).answer.result()
    assert (answer.status, answer.body) == (202, b"")
    link.expect_nothing()


# ---- with a key ---------------------------------------------------------------------------------


@pytest.mark.parametrize("method", ["server/discover", "tools/call", "subscriptions/listen"])
def test_any_request_starts_the_session_it_names(router, ask, method):
    link = router.connect()
    extra = {"seed": 42, "config": {"size": 4}}
    asking = ask(link, "/lake/s/k/mcp", body=stateless(method=method, extra=extra))
    question = asking.question(KEY_NAMED, "k")
    assert (question.seed, json.loads(question.blob)) == (42, {"size": 4})
    worker = router.worker("s1")
    link.resolved(question, "s1")
    asking.passes(worker)


def test_a_live_named_session_gets_the_request_before_its_body_is_there(router):
    router.connect([NAMED], **lake())
    worker = router.worker("s1")
    client = router.client()
    client.start("POST", "/mcp", [*HEADERS, ("Envmux-Session", "k"), ("Content-Length", "2")])
    wire = worker.accept()
    assert wire.read_head().get("MCP-Protocol-Version") == "2026-07-28"
    client.send(b"{}")
    wire.read_exactly(2)
    wire.respond(200, b"{}")
    assert client.read_message().status == 200


def test_a_session_that_just_ended_is_started_anew_with_the_clients_settings(router, ask):
    link = router.connect([NAMED], **lake())
    old, new = router.worker("s1"), router.worker("s2")
    asking = ask(link, "/s/k/mcp", body=stateless(extra={"seed": 3, "config": {"size": 8}}))
    wire, _ = old.take()
    wire.respond(410, b"", [("Envmux-Gone", "1")])
    question = asking.question(KEY_NAMED, "k")
    assert (question.stale_id, question.seed, json.loads(question.blob)) == ("s1", 3, {"size": 8})
    link.resolved(question, "s2")
    asking.passes(new)


def test_a_session_that_ends_while_the_request_comes_in_is_not_started_anew_without_its_settings(router):
    link = router.connect([NAMED], **lake())
    worker = router.worker("s1")
    client = router.client()
    body = stateless(4)
    client.start("POST", "/s/k/mcp", [*HEADERS, ("Content-Length", str(len(body)))])
    wire = worker.accept()
    wire.read_head()
    wire.respond(410, b"", [("Envmux-Gone", "1")])
    assert wire.is_closed()
    client.send(body)
    answer = client.read_message()
    assert (answer.status, answer.json()["id"], answer.reason()) == (200, 4, "stopping")
    link.expect_nothing()


def test_an_entry_of_meta_names_the_session(router, ask):
    link = router.connect(**lake(KEY_META, KEY_CLIENT))
    worker = router.worker("s1")
    asking = ask(link, body=stateless(meta=META, extra={"seed": 9}))
    question = asking.question(KEY_META, "v1/abc")
    assert question.seed == 9
    link.put_session("s1", "v1/abc", KEY_META)
    link.resolved(question, "s1")
    asking.passes(worker)
    ask(link, body=stateless(meta=META)).passes(worker)
    ask(link, headers=[*HEADERS, SESSION], body=stateless(meta=META)).passes(worker)
    link.expect_nothing()
    # Path before meta before client before the principal.
    asking = ask(link, "/s/k/mcp", body=stateless(meta=META))
    link.resolved(asking.question(KEY_NAMED, "k"), "s1")
    asking.passes(worker)
    asking = ask(link, body=stateless(extra={"session_id": "mine"}))
    link.resolved(asking.question(KEY_CLIENT, "mine"), "s1")
    asking.passes(worker)
    asking = ask(link, body=stateless(meta={"openai/session": 7}))
    link.resolved(asking.question(KEY_SHARED, "shared"), "s1")
    asking.passes(worker)


def test_an_entry_of_meta_that_can_be_no_key(router, ask):
    link = router.connect(**lake(KEY_META))
    for value in ("", "a b", "é", "k" * 300):
        ask(link, body=stateless(5, meta={"openai/session": value})).is_refused(400, "bad_request", -32600, 5)
    link.expect_nothing()


def test_bodies_that_must_be_looked_into_have_a_longest_size(router):
    link = router.connect(**lake(KEY_META))
    big = stateless(note="x" * (1 << 20))
    for path in ("/mcp", "/s/k/mcp"):
        answer = router.client().request("POST", path, HEADERS, big)
        assert (answer.status, answer.reason()) == (413, "body_too_large")
    client = router.client()
    client.start("POST", "/mcp", [*HEADERS, ("Transfer-Encoding", "chunked")])
    client.send_chunk(big)
    assert client.read_message().status == 413
    link.expect_nothing()


def test_what_is_not_json_is_told_by_the_router(router, ask):
    link = router.connect(**lake(KEY_META))
    ask(link, "/s/k/mcp", body=b"{").is_refused(400, "parse_error", -32700, None)
    ask(link, body=b'{"id":1}').is_refused(400, "bad_request", -32600, None)
    link.expect_nothing()


# ---- eras ---------------------------------------------------------------------------------------


def test_a_server_of_the_older_revisions_is_told_at_once(router, ask):
    link = router.connect([LIVE], **lake(KEY_META, era=ERA_LEGACY))
    worker = router.worker("s1")
    ask(link, body=stateless("probe-1", "server/discover")).is_refused(400, "legacy_only", -32000, "probe-1")
    ask(link, "/s/k/mcp", body=stateless(2)).is_refused(400, "legacy_only", -32000, 2)
    ask(link, headers=[JSON], body=stateless(3)).is_refused(400, "legacy_only", -32000, 3)
    link.expect_nothing()
    # ... and serves them.
    ask(link, headers=[JSON, SESSION], body=call()).passes(worker)


def test_the_supervisor_finds_the_era_out(router, ask):
    link = router.connect()
    asking = ask(link, body=stateless("probe-1", "server/discover"))
    link.resolve_failed(asking.question(KEY_SHARED), LEGACY)
    asking.is_refused(400, "legacy_only", -32000, "probe-1")

    server = {"name": "lake", "is_default": 1, "keys": NAMED_AND_TRANSPORT}
    link.send("SERVER", era=ERA_LEGACY, **server)
    router.settle(link)
    ask(link, body=stateless(1)).is_refused(400, "legacy_only", -32000, 1)
    link.send("SERVER", era=ERA_MODERN, **server)
    router.settle(link)
    asking = ask(link, body=stateless())
    worker = router.worker("s1")
    link.resolved(asking.question(KEY_SHARED), "s1")
    asking.passes(worker)


def test_a_live_session_does_not_find_its_servers_era_out(router, ask):
    """PUT, or a client of an older revision, may have made it before anybody asked."""
    server = {"name": "lake", "is_default": 1, "keys": NAMED_AND_TRANSPORT}
    link = router.connect([SHARED, {"id": "s2", "key": "k", "kind": KEY_NAMED}], servers=[server])
    shared, named = router.worker("s1"), router.worker("s2")
    asking = ask(link, body=stateless())
    link.resolved(asking.question(KEY_SHARED, "shared"), "s1", is_created=0)
    asking.passes(shared)
    asking = ask(link, "/s/k/mcp", body=stateless())
    link.resolved(asking.question(KEY_NAMED, "k"), "s2", is_created=0)
    asking.passes(named)
    link.send("SERVER", era=ERA_MODERN, **server)
    router.settle(link)
    ask(link, "/s/k/mcp", body=stateless()).passes(named)
    link.expect_nothing()


def test_initialize_with_the_header_of_the_newest_revision(router, ask):
    """It claims nothing itself: its header is wrong, and no session is started for it."""
    link = router.connect(**lake(KEY_META))
    ask(link, body=initialize(4)).is_refused(400, "header_mismatch", -32020, 4)
    link.expect_nothing()


# ---- the older revisions ------------------------------------------------------------------------


def test_clients_of_one_principal_share_a_session(router, ask):
    link = router.connect(**lake(KEY_SHARED))
    worker = router.worker("s1")
    asking = ask(link, "/mcp?seed=3", headers=[JSON], body=initialize(config={"a": 1}))
    question = asking.question(KEY_SHARED, "shared-legacy", is_modern=0)
    assert (question.has_seed, question.blob) == (0, b"")
    link.put_session("s1", "shared-legacy", KEY_SHARED)
    link.resolved(question, "s1")
    first = asking.passes(worker).get("Envmux-Transport")
    second = ask(link, headers=[JSON], body=initialize()).passes(worker).get("Envmux-Transport")
    assert len(first) == len(second) == 32 and first != second
    link.expect_nothing()
    # Its process speaks one era: stateless requests have another one.
    asking = ask(link, body=stateless())
    link.resolved(asking.question(KEY_SHARED, "shared"), "s1")
    asking.passes(worker)
    answer = router.client().request("POST", "/mcp", [JSON], call(8))
    assert (answer.status, answer.reason(), answer.json()["id"]) == (400, "session_required", 8)


def test_an_entry_of_meta_needs_no_initialize(router, ask):
    link = router.connect([LIVE], **lake(KEY_META, KEY_SHARED))
    worker, other = router.worker("s2"), router.worker("s1")
    asking = ask(link, "/mcp?seed=6", headers=[JSON], body=call(_meta=META))
    question = asking.question(KEY_META, "v1/abc", is_modern=0)
    assert question.seed == 6
    link.put_session("s2", "v1/abc", KEY_META)
    link.resolved(question, "s2")
    assert asking.passes(worker).get("Envmux-Transport") is None
    # Whatever transport session it comes in.
    for headers in ([JSON], [JSON, SESSION], [JSON, ("Mcp-Session-Id", "ended")]):
        ask(link, headers=headers, body=call(_meta=META)).passes(worker)
    initialized = json.loads(initialize())
    initialized["params"]["_meta"] = META
    request = ask(link, headers=[JSON], body=json.dumps(initialized).encode()).passes(worker)
    assert len(request.get("Envmux-Transport")) == 32
    link.expect_nothing()
    # Without the entry, or with one that is no text, the transport's id counts; a path before all.
    for body in (call(), call(_meta={"openai/session": None}), b'{"jsonrpc":"2.0","id":1,"result":{}}', b"[]"):
        ask(link, headers=[JSON, SESSION], body=body).passes(other)
    ask(link, headers=[JSON, SESSION], body=call(_meta=META, note="x" * (1 << 20))).passes(other)
    asking = ask(link, "/s/k/mcp", headers=[JSON], body=call(7, _meta=META))
    link.resolve_failed(asking.question(KEY_NAMED, "k", may_create=0, is_modern=0), UNKNOWN)
    asking.is_refused(404, "unknown_session", -32600, 7)


def test_an_initialize_in_a_session_never_starts_another(router, ask):
    link = router.connect(**lake(KEY_META))
    asking = ask(link, headers=[JSON, ("Mcp-Session-Id", "ended")], body=initialize(2))
    link.resolve_failed(asking.question(KEY_TRANSPORT, "ended", may_create=0, is_modern=0), UNKNOWN)
    asking.is_refused(404, "unknown_session", -32600, 2)


def test_an_http_backend_gets_the_same_keys(router, ask):
    link = router.connect(**lake(transport=HTTP))
    asking = ask(link, body=stateless())
    worker = router.worker("s1")
    link.resolved(asking.question(KEY_SHARED, "shared"), "s1")
    asking.passes(worker)


# ---- bounds -------------------------------------------------------------------------------------


def test_all_bodies_that_are_being_read_have_a_longest_size_together(router):
    """4 MiB here, where few clients are configured."""
    link = router.connect()
    long = initialize(note="x" * 900_000)
    waiting = [router.client() for _ in range(5)]
    for client in waiting:
        client.start("POST", "/mcp", [JSON, ("Content-Length", str(len(long)))])
        client.send(long[:-1])
    sockets = {client.sock: client for client in waiting}
    answered, _, _ = select.select(sockets, [], [], PATIENCE)
    refused = sockets.pop(answered[0]).read_message()
    assert (len(answered), refused.status, refused.reason()) == (1, 503, "overloaded")
    assert refused.get("Retry-After")
    assert select.select(sockets, [], [], 0)[0] == []
    # What one gives back another may use, once the router has heard of it.
    for client in waiting:
        client.close()
    answer = refused
    while answer.status == 503:
        client = router.client()
        client.start("POST", "/mcp", [JSON, ("Content-Length", "2")], None)
        client.send(b"[]")
        answer = client.read_message()
    assert (answer.status, answer.reason()) == (400, "bad_request")
    link.expect_nothing()
