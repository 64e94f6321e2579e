"""Keys with the real thing: which requests meet in one backend, and which never do."""

import concurrent.futures
import json
import signal
import sys

import pytest

import harness
import modern_client
from harness import wait_until
from mcp_client import ACCEPT, Client

BACKEND = {"command": sys.executable, "args": [str(modern_client.BACKEND)]}
LEGACY = {"command": sys.executable, "args": [str(modern_client.BACKEND.with_name("worker_backend.py"))]}
CHAT = "openai/session"


def entry(base=BACKEND, **own):
    return {**base, "envmux": own}


CONFIG = {"mcpServers": {
    "shared": entry(),
    "strict": entry(keyless="reject"),
    "single": entry(keyless="per-request"),
    "clients": entry(keys=["path", "client", "transport"]),
    "users": entry(LEGACY, keys=["path", "principal", "transport"]),
    "both": entry(keys=["principal", "transport"]),
    "chat": entry(keys=["path", "header", f"meta:{CHAT}", "transport"]),
    "old-chat": entry(LEGACY, keys=["path", f"meta:{CHAT}", "principal"]),
    "old": entry(LEGACY),
}}


@pytest.fixture
def run(envmux):
    return envmux(CONFIG)


class Refused(Exception):
    def __init__(self, status, error):
        super().__init__(f"{status} {error}")
        self.status, self.code = status, error["code"]
        self.reason = error.get("data", {}).get("envmux", {}).get("reason")


def ask(run, path, method, params=None, meta=None, headers=None, client=None):
    """One stateless request; its result."""
    body, own = modern_client.request(method, params, meta=meta)
    if client:
        body["params"]["_meta"][modern_client.PREFIX + "clientInfo"] = client
    status, answered, payload = run.http("POST", path, body, {"Accept": ACCEPT} | own | (headers or {}))
    answer = Client.messages(answered, payload)[-1]
    assert answer["id"] == 0
    if "error" in answer:
        raise Refused(status, answer["error"])
    assert (status, answered["Mcp-Session-Id"]) == (200, None)
    return answer["result"]


def tool(run, path, name, /, arguments=(), **options):
    result = ask(run, path, "tools/call", {"name": name, "arguments": dict(arguments)}, **options)
    return json.loads(result["content"][0]["text"])


def pid(run, path, **options):
    return tool(run, path, "pid", **options)


def is_ready(run):
    try:
        return run.http("GET", "/readyz")[0] == 200
    except OSError: # the connection was to a router that has died
        return False


def legacy_pid(client):
    return client.call("environment")["pid"]


def kinds(run):
    return sorted(session["kind"] for session in run.sessions())


# ---- stateless requests -------------------------------------------------------------------------


def test_who_names_no_key_has_one_backend(run):
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        pids = set(pool.map(lambda _: pid(run, "/shared/mcp"), range(16)))
    assert len(pids) == 1
    assert kinds(run) == ["shared"]
    # An older client gets a session of its own, as ever: a process speaks one era.
    with Client(run.mcp("shared")) as client:
        assert client.call("pid") not in pids
    assert pid(run, "/shared/mcp", headers={"Mcp-Session-Id": client.session_id}) in pids


def test_each_key_has_its_own_backend(run):
    by_path = pid(run, "/shared/s/a/mcp")
    assert pid(run, "/shared/mcp", headers={"Envmux-Session": "a"}) == by_path
    assert len({by_path, pid(run, "/shared/s/b/mcp"), pid(run, "/shared/mcp")}) == 3
    assert kinds(run) == ["named", "named", "shared"]


def test_settings_come_with_the_first_request(run):
    client = {"name": "t", "version": "1", "_extra": {"seed": 7, "config": {"size": 4}}}
    ask(run, "/shared/s/a/mcp", "server/discover", client=client)
    ask(run, "/shared/s/b/mcp?seed=9", "server/discover", client=client)
    ask(run, "/shared/mcp?seed=9", "server/discover", client=client)
    settings = {session["key"]: (session.get("seed"), session.get("config")) for session in run.sessions()}
    assert settings["a"] == (7, {"size": 4})
    assert settings["b"] == (9, {"size": 4})
    assert settings["shared"] == (None, None)


