"""The transport of MCP 2024-11-05, HTTP+SSE, in front of stdio backends: on the wire and by the SDKs."""

import asyncio
import concurrent.futures
import json
import pathlib
import subprocess
import sys
import threading

import pytest
from mcp import ClientSession, types
from mcp.client.sse import sse_client

import harness
import lake
import node_tools
from mcp_client import Client
from sse_wire import SseClient

HERE = pathlib.Path(__file__).parent
BACKEND = {"command": sys.executable, "args": [str(HERE / "worker_backend.py")]}


def server(**envmux):
    return {**BACKEND, "envmux": envmux}


@pytest.fixture
def run(envmux):
    return envmux({"mcpServers": {
        "tools": server(),
        "lake": {"command": "frozen-lake", "args": ["--seed", "${envmux:seed}"]},
        "rejecting": server(attach="reject"),
        "replacing": server(attach="replace"),
        "keyed": server(keys=["path"]),
        "hasty": server(idle_timeout="300ms"),
        "revived": server(idle_timeout="300ms", on_idle="revive"),
        "shared": server(keys=["path", "principal"]),
    }})


def gone(run):
    harness.wait_until(lambda: run.sessions() == [], "the session to end")
    assert run.backends() == []


# ---- a session ----------------------------------------------------------------------------------


def test_a_session_lives_as_long_as_its_stream(run):
    with SseClient(run, "/tools/sse") as client:
        assert client.head.get("Content-Type") == "text/event-stream"
        assert client.head.get("X-Accel-Buffering") == "no"
        assert client.endpoint == f"/tools/message?sessionId={client.session_id}"
        answer = client.initialize()
        assert answer["result"]["protocolVersion"] == "2024-11-05"
        assert client.call("echo", a="ü", b=[1, 2]) == {"a": "ü", "b": [1, 2]}
        assert client.seen == []
        (session,) = run.sessions()
        assert session["kind"] == "transport" and session["key"] == client.session_id and session["clients"] == 1
    gone(run)


def test_the_endpoint_is_on_the_address_that_was_asked(run):
    with SseClient(run, "/tools/s/a%2Bb/sse/?x=1") as client:
        assert client.endpoint.startswith("/tools/s/a%2Bb/message?sessionId=")
        assert client.initialize()["result"]
        assert run.sessions()[0]["key"] == "a+b"


def test_bytes_reach_the_backend_as_they_came(run):
    with SseClient(run, "/tools/sse") as client:
        client.initialize()
        body = b'{ "jsonrpc":"2.0",\r\n "id" : "\\u00e9-1", "method":"ping", "params":{"n":1.50} }'
        assert client.post(body).status == 202
        assert client.next_message() == {"jsonrpc": "2.0", "id": "é-1", "result": {}}
        assert body.decode().replace("\r", " ").replace("\n", " ") in client.call("received")


def test_a_named_session_stays_when_its_stream_ends(run):
    with SseClient(run, "/lake/s/mine/sse?seed=123") as client:
        client.initialize()
        assert client.call("lake_move", action="RIGHT")["position"] == 1
    harness.wait_until(lambda: run.sessions()[0]["clients"] == 0, "the client to be detached")

    with SseClient(run, "/lake/s/mine/sse") as client, Client(run.mcp("lake", key="mine"), keep=True) as other:
        assert client.initialize()["result"]
        assert client.call("lake_move", action="RIGHT")["position"] == 2
        assert other.call("lake_move", action="RIGHT")["position"] == 3
        assert run.sessions()[0]["generation"] == 1
    run.ctl("stop", run.sessions()[0]["id"])


def test_the_session_header_names_a_session(run):
    with SseClient(run, "/lake/sse", [("Envmux-Session", "h")]) as client:
        assert client.initialize()["result"]  # by the id alone: some clients send their headers with one of the two
        assert client.post({"jsonrpc": "2.0", "id": 9, "method": "ping"},
                           headers=[("Content-Type", "application/json"), ("Envmux-Session", "h")]).status == 202
        assert client.answer_to(9)["result"] == {}
        assert [(s["kind"], s["key"]) for s in run.sessions()] == [("named", "h")]


