"""The supervisor as its users see it: sessions that are made, found, replaced and ended, through kills and
restarts. Sessions here are embedded frozen lakes, and small scripts where a backend must misbehave."""

import concurrent.futures
import functools
import json
import os
import re
import signal
import socket
import subprocess
import sys
import urllib.request

import pytest

import fake_router
import harness
from harness import LIBEXEC, cgroup_mount, wait_until
from mcp_client import Client, McpError

LAKE = {"command": "frozen-lake", "args": ["--seed", "${envmux:seed}"]}


def servers(envmux_settings=None, **entries):
    """A configuration file; lake is there unless entries are given."""
    return {"mcpServers": entries or {"lake": LAKE}, "envmux": envmux_settings or {}}


def lake(**settings):
    return {**LAKE, "envmux": settings}


def script(text, **settings):
    return {"command": sys.executable, "args": ["-c", text], "envmux": settings}


def put(run, key, body=None, server="lake"):
    """(status, parsed answer)"""
    status, _, answer = run.http("PUT", f"/{server}/s/{key}", body if body is not None else {})
    return status, json.loads(answer)


def get(run, key, server="lake"):
    status, _, answer = run.http("GET", f"/{server}/s/{key}")
    return status, json.loads(answer)


def delete(run, key, server="lake"):
    return run.http("DELETE", f"/{server}/s/{key}")[0]


def reason(answer):
    return answer["envmux"]["reason"]


def running(run, n):
    """Waits until n sessions are there and all of them run; returns them."""

    def look():
        found = run.sessions()
        return found if len(found) == n and all(s["state"] == "active" for s in found) else None

    return wait_until(look, f"{n} running sessions") if n else wait_until(lambda: run.sessions() == [], "no session")


def kill_supervisor(run):
    """SIGKILL, and the wait for its successor."""
    old = run.supervisor()
    old.kill()
    wait_until(lambda: not old.exists() and run.supervisor() != old, "another supervisor")


# ---- the session API ------------------------------------------------------------------------------


def test_session_api_makes_finds_resets_and_ends(envmux):
    run = envmux(servers())
    status, made = put(run, "k", {"seed": 42, "labels": {"row": "7"}})
    assert status == 201
    assert made["state"] == "active" and made["generation"] == 1 and made["seed"] == 42
    assert made["labels"] == {"row": "7"} and made["url"] == "/lake/s/k/mcp"
    assert [backend.pid for backend in run.backends()] == [made["backend_pid"]]

    status, again = put(run, "k", {"labels": {"row": "7"}, "seed": 42})
    assert (status, again["id"]) == (200, made["id"])
    status, other = put(run, "k", {"seed": 43})
    assert (status, reason(other)) == (409, "session_exists")
    assert get(run, "k")[1]["id"] == made["id"]

    with Client(run.mcp("lake", "k")) as client:
        assert client.read("game://initial_state")["grid"] == "SFHF\nFHFF\nFFFH\nFHFG"
        client.call("lake_move", action="DOWN")
        status, _, fresh = run.http("POST", "/lake/s/k/reset")
        fresh = json.loads(fresh)
        assert (status, fresh["generation"], fresh["seed"]) == (200, 2, 42)
        assert fresh["backend_pid"] != made["backend_pid"]
    with Client(run.mcp("lake", "k")) as client:
        assert client.read("control://status")["step_count"] == 0

    assert get(run, "k")[0] == 200 # a client that leaves does not end what PUT made
    assert delete(run, "k") == 204 and delete(run, "k") == 204
    assert reason(get(run, "k")[1]) == "session_ended"
    assert reason(get(run, "never")[1]) == "unknown_session"
    assert run.http("POST", "/lake/s/never/reset")[0] == 404
    assert run.backends() == []


def test_put_after_the_end_is_the_next_generation(envmux):
    run = envmux(servers())
    assert put(run, "k", {"seed": 1})[1]["generation"] == 1
    assert delete(run, "k") == 204
    assert run.workers() == []  # gone means gone: before the answer
    status, second = put(run, "k", {"seed": 2})
    assert (status, second["generation"], second["seed"]) == (201, 2, 2)


