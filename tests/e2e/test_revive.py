"""on_idle "revive": a session that ended for idleness goes on when it is asked for again, and nothing else does."""

import contextlib
import json
import pathlib
import shutil
import signal
import subprocess
import sys
import threading

import mcp
import pytest
from mcp.client.streamable_http import streamable_http_client

import sse_wire
from control_helpers import foreign
from harness import ENVMUX, wait_until
from mcp_client import ACCEPT, Client, McpError

BACKEND = pathlib.Path(__file__).resolve().with_name("worker_backend.py")
HTTP_BACKEND = BACKEND.with_name("worker_http_backend.py")


def config(top=None, **keys):
    keys = {"on_idle": "revive", "idle_timeout": "300ms"} | keys
    return {"mcpServers": {"tools": {"command": sys.executable, "args": [str(BACKEND)], "envmux": keys}},
            "envmux": {"routers": 2} | (top or {})}


def session(run, **wanted):
    """The one live or dormant session with these members, or None."""
    found = [s for s in run.sessions() if all(s.get(name) == value for name, value in wanted.items())]
    assert len(found) <= 1, found
    return found[0] if found else None


def sleeps(run, **wanted):
    return wait_until(lambda: session(run, sub_state="dormant", **wanted), "a dormant session")


def methods(client):
    """What the backend has read so far."""
    return [json.loads(line).get("method") for line in client.call("received")]


def pid(client):
    return client.call("environment")["pid"]


def test_a_call_after_the_idle_end_just_works(envmux):
    run = envmux(config())
    with Client(run.mcp("tools"), client_info={"name": "x", "version": "1", "_extra": {"seed": 7}}) as client:
        before = pid(client)
        asleep = sleeps(run)
        assert (asleep["state"], asleep["generation"], asleep["key"]) == ("inactive", 1, client.session_id)
        assert "backend_pid" not in asleep and "worker_pid" not in asleep and not run.workers()
        assert client.call("echo", a=1) == {"a": 1}
        assert pid(client) != before
        assert methods(client)[:3] == ["initialize", "notifications/initialized", "tools/call"]
        assert client.call("environment")["env"]["ENVMUX_SEED"] == "7"
        awake = session(run)
        assert (awake["generation"], awake["kind"]) == (2, "transport") and awake["id"] != asleep["id"]
        sleeps(run, generation=2)
        assert client.request("tools/list")["tools"]
    wait_until(lambda: run.sessions() == [], "the end with its client")


@pytest.mark.anyio
async def test_the_official_client_notices_nothing(envmux):
    run = envmux(config())
    heard = []

    async def on_message(message):
        heard.append(message)

    async with streamable_http_client(run.mcp("tools")) as (read, write, session_id), \
            mcp.ClientSession(read, write, message_handler=on_message) as client:
        await client.initialize()
        for generation in (1, 2, 3):
            listed = await client.list_tools()
            assert "echo" in [tool.name for tool in listed.tools]
            answer = await client.call_tool("echo", {"n": generation})
            assert json.loads(answer.content[0].text) == {"n": generation}
            # Its GET stream ends, and that it tries to open another wakes nothing.
            sleeps(run, generation=generation, key=session_id())
        await client.call_tool("news", {})
        assert [e for e in heard if isinstance(e, Exception)] == []
    wait_until(lambda: run.sessions() == [], "the end with its client")


def test_every_client_of_a_key_goes_on(envmux):
    run = envmux(config(idle_timeout="1s"))  # it must not sleep between two of them
    url = run.mcp("tools", key="ours")
    with Client(url) as first, Client(url) as second, Client(url) as leaving:
        assert pid(first) == pid(second) == pid(leaving)
        assert leaving.delete() == 200
        leaving.session_id = None
        sleeps(run, key="ours", clients=2)
        assert first.call("echo", a=1) == {"a": 1}
        assert second.call("echo", a=2) == {"a": 2}
        assert pid(first) == pid(second)
        assert methods(second).count("initialize") == 1


def http_config(**keys):
    keys = {"on_idle": "revive", "idle_timeout": "300ms", "transport": "http"} | keys
    return {"mcpServers": {"tools": {"command": sys.executable, "args": [str(HTTP_BACKEND), "--port", "${envmux:port}"],
                                     "envmux": keys}}, "envmux": {"routers": 2}}


