"""Machines without a cgroup v2 tree to write to, and users who are not root: sessions work, and whatever ends them
or kills what runs them, no process is left. The same with cgroups, where they can be had."""

import concurrent.futures
import contextlib
import json
import os
import pathlib
import shutil
import signal
import subprocess
import tempfile

import pytest

import harness
import stray_backend
from harness import Process, all_processes, as_user, wait_until
from mcp_client import Client

USER = "nobody"
PYTHON = "/usr/bin/python3"  # one that every user can execute
BACKEND = pathlib.Path(stray_backend.__file__)


def require_user():
    if os.geteuid() != 0:
        pytest.skip(f"only root can become {USER}")


def require_cgroups():
    mount = harness.cgroup_mount()
    if not mount or not os.access(mount, os.W_OK):
        pytest.skip("no writable cgroup v2 tree")


@pytest.fixture(scope="session")
def public_tree(tmp_path_factory):
    """The programs and the backend where every user can read them."""
    if os.geteuid() != 0:
        return harness.ROOT
    top = pathlib.Path(tempfile.mkdtemp(prefix="envmux-tree-"))
    for folder in ("bin", "libexec"):
        shutil.copytree(harness.ROOT / folder, top / folder)
    shutil.copy(BACKEND, top / "libexec")
    top.chmod(0o755)
    yield top
    shutil.rmtree(top)


class Host:
    """A machine of one kind: starts runs there and looks for what is left of them."""

    def __init__(self, kind, tree):
        self.kind, self.tree = kind, tree
        self.user = USER if kind == "unprivileged" and os.geteuid() == 0 else None
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="envmux-"))
        self.mark = str(self.folder)
        self.folder.chmod(0o755)
        self.make("home")
        self.arguments = [] if kind == "unprivileged" else ["--tracking", kind]
        self.env = {"HOME": str(self.folder / "home")}
        self.runs = []

    def make(self, name):
        path = self.folder / name
        path.mkdir()
        if self.user:
            shutil.chown(path, self.user, as_user(self.user)["group"])
        return path

    def config(self, **settings):
        lake = str(self.tree / "libexec" / "envmux" / "frozen-lake")
        backend = self.tree / "libexec" / BACKEND.name
        seed = ["--seed", "${envmux:seed}"]
        ends = {"stop_timeout": "50ms", "drain_timeout": "0s"}
        return {"envmux": {**ends, **settings}, "mcpServers": {
            "lake": {"command": lake, "args": seed},
            "strays": {"command": PYTHON, "args": ["-SE", str(backend if backend.exists() else BACKEND), self.mark,
                                                   lake, *seed]},
        }}

    def run(self, folder=None, listen="127.0.0.1:0", **settings):
        folder = folder or self.make(f"run{len(self.runs)}")
        self.runs.append(harness.Envmux(folder, self.config(**settings), arguments=[*self.arguments, "--listen", listen],
                                        env=self.env, user=self.user))
        return self.runs[-1]

    def daemons(self):
        return [process for process in all_processes() if self.mark in process.command_line()]

    def assert_no_daemon(self):
        assert [str(daemon) for daemon in self.daemons()] == []


@pytest.fixture
def make_host(public_tree, monkeypatch):
    monkeypatch.setattr(harness, "ENVMUX", public_tree / "bin" / "envmux")
    monkeypatch.setattr(harness, "LIBEXEC", public_tree / "libexec" / "envmux")
    hosts = []

    def make(kind):
        {"unprivileged": require_user, "cgroup": require_cgroups}.get(kind, lambda: None)()
        hosts.append(Host(kind, public_tree))
        return hosts[-1]

    yield make
    try:
        for host in hosts:
            for run in host.runs:
                if run.process.returncode is None:
                    run.stop()
            host.assert_no_daemon()
    finally:
        for host in hosts:
            for run in host.runs:
                run.kill_everything()
            for daemon in host.daemons():
                daemon.kill()
            shutil.rmtree(host.folder, ignore_errors=True)


@pytest.fixture(params=["unprivileged", "process-tree", "cgroup"])
def host(request, make_host):
    return make_host(request.param)


def put(run, key, server="strays", **body):
    status, _, answer = run.http("PUT", f"/{server}/s/{key}", body)
    return status, json.loads(answer)


def delete(run, key, server="strays"):
    return run.http("DELETE", f"/{server}/s/{key}")[0]


def start_with_daemons(host, run, key="k", **body):
    """A session whose daemons are all there: it answers, and the daemons come first."""
    before = len(host.daemons())
    status, made = put(run, key, **body)
    assert status == 201, made
    with Client(run.mcp("strays", key), keep=True):
        pass
    assert len(host.daemons()) == before + stray_backend.ALL
    run.look()
    return made


def process_of(made, which):
    return Process.read(made[f"{which}_pid"])


