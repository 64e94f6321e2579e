"""The original client, unmodified: eval-protocol's connection manager plays three seeds through envmux."""

import asyncio
import hashlib
import json
import sys
import types

import pytest

import harness
from lake import MAPS, MOVES

PACKAGES = harness.TOP / "build" / "no-deps"

pytestmark = pytest.mark.skipif(not (PACKAGES / "eval_protocol").is_dir(),
                                reason="needs eval-protocol: tests/e2e/requirements-no-deps.txt in build/no-deps")


def connection_manager():
    """Its two modules, without the packages' __init__ files, which import everything else it does."""
    for name in ("eval_protocol", "eval_protocol.mcp", "eval_protocol.mcp.client"):
        module = types.ModuleType(name)
        module.__path__ = [str(PACKAGES / name.replace(".", "/"))]
        sys.modules[name] = module
    from eval_protocol.mcp.client.connection import MCPConnectionManager
    from eval_protocol.types.types import DatasetRow, MCPSession

    return MCPConnectionManager, MCPSession, DatasetRow


def row_session(MCPSession, DatasetRow, url, seed):
    context = {"game": "FrozenLake", "map_name": "4x4", "seed": seed}
    row = DatasetRow(id=f"row-{seed}", seed=seed, system_prompt="", user_prompt_template="", environment_context=context)
    identity = {"seed": seed, "config": context, "dataset_row_id": row.id, "model_id": "test-model"}
    session_id = hashlib.md5(json.dumps(identity, sort_keys=True).encode()).hexdigest()
    return MCPSession(session_id=session_id, base_url=url, seed=seed, model_id="test-model", dataset_row=row)


async def rollout(manager, session):
    await manager.initialize_session(session)
    tools = await manager.discover_tools(session)
    first = await manager.get_initial_state(session)
    trajectory = []
    for action in MOVES:
        observation, reward, done, info = await manager.call_tool(session, "lake_move", {"action": action})
        trajectory.append((observation["position"], reward, done, info["control_plane"]))
        if done:
            break
    await manager.close_session(session)
    return [tool["name"] for tool in tools], first, trajectory


@pytest.mark.timeout(300)
def test_three_seeds_at_once(envmux):
    MCPConnectionManager, MCPSession, DatasetRow = connection_manager()
    run = envmux(harness.EXAMPLES / "frozen-lake-python.json")
    url = run.mcp("frozen-lake-http") + "/"
    manager = MCPConnectionManager()

    async def play():
        sessions = [row_session(MCPSession, DatasetRow, url, seed) for seed in MAPS]
        return await asyncio.gather(*(rollout(manager, session) for session in sessions))

    for seed, (tools, first, trajectory) in zip(MAPS, asyncio.run(play()), strict=True):
        assert tools == ["lake_move"]
        assert first["grid"].replace("\n", "") == MAPS[seed].replace(" ", ""), f"seed {seed}: a map of another seed"
        # Reward and status came from the control plane of the right backend.
        for _, _, _, control_plane in trajectory:
            assert control_plane == {"reward_source": "control_plane_endpoint", "status_source": "control_plane_endpoint"}
        *before, (_, reward, done, _) = trajectory
        assert done and all(not d and r == 0 for _, r, d, _ in before)
        assert (len(trajectory), reward) == ((2, 0.0) if seed == 42 else (6, 1.0))
    harness.wait_until(lambda: run.sessions() == [], "the sessions to end")


def test_two_rollouts_of_one_row_share_nothing(envmux):
    """The same row twice has the same identity; each rollout still has its own environment."""
    MCPConnectionManager, MCPSession, DatasetRow = connection_manager()
    run = envmux(harness.EXAMPLES / "frozen-lake.json")
    manager = MCPConnectionManager()

    async def play():
        first, second = (row_session(MCPSession, DatasetRow, run.mcp() + "/", 123) for _ in range(2))
        await manager.initialize_session(first)
        await manager.initialize_session(second)
        moved, *_ = await manager.call_tool(first, "lake_move", {"action": "RIGHT"})
        other, *_ = await manager.call_tool(second, "lake_move", {"action": "DOWN"})
        n = len(run.sessions())
        # Closed in reverse: the SDK's task groups nest.
        await manager.close_session(second)
        await manager.close_session(first)
        return moved, other, n

    moved, other, n = asyncio.run(play())
    assert (moved["position"], other["position"]) == (1, 4)
    assert n == 2
