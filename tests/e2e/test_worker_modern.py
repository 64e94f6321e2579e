"""envmux-worker in front of a stateless backend (MCP 2026-07-28) over stdio: what requests must say, and the one era
that a backend speaks. Where messages go is in test_worker_modern_streams.py."""

import base64
import json

import pytest

import modern_client as mc
import worker_harness as wh
from harness import wait_until
from modern_client import PREFIX, reason, start, worker  # start and worker are fixtures


# ---- plain requests -----------------------------------------------------------------------------


def test_a_request_alone_is_answered_as_json(worker):
    answer = mc.call(worker, "echo", id="x", a=1)
    assert (answer.status, answer.type) == (200, "application/json")
    assert "Mcp-Session-Id" not in answer.headers
    message = answer.message()
    assert message["id"] == "x" and json.loads(message["result"]["content"][0]["text"]) == {"a": 1}
    worker.supervisor.wait("READY")


def test_the_backend_gets_the_request_as_it_came_but_for_its_names(worker):
    meta = json.dumps(mc.envelope(progressToken="p"))
    body = ('{"method" : "tools/call",\r\n "params":{"name":"received","arguments":{"n":[1e+16,null]},'
            f'"_meta":{meta}}},"jsonrpc":"2.0","id":0}}')
    body = body.replace('"arguments":{"n":[1e+16,null]}', '"arguments":{}, "n":[1e+16,123456789012345678901234567890]')
    answer = worker.post(body, mc.request("tools/call", {"name": "received"})[1])
    line = json.loads(answer.message()["result"]["content"][0]["text"])[-1]
    id, token = json.loads(line)["id"], json.loads(line)["params"]["_meta"]["progressToken"]
    assert isinstance(id, int) and isinstance(token, str)
    wanted = body.replace("\r\n", "  ").replace('"id":0', f'"id":{id}').replace('"p"', f'"{token}"')
    assert line == wanted


def test_progress_begins_an_event_stream(worker):
    answer = mc.call(worker, "steps", id=7, meta={"progressToken": 7}, count=2)
    assert answer.type == "text/event-stream" and answer.headers["X-Accel-Buffering"] == "no"
    events = answer.events()
    assert [event["params"] for event in events[:2]] == [{"progressToken": 7, "progress": i} for i in range(2)]
    assert events[2]["id"] == 7 and events[2]["result"]["content"][0]["text"] == "stepped"


def test_a_large_message_passes_both_ways(worker):
    text = "x" * (3 << 20)
    assert mc.tool(worker, "echo", text=text) == {"text": text}


def test_notifications_are_accepted(worker):
    headers = {"MCP-Protocol-Version": mc.VERSION}
    assert mc.tool(worker, "echo") == {}
    for method in ("notifications/unknown", "notifications/cancelled"):
        answer = worker.post({"jsonrpc": "2.0", "method": method, "params": {"requestId": 0}}, headers)
        assert answer.status == 202 and answer.body() == b""
    methods = [json.loads(line)["method"] for line in mc.tool(worker, "received")]
    assert "notifications/unknown" in methods and "notifications/cancelled" not in methods


def test_sessions_of_older_revisions_are_ignored(worker):
    for id in ("unknown", "no id at all", "x" * 300):
        answer = mc.call(worker, "echo", headers={"Mcp-Session-Id": id, "Last-Event-ID": "7"}, a=1)
        assert answer.status == 200 and "Mcp-Session-Id" not in answer.headers


# ---- what a request must say --------------------------------------------------------------------


def spoiled(method="tools/call", params=None, meta=None, headers=None, without=()):
    """A request with parts replaced, or taken out where they are None."""
    body, own = mc.request(method, params or {"name": "echo"}, id="probe")
    for name, value in (meta or {}).items():
        body["params"]["_meta"][name] = value
        if value is None:
            del body["params"]["_meta"][name]
    for part in without:
        del body["params"][part]
    own = {name: value for name, value in (own | (headers or {})).items() if value is not None}
    return body, own


