"""Clients that keep no transport session but an entry of _meta, as ChatGPT does with openai/session."""

import asyncio
import contextlib
import json
import pathlib
import sys
import threading

import mcp
import pytest
from mcp.client.streamable_http import streamable_http_client

import fake_router
import ipc_frames
from harness import wait_until
from mcp_client import ACCEPT, Client, McpError

CHAT = "openai/session"
BACKEND = pathlib.Path(__file__).resolve().with_name("worker_backend.py")
HTTP_BACKEND = BACKEND.with_name("worker_http_backend.py")


def config(routers=2, **keys):
    keys = {"keys": [f"meta:{CHAT}", "principal"]} | keys
    return {"mcpServers": {"tools": {"command": sys.executable, "args": [str(BACKEND)], "envmux": keys}},
            "envmux": {"routers": routers}}


def http_config(**keys):
    return {"mcpServers": {"tools": {
        "command": sys.executable, "args": [str(HTTP_BACKEND), "--port", "${envmux:port}"],
        "envmux": {"keys": [f"meta:{CHAT}", "principal"], "transport": "http"} | keys}}, "envmux": {"routers": 2}}


def sessions(run, **wanted):
    return [s for s in run.sessions() if all(s.get(name) == value for name, value in wanted.items())]


def keyed(client, tool, conversation, **arguments):
    """A tool call of a conversation; the parsed text of its answer."""
    result = client.request("tools/call", {"name": tool, "arguments": arguments, "_meta": {CHAT: conversation}})
    text = result["content"][0]["text"]
    return json.loads(text) if text[0] in "[{" else text


def counted(client, conversation):
    """How many calls with this mark the backend of the conversation has read: its state."""
    return sum("mark" in line for line in keyed(client, "received", conversation))


@pytest.mark.anyio
async def test_twenty_transport_sessions_are_one_conversation(envmux):
    """With the official client, each call in a transport session of its own, several at a time."""
    run = envmux(config())

    async def call(conversation, n):
        async with streamable_http_client(run.mcp("tools")) as (read, write, _), mcp.ClientSession(read, write) as client:
            await client.initialize()
            await client.call_tool("echo", {"mark": n}, meta={CHAT: conversation})
            answer = await client.call_tool("environment", {}, meta={CHAT: conversation})
            return json.loads(answer.content[0].text)["pid"]

    pids = await asyncio.gather(*(call("one", n) for n in range(20)))
    other = await call("other", 0)
    assert len(set(pids)) == 1 and other not in pids
    assert sorted(s["kind"] for s in run.sessions()) == ["meta", "meta", "shared"]
    with Client(run.mcp("tools")) as client:
        assert counted(client, "one") == 20 and counted(client, "other") == 1


def test_what_carries_only_the_session_id_follows_the_conversation(envmux):
    run = envmux(config())
    with Client(run.mcp("tools")) as client, Client(run.mcp("tools")) as second:
        assert keyed(client, "echo", "c", a=1) == {"a": 1}
        answers = []
        asking = threading.Thread(target=lambda: answers.append(keyed(second, "ask", "c")))
        asking.start()
        wait_until(lambda: sum(s["in_flight"] for s in sessions(run, kind="meta")) == 1, "the call")
        answer = {"jsonrpc": "2.0", "id": "server-1", "result": {"from": "its client"}}
        with Client(run.mcp("tools"), keep=True) as third:  # another connection of the second client
            third.session_id = second.session_id
            assert third.send("POST", answer)[0] == 202
        asking.join()
        assert answers == [{"from": "its client"}]
        # The GET stream, too: it is the conversation's backend that speaks on it.
        with contextlib.closing(_listen(run, client)) as stream:
            keyed(second, "news", "c")
            assert b"list_changed" in stream.until(b"list_changed")


class _listen:
    def __init__(self, run, client):
        self.client = Client(run.mcp("tools"))
        headers = {"Accept": "text/event-stream", "Mcp-Session-Id": client.session_id}
        self.client.connection.request("GET", self.client.target, headers=headers)
        self.answer = self.client.connection.getresponse()
        assert self.answer.status == 200

    def until(self, word):
        read = b""
        while word not in read:
            line = self.answer.readline()
            assert line, read
            read += line
        return read

    def close(self):
        self.client.connection.close()


def test_an_id_of_its_own_session_follows_as_well(envmux):
    """Where each transport session has a backend, the conversation's is the newer claim on its id."""
    run = envmux(config(keys=[f"meta:{CHAT}", "transport"]))
    with Client(run.mcp("tools")) as client:
        own = client.call("environment")["pid"]
        theirs = keyed(client, "environment", "c")["pid"]
        assert own != theirs
        assert client.call("environment")["pid"] == theirs
        for router in run.routers():
            router.kill()  # the next ones know it from the table alone
        wait_until(lambda: _pid_of(client) == theirs, "routers that know")


