"""Streams that outlive their connections, at a worker alone: what a cursor repeats, who may use it, what happens
when nobody comes back, and how much is kept."""

import json
import os
import re

import pytest

import worker_harness as wh
from harness import wait_until
from test_worker import reason, start, worker  # noqa: F401  fixtures


def held(client, name="x", **options):
    """A call that waits at the backend, once its stream has begun."""
    answer = client.worker.finish(client.start("hold", {"name": name}, **options))
    assert answer.type == "text/event-stream"
    wait_until(lambda: any('"hold"' in line for line in client.tool("received")), "the call at the backend")
    return answer


def prime(answer):
    """Reads the event without content that a stream begins with: its id."""
    lines = [answer.raw.readline() for _ in range(4)]
    assert lines[2:] == [b"data: \n", b"\n"], lines
    assert re.fullmatch(rb"id: [0-9a-f]{16}-\d+\n", lines[0]), lines
    assert re.fullmatch(rb"retry: \d+\n", lines[1]), lines
    return lines[0].decode().removeprefix("id: ").strip()


def progress_of(events):
    return [event["params"]["progress"] for event in events if event.get("method") == "notifications/progress"]


def status(worker):
    cookie = worker.supervisor.count("STATUS") + 1000
    worker.supervisor.send("STATUS_GET", cookie=cookie)
    return worker.supervisor.wait("STATUS", lambda frame: frame.cookie == cookie).body


def in_flight(worker):
    return status(worker).in_flight


def buffered(worker):
    return status(worker).bytes_buffered


def test_a_long_call_can_be_resumed_from_its_first_moments(worker):
    client = worker.initialize()
    answer = held(client, id="long", token=1)
    first = prime(answer)
    answer.close()
    client.tool("progress", name="x", step=10, count=3)
    client.tool("release", name="x", value="found")
    resumed = client.resume(first)
    assert resumed.type == "text/event-stream"
    assert prime(resumed) == first
    events = resumed.events()
    assert progress_of(events) == [10, 11, 12]
    assert events[-1]["id"] == "long" and events[-1]["result"]["content"][0]["text"] == "found"


def test_quick_answers_stay_plain_json(worker):
    client = worker.initialize()
    for _ in range(20):
        answer = worker.finish(client.start("echo"))
        assert answer.type == "application/json"
        answer.close()


@pytest.mark.parametrize("version", ["2025-03-26", "2025-06-18"])
def test_older_revisions_get_no_ids(worker, version):
    client = worker.initialize(version=version)
    listener = client.get()
    answer = worker.finish(client.start("log", {"count": 2}))
    text = answer.raw.read()
    assert text.count(b"data: ") == 3 and b"id: " not in text.replace(b'"id": ', b"") and b"retry" not in text
    assert listener.raw.readline() == b": keepalive\n"


def test_the_revision_is_the_negotiated_one(start):
    client = start(env=["BACKEND_VERSION=2025-06-18"]).initialize(version="2025-11-25")
    client.version = "2025-06-18"
    assert client.get().raw.readline() == b": keepalive\n"


def test_every_event_after_the_cursor_comes_once_whatever_the_cursor(worker):
    client = worker.initialize()
    answer = held(client, id=1, token=1)
    ids = [prime(answer)]
    client.tool("progress", name="x", step=0, count=5)
    for _ in range(5):
        answer.event()
        ids.append(answer.last_event_id)
    assert len(set(ids)) == 6
    answer.close()
    client.tool("progress", name="x", step=5, count=2)
    for i, cursor in reversed(list(enumerate(ids))):
        resumed = client.resume(cursor)
        prime(resumed)
        assert [resumed.event()["params"]["progress"] for _ in range(7 - i)] == list(range(i, 7))
        resumed.close()
    client.tool("release", name="x")
    resumed = client.resume(ids[3])
    events = resumed.events()
    assert progress_of(events) == [3, 4, 5, 6] and events[-1]["id"] == 1 and len(events) == 5


