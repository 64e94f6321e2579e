"""What a browser must hear, so that a page of an allowed Origin may use any address, and no other page may."""

import json
import pathlib
import sys

import pytest

import harness
import http_wire

BACKEND = pathlib.Path(__file__).parent / "cors_backend.py"
LOCAL, LISTED, FOREIGN = "http://localhost:5173", "https://app.example", "https://evil.example"
EXPOSED = {"mcp-session-id", "mcp-protocol-version", "envmux-session", "envmux-generation", "envmux-attach",
           "www-authenticate", "retry-after", "allow"}
INITIALIZE = {"jsonrpc": "2.0", "id": 0, "method": "initialize",
              "params": {"protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": {"name": "page", "version": "1"}}}
MCP = {"Content_Type": "application/json", "Accept": "application/json, text/event-stream"}


@pytest.fixture
def run(envmux):
    return envmux({
        "mcpServers": {
            "lake": {"command": "frozen-lake"},
            "web": {"command": sys.executable, "args": [str(BACKEND), "${envmux:port}"], "envmux": {"transport": "http"}},
        },
        "envmux": {"origins": [LISTED]},
    })


def ask(run, method, path, origin=None, body=None, **headers):
    """One request as a browser sends it; the answer's headers as they came."""
    client = http_wire.Client(run.port)
    lines = [*([("Origin", origin)] if origin else []), *((name.replace("_", "-"), value) for name, value in headers.items())]
    answer = client.request(method, path, lines, json.dumps(body).encode() if body is not None else None)
    client.close()
    return answer


def values(answer, name):
    return [value for key, value in answer.headers if key.lower() == name.lower()]


def cors_headers(answer):
    return {key.lower() for key, _ in answer.headers if key.lower().startswith("access-control-")}


def words(text):
    return {word.strip().lower() for word in text.split(",") if word.strip()}


def assert_readable(answer, origin):
    assert values(answer, "Access-Control-Allow-Origin") == [origin]
    assert len(values(answer, "Access-Control-Expose-Headers")) == 1
    assert words(answer.get("Access-Control-Expose-Headers")) == EXPOSED
    assert not values(answer, "Access-Control-Allow-Credentials")
    assert "origin" in words(",".join(values(answer, "Vary")))


@pytest.mark.parametrize("origin", [LOCAL, LISTED])
@pytest.mark.parametrize("path, methods", [
    ("/lake/mcp", {"get", "post", "delete"}),
    ("/lake/s/k/mcp", {"get", "post", "delete"}),
    ("/lake/s/k", {"get", "put", "delete"}),
    ("/lake/s/k/reset", {"post"}),
    ("/lake/sse", {"get"}),
    ("/lake/message?sessionId=x", {"post"}),
    ("/web/control/reward", {"get", "head", "post", "put", "patch", "delete"}),
    ("/nosuch/mcp", {"get", "head", "post", "put", "patch", "delete"}),
    ("/healthz", {"get", "head"}),
])
def test_preflights_are_answered_on_every_path(run, origin, path, methods):
    answer = ask(run, "OPTIONS", path, origin, Access_Control_Request_Method="POST",
                 Access_Control_Request_Headers="content-type,mcp-session-id,mcp-param-x,envmux-session,x-evil")

    assert answer.status == 204 and answer.body == b""
    assert answer.get("Access-Control-Allow-Origin") == origin
    assert words(answer.get("Access-Control-Allow-Methods")) == methods
    assert words(answer.get("Access-Control-Allow-Headers")) == {"content-type", "mcp-session-id", "mcp-param-x",
                                                                 "envmux-session"}
    assert int(answer.get("Access-Control-Max-Age")) > 0
    assert "origin" in words(answer.get("Vary"))
    assert not values(answer, "Access-Control-Allow-Private-Network")
    assert run.sessions() == []


def test_private_network_access_is_allowed_where_it_is_asked_for(run):
    answer = ask(run, "OPTIONS", "/lake/mcp", LISTED, Access_Control_Request_Method="POST",
                 Access_Control_Request_Private_Network="true")
    assert answer.status == 204 and answer.get("Access-Control-Allow-Private-Network") == "true"
    assert not values(answer, "Access-Control-Allow-Headers")


