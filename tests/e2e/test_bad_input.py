"""Bad input at each door: a clear error, nothing lost, nothing crashed."""

import json
import socket

import pytest

from harness import wait_until
from mcp_client import ACCEPT, Client

LAKE = {"mcpServers": {"lake": {"command": "frozen-lake", "args": ["--seed", "${envmux:seed}"]}}}


@pytest.fixture
def run(envmux):
    return envmux(LAKE)


@pytest.fixture(autouse=True)
def bystander(run):
    """A session that lives through every test here, and the daemons too."""
    before = [run.supervisor(), *run.routers()]
    with Client(run.mcp("lake", key="bystander")) as client:
        client.call("lake_move", action="RIGHT")
        yield
        assert client.read("control://status")["step_count"] == 1
    assert all(process.exists() for process in before), "a daemon died\n" + run.log()


def raw(run, data):
    """Sends bytes, returns all that comes back until the server closes."""
    with socket.create_connection(("127.0.0.1", run.port), timeout=10) as s:
        s.sendall(data)
        s.shutdown(socket.SHUT_WR)
        return b"".join(iter(lambda: s.recv(65536), b""))


MALFORMED = {
    "no host": b"GET /mcp HTTP/1.1\r\n\r\n",
    "two hosts": b"GET /mcp HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
    "bare lf": b"GET /mcp HTTP/1.1\nHost: localhost\n\n",
    "folded header": b"GET /mcp HTTP/1.1\r\nHost: localhost\r\nX: a\r\n b\r\n\r\n",
    "two lengths": b"POST /mcp HTTP/1.1\r\nHost: localhost\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\n{}",
    "signed length": b"POST /mcp HTTP/1.1\r\nHost: localhost\r\nContent-Length: +2\r\n\r\n{}",
    "te and cl": b"POST /mcp HTTP/1.1\r\nHost: localhost\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "space before colon": b"GET /mcp HTTP/1.1\r\nHost : localhost\r\n\r\n",
    "nul in header": b"GET /mcp HTTP/1.1\r\nHost: localhost\r\nX: a\0b\r\n\r\n",
    "not http": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
    "bad chunk": b"POST /mcp HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
}


@pytest.mark.parametrize("name", MALFORMED)
def test_malformed_http_is_refused(run, name):
    answer = raw(run, MALFORMED[name])
    assert answer.startswith(b"HTTP/1.1 400 "), answer[:200]


def test_a_head_too_large_is_refused(run):
    answer = raw(run, b"GET /mcp HTTP/1.1\r\nHost: localhost\r\n" + b"X: " + b"a" * 200_000 + b"\r\n\r\n")
    assert answer.startswith(b"HTTP/1.1 431 "), answer[:200]


def parts_of(payload):
    """The sentence and the reason of our error: JSON-RPC's form on MCP's endpoint, a plain one elsewhere."""
    body = json.loads(payload)
    if "envmux" in body:
        return body["error"], body["envmux"]["reason"]
    return body["error"]["message"], body["error"]["data"]["envmux"]["reason"]


def error_of(payload):
    return parts_of(payload)[1]


def post(run, path, body, **headers):
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    return run.http("POST", path, data, {"Content-Type": "application/json", "Accept": ACCEPT, **headers})


INITIALIZE = {"jsonrpc": "2.0", "id": 0, "method": "initialize",
              "params": {"protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": {"name": "n", "version": "1"}}}