def test_a_stream_carried_elsewhere_leaves_its_old_connection(worker):
    """A network that vanished: the old connection looks alive while the client is back on another."""
    client = worker.initialize()
    old = held(client, id=1, token=1)
    cursor = prime(old)
    client.tool("progress", name="x", step=0)
    new = client.resume(cursor)
    client.tool("progress", name="x", step=1)
    client.tool("release", name="x")
    assert progress_of(old.events()) == [0]  # and a proper end: not an error that a client would take for the answer
    events = new.events()
    assert progress_of(events) == [0, 1] and events[-1]["id"] == 1


def test_two_streams_of_one_client_keep_apart(worker):
    client = worker.initialize()
    cursors, answers = {}, {}
    for name in "ab":
        answers[name] = held(client, name, id=name, token=name)
        cursors[name] = prime(answers[name])
        answers[name].close()
    for step in range(3):
        for name in "ab":
            client.tool("progress", name=name, step=step * 10 + ord(name))
    for name in "ab":
        client.tool("release", name=name, value=f"answer {name}")
    for name in "ba":
        events = client.resume(cursors[name]).events()
        assert progress_of(events) == [step * 10 + ord(name) for step in range(3)]
        assert [event["id"] for event in events if "id" in event] == [name]


def test_the_cursor_of_another_client_is_unknown(worker):
    client, other = worker.initialize(), worker.initialize()
    answer = held(client, id=1, token=1)
    cursor = prime(answer)
    answer.close()
    refused = other.resume(cursor)
    assert refused.status == 400 and reason(refused.message()) == "unknown_event"
    for wrong in ("x", "0" * 16 + "-0", cursor + "0", cursor.upper() + "9", cursor[:-1] + "7"):
        refused = client.resume(wrong)
        assert refused.status == 400 and reason(refused.message()) == "unknown_event", wrong
    client.tool("release", name="x")
    assert client.resume(cursor).events()[-1]["id"] == 1


def test_who_has_heard_the_end_is_told_not_to_come_back(worker):
    client = worker.initialize()
    answer = held(client, id=1)
    first = prime(answer)
    client.tool("release", name="x")
    answer.events()
    last = answer.last_event_id
    assert last != first
    assert client.resume(last).status == 204
    assert [event["id"] for event in client.resume(first).events()] == [1]  # the end may have been lost on its way
    assert [event["id"] for event in client.resume(first).events()] == [1]
    assert client.resume(last).status == 204


def test_a_get_stream_is_resumed_without_a_gap(worker):
    client = worker.initialize()
    stream = client.get()
    prime(stream)
    client.tool("news")
    stream.event()
    cursor = stream.last_event_id
    stream.close()
    client.tool("echo")  # a round through the worker: it has seen the close
    for _ in range(3):
        client.tool("news")
    resumed = client.resume(cursor)
    assert prime(resumed) == cursor
    for _ in range(3):
        assert resumed.event()["method"] == "notifications/tools/list_changed"
    client.tool("news")
    resumed.event()
    assert resumed.last_event_id.endswith("-5")
    assert client.get().status == 409


def test_a_fresh_get_takes_over_what_nobody_heard(worker):
    client = worker.initialize()
    stream = client.get()
    prime(stream)
    client.tool("news")
    stream.event()
    stream.close()
    client.tool("echo")  # a round through the worker: it has seen the close
    for _ in range(3):
        client.tool("news")
    fresh = client.get()
    assert not prime(fresh).endswith("-0")
    for _ in range(3):
        assert fresh.event()["method"] == "notifications/tools/list_changed"
    assert fresh.last_event_id.endswith("-4")


def test_a_lost_connection_does_not_lose_a_question(worker):
    client = worker.initialize()
    answer = worker.finish(client.start("ask", id="q"))
    question = answer.event()
    cursor = answer.last_event_id
    answer.close()
    assert client.post({"jsonrpc": "2.0", "id": question["id"], "result": {"said": "yes"}}).status == 202
    events = client.resume(cursor).events()
    assert [event["id"] for event in events] == ["q"]


def test_connections_end_after_stream_max_and_the_stream_goes_on(start):
    worker = start(connection_usec=150_000, retry_usec=20_000)
    client = worker.initialize()
    answer = held(client, id=1, token=1)
    seen, polls = [], 0
    while not any("id" in event for event in seen):
        seen += answer.events()  # each ends by itself
        assert answer.retry == 20
        polls += 1
        if polls < 4:
            client.tool("progress", name="x", step=polls)
        elif polls == 4:
            client.tool("release", name="x")
        answer = client.resume(answer.last_event_id) if not any("id" in event for event in seen) else None
    assert progress_of(seen) == [1, 2, 3] and polls >= 4
    listener = client.get()
    prime(listener)
    assert listener.raw.read() == b""


