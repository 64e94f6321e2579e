"""HTTP+SSE in front of HTTP backends: passed through where they serve it, refused in words where not."""

import asyncio
import json
import pathlib
import subprocess
import sys

import pytest
from mcp import ClientSession, types
from mcp.client.sse import sse_client

import harness
import node_tools
from mcp_client import Client
from sse_wire import SseClient

HERE = pathlib.Path(__file__).parent


def http(script, *arguments, **envmux):
    return {"command": sys.executable, "args": [str(HERE / script), *arguments], "envmux": {"transport": "http", **envmux}}


@pytest.fixture
def run(envmux):
    return envmux({"mcpServers": {
        "old": http("sse_backend.py", "${envmux:port}"),
        "hasty": http("sse_backend.py", "${envmux:port}", idle_timeout="500ms"),
        "strict": http("sse_backend.py", "${envmux:port}", request_timeout="1s"),
        "new": http("cors_backend.py", "${envmux:port}"),
    }})


def gone(run):
    harness.wait_until(lambda: run.sessions() == [], "the session to end")
    assert run.backends() == []


def value(answer):
    return answer["result"]["content"][0]["text"]


def test_a_session_lives_as_long_as_its_stream(run):
    with SseClient(run, "/old/sse") as client:
        assert client.endpoint == f"/old/message?sessionId={client.session_id}"
        assert client.initialize()["result"]["serverInfo"]["name"] == "old"
        environment = client.call("environment")
        (session,) = run.sessions()
        assert environment["ENVMUX_SESSION"] == session["id"]
        assert session["kind"] == "transport" and session["key"] == client.session_id and session["clients"] == 1
        assert len(client.call("big", size=3_000_000)) == 3_000_000
    gone(run)


def test_a_named_session_stays_when_its_stream_ends(run):
    with SseClient(run, "/old/s/mine/sse") as client:
        assert client.endpoint.startswith("/old/s/mine/message?sessionId=")
        client.initialize()
        backend = client.call("environment")["ENVMUX_SESSION"]
    harness.wait_until(lambda: run.sessions()[0]["clients"] == 0, "the client to be detached")
    with SseClient(run, "/old/s/mine/sse") as client:
        client.initialize()
        assert client.call("environment")["ENVMUX_SESSION"] == backend
    run.ctl("stop", backend)


def test_two_clients_of_one_session_are_two_of_the_backends(run):
    with SseClient(run, "/old/s/k/sse") as a, SseClient(run, "/old/s/k/sse") as b:
        a.initialize(), b.initialize()
        held = a.start_call("hold", name="x", _token="t")
        assert a.next_message()["params"]["progressToken"] == "t"
        assert b.call("release", name="x") == "done"
        assert value(a.answer_to(held)) == "released x" and b.seen == []
        assert a.post({"jsonrpc": "2.0", "id": 1, "method": "ping"}, f"/old/s/k/message?sessionId={'0' * 32}").status == 404
        assert a.post({"jsonrpc": "2.0", "id": 1, "method": "ping"}, f"/old/s/l/message?sessionId={a.session_id}").status == 404
        # The backend's own word on what it does not take.
        assert a.post(b"{").status == 400
    run.ctl("stop", run.sessions()[0]["id"])


def test_a_crash_in_the_middle_of_calls_is_told_on_the_stream(run):
    with SseClient(run, "/old/sse") as client:
        client.initialize()
        calls = [client.start_call("hold", name=str(i)) for i in range(2)] + [client.start_call("crash")]
        messages, is_proper = client.rest()
        assert is_proper and [m["id"] for m in messages if "error" in m] == calls
        told = messages[-1]["error"]["data"]["envmux"]
        assert told["reason"] == "backend_exited" and told["exit_status"] == 3 and "last words" in told["stderr"]
        assert client.post({"jsonrpc": "2.0", "id": 9, "method": "ping"}).status == 404
    gone(run)


def test_idleness_ends_the_stream_but_no_call(run):
    with SseClient(run, "/hasty/sse") as client:
        client.initialize()
        held = client.start_call("hold", name="a")
        with SseClient(run, "/hasty/sse") as other:
            other.initialize()
            assert other.rest() == ([], True)  # idle: its stream ends, and shows that the time was long enough
        harness.wait_until(lambda: [s["key"] for s in run.sessions()] == [client.session_id], "the idle one to go")
        client.call("release", name="a")
        assert held in [m.get("id") for m in client.seen + client.rest()[0]]
    gone(run)


def test_a_call_past_its_deadline_is_answered_and_cancelled(run):
    with SseClient(run, "/strict/sse") as client:
        client.initialize()
        held = client.start_call("hold", name="a")
        assert client.answer_to(held)["error"]["data"]["envmux"]["reason"] == "deadline"
        assert client.call("environment")["ENVMUX_SESSION"]


@pytest.mark.parametrize("path", ["/new/sse", "/new/s/k/sse"])
def test_a_backend_without_such_a_stream_is_said_to_have_none(run, path):
    client = SseClient(run, path)
    assert client.head.status == 404 and client.head.reason() == "unknown_path"
    assert "Streamable HTTP" in client.head.json()["error"]["message"]
    gone(run)


def test_a_refused_stream_leaves_a_session_of_others_alone(run):
    with Client(run.mcp("new", key="k"), keep=True):
        assert SseClient(run, "/new/s/k/sse").head.status == 404
        assert [s["key"] for s in run.sessions()] == ["k"]
        run.ctl("stop", run.sessions()[0]["id"])


def test_the_python_client_samples(run):
    async def sample(context, params):
        return types.CreateMessageResult(role="assistant", model="m", content=types.TextContent(type="text", text="sampled"))

    async def ask():
        async with sse_client(f"{run.url}/old/sse") as (read, write), \
                ClientSession(read, write, sampling_callback=sample) as session:
            await session.initialize()
            return await session.call_tool("ask", {})

    answer = asyncio.run(asyncio.wait_for(ask(), harness.PATIENCE))
    assert answer.content[0].text == "sampled"
    gone(run)


@pytest.mark.skipif(bool(node_tools.missing()), reason=str(node_tools.missing()))
def test_the_typescript_client_sees_everything(envmux):
    run = envmux({"mcpServers": {"everything": {
        "command": "npx", "cwd": str(node_tools.FOLDER), "args": ["-y", "@modelcontextprotocol/server-everything", "sse"],
        "env": {"PORT": "${envmux:port}"}, "envmux": {"transport": "http"}}}})
    driver = node_tools.installed("everything.mjs")

    done = subprocess.run(["node", driver, "sdk-sse", run.url + "/everything/sse", "old"], capture_output=True, text=True,
                          timeout=90)
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout.splitlines()[-1])

    assert report["server"] == "mcp-servers/everything" and report["echo"] == "Echo: hällo old ✓"
    assert "sampled by old" in report["sampling"] and report["elicited"] == 1
    assert report["env"]["ENVMUX_SESSION"]
    gone(run)
