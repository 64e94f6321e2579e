"""envmux-worker in front of an HTTP backend, with spec.revives: what an idle one leaves, and what another makes of it."""

import json
import pathlib
import sys

import pytest

import worker_harness as harness
from harness import wait_until

BACKEND = pathlib.Path(__file__).with_name("worker_http_backend.py")
IDLE = 300_000


@pytest.fixture
def start(tmp_path_factory):
    """Workers; none survives the test."""
    workers = []

    def start(*arguments, **options):
        spec = {"transport": "http", "http_path": "/mcp", "revives": True} | options
        # 0x01 and "c" is what a compiled ${envmux:port} looks like (common/template.c).
        workers.append(harness.Worker(tmp_path_factory.mktemp("w"), [sys.executable, str(BACKEND)],
                                      ["--port", "\x01c", *arguments], **spec))
        return workers[-1]

    yield start
    for worker in workers:
        worker.close()
        assert "Sanitizer" not in worker.stderr(), worker.stderr()


def left_by(worker):
    """What a worker told with its end."""
    gone = worker.supervisor.wait("GONE")
    worker.wait_exit()
    return gone.body.cause, json.loads(gone.blob).get("revive")


def again(client, worker):
    """The same client, at another worker."""
    other = harness.Client(worker, client.transport_id, client.version)
    other.last_id = client.last_id
    return other


def reason(message):
    return message["error"]["data"]["envmux"]["reason"]


@pytest.mark.parametrize("stream", [(), ("--stream",)])
def test_a_client_goes_on_with_a_fresh_backend(start, stream):
    first = start(*stream, idle_usec=IDLE)
    client = first.initialize(client_info={"name": "test", "version": "1", "_extra": {"seed": 42}},
                              params={"capabilities": {"sampling": {}}, "n": 12345678901234567890})
    before = client.tool("whoami")
    cause, revive = left_by(first)
    assert cause == harness.IDLE
    entry, = revive["clients"]
    assert (entry["id"], entry["version"]) == (client.transport_id, "2025-11-25")

    second = start(*stream, revive=revive)
    aliases = {second.supervisor.wait("ALIAS", lambda frame, kind=kind: frame.body.kind == kind).body.key for kind in (2, 3)}
    assert client.transport_id.encode() in aliases  # told before the backend has answered anything
    back = again(client, second)
    answer = harness.Worker.finish(back.start("whoami"))
    after = json.loads(answer.message()["result"]["content"][0]["text"])
    assert after["params"] == before["params"] and after["session"] != before["session"]
    assert [line[1] for line in after["heard"]] == ["initialize", "notifications/initialized", "tools/call"]
    stream = back.get()
    assert stream.event()["params"]["session"] == after["session"]
    stream.close()
    assert [line[1] for line in back.tool("whoami")["heard"]].count("initialize") == 1


def test_every_client_comes_back_apart(start):
    first = start(idle_usec=IDLE)
    clients = [first.initialize(client_info={"name": f"n{n}", "version": "1"}) for n in range(3)]
    _, revive = left_by(first)
    second = start(revive=revive)
    begun = [again(client, second).start("whoami", id=1) for client in clients]
    seen = [json.loads(harness.Worker.finish(one).message()["result"]["content"][0]["text"]) for one in begun]
    assert [one["params"]["clientInfo"]["name"] for one in seen] == ["n0", "n1", "n2"]
    assert len({one["session"] for one in seen}) == 3
    stranger = harness.Client(second, "unknown").post({"jsonrpc": "2.0", "id": 1, "method": "ping"})
    assert stranger.status == 404
    assert second.initialize().answer.headers["Envmux-Attach"] == "joined"


