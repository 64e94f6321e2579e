"""What is long, odd or slow passes whole, or ends where it can be seen; and costs no memory beyond what is configured."""

import json
import threading

import pytest

import mcp_client
import transparency
from harness import wait_until
from mcp_streams import text

MIB = 1 << 20
BUDGET = 8 * MIB  # of one session, for all that waits in it
SLACK = 4 * MIB   # what an allocator may keep of what was freed


@pytest.fixture(params=transparency.TRANSPORTS)
def run(envmux, request):
    run = envmux(transparency.config(request.param))
    run.transport = request.param
    return run


@pytest.fixture(params=transparency.TRANSPORTS)
def tight(envmux, request):
    run = envmux(transparency.config(request.param, buffer_max="8M", message_max="4M"))
    run.transport = request.param
    return run


def test_ten_mebibytes_pass_both_ways(run):
    """Three calls at once, so that their pieces are read and written in turns; every character has several bytes."""
    client = transparency.caller(run)
    words = [letter * (10 * MIB // len(letter.encode())) for letter in ("ž", "€", "🐎")]
    calls = [client.begin("echo", {"text": word}) for word in words]
    for call, word in zip(calls, words):
        *_, message = list(call)
        assert message["id"] == call.id and text(message) == word


def test_odd_output_is_read_as_what_it_is(envmux):
    """Noise is no message, CRLF ends a line, and a character may come in pieces."""
    run = envmux(transparency.config("stdio"))
    client = transparency.caller(run)
    calls = [client.begin("odd", id=f"odd-{i}") for i in range(3)]
    for call in calls:
        messages = list(call)
        assert [message["id"] for message in messages] == [call.id] and text(messages[0]) == "žluťoučký 🐎"
    logs = run.ctl("logs", run.sessions()[0]["id"]).stdout
    assert "Loading… ✓" in logs


class Memory:
    """Of the processes on the way, against what they had when it was made."""

    def __init__(self, run):
        self.run, self.processes = run, [*run.workers(), *run.routers()]
        self.before = [transparency.resident(process) for process in self.processes]
        self.most = list(self.before)

    def look(self):
        now = [transparency.resident(process) for process in self.processes]
        self.most = [max(pair) for pair in zip(self.most, now)]
        return now

    def check(self):
        worker, *routers = [most - before for most, before in zip(self.most, self.before)]
        if transparency.is_sanitized(self.run):
            return
        assert worker < BUDGET + SLACK, f"the worker grew by {worker >> 10} KiB"
        assert max(routers) < SLACK, f"a router grew by {max(routers) >> 10} KiB"


def is_still(memory, looks=20):
    """The memory on the way no longer changes: all that could be sent was."""
    seen = [memory.look() for _ in range(looks)]
    return all(one == seen[0] for one in seen)


def test_a_slow_reader_costs_no_memory(tight):
    """64 MiB of events for a client that reads none of them, while another is answered as ever."""
    slow, quick = (transparency.caller(tight, key="k") for _ in range(2))
    assert quick.call("echo", text="x" * MIB) == "x" * MIB
    memory = Memory(tight)
    call = slow.begin("flood", {"count": 4096, "size": 16 * 1024}, token="t")
    assert call.status == 200 and call.event()[1]["params"]["progress"] == 0
    for i in range(50):
        assert quick.call("echo", text=f"quick {i}") == f"quick {i}"
        memory.look()
    wait_until(lambda: is_still(memory), "all to be sent that can be")
    memory.check()
    # Who reads on at last gets all of it in order, or a stream that ends before its answer, not one that looks whole.
    steps, response = [], None
    try:
        for message in call:
            if "method" in message:
                steps.append(message["params"]["progress"])
            else:
                response = message
    except (OSError, ValueError, mcp_client.http.client.HTTPException):
        pass
    assert steps == list(range(1, len(steps) + 1))
    is_whole = response is not None and "result" in response
    assert is_whole == (len(steps) == 4095)
    assert is_whole or response["error"]["data"]["envmux"]["reason"] == "overloaded"
    if tight.transport == "http":
        assert text(response) == "flooded"  # the backend waits for its reader, and nobody else does
    memory.check()


def trickle(client, size):
    """The first half of a request on a connection of its own; returns how to send the rest."""
    body = json.dumps({"jsonrpc": "2.0", "id": size, "method": "tools/call",
                       "params": {"name": "echo", "arguments": {"text": "y" * size}}}).encode()
    connection = mcp_client.http.client.HTTPConnection(client.connection.host, client.connection.port, timeout=60)
    connection.putrequest("POST", client.target)
    for name, value in {"Accept": mcp_client.ACCEPT, "Content-Type": "application/json", "Content-Length": len(body),
                        "Mcp-Session-Id": client.session_id, "MCP-Protocol-Version": client.version}.items():
        connection.putheader(name, value)
    connection.endheaders()
    half = len(body) // 2
    sender = threading.Thread(target=connection.send, args=(body[:half],), daemon=True)
    sender.start()

    def rest():
        sender.join(60)
        connection.send(body[half:])
        answer = connection.getresponse()
        return client.messages(answer.headers, answer.read())[-1]

    return connection, rest


def test_slow_writers_cost_no_memory(tight):
    """Twenty requests of 3 MiB that stop in the middle: more than the session may hold."""
    client, other = (transparency.caller(tight, key="k") for _ in range(2))
    assert other.call("echo", text="x" * MIB) == "x" * MIB
    memory = Memory(tight)
    begun = [trickle(client, 3 * MIB + i) for i in range(20)]
    wait_until(lambda: is_still(memory), "all to be sent that can be")
    if tight.transport == "http":
        assert other.call("echo", text="in between") == "in between"
    memory.check()
    for connection, _ in begun[1:]:
        connection.close()
    message = begun[0][1]()
    assert message["id"] == 3 * MIB and text(message) == "y" * (3 * MIB)
    assert other.call("echo", text="after all") == "after all"
    memory.check()
