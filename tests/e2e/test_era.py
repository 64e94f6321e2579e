"""Probes: which era of MCP a definition speaks is found out on a backend that no client uses, before the first
stateless request is let near a session. The test plays the router; its own one is stopped meanwhile."""

import concurrent.futures
import json
import pathlib
import signal
import sys

import pytest

import node_tools
from fake_router import FAILED, LEGACY, OK, Router
from harness import PATIENCE, VENV_MCP2, wait_until
from mcp_client import Client

BACKEND = pathlib.Path(__file__).with_name("era_backend.py")
PYTHON_SERVER = """
from mcp.server import MCPServer
MCPServer("both").run()
"""
ERA = {"unknown": 0, "legacy": 1, "modern": 2}


class Place:
    """A run, its fake router, and the folder in which its backends write down what happens to them."""

    def __init__(self, run, folder):
        self.run, self.folder, self.router = run, folder, Router(run)

    def lines(self, name):
        path = self.folder / name
        return path.read_text().splitlines() if path.exists() else []

    def era(self, server="it"):
        answer = json.loads(self.run.ctl("servers", "--json").stdout)
        return next(entry.get("era") for entry in answer["servers"] if entry["name"] == server)

    def probes(self, *arguments):
        rows = json.loads(self.run.ctl("ps", "--json", *arguments).stdout)
        return [row for row in rows if row["kind"] == "probe"]

    def probe_is_over(self):
        return wait_until(lambda: not self.probes() and self.probes("--all"), "the end of the probe")[-1]

    def backend(self, n=1):
        return wait_until(lambda: len(self.lines("starts")) >= n and self.run.backends(), f"start {n}")


@pytest.fixture
def place(envmux, tmp_path):
    places = []

    def make(character="modern", entry=None, settings=None, top=None):
        (tmp_path / "starts").unlink(missing_ok=True)
        entry = entry or {"command": sys.executable, "args": [str(BACKEND), character, str(tmp_path)]}
        config = {"mcpServers": {"it": {**entry, "envmux": settings or {}}}, "envmux": {"routers": 1, **(top or {})}}
        places.append(Place(envmux(config), tmp_path))
        return places[-1]

    yield make
    for made in places:
        made.router.close()


# ---- what backends show ---------------------------------------------------------------------------


def python_server():
    return {"command": str(VENV_MCP2 / "bin" / "python"), "args": ["-c", PYTHON_SERVER]}


def node_server():
    return {"command": "node", "args": [str(node_tools.installed("dual-era.mjs"))]}


def everything():
    return {"command": "npx", "args": ["-y", "@modelcontextprotocol/server-everything", "stdio"],
            "cwd": str(node_tools.FOLDER)}


needs_node = pytest.mark.skipif(bool(node_tools.missing()), reason=node_tools.missing() or "")
needs_mcp2 = pytest.mark.skipif(not VENV_MCP2.is_dir(), reason="needs build/venv-mcp2")


@pytest.mark.parametrize("entry, era", [
    pytest.param(node_server, "modern", marks=needs_node),
    pytest.param(python_server, "modern", marks=needs_mcp2),
    pytest.param(everything, "legacy", marks=needs_node),
])
def test_real_servers_show_their_era(place, entry, era):
    made = place(entry=entry())
    assert made.era() is None
    answer = made.router.resolve("it")
    assert answer.code == (OK if era == "modern" else LEGACY)
    assert made.router.eras["it"] == ERA[era]  # told before the answer
    assert made.era() == era
    probe = made.probe_is_over()
    assert probe["state"] == "inactive" and probe["reason"] == "session_ended" and probe["era"] == era
    assert made.router.resolve("it", key="other").code == answer.code
    assert len(made.probes("--all")) == 1


@pytest.mark.parametrize("entry", [pytest.param(node_server, marks=needs_node),
                                   pytest.param(python_server, marks=needs_mcp2)])
def test_a_slow_start_is_no_sign_of_age(place, entry):
    """It finds initialize in its input too, right behind server/discover."""
    wrapped = entry()
    made = place(entry={"command": "/bin/sh", "args": ["-c", 'sleep 3; exec "$@"', "sh", wrapped["command"],
                                                       *wrapped["args"]]})
    assert made.router.resolve("it").code == OK
    assert made.era() == "modern"


def test_legacy_starts_nothing_else(place):
    made = place("legacy")
    answer = made.router.resolve("it")
    assert answer.code == LEGACY and json.loads(answer.blob)["reason"] == "legacy_only"
    made.probe_is_over()
    assert made.run.sessions() == [] and made.lines("methods") == ["server/discover"]
    assert made.router.resolve("it", is_modern=0).code == OK  # initialize


