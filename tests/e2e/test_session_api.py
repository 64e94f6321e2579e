"""Sessions managed without MCP, as a trainer does: PUT, GET, POST reset, DELETE; and ?seed=."""

import concurrent.futures
import json

import pytest

import harness
from lake import MAPS
from mcp_client import Client

LAKE = f"exec {harness.LIBEXEC}/frozen-lake"  # a shell does not look among the servers that come with envmux

CONFIG = {"mcpServers": {"lake": {"command": "frozen-lake", "args": ["--seed", "${envmux:seed}"]}}}


@pytest.fixture
def run(envmux):
    return envmux(CONFIG)


def put(run, key, body):
    status, headers, payload = run.http("PUT", f"/lake/s/{key}", body)
    return status, json.loads(payload)


def first_map(client):
    return client.read("game://initial_state")["grid"].replace("\n", " ")


def test_put_is_idempotent(run):
    body = {"seed": 42, "config": {"difficulty": 1.50, "name": "é"}, "labels": {"run": "a"}}
    status, made = put(run, "k", body)
    assert status == 201
    assert (made["key"], made["seed"], made["generation"]) == ("k", 42, 1)
    # The same body, spelled differently, is the same session.
    status, again = put(run, "k", dict(reversed(body.items())))
    assert (status, again["id"]) == (200, made["id"])
    status, refused = put(run, "k", {**body, "seed": 43})
    assert status == 409
    assert refused["envmux"]["reason"] == "session_exists"
    with Client(run.mcp("lake", "k"), keep=True) as client:
        assert first_map(client) == MAPS[42]
        assert client.initialize_headers["Envmux-Session"] == "k"
    assert len(run.sessions()) == 1


def test_concurrent_puts_and_initializes_share_one_start(run):
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        made = list(pool.map(lambda _: put(run, "k", {"seed": 1}), range(8)))
    assert sorted(status for status, _ in made) == [200] * 7 + [201]
    assert len({session["id"] for _, session in made}) == 1
    assert len(run.backends()) == 1


def test_reset_is_a_fresh_backend_of_the_same_key(run):
    _, made = put(run, "k", {"seed": 123})
    with Client(run.mcp("lake", "k"), keep=True) as client:
        client.call("lake_move", action="RIGHT")
        status, _, payload = run.http("POST", "/lake/s/k/reset")
        assert status == 200
        reset = json.loads(payload)
        assert (reset["generation"], reset["seed"]) == (2, 123)
        assert reset["id"] != made["id"] or reset["backend_pid"] != made["backend_pid"]
        # The client of the old backend is told, not silently given another environment.
        status, _, _ = client.send("POST", {"jsonrpc": "2.0", "id": 9, "method": "ping"})
        assert status == 404
    with Client(run.mcp("lake", "k")) as client:
        assert client.initialize_headers["Envmux-Generation"] == "2"
        assert client.read("control://status")["step_count"] == 0
        assert first_map(client) == MAPS[123]


def replacing(config):
    config = json.loads(json.dumps(config))
    config["envmux"] = {"attach": "replace"}
    return config


def test_replace_is_a_fresh_backend(envmux):
    """A client that crashed and comes back under its key begins anew; the settings of a PUT stay the key's."""
    run = envmux(replacing(CONFIG))
    put(run, "k", {"seed": 123, "labels": {"run": "a"}})
    with Client(run.mcp("lake", "k"), keep=True) as first:
        assert first.initialize_headers["Envmux-Generation"] == "1"
        first.call("lake_move", action="RIGHT")
        with Client(run.mcp("lake", "k"), keep=True) as second:
            assert second.initialize_headers["Envmux-Generation"] == "2"
            assert second.initialize_headers["Envmux-Attach"] == "new"
            assert second.read("control://status")["step_count"] == 0
            assert first_map(second) == MAPS[123]
            status, _, payload = first.send("POST", {"jsonrpc": "2.0", "id": 9, "method": "ping"})
            assert status == 404 and json.loads(payload)["error"]["data"]["envmux"]["reason"] == "unknown_session"
    (session,) = run.sessions()
    assert (session["seed"], session["labels"], session["generation"]) == (123, {"run": "a"}, 2)
    assert put(run, "k", {"seed": 123, "labels": {"run": "a"}})[0] == 200
    assert len(run.backends()) == 1


def test_clients_that_replace_each_other_at_once_all_get_an_answer(envmux):
    run = envmux(replacing(CONFIG))

    message = {"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": {
        "protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": {"name": "crashing", "version": "1"}}}
    accept = {"Accept": "application/json, text/event-stream"}

    def play(_):
        status, headers, payload = run.http("POST", "/lake/s/k/mcp?seed=42", message, accept)
        assert status == 200 and "result" in json.loads(payload), payload
        return int(headers["Envmux-Generation"])

    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        generations = list(pool.map(play, range(4)))
    assert len(set(generations)) == 4
    harness.wait_until(lambda: len(run.backends()) == 1, "the last one's backend alone")