def test_twenty_sessions_never_see_each_other(run):
    def play(i):
        seed = list(lake.MAPS)[i % 3]
        with SseClient(run, f"/lake/sse?seed={seed}") as client:
            client.initialize()
            step = client.call("lake_move", action="RIGHT")
            barrier.wait(harness.PATIENCE)
            assert " ".join(step["grid"].split("\n")) == lake.MAPS[seed]
            return client.call("lake_move", action="RIGHT")["position"], client.seen

    barrier = threading.Barrier(20)
    with concurrent.futures.ThreadPoolExecutor(20) as pool:
        results = list(pool.map(play, range(20)))
    assert results == [(2, [])] * 20
    gone(run)


# ---- messages -----------------------------------------------------------------------------------


def test_everything_comes_on_the_one_stream_in_order(run):
    with SseClient(run, "/tools/sse") as client:
        client.initialize()
        held = [client.start_call("hold", _token=name, name=name) for name in ("a", "b")]
        client.call("progress", name="b", step=1, count=2)
        client.call("progress", name="a", step=7)
        client.call("log")
        client.call("news")
        client.call("release", name="b")
        seen = [(m.get("method"), m.get("params", {}).get("progressToken"), m.get("params", {}).get("progress"))
                for m in client.seen if "method" in m]
        assert seen[:4] == [("notifications/progress", "b", 1), ("notifications/progress", "b", 2),
                            ("notifications/progress", "a", 7), ("notifications/message", None, None)]
        assert seen[4] == ("notifications/tools/list_changed", None, None)
        assert [m["id"] for m in client.seen if "method" not in m] == [held[1]]
        client.call("release", name="a")
        assert client.seen[-1]["id"] == held[0]


def test_the_server_may_ask_its_client(run):
    with SseClient(run, "/tools/sse") as client:
        client.initialize()
        call = client.start_call("ask")
        question = client.next_message()
        assert question["method"] == "sampling/createMessage" and question["id"] == "server-1"
        assert client.post({"jsonrpc": "2.0", "id": "server-1", "result": {"said": "yes"}}).status == 202
        assert client.value(client.answer_to(call)) == {"said": "yes"}


def test_a_cancelled_call_is_not_answered(run):
    with SseClient(run, "/tools/sse") as client:
        client.initialize()
        call = client.start_call("hold", name="a")
        client.send("notifications/cancelled", {"requestId": call})
        assert client.call("cancelled") == [call]
        client.call("release", name="a")
        assert client.seen == []


def test_a_batch_is_taken_apart(run):
    with SseClient(run, "/tools/sse") as client:
        client.initialize("2025-03-26")
        ping = {"jsonrpc": "2.0", "method": "ping"}
        assert client.post([{**ping, "id": "x"}, {"jsonrpc": "2.0", "method": "notifications/n"}, {**ping, "id": "y"}]).status == 202
        assert [client.next_message()["id"] for _ in "xy"] == ["x", "y"]


def test_what_goes_wrong_with_a_request_comes_on_the_stream(run):
    with SseClient(run, "/tools/sse") as client:
        early = client.request("tools/list")
        assert early["error"]["data"]["envmux"]["reason"] == "session_required"
        assert client.initialize()["result"]
        assert client.initialize()["error"]["data"]["envmux"]["reason"] == "bad_request"
        held = client.start_call("hold", name="a")
        client.send("ping", id=held)
        assert client.next_message()["error"]["data"]["envmux"]["reason"] == "duplicate_id"
        client.call("release", name="a")
        assert client.seen[-1]["id"] == held and "result" in client.seen[-1]


# ---- refusals -----------------------------------------------------------------------------------


