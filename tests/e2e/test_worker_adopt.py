"""envmux-worker alone, found by an entry of _meta: calls of clients that never initialized its backend."""

import json
import os
import shutil
import tempfile

import pytest

import worker_harness as harness
from harness import wait_until

META = {"openai/session": "chat-1"}


@pytest.fixture
def start():
    """Workers of kind "meta"; none survives the test."""
    workers = []

    def start(**options):
        folder = tempfile.mkdtemp(prefix="w", dir="/tmp")  # short: it is a socket's folder
        workers.append(harness.Worker(folder, **{"kind": "meta", "key": "chat-1"} | options))
        return workers[-1]

    yield start
    for worker in workers:
        worker.close()
        assert "Sanitizer" not in worker.stderr(), worker.stderr()
        shutil.rmtree(worker.folder)


def lines(client, method):
    """What the backend has read of that method."""
    return [message for message in map(json.loads, client.tool("received")) if message.get("method") == method]


def test_a_call_without_a_handshake_finds_an_initialized_backend(start):
    worker = start()
    client = harness.Client(worker, "transport-of-chatgpt", version="2025-03-26")
    assert client.tool("echo", a=1) == {"a": 1}
    initialize, = lines(client, "initialize")
    assert initialize["params"]["protocolVersion"] == "2025-03-26"
    assert initialize["params"]["clientInfo"]["name"] == "envmux" and initialize["params"]["capabilities"] == {}
    order = [json.loads(line).get("method") for line in client.tool("received")]
    assert order[:3] == ["initialize", "notifications/initialized", "tools/call"]
    worker.supervisor.wait("READY")
    alias = worker.supervisor.wait("ALIAS").body
    assert (alias.kind, alias.key, alias.is_removed) == (2, b"transport-of-chatgpt", 0)


def test_many_transports_are_one_session(start):
    worker = start()
    calls = [harness.Client(worker, f"t{i}") for i in range(20)]
    begun = [client.start("echo", {"n": i}, id=1) for i, client in enumerate(calls)]
    for i, connection in enumerate(begun):
        answer = harness.Worker.finish(connection).message()
        assert answer["id"] == 1 and json.loads(answer["result"]["content"][0]["text"]) == {"n": i}
    assert len(lines(calls[0], "initialize")) == 1
    assert worker.supervisor.wait("STATUS", lambda frame: frame.body.clients == 20)


def test_a_call_without_any_session_id_stands_for_itself(start):
    worker = start()

    def begin(tool, **arguments):
        body = {"jsonrpc": "2.0", "id": 7, "method": "tools/call", "params": {"name": tool, "arguments": arguments}}
        return worker.begin("POST", "/mcp", json.dumps(body), harness.POST_HEADERS)

    held = begin("hold", name="x")
    assert worker.finish(begin("echo", b=2)).message()["id"] == 7
    while "result" not in worker.finish(begin("release", name="x")).message():
        pass  # the other call may be read later
    answer = worker.finish(held).message()
    assert answer["id"] == 7 and answer["result"]["content"][0]["text"] == "released"
    assert worker.supervisor.wait("STATUS", lambda frame: frame.body.clients == 0 and frame.body.requests > 2)


def test_later_messages_need_the_session_id_alone(start):
    worker = start()
    client = harness.Client(worker, "t")
    asked = harness.Worker.finish(client.start("ask"))
    question = asked.event()
    assert question["method"] == "sampling/createMessage"
    assert client.post({"jsonrpc": "2.0", "id": question["id"], "result": {"ok": True}}).status == 202
    assert json.loads(asked.event()["result"]["content"][0]["text"]) == {"ok": True}
    stream = client.get()
    assert stream.status == 200
    other = harness.Client(worker, "other")
    assert other.call("news")["result"]
    assert stream.event()["method"] == "notifications/tools/list_changed"


def test_a_client_that_initializes_joins(start):
    worker = start()
    assert harness.Client(worker, "early").tool("echo", a=1) == {"a": 1}
    late = worker.initialize()
    assert late.answer.headers["Envmux-Attach"] == "joined"
    assert late.tool("echo", a=2) == {"a": 2}
    assert len(lines(late, "initialize")) == 1 and len(lines(late, "notifications/initialized")) == 1


def test_delete_detaches(start):
    worker = start()
    client, other = harness.Client(worker, "t"), harness.Client(worker, "u")
    assert client.tool("echo", a=1) == other.tool("echo", a=1)
    for one in (client, other):
        assert one.delete().status == 200
        worker.supervisor.wait("ALIAS", lambda frame: frame.body.is_removed and frame.body.key.decode() == one.transport_id)
    assert harness.Client(worker, "v").tool("echo", a=3) == {"a": 3}  # the backend lives on
    assert worker.supervisor.count("GONE") == 0


@pytest.mark.parametrize("kind", ["shared", "client"])
def test_a_shared_session_outlives_its_last_client(start, kind):
    worker = start(kind=kind)
    assert worker.initialize().delete().status == 200
    assert worker.initialize().tool("echo", a=1) == {"a": 1}
    assert worker.supervisor.count("GONE") == 0