def test_delete_ends_and_may_be_repeated(run):
    put(run, "k", {})
    assert run.http("DELETE", "/lake/s/k")[0] in (200, 204)
    harness.wait_until(lambda: run.sessions() == [], "the session to end")
    assert run.backends() == []
    assert run.http("DELETE", "/lake/s/k")[0] in (200, 204)
    assert run.http("GET", "/lake/s/k")[0] == 404


def test_a_client_that_leaves_a_managed_session_does_not_end_it(run):
    """The official SDKs say DELETE when they close; the trainer reads the reward after that."""
    put(run, "k", {"seed": 123})
    with Client(run.mcp("lake", "k")) as client:
        client.call("lake_move", action="RIGHT")
    assert run.http("GET", "/lake/s/k")[0] == 200
    with Client(run.mcp("lake", "k")) as client:
        assert client.read("control://status")["step_count"] == 1
    assert run.http("DELETE", "/lake/s/k")[0] in (200, 204)
    assert run.http("GET", "/lake/s/k")[0] == 404


def test_get_describes(run):
    put(run, "k", {"seed": 0, "labels": {"run": "7"}})
    status, _, payload = run.http("GET", "/lake/s/k")
    described = json.loads(payload)
    assert status == 200
    assert described["seed"] == 0 and described["labels"] == {"run": "7"}
    assert described["server"] == "lake" and described["state"] in ("activating", "active")
    assert described["backend_pid"] > 0


def test_no_seed_is_told_apart_from_zero(envmux):
    show = ["-c", "printf '%s' \"$${ENVMUX_SEED-unset}\" >seed; exec cat"]
    run = envmux({"mcpServers": {"lake": {"command": "sh", "args": show}}})
    put(run, "zero", {"seed": 0})
    put(run, "none", {})
    seen = {}
    for session in run.sessions():
        work = next(run.state.glob(f"envmux/*/workspaces/{session['id']}/work"))
        file = work / "seed"
        harness.wait_until(lambda: file.exists() and file.read_text(), "the backend to start")
        seen[session["key"]] = file.read_text()
    assert seen == {"zero": "0", "none": "unset"}


def test_seed_in_the_url_for_clients_that_cannot_send_anything_else(run):
    for seed, expected in MAPS.items():
        with Client(run.mcp("lake", query=f"seed={seed}")) as client:
            assert first_map(client) == expected


def test_config_reaches_the_backend(envmux):
    script = "cat \"$0\" >seen; " + LAKE
    run = envmux({"mcpServers": {"lake": {"command": "sh", "args": ["-c", script, "${envmux:config_file}"]}}})
    _, made = put(run, "k", {"config": {"n": 1.0, "big": 123456789012345678901234567890}})
    work = next(run.state.glob(f"envmux/*/workspaces/{made['id']}/work"))
    text = harness.wait_until(lambda: (work / "seen").exists() and (work / "seen").read_text(), "the backend to start")
    # Numbers as they came.
    assert '"n":1.0' in text.replace(" ", "") and "123456789012345678901234567890" in text


def test_seed_and_config_of_a_client_reach_its_backend(envmux):
    """clientInfo._extra, where the predecessors' clients put them."""
    script = "cat \"$0\" >seen; printf ' %s' \"$1\" >>seen; " + LAKE
    args = ["-c", script, "${envmux:config_file}", "${envmux:seed}"]
    run = envmux({"mcpServers": {"lake": {"command": "sh", "args": args}}})
    info = {"name": "reward-kit", "version": "1.0.0", "_extra": {"seed": 0, "config": {"size": 4, "p": 0.8}}}
    message = {"protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": info}
    body = {"jsonrpc": "2.0", "id": 0, "method": "initialize", "params": message}
    status, headers, payload = run.http("POST", "/mcp", body, {"Accept": "application/json, text/event-stream"})
    assert status == 200 and "result" in Client.messages(headers, payload)[-1], payload
    work = next(run.state.glob(f"envmux/*/workspaces/{run.sessions()[0]['id']}/work"))
    config, seed = (work / "seen").read_text().rsplit(" ", 1)
    assert (json.loads(config), seed) == ({"size": 4, "p": 0.8}, "0")


def test_each_session_has_a_private_workspace_gone_with_it(envmux):
    script = "pwd >where; touch \"$TMPDIR/t\"; " + LAKE
    run = envmux({"mcpServers": {"lake": {"command": "sh", "args": ["-c", script]}}})
    for key in ("a", "b"):
        put(run, key, {})
    works = list(run.state.glob("envmux/*/workspaces/*/work"))
    assert len(works) == 2
    for work in works:
        harness.wait_until(lambda: (work / "where").exists() and (work / "where").read_text(), "the backend to start")
        assert (work / "where").read_text().strip() == str(work)
    run.ctl("stop", "--all")
    harness.wait_until(lambda: not any(work.exists() for work in works), "the workspaces to go")
