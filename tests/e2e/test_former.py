"""A supervisor that is killed while the configuration on disk cannot be used comes back with the former one."""

import json
import pathlib
import sys

import pytest

import harness
from mcp_client import Client

HOLD = str(pathlib.Path(__file__).with_name("hold_backend.py"))
LAKE = {"command": "frozen-lake", "args": ["--seed", "${envmux:seed}"]}
# Finds its program only where the file of variables, named relative to the configuration, was read.
HELD = {"command": sys.executable, "args": ["-c", "import os, runpy; runpy.run_path(os.environ['BACKEND'], run_name='__main__')"],
        "envFile": "variables"}


def config(**servers):
    return json.dumps({"mcpServers": {"lake": LAKE, "held": HELD, **servers}})


@pytest.fixture
def run(envmux, tmp_path):
    (tmp_path / "variables").write_text(f"BACKEND={HOLD}\n")
    (tmp_path / "envmux.json").write_text(config())
    return envmux(tmp_path / "envmux.json")


def kill_supervisor(run):
    supervisor = run.supervisor()
    supervisor.kill()
    harness.wait_until(lambda: run.process.poll() is not None or run.supervisor() != supervisor, "another supervisor")
    harness.wait_until(lambda: run.process.poll() is not None or run.ctl("ps", check=False).returncode == 0, "its answer")


def break_text(tmp_path):
    (tmp_path / "envmux.json").write_text('{"mcpServers": {"lake": {"comand": "frozen-lake"}}}')


def remove_files(tmp_path):
    (tmp_path / "envmux.json").unlink()
    (tmp_path / "variables").unlink()


@pytest.mark.parametrize("spoil, complaint", [(break_text, "comand"), (remove_files, "cannot be read")])
def test_sessions_live_on_and_new_ones_start(run, tmp_path, spoil, complaint):
    lake, held = Client(run.mcp("lake", key="a"), keep=True), Client(run.mcp("held", key="a"), keep=True)
    for client in lake, held:
        client.initialize()
    pid, before = held.call("pid"), {(s["id"], s["backend_pid"]) for s in run.sessions()}
    spoil(tmp_path)
    for _ in range(2):
        kill_supervisor(run)
        assert run.process.poll() is None, run.log()
        assert held.call("pid") == pid
        assert lake.read("control://status")["step_count"] == 0
        assert {(s["id"], s["backend_pid"]) for s in run.sessions()} == before
    assert complaint in run.log() and "cannot be used" in run.log()
    # The definitions are the same ones, whatever became of the files.
    with Client(run.mcp("held", key="b"), keep=True) as client:
        assert client.call("pid") != pid

    refused = run.ctl("reload", check=False)
    assert refused.returncode != 0 and complaint in refused.stdout + refused.stderr
    (tmp_path / "variables").write_text(f"BACKEND={HOLD}\n")
    (tmp_path / "envmux.json").write_text(config(pond=LAKE))
    run.ctl("reload")
    with Client(run.mcp("pond", key="c"), keep=True) as client:
        assert client.read("control://status")["step_count"] == 0
    assert held.call("pid") == pid

    # What was mended is what is kept from now on.
    spoil(tmp_path)
    kill_supervisor(run)
    with Client(run.mcp("pond", key="d"), keep=True) as client:
        assert client.read("control://status")["step_count"] == 0


def test_it_is_kept_for_the_supervisor_alone(run):
    assert (run.runtime / "configuration").stat().st_mode & 0o777 == 0o600
    assert run.runtime.stat().st_mode & 0o077 == 0