@pytest.mark.parametrize("body, hint", [
    (b"[]", "object"), (b"{", "object"), (b'{"seed": 1.5}', "integer"), (b'{"seeed": 1}', "seeed"),
    (b'{"labels": {"a": 1}}', "strings"), (b'{"idle_timeout": "soon"}', "duration"), (b'{"lifetime": 0}', "above 0"),
])
def test_put_refuses_with_words(envmux, body, hint):
    run = envmux(servers())
    status, _, answer = run.http("PUT", "/lake/s/k", body, {"Content-Type": "application/json"})
    assert status == 400 and hint in json.loads(answer)["error"]
    assert run.sessions() == []


def test_put_of_a_backend_that_cannot_start_says_why(envmux):
    run = envmux(servers(broken=script("import sys; sys.stderr.write('no lake today\\n'); sys.exit(3)"),
                         missing={"command": "/nonexistent/lake"}))
    status, _, answer = run.http("PUT", "/missing/s/k", {})
    assert status == 503 and reason(json.loads(answer)) == "start_failed"
    with pytest.raises(McpError) as caught:
        Client(run.mcp("broken", "k")).initialize()
    assert caught.value.envmux["exit_status"] == 3 and caught.value.envmux["infra"] is True
    assert "no lake today" in caught.value.envmux["stderr"]
    running(run, 0)


def test_concurrent_requests_share_one_start(envmux):
    run = envmux(servers())
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: put(run, "k", {"seed": 5}), range(8)))
    assert sorted(status for status, _ in answers) == [200] * 7 + [201]
    assert len({answer["id"] for _, answer in answers}) == 1
    assert len(run.backends()) == 1


def test_concurrent_resets_are_all_answered(envmux):
    run = envmux(servers())
    generation = put(run, "k", {"seed": 5})[1]["generation"]
    for _ in range(5):
        with concurrent.futures.ThreadPoolExecutor(8) as pool:
            answers = list(pool.map(lambda _: run.http("POST", "/lake/s/k/reset"), range(8)))
        assert {status for status, _, _ in answers} == {200}, answers
        fresh = [json.loads(body)["generation"] for _, _, body in answers]
        assert min(fresh) > generation
        generation = max(fresh)


def test_a_router_with_more_questions_than_clients_keeps_its_connection(envmux):
    """After a reload that lowers max_clients, while it has as many as it might have before."""
    run = envmux(servers({"routers": 1, "max_clients": 2, "max_starting": 1}, quiet=script("input()")))
    router = fake_router.Router(run)
    try:
        assert router.resolve("quiet", key="first", is_modern=0).code == fake_router.OK  # has the only start slot
        waiting = [router.ask("quiet", key=f"k{n}", is_modern=0) for n in range(4)]
        for cookie in waiting[2:]:
            answer = router.answer(cookie)
            assert answer.code == fake_router.FAILED and json.loads(answer.blob)["reason"] == "overloaded"
        assert not {frame.cookie for frame in router.frames if frame.name == "RESOLVED"} & set(waiting[:2])
    finally:
        router.close()


def test_lifetime_and_idle_timeout_end_a_session(envmux):
    run = envmux(servers())
    assert put(run, "short", {"lifetime": "200ms"})[0] == 201
    assert put(run, "idle", {"idle_timeout": 0.2})[0] == 201
    running(run, 0)
    assert run.workers() == []


# ---- kills and restarts ---------------------------------------------------------------------------


def test_sessions_survive_the_supervisor(envmux):
    run = envmux(servers())
    with Client(run.mcp("lake", "named", "seed=42"), client_info={"name": "n", "version": "1"}) as client:
        client.call("lake_move", action="DOWN")
        before = running(run, 1)[0]
        kill_supervisor(run)
        client.call("lake_move", action="DOWN")  # needs no supervisor
        after = running(run, 1)[0]
        same = ("id", "key", "generation", "backend_pid", "worker_pid", "created_usec", "aliases", "command",
                "tracking")
        assert {name: after[name] for name in same} == {name: before[name] for name in same}
        assert client.read("control://status")["step_count"] == 2
        assert put(run, "named", {})[1]["id"] == before["id"]  # the key is taken
    running(run, 0)


