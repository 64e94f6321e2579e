"""Stateless clients (MCP 2026-07-28) of the official SDKs, through routers and workers, to a stdio backend that is
made for it."""

import json
import subprocess

import pytest

import harness
import modern_client
import node_tools

PYTHON = harness.VENV_MCP2 / "bin" / "python"
DRIVER = harness.TOP / "tests" / "e2e" / "clients" / "modern.py"

needs_python = pytest.mark.skipif(not PYTHON.exists(), reason="needs build/venv-mcp2")


@pytest.fixture
def start(envmux):
    def make(**settings):
        command, *arguments = modern_client.COMMAND
        return envmux({"mcpServers": {"it": {"command": command, "args": arguments, "envmux": settings}}})

    return make


def play(scenario, *urls):
    done = subprocess.run([PYTHON, DRIVER, scenario, *urls], capture_output=True, text=True, timeout=150, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@needs_python
def test_clients_that_share_an_instance_do_not_cross(start):
    run = start()
    seen = play("together", run.mcp())
    assert seen["revisions"] == ["2026-07-28"] * 2
    assert seen["progress"] == {"one": [1, 2, 3], "two": [10, 20, 30]}
    assert seen["answers"] == ["for one", "for two"]
    assert len(set(seen["pids"])) == 1 and len(run.sessions()) == 1


@needs_python
def test_listeners_hear_the_news_and_the_end(start):
    assert play("listen", start().mcp()) == ["ToolsListChanged", "ResourceUpdated", True, "lost", {"a": 1}]


@needs_python
def test_giving_up_cancels_one_call(start):
    assert play("cancel", start().mcp()) == {"cancelled": 1, "answer": "kept"}


@needs_python
def test_a_backend_for_each_request(start):
    run = start(keyless="per-request")
    seen = play("single", run.mcp())
    assert seen["pids"] == 3 and seen["is_same"]
    assert seen["inputs"] == {"name": {"action": "accept", "content": {"name": "x"}}}
    harness.wait_until(lambda: run.sessions() == [], "the end of every session")


@needs_python
def test_each_key_keeps_to_its_era(start):
    run = start()
    seen = play("eras", run.mcp(key="modern"), run.mcp(key="legacy"))
    assert seen == [{"a": 1}, {"a": 1}, "2025-11-25", {"a": 2}, True, {"a": 3}, {"a": 3}]


@pytest.mark.skipif(bool(node_tools.missing()), reason=str(node_tools.missing()))
def test_clients_of_the_typescript_sdk_do_not_cross(start):
    done = subprocess.run(["node", node_tools.installed("modern.mjs"), start().mcp()], capture_output=True, text=True,
                          timeout=150, check=False)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == {
        "revisions": ["2026-07-28"] * 2,
        "progress": {"one": [1, 2], "two": [10, 20]}, "answers": ["for one", "for two"],
        "news": ["one notifications/tools/list_changed", "two notifications/resources/updated"],
        "gone": "gave up", "kept": "kept",
    }