def test_posts_that_nobody_waits_for_are_refused(run):
    with SseClient(run, "/tools/s/a/sse") as a, SseClient(run, "/tools/s/b/sse") as b:
        a.initialize(), b.initialize()
        ping = {"jsonrpc": "2.0", "id": 1, "method": "ping"}
        for endpoint, status, reason in (
            (f"/tools/message?sessionId={'0' * 32}", 404, "unknown_session"),
            ("/tools/message?sessionId=__proto__", 404, "unknown_session"),
            ("/tools/message?sessionId=", 404, "unknown_session"),
            ("/tools/message?sessionId=%00", 404, "unknown_session"),
            ("/tools/message", 400, "session_required"),
            (f"/tools/s/a/message?sessionId={b.session_id}", 404, "unknown_session"),  # another session's
            (f"/tools/s/c/message?sessionId={a.session_id}", 404, "unknown_session"),  # no session's
            (f"/lake/message?sessionId={a.session_id}", 404, "unknown_session"),       # another server's
            (f"/nosuch/message?sessionId={a.session_id}", 404, "unknown_path"),
        ):
            answer = a.post(ping, endpoint)
            assert (answer.status, answer.reason()) == (status, reason), endpoint
        assert a.post(b"{").status == 400 and a.post(b"{").reason() == "parse_error"
        assert a.post(b"[]").status == 400 and a.post(b"{}").reason() == "bad_request"
        assert a.post(ping, headers=[("Content-Type", "text/plain")]).status == 415
        assert len(run.sessions()) == 2 and a.call("echo", still="there") == {"still": "there"}
        # The id alone finds the session too, as any transport's.
        assert a.post({**ping, "id": 99}, f"/tools/message?sessionId={a.session_id}").status == 202
        assert a.answer_to(99)["result"] == {}


def test_other_methods_and_keys_are_refused(run):
    assert run.http("POST", "/tools/sse", {"jsonrpc": "2.0"})[0] == 405
    assert run.http("GET", "/tools/message?sessionId=x")[0] == 405
    assert run.http("GET", "/keyed/sse")[0] == 400
    assert run.http("GET", "/tools/sse?seed=many")[0] == 400
    assert run.sessions() == []
    with SseClient(run, "/keyed/s/k/sse") as client:
        assert client.initialize()["result"]


@pytest.mark.parametrize("header", ["Last-Event-ID", "MCP-Protocol-Version"])
def test_a_client_that_comes_back_by_itself_is_told_to_stop(run, header):
    client = SseClient(run, "/tools/sse", [(header, "2025-11-25")])
    assert client.head.status == 404 and client.head.reason() == "session_ended"
    assert run.sessions() == []


# ---- several clients ----------------------------------------------------------------------------


def test_clients_of_one_session_share_no_ids(run):
    with SseClient(run, "/tools/s/k/sse") as a, SseClient(run, "/tools/s/k/sse") as b:
        a.initialize(), b.initialize()
        first, second = (client.start_call("hold", _token=0, name=name) for client, name in ((a, "a"), (b, "b")))
        assert first == second
        b.call("progress", name="a", step=5)
        a.call("release", name="b")
        a.call("release", name="a")
        assert [m["params"]["progress"] for m in a.seen if "method" in m] == [5]
        assert not [m for m in b.seen if "method" in m]
        assert [m["id"] for m in a.seen if "method" not in m] == [first]
        assert b.answer_to(second)["result"]


def test_clients_without_a_key_share_where_the_server_says_so(run):
    with SseClient(run, "/shared/sse") as a, SseClient(run, "/shared/sse") as b:
        assert a.initialize()["result"] and b.initialize()["result"]
        assert a.call("environment")["pid"] == b.call("environment")["pid"]
        assert [s["kind"] for s in run.sessions()] == ["shared"]
    harness.wait_until(lambda: run.sessions()[0]["clients"] == 0, "the clients to be detached")


def test_a_server_that_rejects_a_second_client(run):
    with SseClient(run, "/rejecting/s/k/sse") as first, SseClient(run, "/rejecting/s/k/sse") as early:
        assert first.initialize()["result"]
        assert early.initialize()["error"]["data"]["envmux"]["reason"] == "session_attached"
        late = SseClient(run, "/rejecting/s/k/sse")
        assert late.head.status == 409 and late.head.reason() == "session_attached"
        assert first.call("echo") == {}


def test_a_server_that_replaces_its_client(run):
    with SseClient(run, "/replacing/s/k/sse") as first:
        first.initialize()
        call = first.start_call("hold", name="a")
        with SseClient(run, "/replacing/s/k/sse") as second:
            assert second.initialize()["result"]
            messages, is_proper = first.rest()
            assert is_proper and [m["id"] for m in messages] == [call]
            assert messages[0]["error"]["data"]["envmux"]["reason"] == "replaced"
            assert [s["generation"] for s in run.sessions()] == [2]