def test_settings_survive_the_supervisor(envmux):
    run = envmux(servers())
    body = {"seed": 9, "labels": {"a": "b"}, "lifetime": "1h", "config": {"n": 1.0}}
    before = put(run, "k", body)[1]
    kill_supervisor(run)
    status, after = put(run, "k", body)
    assert status == 200
    for name in ("id", "seed", "labels", "config", "lifetime_usec", "idle_timeout_usec"):
        assert after[name] == before[name]
    assert put(run, "k", {"seed": 10})[0] == 409
    assert run.http("POST", "/lake/s/k/reset")[0] == 200
    assert get(run, "k")[1]["generation"] == 2 and get(run, "k")[1]["seed"] == 9


def test_sessions_survive_supervisor_and_routers(envmux):
    run = envmux(servers())
    made = put(run, "k", {"seed": 1})[1]
    old = run.routers()
    for process in [run.supervisor(), *old]:
        process.kill()
    wait_until(lambda: len(run.routers()) == len(old) and not set(run.routers()) & set(old), "new routers")
    wait_until(lambda: get(run, "k")[1].get("state") == "active", "the session")
    assert get(run, "k")[1]["id"] == made["id"]


def test_routers_are_replaced_and_know_the_sessions(envmux):
    run = envmux(servers())
    with Client(run.mcp("lake", "k", "seed=42")) as client:
        client.call("lake_move", action="DOWN")
        old = run.routers()
        for router in old:
            router.kill()
        wait_until(lambda: len(run.routers()) == len(old) and not set(run.routers()) & set(old), "new routers")
        client.connection.close()  # it led to a router that died
        assert client.read("control://status")["step_count"] == 1


def test_a_killed_worker_ends_its_session_alone(envmux):
    run = envmux(servers())
    first, second = put(run, "a", {"seed": 1})[1], put(run, "b", {"seed": 2})[1]
    [worker] = [worker for worker in run.workers() if worker.pid == first["worker_pid"]]
    backends = run.backends()
    worker.kill()
    assert running(run, 1)[0]["id"] == second["id"]
    [orphan] = [backend for backend in backends if backend.pid == first["backend_pid"]]
    assert not orphan.exists()
    shown = json.loads(run.ctl("show", first["id"], "--json").stdout)
    assert shown["state"] == "failed" and shown["reason"] == "worker_lost"
    assert put(run, "a", {"seed": 1})[1]["generation"] == 2


def test_a_worker_that_died_with_the_supervisor_frees_its_key(envmux):
    run = envmux(servers())
    made = put(run, "k", {"seed": 1})[1]
    workers, backends = run.workers(), run.backends()
    for process in [run.supervisor(), *workers]:
        process.kill()
    status, fresh = put(run, "k", {"seed": 2})  # waits until it is known that nothing is left
    assert status == 201 and fresh["id"] != made["id"]
    assert not any(process.exists() for process in workers + backends)


def test_what_has_no_record_is_removed(envmux):
    run = envmux(servers())
    put(run, "k", {})
    workspaces = next(run.state.glob("envmux/*/workspaces"))
    folder = workspaces / "0123456789abcdef"
    (folder / "work" / "deep" / "deeper").mkdir(parents=True)
    socket = run.runtime / "sockets" / "fedcba9876543210"
    socket.touch()
    kill_supervisor(run)
    wait_until(lambda: not folder.exists() and not socket.exists(), "strays to be removed")
    running(run, 1)
    assert len(list(workspaces.iterdir())) == 1


