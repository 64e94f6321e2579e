"""Backends, workers and routers as users of their own: who they are, and what they cannot reach."""

import concurrent.futures
import contextlib
import json
import os
import pathlib
import pwd
import shutil
import signal
import socket
import stat
import subprocess
import tempfile

import pytest

import harness
import ipc_frames
from harness import Process, wait_until
from mcp_client import Client, McpError

BACKEND = pathlib.Path(__file__).resolve().with_name("users_backend.py")
PYTHON = "/usr/bin/python3"  # one that every user can execute
BACKEND_USER, ROUTER_USER, OTHER_USER = "nobody", "daemon", "games"
RANGE = range(1879048192, 1879113728)
NO_CAPABILITIES = "0000000000000000"

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root can start processes of another user")


def uid_of(name):
    return pwd.getpwnam(name).pw_uid


@pytest.fixture(scope="module")
def tree():
    """The programs where every user can execute them. The supervisor is one that is told users, as its unit does."""
    top = pathlib.Path(tempfile.mkdtemp(prefix="envmux-tree-"))
    top.chmod(0o755)
    for name in ("plain", "told"):
        shutil.copytree(harness.LIBEXEC, top / name)
        shutil.copy(harness.ENVMUX, top / name)
    plain, told = top / "plain", top / "told"
    shutil.copy(BACKEND, top / "backend.py")
    supervisor = told / "envmux-supervisor"
    supervisor.unlink()
    supervisor.write_text(f'#!/bin/sh\nexec {plain}/envmux-supervisor "$@" '
                          f'--backend-user {BACKEND_USER} --router-user {ROUTER_USER}\n')
    supervisor.chmod(0o755)
    yield top
    shutil.rmtree(top)


@pytest.fixture
def start(tree):
    """Starts runs in folders that other users can pass through."""
    runs, folders = [], []

    def begin(told=True, top=None, prepare=None, **servers):
        folder = pathlib.Path(tempfile.mkdtemp(prefix="envmux-"))
        folder.chmod(0o711)
        folders.append(folder)
        (folder / "state").mkdir(mode=0o711)
        entries = {name: {"command": PYTHON, "args": ["-SE", str(tree / "backend.py")], "envmux": settings}
                   for name, settings in servers.items()}
        runs.append(harness.Envmux(folder, {"mcpServers": entries, "envmux": {"routers": 2} | (top or {})},
                                   env={"ENVMUX_LIBEXEC": str(tree / "plain")},
                                   program=tree / ("told" if told else "plain") / "envmux"))
        return runs[-1]

    yield begin
    try:
        for run in runs:
            run.stop()
    finally:
        for run in runs:
            run.kill_everything()
        for folder in folders:
            shutil.rmtree(folder)


def status(process, field):
    for line in pathlib.Path(f"/proc/{process.pid}/status").read_text().splitlines():
        if line.startswith(field + ":"):
            return line.split(":", 1)[1].split()
    return None


def session(run, key):
    return next(s for s in run.sessions() if s["key"] == key)


def show(run, key):
    return json.loads(run.ctl("show", "--json", session(run, key)["id"]).stdout)


@contextlib.contextmanager
def client(run, server, key):
    with Client(run.mcp(server, key), keep=True) as c:
        yield c


def kill_supervisor(run):
    old = run.supervisor()
    old.kill(signal.SIGKILL)
    wait_until(lambda: not old.exists() and run.supervisor() != old, "another supervisor")


# ---- who they are ---------------------------------------------------------------------------------


def test_backend_and_worker_are_the_user_of_the_command_line(start):
    run = start(tools={})
    uid = uid_of(BACKEND_USER)
    with client(run, "tools", "k") as c:
        me = c.call("whoami")
        assert me["uids"] == [uid] * 3 and me["gids"] == [pwd.getpwnam(BACKEND_USER).pw_gid] * 3
        assert me["capabilities"] == NO_CAPABILITIES and me["no_new_privs"] == "1"
        assert me["fds"] == [0, 1, 2]
        assert me["env"]["USER"] == me["env"]["LOGNAME"] == BACKEND_USER
        # It has no home of its own.
        assert me["env"]["HOME"] == me["cwd"] == session(run, "k")["workspace"]
        worker = Process.read(me["ppid"])
        assert worker.name == "envmux-worker"
        assert status(worker, "Uid") == [str(uid)] * 4 and status(worker, "CapEff") == [NO_CAPABILITIES]
        assert status(worker, "NoNewPrivs") == ["1"]
        # What makes it the session's keeper is out of its backend's reach although both are one user.
        assert c.call("read", path=f"/proc/{worker.pid}/environ") == {"error": "PermissionError"}
        assert c.call("list", path=f"/proc/{worker.pid}/fd") == {"error": "PermissionError"}
        assert c.call("link", path=f"/proc/{worker.pid}/cwd") == {"error": "PermissionError"}
        assert show(run, "k")["user"] == session(run, "k")["user"] == BACKEND_USER
    for process in run.workers() + run.backends():
        assert status(process, "Uid")[0] == str(uid)
    assert status(run.supervisor(), "Uid")[0] == "0"


