"""Reloads: new configuration, and programs that were replaced by other files, while clients wait for answers."""

import concurrent.futures
import contextlib
import json
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import threading

import pytest

from harness import ENVMUX, LIBEXEC, ROOT, wait_until
from manager import managed  # noqa: F401
from mcp_client import Client

HOLD = str(pathlib.Path(__file__).with_name("hold_backend.py"))
LAKE = {"command": "frozen-lake", "args": ["--seed", "${envmux:seed}"]}


def config(routers=2, **servers):
    return {"mcpServers": {"hold": {"command": sys.executable, "args": [HOLD]}, "lake": LAKE, **servers},
            "envmux": {"routers": routers}}


@pytest.fixture
def libexec(tmp_path, monkeypatch):
    """A copy of the daemons, which a test may replace."""
    monkeypatch.delenv("ENVMUX_LIBEXEC", raising=False)
    shutil.copytree(LIBEXEC, tmp_path / "libexec")
    return tmp_path / "libexec"


def replace(path, text=None):
    """Another file under the same name, as a package manager puts it there."""
    new = path.with_suffix(".new")
    if text is None:
        shutil.copy(path, new)
    else:
        new.write_text(text)
        new.chmod(0o755)
    os.rename(new, path)


def is_of(process, path):
    """Whether it runs the file that has this name now."""
    pid = getattr(process, "pid", process)
    return os.path.samefile(f"/proc/{pid}/exe", path)


@contextlib.contextmanager
def held_call(service, key, tmp_path):
    """A call under way; its value is a function that lets it be answered and returns the backend's pid."""
    client = Client(service.mcp(key, "hold"), keep=True, timeout=60)
    client.initialize()
    before = client.call("pid")
    path = tmp_path / f"go-{key}"
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        call = pool.submit(client.call, "hold", path=str(path))
        wait_until(lambda: pathlib.Path(f"{path}.held").exists(), "the call in the backend")

        def finish():
            path.touch()
            assert call.result(30) == before
            assert client.call("pid") == before

        yield finish
        path.touch()


class Knocker(threading.Thread):
    """A client that makes a new connection for each request, one after the other, until stopped."""

    def __init__(self, service, key):
        super().__init__(daemon=True)
        self.service, self.key, self.n, self.error, self.is_over = service, key, 0, None, threading.Event()
        self.start()

    def run(self):
        try:
            while not self.is_over.is_set():
                with Client(self.service.mcp(self.key), keep=True) as client:
                    client.request("tools/list")
                self.n += 1
        except Exception as error:
            self.error = error

    def stop(self):
        self.is_over.set()
        self.join()
        assert self.error is None, self.error
        return self.n


def test_new_programs_take_over_in_the_middle_of_calls(managed, libexec, tmp_path):
    service = managed(config(), libexec=libexec)
    knocker = Knocker(service, "knock")
    with held_call(service, "a", tmp_path) as finish, held_call(service, "b", tmp_path) as finish_b:
        pid, workers, routers = service.process.pid, service.workers(), service.routers()
        for name in "envmux-supervisor", "envmux-router", "envmux-worker":
            replace(libexec / name)
        at = service.now()
        done = service.ctl("reload")
        assert done.stderr == "" and service.process.poll() is None
        assert is_of(pid, libexec / "envmux-supervisor"), "the old program still runs"
        ready = [n for n in service.notices[at:] if n in ("RELOADING=1", "READY=1")]
        assert ready == ["RELOADING=1", "READY=1"]
        wait_until(lambda: sum(is_of(r, libexec / "envmux-router") for r in service.routers()) == 2, "new routers")
        assert set(workers) <= set(service.workers()), "a worker was replaced"
        finish()
        finish_b()
    n = knocker.n
    wait_until(lambda: knocker.n > n or knocker.error, "one more connection")
    assert knocker.stop() > 0
    wait_until(lambda: not any(router.exists() for router in routers), "the end of the routers without clients")
    assert len(service.routers()) == 2


def test_descriptors_do_not_pile_up(managed, libexec):
    service = managed(config(routers=1), libexec=libexec)
    Client(service.mcp("k"), keep=True).initialize()
    counts = []
    for _ in range(6):
        replace(libexec / "envmux-supervisor")
        service.ctl("reload")
        counts.append(len(os.listdir(f"/proc/{service.process.pid}/fd")))
    assert counts[-1] <= counts[0] + 2, counts  # control connections come and go


