"""Rollouts of FrozenLake with the official Python SDK, 1.x or 2.x (legacy mode), whichever this
interpreter has.

    rollout.py RECORDING ACTIONS SEED=URL…

Opens one session per URL, all at the same time, and plays the comma-separated ACTIONS in lock-step,
each session until its end. Every step is one line of JSON in RECORDING. Prints "open" when all
sessions are open and "played" when all moves are made; each time it goes on at a line on stdin.
"""

import asyncio
import contextlib
import json
import sys

try:  # 2.x
    from mcp import Client

    @contextlib.asynccontextmanager
    async def connect(url):
        async with Client(url, mode="legacy") as client:
            yield client

except ImportError:  # 1.x
    from mcp import ClientSession
    from mcp.client.streamable_http import streamable_http_client
    from pydantic import AnyUrl

    class Session(ClientSession):
        async def read_resource(self, uri):
            return await super().read_resource(AnyUrl(uri))

    @contextlib.asynccontextmanager
    async def connect(url):
        async with streamable_http_client(url) as (read, write, _), Session(read, write) as session:
            await session.initialize()
            yield session


async def resource(client, uri):
    return json.loads((await client.read_resource(uri)).contents[0].text)


class Rollout:
    def __init__(self, client, seed, recording):
        self.client, self.seed, self.recording = client, seed, recording
        self.step = 0
        self.is_over = False

    async def record(self, action, observation):
        reward = await resource(self.client, "control://reward")
        status = await resource(self.client, "control://status")
        self.is_over = status["terminated"] or status["truncated"]
        line = {"seed": self.seed, "step": self.step, "action": action, "observation": observation, **reward, **status}
        print(json.dumps(line), file=self.recording, flush=True)

    async def start(self):
        tools = await self.client.list_tools()
        assert [tool.name for tool in tools.tools] == ["lake_move"], tools
        await self.record(None, await resource(self.client, "game://initial_state"))

    async def move(self, action):
        if not self.is_over:
            self.step += 1
            result = await self.client.call_tool("lake_move", {"action": action})
            await self.record(action, json.loads(result.content[0].text))


async def gate(word):
    print(word, flush=True)
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.readline)


async def main(path, actions, targets):
    # A session's context must end in the task that began it: one task per session holds it open.
    is_done = asyncio.Event()
    opened = asyncio.Queue()

    async def hold(url, seed):
        async with connect(url) as client:
            await opened.put((seed, client))
            await is_done.wait()

    with open(path, "a", encoding="utf-8") as recording:
        async with asyncio.TaskGroup() as group:
            for target in targets:
                seed, url = target.split("=", 1)
                group.create_task(hold(url, int(seed)))
            rollouts = [Rollout(client, seed, recording) for seed, client in [await opened.get() for _ in targets]]
            await asyncio.gather(*(rollout.start() for rollout in rollouts))
            await gate("open")
            for action in actions:
                await asyncio.gather(*(rollout.move(action) for rollout in rollouts))
            await gate("played")
            is_done.set()


asyncio.run(main(sys.argv[1], sys.argv[2].split(","), sys.argv[3:]))
