"""What requests that break a rule get (MCP 2025-03-26 to 2025-11-25, Streamable HTTP): row by row the status that
the specification and the official SDK give, from that server itself and through envmux on both transports."""

import dataclasses
import json
import urllib.parse

import pytest

import conformance
import harness
import http_wire
import node_tools

pytestmark = pytest.mark.skipif(bool(node_tools.missing()), reason=str(node_tools.missing()))

TARGETS = ("direct", "stdio", "http")
JSON, EVENTS = "application/json", "text/event-stream"
BODY_MAX = 1024 * 1024
PING = {"jsonrpc": "2.0", "id": "p", "method": "ping"}


def initialize(id=0):
    return {"jsonrpc": "2.0", "id": id, "method": "initialize",
            "params": {"protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": {"name": "rows", "version": "1"}}}


@dataclasses.dataclass
class Target:
    """One way to the server."""

    name: str
    url: str
    session: str = ""

    def ask(self, method="POST", body=None, accept=f"{JSON}, {EVENTS}", kind=JSON, session=None, client=None, **headers):
        """One request; session None: the one that is open, "": none."""
        parts = urllib.parse.urlsplit(self.url)
        client = client or http_wire.Client(parts.port)
        session = self.session if session is None else session
        data = body if body is None or isinstance(body, bytes) else json.dumps(body).encode()
        lines = [(name.replace("_", "-"), value) for name, value in headers.items()]
        lines += [("Accept", accept)] if accept else []
        lines += [("Content-Type", kind)] if data is not None and kind else []
        lines += [("Mcp-Session-Id", session)] if session else []
        client.start(method, parts.path, lines, data)
        return client

    def answer(self, *arguments, **options):
        client = self.ask(*arguments, **options)
        answer = client.read_message()
        client.close()
        return answer

    def open(self):
        answer = self.answer(body=initialize(), session="")
        assert answer.status == 200, answer
        self.session = answer.get("Mcp-Session-Id")
        assert self.answer(body={"jsonrpc": "2.0", "method": "notifications/initialized"}).status == 202
        return self


def message(answer):
    """The one JSON-RPC message of an answer, JSON or events."""
    if answer.get("Content-Type", "").startswith(EVENTS):
        data = [line[5:].strip() for line in answer.body.decode().splitlines() if line.startswith("data:")]
        (text,) = [line for line in data if line]
        return json.loads(text)
    return answer.json()


@pytest.fixture(scope="module")
def urls(tmp_path_factory):
    config = conformance.configuration()
    config["envmux"] = {"body_max": BODY_MAX}
    run = harness.Envmux(tmp_path_factory.mktemp("e"), config)
    try:
        with conformance.directly() as direct:
            yield {"direct": direct, "stdio": run.mcp("stdio"), "http": run.mcp("http")}
        run.stop()
    finally:
        run.kill_everything()


@pytest.fixture(scope="module")
def opened(urls):
    """One session each, which every row is to leave unharmed."""
    return {name: Target(name, urls[name]).open() for name in TARGETS}


@pytest.fixture(params=TARGETS)
def target(request, opened):
    return opened[request.param]


@pytest.fixture(params=TARGETS)
def fresh(request, urls):
    """A session of the test's own."""
    return Target(request.param, urls[request.param]).open()