# ---- ends ---------------------------------------------------------------------------------------


def test_a_crash_in_the_middle_of_calls_is_told_on_the_stream(run):
    with SseClient(run, "/tools/sse") as client:
        client.initialize()
        calls = [client.start_call("hold", name=str(i)) for i in range(3)] + [client.start_call("crash")]
        messages, is_proper = client.rest()
        assert is_proper and [m["id"] for m in messages] == calls
        for message in messages:
            told = message["error"]["data"]["envmux"]
            assert told["reason"] == "backend_exited" and told["exit_status"] == 3 and "last words" in told["stderr"]
        assert client.post({"jsonrpc": "2.0", "id": 9, "method": "ping"}).status == 404
    gone(run)


def test_a_start_that_fails_is_told_on_the_stream(envmux):
    run = envmux({"mcpServers": {"dead": {"command": sys.executable, "args": ["-c", "import sys; sys.exit('no luck')"]}}})
    client = SseClient(run, "/dead/sse")
    if client.head.status == 200:  # else it was dead before anybody could listen
        client.post({"jsonrpc": "2.0", "id": 0, "method": "ping"})
        client.rest()
    else:
        assert client.head.status == 503 and client.head.reason() == "start_failed"
    client.close()
    gone(run)


def test_a_client_that_leaves_before_it_says_anything_leaves_nothing(run):
    for path in ("/tools/sse", "/tools/s/k/sse"):
        SseClient(run, path).close()
        gone(run)


def test_a_client_that_says_nothing_holds_up_nobody(run):
    with SseClient(run, "/tools/sse"), SseClient(run, "/tools/sse") as client:
        assert client.initialize()["result"]


def test_a_call_under_way_is_cancelled_when_its_stream_ends(run):
    with Client(run.mcp("tools", key="k"), keep=True) as watcher:
        with SseClient(run, "/tools/s/k/sse") as client:
            client.initialize()
            client.start_call("hold", name="a")
            client.call("echo")
        harness.wait_until(lambda: watcher.call("cancelled"), "the backend to hear of it")


def test_idleness_ends_the_stream_but_no_call(run):
    with SseClient(run, "/hasty/sse") as client, SseClient(run, "/hasty/sse") as other:
        client.initialize()
        client.start_call("hold", name="a")
        other.initialize()
        assert other.rest() == ([], True)  # idle: its stream ends, and shows that the time was long enough
        harness.wait_until(lambda: [s["key"] for s in run.sessions()] == [client.session_id], "the idle one to go")
        client.call("release", name="a")
        assert client.rest() == ([], True)
    gone(run)


def test_a_client_whose_stream_ended_is_not_brought_back(run):
    with SseClient(run, "/revived/sse") as client:
        client.initialize()
        assert client.rest() == ([], True)
        gone(run)
        assert client.post({"jsonrpc": "2.0", "id": 9, "method": "ping"}).status == 404
        assert run.sessions() == []


def test_a_killed_router_ends_the_session(run):
    with SseClient(run, "/tools/sse") as client:
        client.initialize()
        backend = run.backends()[0]
        for router in run.routers():
            router.kill()
        assert client.rest() == ([], False)
        harness.wait_until(lambda: not backend.exists(), "the backend to stop")
    gone(run)


def test_a_killed_supervisor_is_not_noticed(run):
    with SseClient(run, "/tools/sse") as client:
        client.initialize()
        call = client.start_call("hold", name="a")
        run.supervisor().kill()
        client.call("release", name="a")
        assert [m["id"] for m in client.seen] == [call]
        harness.wait_until(lambda: [s["key"] for s in run.sessions()] == [client.session_id], "the session to be adopted")
        assert client.call("echo", a=1) == {"a": 1}


