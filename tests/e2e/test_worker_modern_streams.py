"""envmux-worker in front of a stateless backend (MCP 2026-07-28) over stdio: whose a message is, listeners, and how
sessions of single requests end."""

import json

import pytest

import modern_client as mc
import worker_harness as wh
from harness import wait_until
from modern_client import PREFIX, SUBSCRIPTION, reason, start, worker  # start and worker are fixtures


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
    assert reason(worker.finish(slow).message()) == "overloaded"


def test_listeners_leave_room_for_calls(worker):
    """The last one that fits, and the one after it."""
    answers = [mc.send(worker, "subscriptions/listen", {"notifications": {}}) for _ in range(257)]
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
