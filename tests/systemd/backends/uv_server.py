# /// script
# requires-python = ">=3.11"
# dependencies = ["mcp==1.30.0"]
# ///
"""A server as its users start it: `uv run --script`, which finds the dependencies named above."""

import os
import sys

from mcp.server.fastmcp import FastMCP

app = FastMCP("uv")


@app.tool()
def whoami() -> dict:
    return {"uid": os.getuid(), "prefix": sys.prefix}


app.run()