def test_a_server_can_insist_on_a_key(run):
    with pytest.raises(Refused, match="key_required") as refused:
        pid(run, "/strict/mcp")
    assert (refused.value.status, refused.value.code) == (400, -32600)
    assert "/s/KEY in the path, or by the header Envmux-Session" in str(refused.value)
    assert not run.sessions()
    assert pid(run, "/strict/s/k/mcp")


def test_equal_clients_share_where_the_server_says_so(run):
    def of(id, **options):
        return pid(run, "/clients/mcp", client={"name": "t", "version": "1", "_extra": {"session_id": id}}, **options)

    assert of("a") == of("a") != of("b")
    assert pid(run, "/clients/mcp") not in (of("a"), of("b"))
    assert kinds(run) == ["client", "client", "shared"]


def test_an_entry_of_meta_is_a_key(run):
    def of(chat):
        return pid(run, "/chat/mcp", meta={CHAT: chat})

    assert of("v1/a") == of("v1/a") != of("v1/b")
    with pytest.raises(Refused, match="bad_request"):
        of("a b")
    assert kinds(run) == ["meta", "meta"]


def test_an_old_backend_is_left_alone(run):
    """PUT made it before anybody knew what it speaks."""
    assert run.http("PUT", "/old/s/k", {"seed": 1})[0] == 201
    before = run.backends()[0].pid
    for path in ("/old/s/k/mcp", "/old/mcp", "/old/s/other/mcp"):
        with pytest.raises(Refused, match="legacy_only") as refused:
            ask(run, path, "server/discover")
        assert (refused.value.status, refused.value.code) == (400, -32000)
    with Client(run.mcp("old", "k")) as client:
        assert legacy_pid(client) == before
    assert kinds(run) == ["named"]


def test_a_live_session_does_not_need_the_supervisor(run):
    before = pid(run, "/shared/mcp")
    supervisor = run.supervisor()
    supervisor.kill(signal.SIGSTOP)
    try:
        assert pid(run, "/shared/mcp") == before
    finally:
        supervisor.kill(signal.SIGCONT)
    supervisor.kill()
    assert pid(run, "/shared/mcp") == before
    wait_until(lambda: is_ready(run), "a new supervisor")
    assert pid(run, "/shared/mcp") == before


def test_a_reload_changes_what_comes_without_a_key(run):
    pid(run, "/shared/mcp")
    config = json.loads((run.folder / "config.json").read_text())
    config["mcpServers"]["shared"]["envmux"] = {"keyless": "reject"}
    (run.folder / "config.json").write_text(json.dumps(config))
    run.ctl("reload")

    def is_refused():
        try:
            pid(run, "/shared/mcp")
        except Refused as refused:
            return refused.reason == "key_required"
        return False

    wait_until(is_refused, "the new configuration in every router")


# ---- a backend for each request -----------------------------------------------------------------


def test_each_request_can_have_its_own_backend(run):
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        pids = list(pool.map(lambda _: pid(run, "/single/mcp"), range(4)))
    assert len(set(pids)) == 4
    wait_until(lambda: not run.sessions(), "the end of all four")


def test_an_unfinished_answer_leads_back_to_its_backend(run):
    def start():
        return ask(run, "/single/mcp", "tools/call", {"name": "rounds", "arguments": {}})

    first, second = start(), start()
    assert first["resultType"] == second["resultType"] == "input_required"
    assert kinds(run) == ["request", "request"]
    for begun in (second, first):
        state = begun["requestState"]
        again = ask(run, "/single/mcp", "tools/call", {
            "name": "rounds", "arguments": {}, "requestState": state, "inputResponses": {"name": "x"}})
        said = json.loads(again["content"][0]["text"])
        assert said["state"] == state == f"state of {said['pid']}"


