"""What our own programs have and those that they start do not: descriptors, and the right to gain rights."""

import resource
import shutil
import sys

import pytest

import harness
from manager import managed  # noqa: F401
from mcp_client import Client

SOFT = 300
BACKEND = {"command": sys.executable, "args": [str(harness.TOP / "tests/e2e/hold_backend.py")]}


@pytest.fixture
def hard():
    """A soft limit below the hard one, for what the test starts."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (SOFT, hard))
    yield hard
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def limits(process):
    return resource.prlimit(getattr(process, "pid", process), resource.RLIMIT_NOFILE)


def test_only_our_own_programs_raise_it(envmux, tmp_path, hard):
    said = tmp_path / "prepare"
    backend = {**BACKEND, "envmux": {"prepare": ["sh", "-c", f"ulimit -Sn >{said}"]}}
    run = envmux({"mcpServers": {"hold": backend}})
    Client(run.mcp("hold", key="k"), keep=True).initialize()
    ours = (min(hard, 1024 * 1024), hard)
    assert limits(run.supervisor()) == ours
    assert [limits(router) for router in run.routers()] == [ours] * len(run.routers())
    assert [limits(worker) for worker in run.workers()] == [ours]
    assert [limits(backend) for backend in run.backends()] == [(SOFT, hard)]
    assert int(said.read_text()) == SOFT


def test_an_upgrade_does_not_raise_that_of_backends(managed, tmp_path, monkeypatch, hard):
    monkeypatch.delenv("ENVMUX_LIBEXEC", raising=False)
    libexec = tmp_path / "libexec"
    shutil.copytree(harness.LIBEXEC, libexec)
    service = managed({"mcpServers": {"hold": BACKEND}}, libexec=libexec)
    new = libexec / "new"
    shutil.copy(libexec / "envmux-supervisor", new)
    new.rename(libexec / "envmux-supervisor")
    service.ctl("reload")
    with Client(service.mcp("k", "hold"), keep=True) as client:
        assert limits(int(client.call("pid"))) == (SOFT, hard)
    assert limits(service.process) == (min(hard, 1024 * 1024), hard)


def test_a_worker_can_gain_no_rights_its_backend_what_it_could_anyway(envmux):
    def no_new_privs(pid):
        return next(line.split()[1] for line in open(f"/proc/{pid}/status") if line.startswith("NoNewPrivs:"))

    run = envmux({"mcpServers": {"hold": BACKEND}})
    Client(run.mcp("hold", key="k"), keep=True).initialize()
    assert [no_new_privs(worker.pid) for worker in run.workers()] == ["1"]
    assert [no_new_privs(backend.pid) for backend in run.backends()] == [no_new_privs("self")]
