"""envmux-worker in front of a stateless backend (MCP 2026-07-28) over stdio."""

import base64
import http.client
import json
import re

import pytest

import modern_client as mc
import worker_harness as wh
from harness import wait_until
from modern_client import PREFIX, SUBSCRIPTION


@pytest.fixture
def start(tmp_path_factory):
    workers = []

    def make(command=mc.COMMAND, **options):
        workers.append(wh.Worker(tmp_path_factory.mktemp("w"), command, **options))
        return workers[-1]

    yield make
    for worker in workers:
        worker.close()
    for worker in workers:
        assert not re.search("Sanitizer|runtime error", worker.stderr()), worker.stderr()


@pytest.fixture
def worker(start):
    return start()


def reason(message):
    return message["error"]["data"]["envmux"]["reason"]


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
    answer = mc.call(worker, "echo", headers={"Mcp-Session-Id": "unknown", "Last-Event-ID": "7"}, a=1)
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


def test_initialize_is_not_of_this_revision(worker):
    _, connection = worker.start_initialize(headers={"MCP-Protocol-Version": mc.VERSION})
    answer = worker.finish(connection)
    assert (answer.status, answer.message()["error"]["code"]) == (400, -32020)


# ---- streams ------------------------------------------------------------------------------------


def test_ids_and_tokens_of_different_clients_do_not_collide(worker):
    begun = [mc.begin_tool(worker, "hold", id=0, meta={"progressToken": 0}, name=f"call {i}") for i in range(3)]
    wait_until(lambda: sum('"hold"' in line for line in mc.tool(worker, "received")) == 3, "three calls at the backend")
    for step in range(2):
        for i in (2, 0, 1):
            mc.tool(worker, "progress", name=f"call {i}", step=10 * i + step)
    for i in (1, 2, 0):
        mc.tool(worker, "release", name=f"call {i}", value=f"for {i}")
    for i, connection in enumerate(begun):
        events = worker.finish(connection).events()
        assert [event["params"] for event in events[:2]] == [{"progressToken": 0, "progress": 10 * i + s} for s in (0, 1)]
        assert events[2]["id"] == 0 and events[2]["result"]["content"][0]["text"] == f"for {i}"


def test_closing_the_stream_cancels_and_drops_what_comes_later(worker):
    held = mc.begin_tool(worker, "hold", id=0, meta={"progressToken": 0}, name="it")
    wait_until(lambda: any('"hold"' in line for line in mc.tool(worker, "received")), "the call at the backend")
    wire = [json.loads(line) for line in mc.tool(worker, "received") if '"hold"' in line][0]["id"]
    held.close()
    wait_until(lambda: mc.tool(worker, "cancelled") == [wire], "the cancellation at the backend")
    other = mc.begin_tool(worker, "hold", id=0, meta={"progressToken": 0}, name="other")
    wait_until(lambda: any('"other"' in line for line in mc.tool(worker, "received")), "the next call at the backend")
    mc.tool(worker, "progress", name="it", step=1)
    mc.tool(worker, "release", name="it", value="late")
    mc.tool(worker, "release", name="other", value="right")
    answer = worker.finish(other)
    assert answer.type == "application/json" and answer.message()["result"]["content"][0]["text"] == "right"


def test_a_request_past_its_deadline_is_cancelled(start):
    worker = start(request_usec=300_000)
    assert mc.tool(worker, "echo") == {}  # the first one has the time of a start on top
    answer = mc.call(worker, "hold", id=8, name="it")
    message = answer.message()
    assert answer.status == 200 and reason(message) == "deadline" and message["id"] == 8
    wait_until(lambda: mc.tool(worker, "cancelled"), "the cancellation at the backend")


def test_log_messages_go_to_calls_that_asked_for_them(worker):
    assert mc.call(worker, "log").type == "application/json"
    assert mc.call(worker, "log", meta={PREFIX + "logLevel": "error"}, level="info").type == "application/json"
    events = mc.call(worker, "log", meta={PREFIX + "logLevel": "info"}, level="error").events()
    assert [event.get("method") for event in events] == ["notifications/message", None]


def test_an_unknown_notification_goes_to_the_newest_call(worker):
    events = mc.call(worker, "notify", method="notifications/new", n=1).events()
    assert events[0]["method"] == "notifications/new" and "result" in events[1]


def test_a_backend_that_asks_is_told_that_nobody_answers(worker):
    answer = json.loads(mc.call(worker, "ask").message()["result"]["content"][0]["text"])
    assert answer["error"]["code"] == -32601


def test_a_slow_first_request_is_no_failed_start(start):
    worker = start()
    held = mc.begin(worker, "resources/read", {"uri": "hold:it"})
    worker.supervisor.wait("READY")
    mc.tool(worker, "release", name="hold:it")
    assert worker.finish(held).status == 200


