"""An HTTP backend that offers event ids: what a client missed comes when it asks for it, through everything."""

import pytest

import mcp_client
import node_tools
from harness import wait_until
from mcp_streams import Stream

pytestmark = pytest.mark.skipif(bool(node_tools.missing()), reason=str(node_tools.missing()))


@pytest.fixture
def client(envmux):
    script = node_tools.installed("resumable.mjs")
    run = envmux({"mcpServers": {"r": {"command": "node", "args": [str(script), "${envmux:port}"], "envmux": {"transport": "http"}}}})
    with mcp_client.Client(run.mcp("r", key="k"), version="2025-11-25") as client:
        yield client


def up_to_response(stream):
    """Its messages; what the server does with the stream after the response is its own affair."""
    messages = []
    while not messages or "method" in messages[-1]:
        messages.append(stream.event()[1])
    return messages


def test_a_call_goes_on_where_its_client_lost_it(client):
    call = {"jsonrpc": "2.0", "id": "long", "method": "tools/call",
            "params": {"name": "steps", "arguments": {}, "_meta": {"progressToken": "t"}}}
    stream = Stream(client, "POST", call)
    seen = [stream.event() for _ in range(4)]  # a priming event, and the steps before the gate
    assert seen[0][1] is None and [message["params"]["progress"] for _, message in seen[1:]] == [0, 1, 2]
    stream.close()
    # The backend has noticed: until then it takes the stream for read, and refuses whoever asks for it (409).
    wait_until(lambda: client.call("left") == 1, "the backend to notice that the client left")
    resumed = Stream(client, "GET", Last_Event_ID=seen[1][0])
    assert resumed.status == 200
    client.call("go")
    *steps, response = up_to_response(resumed)
    assert [message["params"]["progress"] for message in steps] == list(range(1, 10))
    assert response["id"] == "long" and response["result"]["content"][0]["text"] == "stepped"
    resumed.close()


def test_an_event_that_never_was_is_refused_by_the_backend(client):
    stream = Stream(client, "GET", Last_Event_ID="never")
    assert stream.status in (400, 404)
    stream.close()