@pytest.mark.parametrize("spoil, status, code", [
    (dict(headers={"MCP-Protocol-Version": None}), 400, -32020),
    (dict(headers={"MCP-Protocol-Version": "2025-11-25"}), 400, -32020),
    (dict(headers={"Mcp-Method": None}), 400, -32020),
    (dict(headers={"Mcp-Method": "tools/list"}), 400, -32020),
    (dict(headers={"Mcp-Method": "TOOLS/CALL"}), 400, -32020),
    (dict(headers={"Mcp-Name": None}), 400, -32020),
    (dict(headers={"Mcp-Name": "other"}), 400, -32020),
    (dict(headers={"Mcp-Name": "=?base64?%%%?="}), 400, -32020),
    (dict(headers={"Mcp-Name": "=?base64?ZWNobw?="}), 400, -32020),
    (dict(method="resources/read", params={"uri": "a"}, headers={"Mcp-Name": "b"}), 400, -32020),
    (dict(method="prompts/get", params={"name": "a"}, headers={"Mcp-Name": None}), 400, -32020),
    (dict(method="tasks/get", params={"taskId": "a"}, headers={"Mcp-Name": "b"}), 400, -32020),
    (dict(meta={PREFIX + "protocolVersion": "2027-01-01"}, headers={"MCP-Protocol-Version": "2027-01-01"}), 400, -32022),
    (dict(meta={PREFIX + "protocolVersion": "2025-11-25"}, headers={"MCP-Protocol-Version": "2025-11-25"}), 400, -32022),
    (dict(meta={PREFIX + "clientCapabilities": None}), 400, -32602),
    (dict(meta={PREFIX + "clientCapabilities": []}), 400, -32602),
    (dict(meta={PREFIX + "protocolVersion": None}), 400, -32602),
    (dict(meta={PREFIX + "protocolVersion": 7}), 400, -32602),
    (dict(meta={PREFIX + "clientInfo": {"name": "x"}}), 400, -32602),
    (dict(meta={PREFIX + "logLevel": "loud"}), 400, -32602),
    (dict(without=["_meta"]), 400, -32602),
    (dict(method="nothing/such"), 404, -32601),
    (dict(method="ping"), 404, -32601),
])
def test_every_fault_has_its_status_and_code(worker, spoil, status, code):
    body, headers = spoiled(**spoil)
    answer = worker.post(body, headers)
    message = answer.message()
    assert (answer.status, message["error"]["code"], message["id"]) == (status, code, "probe"), message
    if code == -32022:
        data = message["error"]["data"]
        assert data["supported"] == [mc.VERSION] and data["requested"] == body["params"]["_meta"][PREFIX + "protocolVersion"]


@pytest.mark.parametrize("code, status", [(-32020, 400), (-32021, 400), (-32022, 400), (-32601, 404), (-32602, 200),
                                          (-32603, 200), (-32000, 200), (1, 200)])
def test_errors_of_the_backend_have_the_status_of_their_code(worker, code, status):
    answer = mc.call(worker, "fail", id=5, code=code, data={"requiredCapabilities": {"sampling": {}}})
    assert answer.status == status


def test_a_doubled_header_is_a_mismatch(worker):
    body, headers = spoiled()
    connection = wh.UnixConnection(worker.socket_path)
    connection.putrequest("POST", "/mcp")
    text = json.dumps(body).encode()
    for name, value in [*(wh.POST_HEADERS | headers).items(), ("Mcp-Method", "tools/call"),
                        ("Content-Length", str(len(text)))]:
        connection.putheader(name, value)
    connection.endheaders(text)
    answer = worker.finish(connection)
    assert (answer.status, answer.message()["error"]["code"]) == (400, -32020)