def test_a_late_answer_to_a_client_that_left_is_not_the_next_ones(start):
    worker = start(kind="shared")
    client = worker.initialize()
    client.start("hold", {"name": "x"}, id=0)
    wait_until(lambda: lines(client, "tools/call")[-2]["params"]["name"] == "hold", "the call at the backend")
    assert client.delete().status == 200
    other = worker.initialize()
    own = other.start("hold", {"name": "y"}, id=0)
    wait_until(lambda: len([line for line in other.tool("received") if '"hold"' in line]) == 2, "the second one there")
    assert other.tool("release", name="x", value="of the first") == "done"  # cancelled, and answered all the same
    assert other.tool("release", name="y", value="of the second") == "done"
    assert harness.Worker.finish(own).message()["result"]["content"][0]["text"] == "of the second"


def test_an_initialize_that_was_overtaken_is_turned_away(start, tmp_path):
    """A client is taken in by its call while the backend has the initialize of another, and replaces it."""
    gate = tmp_path / "gate"
    os.mkfifo(gate)
    backend = ("import json,sys\nfor line in sys.stdin:\n m=json.loads(line)\n"
               f" if m.get('method')=='initialize':\n  open({str(gate)!r}).read()\n"
               "  print(json.dumps({'jsonrpc':'2.0','id':m['id'],'result':{'protocolVersion':'2025-06-18'}}),flush=True)")
    worker = start(attach="replace", command=["/usr/bin/env", "python3", "-c", backend])
    _, first = worker.start_initialize()
    with open(gate, "w"):  # opens when the backend has the initialize
        second = harness.Client(worker, "t").start("echo")
        worker.supervisor.wait("STATUS", lambda frame: frame.body.clients == 1)
    answer = harness.Worker.finish(first)
    assert (answer.status, answer.headers["Envmux-Gone"]) == (410, "1")
    assert harness.Worker.finish(second).status == 404
    assert worker.supervisor.wait("GONE").body.cause == harness.REPLACED
    worker.wait_exit()


def test_the_idlest_client_makes_room(start):
    worker = start()
    listener = harness.Client(worker, "listener")
    assert listener.tool("echo") == {}
    stream = listener.get()
    for i in range(255):
        assert harness.Client(worker, f"t{i}").tool("echo", i=i) == {"i": i}
    assert harness.Client(worker, "t0").tool("echo", i=0) == {"i": 0}  # heard of again: not the idlest any more
    assert harness.Client(worker, "one-more").tool("echo", a=1) == {"a": 1}
    gone = worker.supervisor.wait("ALIAS", lambda frame: frame.body.is_removed)
    assert gone.body.key == b"t1"
    assert harness.Client(worker, "one-more").call("news")
    assert stream.event()["method"] == "notifications/tools/list_changed"


def test_a_backend_that_refuses_the_handshake_ends_the_session(start):
    backend = ("import json,sys\nfor line in sys.stdin:\n m=json.loads(line)\n"
               " print(json.dumps({'jsonrpc':'2.0','id':m['id'],'error':{'code':-1,'message':'no'}}),flush=True)")
    worker = start(command=["/usr/bin/env", "python3", "-c", backend])
    answer = harness.Client(worker, "t").call("echo")
    assert answer["error"]["data"]["envmux"]["reason"] == "start_failed"
    assert worker.supervisor.wait("GONE").body.cause == harness.START_FAILED
    worker.wait_exit()


def test_messages_wait_bounded(start):
    silent = start(command=["/bin/sleep", "600"], start_usec=60_000_000)
    begun = [harness.Client(silent, f"t{i}").start("echo") for i in range(64)]
    silent.supervisor.wait("STATUS", lambda frame: frame.body.clients == 64)
    refused = harness.Client(silent, "late").call("echo")
    assert refused["error"]["data"]["envmux"]["reason"] == "overloaded"
    os.kill(silent.supervisor.wait("SPAWNED").body.backend_pid, 9)
    for connection in begun:
        assert harness.Worker.finish(connection).message()["error"]["data"]["envmux"]["reason"] == "start_failed"


def test_a_client_leaves_before_the_handshake_is_done(start):
    worker = start(command=["/bin/sleep", "600"], start_usec=60_000_000)
    client = harness.Client(worker, "t")
    begun = client.start("echo")
    worker.supervisor.wait("STATUS", lambda frame: frame.body.clients == 1)
    assert client.delete().status == 200
    answer = harness.Worker.finish(begun).message()
    assert answer["error"]["data"]["envmux"]["reason"] == "session_ended"


def test_what_waits_for_all_of_them_is_bounded(start):
    worker = start(buffer_bytes_max=64 << 10)
    clients = [harness.Client(worker, f"t{n}") for n in range(20)]
    for client in clients:
        assert client.tool("echo", a=1) == {"a": 1}
    padding = "x" * 4000
    line = json.dumps({"jsonrpc": "2.0", "method": "notifications/tools/list_changed", "params": {"p": padding}})
    answer = '{"jsonrpc":"2.0","id":$ID,"result":{"content":[]}}'
    speaker = harness.Client(worker, "speaker")
    assert "result" in speaker.call("raw", line=answer + "\n" + line + "\n")
    heard = [len(harness.Worker.finish(client.start("echo")).events()) for client in clients
             if client.transport_id != "speaker"]
    # Half of 64 KiB holds seven of these, the newest of all clients aside, whose stream may have taken one.
    assert 5 <= heard.count(2) <= 8 and heard.count(0) >= 11
