#!/usr/bin/env python3
"""What a session costs: time from `initialize` to its answer, and memory while it idles.

    ./dev build && python3 tests/bench/starts.py [--sessions 200]

Sessions of the embedded FrozenLake, started one after another over one connection each, kept open.
Time is what the client sees (connect, route, start the worker, start the backend, handshake). Memory
is what only the session's own processes have written (Private_Dirty of worker and backend).
"""

import argparse
import os
import pathlib
import statistics
import sys
import tempfile
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "e2e"))
import harness  # noqa: E402
from mcp_client import Client  # noqa: E402


def private_kib(pid):
    lines = pathlib.Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    return sum(int(line.split()[1]) for line in lines if line.startswith("Private_Dirty"))


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--sessions", type=int, default=200)
    options = parser.parse_args()
    folder = tempfile.mkdtemp(prefix="envmux-bench-", dir="/tmp")
    run = harness.Envmux(folder, {"mcpServers": {"lake": {"command": "frozen-lake"}}})
    try:
        Client(run.mcp("lake"), keep=True).initialize()  # a definition's first start runs alone
        times, clients = [], []
        for _ in range(options.sessions):
            client = Client(run.mcp("lake"), keep=True)
            start = time.perf_counter()
            client.initialize()
            times.append((time.perf_counter() - start) * 1e3)
            client.connection.close()
            clients.append(client)
        times.sort()
        workers = run.workers()
        memory = [private_kib(worker.pid) for worker in workers]
        backends = [private_kib(backend.pid) for backend in run.backends()]
        print(f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}, {len(workers)} sessions live")
        print(f"initialize answered after: median {statistics.median(times):.1f} ms, "
              f"p99 {times[int(len(times) * .99) - 1]:.1f} ms, best {times[0]:.1f} ms")
        print(f"private memory per session: worker {statistics.median(memory):.0f} KiB, "
              f"backend {statistics.median(backends):.0f} KiB")
        print(f"supervisor {private_kib(run.supervisor().pid)} KiB, {run.supervisor().fd_count()} fds; "
              f"routers {[private_kib(router.pid) for router in run.routers()]} KiB")
    finally:
        run.stop()


main()
