"""A backend that dies in the middle of ten calls: each is told so under its own id, none hangs, over either transport
and however it dies; then its session is gone, and the next one begins afresh."""

import pytest

import mcp_client
import transparency
from harness import wait_until

DEATHS = {"SIGSEGV": ("signal", "SIGSEGV"), "SIGKILL": ("signal", "SIGKILL"), "0": ("exit_status", 0), "3": ("exit_status", 3)}
CASES = [("stdio", how) for how in DEATHS] + [("http", "SIGSEGV"), ("http", "0")]


@pytest.mark.parametrize("transport, how", CASES)
def test_death_in_the_middle_of_ten_calls(envmux, transport, how):
    run = envmux(transparency.config(transport))
    client, bystander = transparency.caller(run), transparency.caller(run)
    ids = list(range(100, 105)) + [f"id-{i}" for i in range(5)]
    calls = [client.begin("hang", {"stream": i % 2 == 0}, id=id, token=id) for i, id in enumerate(ids)]
    for call in calls[::2]:
        assert call.event()[1]["params"]["progressToken"] == call.id
    wait_until(lambda: len(client.call("seen")["notes"]) == 10, "ten calls at the backend")
    dying = client.begin("die", {"how": how}, id="dying")
    for call in [*calls, dying]:
        *before, message = list(call)
        assert call.status == 200 and not before and message["id"] == call.id
        told = message["error"]["data"]["envmux"]
        name, value = DEATHS[how]
        assert (told["reason"], told["infra"], told[name]) == ("backend_exited", True, value)
    # That one session is over, and says so to whoever still uses it; a neighbour never hears of it.
    with pytest.raises(mcp_client.McpError):
        client.call("seen")
    wait_until(lambda: len(run.sessions()) == 1, "the session to be gone")
    assert client.send("POST", {"jsonrpc": "2.0", "id": 1, "method": "ping"})[0] == 404
    assert bystander.call("echo", text="alive") == "alive"
    fresh = transparency.caller(run)
    assert fresh.call("seen")["notes"] == []


@pytest.mark.parametrize("transport", transparency.TRANSPORTS)
def test_death_of_a_shared_backend_reaches_every_client(envmux, transport):
    run = envmux(transparency.config(transport))
    clients = [transparency.caller(run, key="k") for _ in range(5)]
    calls = [client.begin("hang", {"stream": bool(i)}, id=f"same-{i}", token=i) for client in clients for i in range(2)]
    wait_until(lambda: len(clients[0].call("seen")["notes"]) == 10, "ten calls at the backend")
    run.backends()[0].kill()
    for call in calls:
        *_, message = list(call)
        assert message["id"] == call.id and message["error"]["data"]["envmux"]["signal"] == "SIGKILL"
