"""kill -9 of each process under load: exactly what was promised follows, and no other session notices."""

import http.client
import signal
import threading

import pytest

import harness
from mcp_client import Client, McpError

LAKE = {"mcpServers": {"lake": {"command": "frozen-lake", "args": ["--seed", "${envmux:seed}"]}}}


class Load:
    """Clients that move in their lakes until told to stop, each counting its steps; whatever else
    than a right answer they get is kept."""

    def __init__(self, run, n, reconnect=False):
        self.run = run
        self.stopping = threading.Event()
        self.steps = [0] * n
        self.failures = []
        self.reconnect = reconnect
        self.clients = [Client(run.mcp("lake", key=f"load-{i}"), keep=True) for i in range(n)]
        for client in self.clients:
            client.initialize()
        self.threads = [threading.Thread(target=self._play, args=(i,)) for i in range(n)]
        for thread in self.threads:
            thread.start()
        self.wait_for_progress()

    def _play(self, i):
        client = self.clients[i]
        while not self.stopping.is_set():
            try:
                state = client.read("control://status")
                assert state["step_count"] == 0
                client.request("ping")
                self.steps[i] += 1
            except (OSError, http.client.HTTPException) as error:
                # A dropped connection: visible at once; the client tries again on a new one.
                client.connection.close()
                if not self.reconnect:
                    self.failures.append((i, error))
                    return
            except Exception as error:  # noqa: BLE001: every other surprise is a failure of the promise
                self.failures.append((i, error))
                return

    def wait_for_progress(self, among=None):
        """Until each client made further steps."""
        among = range(len(self.steps)) if among is None else among
        before = list(self.steps)
        harness.wait_until(lambda: all(self.steps[i] > before[i] + 3 for i in among) or self.failures, "every client to go on")

    def stop(self):
        self.stopping.set()
        for thread in self.threads:
            thread.join(harness.PATIENCE)
            assert not thread.is_alive(), "a client hangs"


@pytest.fixture
def run(envmux):
    return envmux(LAKE)


def session_of(run, key):
    return next(session for session in run.sessions() if session["key"] == key)


def test_supervisor_killed_under_load(run):
    load = Load(run, 6)
    before = {session["id"] for session in run.sessions()}
    for _ in range(2):
        supervisor = run.supervisor()
        supervisor.kill(signal.SIGKILL)
        harness.wait_until(lambda: not supervisor.exists(), "the supervisor to die")
        # Live sessions do not wait for it: they step on while it comes back.
        load.wait_for_progress()
        harness.wait_until(lambda: run.ctl("ps", check=False).returncode == 0, "a new supervisor")
    load.wait_for_progress()
    load.stop()
    assert load.failures == []
    assert {session["id"] for session in run.sessions()} == before
    # Starts waited a moment, no more.
    with Client(run.mcp("lake", key="afterwards")) as client:
        assert client.read("control://status")["step_count"] == 0


def test_router_killed_under_load(run):
    load = Load(run, 6, reconnect=True)
    before = {session["id"] for session in run.sessions()}
    routers = run.routers()
    for router in routers:
        router.kill(signal.SIGKILL)
    harness.wait_until(lambda: run.routers() and not any(router.exists() for router in routers), "new routers")
    load.wait_for_progress()
    load.stop()
    assert load.failures == []
    assert {session["id"] for session in run.sessions()} == before


def test_supervisor_and_routers_killed_together(run):
    load = Load(run, 6, reconnect=True)
    before = {session["id"] for session in run.sessions()}
    for process in [run.supervisor(), *run.routers()]:
        process.kill(signal.SIGKILL)
    load.wait_for_progress()
    load.stop()
    assert load.failures == []
    assert {session["id"] for session in run.sessions()} == before


@pytest.mark.parametrize("victim", ["worker", "backend"])
def test_one_session_killed_the_others_do_not_notice(run, victim):
    load = Load(run, 4)
    target = session_of(run, "load-0")
    harness.Process.read(target[f"{victim}_pid"]).kill(signal.SIGKILL)
    harness.wait_until(lambda: load.failures, "the session's client to hear of it")
    load.wait_for_progress(among=range(1, 4))
    load.stop()
    assert [i for i, _ in load.failures] == [0], load.failures
    error = load.failures[0][1]
    # In band for a call that was in flight, with a 404 for one that came a moment later.
    assert isinstance(error, McpError), repr(error)
    assert error.envmux["reason"] == ("worker_lost" if victim == "worker" else "backend_exited")
    assert error.envmux["infra"] is True
    if victim == "backend":
        assert error.envmux["signal"] == "SIGKILL"

    # Once it is over 404, and the key is free again: a new initialize gets a fresh generation.
    harness.wait_until(lambda: all(s["key"] != "load-0" for s in run.sessions()), "the session to be over")
    load.clients[0].connection.close()
    status, _, _ = load.clients[0].send("POST", {"jsonrpc": "2.0", "id": 1, "method": "ping"})
    assert status == 404
    with Client(run.mcp("lake", key="load-0")) as again:
        assert again.read("control://status")["step_count"] == 0
        assert again.initialize_headers["Envmux-Generation"] == "2"


def test_watch_killed_everything_ends(envmux):
    run = envmux(LAKE)
    load = Load(run, 3, reconnect=True)
    run.look()
    run.process.kill()
    run.process.wait()
    load.stopping.set()
    harness.wait_until(lambda: not any(process.exists() for process in run.seen), "every process to end")
    load.stop()
