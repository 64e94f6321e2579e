"""The embedded frozen lake by itself: its maps are gymnasium's, and the official SDK can play on it."""

import contextlib
import json
import subprocess

import mcp
import pytest
from gymnasium.envs.toy_text.frozen_lake import generate_random_map
from mcp.client.stdio import StdioServerParameters, stdio_client

import harness

FROZEN_LAKE = harness.LIBEXEC / "frozen-lake"

KNOWN = {  # computed with gymnasium 0.29.1
    42: "SFHF\nFHFF\nFFFH\nFHFG",
    123: "SFFF\nFHHF\nHHFF\nHFFG",
    456: "SFFF\nHFFF\nFHFF\nFFFG",
}


def maps_of_c(size, seed, count):
    done = subprocess.run([FROZEN_LAKE, f"--print-map={count}", f"--size={size}", f"--seed={seed}"],
                          capture_output=True, text=True, check=True, timeout=harness.PATIENCE)
    return done.stdout.removesuffix("\n").split("\n\n")


def map_of_gymnasium(size, seed):
    return "\n".join(map(str, generate_random_map(size, p=0.8, seed=seed)))


@pytest.mark.parametrize("size", [4, 8])
def test_a_thousand_maps_are_those_of_gymnasium(size):
    ours = maps_of_c(size, 0, 1000)
    assert len(ours) == 1000
    assert [seed for seed in range(1000) if ours[seed] != map_of_gymnasium(size, seed)] == []


@pytest.mark.parametrize("seed", [2**31, 2**32 - 1, 2**32, 2**53 + 1, 2**63 - 1])
def test_seeds_of_more_than_one_word(seed):
    assert maps_of_c(16, seed, 1) == [map_of_gymnasium(16, seed)]


@pytest.mark.parametrize("seed", KNOWN)
def test_known_maps(seed):
    assert maps_of_c(4, seed, 1) == [KNOWN[seed]]


@pytest.mark.parametrize("arguments", [["--seed=-1"], ["--seed=7x"], ["--size=1"], ["--size=65"], ["--no-such"], ["word"]])
def test_bad_options_are_refused(arguments):
    done = subprocess.run([FROZEN_LAKE, *arguments], capture_output=True, text=True, stdin=subprocess.DEVNULL,
                          timeout=harness.PATIENCE)
    assert done.returncode == 2
    assert "frozen-lake: " in done.stderr
    assert done.stdout == ""


@contextlib.asynccontextmanager
async def session_on(*arguments):
    parameters = StdioServerParameters(command=str(FROZEN_LAKE), args=list(arguments))
    async with stdio_client(parameters) as streams, mcp.ClientSession(*streams) as session:
        await session.initialize()
        yield session


async def read(session, uri):
    contents = (await session.read_resource(uri)).contents
    assert len(contents) == 1 and contents[0].mimeType == "application/json"
    return json.loads(contents[0].text)


async def move(session, action):
    result = await session.call_tool("lake_move", {"action": action})
    assert not result.isError
    assert json.loads(result.content[0].text) == result.structuredContent
    return result.structuredContent


@pytest.mark.anyio
async def test_the_official_client_plays_to_the_goal():
    async with session_on("--seed", "123") as session:
        assert [tool.name for tool in (await session.list_tools()).tools] == ["lake_move"]
        uris = {str(resource.uri) for resource in (await session.list_resources()).resources}
        assert uris == {"game://initial_state", "control://reward", "control://status", "control://info"}
        assert await read(session, "game://initial_state") == {"position": 0, "grid": KNOWN[123]}
        for step, (action, position) in enumerate([("RIGHT", 1), ("RIGHT", 2), ("RIGHT", 3),
                                                   ("DOWN", 7), ("DOWN", 11), ("DOWN", 15)]):
            assert await read(session, "control://reward") == {"reward": 0.0, "step_count": step}
            assert await move(session, action) == {"position": position, "grid": KNOWN[123], "action": action}
        assert await read(session, "control://reward") == {"reward": 1.0, "step_count": 6}
        assert await read(session, "control://status") == {
            "terminated": True, "truncated": False, "step_count": 6, "total_reward": 1.0}
        assert await read(session, "game://initial_state") == {"position": 0, "grid": KNOWN[123]}


@pytest.mark.anyio
async def test_a_hole_ends_the_game_and_nothing_moves_after():
    async with session_on("--seed", "42") as session:
        for action, position in [("RIGHT", 1), ("RIGHT", 2), ("DOWN", 2), ("LEFT", 2)]:
            assert (await move(session, action))["position"] == position
        assert await read(session, "control://status") == {
            "terminated": True, "truncated": False, "step_count": 2, "total_reward": 0.0}


@pytest.mark.anyio
async def test_the_official_client_sees_errors_where_they_belong():
    async with session_on("--seed", "0") as session:
        result = await session.call_tool("no_such_tool", {})
        assert result.isError and "no_such_tool" in result.content[0].text
        result = await session.call_tool("lake_move", {"action": "SIDEWAYS"})
        assert result.isError and "SIDEWAYS" in result.content[0].text
        with pytest.raises(mcp.McpError) as failed:
            await session.read_resource("control://nothing")
        assert failed.value.error.code == -32002
        with pytest.raises(mcp.McpError) as failed:
            await session.list_prompts()
        assert failed.value.error.code == -32601
