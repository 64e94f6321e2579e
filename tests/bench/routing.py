#!/usr/bin/env python3
"""What routing one request costs: CPU of envmux-router against HAProxy, same worker behind both.

    ./dev build && python3 tests/bench/routing.py [--rounds 5] [--seconds 3] [--connections 8]

One session of the embedded FrozenLake; wrk (one thread) POSTs `ping` on keep-alive connections, in turn through
envmux's router and through HAProxy (one thread, the worker's Unix socket as its only server). CPU is
what the kernel accounts to the routing process alone, user and system, divided by the answers. Needs
the Debian packages wrk and haproxy. Prints the median and the best round of each, and their ratio.
"""

import argparse
import os
import pathlib
import re
import statistics
import subprocess
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "e2e"))
import harness  # noqa: E402
from mcp_client import Client  # noqa: E402

TICK = os.sysconf("SC_CLK_TCK")
LUA = """wrk.headers["Content-Type"] = "application/json"
wrk.headers["Accept"] = "application/json, text/event-stream"
wrk.headers["Mcp-Session-Id"] = "%s"
wrk.headers["MCP-Protocol-Version"] = "2025-06-18"
local id = 0
request = function()
  id = id + 1 -- no two requests in flight may share one
  return wrk.format("POST", nil, nil, '{"jsonrpc":"2.0","id":' .. id .. ',"method":"ping"}')
end
"""
HAPROXY = """global
  nbthread 1
  maxconn 1000
defaults
  mode http
  timeout connect 5s
  timeout client 60s
  timeout server 60s
frontend f
  bind 127.0.0.1:%d
  default_backend b
backend b
  http-reuse always
  server w unix@%s
"""


def cpu_seconds(pid):
    """User and system time of a process, from the scheduler's exact count."""
    return int(pathlib.Path(f"/proc/{pid}/schedstat").read_text().split()[0]) / 1e9


def wrk(url, script, options):
    done = subprocess.run(["wrk", "-t1", f"-c{options.connections}", f"-d{options.seconds}s", "-s", script, url],
                          capture_output=True, text=True, check=True)
    assert "Non-2xx" not in done.stdout, done.stdout
    return int(re.search(r"(\d+) requests in", done.stdout)[1]), float(re.search(r"Requests/sec:\s+([\d.]+)", done.stdout)[1])


def measure(pids, url, script, options):
    before = sum(map(cpu_seconds, pids))
    n, rate = wrk(url, script, options)
    return (sum(map(cpu_seconds, pids)) - before) / n * 1e6, rate


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=int, default=3)
    parser.add_argument("--connections", type=int, default=8)
    options = parser.parse_args()
    folder = pathlib.Path(tempfile.mkdtemp(prefix="envmux-bench-", dir="/tmp"))
    run = harness.Envmux(folder / "run", {"envmux": {"routers": 1}, "mcpServers": {"lake": {"command": "frozen-lake"}}})
    haproxy = None
    try:
        client = Client(run.mcp("lake", "bench"), keep=True)
        client.initialize()
        session = run.sessions()[0]["id"]
        script, config, port = folder / "post.lua", folder / "haproxy.cfg", run.port + 1
        script.write_text(LUA % client.session_id)
        config.write_text(HAPROXY % (port, run.runtime / "sockets" / session))
        haproxy = subprocess.Popen(["haproxy", "-db", "-q", "-f", config])
        routes = {
            "envmux-router": ([router.pid for router in run.routers()], run.mcp("lake", "bench")),
            "haproxy": ([haproxy.pid], f"http://127.0.0.1:{port}/mcp"),
        }
        harness.wait_until(lambda: subprocess.run(["curl", "-s", "-o", "/dev/null", routes["haproxy"][1]]).returncode == 0, "haproxy")
        rounds = {name: [] for name in routes}
        for _ in range(options.rounds):
            for name, (pids, url) in routes.items():
                rounds[name].append(measure(pids, url, script, options))
        print(f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}, {options.connections} connections, "
              f"{options.rounds} rounds of {options.seconds} s")
        print(f"{'':14} {'CPU µs/request: median':>24} {'best':>8} {'requests/s: median':>20}")
        for name, values in rounds.items():
            cpu, rate = zip(*values)
            print(f"{name:14} {statistics.median(cpu):24.1f} {min(cpu):8.1f} {statistics.median(rate):20.0f}")
        ratios = [a[0] / b[0] for a, b in zip(rounds["envmux-router"], rounds["haproxy"])]
        print(f"envmux-router / haproxy, round by round: median {statistics.median(ratios):.2f}, "
              f"{min(ratios):.2f}–{max(ratios):.2f}")
    finally:
        if haproxy:
            haproxy.terminate()
            haproxy.wait()
        run.stop()


main()