def test_a_detached_call_keeps_the_session_and_an_answered_one_does_not(start):
    worker = start(idle_usec=400_000)
    client = worker.initialize()
    answer = held(client, id=1)
    cursor = prime(answer)
    answer.close()
    listener = client.get()
    prime(listener)
    with pytest.raises(TimeoutError):  # nothing happens for two idle timeouts
        listener.connection.sock.settimeout(1.0)
        listener.raw.readline()
    assert in_flight(worker) == 1
    client.tool("release", name="x")
    assert client.resume(cursor).events()[-1]["id"] == 1
    assert worker.supervisor.wait("GONE").body.cause == wh.IDLE
    worker.wait_exit()


def test_a_call_carried_elsewhere_keeps_the_session(start):
    worker = start(idle_usec=400_000)
    client = worker.initialize()
    old = held(client, id=1)
    new = client.resume(prime(old))  # while the old connection still looks alive
    assert old.events() == []
    prime(new)
    with pytest.raises(TimeoutError):  # nothing happens for two idle timeouts
        new.connection.sock.settimeout(1.0)
        new.raw.readline()
    assert in_flight(worker) == 1
    new.close()
    client.tool("release", name="x")
    assert worker.supervisor.wait("GONE").body.cause == wh.IDLE
    worker.wait_exit()


def test_a_detached_call_ends_at_its_deadline(start):
    worker = start(request_usec=500_000)
    client = worker.initialize()
    answer = held(client, id="late")
    cursor = prime(answer)
    answer.close()
    wait_until(lambda: client.tool("cancelled") == ["late"], "the deadline")
    message = client.resume(cursor).events()[-1]
    assert message["id"] == "late" and reason(message) == "deadline"


def test_a_detached_call_can_be_cancelled(worker):
    client = worker.initialize()
    answer = held(client, id="c")
    cursor = prime(answer)
    answer.close()
    assert client.post({"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": "c"}}).status == 202
    wait_until(lambda: client.tool("cancelled") == ["c"], "the cancellation at the backend")
    assert client.resume(cursor).status == 204  # nothing is due any more
    assert in_flight(worker) == 0


def test_what_a_client_left_behind_goes_with_it(worker):
    client, other = worker.initialize(), worker.initialize()
    answer = held(client, id=1, token=1)
    cursor = prime(answer)
    answer.close()
    other.tool("progress", name="x", step=0, count=10, size=10_000)
    assert buffered(worker) > 100_000
    assert client.delete().status == 200
    assert buffered(worker) < 10_000
    other.transport_id, id = client.transport_id, other.transport_id
    assert other.resume(cursor).status == 404
    other.transport_id = id
    assert other.resume(cursor).status == 400


def test_a_flood_to_a_detached_stream_is_bounded_and_ends_it_visibly(start):
    budget = 8 << 20
    worker = start(buffer_bytes_max=budget, message_bytes_max=1 << 20)
    client, other = worker.initialize(), worker.initialize()
    answer = held(client, id=1, token=1)
    cursor = prime(answer)
    answer.close()
    most = 0
    for i in range(40):
        if other.call("progress", name="x", step=i * 100, count=100, size=2_000).get("error"):
            break
        most = max(most, buffered(worker))
    assert budget // 16 < most < budget // 4
    assert other.tool("cancelled") == [client_wire_id(other, 1)]
    events = client.resume(cursor).events()
    steps = progress_of(events)
    assert steps == list(range(len(steps))) and len(steps) > 300  # all up to where there was no more room
    assert reason(events[-1]) == "overloaded" and events[-1]["id"] == 1
    assert other.tool("echo", a=1) == {"a": 1}
    assert resident(worker) < 40 << 20 or "asan" in str(wh.LIBEXEC)


def client_wire_id(client, id):
    """The id under which the backend knows the held call."""
    line = next(line for line in client.tool("received") if '"hold"' in line)
    return json.loads(line)["id"]