@pytest.mark.parametrize("name", ["echo", "日本語", " padded ", "=?base64?literal?=", ""])
def test_names_that_a_header_cannot_carry_come_encoded(worker, name):
    encoded = "=?base64?" + base64.b64encode(name.encode()).decode() + "?="
    answer = worker.post(*spoiled(params={"name": name}, headers={"Mcp-Name": encoded}))
    assert answer.status == 200, answer.message()
    answer = worker.post(*spoiled(params={"name": name + "x"}, headers={"Mcp-Name": encoded}))
    assert (answer.status, answer.message()["error"]["code"]) == (400, -32020)


@pytest.mark.parametrize("body", [
    [],
    [mc.request("tools/list")[0]],
    [{"jsonrpc": "2.0", "method": "notifications/x", "params": {"_meta": mc.envelope()}}],
])
def test_there_are_no_batches(worker, body):
    answer = worker.post(body, {"MCP-Protocol-Version": mc.VERSION})
    assert (answer.status, answer.message()["error"]["code"]) == (400, -32600)


def test_a_posted_response_is_refused(worker):
    assert mc.tool(worker, "echo") == {}
    answer = worker.post({"jsonrpc": "2.0", "id": 1, "result": {}}, {"MCP-Protocol-Version": mc.VERSION})
    assert (answer.status, answer.message()["error"]["code"]) == (400, -32600)


def test_a_bad_notification_is_refused(worker):
    body = {"jsonrpc": "2.0", "method": "notifications/x", "params": {"_meta": mc.envelope()}}
    assert worker.post(body, {"MCP-Protocol-Version": "2025-11-25"}).status == 400
    assert worker.post(body, {"Mcp-Method": "notifications/y"}).status == 400
    assert worker.post(body).status == 202


# ---- eras ---------------------------------------------------------------------------------------


def test_discover_alone_pins_no_era(worker):
    answer = mc.send(worker, "server/discover", id="server-discover-probe-1")
    assert answer.message()["result"]["supportedVersions"] == [mc.VERSION]
    client = worker.initialize()
    assert client.tool("echo", a=1) == {"a": 1}


def test_a_modern_session_refuses_initialize(worker):
    assert mc.tool(worker, "echo") == {}
    _, connection = worker.start_initialize(id=3)
    answer = worker.finish(connection)
    message = answer.message()
    assert (answer.status, message["error"]["code"], message["id"]) == (400, -32022, 3)
    assert message["error"]["data"]["supported"] == [mc.VERSION] and reason(message) == "modern_only"
    assert message["error"]["data"]["requested"] == "2025-11-25"
    answer = worker.post({"jsonrpc": "2.0", "id": 4, "method": "tools/list"})
    assert (answer.status, reason(answer.message())) == (400, "modern_only")


def test_a_legacy_session_refuses_modern_requests(worker):
    client = worker.initialize()
    for method in ("server/discover", "tools/list"):
        answer = mc.send(worker, method, id="probe")
        message = answer.message()
        assert (answer.status, message["error"]["code"], message["id"]) == (400, -32000, "probe")
    assert client.tool("echo", a=1) == {"a": 1}


def test_a_refused_initialize_pins_nothing(start):
    worker = start(["/usr/bin/env", "BACKEND_ERA=modern", *mc.COMMAND])
    _, connection = worker.start_initialize()
    assert worker.finish(connection).message()["error"]["code"] == -32022
    assert mc.send(worker, "server/discover").status == 200
    assert mc.tool(worker, "echo", a=1) == {"a": 1}


def test_initialize_is_not_of_this_revision(worker):
    for _ in range(2):  # in a new session and in a modern one
        _, connection = worker.start_initialize(headers={"MCP-Protocol-Version": mc.VERSION})
        answer = worker.finish(connection)
        assert (answer.status, answer.message()["error"]["code"]) == (400, -32020)
        assert mc.tool(worker, "echo") == {}


# ---- arguments repeated in headers --------------------------------------------------------------


def region(worker, arguments, id=0, **headers):
    headers = {"Mcp-Param-" + name: value for name, value in headers.items()}
    return mc.send(worker, "tools/call", {"name": "region", "arguments": arguments}, id=id, headers=headers)


