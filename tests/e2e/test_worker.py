"""envmux-worker on its own: a hand-made socket and spec, a supervisor of the test's."""

import json
import os
import re
import select
import signal
import sys

import pytest

import worker_harness as wh
from harness import wait_until


@pytest.fixture
def start(tmp_path_factory):
    workers = []

    def make(*arguments, **options):
        workers.append(wh.Worker(tmp_path_factory.mktemp("w"), *arguments, **options))
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


def cancelled(id):
    return {"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": id}}


def is_alive(pid):
    try:
        with open(f"/proc/{pid}/stat") as file:
            return file.read().rsplit(") ", 1)[1][0] not in "ZX"
    except OSError:
        return False


# ---- the handshake ------------------------------------------------------------------------------


def test_initialize_is_answered_and_told(worker):
    info = {"name": "reward-kit", "version": "1.0.0",
            "_extra": {"seed": 42, "config": {"game": "FrozenLake", "map_name": "4x4", "seed": 42}}}
    client = worker.initialize(client_info=info)
    answer = client.answer

    assert answer.status == 200 and answer.type == "application/json"
    assert client.result["result"]["serverInfo"]["name"] == "backend"
    assert answer.headers["Envmux-Session"] == "the-key"
    assert answer.headers["Envmux-Generation"] == "3"
    assert answer.headers["Envmux-Attach"] == "new"
    hello = worker.supervisor.wait("HELLO").body
    assert (hello.role, hello.session_id, hello.token) == (4, b"00112233445566ff", b"f" * 32)
    assert worker.supervisor.wait("SPAWNED").body.backend_pid in worker.descendants()
    worker.supervisor.wait("READY")
    aliases = {(frame.body.kind, frame.body.key) for frame in worker.supervisor.frames if frame.type == "ALIAS"}
    assert aliases == {(2, client.transport_id.encode()), (3, b"d2be3f2a2f3b19783ea35ec70e71b4da")}


def test_initialize_reaches_the_backend_verbatim(worker):
    body = ('{"method" : "initialize",\r\n "params":{"protocolVersion":"2025-06-18","capabilities":{},'
            '"clientInfo":{"name":"é","version":"1",'
            '"_extra":{"f":1e+16,"n":123456789012345678901234567890,"z":null}}},'
            '"jsonrpc":"2.0","id":0}')
    answer = worker.post(body.encode(), {"Envmux-Transport": "t"})
    assert answer.status == 200 and answer.message()["id"] == 0
    client = wh.Client(worker, "t")
    assert client.tool("received")[0] == body.replace("\r\n", "  ")


def test_a_failed_initialize_attaches_nobody(worker):
    _, connection = worker.start_initialize(params={"fail": True})
    answer = worker.finish(connection)
    assert answer.message()["error"]["message"] == "no"
    assert "Mcp-Session-Id" not in answer.headers
    assert worker.supervisor.count("ALIAS") == 0
    assert worker.initialize().tool("echo", a=1) == {"a": 1}


def test_a_second_client_joins_without_a_second_initialize(worker):
    first = worker.initialize()
    second = worker.initialize(id="other")
    assert second.answer.headers["Envmux-Attach"] == "joined"
    assert second.result["id"] == "other" and second.result["result"] == first.result["result"]
    lines = [json.loads(line)["method"] for line in second.tool("received")]
    assert lines == ["initialize", "notifications/initialized", "tools/call"]


def test_clients_that_initialize_together_share_one_answer(start):
    worker = start()
    begun = [worker.start_initialize(id=i) for i in range(5)]
    answers = [worker.finish(connection) for _, connection in begun]
    assert [answer.message()["id"] for answer in answers] == list(range(5))
    assert [answer.headers["Mcp-Session-Id"] for answer in answers] == [transport for transport, _ in begun]
    attach = [answer.headers["Envmux-Attach"] for answer in answers]
    assert sorted(attach) == ["joined"] * 4 + ["new"]


def test_joined_clients_with_the_same_ids_get_their_own_answers(worker):
    first, second = worker.initialize(), worker.initialize()
    begun = [client.start("hold", {"name": name}, id=7, token="t")
             for client, name in ((first, "one"), (second, "two"))]
    wait_until(lambda: len(first.tool("received")) > 4, "both calls at the backend")
    second.tool("progress", name="two", step=2)
    second.tool("progress", name="one", step=1)
    second.tool("release", name="one", value="for one")
    second.tool("release", name="two", value="for two")
    for connection, step, value in zip(begun, (1, 2), ("for one", "for two")):
        events = worker.finish(connection).events()
        assert [event.get("method") for event in events] == ["notifications/progress", None]
        assert events[0]["params"] == {"progressToken": "t", "progress": step}
        assert events[1]["id"] == 7 and events[1]["result"]["content"][0]["text"] == value


