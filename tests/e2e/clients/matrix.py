"""One client of the matrix (test_matrix.py) on the official Python SDK, 1.x or 2.x, whichever this interpreter has.

    matrix.py MODE URL PLAN

MODE is "default", "legacy", "auto", "modern" (2.x), "sse", or a revision to ask for. PLAN says which tools do what, as
JSON: {"tools": COUNT, "echo": CALL, "progress": CALL, "sampling": CALL}, a CALL being {"name": …, "arguments": …}.
Prints what the client saw, as one JSON object; a connection that fails is {"error": …}.
"""

import asyncio
import contextlib
import json
import sys

from mcp.client.sse import sse_client

LATEST = "2026-07-28"

try:  # 2.x
    from mcp import Client
    from mcp_types import CreateMessageResult, TextContent

    @contextlib.asynccontextmanager
    async def connect(mode, url, sampling):
        modes = {"default": "auto", "modern": LATEST, "sse": "legacy"}
        server = sse_client(url) if mode == "sse" else url
        async with Client(server, mode=modes.get(mode, mode), sampling_callback=sampling) as client:
            yield client, client.protocol_version

except ImportError:  # 1.x
    import mcp.types
    from mcp import ClientSession
    from mcp.client.streamable_http import streamable_http_client
    from mcp.types import CreateMessageResult, TextContent

    @contextlib.asynccontextmanager
    async def connect(mode, url, sampling):
        transport = sse_client if mode == "sse" else streamable_http_client
        if mode not in ("default", "sse"):
            mcp.types.LATEST_PROTOCOL_VERSION = mode
        async with transport(url) as (read, write, *_):
            async with ClientSession(read, write, sampling_callback=sampling) as session:
                yield session, (await session.initialize()).protocolVersion


async def sample(_, request):
    words = request.messages[0].content
    words = (words[0] if isinstance(words, list) else words).text
    answer = TextContent(type="text", text=f"sampled {words}")
    return CreateMessageResult(role="assistant", model="test", content=answer)


async def report(client, revision, plan):
    progress = []

    async def on_progress(*given):
        progress.append(given[0])

    async def call(what, **options):
        result = await client.call_tool(plan[what]["name"], plan[what]["arguments"], **options)
        return result.content[0].text

    return {
        "revision": revision,
        "tools": len((await client.list_tools()).tools) >= plan["tools"],
        "echo": await call("echo"),
        "progress": bool(await call("progress", progress_callback=on_progress)) and progress,
        "sampling": await call("sampling"),
    }


async def main(mode, url, plan):
    try:
        async with connect(mode, url, sample) as (client, revision):
            print(json.dumps(await report(client, revision, plan)))
    except Exception as error:  # whatever the SDK raises is what the user sees
        print(json.dumps({"error": repr(error)}))


asyncio.run(main(sys.argv[1], sys.argv[2], json.loads(sys.argv[3])))