@pytest.mark.parametrize("arguments, headers", [
    ({}, {}),
    ({"region": None}, {}),
    ({"region": "west"}, {"Region": "west"}),
    ({"region": "w\u00e9st"}, {"region": "=?base64?d8Opc3Q=?="}),
    ({"region": ""}, {"Region": "=?base64??="}),
    ({"count": 42}, {"Count": "42"}),
    ({"count": 42}, {"Count": "42.0"}),
    ({"dry": True}, {"Dry": "true"}),
    ({"deep": {"name": "n"}}, {"Deep": "n"}),
    ({"region": {"not": "a string"}}, {}),
    ({"region": "west"}, {"Region": "west", "Unknown": "passes"}),
])
def test_arguments_that_headers_repeat_pass(worker, arguments, headers):
    assert region(worker, arguments, **headers).status == 200


@pytest.mark.parametrize("arguments, headers", [
    ({"region": "west"}, {}),
    ({"region": "west"}, {"Region": "east"}),
    ({"region": "west"}, {"Region": "West"}),
    ({"region": "west"}, {"Region": "=?base64?d2VzdA?="}),
    ({"region": "west"}, {"Region": "=?base64?/w==?="}),
    ({"count": 42}, {"Count": "43"}),
    ({"count": 42}, {"Count": "0x2a"}),
    ({"dry": True}, {"Dry": "True"}),
    ({"deep": {"name": "n"}}, {}),
])
def test_arguments_that_headers_contradict_are_refused(worker, arguments, headers):
    answer = region(worker, arguments, id="x", **headers)
    message = answer.message()
    assert (answer.status, message["error"]["code"], message["id"]) == (400, -32020, "x"), message
    assert not any('"name": "region"' in line for line in mc.tool(worker, "received"))


def lists(worker):
    return sum('"tools/list"' in line and '"cursor"' not in line for line in mc.tool(worker, "received"))


def test_the_tools_are_asked_for_once_until_they_change(worker):
    begun = [mc.begin_tool(worker, "echo", id=i, i=i) for i in range(4)]
    assert [worker.finish(connection).message()["id"] for connection in begun] == [0, 1, 2, 3]
    assert lists(worker) == 1
    mc.tool(worker, "rename", header="Zone")
    mc.tool(worker, "news", method="notifications/tools/list_changed", tagged=False)
    assert region(worker, {"region": "west"}, Zone="west").status == 200
    assert lists(worker) == 2


def test_a_schema_that_changed_unseen_is_asked_for_again(worker):
    assert region(worker, {"region": "west"}, Region="west").status == 200
    mc.tool(worker, "rename", header="Zone")
    assert region(worker, {"region": "west"}, Zone="west").status == 200
    assert region(worker, {"region": "west"}, Region="west").status == 400


def test_a_backend_that_tells_no_tools_gets_every_call(start):
    worker = start(env=["BACKEND_TOOLS=none"])
    assert region(worker, {"region": "west"}).status == 200
    assert region(worker, {"region": "west"}).status == 200
    assert lists(worker) == 1


def test_a_list_without_an_end_is_given_up(start):
    worker = start(env=["BACKEND_TOOLS=endless"])
    assert region(worker, {"region": "west"}).status == 200
    assert sum('"tools/list"' in line for line in mc.tool(worker, "received")) == 256


def test_a_client_that_leaves_before_its_call_is_sent_leaves_nothing(start):
    worker = start(env=["BACKEND_TOOLS=slow"])
    gone = mc.begin_tool(worker, "echo", mark="gone")
    wait_until(lambda: worker.supervisor.count("READY") == 1, "the backend's first word")
    gone.close()
    worker.post({"jsonrpc": "2.0", "method": "notifications/go", "params": {}}, {"MCP-Protocol-Version": mc.VERSION})
    assert not any('"gone"' in line for line in mc.tool(worker, "received"))