def test_the_late_answer_to_a_client_that_left_is_not_taken_for_anothers(worker):
    first = worker.initialize()
    first.start("hold", {"name": "x"}, id=7)
    wait_until(lambda: '"hold"' in "".join(first.tool("received")), "the call at the backend")
    assert first.post(cancelled(7)).status == 202
    second = worker.initialize()
    assert first.delete().status == 200
    waiting = second.start("hold", {"name": "y"}, id=7)
    wait_until(lambda: '"y"' in "".join(second.tool("received")), "the call at the backend")
    second.last_id = 100
    assert second.tool("release", name="x", value="of the first") == "done"
    assert second.tool("release", name="y", value="of the second") == "done"
    assert worker.finish(waiting).message()["result"]["content"][0]["text"] == "of the second"


def test_attach_reject(start):
    worker = start(attach="reject")
    worker.initialize()
    _, connection = worker.start_initialize(id=5)
    answer = worker.finish(connection)
    message = answer.message()
    assert answer.status == 200 and message["id"] == 5 and reason(message) == "session_attached"


def test_attach_replace(start):
    """The session ends in favour of one with a fresh backend: whoever used it is told, whoever comes is sent on."""
    worker = start(attach="replace")
    first = worker.initialize()
    stream, call = first.get(), first.start("hold", {"name": "x"}, id=9)
    wait_until(lambda: first.tool("received")[-2].count('"hold"'), "the call at the backend")
    _, connection = worker.start_initialize()
    answer = worker.finish(connection)
    assert answer.status == 410 and answer.headers["Envmux-Gone"] == "1"
    message = worker.finish(call).message()
    assert message["id"] == 9 and reason(message) == "replaced"
    assert stream.events() == []
    assert worker.supervisor.wait("GONE").body.cause == wh.REPLACED
    worker.wait_exit()


def test_attach_replace_needs_somebody_to_replace(start):
    """Clients that give up on a slow start and try again do not end it each time."""
    worker = start(attach="replace")
    assert worker.initialize().answer.headers["Envmux-Attach"] == "new"


# ---- requests and answers -----------------------------------------------------------------------


def test_a_call_is_plain_json_or_a_stream(worker):
    client = worker.initialize()
    plain = worker.finish(client.start("echo", {"a": 1}))
    assert plain.status == 200 and plain.type == "application/json"
    streamed = worker.finish(client.start("log", {"count": 3}))
    assert streamed.type == "text/event-stream"
    events = streamed.events()
    assert [event.get("method") for event in events] == ["notifications/message"] * 3 + [None]
    assert events[3]["id"] == client.last_id


def test_notifications_and_responses_are_202(worker):
    client = worker.initialize()
    for message in ({"jsonrpc": "2.0", "method": "notifications/roots/list_changed"},
                    {"jsonrpc": "2.0", "id": 77, "result": {}}):
        answer = client.post(message)
        assert (answer.status, answer.body()) == (202, b"")
    lines = client.tool("received")
    assert json.loads(lines[-2]) == {"jsonrpc": "2.0", "id": 77, "result": {}}


def test_the_backend_may_ask_on_the_stream_of_the_call(worker):
    client = worker.initialize()
    answer = worker.finish(client.start("ask"))
    question = answer.event()
    assert question["method"] == "sampling/createMessage" and question["id"] == "server-1"
    assert client.post({"jsonrpc": "2.0", "id": "server-1", "result": {"said": "hello"}}).status == 202
    last = answer.event()
    assert json.loads(last["result"]["content"][0]["text"]) == {"said": "hello"}
    assert answer.event() is None


def test_a_question_taken_back_follows_the_question(worker):
    client = worker.initialize()
    first = worker.finish(client.start("ask"))
    assert first.event()["id"] == "server-1"
    second = client.start("hold", {"name": "newer"})
    client.tool("unask")
    note = first.event()
    assert note["method"] == "notifications/cancelled" and note["params"]["requestId"] == "server-1"
    client.tool("release", name="newer")
    assert worker.finish(second).type == "application/json"


def test_progress_of_two_calls_goes_to_each(worker):
    client = worker.initialize()
    one = client.start("hold", {"name": "one"}, id="a", token=1)
    two = client.start("hold", {"name": "two"}, id="b", token="1")
    wait_until(lambda: sum('"hold"' in line for line in client.tool("received")) == 2, "both calls at the backend")
    client.tool("progress", name="two", step=20)
    client.tool("progress", name="one", step=10)
    client.tool("release", name="one")
    client.tool("release", name="two")
    for connection, token, step in ((one, 1, 10), (two, "1", 20)):
        events = worker.finish(connection).events()
        assert events[0]["params"] == {"progressToken": token, "progress": step}
        assert len(events) == 2