def test_clients_of_an_http_backend_go_on(envmux):
    run = envmux(http_config(idle_timeout="1s"))
    url = run.mcp("tools", key="ours")
    with Client(url, client_info={"name": "x", "version": "7"}) as first, Client(url) as second, Client(url) as leaving:
        before = [client.call("whoami") for client in (first, second)]
        assert leaving.delete() == 200
        leaving.session_id = None
        for generation in (1, 2):
            sleeps(run, key="ours", clients=2, generation=generation)
            after = [client.call("whoami") for client in (first, second)]
            assert len({one["pid"] for one in after}) == 1 and after[0]["pid"] != before[0]["pid"]
            assert [one["params"] for one in after] == [one["params"] for one in before]
            assert len({one["session"] for one in before + after}) == 4
            assert [line[1] for line in after[0]["heard"]] == ["initialize", "notifications/initialized", "tools/call"]
            before = after
        sleeps(run, key="ours", generation=3)
        run.supervisor().kill()
        assert second.call("whoami")["params"] == before[1]["params"]
        assert session(run)["generation"] == 4


def test_by_its_transport_id_alone(envmux):
    """A client that knows the key and one that was told only its Mcp-Session-Id are the same client."""
    run = envmux(config())
    with Client(run.mcp("tools", key="ours")) as client:
        before = pid(client)
        sleeps(run)
        client.target = "/tools/mcp"
        assert client.call("echo", a=1) == {"a": 1}
        client.target = "/tools/s/ours/mcp"
        assert pid(client) != before


def test_concurrent_calls_share_one_start(envmux):
    run = envmux(config(idle_timeout="1s"))
    with contextlib.ExitStack() as stack:
        clients = [stack.enter_context(Client(run.mcp("tools", key="ours"))) for _ in range(6)]
        sleeps(run)
        pids = []
        threads = [threading.Thread(target=lambda client=client: pids.append(pid(client))) for client in clients]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(pids) == 6 and len(set(pids)) == 1
        assert session(run)["generation"] == 2


def resolves(run):
    with foreign(run) as control:
        return control.Metrics()["counters"]["resolves"]


@contextlib.contextmanager
def falling_asleep(run, client):
    """Inside, the backend does not go; what asks for the session meanwhile waits. Yields how that begins."""
    client.call("deaf")  # before it can be idle: it will not see that its stdin is closed
    backend, = run.backends()
    wait_until(lambda: session(run)["sub_state"] == "draining", "the idle end")

    def ask(question):
        before = resolves(run)
        asking = threading.Thread(target=question)
        asking.start()
        wait_until(lambda: resolves(run) > before, "that it waits")
        return asking

    asked = []
    yield lambda question: asked.append(ask(question))
    backend.kill()
    for asking in asked:
        asking.join()


def test_who_comes_while_it_falls_asleep_shares_one_start(envmux):
    """One that may start a session of its own does not come before the one that wakes it."""
    run = envmux(config(stop_timeout="30s"))
    url = run.mcp("tools", key="ours")
    with Client(url) as old, Client(url) as new:
        assert new.delete() == 200
        new.session_id = None
        answers = []
        with falling_asleep(run, old) as meanwhile:
            meanwhile(lambda: answers.append(old.call("echo", a=1)))
            meanwhile(lambda: answers.append(new.initialize()))
        assert answers[0] == {"a": 1} or answers[1] == {"a": 1}
        assert new.initialize_headers["Envmux-Attach"] == "joined"
        assert pid(old) == pid(new)
        assert session(run)["generation"] == 2


@pytest.mark.parametrize("attach", ["replace", "reject"])
def test_two_that_initialize_while_it_falls_asleep(envmux, attach):
    """Both take the place of who sleeps: the second is then the second client of the first one's session."""
    run = envmux(config(attach=attach, stop_timeout="30s"))
    with Client(run.mcp("tools", key="k"), keep=True) as client:
        answers = []

        def initialize(seed):
            body = {"jsonrpc": "2.0", "id": seed, "method": "initialize", "params": {
                "protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": {"name": "x", "version": "1"}}}
            status, headers, payload = run.http("POST", f"/tools/s/k/mcp?seed={seed}", body, {"Accept": ACCEPT})
            answers.append((status, headers.get("Envmux-Attach"), payload))

        with falling_asleep(run, client) as meanwhile:
            meanwhile(lambda: initialize(1))
            meanwhile(lambda: initialize(2))
        said = sorted(json.loads(payload).get("error", {}).get("data", {}).get("envmux", {}).get("reason", "")
                      for _, _, payload in answers)
        assert said == (["", "session_attached"] if attach == "reject" else ["", ""]), answers


