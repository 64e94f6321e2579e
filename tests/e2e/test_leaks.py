"""200 sessions opened and closed, half of them abandoned: everything is back where it was."""

import concurrent.futures
import pathlib

import harness
from mcp_client import Client

SESSIONS = 200
CONFIG = {
    "envmux": {"max_ended": 20},  # how sessions ended is remembered: the one thing that may grow, up to here
    "mcpServers": {
        "lake": {"command": "frozen-lake", "args": ["--seed", "${envmux:seed}"], "envmux": {"idle_timeout": "1s"}},
    }
}


def footprint(run):
    """What a leak would show in."""
    supervisor, routers = run.supervisor(), run.routers()
    return {
        "processes": len(run.look()),
        "supervisor fds": supervisor.fd_count(),
        "router fds": sum(router.fd_count() for router in routers),
        "sockets": sorted(path.name for path in (run.runtime / "sockets").iterdir()),
        "records": sorted(path.name for path in (run.runtime / "records").iterdir()),
        "workspaces": sorted(str(path) for path in run.state.glob("envmux/*/workspaces/*")),
        "trash": sorted(str(path) for path in run.state.glob("envmux/*/trash/*")),
        "cgroups": sorted(str(path) for path in run.cgroups if path.exists() and "envmux-" in str(path) and path.name in ("worker", "backend")),
    }


def private_memory(process):
    """Bytes that only this process has written."""
    lines = pathlib.Path(f"/proc/{process.pid}/smaps_rollup").read_text().splitlines()
    return sum(int(line.split()[1]) * 1024 for line in lines if line.startswith("Private_Dirty"))


def play(run, i):
    client = Client(run.mcp("lake"), keep=i % 2 == 1)  # every second one goes without DELETE
    with client:
        assert client.call("lake_move", action="RIGHT")["position"] in (0, 1)
    return client.session_id


def storm(run, n):
    with concurrent.futures.ThreadPoolExecutor(16) as pool:
        ids = list(pool.map(lambda i: play(run, i), range(n)))
    assert len(set(ids)) == n
    harness.wait_until(lambda: run.sessions() == [], "every session to end")


def test_200_sessions_leave_nothing(envmux):
    run = envmux(CONFIG)
    storm(run, SESSIONS)  # pools and caches get their size
    harness.wait_until(lambda: len(run.look()) == 1 + len(run.routers()), "the last workspace's remover to end")
    before = footprint(run)
    memory = {process: private_memory(process) for process in [run.supervisor(), *run.routers()]}

    storm(run, SESSIONS)

    harness.wait_until(lambda: footprint(run) == before, f"the footprint {before}, it is {footprint(run)}")
    assert run.workers() == []
    for process, size in memory.items():
        assert process.exists(), "a daemon was replaced meanwhile"
        # The allocator's own ups and downs are some hundred KiB; 4 KiB lost per session would show.
        assert private_memory(process) < size + SESSIONS * 4096, process