def test_news_goes_to_every_get_stream(worker):
    clients = [worker.initialize(), worker.initialize()]
    streams = [client.get() for client in clients]
    clients[0].tool("news")
    for stream in streams:
        assert stream.status == 200
        assert stream.event()["method"] == "notifications/tools/list_changed"


def test_what_the_backend_says_first_waits_for_a_stream(start):
    worker = start(env=["BACKEND_NEWS_FIRST=1"])
    client = worker.initialize()
    assert client.answer.type == "application/json"
    assert client.get().event()["method"] == "notifications/tools/list_changed"


def test_a_cancelled_call_ends_its_stream(worker):
    client = worker.initialize()
    call = client.start("hold", {"name": "x"}, id="c")
    wait_until(lambda: any('"hold"' in line for line in client.tool("received")), "the call at the backend")
    assert client.post(cancelled("c")).status == 202
    assert worker.finish(call).events() == []
    assert client.tool("cancelled") == ["c"]


def test_a_client_that_leaves_does_not_cancel(worker):
    client = worker.initialize()
    call = client.start("hold", {"name": "x"}, id="c")
    wait_until(lambda: any('"hold"' in line for line in client.tool("received")), "the call at the backend")
    call.close()
    worker.supervisor.wait("STATUS", lambda frame: frame.body.in_flight == 1)
    assert client.tool("cancelled") == []
    assert client.tool("release", name="x") == "done"
    assert client.tool("echo", a=1) == {"a": 1}


def test_a_call_whose_client_left_can_still_be_cancelled(worker):
    client = worker.initialize()
    call = client.start("hold", {"name": "x"}, id="c")
    wait_until(lambda: any('"hold"' in line for line in client.tool("received")), "the call at the backend")
    call.close()
    assert client.post(cancelled("c")).status == 202
    wait_until(lambda: client.tool("cancelled") == ["c"], "the cancellation at the backend")


def test_silence_is_filled_with_comments(worker):
    """Clients give up on a head or a body that says nothing for long: after 15 s there is a comment."""
    client = worker.initialize(version="2025-06-18")
    stream = client.get()
    answer = worker.finish(client.start("hold", {"name": "x"}, id="slow"))
    assert answer.type == "text/event-stream"
    assert answer.raw.readline() == stream.raw.readline() == b": keepalive\n"
    client.tool("release", name="x")
    assert [event["id"] for event in answer.events()] == ["slow"]


def test_a_request_past_its_deadline_is_cancelled_and_answered(start):
    worker = start(request_usec=300_000)
    client = worker.initialize()
    answer = worker.finish(client.start("hold", {"name": "x"}, id="late"))
    message = answer.message()
    assert answer.status == 200 and message["id"] == "late" and reason(message) == "deadline"
    assert client.tool("cancelled") == ["late"]


def test_requests_of_other_clients_do_not_put_a_deadline_off(start):
    worker = start(request_usec=500_000)
    first, second = (worker.initialize(version="2025-06-18") for _ in range(2))
    waiting = first.start("hold", {"name": "x"}, id=1)
    for _ in range(50_000):
        second.tool("echo")
        if select.select([waiting.sock], [], [], 0)[0]:
            break
    else:
        pytest.fail("the deadline was never looked at")
    answer = worker.finish(waiting)
    assert answer.type == "application/json" and reason(answer.message()) == "deadline"  # no keepalive came before it


def test_batches_of_2025_03_26(worker):
    client = worker.initialize(version="2025-03-26")
    call = {"jsonrpc": "2.0", "method": "tools/call", "params": {"name": "echo", "arguments": {"x": 1}}}
    answer = client.post([call | {"id": 1}, {"jsonrpc": "2.0", "method": "notifications/x"}, call | {"id": 2}])
    assert answer.type == "application/json"
    assert sorted(response["id"] for response in json.loads(answer.body())) == [1, 2]
    log = call | {"params": {"name": "log"}}
    answer = client.post([log | {"id": 3}, call | {"id": 4}, log | {"id": 5}])
    assert answer.type == "text/event-stream"  # more than responses
    events = answer.events()
    assert [event.get("id") or event["params"]["data"] for event in events] == ["log 0", 3, 4, "log 0", 5]
    assert client.post([{"jsonrpc": "2.0", "method": "notifications/x"}]).status == 202
    assert client.post([call | {"id": 1}, {"jsonrpc": "2.0"}]).status == 400
    assert all(line.startswith("{") for line in client.tool("received"))