def test_a_server_names_its_user(start):
    run = start(other={"user": OTHER_USER}, number={"user": "4711"}, trusted={"user": "root"}, rest={})
    wanted = {"other": uid_of(OTHER_USER), "number": 4711, "trusted": 0, "rest": uid_of(BACKEND_USER)}
    for name, uid in wanted.items():
        with client(run, name, "k") as c:
            me = c.call("whoami")
            assert me["uids"] == [uid] * 3, name
            assert c.call("write", path=f"{me['cwd']}/file") == {"value": 1}
            workspace = pathlib.Path(me["cwd"])
            for path in (workspace.parent, workspace, workspace.parent / "tmp", workspace / "file"):
                assert path.stat().st_uid == uid, path
            assert stat.S_IMODE(workspace.parent.stat().st_mode) == 0o700


def test_a_top_setting_is_for_all(start):
    run = start(top={"user": OTHER_USER}, a={}, b={"user": BACKEND_USER})
    for name, user in {"a": OTHER_USER, "b": BACKEND_USER}.items():
        with client(run, name, "k") as c:
            assert c.call("whoami")["uids"][0] == uid_of(user)


def test_root_without_a_word_is_said(start):
    run = start(told=False, tools={}, other={"user": OTHER_USER})
    with client(run, "tools", "k") as c:
        assert c.call("whoami")["uids"][0] == 0
    assert "backends of server tools run as root" in run.log()
    assert "backends of server other run as root" not in run.log()


def test_the_prepare_command_is_the_user_of_its_server(start, tree):
    command = ["/bin/sh", "-c", "id -u >&2; exit 1"]
    run = start(fixed={"user": OTHER_USER, "prepare": command}, own={"user": "dynamic", "prepare": command})
    for name, uid in {"fixed": uid_of(OTHER_USER), "own": RANGE[0]}.items():
        with pytest.raises(McpError, match="prepare"):
            Client(run.mcp(name, "k")).initialize()
        line = f"server {name}: prepare: {uid}\n"
        wait_until(lambda line=line: line in run.log(), line)


# ---- a number of its own --------------------------------------------------------------------------


def test_no_two_sessions_share_a_number(start):
    run = start(tools={"user": "dynamic"})
    keys = [f"k{i}" for i in range(8)]

    def who(key):
        with client(run, "tools", key) as c:
            return c.call("whoami")["uids"][0]

    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        uids = dict(zip(keys, pool.map(who, keys)))
    assert len(set(uids.values())) == len(keys) and set(uids.values()) <= set(RANGE[1:])
    kill_supervisor(run)
    assert {key: who(key) for key in keys} == uids
    more = [who(f"more{i}") for i in range(8)]
    assert len({*more, *uids.values()}) == 16
    assert session(run, "k0")["user"] == str(uids["k0"])


def test_a_number_is_free_again_when_its_session_is_gone(start):
    run = start(top={"dynamic_users": "70000-70002"}, tools={"user": "dynamic"})
    uids = {}
    for key in ("a", "b"):
        with client(run, "tools", key) as c:
            uids[key] = c.call("whoami")["uids"][0]
    assert set(uids.values()) == {70001, 70002}
    with pytest.raises(McpError) as refused:
        Client(run.mcp("tools", "c")).initialize()
    assert "cannot give it a user" in str(refused.value)
    assert run.http("DELETE", "/tools/s/a")[0] == 204
    with client(run, "tools", "c") as c:
        assert c.call("whoami")["uids"][0] == uids["a"]