def sessions_left(run, n=0):
    return wait_until(lambda: len(run.sessions()) == n, f"{n} sessions to be left") or run.sessions()


# ---- sessions work --------------------------------------------------------------------------------


def test_sessions_work_and_show_says_how_they_are_tracked(host):
    run = host.run()
    with Client(run.mcp("lake", "k", "seed=42")) as client:
        assert client.read("game://initial_state")["grid"] == "SFHF\nFHFF\nFFFH\nFHFG"
        assert client.call("lake_move", action="RIGHT")["position"] == 1
        [session] = run.sessions()
        shown = run.ctl("show", session["id"]).stdout
        if host.kind == "cgroup":
            assert os.path.isdir(session["tracking"])
        else:
            assert session["tracking"] == f"process tree of worker {session['worker_pid']}"
            assert "tracked by process tree" in run.log()
        assert session["tracking"] in shown
        assert os.stat(f"/proc/{session['backend_pid']}").st_uid == (host.folder / "home").stat().st_uid
    sessions_left(run)


def test_cgroups_that_cannot_be_had_are_refused_with_words(make_host):
    host = make_host("unprivileged")
    host.arguments = ["--tracking", "cgroup"]
    with pytest.raises(AssertionError, match="cannot track sessions by cgroup"):
        host.run()


def test_a_wrong_way_of_tracking_is_a_usage_mistake(make_host):
    host = make_host("process-tree")
    host.arguments = ["--tracking", "guesswork"]
    with pytest.raises(AssertionError, match="give auto, cgroup or process-tree"):
        host.run()
    assert host.runs == []


# ---- every end ------------------------------------------------------------------------------------


def by_delete(run, made):
    assert delete(run, "k") == 204


def by_stop(run, made):
    run.ctl("stop", made["id"])


def by_reset(run, made):
    assert run.http("POST", "/strays/s/k/reset")[0] == 200
    assert delete(run, "k") == 204


def by_itself(run, made):
    sessions_left(run)


@pytest.mark.parametrize("end, body", [
    (by_delete, {}), (by_stop, {}), (by_reset, {}), (by_itself, {"idle_timeout": "200ms"}), (by_itself, {"lifetime": "1s"}),
], ids=["delete", "stop", "reset", "idle", "lifetime"])
def test_no_end_leaves_a_process(host, end, body):
    run = host.run()
    made = start_with_daemons(host, run, **body)
    end(run, made)
    host.assert_no_daemon()  # gone means gone: before the answer
    wait_until(lambda: not list(run.state.glob("envmux/*/*/*")), "the workspace to go, locked folders and all")


@pytest.mark.parametrize("victims", [["worker"], ["backend"], ["worker", "backend"]], ids="+".join)
def test_no_kill_within_a_session_leaves_a_process(host, victims):
    run = host.run()
    made = start_with_daemons(host, run)
    other = put(run, "other", server="lake")[1]
    for process in [process_of(made, victim) for victim in victims]:
        process.kill()
    sessions_left(run, 1)
    host.assert_no_daemon()
    assert run.sessions()[0]["id"] == other["id"]
    assert put(run, "k")[1]["generation"] == 2


def test_a_killed_supervisor_costs_no_session_and_leaves_no_process(host):
    run = host.run()
    made = start_with_daemons(host, run)
    with Client(run.mcp("lake", "k", "seed=42")) as client:
        client.call("lake_move", action="DOWN")
        for process in [run.supervisor(), *run.routers()]:
            process.kill()
        wait_until(lambda: run.ctl("ps", check=False).returncode == 0 and
                   [s["state"] for s in run.sessions()] == ["active"] * 2, "both sessions to be adopted")
        client.connection.close()  # it led to a router that is dead
        assert client.read("control://status")["step_count"] == 1
    assert len(host.daemons()) == stray_backend.ALL
    assert put(run, "k")[1]["id"] == made["id"]
    # The worker is no child of the new supervisor: it is killed there as well.
    process_of(made, "worker").kill()
    sessions_left(run)
    host.assert_no_daemon()


@pytest.mark.parametrize("victims", [["supervisor", "worker"], ["worker", "supervisor"], ["supervisor", "backend"],
                                     ["supervisor", "worker", "backend", "router"]], ids="+".join)
def test_no_kill_of_several_at_once_leaves_a_process(host, victims):
    run = host.run()
    made = start_with_daemons(host, run)
    other = put(run, "other", server="lake")[1]
    processes = {"supervisor": [run.supervisor()], "router": run.routers(),
                 "worker": [process_of(made, "worker")], "backend": [process_of(made, "backend")]}
    for victim in victims:
        for process in processes[victim]:
            process.kill()
    wait_until(lambda: [s["id"] for s in json.loads(run.ctl("ps", "--json", check=False).stdout or "[]")
                        if s["state"] == "active"] == [other["id"]], "the other session alone")
    sessions_left(run, 1)
    host.assert_no_daemon()
    assert put(run, "k")[0] == 201