def test_later_revisions_have_no_batches(worker):
    client = worker.initialize(version="2025-06-18")
    assert client.post([{"jsonrpc": "2.0", "id": 1, "method": "ping"}]).status == 400


# ---- what is refused ----------------------------------------------------------------------------


PING = {"jsonrpc": "2.0", "id": 1, "method": "ping"}
POST = wh.POST_HEADERS


@pytest.mark.parametrize("method, path, body, headers, status, word", [
    ("POST", "/mcp", json.dumps(PING), POST | {"Accept": "application/json"}, 406, "not_acceptable"),
    ("POST", "/mcp", json.dumps(PING), POST | {"Accept": "*/*"}, 406, "not_acceptable"),
    ("POST", "/mcp", json.dumps(PING), POST | {"Content-Type": "text/plain"}, 415, "unsupported_type"),
    ("POST", "/mcp", "{nonsense", POST, 400, "parse_error"),
    ("POST", "/mcp", '{"jsonrpc":"1.0","id":1,"method":"ping"}', POST, 400, "bad_request"),
    ("POST", "/mcp", "[]", POST, 400, "bad_request"),
    ("POST", "/mcp", json.dumps(PING), POST | {"Mcp-Session-Id": "nobody"}, 404, "unknown_session"),
    ("POST", "/mcp", json.dumps(PING), POST | {"Mcp-Session-Id": "a b"}, 400, "bad_request"),
    ("POST", "/mcp", json.dumps(PING), POST | {"MCP-Protocol-Version": "2024-01-01"}, 400, "unsupported_version"),
    ("POST", "/mcp", json.dumps(PING), POST | {"MCP-Protocol-Version": "2026-07-28"}, 400, "legacy_only"),
    ("POST", "/mcp/other", json.dumps(PING), POST, 404, "unknown_path"),
    ("GET", "/mcp", None, {"Accept": "application/json"}, 406, "not_acceptable"),
    ("GET", "/mcp", None, {"Accept": "text/event-stream", "Mcp-Session-Id": "nobody"}, 404, "unknown_session"),
    ("GET", "/mcp", None, {"Accept": "text/event-stream", "MCP-Protocol-Version": "2026-07-28"}, 400, "unsupported_version"),
    ("DELETE", "/mcp", None, {}, 400, "session_required"),
    ("DELETE", "/mcp", None, {"MCP-Protocol-Version": "nonsense"}, 400, "unsupported_version"),
    ("DELETE", "/mcp", None, {"Mcp-Session-Id": "nobody"}, 404, "unknown_session"),
    ("PUT", "/mcp", "", {}, 405, "method_not_allowed"),
])
def test_refusals(worker, method, path, body, headers, status, word):
    worker.initialize()
    answer = worker.request(method, path, body, headers)
    assert (answer.status, reason(answer.message())) == (status, word)
    if status == 405:
        assert answer.headers["Allow"] == "GET, POST, DELETE"


def test_requests_before_initialize_need_a_session(worker):
    answer = worker.post(PING)
    assert answer.status == 400 and reason(answer.message()) == "session_required"


def test_a_second_get_stream_conflicts(worker):
    client = worker.initialize()
    stream = client.get()
    assert client.get().status == 409
    stream.close()
    wait_until(lambda: client.get().status == 200, "a new GET after the old one ended")


def test_an_id_in_flight_cannot_be_used_again(worker):
    client = worker.initialize()
    call = client.start("hold", {"name": "x"}, id=5)
    wait_until(lambda: any('"hold"' in line for line in client.tool("received")), "the call at the backend")
    answer = worker.finish(client.start("echo", {}, id=5))
    assert answer.status == 400 and reason(answer.message()) == "duplicate_id"
    client.tool("release", name="x")
    assert worker.finish(call).message()["id"] == 5


def test_an_id_has_a_longest_size(worker):
    client = worker.initialize()
    assert client.tool("echo", a=1) == {"a": 1}
    answer = client.post({"jsonrpc": "2.0", "id": "x" * 5000, "method": "ping"})
    assert answer.status == 400 and reason(answer.message()) == "bad_request"
    ping = {"jsonrpc": "2.0", "id": 50, "method": "ping", "params": {"_meta": {"progressToken": "x" * 5000}}}
    answer = client.post(ping)
    assert answer.status == 400 and answer.message()["id"] == 50
    assert client.post({"jsonrpc": "2.0", "id": "x" * 1000, "method": "ping"}).status == 200


def test_a_client_initializes_once(worker):
    client = worker.initialize()
    again = {"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": {}}
    answer = client.post(again)
    assert answer.status == 400 and answer.message()["id"] == 1