def test_an_exit_is_believed_once_the_server_works(place):
    made = place("exits")
    assert made.router.resolve("it").code == LEGACY
    made.probe_is_over()
    assert "probe: what is this?" in made.run.log()
    assert made.era() is None  # it may have been out of order
    made.router.close()
    with Client(made.run.mcp("it", "k")):  # what clients do when they hear legacy_only: initialize
        made.router = Router(made.run)
        assert made.router.resolve("it", key="other").code == LEGACY
        assert made.era() == "legacy" and made.router.eras["it"] == ERA["legacy"]
        assert len(made.probes("--all")) == 2
        made.router.close()
    made.router = Router(made.run)


def test_silence_is_legacy_when_initialize_is_answered(place):
    made = place("silent")
    assert made.router.resolve("it").code == LEGACY
    assert made.era() == "legacy" and made.lines("methods") == ["server/discover", "initialize"]
    made.probe_is_over()


def test_silence_to_everything_is_presumed_legacy(place):
    made = place("mute", settings={"start_timeout": "2s"})
    assert made.router.resolve("it").code == LEGACY
    assert made.era() is None
    made.probe_is_over()


def test_a_backend_that_dies_at_once_leaves_the_telling_to_initialize(place):
    made = place("dead")
    assert made.router.resolve("it").code == LEGACY
    probe = made.probe_is_over()
    assert probe["last_lines"] == "hello from dead\n" and probe["last_exit"]["status"] == 4
    assert made.era() is None


@pytest.mark.parametrize("entry, settings, text", [
    ({"command": "/nonexistent/server"}, {}, "/nonexistent/server"),
    ({"command": "TEXT"}, {}, "Exec format error"),
    ({"command": "/bin/cat"}, {"prepare": ["/bin/sh", "-c", "echo no lake >&2; exit 5"]}, "no lake"),
])
def test_what_cannot_start_fails_with_its_reason(place, tmp_path, entry, settings, text):
    program = tmp_path / "text"
    program.write_bytes(b"\x7fELF, or so it says")
    program.chmod(0o755)
    made = place(entry={**entry, "command": entry["command"].replace("TEXT", str(program))}, settings=settings)
    answer = made.router.resolve("it")
    failure = answer.blob.decode()
    assert answer.code == FAILED and json.loads(failure)["reason"] == "start_failed" and text in failure
    probe = made.probe_is_over()
    assert probe["id"] not in failure and probe["state"] == "failed"
    assert made.era() is None
    metrics = json.loads(made.run.ctl("metrics", "--json").stdout)["counters"]
    assert metrics["probes"] == 1 and metrics["sessions_failed"] == metrics["sessions_created"] == 0


def test_what_is_configured_is_not_asked(place):
    made = place(settings={"era": "legacy"})
    assert made.router.eras["it"] == ERA["legacy"] and made.era() == "legacy"
    assert made.router.resolve("it").code == LEGACY
    assert made.lines("starts") == []


# ---- when things happen ---------------------------------------------------------------------------


def test_fifty_first_requests_share_one_probe(place):
    made = place("slow", top={"max_starting": 100})  # none of the sessions will get a request
    asked = [made.router.ask("it", key=f"k{i}") for i in range(50)]
    made.backend()
    assert len(made.probes()) == 1 and made.run.sessions() == []
    (made.folder / "go").touch()
    answers = [made.router.answer(cookie) for cookie in asked]
    assert {answer.code for answer in answers} == {OK}
    assert len({answer.session.id for answer in answers}) == 50
    assert len(made.probes("--all")) == 1


def test_a_crash_of_the_probe_is_tried_again(place):
    made = place("slow")
    cookie = made.router.ask("it")
    made.backend()
    made.run.workers()[0].kill()
    made.backend(2)
    (made.folder / "go").touch()
    assert made.router.answer(cookie).code == OK
    assert "failed" in [probe["state"] for probe in made.probes("--all")]


def test_probes_that_always_crash_end_in_an_answer(place):
    made = place("slow")
    cookie = made.router.ask("it")
    for n in range(1, 4):
        made.backend(n)
        made.run.workers()[0].kill()
    answer = made.router.answer(cookie)
    assert answer.code == FAILED and json.loads(answer.blob)["reason"] == "worker_lost"


def test_the_supervisor_dies_in_the_middle_of_a_probe(place):
    made = place("slow")
    made.router.ask("it")
    made.backend()
    probe = made.probes()[0]
    supervisor = made.run.supervisor()
    supervisor.kill()
    wait_until(lambda: not supervisor.exists() and made.run.supervisor() != supervisor, "another supervisor")
    made.router.connect()
    cookie = made.router.ask("it")
    assert wait_until(made.probes, "the probe")[0]["id"] == probe["id"]
    (made.folder / "go").touch()
    assert made.router.answer(cookie).code == OK
    wait_until(lambda: len(made.lines("starts")) == 2, "the session's start")
    assert len(made.probes("--all")) == 1