def test_a_hung_worker_is_killed_at_its_deadline(envmux):
    run = envmux(servers(lake=lake(stop_timeout="10ms", drain_timeout="10ms")))
    made = put(run, "k", {})[1]
    [worker], [backend] = run.workers(), run.backends()
    worker.kill(signal.SIGSTOP)
    assert delete(run, "k") == 204
    assert not worker.exists() and not backend.exists()
    assert not os.path.exists(made["workspace"])


def test_stop_ends_everything_after_a_restart(envmux):
    run = envmux(servers())
    for key in "abc":
        put(run, key, {"seed": 1})
    kill_supervisor(run)
    run.stop()  # asserts that nothing is left


def test_whoever_started_it_is_told_how_long_a_stop_may_take(tmp_path):
    config, notify = tmp_path / "config.json", tmp_path / "notify"
    config.write_text(json.dumps(servers(lake=lake(drain_timeout="4min"))))
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notices, socket.create_server(("127.0.0.1", 0)) as http:
        notices.bind(str(notify))
        notices.settimeout(harness.PATIENCE)

        def heard(word):
            while True:
                if found := [line for line in notices.recv(4096).decode().splitlines() if line.startswith(word)]:
                    return found[0]

        supervisor = subprocess.Popen(
            ["bash", "-c", f'LISTEN_PID=$$ exec "$@" 3<&{http.fileno()}', "sh", LIBEXEC / "envmux-supervisor",
             "--config", config, "--runtime", tmp_path / "r", "--state", tmp_path / "s"],
            env={**os.environ, "NOTIFY_SOCKET": str(notify), "LISTEN_FDS": "1", "LISTEN_FDNAMES": "http"},
            pass_fds=[http.fileno()])
        try:
            heard("READY=1")
            port = http.getsockname()[1]
            request = urllib.request.Request(f"http://127.0.0.1:{port}/lake/s/k", b"{}", method="PUT")
            with urllib.request.urlopen(request, timeout=harness.PATIENCE) as answer:
                assert answer.status == 201
            supervisor.terminate()
            assert int(heard("EXTEND_TIMEOUT_USEC=").partition("=")[2]) > 4 * 60 * 1_000_000
            assert supervisor.wait(harness.PATIENCE) == 0
        finally:
            supervisor.kill()


# ---- admission ------------------------------------------------------------------------------------


def test_no_room_is_an_error_with_a_time_to_come_back(envmux):
    run = envmux(servers({"max_sessions": 1, "queue_timeout": "100ms"}))
    put(run, "a", {})
    status, headers, answer = run.http("PUT", "/lake/s/b", {})
    assert status == 503 and headers["Retry-After"]
    assert reason(json.loads(answer)) == "capacity"
    with pytest.raises(McpError) as caught:
        Client(run.mcp("lake", "c")).initialize()
    assert caught.value.envmux["reason"] == "capacity" and caught.value.envmux["retry_after"] > 0
    assert len(run.workers()) == 1


def test_a_full_queue_refuses_at_once(envmux):
    run = envmux(servers({"max_sessions": 1, "queue": 0, "queue_timeout": "1h"}))
    put(run, "a", {})
    status, answer = put(run, "b", {})
    assert status == 503 and reason(answer) == "capacity"


def test_who_waits_gets_the_room_of_who_ends(envmux):
    run = envmux(servers({"max_sessions": 1, "queue_timeout": "1min"}))
    put(run, "a", {})
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(put, run, "b", {})
        wait_until(lambda: any(s["sub_state"] == "queued" for s in run.sessions()), "a queued session")
        assert delete(run, "a") == 204
        assert waiting.result()[0] == 201


def test_prepare_runs_once_before_the_first_start(envmux, tmp_path):
    marks = tmp_path / "marks"
    run = envmux(servers(lake=lake(prepare=[sys.executable, "-c", f"open({str(marks)!r}, 'a').write('x')"])))
    with concurrent.futures.ThreadPoolExecutor(3) as pool:
        assert [status for status, _ in pool.map(lambda key: put(run, key, {}), "abc")] == [201] * 3
    kill_supervisor(run)
    assert put(run, "d", {})[0] == 201
    assert marks.read_text() == "x"