def test_a_body_beyond_the_limit(start):
    worker = start(message_bytes_max=100_000)
    client = worker.initialize()
    answer = client.post({"jsonrpc": "2.0", "id": 1, "method": "ping", "params": {"x": "y" * 100_000}})
    assert answer.status == 413
    assert client.tool("echo", a=1) == {"a": 1}


# ---- the backend --------------------------------------------------------------------------------


def test_what_the_backend_is_started_with(start):
    worker = start(env=["A=b"], config={"p": 0.80, "n": 1e3})
    client = worker.initialize()
    seen = client.tool("environment")
    assert seen["cwd"] == worker.spec["values"]["workspace"]
    env = seen["env"]
    assert (env["A"], env["ENVMUX_SESSION"], env["ENVMUX_SEED"]) == ("b", worker.spec["id"], "42")
    assert (env["ENVMUX_WORKSPACE"], env["TMPDIR"]) == (seen["cwd"], worker.spec["tmp"])
    assert env["ENVMUX_CONFIG"] == json.dumps(worker.spec["config"])
    assert seen["pgid"] == seen["sid"] == seen["pid"] != os.getsid(0)
    assert seen["fds"] == ["0", "1", "2", "3"]  # 3 is the folder being listed
    pythons_own = 1 << signal.SIGPIPE - 1 | 1 << signal.SIGXFSZ - 1
    assert not any(int(line.split()[1], 16) & ~pythons_own for line in seen["blocked"])


def test_crash_in_a_call_is_told_to_everybody(worker):
    client = worker.initialize()
    stream, other = client.get(), client.start("hold", {"name": "x"}, id="other")
    wait_until(lambda: any('"hold"' in line for line in client.tool("received")), "the call at the backend")
    answer = worker.finish(client.start("crash", {"code": 3, "words": "out of cheese"}, id="mine"))
    message = answer.message()
    told = message["error"]["data"]["envmux"]
    assert answer.status == 200 and message["id"] == "mine"
    assert (told["reason"], told["infra"], told["exit_status"]) == ("backend_exited", True, 3)
    assert told["stderr"][-1] == "out of cheese"
    assert reason(worker.finish(other).message()) == "backend_exited"
    assert stream.events() == []
    exited = worker.supervisor.wait("BACKEND_EXITED")
    assert (exited.body.code, exited.body.status) == (1, 3) and exited.blob == b"out of cheese\n"
    gone = worker.supervisor.wait("GONE")
    assert gone.body.cause == wh.BACKEND_EXITED and json.loads(gone.blob)["exit_status"] == 3
    worker.wait_exit()


def test_death_by_a_signal(worker):
    client = worker.initialize()
    message = client.call("die_by", number=int(signal.SIGKILL))
    assert message["error"]["data"]["envmux"]["signal"] == "SIGKILL"
    assert worker.supervisor.wait("BACKEND_EXITED").body.status == signal.SIGKILL
    worker.wait_exit()


def ask(connection, message, headers):
    connection.request("POST", "/mcp", json.dumps(message), wh.POST_HEADERS | headers)
    return wh.Worker.finish(connection)


def test_what_arrives_after_a_crash_hears_of_it_and_a_new_client_is_told_gone(worker):
    client = worker.initialize()
    late, new = wh.UnixConnection(worker.socket_path), wh.UnixConnection(worker.socket_path)
    late.connect()
    new.connect()
    client.call("crash")
    told = ask(late, PING | {"id": "late"}, client.headers()).message()
    assert told["id"] == "late" and told["error"]["data"]["envmux"]["exit_status"] == 3
    answer = ask(new, PING | {"method": "initialize"}, {"Envmux-Transport": "t"})
    assert (answer.status, answer.headers["Envmux-Gone"]) == (410, "1")
    worker.wait_exit()


def test_what_arrives_after_an_orderly_end_is_told_gone(worker):
    client = worker.initialize()
    late = wh.UnixConnection(worker.socket_path)
    late.connect()
    client.delete()
    answer = ask(late, PING, client.headers())
    assert (answer.status, answer.headers["Envmux-Gone"]) == (410, "1")
    worker.wait_exit()


def test_a_command_that_does_not_exist(start):
    worker = start(["/nonexistent/program"])
    transport, connection = worker.start_initialize(id=3, headers={"Envmux-Created": "1"})
    answer = worker.finish(connection)
    message = answer.message()
    assert answer.status == 200 and message["id"] == 3 and reason(message) == "start_failed"
    assert "/nonexistent/program" in message["error"]["message"] and "No such file" in message["error"]["message"]
    assert worker.supervisor.wait("GONE").body.cause == wh.START_FAILED
    worker.wait_exit()