def test_a_new_program_that_refuses_changes_nothing(managed, libexec):
    service = managed(config(), libexec=libexec)
    Client(service.mcp("k"), keep=True).initialize()
    good = (libexec / "envmux-supervisor").read_bytes()
    cases = [("#!/bin/sh\necho 'my library is missing'; exit 9\n", "refuses (status 9): my library is missing"),
             ("no program at all", "Exec format error"), ("#!/bin/sh\nkill -SEGV $$\n", "dies of signal 11")]
    service.write_config(config(pond=LAKE))
    for text, why in cases:
        replace(libexec / "envmux-supervisor", text)
        done = service.ctl("reload", check=False)
        assert done.returncode == 1 and why in done.stderr, done
        assert str(libexec / "envmux-supervisor") in done.stderr
        assert "pond" not in service.ctl("servers").stdout, "half a reload"
    (libexec / "new").write_bytes(good)
    (libexec / "new").chmod(0o755)
    os.rename(libexec / "new", libexec / "envmux-supervisor")
    service.ctl("reload")
    assert "pond" in service.ctl("servers").stdout
    assert Client(service.mcp("k"), keep=True).initialize()


def test_starts_that_wait_are_asked_for_again(managed, libexec, tmp_path):
    slow = {"command": sys.executable, "args": ["-c", f"""
import os, runpy, sys, time
while not os.path.exists({str(tmp_path / "go")!r}): time.sleep(0.01)
sys.argv = [{HOLD!r}]
runpy.run_path({HOLD!r}, run_name="__main__")"""]}
    service = managed(config(slow=slow), libexec=libexec)
    with concurrent.futures.ThreadPoolExecutor(3) as pool:
        clients = [Client(service.mcp(f"s{i}", "slow"), keep=True, timeout=30) for i in range(3)]
        starts = [pool.submit(client.initialize) for client in clients]
        # The first of a definition starts alone, the others are queued: nothing is known of them on disk.
        wait_until(lambda: len(service.workers()) == 1, "a worker")
        wait_until(lambda: service.ctl("ps", "--json").stdout.count('"slow"') == 3, "all questions in the supervisor")
        replace(libexec / "envmux-supervisor")
        service.ctl("reload")
        (tmp_path / "go").touch()
        for start in starts:
            start.result(60)
    assert len({client.call("pid") for client in clients}) == 3


def test_signals_during_a_take_over_are_not_lost(managed, libexec):
    service = managed(config(), libexec=libexec)
    Client(service.mcp("k"), keep=True).initialize()
    replace(libexec / "envmux-supervisor")
    os.kill(service.process.pid, signal.SIGHUP)
    service.wait_for("RELOADING=1", 0)
    # Whoever it reaches, the old or the new one, ends in order: the fixture checks.
    os.kill(service.process.pid, signal.SIGTERM)
    assert service.process.wait(30) == 0


def test_under_the_watch_too(envmux, tmp_path, monkeypatch):
    monkeypatch.delenv("ENVMUX_LIBEXEC", raising=False)
    root = tmp_path / "root"
    shutil.copytree(ROOT / "bin", root / "bin")
    shutil.copytree(ROOT / "libexec", root / "libexec")
    run = envmux(config(), program=root / "bin" / "envmux")
    programs = root / "libexec" / "envmux"

    class AsService:
        @staticmethod
        def mcp(key, server):
            return run.mcp(server, key)

    with held_call(AsService, "a", tmp_path) as finish:
        supervisor, workers, routers = run.supervisor(), run.workers(), run.routers()
        for name in "envmux-supervisor", "envmux-router", "envmux-worker":
            replace(programs / name)
        run.ctl("reload")
        assert run.supervisor() == supervisor and is_of(supervisor, programs / "envmux-supervisor")
        wait_until(lambda: all(is_of(r, programs / "envmux-router") for r in set(run.routers()) - set(routers))
                   and len(set(run.routers()) - set(routers)) == 2, "new routers")
        assert workers == run.workers()
        finish()
    # It is the same as any other supervisor to the watch.
    run.supervisor().kill()
    wait_until(lambda: run.supervisor() != supervisor, "another supervisor")
    assert run.ctl("ps").stdout


def test_it_returns_when_every_router_knows_the_new_configuration(envmux):
    run = envmux(config())
    slow = run.routers()[0]
    slow.kill(signal.SIGSTOP)
    (run.folder / "config.json").write_text(json.dumps(config(new=LAKE)))
    reload = subprocess.Popen([ENVMUX, "reload", "--control", run.control])
    wait_until(lambda: "new" in run.ctl("servers").stdout, "the new configuration")
    assert reload.poll() is None
    slow.kill(signal.SIGCONT)
    assert reload.wait(timeout=30) == 0
    # Each connection is of whichever router is the quickest.
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: run.http("GET", "/new/s/k"), range(32)))
    assert {json.loads(body)["envmux"]["reason"] for _, _, body in answers} == {"unknown_session"}


def test_a_router_that_hangs_does_not_hold_up_a_reload(envmux):
    run = envmux(config())
    hung = run.routers()[0]
    hung.kill(signal.SIGSTOP)
    try:
        (run.folder / "config.json").write_text(json.dumps(config(new=LAKE)))
        run.ctl("reload")
        assert "new" in run.ctl("servers").stdout
    finally:
        hung.kill(signal.SIGCONT)
