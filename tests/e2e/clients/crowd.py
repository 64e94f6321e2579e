"""Many clients of the official Python SDK 2.x at one address, all at once; prints what each of them saw as JSON.

    crowd.py URL MODERN LEGACY          numbers of clients of either kind
"""

import asyncio
import json
import sys

from mcp import Client

URL, MODERN, LEGACY = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
STEPS = 5


async def one(name, mode):
    seen = []

    async def on_progress(progress, total, message):
        seen.append(message)

    async with Client(URL, mode=mode) as client:
        tools = [tool.name for tool in (await client.list_tools()).tools]
        answers = await asyncio.gather(*(client.call_tool("steps", {"name": f"{name}.{i}", "count": STEPS}, progress_callback=on_progress)
                                         for i in range(3)))
        who = json.loads((await client.call_tool("whoami", {})).content[0].text)
        return {"name": name, "version": client.protocol_version, "tools": len(tools), "pid": who["pid"],
                "answers": [answer.content[0].text for answer in answers], "progress": seen}


async def main():
    names = [(f"modern{i}", "auto") for i in range(MODERN)] + [(f"legacy{i}", "legacy") for i in range(LEGACY)]
    print(json.dumps(await asyncio.gather(*(one(*pair) for pair in names))))


asyncio.run(main())
