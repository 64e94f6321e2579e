"""Fifty sessions at once: whatever is said in one stays in it, by content."""

import concurrent.futures
import re

import pytest

import transparency
from mcp_streams import text

SESSIONS = 50


def live(run, i):
    """One session with a secret: everything that is heard in it, in its own words."""
    client = transparency.caller(run)
    secret = f"secret-{i}"
    assert client.call("keep", note=secret) == [secret]
    heard = []
    # The same id and token in each session, and a room of the same name.
    stream = client.begin("mix", {"name": secret, "rounds": 3, "parties": 1}, id=0, token=0)
    for message in stream:
        heard.append(message)
        if "id" in message and "method" in message:
            client.tell({"id": message["id"], "result": {"said": f"{secret} {message['params']['name']}"}})
    assert client.call("keep", note="again") == [secret, "again"]
    return client, secret, heard, client.call("seen")["pid"]


@pytest.mark.parametrize("transport", transparency.TRANSPORTS)
def test_sessions_hear_only_their_own(envmux, transport):
    run = envmux(transparency.config(transport))
    with concurrent.futures.ThreadPoolExecutor(SESSIONS) as pool:
        lives = list(pool.map(lambda i: live(run, i), range(SESSIONS)))
    assert len({client.session_id for client, *_ in lives}) == SESSIONS
    assert len({pid for *_, pid in lives}) == SESSIONS
    for client, secret, heard, _ in lives:
        assert text(heard[-1]) == [f"{secret} {secret}"] * 6
        assert {m["params"]["progressToken"] for m in heard if m.get("method") == "notifications/progress"} == {0}
        assert set(re.findall(r"secret-\d+", str(heard))) == {secret}
        # Counted from the backend's first message on: each is this session's, and none went elsewhere.
        assert [(m.get("params") or m["result"])["seq"] for m in heard] == list(range(2, 2 + 5 * 3 + 1))
    # By another's id nobody gets in where the ids are the sessions' own.
    stranger, other = lives[0][0], lives[1][0]
    assert stranger.delete() == 200
    stranger.session_id = None
    status, *_ = stranger.send("POST", {"jsonrpc": "2.0", "id": 1, "method": "ping"})
    assert status == 400
    assert other.call("seen")["notes"][0] == lives[1][1]