def test_a_failed_prepare_is_told_with_its_last_words(envmux):
    run = envmux(servers(lake=lake(prepare=[sys.executable, "-c", "print('no network'); raise SystemExit(4)"])))
    status, answer = put(run, "k", {})
    told = answer["envmux"]
    assert status == 503 and told["reason"] == "start_failed"
    assert told["exit_status"] == 4 and told["stderr"] == ["no network"]
    running(run, 0)


# ---- reload ---------------------------------------------------------------------------------------


def test_reload_adds_removes_and_refuses(envmux, tmp_path):
    path = tmp_path / "config.json"
    path.write_text(json.dumps(servers(lake=LAKE, pond=LAKE)))
    run = envmux(path)
    kept, removed = put(run, "k", {"seed": 1})[1], put(run, "k", {"seed": 1}, server="pond")[1]

    path.write_text('{"mcpServers": {"lake": {"comand": "frozen-lake"}}}')
    run.supervisor().kill(signal.SIGHUP)
    wait_until(lambda: "holds mistakes" in run.log(), "the refusal")
    assert {s["id"] for s in running(run, 2)} == {kept["id"], removed["id"]}

    path.write_text(json.dumps(servers(lake=LAKE, sea=LAKE)))
    run.supervisor().kill(signal.SIGHUP)
    wait_until(lambda: put(run, "k", {}, server="sea")[0] in (200, 201), "the new server")
    wait_until(lambda: {s["server"] for s in run.sessions()} == {"lake", "sea"}, "the end of the pond's session")
    assert put(run, "k", {}, server="pond")[0] == 404
    assert get(run, "k")[1]["id"] == kept["id"]


def test_reload_reads_drop_ins_again(envmux, tmp_path):
    """A new one, a changed one, one with a mistake, and one that went; sessions of the rest stay."""
    lake = {"command": "frozen-lake", "args": ["--seed", "${envmux:seed}"]}
    config, folder = tmp_path / "envmux.json", tmp_path / "conf.d"
    config.write_text(json.dumps({"mcpServers": {"lake": lake}}))
    folder.mkdir()
    run = envmux(config, arguments=["--drop-ins", folder])
    assert run.http("PUT", "/lake/s/stays", {})[0] == 201
    stays = run.sessions()[0]["id"]
    assert "FILE" not in run.ctl("servers").stdout

    pond = folder / "pond.json"
    pond.write_text(json.dumps({"mcpServers": {"pond": lake}}))
    run.ctl("reload")
    assert run.http("PUT", "/pond/s/k", {})[0] == 201
    known = json.loads(run.ctl("servers", "--json").stdout)
    assert known["files"] == [str(config), str(pond)]
    assert {server["name"]: server["file"] for server in known["servers"]} == {"lake": str(config), "pond": str(pond)}
    assert re.search(r"^pond .* pond.json$", run.ctl("servers").stdout, re.MULTILINE)

    pond.write_text('{"mcpServers": {"pond": {"command": 1}}}')
    refused = run.ctl("reload", check=False)
    assert refused.returncode == 2
    assert f"{pond}: mcpServers.pond.command: must be a string" in refused.stderr
    assert run.http("PUT", "/pond/s/other", {})[0] == 201

    pond.unlink()
    run.ctl("reload")
    assert run.http("PUT", "/pond/s/late", {})[0] == 404
    wait_until(lambda: [s["id"] for s in run.sessions()] == [stays], "the sessions of the server that is gone end")


def test_reload_changes_the_number_of_routers(envmux, tmp_path):
    path = tmp_path / "config.json"
    path.write_text(json.dumps(servers({"routers": 1})))
    run = envmux(path)
    [first] = run.routers()
    for n in (3, 1):
        path.write_text(json.dumps(servers({"routers": n})))
        run.supervisor().kill(signal.SIGHUP)
        wait_until(lambda: json.loads(run.ctl("metrics", "--json").stdout)["gauges"]["routers"] == n, f"{n} routers")
        wait_until(lambda: len(run.routers()) == n, f"{n} router processes")
    assert run.routers() == [first]