def test_a_worker_that_does_not_register_is_killed(make_host):
    host = make_host("unprivileged")
    run = host.run()
    made = start_with_daemons(host, run)
    supervisor, worker = run.supervisor(), process_of(made, "worker")
    worker.kill(signal.SIGSTOP)
    supervisor.kill()
    wait_until(lambda: not worker.exists(), "the end of a worker that says nothing")
    sessions_left(run)
    host.assert_no_daemon()


def test_a_killed_watch_ends_everything(host):
    run = host.run()
    start_with_daemons(host, run)
    run.process.kill()
    run.process.wait()
    wait_until(lambda: not any(process.exists() for process in run.seen), "every process to end")
    host.assert_no_daemon()


@pytest.mark.parametrize("victims, kind", [
    ("watch+supervisor", "unprivileged"), ("watch+supervisor", "cgroup"),
    ("watch+supervisor+worker", "unprivileged"), ("watch+supervisor+worker", "cgroup"),
    ("watch+supervisor+stopped worker", "process-tree"),
])
def test_the_next_run_leaves_no_process_of_a_killed_one(make_host, victims, kind):
    host, victims = make_host(kind), victims.split("+")
    run = host.run()
    made = start_with_daemons(host, run)
    worker, supervisor = process_of(made, "worker"), run.supervisor()
    if "stopped worker" in victims:
        worker.kill(signal.SIGSTOP)
    supervisor.kill(signal.SIGSTOP)  # so that it cannot act on the death of the watch
    run.process.kill()
    run.process.wait()
    supervisor.kill()
    if "worker" in victims:
        worker.kill()
    # On the same address: routers of the killed run held it.
    again = host.run(folder=run.folder, listen=f"127.0.0.1:{run.port}")
    if victims == ["watch", "supervisor"]:
        wait_until(lambda: [s["state"] for s in again.sessions()] == ["active"], "the session to be adopted")
        assert put(again, "k")[1]["id"] == made["id"]
        worker.kill()
    sessions_left(again)
    host.assert_no_daemon()
    assert not worker.exists()


def test_100_sessions_leave_nothing(host):
    run = host.run(max_ended=10)
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        assert list(pool.map(lambda i: put(run, f"k{i}", server="lake")[0], range(100))) == [201] * 100
        assert len(run.backends()) == 100
        assert list(pool.map(lambda i: delete(run, f"k{i}", server="lake"), range(100))) == [204] * 100
    assert run.sessions() == [] and run.workers() == []
    daemons = {run.supervisor(), *run.routers()}
    wait_until(lambda: set(run.look()) == daemons, "every other process to end")
    for folder in ("sockets", "records"):
        assert [path.name for path in (run.runtime / folder).iterdir() if path.name != "supervisor"] == []
    wait_until(lambda: not list(run.state.glob("envmux/*/*/*")), "every workspace to go")


# ---- a machine that is short of something ---------------------------------------------------------


def told(answer):
    return answer["envmux"]


def tasks_of(uid):
    """How many tasks that user has now: what RLIMIT_NPROC counts."""
    n = 0
    for process in all_processes():
        with contextlib.suppress(FileNotFoundError):  # it ended meanwhile
            if os.stat(f"/proc/{process.pid}").st_uid == uid:
                n += len(os.listdir(f"/proc/{process.pid}/task"))
    return n


def set_soft_limit(host, process, option, value):
    """As its own user: root in a container may lack the right to change the limits of others."""
    subprocess.run(["prlimit", f"--pid={process.pid}", f"--{option}={value}:"], check=True, **as_user(host.user))


def delete_all(run, n):
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        assert set(pool.map(lambda i: delete(run, f"k{i}", server="lake"), range(n))) == {204}


def assert_nothing_kept(run):
    """Nothing of a session, live or failed, is left in the folders."""
    wait_until(lambda: run.sessions() == [] and run.workers() == [], "every session to be over")
    for folder in ("sockets", "records"):
        assert [path.name for path in (run.runtime / folder).iterdir() if path.name != "supervisor"] == []
    wait_until(lambda: not list(run.state.glob("envmux/*/*/*")), "every workspace to go")


@pytest.mark.parametrize("spare", [0, 1], ids=["worker", "backend"])
def test_a_start_without_a_process_to_spare_fails_with_words(make_host, spare):
    host = make_host("unprivileged")
    run = host.run()
    supervisor = run.supervisor()
    own = tasks_of((host.folder / "home").stat().st_uid)
    set_soft_limit(host, supervisor, "nproc", own + spare)
    status, answer = put(run, "k", server="lake")
    assert status == 503 and told(answer)["reason"] == "start_failed" and told(answer)["infra"] is True
    assert "Resource temporarily unavailable" in json.dumps(answer)
    set_soft_limit(host, supervisor, "nproc", own + 100)
    assert put(run, "k", server="lake")[0] == 201 and delete(run, "k", server="lake") == 204
    assert_nothing_kept(run)


