"""envmux-worker alone, with spec.revives: what an idle one leaves, and what another makes of it."""

import json
import shutil
import tempfile

import pytest

import worker_harness as harness

IDLE = 300_000


@pytest.fixture
def start():
    """Workers; none survives the test."""
    workers = []

    def start(**options):
        folder = tempfile.mkdtemp(prefix="w", dir="/tmp")  # short: it is a socket's folder
        workers.append(harness.Worker(folder, **{"revives": True} | options))
        return workers[-1]

    yield start
    for worker in workers:
        worker.close()
        assert "Sanitizer" not in worker.stderr(), worker.stderr()
        shutil.rmtree(worker.folder)


def left_by(worker):
    """What a worker told with its end."""
    gone = worker.supervisor.wait("GONE")
    worker.wait_exit()
    return gone.body.cause, json.loads(gone.blob).get("revive")


def lines(client, method):
    return [line for line in client.tool("received") if json.loads(line).get("method") == method]


def again(client, worker):
    """The same client, at another worker."""
    other = harness.Client(worker, client.transport_id, client.version)
    other.last_id = client.last_id
    return other


def test_a_client_goes_on_with_a_fresh_backend(start):
    first = start(idle_usec=IDLE)
    client = first.initialize(client_info={"name": "test", "version": "1", "_extra": {"seed": 42}},
                              params={"capabilities": {"sampling": {}}, "n": 12345678901234567890})
    client.tool("echo", a=1)
    sent, = lines(client, "initialize")
    cause, revive = left_by(first)
    assert cause == harness.IDLE and revive["version"] == "2025-11-25"
    assert [entry["id"] for entry in revive["clients"]] == [client.transport_id]

    second = start(revive=revive)
    aliases = {second.supervisor.wait("ALIAS", lambda frame, kind=kind: frame.body.kind == kind).body.key for kind in (2, 3)}
    assert client.transport_id.encode() in aliases  # told before the backend has answered anything
    back = again(client, second)
    assert back.tool("echo", a=2) == {"a": 2}
    replayed, = lines(back, "initialize")
    sent, replayed = json.loads(sent), json.loads(replayed)
    assert replayed["params"] == sent["params"]
    order = [json.loads(line).get("method") for line in back.tool("received")]
    assert order[:3] == ["initialize", "notifications/initialized", "tools/call"]
    second.supervisor.wait("READY")
    stream = back.get()
    assert stream.status == 200
    assert back.post({"jsonrpc": "2.0", "method": "notifications/initialized"}).status == 202
    assert len(lines(back, "notifications/initialized")) == 1


def test_every_client_comes_back_apart(start):
    first = start(idle_usec=IDLE)
    clients = [first.initialize() for _ in range(3)]
    _, revive = left_by(first)
    second = start(revive=revive)
    back = [again(client, second) for client in clients]
    begun = [client.start("echo", {"n": n}, id=1) for n, client in enumerate(back)]
    for n, connection in enumerate(begun):
        answer = harness.Worker.finish(connection).message()
        assert answer["id"] == 1 and json.loads(answer["result"]["content"][0]["text"]) == {"n": n}
    assert len(lines(back[0], "initialize")) == 1
    stranger = harness.Client(second, "unknown").post({"jsonrpc": "2.0", "id": 1, "method": "tools/list"})
    assert stranger.status == 404
    late = second.initialize()
    assert late.answer.headers["Envmux-Attach"] == "joined"


def test_who_has_left_does_not_come_back(start):
    first = start(idle_usec=IDLE)
    leaving, staying = first.initialize(), first.initialize()
    assert leaving.delete().status == 200
    _, revive = left_by(first)
    assert [entry["id"] for entry in revive["clients"]] == [staying.transport_id]


def test_it_can_be_revived_again(start):
    first = start(idle_usec=IDLE)
    client = first.initialize()
    _, revive = left_by(first)
    second = start(revive=revive, idle_usec=IDLE)
    back = again(client, second)
    assert back.tool("echo", a=2) == {"a": 2}
    _, once_more = left_by(second)
    assert once_more == revive


def test_a_backend_that_was_never_initialized_is_not_replayed_to(start):
    first = start(idle_usec=IDLE, awaits_request=False)
    cause, revive = left_by(first)
    assert (cause, revive) == (harness.IDLE, {"clients": []})
    second = start(revive=revive)
    assert second.initialize().answer.headers["Envmux-Attach"] == "new"


def test_another_revision_is_not_slipped_in(start):
    first = start(idle_usec=IDLE)
    client = first.initialize()
    _, revive = left_by(first)
    second = start(revive=revive, env=["BACKEND_VERSION=2025-03-26"])
    answer = again(client, second).call("echo")
    failure = answer["error"]["data"]["envmux"]
    assert failure["reason"] == "start_failed" and "another revision" in failure["detail"]
    assert second.supervisor.wait("GONE").body.cause == harness.START_FAILED


@pytest.mark.parametrize("end", ["deleted", "crashed", "stopped"])
def test_no_other_end_leaves_anything(start, end):
    worker = start()
    client = worker.initialize()
    if end == "deleted":
        client.delete()
    elif end == "crashed":
        client.call("crash")
    else:
        worker.supervisor.send("STOP", drain_usec=0, rung_usec=100_000, reason=harness.REASONS.index("stopping"))
    cause, revive = left_by(worker)
    assert revive is None and cause != harness.IDLE


def test_nothing_is_left_where_it_was_not_asked_for(start):
    worker = start(revives=False, idle_usec=IDLE)
    worker.initialize()
    assert left_by(worker) == (harness.IDLE, None)


def test_an_initialize_that_is_too_large_is_not_kept(start):
    worker = start(idle_usec=IDLE)
    client = worker.initialize(client_info={"name": "x" * 40000, "version": "1"})
    client.tool("echo")
    assert left_by(worker) == (harness.IDLE, None)
    assert "it cannot be revived" in worker.stderr()


def test_what_is_left_fits_into_a_frame(start):
    worker = start(kind="meta", key="chat", idle_usec=IDLE)
    for n in range(256):
        client = harness.Client(worker, f"{n:03}" + '"' * 250)
        assert client.tool("echo", n=n) == {"n": n}
    _, revive = left_by(worker)
    kept = [entry["id"] for entry in revive["clients"]]
    assert kept[-1] == client.transport_id and 50 < len(kept) < 256
    assert revive["initialize"]["params"]["clientInfo"]["name"] == "envmux"
