"""An HTTP backend that speaks HTTP+SSE alone, with the official SDK: `python sse_backend.py PORT`."""

import asyncio
import os
import sys

from mcp.server.fastmcp import Context, FastMCP
from mcp.types import SamplingMessage, TextContent

server = FastMCP("old", host="127.0.0.1", port=int(sys.argv[1]), log_level="ERROR")
gates = {}


@server.tool()
def environment() -> dict:
    return {name: value for name, value in os.environ.items() if name.startswith("ENVMUX_")}


@server.tool()
async def hold(name: str, context: Context) -> str:
    """Answered by release."""
    gates[name] = asyncio.Event()
    await context.report_progress(1, 2)
    await gates[name].wait()
    return "released " + name


@server.tool()
async def release(name: str) -> str:
    gates[name].set()
    return "done"


@server.tool()
async def big(size: int) -> str:
    return "z" * size


@server.tool()
async def ask(context: Context) -> str:
    answer = await context.session.create_message(
        messages=[SamplingMessage(role="user", content=TextContent(type="text", text="?"))], max_tokens=9)
    return answer.content.text


@server.tool()
async def crash() -> str:
    print("last words", file=sys.stderr, flush=True)
    os._exit(3)


server.run(transport="sse")