# label, the request, the status, and the JSON-RPC codes that may stand with it
ROWS = [
    ("Accept lacks events", {"body": PING, "accept": JSON}, 406, None),
    ("Accept lacks JSON", {"body": PING, "accept": EVENTS}, 406, None),
    ("Accept is anything", {"body": PING, "accept": "*/*"}, 406, None),
    ("Accept is absent", {"body": PING, "accept": None}, 406, None),
    ("Content-Type is text", {"body": PING, "kind": "text/plain"}, 415, None),
    ("Content-Type is absent", {"body": PING, "kind": None}, 415, None),
    ("bad JSON", {"body": b'{"jsonrpc":'}, 400, {-32700}),
    ("no JSON-RPC", {"body": {"jsonrpc": "1.0", "id": 1, "method": "ping"}}, 400, {-32700, -32600}),
    ("a batch of nothing", {"body": []}, 400, {-32700, -32600}),
    ("initialize in a batch", {"body": [initialize(), PING]}, 400, {-32600}),
    ("initialize again", {"body": initialize(7)}, 400, {-32600}),
    ("no session", {"body": PING, "session": ""}, 400, None),
    ("an unknown session", {"body": PING, "session": "0" * 32}, 404, None),
    ("a strange session", {"body": PING, "session": "__proto__"}, 404, None),
    ("an unknown revision", {"body": PING, "MCP_Protocol_Version": "1999-01-01"}, 400, None),
    ("GET without Accept", {"method": "GET", "accept": JSON}, 406, None),
    ("GET of no session", {"method": "GET", "accept": EVENTS, "session": ""}, 400, None),
    ("GET of an unknown session", {"method": "GET", "accept": EVENTS, "session": "0" * 32}, 404, None),
    ("DELETE of no session", {"method": "DELETE", "accept": "*/*", "session": ""}, 400, None),
    ("DELETE of an unknown session", {"method": "DELETE", "accept": "*/*", "session": "0" * 32}, 404, None),
    ("a foreign page", {"body": PING, "Origin": "https://evil.example"}, 403, None),
    ("a foreign name", {"body": PING, "Host": "evil.example"}, 403, None),
]


@pytest.mark.parametrize("label, request_, status, codes", ROWS, ids=[row[0].replace(" ", "-") for row in ROWS])
def test_a_row(target, label, request_, status, codes):
    answer = target.answer(**request_)
    assert answer.status == status, answer
    error = answer.json()["error"]
    assert isinstance(error["code"], int) and error["message"]
    assert codes is None or error["code"] in codes, error
    assert target.answer(body=PING).status == 200  # the session took no harm


def test_what_needs_no_answer_is_accepted_without_a_body(target):
    for body in ({"jsonrpc": "2.0", "method": "notifications/roots/list_changed"},
                 {"jsonrpc": "2.0", "id": "nobody-asked", "result": {}}):
        answer = target.answer(body=body)
        assert answer.status == 202 and answer.body == b"", answer


@pytest.mark.parametrize("id", [0, -7, 2**53 - 1, "", "a b", "ü", "1"])
def test_ids_come_back_as_they_were(target, id):
    for method, member in (("ping", "result"), ("no/such/method", "error")):
        answer = target.answer(body={"jsonrpc": "2.0", "id": id, "method": method})
        assert answer.status == 200
        assert message(answer)["id"] == id and type(message(answer)["id"]) is type(id)
        assert member in message(answer)
        if member == "error":
            assert message(answer)["error"]["code"] == -32601


def test_a_second_stream_is_refused_and_the_first_goes_on(fresh):
    first = fresh.ask("GET", accept=EVENTS)
    assert first.read_head().status == 200
    assert fresh.answer("GET", accept=EVENTS).status == 409
    first.close()


def test_after_a_delete_the_id_is_unknown(fresh):
    assert fresh.answer("DELETE", accept="*/*").status in (200, 204)
    assert fresh.answer(body=PING).status == 404
    assert fresh.answer("GET", accept=EVENTS).status == 404
    assert fresh.answer("DELETE", accept="*/*").status == 404


@pytest.mark.parametrize("method", ["PUT", "PATCH", "HEAD"])
def test_other_methods_say_which_there_are(urls, method):
    for name in ("stdio", "http"):
        answer = http_wire.Client(urllib.parse.urlsplit(urls[name]).port)
        answer.start(method, urllib.parse.urlsplit(urls[name]).path, [("Content-Type", JSON)])
        head = answer.read_head()
        assert head.status == 405 and {word.strip() for word in head.get("Allow").split(",")} == {"GET", "POST", "DELETE"}
        answer.close()


def test_a_body_beyond_the_limit_is_too_large(urls):
    for name in ("stdio", "http"):
        target = Target(name, urls[name]).open()
        answer = target.answer(body={**PING, "params": {"x": "x" * BODY_MAX}})
        assert answer.status == 413 and answer.reason() == "body_too_large"
        assert target.answer(body=PING).status == 200