def resident(worker):
    with open(f"/proc/{worker.process.pid}/statm") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGESIZE")


def test_a_response_without_room_is_an_error(start):
    worker = start(buffer_bytes_max=1 << 20, message_bytes_max=1 << 20)
    client = worker.initialize()
    first, second = (held(client, name, id=name, token=name) for name in "ab")
    cursors = [prime(answer) for answer in (first, second)]
    for answer in (first, second):
        answer.close()
    client.tool("progress", name="b", step=0, count=1, size=100_000)
    client.tool("release", name="a", value="z" * 200_000)
    message = client.resume(cursors[0]).events()[-1]
    assert message["id"] == "a" and reason(message) == "overloaded"
    client.tool("release", name="b", value="z" * 200_000)
    events = client.resume(cursors[1]).events()
    assert progress_of(events) == [0] and len(events[-1]["result"]["content"][0]["text"]) == 200_000


def test_news_without_a_listener_give_way_to_newer_ones(start):
    worker = start(buffer_bytes_max=512 << 10, message_bytes_max=64 << 10)
    client = worker.initialize()
    stream = client.get()
    cursor = prime(stream)
    stream.close()
    client.tool("echo")
    client.tool("log_later", count=200, size=1000)
    seen = []

    def is_still():  # a call would take them on its own stream
        seen.append(buffered(worker))
        return len(seen) > 9 and min(seen[-10:]) == max(seen[-10:]) > 50_000

    wait_until(is_still, "the news to be kept")
    assert max(seen) < 80_000
    resumed = client.resume(cursor)
    client.tool("log_later", count=1, size=5)
    data = []
    while not data or data[-1] != "later 0 xxxxx":
        data.append(resumed.event()["params"]["data"])
    numbers = [int(text.split()[1]) for text in data[:-1]]
    assert numbers == list(range(200))[-len(numbers):] and 30 < len(numbers) < 100


def test_a_slow_reader_loses_nothing_while_there_is_room(start):
    worker = start(buffer_bytes_max=32 << 20, message_bytes_max=1 << 20)
    client, other = worker.initialize(), worker.initialize()
    answer = held(client, id=1, token=1)
    for i in range(3):
        other.tool("progress", name="x", step=i * 100, count=100, size=10_000)
    other.tool("release", name="x")
    events = answer.events()
    assert progress_of(events) == list(range(300)) and events[-1]["id"] == 1


def test_a_session_that_ends_tells_who_listens_and_forgets_who_does_not(worker):
    client = worker.initialize()
    detached, listening = held(client, "a", id="a"), held(client, "b", id="b")
    prime(detached)
    detached.close()
    client.start("crash").close()
    assert reason(listening.events()[-1]) == "backend_exited"
    worker.wait_exit()


def test_delete_while_streams_are_open_and_detached(worker):
    client = worker.initialize()
    held(client, "a", id="a").close()
    listening, stream = held(client, "b", id="b"), client.get()
    assert client.delete().status == 200
    assert reason(listening.events()[-1]) == "session_ended"
    assert stream.events() == []
    worker.wait_exit()


def test_the_past_of_a_call_gives_way_and_an_old_cursor_ends_it_visibly(start):
    worker = start(buffer_bytes_max=1 << 20, message_bytes_max=1 << 20)
    client = worker.initialize()
    answer = held(client, id=1, token=1)
    cursor = prime(answer)
    for i in range(10):
        client.tool("progress", name="x", step=i * 10, count=10, size=5_000)
        for _ in range(10):
            answer.event()
    resumed = client.resume(cursor)
    events = resumed.events()
    assert reason(events[-1]) == "unknown_event" and events[-1]["id"] == 1
    assert client.tool("cancelled") == [1]


def test_a_cut_in_the_middle_of_an_answer_repeats_it_whole(worker):
    client = worker.initialize()
    answer = held(client, id=1)
    cursor = prime(answer)
    client.tool("release", name="x", value="z" * 3_000_000)
    assert len(answer.raw.read(100_000)) == 100_000
    answer.close()
    message = client.resume(cursor).events()[-1]
    assert len(message["result"]["content"][0]["text"]) == 3_000_000