def test_a_reader_that_is_stuck_loses_its_stream_and_nothing_else(run):
    with SseClient(run, "/tools/s/k/sse") as stuck, Client(run.mcp("tools", key="k"), keep=True) as other:
        stuck.initialize()
        stuck.send("tools/call", {"name": "hold", "arguments": {"name": "a"}, "_meta": {"progressToken": 1}}, id="x")
        harness.wait_until(lambda: [line for line in other.call("received") if '"hold"' in line], "the call to arrive")
        for _ in range(40):
            other.call("progress", name="a", step=0, count=4, size=250_000)
            if run.sessions()[0]["clients"] == 1:
                break
        harness.wait_until(lambda: run.sessions()[0]["clients"] == 1, "the reader to be dropped")
        assert other.call("echo", a=1) == {"a": 1}


# ---- the SDKs -----------------------------------------------------------------------------------


async def play(run, seed, moves):
    async with sse_client(f"{run.url}/lake/sse?seed={seed}") as (read, write), ClientSession(read, write) as session:
        await session.initialize()
        assert [tool.name for tool in (await session.list_tools()).tools] == ["lake_move"]
        for action in moves:
            result = await session.call_tool("lake_move", {"action": action})
        return result.structuredContent


def test_the_python_client_plays(run):
    async def all_seeds():
        return await asyncio.gather(*(play(run, seed, lake.MOVES[:2]) for seed in lake.MAPS for _ in range(4)))

    steps = asyncio.run(all_seeds())
    assert [" ".join(step["grid"].split("\n")) for step in steps] == [grid for grid in lake.MAPS.values() for _ in range(4)]
    gone(run)


def test_the_python_client_hears_of_a_crash(run):
    async def crash():
        async with sse_client(f"{run.url}/tools/sse") as (read, write), ClientSession(read, write) as session:
            await session.initialize()
            waiting = asyncio.create_task(session.call_tool("hold", {"name": "a"}))
            await session.call_tool("echo", {})  # the call before it is on its way, too
            with pytest.raises(Exception, match="The backend exited"):
                await session.call_tool("crash", {})
            with pytest.raises(Exception, match="The backend exited"):
                await waiting

    asyncio.run(asyncio.wait_for(crash(), harness.PATIENCE))
    gone(run)


def test_the_python_client_is_asked_for_its_roots(run):
    async def roots(context):
        return types.ListRootsResult(roots=[types.Root(uri="file:///mine", name="mine")])

    async def ask():
        async with sse_client(f"{run.url}/tools/sse") as (read, write), \
                ClientSession(read, write, list_roots_callback=roots) as session:
            await session.initialize()
            return await session.call_tool("ask", {"method": "roots/list"})

    answer = asyncio.run(asyncio.wait_for(ask(), harness.PATIENCE))
    assert json.loads(answer.content[0].text)["roots"][0]["name"] == "mine"


@pytest.mark.skipif(bool(node_tools.missing()), reason=str(node_tools.missing()))
@pytest.mark.parametrize("path", ["/everything/sse", "/everything/s/chosen/sse"])
def test_the_typescript_client_sees_everything(envmux, path):
    run = envmux({"mcpServers": {"everything": {
        "command": "npx", "cwd": str(node_tools.FOLDER), "args": ["-y", "@modelcontextprotocol/server-everything", "stdio"]}}})
    driver = node_tools.installed("everything.mjs")

    done = subprocess.run(["node", driver, "sdk-sse", run.url + path, "old"], capture_output=True, text=True, timeout=90)
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout.splitlines()[-1])

    assert report["server"] == "mcp-servers/everything"
    assert {"echo", "get-sum", "trigger-sampling-request", "get-roots-list"} <= set(report["tools"])
    assert report["echo"] == "Echo: hällo old ✓" and report["sum"] == "The sum of 2 and 40 is 42."
    # This client loses progress that comes together with the result, before the server itself as well: on a busy
    # machine most of it. What it sees belongs to the call.
    a, b = report["progress"]["a"], report["progress"]["b"]
    assert set(a) == {3} and len(a) <= 3 and set(b) == {4} and len(b) <= 4, (a, b)
    assert "sampled by old" in report["sampling"] and report["sampled"] == 1
    assert report["elicited"] == 1 and report["unknownTool"] is True
    if "chosen" in path:
        run.ctl("stop", run.sessions()[0]["id"])
    gone(run)