@pytest.mark.parametrize("end", ["crash", "delete", "stop", "reset"])
def test_no_other_end_is_slept_off(envmux, end):
    run = envmux(config(idle_timeout="10min"))
    with Client(run.mcp("tools", key="k"), keep=True) as client:
        client.call("echo", a=1)
        before = session(run)["id"]
        if end == "crash":
            with pytest.raises((McpError, AssertionError)):
                client.call("crash")
        elif end == "delete":
            assert client.delete() == 200
        elif end == "stop":
            run.ctl("stop", before)
        else:
            assert run.http("POST", "/tools/s/k/reset")[0] == 200
        wait_until(lambda: not any(s["id"] == before for s in run.sessions()), "its end")
        with pytest.raises(McpError):
            client.call("echo", a=2)


@pytest.mark.parametrize("end", ["DELETE by key", "DELETE by its client", "stop"])
def test_a_dormant_session_can_be_ended(envmux, end):
    run = envmux(config())
    with Client(run.mcp("tools", key="k"), keep=True) as client:
        asleep = sleeps(run)
        assert [s["sessions"] for s in json.loads(run.ctl("servers", "--json").stdout)["servers"]] == [0]
        if end == "DELETE by key":
            assert run.http("DELETE", "/tools/s/k")[0] == 204
        elif end == "DELETE by its client":
            assert client.delete() == 200
        else:
            run.ctl("stop", asleep["id"])
        assert run.sessions() == [] and not run.workers()
        with pytest.raises(McpError) as caught:
            client.call("echo")
        assert caught.value.envmux["reason"] == "session_ended"


def test_delete_by_one_of_two_lets_the_other_sleep(envmux):
    run = envmux(config())
    url = run.mcp("tools", key="k")
    with Client(url, keep=True) as leaving, Client(url) as staying:
        sleeps(run)
        assert leaving.delete() == 200
        assert session(run, sub_state="dormant")
        assert staying.call("echo", a=1) == {"a": 1}
        with pytest.raises(McpError) as caught:
            leaving.call("echo")
        assert caught.value.envmux["reason"] == "unknown_session"


def test_listening_wakes_nothing(envmux):
    run = envmux(config())
    with Client(run.mcp("tools")) as client:
        sleeps(run)
        status, headers, _ = client.send("GET", headers={"Accept": "text/event-stream"})
        assert status == 405 and "POST" in headers["Allow"] and "GET" not in headers["Allow"]
        assert session(run)["sub_state"] == "dormant"


def test_the_session_api_knows_it(envmux):
    run = envmux(config())
    status, _, _ = run.http("PUT", "/tools/s/k", {"seed": 42, "labels": {"a": "b"}})
    assert status == 201
    sleeps(run)
    status, _, body = run.http("GET", "/tools/s/k")
    assert status == 200 and json.loads(body)["sub_state"] == "dormant"
    assert run.http("PUT", "/tools/s/k", {"seed": 43})[0] == 409
    status, _, body = run.http("PUT", "/tools/s/k", {"seed": 42, "labels": {"a": "b"}})
    assert status == 200 and json.loads(body)["generation"] == 2
    sleeps(run, generation=2)
    with Client(run.mcp("tools", key="k")) as client:  # its settings belong to the key
        assert client.call("environment")["env"]["ENVMUX_SEED"] == "42"
        assert session(run)["generation"] == 3
        sleeps(run, generation=3)
        status, _, body = run.http("POST", "/tools/s/k/reset")
        assert status == 200 and json.loads(body)["generation"] == 4
        with pytest.raises(McpError):
            client.call("echo")  # a reset is a fresh start for clients, too


@pytest.mark.parametrize("attach", ["join", "replace", "reject"])
def test_a_client_that_initializes_anew(envmux, attach):
    run = envmux(config(attach=attach))
    url = run.mcp("tools", key="k")
    with Client(url, keep=True) as old:
        sleeps(run)
        with Client(url) as new:
            assert new.call("echo", a=1) == {"a": 1}
            if attach == "join":
                assert new.initialize_headers["Envmux-Attach"] == "joined"
                assert old.call("echo", a=2) == {"a": 2}
            else:
                assert new.initialize_headers["Envmux-Attach"] == "new"
                with pytest.raises(McpError):
                    old.call("echo")


