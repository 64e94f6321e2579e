"""Scenarios of stateless clients (MCP 2026-07-28) on the official Python SDK 2.x, against modern_backend.py.

    modern.py SCENARIO URL [URL]

Prints what the clients saw, as one JSON value.
"""

import asyncio
import json
import sys

from mcp import Client
from mcp.client.subscriptions import SubscriptionLost
from mcp_types import ElicitResult

LATEST = "2026-07-28"


def text(result):
    value = result.content[0].text
    try:
        return json.loads(value)
    except ValueError:
        return value


async def tool(client, what, /, **arguments):
    return text(await client.call_tool(what, arguments))


async def until(client, name, wanted):
    """Asks a tool until its answer is what is wanted."""
    async with asyncio.timeout(30):
        while not wanted(answer := await tool(client, name)):
            await asyncio.sleep(0.02)
        return answer


async def together(url, _):
    """Clients that share the instance, and count from 0 each: calls in flight at once, with progress."""
    async with Client(url) as one, Client(url, mode=LATEST) as two, Client(url, mode=LATEST) as driver:
        seen = {"one": [], "two": []}

        def watch(name):
            async def on_progress(progress, *_):
                seen[name].append(progress)
            return on_progress

        held = [asyncio.create_task(client.call_tool("hold", {"name": name}, progress_callback=watch(name)))
                for client, name in ((one, "one"), (two, "two"))]
        await until(driver, "holding", lambda names: len(names) == 2)
        for step in range(1, 4):
            await tool(driver, "progress", name="two", step=10 * step)
            await tool(driver, "progress", name="one", step=step)
        await tool(driver, "release", name="one", value="for one")
        await tool(driver, "release", name="two", value="for two")
        return {"revisions": [one.protocol_version, two.protocol_version], "progress": seen,
                "answers": [text(await task) for task in held], "pids": [await tool(c, "pid") for c in (one, two)]}


async def listen(url, _):
    """News of each kind reach those who asked, and a backend that dies is noticed."""
    async with Client(url, mode=LATEST) as one, Client(url, mode=LATEST) as two, Client(url, mode=LATEST) as driver:
        async with one.listen(tools_list_changed=True) as tools, two.listen(resource_subscriptions=["file:///a"]) as file:
            await tool(driver, "news", method="notifications/resources/updated", uri="file:///a")
            await tool(driver, "news", method="notifications/tools/list_changed")
            seen = [type(await anext(aiter(stream))).__name__ for stream in (tools, file)]
            try:
                await tool(driver, "crash")
            except Exception as error:
                seen.append("exited" in str(error))
            try:
                seen.append(repr(await anext(aiter(tools), None)))
            except SubscriptionLost:
                seen.append("lost")
        return seen + [await tool(driver, "echo", a=1)]


async def cancel(url, _):
    """A client that gives up cancels its own call and no other."""
    async with Client(url, mode=LATEST) as client, Client(url, mode=LATEST) as driver:
        kept = asyncio.create_task(client.call_tool("hold", {"name": "kept"}))
        given_up = asyncio.create_task(client.call_tool("hold", {"name": "given up"}))
        await until(driver, "holding", lambda names: len(names) == 2)
        given_up.cancel()
        cancelled = await until(driver, "cancelled", len)
        await tool(driver, "release", name="kept", value="kept")
        return {"cancelled": len(cancelled), "answer": text(await kept)}


async def single(url, _):
    """Without keys and with a backend for each request: rounds come back to the one that asked."""
    async def on_elicit(*_):
        return ElicitResult(action="accept", content={"name": "x"})

    async with Client(url, mode=LATEST, elicitation_callback=on_elicit) as client:
        pids = {await tool(client, "pid") for _ in range(3)}
        rounds = await tool(client, "rounds")
        return {"pids": len(pids), "is_same": rounds["state"] == f"state of {rounds['pid']}", "inputs": rounds["inputs"]}


async def eras(modern, legacy):
    """Two keys, each pinned by its first client: later ones fall back or are refused."""
    async with Client(modern, mode=LATEST) as one, Client(legacy, mode="legacy") as two:
        seen = [await tool(client, "echo", a=1) for client in (one, two)]
        async with Client(legacy, mode="auto") as third:
            seen += [third.protocol_version, await tool(third, "echo", a=2)]
        try:
            async with Client(modern, mode="legacy") as fourth:
                seen.append(fourth.protocol_version)
        except Exception as error:
            seen.append("MCP 2026-07-28" in repr(error) or repr(error))
        return seen + [await tool(client, "echo", a=3) for client in (one, two)]


SCENARIOS = {scenario.__name__: scenario for scenario in (together, listen, cancel, single, eras)}
print(json.dumps(asyncio.run(SCENARIOS[sys.argv[1]](sys.argv[2], sys.argv[-1]))))