def test_a_crash_is_told_to_every_call(worker):
    begun = [mc.begin_tool(worker, "hold", id=i, name=str(i)) for i in range(3)]
    wait_until(lambda: sum('"hold"' in line for line in mc.tool(worker, "received")) == 3, "three calls at the backend")
    crashed = mc.call(worker, "crash", id="c").message()
    for id, message in [("c", crashed), *((i, worker.finish(held).message()) for i, held in enumerate(begun))]:
        assert reason(message) == "backend_exited" and message["id"] == id
        assert message["error"]["data"]["envmux"]["stderr"] == ["last words"]
    answer = mc.call(worker, "echo")
    assert answer.status == 410 and answer.headers["Envmux-Gone"] == "1"


def test_an_answer_that_is_too_long_fails_its_call_beside_listeners(start):
    worker = start(message_bytes_max=1 << 20)
    listener = mc.Listener(worker, toolsListChanged=True)
    message = mc.call(worker, "big", id="b", size=2 << 20).message()
    assert (message["id"], reason(message)) == ("b", "backend_protocol")
    mc.tool(worker, "news", method="notifications/tools/list_changed")
    assert listener.event()["method"] == "notifications/tools/list_changed"


def test_a_client_that_does_not_read_loses_its_call_alone(start):
    worker = start(buffer_bytes_max=8 << 20)
    slow = mc.begin_tool(worker, "hold", meta={"progressToken": 0}, name="slow")
    wait_until(lambda: mc.tool(worker, "holding") == ["slow"], "the call at the backend")
    for step in range(40):
        mc.tool(worker, "progress", name="slow", step=step, size=200_000)
        if mc.tool(worker, "cancelled"):
            break
    assert len(mc.tool(worker, "cancelled")) == 1
    with pytest.raises((http.client.IncompleteRead, ConnectionError)):
        worker.finish(slow).body()


def test_listeners_leave_room_for_calls(worker):
    """The last one that fits, and the one after it."""
    body, headers = mc.request("subscriptions/listen", {"notifications": {}})
    open_ones = []
    for _ in range(257):
        open_ones.append(worker.begin("POST", "/mcp", json.dumps(body), wh.POST_HEADERS | headers))
    answers = [worker.finish(connection) for connection in open_ones]
    refused = [answer for answer in answers if answer.type == "application/json"]
    assert [reason(answer.message()) for answer in refused] == ["overloaded"]
    assert mc.tool(worker, "echo", a=1) == {"a": 1}
    for answer in answers:
        answer.close()


# ---- subscriptions ------------------------------------------------------------------------------


def test_each_listener_hears_what_it_asked_for(worker):
    tools = mc.Listener(worker, id=1, toolsListChanged=True)
    file = mc.Listener(worker, id=1, resourceSubscriptions=["file:///a"])
    for listener, filter in ((tools, {"toolsListChanged": True}), (file, {"resourceSubscriptions": ["file:///a"]})):
        assert listener.answer.type == "text/event-stream"
        assert listener.first["method"] == "notifications/subscriptions/acknowledged"
        assert listener.first["params"] == {"_meta": {SUBSCRIPTION: 1}, "notifications": filter}
    for tagged in (True, False):
        mc.tool(worker, "news", method="notifications/tools/list_changed", tagged=tagged)
        mc.tool(worker, "news", method="notifications/resources/list_changed", tagged=tagged)
        mc.tool(worker, "news", method="notifications/resources/updated", uri="file:///b", tagged=tagged)
        mc.tool(worker, "news", method="notifications/resources/updated", uri="file:///a", tagged=tagged)
        event = tools.event()
        assert event["method"] == "notifications/tools/list_changed" and event["params"]["_meta"] == {SUBSCRIPTION: 1}
        event = file.event()
        assert event["params"] == {"uri": "file:///a", "_meta": {SUBSCRIPTION: 1}}
    for listener in (tools, file):
        listener.close()
    wait_until(lambda: mc.tool(worker, "listening") == [], "both subscriptions to be cancelled")


@pytest.mark.parametrize("by_result", [False, True])
def test_a_subscription_that_the_backend_ends_ends_gracefully(worker, by_result):
    listener = mc.Listener(worker, id="mine", toolsListChanged=True)
    mc.tool(worker, "end_listeners", by_result=by_result)
    event = listener.event()
    assert event["id"] == "mine" and event["result"]["resultType"] == "complete"
    assert event["result"]["_meta"][SUBSCRIPTION] == "mine" and listener.event() is None


