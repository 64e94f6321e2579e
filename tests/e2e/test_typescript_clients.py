"""The official TypeScript clients, 1.x and 2.x, against server-everything behind envmux, over stdio and HTTP."""

import concurrent.futures
import json
import subprocess

import pytest

import harness
import node_tools

PACKAGE = "@modelcontextprotocol/server-everything"

pytestmark = pytest.mark.skipif(bool(node_tools.missing()), reason=str(node_tools.missing()))


@pytest.fixture
def everything(envmux):
    # npx as a user would start it; in this folder it finds the pinned package without the network.
    common = {"command": "npx", "cwd": str(node_tools.FOLDER)}
    return envmux({
        "mcpServers": {
            "stdio": {**common, "args": ["-y", PACKAGE, "stdio"]},
            "http": {**common, "args": ["-y", PACKAGE, "streamableHttp"], "env": {"PORT": "${envmux:port}"},
                     "envmux": {"transport": "http"}},
        }
    })


@pytest.fixture(scope="module")
def driver():
    return node_tools.installed("everything.mjs")


def drive(driver, sdk, url, label):
    done = subprocess.run(["node", driver, sdk, url, label], capture_output=True, text=True, timeout=90)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


@pytest.mark.parametrize("server", ["stdio", "http"])
def test_everything_works_as_if_connected_directly(everything, driver, server):
    urls = {"named": everything.mcp(server, key="chosen"), "sdk": everything.mcp(server), "client": everything.mcp(server)}
    with concurrent.futures.ThreadPoolExecutor() as pool:
        jobs = {label: pool.submit(drive, driver, "sdk" if label == "named" else label, url, label)
                for label, url in urls.items()}
    reports = {label: job.result() for label, job in jobs.items()}

    for label, report in reports.items():
        assert report["server"] == "mcp-servers/everything"
        assert {"echo", "get-sum", "trigger-sampling-request", "get-roots-list"} <= set(report["tools"])
        assert report["echo"] == f"Echo: hällo {label} ✓"
        assert report["sum"] == "The sum of 2 and 40 is 42."
        assert report["image"] and report["structured"]["temperature"]
        assert report["resources"] > 3 and len(report["prompts"]) == 4
        # Each call saw all of its own progress and none of the other's.
        assert report["progress"] == {"a": [3] * 3, "b": [4] * 4}
        assert f"sampled by {label}" in report["sampling"] and report["sampled"] == 1
        assert report["unknownTool"] is True
        assert report["env"]["ENVMUX_SESSION"]
    # Three clients, three processes.
    assert len({report["env"]["ENVMUX_SESSION"] for report in reports.values()}) == 3
    assert len({report["env"]["ENVMUX_WORKSPACE"] for report in reports.values()}) == 3

    # Every client said DELETE: nothing stays.
    harness.wait_until(lambda: everything.sessions() == [], "the sessions to end")
    assert everything.workers() == []