def test_starts_without_descriptors_to_spare_fail_with_words(make_host):
    host = make_host("process-tree")
    run = host.run()
    set_soft_limit(host, run.supervisor(), "nofile", 140)
    answers = []
    for i in range(100):
        answers.append(put(run, f"k{i}", server="lake"))
        if answers[-1][0] != 201:
            break
    status, answer = answers[-1]
    assert status == 503 and told(answer)["infra"] is True
    assert told(answer)["reason"] == "start_failed" and "Too many open files" in json.dumps(answer)
    # The others are served as ever, and their end makes room.
    with Client(run.mcp("lake", "k0")) as client:
        assert client.read("control://status")["step_count"] == 0
    delete_all(run, len(answers))
    assert put(run, "k", server="lake")[0] == 201 and delete(run, "k", server="lake") == 204
    assert_nothing_kept(run)


@pytest.fixture
def small_disk():
    """Mounts file systems that hold few files, and unmounts them."""
    mounted = []

    def mount(path, files):
        done = subprocess.run(["mount", "-t", "tmpfs", "-o", f"size=1m,nr_inodes={files},mode=777", "envmux", path],
                              capture_output=True, text=True)
        if done.returncode != 0:
            pytest.skip(f"cannot mount a tmpfs: {done.stderr}")
        mounted.append(path)

    yield mount
    for path in mounted:
        subprocess.run(["umount", "--lazy", path], check=True)


@pytest.mark.parametrize("disk, complaint", [("state", "cannot make its workspace"), ("runtime", "cannot")])
def test_a_full_disk_fails_starts_with_words(make_host, small_disk, disk, complaint):
    host = make_host("unprivileged")
    folder = host.make("run")
    if disk == "state":
        host.make("run/state")
        small_disk(folder / "state", 24)
    else:
        small_disk(folder, 30)
        host.env["XDG_STATE_HOME"] = str(host.make("roomy"))
    run = host.run(folder=folder)
    answers = []
    for i in range(30):
        answers.append(put(run, f"k{i}", server="lake"))
        if answers[-1][0] != 201:
            break
    status, answer = answers[-1]
    assert len(answers) > 1 and status == 503 and told(answer)["reason"] == "start_failed"
    assert complaint in json.dumps(answer) and "No space left on device" in json.dumps(answer)
    delete_all(run, len(answers))
    assert put(run, "k", server="lake")[0] == 201 and delete(run, "k", server="lake") == 204
    assert_nothing_kept(run)
    run.stop()


def run_briefly(host, **env):
    """`envmux run` with this environment alone: (exit status, what it wrote) when it fails, else after its end."""
    process = subprocess.Popen([harness.ENVMUX, "run", "--listen", "127.0.0.1:0", "--", "cat"], env={"PATH": "/usr/bin:/bin", **env},
                               stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, **as_user(host.user))
    text = ""
    for line in process.stdout:
        text += line
        if line.startswith("Ready at "):
            process.terminate()
    return process.wait(harness.PATIENCE), text


def test_folders_that_cannot_be_made_are_named_with_advice(make_host):
    require_user()
    host = make_host("unprivileged")
    home, runtime = str(host.folder / "home"), str(host.make("runtime"))
    status, text = run_briefly(host, HOME=home)
    assert status == 1 and "/run/envmux: Permission denied; give --control PATH" in text
    status, text = run_briefly(host, HOME="/nonexistent", XDG_RUNTIME_DIR=runtime)
    assert status == 1 and "/nonexistent" in text and "name a folder of yours in XDG_STATE_HOME" in text
    assert os.listdir(runtime) == []
    status, text = run_briefly(host, HOME=home, XDG_RUNTIME_DIR=runtime)
    assert status == 0, text


def test_home_may_be_unset(make_host):
    require_user()
    host = make_host("unprivileged")
    runtime = host.make("runtime")
    fallback = pathlib.Path(f"/tmp/envmux-{runtime.stat().st_uid}")
    if fallback.exists():
        pytest.skip(f"{fallback} is in use")
    status, text = run_briefly(host, XDG_RUNTIME_DIR=str(runtime))
    assert status == 0, text
    assert os.listdir(fallback) == []
    fallback.rmdir()
    fallback.mkdir()  # root's: somebody else was first
    try:
        status, text = run_briefly(host, XDG_RUNTIME_DIR=str(runtime))
        assert status == 1 and f"{fallback}: Operation not permitted; it must be a folder that only you may write to" in text
    finally:
        fallback.rmdir()