def test_a_subscription_keeps_no_session_busy_and_ends_gracefully_with_it(start):
    worker = start(idle_usec=300_000)
    listener = mc.Listener(worker, id=2, toolsListChanged=True)
    event = listener.event()
    assert event["id"] == 2 and event["result"]["resultType"] == "complete" and listener.event() is None
    assert worker.supervisor.wait("GONE").body.cause == wh.IDLE
    worker.wait_exit()


def test_a_stop_ends_subscriptions_gracefully(worker):
    listener = mc.Listener(worker, id=2, toolsListChanged=True)
    worker.supervisor.send("STOP", drain_usec=20_000_000, rung_usec=500_000, reason=wh.REASONS.index("stopping"))
    event = listener.event()
    assert event["id"] == 2 and "result" in event and listener.event() is None
    worker.wait_exit()


def test_a_crash_ends_subscriptions_with_an_error(worker):
    listener = mc.Listener(worker, id=2, toolsListChanged=True)
    mc.call(worker, "crash")
    event = listener.event()
    assert event["id"] == 2 and reason(event) == "backend_exited" and listener.event() is None


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


def test_a_client_that_leaves_before_its_call_is_sent_leaves_nothing(start):
    worker = start(env=["BACKEND_TOOLS=slow"])
    gone = mc.begin_tool(worker, "echo", mark="gone")
    wait_until(lambda: worker.supervisor.count("READY") == 1, "the backend's first word")
    gone.close()
    worker.post({"jsonrpc": "2.0", "method": "notifications/go", "params": {}}, {"MCP-Protocol-Version": mc.VERSION})
    assert not any('"gone"' in line for line in mc.tool(worker, "received"))


# ---- sessions of one request --------------------------------------------------------------------


HANDLE = 7


def handles(worker):
    with worker.supervisor.changed:
        frames = [frame.body for frame in worker.supervisor.frames if frame.type == "ALIAS"]
    live = []
    for frame in frames:
        assert frame.kind == HANDLE
        live = [key for key in live if key != frame.key] + ([] if frame.is_removed else [frame.key])
    return live


def test_a_session_of_one_request_ends_with_its_answer(start):
    worker = start(kind="request")
    assert mc.tool(worker, "echo", a=1) == {"a": 1}
    assert worker.supervisor.wait("GONE").body.cause == wh.DELETED
    worker.wait_exit()


def test_a_session_of_one_refused_request_ends(start):
    worker = start(kind="request")
    assert mc.call(worker, "fail", code=-32000).status == 200
    worker.wait_exit()


def test_a_session_of_one_request_that_its_client_left_ends(start):
    worker = start(kind="request")
    held = mc.begin_tool(worker, "hold", name="it")
    worker.supervisor.wait("READY")
    held.close()
    worker.wait_exit()


def test_a_session_of_one_listener_ends_with_it(start):
    worker = start(kind="request")
    listener = mc.Listener(worker, toolsListChanged=True)
    assert listener.first["method"].endswith("acknowledged")
    listener.close()
    assert worker.supervisor.wait("GONE").body.cause == wh.DELETED
    worker.wait_exit()


def test_an_unfinished_answer_is_found_again_by_its_state(start):
    worker = start(kind="request")
    result = mc.call(worker, "rounds").message()["result"]
    assert result["resultType"] == "input_required"
    worker.supervisor.wait("ALIAS")
    assert handles(worker)[0].startswith(b"state.")
    params = {"name": "rounds", "arguments": {}, "requestState": result["requestState"],
              "inputResponses": {"name": {"action": "accept"}}}
    answer = json.loads(mc.send(worker, "tools/call", params, id=1).message()["result"]["content"][0]["text"])
    assert answer["state"] == result["requestState"] and answer["inputs"] == {"name": {"action": "accept"}}
    worker.wait_exit()
    wait_until(lambda: handles(worker) == [], "the state to be taken back")


def test_a_task_is_found_again_until_the_session_is_idle(start):
    worker = start(kind="request", idle_usec=500_000)
    task = mc.call(worker, "task").message()["result"]["taskId"]
    worker.supervisor.wait("ALIAS")
    assert handles(worker)[0].startswith(b"task.")
    answer = mc.send(worker, "tasks/get", {"taskId": task}, id=1).message()
    assert answer["result"]["taskId"] == task
    assert worker.supervisor.wait("GONE").body.cause == wh.IDLE
    worker.wait_exit()


def test_handles_are_told_again_to_the_next_supervisor(start):
    worker = start(kind="request")
    mc.call(worker, "task")
    worker.supervisor.wait("ALIAS")
    first = handles(worker)
    worker.supervisor.disconnect()
    worker.supervisor.frames.clear()
    worker.supervisor.listen()
    worker.supervisor.wait("ALIAS")
    assert handles(worker) == first != []


def test_no_other_session_gives_out_handles(worker):
    mc.call(worker, "task")
    mc.call(worker, "rounds")
    assert handles(worker) == []