def test_a_backend_that_dies_while_starting_fails_the_request_at_once(start):
    worker = start(["/bin/sh", "-c", "echo bad licence >&2; exit 7"])
    _, connection = worker.start_initialize()
    told = worker.finish(connection).message()["error"]["data"]["envmux"]
    assert (told["reason"], told["exit_status"], told["stderr"]) == ("start_failed", 7, ["bad licence"])
    assert worker.supervisor.count("READY") == 0
    worker.wait_exit()


def test_a_backend_that_does_not_answer_in_time(start):
    worker = start(["/bin/sh", "-c", "echo thinking >&2; cat >/dev/null"], start_usec=300_000)
    _, connection = worker.start_initialize()
    told = worker.finish(connection).message()["error"]["data"]["envmux"]
    assert (told["reason"], told["stderr"]) == ("start_timeout", ["thinking"])
    assert worker.supervisor.wait("GONE").body.cause == wh.START_TIMEOUT
    worker.wait_exit()


def test_ready_is_the_exec_when_no_request_is_awaited(start):
    worker = start(awaits_request=False)
    worker.supervisor.wait("READY")
    assert worker.initialize().tool("echo", a=1) == {"a": 1}


def test_a_flood_blocks_nothing_and_stays_bounded(worker):
    client = worker.initialize()
    assert client.tool("flood", lines=50_000) == "flooded"
    with open(f"/proc/{worker.process.pid}/statm") as file:
        assert int(file.read().split()[1]) * os.sysconf("SC_PAGESIZE") < 64 << 20 or "asan" in str(wh.LIBEXEC)
    worker.supervisor.send("LOGS_GET", cookie=5, lines_max=3)
    lines = worker.supervisor.wait("LOG_LINES", lambda frame: frame.cookie == 5 and frame.blob)
    assert lines.blob.endswith(b"y\n") or lines.blob.endswith(b"x\n")
    worker.supervisor.wait("LOG_LINES", lambda frame: frame.cookie == 5 and frame.body.is_last)


def test_a_line_of_ten_megabytes_passes(worker):
    client = worker.initialize()
    assert client.tool("big", size=10 << 20) == "z" * (10 << 20)
    assert client.tool("echo", a="q" * (10 << 20)) == {"a": "q" * (10 << 20)}


def test_a_line_beyond_the_limit_fails_its_call_alone(start):
    worker = start(message_bytes_max=100_000)
    client = worker.initialize()
    message = client.call("big", size=3_000_000)
    assert reason(message) == "backend_protocol"
    assert client.tool("echo", a=1) == {"a": 1}


def test_a_line_beyond_the_limit_fails_its_call_among_others(start):
    worker = start(message_bytes_max=100_000)
    clients = [worker.initialize() for _ in range(2)]  # who use the same ids
    held = [client.start("hold", {"name": str(i)}, id="a") for i, client in enumerate(clients)]
    wait_until(lambda: sum('"hold"' in line for line in clients[0].tool("received")) == 2, "the calls at the backend")
    message = clients[1].call("big", size=3_000_000)
    assert reason(message) == "backend_protocol"
    for i, client in enumerate(clients):
        client.tool("release", name=str(i))
        assert worker.finish(held[i]).message()["result"]["content"][0]["text"] == "released"


def test_a_notification_beyond_the_limit_fails_no_call(start):
    worker = start(message_bytes_max=100_000)
    client = worker.initialize()
    assert client.tool("log_long", size=200_000) == "logged"


def test_odd_lines_are_no_messages(worker):
    client = worker.initialize()
    line = 'garbage\r\n\r\n{"jsonrpc":"2.0","id":$ID,\r"result":{"content":[{"type":"text","text":"ok"}]}}\r\n'
    assert client.tool("raw", line=line) == "ok"
    worker.supervisor.send("LOGS_GET", cookie=1)
    assert worker.supervisor.wait("LOG_LINES", lambda frame: frame.body.is_stdout).blob == b"garbage\n"


def test_a_client_that_does_not_read_is_cut_off_and_stops_nobody_else(start):
    worker = start(buffer_bytes_max=8 << 20, message_bytes_max=4 << 20)
    slow, client = (worker.initialize(version="2025-06-18") for _ in range(2))
    call = slow.start("hold", {"name": "x"}, id=1, token=1)
    wait_until(lambda: any('"hold"' in line for line in client.tool("received")), "the call at the backend")
    for i in range(4):
        assert client.tool("progress", name="x", step=100 * i, count=100, size=10_000) == "done"
    last = worker.finish(call).message()
    assert (last["id"], reason(last)) == (1, "overloaded")
    assert client.tool("echo", a=1) == {"a": 1}