@pytest.mark.parametrize("request_", ["a GET stream", "its key alone", "a path of the backend's own"])
def test_whatever_comes_first_is_the_clients(start, request_):
    first = start(idle_usec=IDLE)
    client = first.initialize()
    _, revive = left_by(first)
    second = start(revive=revive)
    back = again(client, second)
    if request_ == "a GET stream":
        stream = back.get()
        session = stream.event()["params"]["session"]
        stream.close()
    elif request_ == "its key alone":
        body = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": "whoami"}}
        session = json.loads(second.post(body).message()["result"]["content"][0]["text"])["session"]
    else:
        session = json.loads(second.request("GET", "/control/y").body())["headers"]["Mcp-Session-Id"]
    assert session.startswith("b-") and back.tool("whoami")["session"] == session


def test_it_can_be_revived_again(start):
    first = start(idle_usec=IDLE)
    used, unused = first.initialize(), first.initialize()
    _, revive = left_by(first)
    second = start(revive=revive, idle_usec=IDLE)
    assert again(used, second).tool("whoami")["session"]
    _, once_more = left_by(second)
    assert once_more == revive
    third = start(revive=once_more)
    assert again(unused, third).tool("whoami")["session"]


def test_who_has_left_does_not_come_back(start):
    first = start(idle_usec=IDLE)
    leaving, staying = first.initialize(), first.initialize()
    assert leaving.delete().status == 200
    _, revive = left_by(first)
    assert [entry["id"] for entry in revive["clients"]] == [staying.transport_id]
    second = start(revive=revive)
    assert again(staying, second).delete().status == 200  # before it was introduced
    assert second.supervisor.wait("GONE").body.cause == harness.DELETED


def test_clients_that_never_initialized_come_back(start):
    first = start(kind="meta", key="chat", idle_usec=IDLE)
    client = harness.Client(first, "t", version="2025-03-26")
    assert client.tool("whoami")["session"]
    _, revive = left_by(first)
    assert revive == {"clients": [{"id": "t"}]}
    second = start(kind="meta", key="chat", revive=revive)
    seen = again(client, second).tool("whoami")
    assert seen["params"]["clientInfo"]["name"] == "envmux" and seen["params"]["protocolVersion"] == "2025-03-26"


@pytest.mark.parametrize("change", ["refused", "another revision"])
def test_a_backend_that_does_not_take_it_is_said_so(start, change):
    first = start(idle_usec=IDLE)
    client = first.initialize()
    _, revive = left_by(first)
    if change == "another revision":
        revive["clients"][0]["version"] = "2025-06-18"
    second = start(*(["--refuse"] if change == "refused" else []), revive=revive)
    back = again(client, second)
    assert reason(back.call("whoami")) == "unknown_session"  # which tells it to initialize again
    gone = second.supervisor.wait("ALIAS", lambda frame: frame.body.is_removed and frame.body.kind == 2)
    assert gone.body.key.decode() == client.transport_id
    if change == "another revision":
        other = second.initialize()
        wait_until(lambda: len(other.tool("whoami")["deleted"]) == 1, "that the backend hears of it")


def test_nothing_is_left_where_it_was_not_asked_for(start):
    worker = start(revives=False, idle_usec=IDLE)
    worker.initialize()
    assert left_by(worker) == (harness.IDLE, None)


def test_an_initialize_that_is_too_large_is_not_kept(start):
    worker = start(idle_usec=IDLE)
    worker.initialize(client_info={"name": "x" * 40000, "version": "1"})
    kept = worker.initialize()
    assert [entry["id"] for entry in left_by(worker)[1]["clients"]] == [kept.transport_id]
    alone = start(idle_usec=IDLE, kind="transport", key="minted-1")
    alone.initialize(client_info={"name": "x" * 40000, "version": "1"})
    assert left_by(alone) == (harness.IDLE, None)


def test_what_is_left_fits_into_a_frame(start):
    worker = start(idle_usec=IDLE)
    clients = [worker.initialize(client_info={"name": "x" * 20000, "version": str(n)}) for n in range(5)]
    _, revive = left_by(worker)
    assert [entry["id"] for entry in revive["clients"]] == [client.transport_id for client in clients[2:]]