def test_at_most_so_many_sleep(envmux):
    run = envmux(config({"max_ended": 2}))
    with contextlib.ExitStack() as stack:
        clients = []
        for n in range(4):
            clients.append(stack.enter_context(Client(run.mcp("tools", key=f"k{n}"), keep=True)))
            wait_until(lambda n=n: session(run, key=f"k{n}", sub_state="dormant"), "its sleep")
        assert {s["key"] for s in run.sessions()} == {"k2", "k3"}
        assert clients[3].call("echo", a=1) == {"a": 1}
        with pytest.raises(McpError):
            clients[0].call("echo")


def test_it_does_not_sleep_for_ever(envmux):
    run = envmux(config(lifetime="1s"))
    with Client(run.mcp("tools", key="k"), keep=True) as client:
        sleeps(run)
        wait_until(lambda: run.sessions() == [], "the end of its lifetime")
        with pytest.raises(McpError):
            client.call("echo")


def test_a_full_server_wakes_it_later(envmux):
    run = envmux(config({"max_sessions": 1, "queue": 0}))
    with Client(run.mcp("tools", key="k")) as client:
        sleeps(run)
        with Client(run.mcp("tools", key="other")) as other:
            def hold(client=other):
                with contextlib.suppress(McpError):
                    client.call("hold", name="x")

            held = threading.Thread(target=hold, daemon=True)
            held.start()
            wait_until(lambda: session(run, key="other", sub_state="ready"), "the other's call")
            with pytest.raises(McpError) as caught:
                client.call("echo")
            assert caught.value.envmux["reason"] == "capacity"
            assert session(run, key="k")["sub_state"] == "dormant"
            run.http("DELETE", "/tools/s/other")
            held.join()
            other.session_id = None
        assert client.call("echo", a=1) == {"a": 1}


def test_a_start_that_comes_to_nothing_does_not_end_it(envmux):
    run = envmux(config())
    with Client(run.mcp("tools", key="k"), keep=True) as client:
        sleeps(run)
        shutil.rmtree(run.runtime / "records")
        for _ in range(2):
            with pytest.raises(McpError) as caught:
                client.call("echo")
            assert caught.value.envmux["reason"] == "start_failed"
            sleeps(run, key="k")


def test_people_are_told(envmux):
    run = envmux(config())
    command = [ENVMUX, "events", "--json", "--control", run.control]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as events:
        try:
            with Client(run.mcp("tools", key="k")) as client:
                asleep = sleeps(run)
                assert "dormant" in run.ctl("ps").stdout
                assert "dormant" in run.ctl("show", asleep["id"]).stdout
                client.call("echo")
            moves = []
            while ("dormant", "stopped") not in moves:
                event = json.loads(events.stdout.readline())
                moves.append((event.get("from"), event["to"]))
            assert ("killing", "dormant") in moves
        finally:
            events.terminate()


# ---- restarts -----------------------------------------------------------------------------------


def test_sleep_survives_the_supervisor(envmux):
    run = envmux(config())
    with Client(run.mcp("tools", key="k")) as first, Client(run.mcp("tools")) as second:
        wait_until(lambda: len(run.sessions()) == 2 and all(s["sub_state"] == "dormant" for s in run.sessions()), "sleep")
        before = {s["id"] for s in run.sessions()}
        run.supervisor().kill()
        wait_until(lambda: {s["id"] for s in run.sessions()} == before, "the next supervisor")
        assert all(s["sub_state"] == "dormant" for s in run.sessions())
        assert first.call("echo", a=1) == {"a": 1}
        first.target = "/tools/mcp"  # and by the alias
        sleeps(run, key="k")
        run.supervisor().kill()
        assert first.call("echo", a=3) == {"a": 3}
        assert second.call("echo", a=2) == {"a": 2}
        first.target = "/tools/s/k/mcp"


def test_the_supervisor_dies_while_it_falls_asleep(envmux):
    """The worker has said why it ends; what it left behind is all there is."""
    run = envmux(config(stop_timeout="30s"))
    with Client(run.mcp("tools", key="k")) as client:
        client.call("deaf")  # it will not exit by itself
        worker, = run.workers()
        backend, = run.backends()
        wait_until(lambda: session(run)["sub_state"] == "draining", "the idle end")
        run.supervisor().kill()
        worker.kill()
        backend.kill()
        sleeps(run, key="k")
        assert client.call("echo", a=1) == {"a": 1}


