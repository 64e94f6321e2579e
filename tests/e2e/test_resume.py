"""A long call whose connection is lost in the middle: whatever broke it, each message arrives once, in order.

The clients are the official ones, which resume by themselves, and one on the wire."""

import asyncio
import json
import signal
import subprocess
import sys

import pytest

import harness
import mcp_client
import node_tools
from cuttable import Cuttable
from mcp_streams import Stream

COUNT, USEC = 40, 50_000
STEPS = [f"step {i}" for i in range(1, COUNT + 1)]
BACKEND = harness.TOP / "tests" / "e2e" / "step_backend.py"


@pytest.fixture
def run(envmux):
    return envmux({"mcpServers": {"steps": {"command": sys.executable, "args": [str(BACKEND)],
                                            "envmux": {"stream_retry": "250ms"}}}})


@pytest.fixture
def network(run):
    between = Cuttable(run.port)
    yield between
    between.close()


def kill(*processes):
    for process in processes:
        process.kill(signal.SIGKILL)


FAULTS = {
    "nothing": lambda run, network: None,
    "client drop": lambda run, network: network.cut(),
    "router": lambda run, network: kill(*run.routers()),
    "supervisor": lambda run, network: kill(run.supervisor()),
    "supervisor and routers": lambda run, network: kill(run.supervisor(), *run.routers()),
}


class Watch:
    """Causes the fault when a client has heard so many steps."""

    def __init__(self, run, network, fault, moments):
        self.run, self.network, self.fault, self.moments, self.steps = run, network, FAULTS[fault], moments, []

    def heard(self, step):
        self.steps.append(step)
        if len(self.steps) in self.moments:
            self.fault(self.run, self.network)


def through(network, run):
    return run.mcp("steps").replace(f":{run.port}/", f":{network.port}/")


def python_client(url, watch):
    """The official Python SDK 1.x."""
    from mcp import ClientSession
    from mcp.client.streamable_http import streamable_http_client

    async def on_progress(progress, total, message):
        assert total == COUNT and message == f"step {progress:.0f}"
        await asyncio.to_thread(watch.heard, message)

    async def call():
        async with streamable_http_client(url) as (reader, writer, _), ClientSession(reader, writer) as session:
            assert (await session.initialize()).protocolVersion == "2025-11-25"
            result = await session.call_tool("steps", {"count": COUNT, "usec": USEC}, progress_callback=on_progress)
            return result.content[0].text

    return asyncio.run(asyncio.wait_for(call(), 20))


def typescript_client(url, watch):
    """The official TypeScript SDK 1.x."""
    if node_tools.missing():
        pytest.skip(node_tools.missing())
    script = node_tools.installed("resume.mjs")
    with subprocess.Popen(["node", script, url, str(COUNT), str(USEC)], stdout=subprocess.PIPE, text=True) as process:
        for line in process.stdout:
            said = json.loads(line)
            if "text" in said:
                return said["text"]
            watch.heard(said["message"])


def wire_client(url, watch):
    """What a client does by the letter of the specification."""
    with mcp_client.Client(url, version="2025-11-25", keep=True) as client:  # its own connection is cut as well
        body = {"jsonrpc": "2.0", "id": "w", "method": "tools/call",
                "params": {"name": "steps", "arguments": {"count": COUNT, "usec": USEC}, "_meta": {"progressToken": 7}}}
        stream, last = Stream(client, "POST", body), None
        while True:
            try:
                id, message = stream.event()
            except (OSError, ValueError, TypeError):  # the connection broke
                stream.close()
                stream = harness.wait_until(lambda: attempt(client, last), "the stream to be carried on")
                continue
            assert id != last, "an event came twice"
            last = id or last
            if message and message.get("id") == "w":
                return message["result"]["content"][0]["text"]
            if message:
                watch.heard(message["params"]["message"])


def attempt(client, last):
    try:
        stream = Stream(client, "GET", Last_Event_ID=last)
    except OSError:
        return None
    assert stream.status == 200, stream.status
    stream.event()  # repeats the cursor
    return stream


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("client, moments", [
    # When a stream that it had resumed breaks, this one asks with the cursor of the first time, and then gives up.
    (python_client, [15]),
    (typescript_client, [5, 15, 25]),
    (wire_client, [5, 15, 25]),
], ids=["python", "typescript", "wire"])
def test_no_message_is_lost_and_none_repeated(run, network, client, moments, fault):
    watch = Watch(run, network, fault, moments)
    text = client(through(network, run), watch)
    assert watch.steps == STEPS
    assert text == f"{COUNT} steps"


def test_a_network_that_vanished_without_a_word(run, network):
    """The old connection stays open at our end while its client comes back over another network."""
    with mcp_client.Client(through(network, run), version="2025-11-25", keep=True) as client:
        body = {"jsonrpc": "2.0", "id": "w", "method": "tools/call",
                "params": {"name": "steps", "arguments": {"count": COUNT, "usec": USEC}, "_meta": {"progressToken": 7}}}
        stream, heard, last = Stream(client, "POST", body), [], None
        while len(heard) < 10:
            last, message = stream.event()
            heard += [message["params"]["message"]] if message else []
        network.fade()
        resumed = attempt(client, last)
        answer = None
        while not answer:
            id, message = resumed.event()
            assert id != last
            answer = message if "id" in message else None
            heard += [message["params"]["message"]] if not answer else []
        assert heard == STEPS and answer["id"] == "w"


@pytest.mark.parametrize("client", [python_client, typescript_client], ids=["python", "typescript"])
def test_polling(envmux, client):
    """stream_max: the connection is closed again and again, and the SDKs come back by themselves."""
    run = envmux({"mcpServers": {"steps": {"command": sys.executable, "args": [str(BACKEND)],
                                           "envmux": {"stream_retry": "50ms", "stream_max": "200ms"}}}})
    watch = Watch(run, None, "nothing", [])
    assert client(run.mcp("steps"), watch) == f"{COUNT} steps"
    assert watch.steps == STEPS