def _pid_of(client):
    with contextlib.suppress(OSError, McpError, AssertionError):
        return client.call("environment")["pid"]
    return None


def test_leaving_ends_nothing_and_idleness_does(envmux):
    run = envmux(config(idle_timeout="1s"))
    with Client(run.mcp("tools")) as client:
        keyed(client, "echo", "c", mark=1)
    assert sessions(run, kind="meta")
    with Client(run.mcp("tools")) as client:
        assert counted(client, "c") == 1
    wait_until(lambda: run.sessions() == [], "the idle end")
    with Client(run.mcp("tools")) as client:
        assert counted(client, "c") == 0


def test_a_conversation_sleeps_and_goes_on(envmux):
    run = envmux(config(idle_timeout="300ms", on_idle="revive"))
    with Client(run.mcp("tools"), keep=True) as client:
        keyed(client, "echo", "c", mark=1)
        wait_until(lambda: sessions(run, kind="meta", sub_state="dormant"), "its sleep")
        assert keyed(client, "echo", "c", a=2) == {"a": 2}
        assert sessions(run, kind="meta", generation=2)
        wait_until(lambda: sessions(run, kind="meta", sub_state="dormant"), "its sleep")
        assert client.call("echo", a=3) == {"a": 3}  # by the id alone
        assert sessions(run, kind="meta", generation=3)


def test_without_any_transport_session(envmux):
    run = envmux(config())
    body = {"jsonrpc": "2.0", "id": 5, "method": "tools/list", "params": {"_meta": {CHAT: "c"}}}
    status, headers, payload = run.http("POST", "/tools/mcp", body, {"Accept": ACCEPT})
    assert status == 200 and Client.messages(headers, payload)[-1]["result"]["tools"]
    assert "Mcp-Session-Id" not in headers
    assert [s["kind"] for s in run.sessions()] == ["meta"]


def test_hundreds_of_transport_sessions_leave_room_for_live_ones(envmux):
    run = envmux(config())
    with Client(run.mcp("tools")) as live:
        assert keyed(live, "echo", "c", a=1) == {"a": 1}
        with contextlib.closing(_listen(run, live)) as stream:
            for n in range(300):
                body = {"jsonrpc": "2.0", "id": 1, "method": "tools/call",
                        "params": {"name": "echo", "arguments": {"n": n}, "_meta": {CHAT: "c"}}}
                status, _, _ = run.http("POST", "/tools/mcp", body, {"Accept": ACCEPT, "Mcp-Session-Id": f"t{n}"})
                assert status == 200
            conversation, = sessions(run, kind="meta")
            assert conversation["clients"] == 256
            keyed(live, "news", "c")
            assert b"list_changed" in stream.until(b"list_changed")


def test_a_conversation_belongs_to_its_user(envmux):
    """Who the user is routers say: one that a test plays asks for two."""
    run = envmux(config(routers=1))
    with Client(run.mcp("tools")) as client:
        keyed(client, "echo", "c")
    router = fake_router.Router(run)
    ids = {"": {s["id"] for s in sessions(run, kind="meta")}}
    for principal in ("", "alice", "bob", "alice"):
        router.cookie += 1
        router.sock.send(ipc_frames.pack("RESOLVE", router.cookie, server="tools", principal=principal, key="c",
                                         kind=ipc_frames.KEY_META, may_create=1))
        answer = router.answer(router.cookie)
        assert answer.code == fake_router.OK
        ids.setdefault(principal, set()).add(answer.session.id.decode())
    assert all(len(found) == 1 for found in ids.values())
    assert len(set.union(*ids.values())) == 3
    router.close()


def test_conversations_with_an_http_backend(envmux):
    run = envmux(http_config())
    seen = []
    for _ in range(3):
        with Client(run.mcp("tools")) as client:
            seen.append(keyed(client, "whoami", "c"))
            assert client.call("whoami")["session"] == seen[-1]["session"]  # by its id alone, from whichever router
    assert len({one["pid"] for one in seen}) == 1 and len({one["session"] for one in seen}) == 3
    with Client(run.mcp("tools")) as client:
        other = keyed(client, "whoami", "other")
        assert other["pid"] != seen[0]["pid"]
        # Who has left was told to the backend of the conversation, which lives on.
        last = keyed(client, "whoami", "c")
        assert last["pid"] == seen[0]["pid"] and last["deleted"] == [one["session"] for one in seen]
    assert sorted(s["kind"] for s in run.sessions()) == ["meta", "meta", "shared"]
    body = {"jsonrpc": "2.0", "id": 5, "method": "tools/call", "params": {"name": "whoami", "_meta": {CHAT: "c"}}}
    status, headers, payload = run.http("POST", "/tools/mcp", body, {"Accept": ACCEPT})
    assert status == 200 and "Mcp-Session-Id" not in headers
    assert json.loads(Client.messages(headers, payload)[-1]["result"]["content"][0]["text"])["pid"] == seen[0]["pid"]
