"""An HTTP backend that offers event ids: what a client missed comes when it asks for it, through everything."""

import http.client
import json

import pytest

import mcp_client
import node_tools
from harness import wait_until

pytestmark = pytest.mark.skipif(bool(node_tools.missing()), reason=str(node_tools.missing()))


@pytest.fixture
def client(envmux):
    script = node_tools.installed("resumable.mjs")
    run = envmux({"mcpServers": {"r": {"command": "node", "args": [str(script), "${envmux:port}"], "envmux": {"transport": "http"}}}})
    with mcp_client.Client(run.mcp("r", key="k"), version="2025-11-25") as client:
        yield client


class Stream:
    """An event stream on a connection of its own."""

    def __init__(self, client, method, body=None, **headers):
        self.connection = http.client.HTTPConnection(client.connection.host, client.connection.port, timeout=30)
        own = {"Accept": mcp_client.ACCEPT, "Content-Type": "application/json", "Mcp-Session-Id": client.session_id,
               "MCP-Protocol-Version": client.version} | {name.replace("_", "-"): value for name, value in headers.items()}
        self.connection.request(method, client.target, json.dumps(body) if body else None, own)
        self.answer = self.connection.getresponse()

    def event(self):
        """(id, message) of the next event, message None for an empty one; None at the end."""
        fields = {}
        while line := self.answer.readline():
            name, _, value = line.decode().rstrip("\r\n").partition(":")
            if name:
                fields[name] = value.lstrip()
            elif "id" in fields or fields.get("data"):
                return fields.get("id"), json.loads(fields["data"]) if fields.get("data") else None
        return None

    def messages(self):
        """Those up to the response; what the server does with the stream after it is its own affair."""
        messages = []
        while not messages or "method" in messages[-1]:
            messages.append(self.event()[1])
        return messages

    def close(self):
        self.answer.close()
        self.connection.close()


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
    assert resumed.answer.status == 200
    client.call("go")
    *steps, response = resumed.messages()
    assert [message["params"]["progress"] for message in steps] == list(range(1, 10))
    assert response["id"] == "long" and response["result"]["content"][0]["text"] == "stepped"
    resumed.close()


def test_an_event_that_never_was_is_refused_by_the_backend(client):
    answer = Stream(client, "GET", Last_Event_ID="never")
    assert answer.answer.status in (400, 404)
    answer.close()