# ---- without cgroups ------------------------------------------------------------------------------


@pytest.fixture
def envmux_by_tree(envmux):
    """Runs whose supervisor tracks by process tree, as where no cgroup v2 tree can be written."""
    return functools.partial(envmux, arguments=["--tracking", "process-tree"])


DETACHED = """
import os, sys, time
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        sys.stdin.close()
        while True:
            time.sleep(3600)
    os._exit(0)
os.wait()
os.execv(os.environ["LAKE"], ["frozen-lake"])
"""


SLOW = """
import sys
for line in sys.stdin:
    pass
"""


def test_process_trees_end_whole(envmux_by_tree):
    entry = {**script(DETACHED), "env": {"LAKE": str(LIBEXEC / "frozen-lake")}}
    run = envmux_by_tree(servers(detached=entry))
    made = put(run, "k", {}, server="detached")[1]
    assert "process tree" in made["tracking"]
    [worker] = run.workers()
    Client(run.mcp("detached", "k")).initialize()

    def family():
        found = [process for process in run.look() if process.parent == worker.pid]
        return found if len(found) == 2 else None

    below = wait_until(family, "the backend and the process it left to its worker")
    worker.kill()
    running(run, 0)
    assert not any(process.exists() for process in below)


def test_process_trees_survive_the_supervisor(envmux_by_tree):
    run = envmux_by_tree(servers())
    with Client(run.mcp("lake", "k", "seed=42")) as client:
        client.call("lake_move", action="DOWN")
        kill_supervisor(run)
        running(run, 1)
        assert client.read("control://status")["step_count"] == 1
    running(run, 0)


@pytest.mark.parametrize("tracked_by", ["cgroup", "tree"])
def test_a_session_that_is_deleted_before_its_worker_is_back_ends_in_order(request, tracked_by):
    run = request.getfixturevalue("envmux" if tracked_by == "cgroup" else "envmux_by_tree")(servers())
    made = put(run, "k", {})[1]
    [worker], [backend] = run.workers(), run.backends()
    worker.kill(signal.SIGSTOP)
    kill_supervisor(run)
    wait_until(lambda: [s["sub_state"] for s in run.sessions()] == ["adopting"], "the session without its worker")
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        ending = pool.submit(delete, run, "k")
        wait_until(lambda: [s["sub_state"] for s in run.sessions()] == ["draining"], "the end to begin")
        worker.kill(signal.SIGCONT)
        assert ending.result() == 204
    assert not worker.exists() and not backend.exists()
    # Its stdin was closed: it was not killed at a deadline.
    shown = json.loads(run.ctl("show", made["id"], "--json").stdout)
    assert (shown["state"], shown["last_exit"]["code"], shown["last_exit"]["status"]) == ("inactive", "exited", 0)


def test_stop_overtakes_drain(envmux):
    run = envmux(servers(slow=script(SLOW), lake=LAKE))
    made = put(run, "k", {}, server="slow")[1]
    client = Client(run.mcp("slow", "k"))
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        pool.submit(client.initialize)  # is never answered
        wait_until(lambda: [s["in_flight"] for s in run.sessions()] == [1], "a request in flight")
        run.ctl("stop", "--drain", "--no-wait", made["id"])
        assert [s["sub_state"] for s in run.sessions()] == ["draining"]
        assert delete(run, "k", server="slow") == 204  # long before the request's deadline
    assert run.workers() == []


def test_session_cgroups_are_gone_with_their_sessions(envmux):
    if not cgroup_mount() or not os.access(cgroup_mount(), os.W_OK):
        pytest.skip("no writable cgroup v2 tree")
    run = envmux(servers())
    made = put(run, "k", {})[1]
    if "process tree" in made["tracking"]:
        pytest.skip("sessions are tracked by process tree here")
    assert os.path.isdir(made["tracking"])
    assert delete(run, "k") == 204
    assert not os.path.exists(made["tracking"])