@pytest.mark.parametrize("moment", ["queued", "launched"])
@pytest.mark.parametrize("id", ["0" * 16, "f" * 16])  # which record is found first is not ours to say
def test_the_supervisor_dies_while_it_wakes_it(envmux, moment, id):
    """It leaves the records of both generations: the next one in its queue, or launched and without a worker yet."""
    run = envmux(config())
    with Client(run.mcp("tools", key="k")) as client:
        asleep = sleeps(run, key="k")
        record = run.runtime / "records" / asleep["id"]
        run.process.send_signal(signal.SIGSTOP)  # nobody starts the next supervisor before all is in place
        supervisor = run.supervisor()
        supervisor.kill()
        wait_until(lambda: not supervisor.exists(), "its end")
        next_one = json.loads(record.read_text()) | {"id": id, "generation": 2}
        if moment == "launched":
            del next_one["dormant_usec"]
        record.with_name(next_one["id"]).write_text(json.dumps(next_one))
        run.process.send_signal(signal.SIGCONT)
        sleeps(run, key="k", generation=2)
        assert [path.name for path in record.parent.iterdir()] == [next_one["id"]]
        client.target = "/tools/mcp"  # by the alias
        assert client.call("echo", a=1) == {"a": 1}
        assert session(run)["generation"] == 3


def test_an_orderly_stop_leaves_nothing(envmux):
    run = envmux(config())
    with Client(run.mcp("tools", key="k"), keep=True):
        sleeps(run)
    run.stop()


def test_a_removed_server_has_no_sleepers(envmux):
    run = envmux(config())
    with Client(run.mcp("tools", key="k"), keep=True):
        sleeps(run)
    changed = config()
    changed["mcpServers"] = {"other": changed["mcpServers"]["tools"]}
    (run.folder / "config.json").write_text(json.dumps(changed))
    run.ctl("reload")
    wait_until(lambda: run.sessions() == [], "its end")


def test_the_end_is_the_end_without_it(envmux):
    run = envmux(config(on_idle="end"))
    with Client(run.mcp("tools"), keep=True) as client:
        wait_until(lambda: run.sessions() == [], "the idle end")
        with pytest.raises(McpError) as caught:
            client.call("echo")
        assert "idle" in caught.value.envmux["detail"]


def test_a_stateless_session_sleeps_with_its_settings(envmux):
    """Clients of 2026-07-28 have no handshake: what comes back is the key's."""
    run = envmux({"mcpServers": {"tools": {
        "command": sys.executable, "args": [str(BACKEND.with_name("modern_backend.py"))],
        "envmux": {"on_idle": "revive", "idle_timeout": "300ms"}}}})
    assert run.http("PUT", "/tools/s/k", {"seed": 42})[0] == 201
    sleeps(run)
    prefix = "io.modelcontextprotocol/"
    body = {"jsonrpc": "2.0", "id": 1, "method": "tools/list",
            "params": {"_meta": {prefix + "protocolVersion": "2026-07-28", prefix + "clientCapabilities": {}}}}
    headers = {"Accept": "application/json, text/event-stream", "MCP-Protocol-Version": "2026-07-28",
               "Mcp-Method": "tools/list"}
    status, _, answer = run.http("POST", "/tools/s/k/mcp", body, headers)
    assert status == 200, answer
    awake = session(run, key="k")
    assert (awake["generation"], awake["seed"]) == (2, 42)


def test_a_client_of_http_sse_is_gone_with_its_stream(envmux):
    run = envmux(config())
    with sse_wire.SseClient(run, "/tools/sse") as client:
        client.initialize()
        wait_until(lambda: run.sessions() == [], "the end, and no sleep")


def test_what_such_a_client_says_then_wakes_nothing(envmux):
    """Its stream is over, and with it what could answer: only the others of its session sleep."""
    run = envmux(config())
    with Client(run.mcp("tools", key="k")) as client, sse_wire.SseClient(run, "/tools/s/k/sse") as gone:
        gone.initialize()
        sleeps(run, key="k")
        for _ in range(2):
            answer = gone.post({"jsonrpc": "2.0", "id": 9, "method": "tools/list"})
            assert answer.status == 404, answer
            assert session(run)["sub_state"] == "dormant" and session(run)["generation"] == 1
        assert client.call("echo", a=1) == {"a": 1}
