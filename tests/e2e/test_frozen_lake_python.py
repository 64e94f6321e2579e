"""The frozen lake on FastMCP and gymnasium: over stdio and over HTTP, and move by move the same game
as the embedded one."""

import contextlib
import json
import random
import socket
import subprocess
import sys

import httpx
import mcp
import pytest
from mcp.client.stdio import StdioServerParameters, stdio_client
from mcp.client.streamable_http import streamable_http_client

import harness

EMBEDDED = [str(harness.LIBEXEC / "frozen-lake")]
SERVER = [sys.executable, str(harness.EXAMPLES / "frozen-lake" / "server.py")]
MAP_OF_123 = "SFFF\nFHHF\nHHFF\nHFFG"


@contextlib.asynccontextmanager
async def stdio_session(command, *arguments):
    parameters = StdioServerParameters(command=command[0], args=[*command[1:], *arguments])
    async with stdio_client(parameters) as streams, mcp.ClientSession(*streams) as session:
        await session.initialize()
        yield session


@contextlib.contextmanager
def http_server(*arguments):
    """Yields the URL of a server that answers."""
    with socket.socket() as hold:  # bound, never listening: the port stays ours until the server has it
        hold.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        hold.bind(("127.0.0.1", 0))
        port = hold.getsockname()[1]
        process = subprocess.Popen([*SERVER, "--transport", "streamable-http", "--port", str(port), *arguments])

        def answers():
            assert process.poll() is None, "the server ended"
            with contextlib.suppress(OSError):
                socket.create_connection(("127.0.0.1", port)).close()
                return True

        try:
            harness.wait_until(answers, "the server listens")
            yield f"http://127.0.0.1:{port}"
        finally:
            process.terminate()
            process.wait(harness.PATIENCE)


@contextlib.asynccontextmanager
async def http_session(url):
    async with streamable_http_client(url + "/mcp") as (read, write, _), mcp.ClientSession(read, write) as session:
        await session.initialize()
        yield session


async def read(session, uri):
    return json.loads((await session.read_resource(uri)).contents[0].text)


async def everything(session):
    return [await read(session, uri) for uri in
            ("game://initial_state", "control://reward", "control://status", "control://info")]


async def move(session, action):
    result = await session.call_tool("lake_move", {"action": action})
    assert not result.isError, result
    assert json.loads(result.content[0].text) == result.structuredContent
    return result.structuredContent


@pytest.mark.anyio
@pytest.mark.parametrize("seed,size", [(seed, size) for size in (4, 8) for seed in (0, 7, 11, 42)])
async def test_both_play_the_same_game(seed, size):
    walk = random.Random(seed)
    arguments = ["--seed", str(seed), "--size", str(size)]
    async with stdio_session(EMBEDDED, *arguments) as ours, stdio_session(SERVER, *arguments) as real:
        assert await everything(ours) == await everything(real)
        moves_after_the_end = 0
        while moves_after_the_end < 3:
            # Away from the start more often than back, so that edges, holes and goals are all met.
            action = walk.choice(["LEFT", "DOWN", "RIGHT", "RIGHT", "DOWN", "UP"])
            assert await move(ours, action) == await move(real, action)
            assert await everything(ours) == await everything(real)
            moves_after_the_end += (await read(ours, "control://status"))["terminated"]


@pytest.mark.anyio
async def test_an_episode_without_an_end_is_truncated_by_both():
    async with stdio_session(EMBEDDED) as ours, stdio_session(SERVER) as real:
        for _ in range(101):
            assert await move(ours, "UP") == await move(real, "UP")
        assert await everything(ours) == await everything(real)
        assert await read(ours, "control://status") == {
            "terminated": False, "truncated": True, "step_count": 100, "total_reward": 0.0}


@pytest.mark.anyio
async def test_an_empty_seed_is_seed_0_for_both():
    async with stdio_session(EMBEDDED, "--seed", "") as ours, stdio_session(SERVER, "--seed", "") as real:
        assert (await read(ours, "control://info"))["seed"] == 0
        assert await everything(ours) == await everything(real)


@pytest.mark.anyio
async def test_unknown_actions_and_tools_are_tool_errors():
    async with stdio_session(SERVER) as session:
        assert (await session.call_tool("lake_move", {"action": "SIDEWAYS"})).isError
        assert (await session.call_tool("no_such_tool", {})).isError


@pytest.mark.anyio
async def test_control_endpoints_beside_mcp():
    with http_server("--seed", "123") as url:
        async with http_session(url) as session, httpx.AsyncClient(base_url=url + "/control") as control:
            assert (await control.get("/reward")).status_code == 400
            assert (await control.get("/reward")).json() == {"error": "Missing mcp-session-id header"}
            control.headers["mcp-session-id"] = "4a322ac917f50f7e3f4b08dfd746ffb0"

            assert (await control.get("/initial_state")).json() == {"position": 0, "grid": MAP_OF_123}
            for action in ["RIGHT"] * 3 + ["DOWN"] * 3:
                await move(session, action)
            assert (await control.get("/reward")).json() == {"reward": 1.0, "step_count": 6}
            assert (await control.get("/status")).json() == {
                "terminated": True, "truncated": False, "step_count": 6, "total_reward": 1.0}
            assert (await control.get("/info")).json() == {"prob": 1.0, "seed": 123, "size": 4}

            answer = await control.post("/reset_session", json={"seed": "many"})
            assert answer.status_code == 500 and "error" in answer.json()
            assert (await control.get("/status")).json()["step_count"] == 6
            answer = await control.post("/reset_session", json={"seed": 0})
            assert (answer.status_code, answer.json()) == (200, {"message": "Session reset successfully"})
            assert (await control.get("/status")).json()["step_count"] == 0
            assert (await control.get("/initial_state")).json() == await read(session, "game://initial_state")
            assert (await read(session, "control://info"))["seed"] == 0