@pytest.mark.parametrize("path, body, headers, status, reason", [
    ("/mcp", b"{", {}, 400, "parse_error"),
    ("/mcp", b"", {}, 400, "parse_error"),
    ("/mcp", b"[]", {}, 400, "bad_request"),
    ("/mcp", b"\xff\xfe", {}, 400, "parse_error"),
    ("/mcp", b"[" * 100_000, {}, 400, "parse_error"),
    ("/mcp", {"jsonrpc": "2.0", "id": 1, "method": "tools/list"}, {}, 400, "session_required"),
    ("/mcp", {"jsonrpc": "2.0", "id": 1, "method": "tools/list"}, {"Mcp-Session-Id": "__proto__"}, 404, "unknown_session"),
    ("/mcp", {"jsonrpc": "2.0", "id": 1, "method": "tools/list"}, {"Mcp-Session-Id": "x" * 5000}, 404, "unknown_session"),
    ("/nothing/mcp", INITIALIZE, {}, 404, "unknown_path"),
    ("/lake/s//mcp", INITIALIZE, {}, 404, "unknown_path"),
    ("/lake/s/" + "k" * 1000 + "/mcp", INITIALIZE, {}, 400, "bad_request"),
    ("/lake/s/%00/mcp", INITIALIZE, {}, 400, "bad_request"),
    ("/lake/s/../../mcp", INITIALIZE, {}, 404, "unknown_path"),
    ("/mcp?seed=abc", INITIALIZE, {}, 400, "bad_request"),
    ("/mcp", INITIALIZE, {"Origin": "http://evil.example"}, 403, "forbidden_origin"),
    ("/mcp", INITIALIZE, {"Origin": "null"}, 403, "forbidden_origin"),
    ("/mcp", INITIALIZE, {"Host": "evil.example"}, 403, "forbidden_host"),
    ("/mcp", INITIALIZE, {"Accept": "text/html"}, 406, "not_acceptable"),
    ("/mcp", INITIALIZE, {"Content-Type": "text/plain"}, 415, "unsupported_type"),
])
def test_bad_requests(run, path, body, headers, status, reason):
    got, _, payload = post(run, path, body, **headers)
    assert (got, error_of(payload)) == (status, reason), payload
    # It says what to do, in words.
    assert len(parts_of(payload)[0]) > 20


@pytest.mark.parametrize("headers", [{"Accept": "text/html"}, {"Content-Type": "text/plain"}],
                         ids=lambda h: next(iter(h)))
def test_a_refused_initialize_keeps_nothing(run, headers):
    """Its session would hold a place, and the definition's first start, until the start deadline."""
    before = [session["id"] for session in run.sessions()]
    assert post(run, "/mcp", INITIALIZE, **headers)[0] in (406, 415)
    wait_until(lambda: [session["id"] for session in run.sessions()] == before, "the session to end")


def test_methods_are_named(run):
    status, headers, _ = run.http("PATCH", "/mcp", b"{}")
    assert status == 405
    assert {"GET", "POST", "DELETE"} <= {word.strip() for word in headers["Allow"].split(",")}


@pytest.mark.parametrize("body", [
    b"{", b"[]", b"7", {"seed": "42"}, {"seed": 1.5}, {"seed": 2**70}, {"sede": 42}, {"labels": 7}, {"idle_timeout": "soon"},
    {"idle_timeout": -1}, {"config": {}, "extra": 1},
])
def test_session_api_refuses(run, body):
    status, _, payload = run.http("PUT", "/lake/s/api", body)
    assert status == 400, payload
    assert error_of(payload) in ("bad_request", "parse_error")
    assert run.http("GET", "/lake/s/api")[0] == 404


def test_session_api_body_too_large(run):
    status, _, payload = run.http("PUT", "/lake/s/api", {"config": {"x": "a" * 1_000_000}})
    assert (status, error_of(payload)) == (413, "body_too_large")


def test_a_client_whose_network_is_gone_is_noticed(run):
    """The kernel probes every connection that is silent (timer 02 of /proc/net/tcp is keep-alive)."""
    with socket.create_connection(("127.0.0.1", run.port)) as client:
        client.sendall(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert client.recv(4096).startswith(b"HTTP/1.1 200 ")
        ours = f"0100007F:{run.port:04X} 0100007F:{client.getsockname()[1]:04X}"
        (line,) = [line for line in open("/proc/net/tcp") if ours in line]
        assert line.split()[5].startswith("02:")
