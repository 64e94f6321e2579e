"""What a stateless client of the official Python SDK 2.x sees when it listens and when it gives a call up.

    stateless.py URL
"""

import asyncio
import json
import sys

from mcp import Client

URL = sys.argv[1]


async def whoami(client):
    return json.loads((await client.call_tool("whoami", {})).content[0].text)


async def main():
    async with Client(URL) as client, Client(URL) as other:
        async with client.listen(tools_list_changed=True) as subscription:
            await other.call_tool("news", {})
            event = type(await anext(aiter(subscription))).__name__
        begun = asyncio.Event()

        async def on_progress(progress, total, message):
            begun.set()

        call = asyncio.create_task(client.call_tool("wait", {"name": "given up"}, progress_callback=on_progress))
        await begun.wait()
        call.cancel()
        await asyncio.gather(call, return_exceptions=True)
        while "given up" not in (seen := await whoami(other))["cancelled"]:
            await asyncio.sleep(0.01)
        print(json.dumps({"event": event, "cancelled": seen["cancelled"], "version": client.protocol_version,
                          "headers": seen["headers"]}))


asyncio.run(asyncio.wait_for(main(), 60))