def test_the_number_lasts_through_sleep_and_reset(start):
    run = start(tools={"user": "dynamic", "on_idle": "revive", "idle_timeout": "300ms"})
    with client(run, "tools", "k") as c:
        uid = c.call("whoami")["uids"][0]
        wait_until(lambda: session(run, "k")["sub_state"] == "dormant", "its sleep")
        kill_supervisor(run)
        me = c.call("whoami")
        assert me["uids"][0] == uid and session(run, "k")["generation"] == 2
        assert run.http("POST", "/tools/s/k/reset")[0] == 200
    with client(run, "tools", "k") as c:
        assert c.call("whoami")["uids"][0] == uid and session(run, "k")["generation"] == 3


# ---- what they cannot reach -----------------------------------------------------------------------


def test_a_backend_reaches_nothing_of_another_session(start):
    run = start(tools={"user": "dynamic"})
    refused = {"error": "PermissionError"}
    with client(run, "tools", "a") as a, client(run, "tools", "b") as b:
        victim, backend = session(run, "b"), b.call("whoami")
        assert a.call("list", path=victim["workspace"]) == refused
        assert a.call("read", path=f"{victim['workspace']}/../config.json") == refused
        assert a.call("list", path=str(pathlib.Path(victim["workspace"]).parents[1])) == refused
        # Not its own either: its clients come by the router.
        for key in ("a", "b"):
            assert a.call("connect", path=str(run.runtime / "sockets" / session(run, key)["id"])) == refused
        for name in ("sockets", "records", "routers", "definitions"):
            assert a.call("list", path=str(run.runtime / name)) == refused
        assert a.call("read", path=str(run.runtime / "records" / victim["id"])) == refused
        for pid in (backend["pid"], backend["ppid"], run.routers()[0].pid, run.supervisor().pid):
            assert a.call("kill", pid=pid) == refused
            assert a.call("read", path=f"/proc/{pid}/environ") == refused
        assert b.call("whoami")["pid"] == backend["pid"]


def test_a_backend_that_crowds_the_internal_socket_disturbs_nobody(start):
    run = start(tools={"user": "dynamic"})
    run.runtime.chmod(0o711)  # as a service manager would have made it
    with client(run, "tools", "bad") as bad, client(run, "tools", "good") as good:
        before = session(run, "good")["id"]
        # Less than the five seconds that each would have to say who it is.
        assert bad.call("crowd", path=str(run.runtime / "sockets" / "supervisor"), count=400) < 4
        kill_supervisor(run)
        with concurrent.futures.ThreadPoolExecutor(1) as pool:
            crowd = pool.submit(bad.call, "crowd", path=str(run.runtime / "sockets" / "supervisor"), count=400)
            with client(run, "tools", "new") as new:
                assert new.call("whoami")["uids"][0] in RANGE
            assert crowd.result() < 4
        assert good.call("whoami") and session(run, "good")["id"] == before


def test_a_backend_that_knows_a_routers_token_is_no_router(start):
    run = start(tools={"user": "dynamic"})
    run.runtime.chmod(0o711)  # as a service manager would have made it
    router = run.routers()[0].command_line()
    slot, token = (router[router.index(option) + 1] for option in ("--slot", "--token"))
    hello = ipc_frames.pack("HELLO", role=2, session_id=slot, token=token)
    with client(run, "tools", "bad") as bad, client(run, "tools", "good") as good:
        assert bad.call("say", path=str(run.runtime / "sockets" / "supervisor"), frame=hello.hex()) == ""
        assert good.call("whoami")
    assert "closing" not in run.log()  # or any backend could flood it


# ---- routers --------------------------------------------------------------------------------------


def is_filtered(router):
    return status(router, "Seccomp") == ["2"]


@pytest.fixture(scope="module")
def is_sanitized():
    return b"__asan_init" in (harness.LIBEXEC / "envmux-router").read_bytes()


def assert_shut_in(run, router, is_sanitized):
    entry = pwd.getpwnam(ROUTER_USER)
    assert status(router, "Uid") == [str(entry.pw_uid)] * 4 and status(router, "Gid") == [str(entry.pw_gid)] * 4
    assert status(router, "Groups") == []
    for kind in ("CapInh", "CapPrm", "CapEff", "CapAmb"):
        assert status(router, kind) == [NO_CAPABILITIES]
    assert status(router, "NoNewPrivs") == ["1"]
    assert is_filtered(router) or is_sanitized
    for place in ("root", "cwd"):
        assert os.readlink(f"/proc/{router.pid}/{place}") == str(run.runtime / "sockets")
    # No program, no library, no file to write a byte into: sockets and nothing else.
    assert all(path.is_socket() for path in (run.runtime / "sockets").iterdir())