def test_what_was_found_survives_the_supervisor_until_a_reload(place):
    made = place("modern")
    assert made.router.resolve("it").code == OK
    made.probe_is_over()
    supervisor = made.run.supervisor()
    supervisor.kill()
    wait_until(lambda: not supervisor.exists() and made.run.supervisor() != supervisor, "another supervisor")
    made.router.connect()
    assert made.router.eras["it"] == ERA["modern"] and made.era() == "modern"
    assert made.router.resolve("it").code == OK
    assert made.probes("--all") == []
    made.run.ctl("reload")
    assert made.era() is None
    assert made.router.resolve("it", key="other").code == OK
    assert len(made.probes("--all")) == 1


def test_envmux_is_stopped_while_it_probes(place):
    made = place("slow")
    cookie = made.router.ask("it")
    made.backend()
    made.run.process.send_signal(signal.SIGTERM)
    answer = made.router.answer(cookie)
    assert answer.code == FAILED and json.loads(answer.blob)["reason"] == "stopping"
    made.router.close()
    made.run.process.wait(PATIENCE)
    made.run.stop()  # proves that nothing is left


def test_a_stopped_probe_is_begun_again(place):
    made = place("slow")
    cookie = made.router.ask("it")
    made.backend()
    made.run.ctl("stop", "it/probe")
    made.backend(2)
    (made.folder / "go").touch()
    assert made.router.answer(cookie).code == OK


# ---- room, preparation, first starts --------------------------------------------------------------


def test_a_probe_needs_room_like_any_session(place):
    made = place(settings={"max_sessions": 1}, top={"queue_timeout": "300ms"})
    assert made.router.resolve("it", is_modern=0).code == OK  # the only room is taken
    answer = made.router.resolve("it", key="other")
    assert answer.code == FAILED and json.loads(answer.blob)["reason"] == "capacity"
    assert made.router.resolve("it").code == OK  # the session that is there needs none
    made.backend()
    assert len(made.lines("starts")) == 1


def test_the_room_of_the_probe_is_free_for_the_session(place):
    made = place(settings={"max_sessions": 1})
    assert made.router.resolve("it").code == OK
    assert not made.probes()
    wait_until(lambda: len(made.lines("starts")) == 2, "the session's start")


def test_preparation_runs_once_before_the_probe(place, tmp_path):
    prepared = tmp_path / "prepared"
    made = place("modern", settings={"prepare": ["/bin/sh", "-c", f"echo once >> {prepared}"]})
    asked = [made.router.ask("it", key=f"k{i}") for i in range(3)]
    assert {made.router.answer(cookie).code for cookie in asked} == {OK}
    assert prepared.read_text() == "once\n"


def test_a_session_shows_its_era(place):
    made = place("modern")
    id = made.router.resolve("it").session.id.decode()
    assert "Era: modern" in made.run.ctl("show", id).stdout
    row = made.run.ctl("servers").stdout.splitlines()[-1].split()
    assert row[0] == "it" and "modern" in row


# ---- through the router ---------------------------------------------------------------------------


def discover(run, key):
    meta = {"protocolVersion": "2026-07-28", "clientCapabilities": {}, "clientInfo": {"name": "test", "version": "1"}}
    body = {"jsonrpc": "2.0", "id": key, "method": "server/discover",
            "params": {"_meta": {f"io.modelcontextprotocol/{name}": value for name, value in meta.items()}}}
    status, _, answer = run.http("POST", f"/it/s/{key}/mcp", body, {
        "Accept": "application/json, text/event-stream", "MCP-Protocol-Version": "2026-07-28",
        "Mcp-Method": "server/discover"})
    return status, json.loads(answer)


def test_clients_only_wait(place):
    made = place("slow")
    made.router.close()
    with concurrent.futures.ThreadPoolExecutor(50) as pool:
        jobs = [pool.submit(discover, made.run, f"k{i}") for i in range(50)]
        made.backend()
        (made.folder / "go").touch()
        answers = [job.result() for job in jobs]
    assert {status for status, _ in answers} == {200}
    assert {answer["id"] for _, answer in answers} == {f"k{i}" for i in range(50)}
    assert len(made.lines("starts")) == 51 and len(made.probes("--all")) == 1


def test_a_live_session_is_not_the_one_that_is_asked(place):
    made = place("exits")
    made.router.close()
    assert made.run.http("PUT", "/it/s/k", {})[0] == 201
    status, answer = discover(made.run, "k")
    assert (status, answer["error"]["code"], answer["id"]) == (400, -32000, "k")
    made.probe_is_over()
    assert [session["key"] for session in made.run.sessions()] == ["k"]
    with Client(made.run.mcp("it", "k")) as client:
        assert client.request("ping") == {}