@pytest.mark.parametrize("victims", ["routers", "supervisor"])
def test_what_leads_back_survives(run, victims):
    task = ask(run, "/single/mcp", "tools/call", {"name": "task", "arguments": {}})["taskId"]
    backend = run.backends()[0].pid
    for victim in run.routers() if victims == "routers" else [run.supervisor()]:
        victim.kill()
    wait_until(lambda: is_ready(run), "routers that know the sessions")
    assert ask(run, "/single/mcp", "tasks/get", {"taskId": task})["taskId"] == task
    assert [process.pid for process in run.backends()] == [backend]


def test_a_task_leads_back_to_its_backend(run):
    task = ask(run, "/single/mcp", "tools/call", {"name": "task", "arguments": {}})["taskId"]
    assert ask(run, "/single/mcp", "tasks/get", {"taskId": task})["taskId"] == task
    assert kinds(run) == ["request"]


# ---- clients of the older revisions -------------------------------------------------------------


def test_clients_of_one_user_share_a_backend(run):
    with Client(run.mcp("users")) as first, Client(run.mcp("users")) as second:
        assert first.session_id != second.session_id
        assert legacy_pid(first) == legacy_pid(second)
        assert kinds(run) == ["shared"]
        assert first.delete() == 200
        assert legacy_pid(second) == legacy_pid(second)
        # A key of the caller's goes before.
        with Client(run.mcp("users", "k")) as third:
            assert legacy_pid(third) != legacy_pid(second)


def test_one_user_has_a_backend_of_each_era(run):
    modern = pid(run, "/both/mcp")
    with Client(run.mcp("both")) as first, Client(run.mcp("both")) as second:
        assert first.call("pid") == second.call("pid") != modern
    assert sorted(session["key"] for session in run.sessions()) == ["shared", "shared-legacy"]


def old_chat(run, conversation, id=1, headers=None):
    """A tool call as it comes without a handshake; the pid of who answers."""
    body = {"jsonrpc": "2.0", "id": id, "method": "tools/call",
            "params": {"name": "environment", "arguments": {}, "_meta": {CHAT: conversation}}}
    status, answered, payload = run.http("POST", "/old-chat/mcp", body, {"Accept": ACCEPT} | (headers or {}))
    answer = Client.messages(answered, payload)[-1]
    assert (status, answer["id"]) == (200, id), payload
    return json.loads(answer["result"]["content"][0]["text"])["pid"]


def test_a_conversation_keeps_its_backend_without_a_handshake(run):
    first, second = old_chat(run, "a"), old_chat(run, "b")
    assert first != second
    assert [old_chat(run, "a", id) for id in (1, "x", 3)] == [first] * 3
    assert kinds(run) == ["meta", "meta"]


def test_a_conversation_keeps_its_backend_in_ever_new_transport_sessions(run):
    pids, ids = set(), set()
    for _ in range(3):
        with Client(run.mcp("old-chat")) as client:
            ids.add(client.session_id)
            assert legacy_pid(client) not in pids  # an initialize that names no conversation
            pids.add(old_chat(run, "a", headers={"Mcp-Session-Id": client.session_id}))
            assert legacy_pid(client) in pids  # what says nothing more belongs to where its client was last
    assert len(ids) == 3 and len(pids) == 1
    assert old_chat(run, "a", headers={"Mcp-Session-Id": "ended-long-ago"}) in pids
    assert kinds(run) == ["meta", "shared"]  # no backend for each transport session


def test_a_conversations_initialize_joins_it(run):
    body = {"jsonrpc": "2.0", "id": 0, "method": "initialize",
            "params": {"protocolVersion": "2025-06-18", "capabilities": {}, "_meta": {CHAT: "a"},
                       "clientInfo": {"name": "chat", "version": "1"}}}
    answers = [run.http("POST", "/old-chat/mcp", body, {"Accept": ACCEPT}) for _ in range(2)]
    ids = [answered["Mcp-Session-Id"] for _, answered, _ in answers]
    assert [status for status, _, _ in answers] == [200, 200] and len(set(ids)) == 2
    assert kinds(run) == ["meta"]
    for id in ids:
        assert run.http("DELETE", "/old-chat/mcp", headers={"Mcp-Session-Id": id})[0] == 200
    assert kinds(run) == ["meta"]  # DELETE lets go of it
    assert old_chat(run, "a")