def test_routers_are_shut_in_and_route(start, is_sanitized):
    run = start(tools={"user": "dynamic"})
    routers = run.routers()
    assert len(routers) == 2
    with client(run, "tools", "k") as c:
        for router in routers:
            assert_shut_in(run, router, is_sanitized)
        its_socket = (run.runtime / "sockets" / session(run, "k")["id"]).stat()
        assert stat.S_IMODE(its_socket.st_mode) == 0o660
        assert (its_socket.st_uid, its_socket.st_gid) == (0, pwd.getpwnam(ROUTER_USER).pw_gid)
        pid = c.call("whoami")["pid"]
        kill_supervisor(run)
        assert c.call("whoami")["pid"] == pid
        # They find the new supervisor from where they are: a session that it makes is reached through them.
        with client(run, "tools", "another") as another:
            assert another.call("whoami")["pid"] != pid
        assert run.routers() == routers
        routers[0].kill()
        wait_until(lambda: len(run.routers()) == 2 and routers[0] not in run.routers(), "another router")
        wait_until(lambda: all(status(router, "Uid")[0] != "0" for router in run.routers()), "it to be shut in")
        for router in run.routers():
            assert_shut_in(run, router, is_sanitized)
        c.connection.close()  # the dead one may have carried it
        assert c.call("whoami")["pid"] == pid


def test_routers_of_every_run_are_filtered(start, is_sanitized):
    run = start(told=False, tools={"user": OTHER_USER})
    with client(run, "tools", "k") as c:
        assert c.call("whoami")["uids"][0] == uid_of(OTHER_USER)
    for router in run.routers():
        assert status(router, "NoNewPrivs") == ["1"]
        assert is_filtered(router) or is_sanitized


# ---- mistakes -------------------------------------------------------------------------------------


def supervisor(tree, *arguments, as_user=None):
    return subprocess.run([tree / "plain" / "envmux-supervisor", *arguments], capture_output=True, text=True,
                          timeout=harness.PATIENCE, check=False, **harness.as_user(as_user))


def check(tree, settings, as_user=None):
    path = tree / "config.json"
    path.write_text(json.dumps({"mcpServers": {"tools": {"command": "/bin/cat", "envmux": settings}}}))
    return supervisor(tree, "--check", path, as_user=as_user)


def test_mistakes_are_named(tree):
    for user, words in {"no-such-user": "envmux.user: there is no user no-such-user on this machine",
                        "0": 'envmux.user: that is root: write "root"', "root": None, "dynamic": None}.items():
        done = check(tree, {"user": user})
        assert (words or "1 server: tools") in done.stdout and done.returncode == (2 if words else 0)


@pytest.mark.parametrize("user", ["root", "dynamic", OTHER_USER])
def test_who_is_not_root_cannot_become_another(tree, user):
    for name, is_good in ((user, False), (BACKEND_USER, True)):
        done = check(tree, {"user": name}, as_user=BACKEND_USER)
        assert ("only root can start backends as another user" in done.stdout) is not is_good, done.stdout
        assert (done.returncode == 0) is is_good


@pytest.mark.parametrize("option", ["--backend-user", "--router-user"])
def test_an_unknown_user_of_the_command_line_ends_the_start(tree, tmp_path, option):
    check(tree, {})
    with socket.create_server(("127.0.0.1", 0)) as listener:
        os.set_inheritable(listener.fileno(), True)
        script = f'exec 3<&{listener.fileno()}; export LISTEN_FDS=1 LISTEN_PID=$$; exec "$@"'
        done = subprocess.run(["bash", "-c", script, "bash", tree / "plain" / "envmux-supervisor", "--config",
                               tree / "config.json", "--runtime", tmp_path / "run", "--state", tmp_path / "state",
                               option, "no-such-user"], pass_fds=[listener.fileno()], capture_output=True, text=True,
                              timeout=harness.PATIENCE, check=False)
    assert done.returncode == 1
    assert f"{option} no-such-user: there is no such user on this machine" in done.stderr