@pytest.mark.parametrize("origin", [FOREIGN, "null", LISTED + ".evil.example"])
@pytest.mark.parametrize("method", ["OPTIONS", "POST", "GET"])
def test_foreign_pages_get_nothing(run, origin, method):
    answer = ask(run, method, "/lake/mcp", origin, INITIALIZE if method == "POST" else None,
                 Access_Control_Request_Method="POST", **({"Content_Type": "application/json"} if method == "POST" else {}))
    assert answer.status == 403 and answer.reason() == "forbidden_origin"
    assert cors_headers(answer) == set()
    assert run.sessions() == []


def test_without_an_origin_nothing_is_added(run):
    answer = ask(run, "POST", "/lake/mcp", None, INITIALIZE, **MCP)
    assert answer.status == 200 and cors_headers(answer) == set() and not values(answer, "Vary")
    answer = ask(run, "OPTIONS", "/lake/mcp", None, Access_Control_Request_Method="POST")
    assert answer.status == 405 and cors_headers(answer) == set()


@pytest.mark.parametrize("server", ["lake", "web"])
def test_a_page_can_read_every_answer_once(run, server):
    first = ask(run, "POST", f"/{server}/s/k/mcp", LOCAL, INITIALIZE, **MCP)
    assert first.status == 200, first
    assert_readable(first, LOCAL)
    session = first.get("Mcp-Session-Id")
    assert session

    call = {"jsonrpc": "2.0", "id": 1, "method": "tools/list"}
    assert_readable(ask(run, "POST", f"/{server}/mcp", LOCAL, call, Mcp_Session_Id=session, **MCP), LOCAL)
    assert_readable(ask(run, "GET", f"/{server}/s/k", LOCAL), LOCAL)
    assert_readable(ask(run, "GET", "/healthz", LOCAL), LOCAL)
    assert_readable(ask(run, "GET", "/readyz", LISTED), LISTED)


def test_a_page_can_read_errors(run):
    for answer, status in (
        (ask(run, "POST", "/nosuch/mcp", LOCAL, INITIALIZE, **MCP), 404),
        (ask(run, "POST", "/lake/mcp", LOCAL, {"jsonrpc": "2.0", "id": 1, "method": "x"}, **MCP), 400),
        (ask(run, "POST", "/lake/mcp", LOCAL, INITIALIZE, Mcp_Session_Id="gone", **MCP), 404),
        (ask(run, "PATCH", "/lake/mcp", LOCAL), 405),
        (ask(run, "POST", "/lake/mcp", LOCAL, INITIALIZE, Content_Type="application/json", Accept="text/html"), 406),
        (ask(run, "GET", "/lake/s/unknown", LOCAL), 404),
    ):
        assert answer.status == status, answer
        assert_readable(answer, LOCAL)


def test_the_backends_own_word_on_origins_does_not_count(run):
    session = ask(run, "POST", "/web/mcp", LOCAL, INITIALIZE, **MCP).get("Mcp-Session-Id")

    answer = ask(run, "GET", "/web/control/reward", LOCAL, Mcp_Session_Id=session)
    assert answer.status == 200 and answer.json() == {"path": "/control/reward"}
    assert_readable(answer, LOCAL)
    assert answer.get("X-Mine") == "kept" and words(",".join(values(answer, "Vary"))) == {"accept", "origin"}

    plain = ask(run, "GET", "/web/control/reward", None, Mcp_Session_Id=session)
    assert plain.get("Access-Control-Allow-Origin") == "*" and plain.get("Access-Control-Expose-Headers") == "X-Mine"


def test_an_event_stream_is_readable(run):
    client = http_wire.Client(run.port)
    client.start("GET", "/lake/sse", [("Origin", LISTED), ("Accept", "text/event-stream")])
    head = client.read_head()
    assert head.status == 200
    assert_readable(head, LISTED)
    client.close()
    harness.wait_until(lambda: run.sessions() == [], "the session to end with its stream")
