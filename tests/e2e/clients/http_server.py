"""A server of the official Python SDK 2.x over HTTP, for every revision at once; each tool is one thing to look at.

    http_server.py --port N
"""

import argparse
import os

import anyio
import uvicorn
from mcp.server.mcpserver import Context, MCPServer

parser = argparse.ArgumentParser()
parser.add_argument("--port", type=int, required=True)
options = parser.parse_args()
server = MCPServer("http-server")
begun, cancelled, gates = [], [], {}


@server.tool()
async def whoami(context: Context) -> dict:
    headers = {name.lower(): value for name, value in context.headers.items()}
    return {"pid": os.getpid(), "headers": headers, "begun": begun, "cancelled": cancelled}


@server.tool()
async def steps(context: Context, name: str, count: int) -> str:
    """Progress of its own, while the others make theirs."""
    for i in range(count):
        await context.report_progress(i, count, f"{name}-{i}")
        await anyio.sleep(0.01)
    return name


@server.tool()
async def wait(context: Context, name: str) -> str:
    """Until "release" is called with its name; notes when it is cancelled before."""
    gate = gates.setdefault(name, anyio.Event())
    begun.append(name)
    try:
        await context.report_progress(0, 1, name)
        await gate.wait()
    except anyio.get_cancelled_exc_class():
        cancelled.append(name)
        raise
    return name


@server.tool()
async def release(name: str) -> str:
    gates.setdefault(name, anyio.Event()).set()
    return "released"


@server.tool()
async def news(context: Context) -> str:
    await context.notify_tools_changed()
    return "told"


uvicorn.run(server.streamable_http_app(stateless_http=True), host="127.0.0.1", port=options.port, log_level="warning")