def test_the_budget_of_a_session_bounds_what_its_clients_leave_unread(start):
    budget = 8 << 20
    worker = start(buffer_bytes_max=budget, message_bytes_max=4 << 20)
    client = worker.initialize()
    calls = [client.start("big", {"size": 1_900_000}) for _ in range(10)]
    seen = []

    def is_full_and_still():
        worker.supervisor.send("STATUS_GET", cookie=len(seen) + 1)
        status = worker.supervisor.wait("STATUS", lambda frame: frame.cookie == len(seen) + 1)
        seen.append(status.body.bytes_buffered)
        return len(seen) > 9 and min(seen[-10:]) == max(seen[-10:]) > budget // 2

    wait_until(is_full_and_still, "the queues to be full")
    assert max(seen) < budget
    for call in calls:
        assert len(worker.finish(call).message()["result"]["content"][0]["text"]) == 1_900_000


def test_a_backend_that_closes_its_output(worker):
    client = worker.initialize()
    message = client.call("close_stdout")
    assert reason(message) == "backend_exited"
    worker.wait_exit()


def test_a_backend_that_reads_nothing_is_overloaded_not_endless(start):
    worker = start(buffer_bytes_max=2 << 20, message_bytes_max=1 << 20)
    client = worker.initialize()
    client.tool("deaf")
    calls = [client.start("echo", {"x": "y" * 500_000}) for _ in range(6)]
    answer = worker.finish(calls[-1])
    assert (answer.status, reason(answer.message())) == (503, "overloaded")
    assert answer.headers["Retry-After"]
    for call in calls:
        call.close()


# ---- ends ---------------------------------------------------------------------------------------


def test_delete_ends_the_session_with_its_last_client(worker):
    first, second = worker.initialize(), worker.initialize()
    stream = first.get()
    assert first.delete().status == 200
    assert stream.events() == []
    assert first.delete().status == 404
    assert second.tool("echo", a=1) == {"a": 1}
    backend = worker.supervisor.wait("SPAWNED").body.backend_pid
    assert second.delete().status == 200
    assert worker.supervisor.wait("GONE").body.cause == wh.DELETED
    worker.wait_exit()
    assert not is_alive(backend)


def test_who_comes_in_while_the_last_client_leaves_is_sent_on(worker):
    client = worker.initialize()
    body = json.dumps({"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": {}}).encode()
    coming = wh.UnixConnection(worker.socket_path)
    coming.connect()
    headers = wh.POST_HEADERS | {"Host": "x", "Envmux-Transport": "later", "Expect": "100-continue", "Content-Length": len(body)}
    coming.sock.sendall(b"POST /mcp HTTP/1.1\r\n" + "".join(f"{k}: {v}\r\n" for k, v in headers.items()).encode() + b"\r\n")
    assert b" 100 " in coming.sock.recv(100)
    assert client.delete().status == 200
    coming.sock.sendall(body)
    assert b" 410 " in coming.sock.recv(100)


def test_an_idle_session_ends(start):
    worker = start(idle_usec=300_000)
    client = worker.initialize()
    stream = client.get()  # keeps nothing alive
    gone = worker.supervisor.wait("GONE")
    assert gone.body.cause == wh.IDLE
    assert stream.events() == []
    worker.wait_exit()


def test_a_call_keeps_the_session_from_being_idle(start):
    worker = start(idle_usec=300_000)
    client = worker.initialize(version="2025-06-18")
    call = client.start("hold", {"name": "x"})
    status = worker.supervisor.wait("STATUS", lambda frame: frame.body.in_flight == 1)
    worker.supervisor.wait("STATUS", lambda frame: True, since=worker.supervisor.index(status))
    with pytest.raises(TimeoutError):
        call.sock.settimeout(1.0)
        call.getresponse()
    assert worker.supervisor.count("GONE") == 0
    call.close()


def test_stop_leaves_no_process(worker):
    client = worker.initialize()
    children = client.tool("orphans")
    processes = worker.descendants()
    assert set(children) <= set(processes) and all(map(is_alive, children))
    assert client.tool("stubborn") == "stubborn"
    worker.supervisor.send("STOP", drain_usec=0, rung_usec=200_000, reason=wh.REASONS.index("stopping"))
    assert worker.supervisor.wait("GONE").body.cause == wh.STOPPED
    worker.wait_exit()
    assert not any(map(is_alive, processes))
    assert worker.supervisor.wait("BACKEND_EXITED").body.status == signal.SIGKILL


def test_stop_waits_for_requests_in_flight(worker):
    client = worker.initialize()
    answer = worker.finish(client.start("ask"))
    assert answer.event()["id"] == "server-1"
    worker.supervisor.send("STOP", drain_usec=300_000, rung_usec=1_000_000, reason=wh.REASONS.index("stopping"))
    worker.supervisor.wait("GONE")
    assert client.post(PING).status == 410
    message = answer.event()
    assert reason(message) == "stopping"
    worker.wait_exit()


def test_a_second_stop_never_prolongs_the_first(worker):
    client = worker.initialize()
    answer = worker.finish(client.start("ask"))
    assert answer.event()["id"] == "server-1"
    for drain_usec in (500_000, 3_600_000_000):  # as after a supervisor that has come back
        worker.supervisor.send("STOP", drain_usec=drain_usec, rung_usec=1_000_000, reason=wh.REASONS.index("stopping"))
    assert reason(answer.event()) == "stopping"
    worker.wait_exit()


def test_stop_of_a_quiet_backend_is_a_clean_exit(worker):
    worker.initialize()
    worker.supervisor.send("STOP", drain_usec=10_000_000, rung_usec=10_000_000, reason=wh.REASONS.index("stopping"))
    exited = worker.supervisor.wait("BACKEND_EXITED").body
    assert (exited.code, exited.status) == (1, 0)
    worker.wait_exit()


def test_the_backend_dies_with_its_worker(worker):
    assert worker.initialize().tool("stubborn") == "stubborn"
    backend = worker.supervisor.wait("SPAWNED").body.backend_pid
    worker.process.kill()
    worker.process.wait()
    wait_until(lambda: not is_alive(backend), "the end of the backend")


# ---- the supervisor -----------------------------------------------------------------------------


def test_the_session_goes_on_without_a_supervisor_and_tells_it_all_again(worker):
    client = worker.initialize(client_info={"name": "a", "version": "1", "_extra": {"session_id": "run-1"}})
    worker.supervisor.wait("READY")
    worker.supervisor.disconnect()
    assert client.tool("echo", a=1) == {"a": 1}
    late = worker.initialize()
    before = len(worker.supervisor.frames)
    worker.supervisor.listen()
    hello = worker.supervisor.wait("HELLO", since=before).body
    assert hello.is_ready and not hello.is_gone and hello.backend_pid in worker.descendants()
    for kind, key in ((2, client.transport_id), (3, "run-1"), (2, late.transport_id)):
        worker.supervisor.wait("ALIAS", lambda frame: (frame.body.kind, frame.body.key) == (kind, key.encode()), before)
    worker.supervisor.wait("STATUS", since=before)
    assert client.tool("echo", a=2) == {"a": 2}


def test_an_end_without_a_supervisor_is_told_when_it_returns(worker):
    client = worker.initialize()
    worker.supervisor.wait("READY")
    worker.supervisor.disconnect()
    assert reason(client.call("crash", code=4)) == "backend_exited"
    before = len(worker.supervisor.frames)
    worker.supervisor.listen()
    assert worker.supervisor.wait("HELLO", since=before).body.is_gone
    assert worker.supervisor.wait("BACKEND_EXITED", since=before).body.status == 4
    assert worker.supervisor.wait("GONE", since=before).body.cause == wh.BACKEND_EXITED
    worker.wait_exit()


def test_status_on_request(worker):
    client = worker.initialize()
    client.tool("echo", a=1)
    worker.supervisor.send("STATUS_GET", cookie=9)
    status = worker.supervisor.wait("STATUS", lambda frame: frame.cookie == 9).body
    assert (status.in_flight, status.clients, status.requests) == (0, 1, 3)
    assert status.bytes_in > 0 and status.bytes_out > 0


def test_logs_are_followed(worker):
    client = worker.initialize()
    worker.supervisor.send("LOGS_GET", cookie=1, lines_max=0, follow=1)
    client.tool("raw", line='one\ntwo\n{"jsonrpc":"2.0","id":$ID,"result":{"content":[{"text":"x"}]}}\n')
    worker.supervisor.wait("LOG_LINES", lambda frame: frame.cookie == 1 and b"two\n" in frame.blob)
    worker.supervisor.send("LOGS_CANCEL", cookie=1)
    worker.supervisor.wait("LOG_LINES", lambda frame: frame.cookie == 1 and frame.body.is_last)


def test_a_real_shell_wrapper(start):
    worker = start(["/bin/sh", "-c", f"{sys.executable} {wh.BACKEND}; true"])
    client = worker.initialize()
    processes = worker.descendants()
    assert len(processes) >= 2
    client.delete()
    worker.wait_exit()
    assert not any(map(is_alive, processes))
